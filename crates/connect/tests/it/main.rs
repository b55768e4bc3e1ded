//! Real sockets on the loopback interface.

mod codecs;
mod overload;
mod round_trip;
mod rows;
mod side;
