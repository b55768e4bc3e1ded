//! What did not leave.

use std::fmt;

use otlp::Signal;

use crate::queue::Size;

/// What an exporter had not delivered when it was shut down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undelivered {
    /// Its name.
    pub exporter: String,
    /// Records that were given up, by signal; those whose sends were cut off may have arrived all the same.
    pub left: Vec<(Signal, u64)>,
    /// Of these, what had been waiting in the queue.
    pub waiting: Size,
}

impl Undelivered {
    /// Whether everything left.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return write!(f, "{}: everything left", self.exporter);
        }
        write!(f, "{}: did not leave:", self.exporter)?;
        for (signal, records) in &self.left {
            write!(f, " {records} records of {signal}")?;
        }
        Ok(())
    }
}
