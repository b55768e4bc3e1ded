//! OS threads with a runtime each.

use std::{
    future::Future,
    io,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle, ThreadId},
    time::Instant,
};

use tokio::{
    runtime::{Builder, Handle},
    sync::{Notify, watch},
    time::timeout_at,
};

pub mod quota;

/// A fixed set of OS threads, each with a current-thread tokio runtime.
///
/// Clones stand for the same threads. When the last clone is gone the threads stop at once, whatever runs on them.
///
/// ```
/// use std::time::{Duration, Instant};
/// use aldis_pipeline::Shards;
///
/// let shards = Shards::start(2, "demo")?;
/// let (tell, told) = std::sync::mpsc::channel();
/// shards.spawn(1, async move {
///     let name = std::thread::current().name().map(str::to_owned);
///     tell.send(name).expect("somebody listens");
/// });
/// assert_eq!(told.recv().expect("the task ran").as_deref(), Some("demo-1"));
/// shards.stop(Instant::now() + Duration::from_secs(1));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Shards {
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Pool {
    shards: Vec<Arc<Shard>>,
    /// `Some` once stopping: when to give up waiting for tasks.
    stop: watch::Sender<Option<Instant>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shard {
    handle: Handle,
    open_bytes: AtomicI64,
    tasks: AtomicUsize,
    idle: Notify,
    ended: Mutex<bool>,
    ended_cv: Condvar,
}

impl Shards {
    /// Starts `count` threads named `{name}-{i}`; zero means [`quota::cpus`].
    ///
    /// # Errors
    /// When the system refuses a thread or a runtime.
    pub fn start(count: usize, name: &str) -> io::Result<Shards> {
        let count = if count == 0 { quota::cpus() } else { count };
        let (stop, _) = watch::channel(None);
        let mut pool = Pool { shards: Vec::new(), stop, threads: Mutex::default() };
        for i in 0..count {
            let (shard, thread) = start_one(format!("{name}-{i}"), pool.stop.subscribe())?;
            pool.shards.push(shard);
            pool.threads.get_mut().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(Shards { pool: Arc::new(pool) })
    }

    /// No thread at all: a model has its own.
    #[cfg(all(test, aldis_models))]
    pub(crate) fn none() -> Shards {
        let (stop, _) = watch::channel(None);
        Shards { pool: Arc::new(Pool { shards: Vec::new(), stop, threads: Mutex::default() }) }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.pool.shards.len()
    }

    /// Runs a future on shard `i` (modulo their number). A future that panics is gone, its shard is not. Once the
    /// shards are stopped the future is dropped unpolled.
    pub fn spawn(&self, i: usize, future: impl Future<Output = ()> + Send + 'static) {
        let shard = &self.pool.shards[i % self.count()];
        let running = Running::new(shard.clone());
        shard.handle.spawn(async move {
            let _running = running;
            future.await;
        });
    }

    /// The shard with the fewest open bytes (ties: the fewest running tasks, then the lowest number).
    pub fn idlest(&self) -> usize {
        let load =
            |shard: &Shard| (shard.open_bytes.load(Ordering::Relaxed), shard.tasks.load(Ordering::Relaxed));
        let shards = self.pool.shards.iter().enumerate();
        shards.min_by_key(|(i, shard)| (load(shard), *i)).map_or(0, |(i, _)| i)
    }

    /// Notes that shard `i` holds this many more (or fewer) bytes of bodies being read or worked on.
    pub fn add_open_bytes(&self, i: usize, bytes: i64) {
        self.pool.shards[i % self.count()].open_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Stops: waits until `deadline` for tasks that run (they are not told; tell them first), drops the rest, and joins
    /// the threads. Returns how many threads could not be joined because a task on them blocks; they are left behind.
    ///
    /// Blocks the caller. A shard that calls it does not wait for itself.
    pub fn stop(&self, deadline: Instant) -> usize {
        self.pool.stop(deadline, deadline)
    }

    /// As [`Shards::stop`], for whoever has until `end`: no thread is left behind before that.
    pub(crate) fn stop_within(&self, deadline: Instant, end: Instant) -> usize {
        self.pool.stop(deadline, end)
    }
}

impl Pool {
    fn stop(&self, deadline: Instant, end: Instant) -> usize {
        self.stop.send_if_modified(|stop| stop.replace(deadline).is_none());
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let me: ThreadId = thread::current().id();
        // A thread needs a moment after the deadline to drop its tasks.
        let give_up = end.max(deadline.max(Instant::now()) + STOP_GRACE);
        let mut left_behind = 0;
        for (thread, shard) in threads.into_iter().zip(&self.shards) {
            if thread.thread().id() == me {
                continue;
            }
            if shard.wait_ended(give_up) {
                // It ended: joining does not block, and a panic in a task never reaches the thread.
                let _ = thread.join();
            } else {
                left_behind += 1;
            }
        }
        left_behind
    }
}

/// How long a thread may take to drop its tasks once the deadline is over.
const STOP_GRACE: std::time::Duration = std::time::Duration::from_millis(500);

impl Drop for Pool {
    fn drop(&mut self) {
        let now = Instant::now();
        self.stop(now, now);
    }
}

impl Shard {
    /// Whether the thread ended before `give_up`.
    fn wait_ended(&self, give_up: Instant) -> bool {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        while !*ended {
            let left = give_up.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            ended = self.ended_cv.wait_timeout(ended, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

fn start_one(
    name: String,
    stop: watch::Receiver<Option<Instant>>,
) -> io::Result<(Arc<Shard>, JoinHandle<()>)> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let shard = Arc::new(Shard {
        handle: runtime.handle().clone(),
        open_bytes: AtomicI64::new(0),
        tasks: AtomicUsize::new(0),
        idle: Notify::new(),
        ended: Mutex::new(false),
        ended_cv: Condvar::new(),
    });
    let on_thread = shard.clone();
    let thread = thread::Builder::new().name(name).spawn(move || {
        let _ended = Ended(on_thread.clone());
        runtime.block_on(run(&on_thread, stop));
        // Tasks hold no blocking work of ours; a future dropped here is dropped on its own thread.
        drop(runtime);
    })?;
    Ok((shard, thread))
}

/// Lives until told to stop and idle, or until the deadline.
async fn run(shard: &Shard, mut stop: watch::Receiver<Option<Instant>>) {
    let deadline = match stop.wait_for(Option::is_some).await {
        Ok(deadline) => deadline.unwrap_or_else(Instant::now),
        Err(_) => Instant::now(),
    };
    let idle = async {
        while shard.tasks.load(Ordering::Acquire) > 0 {
            shard.idle.notified().await;
        }
    };
    // Either all tasks ended or they are dropped with the runtime.
    let _ = timeout_at(deadline.into(), idle).await;
}

/// Counts a task as long as it lives.
struct Running(Arc<Shard>);

impl Running {
    fn new(shard: Arc<Shard>) -> Self {
        shard.tasks.fetch_add(1, Ordering::Relaxed);
        Self(shard)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.tasks.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_one();
        }
    }
}

struct Ended(Arc<Shard>);

impl Drop for Ended {
    fn drop(&mut self) {
        *self.0.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.ended_cv.notify_all();
    }
}

#[cfg(test)]
mod tests;
