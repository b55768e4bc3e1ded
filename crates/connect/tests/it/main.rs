//! Real sockets on the loopback interface.

mod attacks;
mod certificates;
mod codecs;
mod collecting;
mod config;
mod corpus;
mod crash;
mod files;
mod flood;
mod following;
mod full;
mod hostile;
mod measure;
mod pages;
#[path = "../../src/body/tests/pieces.rs"]
mod pieces;
mod prometheus;
mod remote_write;
mod round_trip;
mod rows;
mod sealing;
mod side;
mod tls;
mod tls_files;
mod tls_peers;
mod windows;
