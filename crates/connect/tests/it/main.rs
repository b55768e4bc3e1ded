//! Real sockets on the loopback interface.

mod codecs;
mod config;
mod corpus;
mod flood;
mod hostile;
mod measure;
mod round_trip;
mod rows;
mod side;
mod windows;
