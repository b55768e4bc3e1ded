//! OS threads with a runtime each.

use std::{future::Future, io};

/// A fixed set of OS threads, each with a current-thread tokio runtime.
#[derive(Clone, Debug)]
pub struct Shards {}

impl Shards {
    /// Starts `count` threads named `{name}-{i}`.
    ///
    /// # Errors
    /// When the system refuses a thread or a runtime.
    pub fn start(_count: usize, _name: &str) -> io::Result<Shards> {
        todo!("contract stub")
    }
    /// How many there are.
    pub fn count(&self) -> usize {
        todo!("contract stub")
    }
    /// Runs a future on shard `i`.
    pub fn spawn(&self, _i: usize, _future: impl Future<Output = ()> + Send + 'static) {
        todo!("contract stub")
    }
    /// The shard with the fewest open bytes (ties: the fewest connections, then the lowest number).
    pub fn idlest(&self) -> usize {
        todo!("contract stub")
    }
    /// Notes that shard `i` holds this many more (or fewer) bytes of bodies being read or worked on.
    pub fn add_open_bytes(&self, _i: usize, _bytes: i64) {
        todo!("contract stub")
    }
    /// Stops accepting work, waits until `deadline` for what runs, and joins the threads.
    pub fn stop(&self, _deadline: std::time::Instant) {
        todo!("contract stub")
    }
}
