//! The thread that writes a file, so that no shard waits for a disk.

use std::{
    io,
    sync::{
        Mutex, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError},
    },
    thread,
    time::Instant,
};

use pipeline::clock::now_ns;
use tokio::sync::oneshot;

use super::{Sync, claim::Claim, output::Output};
use crate::limits::{FILE_CLOSE_GRACE, FILE_WRITE_BYTES, FILE_WRITES_WAITING};

/// One request on its way into the file.
struct Job {
    /// With its length or its line feed.
    bytes: Vec<u8>,
    /// Told once it is written.
    done: oneshot::Sender<Result<(), WriteError>>,
}

/// Why a request is not written, or not known to be.
#[derive(Clone)]
pub(super) struct WriteError {
    pub(super) reason: String,
    /// Whether it is in the file all the same.
    pub(super) is_written: bool,
}

/// The way to the thread. When it is dropped the thread writes what waits, and ends.
pub(super) struct Writer {
    /// What has not begun, and where the thread waits for it.
    idle: Mutex<Option<(Output, SyncSender<Output>)>>,
    send: Option<SyncSender<Job>>,
    ended: Mutex<Receiver<()>>,
}

/// Why a request was not handed over.
pub(super) enum NotTaken {
    Full,
    Gone,
}

impl Writer {
    /// Starts the thread, which touches nothing before [`Writer::begin`].
    pub(super) fn start(output: Output, claim: Option<Claim>, sync: Sync, name: &str) -> io::Result<Self> {
        let (send, jobs) = mpsc::sync_channel(FILE_WRITES_WAITING);
        let (tell, ended) = mpsc::sync_channel(1);
        let (give, given) = mpsc::sync_channel(1);
        let run = move || {
            if let Ok(output) = given.recv() {
                Thread { output, sync, synced: Instant::now(), is_dirty: false }.run(&jobs);
            }
            drop(claim);
            // Nobody listens any more if that took too long.
            let _ = tell.try_send(());
        };
        thread::Builder::new().name(format!("aldis-{name}")).spawn(run)?;
        Ok(Self { idle: Mutex::new(Some((output, give))), send: Some(send), ended: Mutex::new(ended) })
    }

    /// From here on the file is this one's to change. Once is enough.
    pub(super) fn begin(&self) {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((mut output, give)) = idle {
            output.begin();
            // The thread waits for nothing else.
            let _ = give.send(output);
        }
    }

    /// Hands bytes over; what is returned is told once they are written, or could not be.
    pub(super) fn write(
        &self,
        bytes: Vec<u8>,
    ) -> Result<oneshot::Receiver<Result<(), WriteError>>, NotTaken> {
        let (done, told) = oneshot::channel();
        let send = self.send.as_ref().ok_or(NotTaken::Gone)?;
        match send.try_send(Job { bytes, done }) {
            Ok(()) => Ok(told),
            Err(TrySendError::Full(_)) => Err(NotTaken::Full),
            Err(TrySendError::Disconnected(_)) => Err(NotTaken::Gone),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.send = None;
        *self.idle.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
        // A disk that hangs does not keep the program from ending.
        let _ = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner).recv_timeout(FILE_CLOSE_GRACE);
    }
}

struct Thread {
    output: Output,
    sync: Sync,
    synced: Instant,
    /// Whether something was written since.
    is_dirty: bool,
}

impl Thread {
    fn run(&mut self, jobs: &Receiver<Job>) {
        loop {
            let first = match (self.sync, self.is_dirty) {
                (Sync::Interval(interval), true) => {
                    match jobs.recv_timeout(interval.saturating_sub(self.synced.elapsed())) {
                        Ok(job) => job,
                        Err(RecvTimeoutError::Timeout) => {
                            self.sync_now();
                            continue;
                        }
                        Err(RecvTimeoutError::Disconnected) => break,
                    }
                }
                _ => match jobs.recv() {
                    Ok(job) => job,
                    Err(_) => break,
                },
            };
            let mut next = Some(first);
            while let Some(first) = next {
                next = self.write(first, jobs);
            }
        }
        if self.is_dirty && self.sync != Sync::None {
            self.sync_now();
        }
    }

    /// Writes a request together with those that wait behind it, as many as fit. Returns one that does not.
    fn write(&mut self, first: Job, jobs: &Receiver<Job>) -> Option<Job> {
        let mut told = vec![first.done];
        let mut next = None;
        let mut bytes = first.bytes;
        while bytes.len() < FILE_WRITE_BYTES {
            let Ok(job) = jobs.try_recv() else { break };
            let together = bytes.len() + job.bytes.len();
            if together > FILE_WRITE_BYTES || self.output.is_full(together as u64) {
                next = Some(job);
                break;
            }
            bytes.extend_from_slice(&job.bytes);
            told.push(job.done);
        }
        let failed =
            |is_written| move |error: io::Error| WriteError { reason: error.to_string(), is_written };
        let mut written = self.output.append(&bytes, now_ns()).map_err(failed(false));
        self.is_dirty |= written.is_ok();
        match self.sync {
            Sync::Batch if written.is_ok() => written = self.output.sync().map_err(failed(true)),
            // While requests come without a pause nobody wakes up for it.
            Sync::Interval(interval) if self.synced.elapsed() >= interval => self.sync_now(),
            _ => {}
        }
        for done in told {
            // Who gave up waiting will send it again.
            let _ = done.send(written.clone());
        }
        next
    }

    fn sync_now(&mut self) {
        self.synced = Instant::now();
        // What failed stays to be done; the next write tells.
        self.is_dirty = self.output.sync().is_err();
    }
}
