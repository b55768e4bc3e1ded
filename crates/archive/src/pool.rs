//! Work that is done side by side and comes back in the order in which it was given.
//!
//! The thread that gives is the one that takes: it reads and writes, workers compute. At most `room` pieces are under way,
//! so memory depends on the number of workers alone.

use std::{
    collections::BTreeMap,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use crate::limits::FRAMES_PER_WORKER;

/// Does one piece after another.
pub(crate) trait Worker: Send + 'static {
    type Job: Send + 'static;
    type Done: Send + 'static;

    fn run(&mut self, job: Self::Job) -> Self::Done;
}

/// A worker panicked.
#[derive(Debug)]
pub(crate) struct Panicked;

/// One worker in the thread of the caller, or several in theirs.
pub(crate) struct Ordered<W: Worker> {
    lane: Lane<W>,
    given: u64,
    taken: u64,
    /// What is done and not yet its turn.
    ahead: BTreeMap<u64, Result<W::Done, Panicked>>,
    room: u64,
}

enum Lane<W: Worker> {
    Here(W),
    Threads {
        jobs: SyncSender<(u64, W::Job)>,
        done: Receiver<(u64, Result<W::Done, Panicked>)>,
        threads: Vec<JoinHandle<W>>,
    },
}

impl<W: Worker> Ordered<W> {
    /// One worker runs in the caller's thread; more have a thread each.
    pub(crate) fn new(mut workers: Vec<W>) -> io::Result<Self> {
        let room = (workers.len() * FRAMES_PER_WORKER) as u64;
        let lane = match (workers.len(), workers.pop()) {
            (1, Some(worker)) => Lane::Here(worker),
            (_, last) => {
                workers.extend(last);
                threads(workers)?
            }
        };
        let room = if matches!(lane, Lane::Here(_)) { 1 } else { room };
        Ok(Self { lane, given: 0, taken: 0, ahead: BTreeMap::new(), room })
    }

    /// Whether another piece may be given.
    pub(crate) fn has_room(&self) -> bool {
        self.given - self.taken < self.room
    }

    /// Whether something was given that was not taken.
    pub(crate) fn is_busy(&self) -> bool {
        self.given > self.taken
    }

    /// Gives a piece of work. There must be room.
    pub(crate) fn give(&mut self, job: W::Job) {
        let number = self.given;
        self.given += 1;
        match &mut self.lane {
            Lane::Here(worker) => {
                let done = contained(worker, job);
                self.ahead.insert(number, done);
            }
            Lane::Threads { jobs, .. } => {
                // Workers end when this end is dropped, not before.
                let _ = jobs.send((number, job));
            }
        }
    }

    /// The next piece in order, if it is done.
    pub(crate) fn take_ready(&mut self) -> Option<Result<W::Done, Panicked>> {
        if let Lane::Threads { done, .. } = &self.lane {
            self.ahead.extend(done.try_iter());
        }
        self.take_ahead()
    }

    /// Waits for the next piece in order; `None` if none was given.
    pub(crate) fn take(&mut self) -> Option<Result<W::Done, Panicked>> {
        while self.is_busy() && !self.ahead.contains_key(&self.taken) {
            let Lane::Threads { done, .. } = &self.lane else { break };
            match done.recv() {
                Ok((number, piece)) => self.ahead.insert(number, piece),
                Err(_) => return Some(Err(Panicked)),
            };
        }
        self.take_ahead()
    }

    fn take_ahead(&mut self) -> Option<Result<W::Done, Panicked>> {
        let next = self.ahead.remove(&self.taken)?;
        self.taken += 1;
        Some(next)
    }

    /// Ends the workers and gives them back. Pieces that were not taken are lost.
    pub(crate) fn finish(self) -> Result<Vec<W>, Panicked> {
        match self.lane {
            Lane::Here(worker) => Ok(vec![worker]),
            Lane::Threads { jobs, done, threads } => {
                // Nobody waits to give or to tell any more.
                drop((jobs, done));
                threads.into_iter().map(|thread| thread.join().map_err(|_| Panicked)).collect()
            }
        }
    }
}

fn threads<W: Worker>(workers: Vec<W>) -> io::Result<Lane<W>> {
    // Neither is ever full: no more than this is under way.
    let bound = workers.len() * FRAMES_PER_WORKER;
    let (jobs, waiting) = sync_channel::<(u64, W::Job)>(bound);
    let (tell, done) = sync_channel(bound);
    let waiting = Arc::new(Mutex::new(waiting));
    let start = |(number, mut worker): (usize, W)| {
        let (waiting, tell) = (Arc::clone(&waiting), tell.clone());
        thread::Builder::new().name(format!("archive-{number}")).spawn(move || {
            loop {
                // The lock is held while waiting: whoever holds it is next.
                let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok((number, job)) = job else { break };
                if tell.send((number, contained(&mut worker, job))).is_err() {
                    break;
                }
            }
            worker
        })
    };
    let threads = workers.into_iter().enumerate().map(start).collect::<io::Result<_>>()?;
    Ok(Lane::Threads { jobs, done, threads })
}

/// A panic becomes a result: the caller waits for every number.
fn contained<W: Worker>(worker: &mut W, job: W::Job) -> Result<W::Done, Panicked> {
    catch_unwind(AssertUnwindSafe(|| worker.run(job))).map_err(|_| Panicked)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Takes longer for some numbers than for others, and panics at one.
    struct Uneven {
        runs: u64,
    }

    impl Worker for Uneven {
        type Job = u64;
        type Done = u64;

        fn run(&mut self, job: u64) -> u64 {
            assert!(job != 1000, "as it is meant to");
            self.runs += 1;
            thread::sleep(Duration::from_micros(job * 7919 % 700));
            job * 2
        }
    }

    fn pool(workers: usize) -> Ordered<Uneven> {
        Ordered::new((0..workers).map(|_| Uneven { runs: 0 }).collect()).unwrap()
    }

    #[test]
    fn pieces_come_back_in_order_however_many_work() {
        for workers in [1, 2, 3, 8] {
            let mut pool = pool(workers);
            let (mut came, mut most) = (Vec::new(), 0);
            for job in 0..200 {
                while !pool.has_room() {
                    came.push(pool.take().unwrap().unwrap());
                }
                pool.give(job);
                most = most.max(pool.given - pool.taken);
                came.extend(pool.take_ready().map(Result::unwrap));
            }
            while let Some(done) = pool.take() {
                came.push(done.unwrap());
            }
            assert_eq!(came, (0..200).map(|job| job * 2).collect::<Vec<_>>());
            assert!(most <= (workers * FRAMES_PER_WORKER) as u64, "{most}");
            assert_eq!(pool.finish().unwrap().iter().map(|worker| worker.runs).sum::<u64>(), 200);
        }
    }

    #[test]
    fn a_panic_is_told_in_its_place_and_nobody_waits_for_ever() {
        for workers in [1, 3] {
            let mut pool = pool(workers);
            let mut came = Vec::new();
            for job in [1, 1000, 3] {
                while !pool.has_room() {
                    came.push(pool.take().unwrap().is_ok());
                }
                pool.give(job);
            }
            came.extend(std::iter::from_fn(|| pool.take()).map(|done| done.is_ok()));
            assert_eq!(came, [true, false, true]);
        }
    }

    #[test]
    fn a_pool_that_is_dropped_with_work_under_way_ends() {
        let mut pool = pool(2);
        (0..4).for_each(|job| pool.give(job));
        assert!(pool.is_busy());
        assert_eq!(pool.finish().unwrap().len(), 2);
    }
}
