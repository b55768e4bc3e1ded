//! Where one thread records: a buffer of its own behind a lock that nobody else is after, but for the moment of a sweep.

use std::{
    cell::{Cell, RefCell},
    sync::{Arc, PoisonError},
};

use crate::{
    Origin,
    chunk::{Chunk, Size},
    clock::Anchored,
    record::{Body, Kind, Stamp},
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};

/// A thread's buffer in one collector.
pub(crate) struct Lane {
    number: u32,
    inside: Mutex<Inside>,
    /// Its thread has ended.
    orphaned: AtomicBool,
    /// Its collector is gone.
    abandoned: AtomicBool,
}

/// What the lock of a lane protects.
pub(crate) struct Inside {
    pub(crate) chunk: Chunk,
    /// What may still be put into the chunk without asking the hub: never more than the chunk has room for.
    pub(crate) left: Size,
    /// Events and metrics offered here, dropped ones included: the numbers of the last ones.
    seqs: [u64; 2],
    pub(crate) anchor: Anchored,
}

impl Inside {
    #[inline]
    pub(crate) fn write<B: Body>(&mut self, lane: u32, len: usize, body: &B, is_nested: bool) {
        self.left -= Size { items: 1, bytes: len };
        let seq = self.number(B::KIND);
        let time_ns = self.anchor.time_ns();
        let stamp = Stamp { time_ns, origin: Origin { lane, seq }, is_nested };
        body.put(stamp, self.chunk.push(len));
    }

    /// The number of what is offered now.
    #[inline]
    pub(crate) fn number(&mut self, kind: Kind) -> u64 {
        let seq = &mut self.seqs[kind as usize];
        *seq += 1;
        *seq
    }

    /// Records offered here, dropped ones included.
    pub(crate) fn offered(&self) -> u64 {
        self.seqs.iter().sum()
    }
}

impl Lane {
    pub(crate) fn new(number: u32) -> Self {
        let inside =
            Inside { chunk: Chunk::default(), left: Size::default(), seqs: [0; 2], anchor: Anchored::now() };
        let (orphaned, abandoned) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { number, inside: Mutex::new(inside), orphaned, abandoned }
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Records if that needs nobody's leave; says whether the pump is to be woken.
    #[inline]
    pub(crate) fn push<B: Body>(
        &self,
        len: usize,
        body: &B,
        is_nested: bool,
        asleep: &AtomicBool,
    ) -> Option<bool> {
        let mut inside = self.lock();
        if inside.left.items == 0 || inside.left.bytes < len {
            return None;
        }
        inside.write(self.number, len, body, is_nested);
        // Read under the lock: the pump says that it sleeps before it looks into the lanes for the last time.
        Some(asleep.load(Ordering::Relaxed) && asleep.swap(false, Ordering::Relaxed))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_orphaned(&self) -> bool {
        self.orphaned.load(Ordering::Acquire)
    }

    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }
}

/// The lanes of this thread, and what it is doing for which collector.
pub(crate) struct Here {
    lanes: RefCell<Vec<(u64, Arc<Lane>)>>,
    /// The hub for which this thread is calling a listener or consumer; 0: none.
    calling: Cell<u64>,
    /// The hub for which this thread is storing; 0: none.
    storing: Cell<u64>,
}

#[cfg(not(all(test, aldis_models)))]
thread_local! {
    static HERE: Here = const { Here::new() };
}

#[cfg(all(test, aldis_models))]
loom::thread_local! {
    static HERE: Here = Here::new();
}

impl Here {
    const fn new() -> Self {
        Self { lanes: RefCell::new(Vec::new()), calling: Cell::new(0), storing: Cell::new(0) }
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        for (_, lane) in self.lanes.get_mut() {
            lane.orphaned.store(true, Ordering::Release);
        }
    }
}

/// Records in the lane that this thread has in a hub. `None`: it has none, or must ask.
#[inline]
pub(crate) fn push_here<B: Body>(hub: u64, len: usize, body: &B, asleep: &AtomicBool) -> Option<bool> {
    let push = |here: &Here| {
        if here.storing.get() == hub {
            return None;
        }
        let lanes = here.lanes.try_borrow().ok()?;
        let (_, lane) = lanes.iter().find(|(of, _)| *of == hub)?;
        lane.push(len, body, here.calling.get() == hub, asleep)
    };
    HERE.try_with(push).ok().flatten()
}

/// The lane that this thread has in a hub; made by `make` if it has none yet. `None`: the thread is ending.
pub(crate) fn lane_here(hub: u64, make: impl FnOnce() -> Arc<Lane>) -> Option<Arc<Lane>> {
    let find = |here: &Here| {
        let mut lanes = here.lanes.try_borrow_mut().ok()?;
        if let Some((_, lane)) = lanes.iter().find(|(of, _)| *of == hub) {
            return Some(lane.clone());
        }
        lanes.retain(|(_, lane)| !lane.abandoned.load(Ordering::Relaxed));
        let lane = make();
        lanes.push((hub, lane.clone()));
        Some(lane)
    };
    HERE.try_with(find).ok().flatten()
}

/// Whether this thread is calling a listener or consumer of a hub.
pub(crate) fn is_calling(hub: u64) -> bool {
    HERE.try_with(|here| here.calling.get() == hub).unwrap_or(false)
}

/// Whether this thread is storing for a hub.
pub(crate) fn is_storing(hub: u64) -> bool {
    HERE.try_with(|here| here.storing.get() == hub).unwrap_or(false)
}

/// Runs what may record in the hub for which it is run.
pub(crate) fn calling<T>(hub: u64, run: impl FnOnce() -> T) -> T {
    marked(hub, |here| &here.calling, run)
}

/// Runs a storage.
pub(crate) fn storing<T>(hub: u64, run: impl FnOnce() -> T) -> T {
    marked(hub, |here| &here.storing, run)
}

fn marked<T>(hub: u64, mark: fn(&Here) -> &Cell<u64>, run: impl FnOnce() -> T) -> T {
    struct Restore(fn(&Here) -> &Cell<u64>, u64);
    impl Drop for Restore {
        fn drop(&mut self) {
            let _ = HERE.try_with(|here| self.0(here).set(self.1));
        }
    }
    let _restore = Restore(mark, HERE.try_with(|here| mark(here).replace(hub)).unwrap_or(0));
    run()
}
