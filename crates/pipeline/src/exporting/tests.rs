use std::{
    collections::VecDeque,
    sync::{Mutex, atomic::AtomicUsize},
};

use otlp::Signal;
use proptest::prelude::*;
use tokio::runtime::Builder;

use super::*;
use crate::{Receipt, Sender, Stats, batcher::tests::batch, clock, exporter::BoxFuture};

/// What a far side does with one send.
#[derive(Clone, Debug)]
enum Answer {
    Take,
    TakeSlowly(u64),
    Reject(u64),
    Busy(Option<u64>),
    Broken,
    Refuse,
    Panic,
    PanicAtOnce,
    Hang,
}

/// Answers by a script; takes everything once that is over.
#[derive(Clone, Default)]
struct Scripted {
    script: Arc<Mutex<VecDeque<Answer>>>,
    at_once: Arc<AtomicUsize>,
    most_at_once: Arc<AtomicUsize>,
    taken: Arc<AtomicUsize>,
}

impl Exporter for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }
    fn open(&self) -> Box<dyn Sender> {
        Box::new(self.clone())
    }
}

impl Sender for Scripted {
    fn send<'a>(&'a self, item: &'a Item) -> BoxFuture<'a, Outcome> {
        struct AtOnce<'a>(&'a AtomicUsize);
        impl Drop for AtOnce<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let answer = self.script.lock().unwrap().pop_front().unwrap_or(Answer::Take);
        assert!(!matches!(answer, Answer::PanicAtOnce), "on purpose");
        Box::pin(async move {
            let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_at_once.fetch_max(now, Ordering::SeqCst);
            let _at_once = AtOnce(&self.at_once);
            let retry = |after: Option<u64>, maybe_delivered| {
                let after = after.map(Duration::from_millis);
                Outcome::Retry { after, maybe_delivered, overloaded: false, reason: "503".to_owned() }
            };
            let records = item.batch.len();
            match answer {
                Answer::TakeSlowly(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
                Answer::Hang => std::future::pending().await,
                _ => tokio::task::yield_now().await,
            }
            match answer {
                Answer::Reject(n) => {
                    self.taken.fetch_add(records - (n as usize).min(records), Ordering::SeqCst);
                    Outcome::Delivered { rejected: n }
                }
                Answer::Busy(after) => retry(after, false),
                Answer::Broken => retry(None, true),
                Answer::Refuse => Outcome::Permanent { code: "400".into(), reason: "bad".to_owned() },
                Answer::Panic => panic!("on purpose"),
                _ => {
                    self.taken.fetch_add(records, Ordering::SeqCst);
                    Outcome::DELIVERED
                }
            }
        })
    }
}

/// The exporter's queue with its consumers on the current runtime, whose time a test can hold.
fn start(exporter: &Scripted, settings: ExporterSettings, ledger: &Ledger, health: &Health) -> ExporterQueue {
    let counters = ledger.exporter("scripted");
    let shared = Arc::new(Shared::new(Arc::new(exporter.clone()), settings, 2, counters, health.clone()));
    for i in 0..shared.consumers() {
        tokio::spawn(consumer::run(shared.clone(), i));
    }
    ExporterQueue { shared }
}

fn item(records: usize) -> (Receipt, Item) {
    let (receipt, share) = Receipt::new(records as u64);
    let mut item = Item::new(batch(0..records));
    item.context.shares.push(share);
    (receipt, item)
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        4 => Just(Answer::Take),
        2 => (1u64..9_000).prop_map(Answer::TakeSlowly),
        1 => (0u64..9).prop_map(Answer::Reject),
        2 => prop::option::of(1u64..60_000).prop_map(Answer::Busy),
        1 => Just(Answer::Broken),
        1 => Just(Answer::Refuse),
        1 => Just(Answer::Panic),
        1 => Just(Answer::PanicAtOnce),
        1 => Just(Answer::Hang),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![Just(Policy::Refuse), Just(Policy::DropOldest), Just(Policy::DropNewest), Just(Policy::Block)]
}

#[derive(Clone, Debug)]
struct Case {
    answers: Vec<Answer>,
    offers: Vec<(usize, u64)>,
    policy: Policy,
    items: u64,
    consumers: usize,
    acknowledge: Acknowledge,
    retries: bool,
    drain_ms: u64,
}

fn case() -> impl Strategy<Value = Case> {
    let load =
        (prop::collection::vec(answer(), 0..40), prop::collection::vec((1usize..9, 0u64..5_000), 1..30));
    let settings = (policy(), 1u64..8, 1usize..5, any::<bool>(), any::<bool>(), 0u64..400_000);
    (load, settings).prop_map(
        |((answers, offers), (policy, items, consumers, exported, retries, drain_ms))| Case {
            answers,
            offers,
            policy,
            items,
            consumers,
            acknowledge: if exported { Acknowledge::Exported } else { Acknowledge::Accepted },
            retries,
            drain_ms,
        },
    )
}

/// Runs a schedule with time held; afterwards nothing moves.
fn run(case: &Case, exporter: &Scripted) -> (Stats, Vec<(u64, Outcome)>, Undelivered) {
    let (ledger, health) = (Ledger::new(), Health::new());
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (told, left) = runtime.block_on(async {
        let bounds = Bounds { items: case.items, sizer: Sizer::Requests, bytes: 1 << 20 };
        let settings = ExporterSettings {
            consumers: case.consumers,
            bounds,
            policy: case.policy,
            acknowledge: case.acknowledge,
            retry: RetrySettings { enabled: case.retries, ..RetrySettings::default() },
            timeout: Duration::from_secs(5),
        };
        let queue = start(exporter, settings, &ledger, &health);
        let mut receipts = Vec::new();
        for (i, (records, pause_ms)) in case.offers.iter().enumerate() {
            let (receipt, item) = item(*records);
            queue.offer(item, i, clock::now_ns());
            receipts.push((*records as u64, receipt));
            tokio::time::sleep(Duration::from_millis(*pause_ms)).await;
        }
        let left = queue.drain(Instant::now() + Duration::from_millis(case.drain_ms)).await;
        let mut told = Vec::new();
        for (records, receipt) in receipts {
            told.push((records, receipt.await));
        }
        (told, left)
    });
    (ledger.stats(), told, left)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// Slow, failing, refusing, panicking and hanging far sides, any policy, overload, any deadline: every record is
    /// accounted for and everybody is told, the truth where they wait for it.
    #[test]
    fn every_record_is_accounted_for(case in case()) {
        let exporter = Scripted::default();
        *exporter.script.lock().unwrap() = case.answers.iter().cloned().collect();
        let (stats, told, left) = run(&case, &exporter);
        let forgotten = |(_, outcome): &(u64, Outcome)| format!("{outcome:?}").contains("without an outcome");
        prop_assert!(!told.iter().any(forgotten), "a share was dropped unresolved");
        prop_assert!(stats.check().is_ok(), "{}", stats.check().unwrap_err());
        let offered: u64 = case.offers.iter().map(|(records, _)| *records as u64).sum();
        let row = stats.exporter("scripted", Signal::Traces).unwrap();
        prop_assert_eq!(row.enqueued + row.refused, offered);
        prop_assert_eq!((row.queued, row.in_flight), (0, 0));
        prop_assert_eq!(row.delivered, exporter.taken.load(Ordering::SeqCst) as u64);
        let shutdown = row.dropped.iter().filter(|(cause, _)| &**cause == "shutdown").map(|(_, n)| n).sum::<u64>();
        prop_assert_eq!(left.left.iter().map(|(_, n)| n).sum::<u64>(), shutdown);
        prop_assert!(exporter.most_at_once.load(Ordering::SeqCst) <= case.consumers);
        if case.acknowledge == Acknowledge::Exported {
            let sum = |count: fn(&(u64, Outcome)) -> u64| told.iter().map(count).sum::<u64>();
            let delivered = sum(|(records, outcome)| match outcome {
                Outcome::Delivered { rejected } => records - rejected.min(records),
                _ => 0,
            });
            let permanent = sum(|(records, outcome)| match outcome {
                Outcome::Permanent { .. } => *records,
                _ => 0,
            });
            let retry = sum(|(records, outcome)| match outcome {
                Outcome::Retry { .. } => *records,
                _ => 0,
            });
            prop_assert_eq!(delivered, row.delivered);
            prop_assert!(permanent <= row.rejected_total());
            prop_assert_eq!(retry, row.dropped_total() + row.refused);
        }
    }
}

fn one(answers: &[Answer], settings: ExporterSettings) -> (Stats, Outcome, Health, Duration) {
    let exporter = Scripted::default();
    *exporter.script.lock().unwrap() = answers.iter().cloned().collect();
    let (ledger, health) = (Ledger::new(), Health::new());
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (outcome, took) = runtime.block_on(async {
        let began = Instant::now();
        let queue = start(&exporter, settings, &ledger, &health);
        let (receipt, item) = item(5);
        queue.offer(item, 0, clock::now_ns());
        let outcome = receipt.await;
        let took = began.elapsed();
        queue.drain(Instant::now() + Duration::from_secs(1_000)).await;
        (outcome, took)
    });
    let stats = ledger.stats();
    stats.check().unwrap();
    (stats, outcome, health, took)
}

fn exported() -> ExporterSettings {
    ExporterSettings { acknowledge: Acknowledge::Exported, ..ExporterSettings::default() }
}

#[test]
fn a_broken_connection_is_tried_again_and_counted_as_a_possible_duplicate() {
    let (stats, outcome, health, took) = one(&[Answer::Broken], exported());
    assert_eq!(outcome, Outcome::DELIVERED);
    assert_eq!(stats.exporters[0].maybe_duplicate, 5);
    assert_eq!(health.worst(), None);
    assert!(took >= Duration::from_millis(2_500) && took <= Duration::from_millis(7_510), "{took:?}");
}

#[test]
fn a_far_side_that_says_when_is_not_asked_before() {
    let (stats, outcome, _, took) = one(&[Answer::Busy(Some(60_000))], exported());
    assert_eq!(outcome, Outcome::DELIVERED);
    assert_eq!(stats.exporters[0].maybe_duplicate, 0);
    assert!(took >= Duration::from_secs(60));
}

#[test]
fn a_sender_that_hangs_or_panics_for_ever_is_given_up_in_time() {
    for answer in [Answer::Hang, Answer::Panic, Answer::PanicAtOnce] {
        let (stats, outcome, health, took) = one(&vec![answer.clone(); 200], exported());
        assert!(matches!(outcome, Outcome::Retry { maybe_delivered: true, .. }), "{answer:?}: {outcome:?}");
        assert_eq!(stats.exporters[0].dropped, [("max_elapsed_time".into(), 5)]);
        assert!(health.worst().is_some());
        assert!(took <= Duration::from_secs(305), "{took:?}");
    }
}

#[test]
fn accepted_is_told_before_anything_is_sent() {
    let (stats, outcome, _, took) = one(&[Answer::TakeSlowly(4_000)], ExporterSettings::default());
    assert_eq!((outcome, took), (Outcome::DELIVERED, Duration::ZERO));
    assert_eq!(stats.exporters[0].delivered, 5);
}

#[test]
fn without_a_queue_as_many_are_taken_as_are_sent_at_once() {
    let case = Case {
        answers: vec![Answer::TakeSlowly(1_000); 9],
        offers: vec![(1, 0); 9],
        policy: Policy::Refuse,
        items: ExporterSettings::direct(3).bounds.items,
        consumers: ExporterSettings::direct(3).consumers,
        acknowledge: ExporterSettings::direct(3).acknowledge,
        retries: true,
        drain_ms: 10_000,
    };
    let (stats, told, _) = run(
        &case,
        &Scripted { script: Arc::new(Mutex::new(case.answers.clone().into())), ..Scripted::default() },
    );
    assert_eq!((stats.exporters[0].delivered, stats.exporters[0].refused), (3, 6));
    assert_eq!(told.iter().filter(|(_, outcome)| *outcome == Outcome::DELIVERED).count(), 3);
}

#[test]
fn what_is_refused_for_good_is_counted_by_code() {
    for (answer, code, rejected) in
        [(Answer::Refuse, "400", 5), (Answer::Reject(3), "partial_success", 3), (Answer::Take, "", 0)]
    {
        let (stats, ..) = one(&[answer], exported());
        let row = &stats.exporters[0];
        let by_code = row.rejected.iter().map(|(code, n)| (&**code, *n)).collect::<Vec<_>>();
        assert_eq!(by_code, [(code, rejected)][..usize::from(rejected > 0)]);
        assert_eq!((row.delivered, row.rejected_total()), (5 - rejected, rejected));
    }
}

#[test]
fn codes_without_number_are_counted_together() {
    let ledger = Ledger::new();
    let counters = ledger.exporter("many");
    let row = counters.row(Signal::Traces);
    row.enqueued.add(1000);
    (0..1000).for_each(|code| row.rejected.add(&code.to_string(), 1));
    let stats = ledger.stats();
    let rejected = &stats.exporters[0].rejected;
    assert_eq!(rejected.len(), crate::limits::MAX_REJECTED_CODES + 1);
    assert_eq!(stats.exporters[0].rejected_total(), 1000);
    stats.check().unwrap();
}

#[test]
fn a_full_queue_and_one_that_ends_say_different_things() {
    let exporter = Scripted::default();
    *exporter.script.lock().unwrap() = vec![Answer::Hang; 4].into();
    let (ledger, health) = (Ledger::new(), Health::new());
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let queue = start(&exporter, ExporterSettings::direct(1), &ledger, &health);
        let offer = |queue: &ExporterQueue| {
            let (receipt, item) = item(1);
            queue.offer(item, 0, clock::now_ns());
            receipt
        };
        let first = offer(&queue);
        let refused = offer(&queue).await;
        assert!(matches!(refused, Outcome::Retry { overloaded: true, after: Some(_), .. }), "{refused:?}");
        queue.drain(Instant::now()).await;
        for ended in [first.await, offer(&queue).await] {
            assert!(matches!(ended, Outcome::Retry { overloaded: false, .. }), "{ended:?}");
        }
    });
}
