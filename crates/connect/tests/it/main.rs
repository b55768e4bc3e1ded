//! Real sockets on the loopback interface.

mod codecs;
mod config;
mod corpus;
mod flood;
mod hostile;
mod measure;
#[path = "../../src/body/tests/pieces.rs"]
mod pieces;
mod prometheus;
mod round_trip;
mod rows;
mod side;
mod windows;
