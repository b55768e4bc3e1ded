use std::collections::{BTreeMap, BTreeSet};

use otlp::{
    Depth, LogRecord, Signal,
    event::{AttributeValue, Exemplar, Metric, MetricData, Number, RequestBuilder},
};
use proptest::prelude::*;

use super::*;
use crate::limits::GAP_WINDOW;

fn record(host: &str, numbers: [(&str, i64); 4]) -> LogRecord {
    let text = ("host.name".to_owned(), AttributeValue::String(host.to_owned()));
    let numbers = numbers.map(|(key, number)| (key.to_owned(), AttributeValue::Int(number)));
    LogRecord { attributes: [text].into_iter().chain(numbers).collect(), ..LogRecord::default() }
}

fn numbered(host: &str, pid: i64, epoch: i64, lane: i64, seq: i64) -> LogRecord {
    let numbers = [("process.pid", pid), ("aldis.epoch", epoch), ("aldis.lane", lane), ("aldis.seq", seq)];
    record(host, numbers)
}

fn batch(records: &[LogRecord]) -> Batch {
    let mut request = RequestBuilder::new(Signal::Logs, Depth::Records);
    records.iter().for_each(|record| request.push_log(record).unwrap());
    request.finish()
}

fn step(gaps: &mut Gaps, records: &[LogRecord]) {
    let mut out = Output::default();
    gaps.step(batch(records), &StepContext::default(), &mut out);
    assert_eq!(out.accounted(), records.len() as u64);
}

fn exemplar(numbers: [(&str, i64); 3]) -> Exemplar {
    let attributes = numbers.map(|(key, number)| (key.to_owned(), AttributeValue::Int(number))).to_vec();
    Exemplar { value: Number::Int(1), time_ns: 1, trace_id: None, span_id: None, attributes }
}

/// A data point that was made of measurements with these numbers.
fn point(pid: i64, epoch: i64, lane: i64, seqs: &[i64]) -> Metric {
    let of = |seq: &i64| exemplar([("aldis.epoch", epoch), ("aldis.lane", lane), ("aldis.seq", *seq)]);
    Metric {
        data: MetricData::Gauge(Number::Int(1)),
        attributes: vec![
            ("host.name".to_owned(), AttributeValue::String("a".to_owned())),
            ("process.pid".to_owned(), AttributeValue::Int(pid)),
        ],
        exemplars: seqs.iter().map(of).collect(),
        ..Metric::default()
    }
}

fn step_points(gaps: &mut Gaps, points: &[Metric]) {
    let mut request = RequestBuilder::new(Signal::Metrics, Depth::Records);
    points.iter().for_each(|point| request.push_metric(point).unwrap());
    let mut out = Output::default();
    gaps.step(request.finish(), &StepContext::default(), &mut out);
    assert_eq!(out.accounted(), points.len() as u64);
}

#[test]
fn metrics_are_counted_by_what_their_exemplars_say() {
    let meter = GapMeter::new(GapSettings::default());
    let mut gaps = Gaps::new(&meter);
    let of_others =
        Metric { exemplars: vec![exemplar([("a", 1), ("b", 2), ("c", 3)])], ..point(1, 9, 1, &[]) };
    step_points(&mut gaps, &[point(1, 9, 1, &[1]), point(1, 9, 1, &[4, 6, 4]), point(1, 9, 2, &[3])]);
    step_points(&mut gaps, &[point(1, 10, 1, &[1]), of_others, point(1, 9, 1, &[])]);
    let row = |lane, [received, missing, duplicates, before_first]: [u64; 4]| {
        let counts = Seen { received, missing, before_first, duplicates, late: 0 };
        GapRow { host: "a".to_owned(), pid: 1, lane, counts }
    };
    let rows = vec![row(1, [4, 3, 1, 0]), row(2, [1, 0, 0, 2])];
    assert_eq!(meter.stats(), GapStats { rows, unnumbered: 2, ..GapStats::default() });
}

#[test]
fn senders_are_told_apart_by_host_process_epoch_and_thread() {
    let meter = GapMeter::new(GapSettings::default());
    let (mut one, mut other) = (Gaps::new(&meter), Gaps::new(&meter));
    // Two shards, out of order, and one that came twice.
    step(&mut one, &[numbered("a", 1, 9, 1, 1), numbered("a", 1, 9, 1, 4), numbered("b", 1, 9, 1, 1)]);
    step(&mut other, &[numbered("a", 1, 9, 1, 2), numbered("a", 1, 9, 2, 7), numbered("a", 1, 9, 1, 4)]);
    // The process was started anew under the same number, and begins to count anew.
    step(&mut one, &[numbered("a", 1, 10, 1, 1), numbered("a", 1, 10, 1, 3)]);
    step(&mut one, &[LogRecord::default(), numbered("a", 1, 9, 1, 0), numbered("a", -1, 9, 1, 5)]);
    let row = |host: &str, lane, [received, missing, duplicates, before_first]: [u64; 4]| {
        let counts = Seen { received, missing, before_first, duplicates, late: 0 };
        GapRow { host: host.to_owned(), pid: 1, lane, counts }
    };
    let rows = vec![row("a", 1, [5, 2, 1, 0]), row("a", 2, [1, 0, 0, 6]), row("b", 1, [1, 0, 0, 0])];
    assert_eq!(meter.stats(), GapStats { rows, unnumbered: 3, ..GapStats::default() });
}

#[test]
fn what_is_forgotten_is_the_silent_and_its_counts_stay() {
    let meter = GapMeter::new(GapSettings { max_senders: 16 });
    let mut gaps = Gaps::new(&meter);
    for pid in 0..1000 {
        // The first speaks all the time, all lose one of three.
        step(&mut gaps, &[numbered("a", 1_000_000, 1, 1, 2 * pid + 1)]);
        step(&mut gaps, &[numbered("a", pid, 1, 1, 1), numbered("a", pid, 1, 1, 3)]);
        assert!(meter.stats().rows.len() <= 16);
    }
    let stats = meter.stats();
    let talker = stats.rows.last().unwrap();
    assert_eq!((talker.pid, talker.counts.received, talker.counts.missing), (1_000_000, 1000, 999));
    let rows = stats.rows.len() as u64;
    assert_eq!(stats.forgotten_senders, 1001 - rows);
    assert_eq!((stats.forgotten.received, stats.forgotten.missing), (2 * (1001 - rows), 1001 - rows));
}

#[test]
fn what_was_lost_before_anything_came_is_told_and_taken_back_when_it_comes() {
    let meter = GapMeter::new(GapSettings::default());
    let mut gaps = Gaps::new(&meter);
    let mut after = |seqs: &[i64]| {
        step(&mut gaps, &seqs.iter().map(|seq| numbered("a", 1, 1, 1, *seq)).collect::<Vec<_>>());
        let Seen { missing, before_first, .. } = meter.stats().rows[0].counts;
        (missing, before_first)
    };
    assert_eq!(after(&[10_000, 10_001]), (0, 9_999));
    assert_eq!(after(&[10_004]), (2, 9_999));
    // Out of order, and later than the window.
    assert_eq!(after(&[9_990]), (11, 9_989));
    assert_eq!(after(&[2]), (9_998, 1));
    assert_eq!(after(&[1]), (9_998, 0));
}

#[test]
fn the_largest_numbers_are_no_trouble() {
    let meter = GapMeter::new(GapSettings::default());
    let mut gaps = Gaps::new(&meter);
    step(&mut gaps, &[numbered("a", 1, 1, 1, 1), numbered("a", 1, 1, 1, i64::MAX)]);
    assert_eq!(meter.stats().rows[0].counts.missing, i64::MAX as u64 - 2);
}

#[test]
fn an_old_number_that_comes_again_takes_nothing_off_what_is_missing() {
    let meter = GapMeter::new(GapSettings::default());
    let mut gaps = Gaps::new(&meter);
    step(&mut gaps, &[1, 2, 4, 9000, 9001].map(|seq| numbered("a", 1, 1, 1, seq)));
    let missing = meter.stats().rows[0].counts.missing;
    assert_eq!(missing, 9001 - 5);
    step(&mut gaps, &[1, 2, 4, 4, 2].map(|seq| numbered("a", 1, 1, 1, seq)));
    // The first can be no other; of the others it is not known.
    let counts = meter.stats().rows[0].counts;
    assert_eq!(counts, Seen { received: 5, missing, duplicates: 1, late: 4, ..Seen::default() });
    // Where nothing was missing it can.
    step(&mut gaps, &(1..=5000).map(|seq| numbered("a", 2, 1, 1, seq)).collect::<Vec<_>>());
    step(&mut gaps, &[1, 2, 900, 904].map(|seq| numbered("a", 2, 1, 1, seq)));
    assert_eq!(meter.stats().rows[1].counts, Seen { received: 5000, duplicates: 4, ..Seen::default() });
}

#[test]
fn what_is_counted_of_a_thread_never_falls_while_it_is_known() {
    let meter = GapMeter::new(GapSettings { max_senders: 16 });
    let mut gaps = Gaps::new(&meter);
    let mut before = 0;
    // One process number and thread, of which each epoch is forgotten some time after the next has begun.
    for epoch in 1..200 {
        step(&mut gaps, &[1, 3, 3].map(|seq| numbered("a", 1, epoch, 1, seq)));
        let counts = meter.stats().rows[0].counts;
        assert!(counts.received >= before + 2, "{counts:?} after {before}");
        before = counts.received;
    }
    assert_eq!(meter.stats().rows[0].counts.missing, 199);
}

#[test]
fn the_longest_silent_is_forgotten_first_though_many_were_heard_at_once() {
    for _ in 0..50 {
        let meter = GapMeter::new(GapSettings { max_senders: 16 });
        let mut gaps = Gaps::new(&meter);
        step(&mut gaps, &[numbered("a", 1, 1, 1, 1)]);
        let others: Vec<LogRecord> = (2..=16).map(|pid| numbered("a", pid, 1, 1, 1)).collect();
        step(&mut gaps, &others);
        step(&mut gaps, &[numbered("a", 17, 1, 1, 1)]);
        let left: Vec<u64> = meter.stats().rows.iter().map(|row| row.pid).collect();
        assert_eq!(left, (3..=17).collect::<Vec<u64>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against a set: in whatever order numbers come, as long as none is later than the window.
    #[test]
    fn numbers_are_counted_like_those_of_a_set(seqs in prop::collection::vec(1_i64..3000, 1..400), cut in 1..50_usize) {
        let meter = GapMeter::new(GapSettings::default());
        let mut shards = [Gaps::new(&meter), Gaps::new(&meter)];
        for (i, part) in seqs.chunks(cut).enumerate() {
            let records: Vec<LogRecord> = part.iter().map(|seq| numbered("a", 1, 1, 1, *seq)).collect();
            step(&mut shards[i % 2], &records);
        }
        let set: BTreeSet<i64> = seqs.iter().copied().collect();
        let span = (set.last().unwrap() - set.first().unwrap() + 1) as u64;
        let received = set.len() as u64;
        let duplicates = (seqs.len() - set.len()) as u64;
        let before_first = *set.first().unwrap() as u64 - 1;
        let counts = Seen { received, missing: span - received, before_first, duplicates, late: 0 };
        prop_assert_eq!(meter.stats().rows[0].counts, counts);
    }

    /// Numbers that rise with gaps, beyond the window: nothing is late, all is exact.
    #[test]
    fn gaps_of_any_width_are_counted(steps in prop::collection::vec(prop_oneof![4 => 1_u64..4, 1 => 1_u64..20_000], 1..300)) {
        let mut seq = 1;
        let mut sequence = sequence::Sequence::new(seq);
        for step in &steps {
            seq += step;
            sequence.note(seq);
        }
        let received = steps.len() as u64 + 1;
        prop_assert_eq!(sequence.seen(), Seen { received, missing: seq - received, ..Seen::default() });
    }
}

/// A sender's host is always the same: process, epoch, thread.
type Name = (i64, i64, i64);

/// What must be counted, by its definition: everything that came is kept.
#[derive(Default)]
struct Oracle {
    /// What came from each sender since it was last forgotten; the one that was silent longest is the first.
    lives: Vec<(Name, Vec<u64>)>,
    /// What came from senders that were forgotten, by process and thread, while others of the same are known.
    past: BTreeMap<(i64, i64), Vec<Vec<u64>>>,
    gone: Vec<Vec<u64>>,
    forgotten: u64,
}

impl Oracle {
    fn note(&mut self, name: Name, seq: u64) {
        let at = self.lives.iter().position(|(other, _)| *other == name);
        let mut life = match at {
            Some(at) => self.lives.remove(at),
            None => {
                if self.lives.len() == 16 {
                    self.forget();
                    self.forget();
                }
                (name, Vec::new())
            }
        };
        life.1.push(seq);
        self.lives.push(life);
    }

    fn forget(&mut self) {
        let ((pid, _, lane), life) = self.lives.remove(0);
        self.forgotten += 1;
        self.past.entry((pid, lane)).or_default().push(life);
        if !self.lives.iter().any(|((other, _, thread), _)| (*other, *thread) == (pid, lane)) {
            self.gone.extend(self.past.remove(&(pid, lane)).unwrap());
        }
    }

    fn rows(&self) -> BTreeMap<(i64, i64), Vec<&Vec<u64>>> {
        let mut rows: BTreeMap<(i64, i64), Vec<&Vec<u64>>> = BTreeMap::new();
        self.past.iter().for_each(|(row, lives)| rows.entry(*row).or_default().extend(lives));
        for ((pid, _, lane), life) in &self.lives {
            rows.entry((*pid, *lane)).or_default().push(life);
        }
        rows
    }
}

/// What is to be said of numbers in the order in which they came.
fn by_definition(came: &[u64]) -> Seen {
    let (mut known, mut seen) = (BTreeSet::new(), Seen::default());
    for seq in came {
        let last = known.last().copied().unwrap_or(0);
        let first = known.first().copied().unwrap_or(u64::MAX);
        let is_within = seq + GAP_WINDOW as u64 > last;
        // All that there are between the first and the window have come.
        let is_full = || (first..=last - GAP_WINDOW as u64).all(|old| known.contains(&old));
        match () {
            () if is_within && known.contains(seq) => seen.duplicates += 1,
            () if is_within || *seq < first => drop(known.insert(*seq)),
            () if *seq == first || is_full() => seen.duplicates += 1,
            () => seen.late += 1,
        }
    }
    seen.received = known.len() as u64;
    seen.before_first = known.first().unwrap() - 1;
    seen.missing = known.last().unwrap() - known.first().unwrap() + 1 - seen.received;
    let truth: BTreeSet<&u64> = came.iter().collect();
    let missing = *truth.last().unwrap() - *truth.first().unwrap() + 1 - truth.len() as u64;
    assert!((missing..=missing + seen.late).contains(&seen.missing), "{seen:?}, in truth {missing}");
    assert_eq!(seen.received + seen.duplicates + seen.late, came.len() as u64);
    seen
}

fn sum<'a>(lives: impl IntoIterator<Item = &'a Vec<u64>>) -> Seen {
    let mut sum = Seen::default();
    lives.into_iter().for_each(|life| sum += by_definition(life));
    sum
}

/// What a sender says next, after the highest number that it has said.
#[derive(Clone, Copy, Debug)]
enum Next {
    Ahead(u64),
    Back(u64),
}

fn nexts() -> impl Strategy<Value = Vec<(Name, Next)>> {
    let name = (1..4_i64, 1..5_i64, 1..3_i64);
    let next = prop_oneof![
        6 => (1..4_u64).prop_map(Next::Ahead),
        1 => (1..9000_u64).prop_map(Next::Ahead),
        3 => (0..8_u64).prop_map(Next::Back),
        1 => (4090..4100_u64).prop_map(Next::Back),
        1 => (0..30_000_u64).prop_map(Next::Back),
    ];
    prop::collection::vec((name, next), 1..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Duplicates, late numbers, restarts and senders that are forgotten, against a list of everything.
    #[test]
    fn what_is_counted_is_what_came(nexts in nexts(), cut in 1..20_usize, is_metrics: bool) {
        let meter = GapMeter::new(GapSettings { max_senders: 16 });
        let mut shards = [Gaps::new(&meter), Gaps::new(&meter)];
        let (mut oracle, mut highest, mut before) = (Oracle::default(), BTreeMap::new(), GapStats::default());
        for (i, part) in nexts.chunks(cut).enumerate() {
            let mut said = Vec::new();
            for (name, next) in part {
                let last = highest.entry(*name).or_insert(5000_u64);
                let seq = match next {
                    Next::Ahead(by) => *last + by,
                    Next::Back(by) => last.saturating_sub(*by).max(1),
                };
                *last = seq.max(*last);
                oracle.note(*name, seq);
                said.push((*name, seq as i64));
            }
            if is_metrics {
                let point = |((pid, epoch, lane), seq): &(Name, i64)| point(*pid, *epoch, *lane, &[*seq]);
                step_points(&mut shards[i % 2], &said.iter().map(point).collect::<Vec<_>>());
            } else {
                let log = |((pid, epoch, lane), seq): &(Name, i64)| numbered("a", *pid, *epoch, *lane, *seq);
                step(&mut shards[i % 2], &said.iter().map(log).collect::<Vec<_>>());
            }
            let stats = meter.stats();
            let rows: Vec<GapRow> = oracle.rows().into_iter().map(|((pid, lane), lives)| {
                GapRow { host: "a".to_owned(), pid: pid as u64, lane: lane as u64, counts: sum(lives) }
            }).collect();
            prop_assert_eq!(&stats.rows, &rows);
            prop_assert_eq!(stats.forgotten, sum(&oracle.gone));
            prop_assert_eq!(stats.forgotten_senders, oracle.forgotten);
            // Everything that came is counted once, and nothing falls while it is there.
            let all = |stats: &GapStats| {
                let counts = stats.rows.iter().map(|row| row.counts).chain([stats.forgotten]);
                counts.map(|seen| seen.received + seen.duplicates + seen.late).sum::<u64>()
            };
            prop_assert_eq!(all(&stats), all(&before) + part.len() as u64);
            prop_assert!(stats.forgotten.received >= before.forgotten.received);
            before = stats;
        }
    }
}
