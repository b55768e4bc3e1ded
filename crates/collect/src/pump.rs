//! The thread of a collector: shows records to listeners, hands them to consumers, and stores them.

use std::{
    io,
    sync::{Arc, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    StorageError, TelemetryData, TelemetryStorage,
    chunk::Chunk,
    hub::{Hub, Settled, Work},
    isolated::isolated,
    lane,
    name::NameCache,
    process::Inherited,
    record,
    reduction::{Reduced, Reducer},
    stream::Outlet,
    subscriber::Subscriber,
    sync::thread,
};

/// Listeners or consumers.
pub(crate) type Roster = Inherited<Vec<Arc<Subscriber>>>;

/// Starts the thread of a hub that has none.
pub(crate) fn ensure(hub: &Arc<Hub>, listeners: &Arc<Roster>) -> io::Result<()> {
    if !hub.claim_pump() {
        return Ok(());
    }
    let pump = Pump { hub: hub.clone(), listeners: listeners.clone(), names: NameCache::new() };
    let started = thread::Builder::new().name("aldis-collect".to_owned()).spawn(move || pump.run());
    if started.is_err() {
        hub.ended();
    }
    started.map(drop)
}

struct Pump {
    hub: Arc<Hub>,
    listeners: Arc<Roster>,
    names: NameCache,
}

impl Pump {
    fn run(mut self) {
        loop {
            match self.hub.next_work() {
                Work::Show(chunk) => {
                    let listeners = self.listeners.get();
                    self.show(&[chunk], &listeners, None);
                    self.part_with(listeners);
                }
                Work::Store(outlet, chunks) => {
                    let settled = self.store(&outlet, &chunks);
                    self.hub.settle(settled, chunks);
                    self.part_with(outlet);
                }
                Work::Tick(outlet) => {
                    let settled = self.tick(&outlet);
                    self.hub.ticked(settled);
                    self.part_with(outlet);
                }
                Work::Seal(outlet, to) => {
                    let (settled, is_synced) = self.seal(&outlet);
                    self.hub.sealed(&outlet, settled, to, is_synced);
                    self.part_with(outlet);
                }
                Work::End => break,
            }
        }
        self.hub.ended();
    }

    /// Drops what may be the last of its kind: then what a user wrote runs here, and may panic, or record.
    fn part_with<T>(&self, last: T) {
        // Nobody is there to be told.
        isolated(|| lane::storing(self.hub.id(), || drop(last)));
    }

    /// Shows records to subscribers, but for those that subscribers recorded.
    fn show(&mut self, chunks: &[Chunk], to: &[Arc<Subscriber>], all: Option<&Arc<TelemetryData>>) {
        let is_any_nested = || chunks.iter().flat_map(Chunk::records).any(record::is_nested);
        let data = match all {
            Some(all) if !is_any_nested() => all.clone(),
            _ => {
                let mut data = TelemetryData::default();
                for chunk in chunks {
                    chunk.decode(&mut self.names, |record| !record::is_nested(record), &mut data);
                }
                Arc::new(data)
            }
        };
        if data.is_empty() {
            return;
        }
        let bytes = chunks.iter().map(|chunk| chunk.size().bytes).sum();
        to.iter().for_each(|subscriber| subscriber.offer(self.hub.id(), &data, bytes));
    }

    fn store(&mut self, outlet: &Outlet, chunks: &[Chunk]) -> Settled {
        let mut data = TelemetryData::default();
        chunks.iter().for_each(|chunk| chunk.decode(&mut self.names, |_| true, &mut data));
        let data = Arc::new(data);
        let consumers = outlet.consumers.get();
        if !consumers.is_empty() {
            self.show(chunks, &consumers, Some(&data));
        }
        self.part_with(consumers);
        let mut reducer = lock(outlet);
        if reducer.is_identity() {
            drop(reducer);
            let stored = self.put(outlet, &data) as u64;
            return Settled {
                delivered: stored,
                storage_error: data.len() as u64 - stored,
                ..Settled::default()
            };
        }
        let before = reducer.held();
        let reduced = reducer.step(&data, now_ns());
        let change = change(before, reducer.held());
        drop(reducer);
        self.put_reduced(outlet, &reduced, change)
    }

    /// Stores aggregates whose window is over.
    fn tick(&mut self, outlet: &Outlet) -> Settled {
        let mut reducer = lock(outlet);
        let before = reducer.held();
        let reduced = reducer.step(&TelemetryData::default(), now_ns());
        let change = change(before, reducer.held());
        drop(reducer);
        let settled = self.put_reduced(outlet, &reduced, change);
        self.tell(outlet, |storage| storage.tick());
        settled
    }

    /// Stores open aggregates and syncs; says whether that went well.
    fn seal(&mut self, outlet: &Outlet) -> (Settled, bool) {
        let mut reducer = lock(outlet);
        let before = reducer.held();
        let reduced = reducer.finish();
        drop(reducer);
        let settled = self.put_reduced(outlet, &reduced, change(before, 0));
        (settled, self.tell(outlet, |storage| storage.sync()))
    }

    fn tell(
        &self,
        outlet: &Outlet,
        what: impl FnOnce(&dyn TelemetryStorage) -> Result<(), StorageError>,
    ) -> bool {
        let call = || what(&*outlet.storage).map_err(|error| error.to_string());
        let told = isolated(|| lane::storing(self.hub.id(), call));
        let told = told.unwrap_or_else(|| Err(PANICKED.to_owned()));
        let went_well = told.is_ok();
        outlet.note(told.err());
        went_well
    }

    fn put_reduced(&self, outlet: &Outlet, reduced: &Reduced, held: i64) -> Settled {
        let all = reduced.data.len();
        let records = if all == 0 { 0 } else { self.put(outlet, &reduced.data) };
        let ((delivered, aggregated), (plain, weight)) = (reduced.stored(records), reduced.stored(all));
        let storage_error = plain - delivered + weight - aggregated;
        Settled { delivered, sampled_out: reduced.sampled_out, aggregated, storage_error, held }
    }

    /// Stores, and says how many of the first records are stored.
    fn put(&self, outlet: &Outlet, data: &TelemetryData) -> usize {
        // An error may hold what the storage's author wrote, and ends where its call does.
        let call = || outlet.storage.store(data).map_err(|error| (error.stored, error.to_string()));
        match isolated(|| lane::storing(self.hub.id(), call)) {
            Some(Ok(())) => data.len(),
            Some(Err((stored, error))) => {
                outlet.note(Some(error));
                stored.min(data.len())
            }
            None => {
                outlet.note(Some(PANICKED.to_owned()));
                0
            }
        }
    }
}

/// By how many records there are more.
fn change(before: u64, after: u64) -> i64 {
    after as i64 - before as i64
}

const PANICKED: &str = "the storage panicked";

fn lock(outlet: &Outlet) -> MutexGuard<'_, Reducer> {
    outlet.reducer().lock().unwrap_or_else(PoisonError::into_inner)
}

fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}
