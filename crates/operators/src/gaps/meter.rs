//! What is remembered of senders.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use otlp::{
    Batch, Signal,
    view::{Attributes, ValueView},
};

use super::{GapSettings, Seen, sequence::Sequence};
use crate::limits::GAP_HOST_BYTES;

/// What all shards count together. Clones are the same.
#[derive(Clone, Debug)]
pub struct GapMeter(Arc<Mutex<Senders>>);

/// What a [`GapMeter`] knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GapStats {
    /// One row for each host, process and thread, in this order.
    pub rows: Vec<GapRow>,
    /// Rows that are gone because all their senders were forgotten, taken together.
    pub forgotten: Seen,
    /// How many senders were forgotten.
    pub forgotten_senders: u64,
    /// Records without such numbers: they are not from a collector.
    pub unnumbered: u64,
}

/// What is known of one thread of a process, of all collectors that were there, those that were forgotten included. But for what is missing,
/// no count falls while the row is there; a row that comes back after it was gone begins anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GapRow {
    /// `host.name`.
    pub host: String,
    /// `process.pid`.
    pub pid: u64,
    /// `aldis.lane`.
    pub lane: u64,
    /// What came of it.
    pub counts: Seen,
}

#[derive(Debug)]
struct Senders {
    settings: GapSettings,
    by_name: HashMap<Sender, Known>,
    /// Every row of which a sender is known.
    rows: HashMap<RowName, Row>,
    /// Numbers that came.
    notes: u64,
    forgotten: Seen,
    forgotten_senders: u64,
    unnumbered: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Sender {
    row: RowName,
    epoch: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct RowName {
    host: Arc<str>,
    pid: u64,
    lane: u64,
}

#[derive(Debug, Default)]
struct Row {
    /// What came of its senders that were forgotten: what is counted of a row does not fall while it is there.
    past: Seen,
    /// How many of its senders are known.
    senders: usize,
}

#[derive(Debug)]
struct Known {
    sequence: Sequence,
    /// How many numbers had come when something of it came last: no two are the same.
    heard: u64,
}

impl GapMeter {
    /// One that has seen nothing.
    pub fn new(settings: GapSettings) -> Self {
        let settings = GapSettings { max_senders: settings.max_senders.max(16) };
        let (by_name, rows, forgotten) = (HashMap::new(), HashMap::new(), Seen::default());
        let senders =
            Senders { settings, by_name, rows, notes: 0, forgotten, forgotten_senders: 0, unnumbered: 0 };
        Self(Arc::new(Mutex::new(senders)))
    }

    /// What is known now.
    pub fn stats(&self) -> GapStats {
        let senders = self.lock();
        let mut rows: BTreeMap<&RowName, Seen> =
            senders.rows.iter().map(|(name, row)| (name, row.past)).collect();
        for (sender, known) in &senders.by_name {
            *rows.entry(&sender.row).or_default() += known.sequence.seen();
        }
        let row = |(RowName { host, pid, lane }, counts): (&RowName, Seen)| {
            let (host, pid, lane) = (host.as_ref().to_owned(), *pid, *lane);
            GapRow { host, pid, lane, counts }
        };
        let rows = rows.into_iter().map(row).collect();
        let Senders { forgotten, forgotten_senders, unnumbered, .. } = *senders;
        GapStats { rows, forgotten, forgotten_senders, unnumbered }
    }

    /// Notes the numbers of a batch of log records or data points.
    pub(super) fn look(&self, batch: &Batch) {
        let mut senders = self.lock();
        let mut host: Arc<str> = Arc::default();
        for i in (0..batch.counts().records as usize).filter(|i| batch.is_kept(*i)) {
            match batch.signal() {
                Signal::Logs => {
                    let numbers = Said::default().read(batch.log(i).attributes()).numbers();
                    senders.note_record(numbers.into_iter(), &mut host);
                }
                Signal::Metrics => {
                    let point = batch.point(i);
                    let of_point = Said::default().read(point.attributes());
                    // One that was made of several has an exemplar of each.
                    let exemplars = point.exemplars().map(|exemplar| exemplar.filtered_attributes());
                    senders.note_record(exemplars.filter_map(|own| of_point.read(own).numbers()), &mut host);
                }
                Signal::Traces | Signal::Profiles => return,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Senders> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Senders {
    /// Notes what a record says, if it says anything.
    fn note_record<'a>(&mut self, all: impl Iterator<Item = Numbers<'a>>, host: &mut Arc<str>) {
        let mut is_numbered = false;
        for Numbers { host: name, pid, epoch, lane, seq } in all {
            is_numbered = true;
            // As good as always the records of a request are of one host.
            if **host != *name {
                *host = name.into();
            }
            self.note(Sender { row: RowName { host: host.clone(), pid, lane }, epoch }, seq);
        }
        self.unnumbered += u64::from(!is_numbered);
    }

    fn note(&mut self, sender: Sender, seq: u64) {
        self.notes += 1;
        let heard = self.notes;
        match self.by_name.get_mut(&sender) {
            Some(known) => {
                known.sequence.note(seq);
                known.heard = heard;
            }
            None => {
                if self.by_name.len() >= self.settings.max_senders {
                    self.forget();
                }
                self.rows.entry(sender.row.clone()).or_default().senders += 1;
                self.by_name.insert(sender, Known { sequence: Sequence::new(seq), heard });
            }
        }
    }

    /// Forgets the eighth that was silent longest, so that who floods it with senders does not make it look for one each time.
    fn forget(&mut self) {
        let mut heard: Vec<u64> = self.by_name.values().map(|known| known.heard).collect();
        let eighth = heard.len() / 8;
        let (_, since, _) = heard.select_nth_unstable(eighth);
        let Self { by_name, rows, forgotten, forgotten_senders, .. } = self;
        by_name.retain(|sender, known| {
            if known.heard >= *since {
                return true;
            }
            *forgotten_senders += 1;
            if let Entry::Occupied(mut row) = rows.entry(sender.row.clone()) {
                row.get_mut().past += known.sequence.seen();
                row.get_mut().senders -= 1;
                if row.get().senders == 0 {
                    *forgotten += row.remove().past;
                }
            }
            false
        });
    }
}

/// What attributes say of where a record comes from.
#[derive(Clone, Copy, Default)]
struct Said<'a> {
    host: &'a str,
    pid: Option<u64>,
    epoch: Option<u64>,
    lane: Option<u64>,
    seq: Option<u64>,
    /// No collector says such a number.
    is_odd: bool,
}

/// A number, and where it comes from.
struct Numbers<'a> {
    host: &'a str,
    pid: u64,
    epoch: u64,
    lane: u64,
    seq: u64,
}

impl<'a> Said<'a> {
    /// What these say, too.
    fn read(mut self, attributes: Attributes<'a>) -> Self {
        for (key, value) in attributes {
            let place = match key {
                "host.name" => {
                    if let ValueView::String(name) = value
                        && name.len() <= GAP_HOST_BYTES
                    {
                        self.host = name;
                    }
                    continue;
                }
                "process.pid" => &mut self.pid,
                "aldis.epoch" => &mut self.epoch,
                "aldis.lane" => &mut self.lane,
                "aldis.seq" => &mut self.seq,
                _ => continue,
            };
            if let ValueView::Int(number) = value {
                *place = u64::try_from(number).ok();
                self.is_odd |= place.is_none();
            }
        }
        self
    }

    /// `None`: it has no number, or says something that no collector says.
    fn numbers(self) -> Option<Numbers<'a>> {
        let Self { host, pid, epoch, lane, seq, is_odd } = self;
        let (pid, epoch) = (pid.unwrap_or_default(), epoch.unwrap_or_default());
        let numbers = Numbers { host, pid, epoch, lane: lane?, seq: seq.filter(|seq| *seq > 0)? };
        (!is_odd).then_some(numbers)
    }
}
