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
    let shared = Arc::new(Shared::new(
        Arc::new(exporter.clone()),
        settings,
        2,
        counters,
        (health.clone(), "scripted".to_owned()),
    ));
    let drive = shared.state().drive.clone();
    consume(&shared, &drive);
    ExporterQueue { shared }
}

fn consume(shared: &Arc<Shared>, drive: &Arc<Drive>) {
    (0..drive.consumers()).for_each(|i| drop(tokio::spawn(consumer::run(shared.clone(), drive.clone(), i))));
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
        let idle_since_ns = health.problems().remove("scripted").and_then(|problem| problem.idle_since_ns);
        assert!(idle_since_ns.is_some(), "nothing is left that could fail");
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

/// The queue and what it holds stay when another exporter takes over: what is being sent is finished by the one before, what
/// waits, waits for the new one, and new bounds hold at once.
#[test]
fn what_a_queue_holds_is_sent_by_the_exporter_that_takes_over() {
    let (old, new) = (Scripted::default(), Scripted::default());
    *old.script.lock().unwrap() = vec![Answer::TakeSlowly(4_000), Answer::Busy(Some(60_000))].into();
    let (ledger, health) = (Ledger::new(), Health::new());
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let narrow = ExporterSettings {
            consumers: 2,
            bounds: Bounds { items: 2, sizer: Sizer::Requests, bytes: u64::MAX },
            acknowledge: Acknowledge::Exported,
            ..ExporterSettings::default()
        };
        let queue = start(&old, narrow, &ledger, &health);
        let offer = || {
            let (receipt, item) = item(1);
            queue.offer(item, 0, clock::now_ns());
            receipt
        };
        let receipts = [offer(), offer()];
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(matches!(offer().await, Outcome::Retry { overloaded: true, .. }), "it is full");
        assert!(health.worst().is_some());
        let wide = ExporterSettings { bounds: Bounds { items: 9, ..narrow.bounds }, ..narrow };
        let began = Instant::now();
        let drive = queue.shared.replace(Arc::new(new.clone()), wide);
        consume(&queue.shared, &drive);
        assert_eq!(health.worst(), None, "what was wrong with the one before");
        for receipt in [offer(), offer()].into_iter().chain(receipts) {
            assert_eq!(receipt.await, Outcome::DELIVERED);
        }
        assert!(
            began.elapsed() <= Duration::from_secs(4),
            "nobody waits for the minute that the old one asked for"
        );
        let drained = queue.drain(Instant::now() + Duration::from_secs(1)).await;
        assert!(drained.is_empty(), "{drained}");
    });
    let stats = ledger.stats();
    stats.check().unwrap();
    assert_eq!((stats.exporters[0].delivered, stats.exporters[0].refused), (4, 1));
    assert_eq!((old.taken.load(Ordering::SeqCst), new.taken.load(Ordering::SeqCst)), (1, 3));
}

/// Who waited for room gets what wider bounds allow, and a consumer to be sent by.
#[test]
fn wider_bounds_let_in_who_waits() {
    let old = Scripted::default();
    *old.script.lock().unwrap() = vec![Answer::Hang].into();
    let (ledger, health) = (Ledger::new(), Health::new());
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let narrow = ExporterSettings { policy: Policy::Block, ..ExporterSettings::direct(1) };
        let queue = start(&old, narrow, &ledger, &health);
        let receipts: Vec<Receipt> = (0..2)
            .map(|_| {
                let (receipt, item) = item(1);
                queue.offer(item, 0, clock::now_ns());
                receipt
            })
            .collect();
        let mut receipts = receipts.into_iter();
        let (_hangs, waits) = (receipts.next(), receipts.next().unwrap());
        tokio::time::sleep(Duration::from_millis(10)).await;
        let wide = ExporterSettings { policy: Policy::Block, ..ExporterSettings::direct(2) };
        let drive = queue.shared.replace(Arc::new(Scripted::default()), wide);
        consume(&queue.shared, &drive);
        let answered = tokio::time::timeout(Duration::from_secs(1), waits).await;
        assert_eq!(answered.unwrap(), Outcome::DELIVERED);
        queue.drain(Instant::now()).await;
    });
    ledger.stats().check().unwrap();
}

/// What is wrong with a queue after its items, one a minute, were answered like this, and how many answers were timed.
fn health_after(
    items: usize,
    answers: &[Answer],
    retry: RetrySettings,
) -> (Option<crate::health::Problem>, u64) {
    let exporter = Scripted::default();
    *exporter.script.lock().unwrap() = answers.iter().cloned().collect();
    let (ledger, health) = (Ledger::new(), Health::new());
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let settings = ExporterSettings { retry, ..ExporterSettings::default() };
        let queue = start(&exporter, settings, &ledger, &health);
        for _ in 0..items {
            queue.offer(item(5).1, 0, clock::now_ns());
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        let problem = health.problems().remove("scripted");
        queue.drain(Instant::now()).await;
        (problem, ledger.senders()[0].latency.count())
    })
}

#[test]
fn an_exporter_that_failed_is_well_after_a_success_only() {
    let retry = RetrySettings::default();
    assert_eq!(health_after(1, &[Answer::Refuse], retry), (None, 1), "one that refuses is not unwell");
    assert_eq!(health_after(1, &[Answer::Busy(None)], retry), (None, 1), "it was taken at last");
    let (problem, timed) = health_after(1, &[Answer::Busy(None), Answer::Refuse], retry);
    assert!(problem.unwrap().idle_since_ns.is_some() && timed == 1, "nothing was taken, and nothing waits");
    let never = RetrySettings { enabled: false, ..retry };
    let (problem, timed) = health_after(1, &[Answer::Broken], never);
    assert!(problem.unwrap().idle_since_ns.is_some(), "what was lost shows nothing of how it is now");
    assert_eq!(timed, 0, "nobody answered");
    let (problem, timed) = health_after(2, &[Answer::Broken, Answer::Broken], never);
    assert!(problem.unwrap().idle_since_ns.is_some() && timed == 0);
    assert_eq!(health_after(2, &[Answer::Broken], never), (None, 1));
    let (problem, timed) = health_after(1, &vec![Answer::Broken; 99], retry);
    assert!(problem.unwrap().idle_since_ns.is_none() && timed == 0, "an item waits for it");
}

/// An item that is given up is its sender's again where the sender waits for this exporter alone.
#[test]
fn what_is_given_up_is_lost_unless_its_sender_is_told() {
    let retry = RetrySettings { enabled: false, ..RetrySettings::default() };
    for (acknowledge, copies, handed_back) in
        [(Acknowledge::Accepted, 1, 0), (Acknowledge::Exported, 1, 5), (Acknowledge::Exported, 2, 0)]
    {
        let exporter = Scripted::default();
        *exporter.script.lock().unwrap() = vec![Answer::Broken, Answer::Refuse, Answer::Reject(2)].into();
        let (ledger, health) = (Ledger::new(), Health::new());
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let settings =
                ExporterSettings { retry, acknowledge, consumers: 1, ..ExporterSettings::default() };
            let queue = start(&exporter, settings, &ledger, &health);
            for _ in 0..3 {
                let mut of_many = item(5).1.fan_out(copies);
                queue.offer(of_many.remove(0), 0, clock::now_ns());
                of_many.into_iter().for_each(|other| other.resolve(Outcome::DELIVERED));
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            queue.drain(Instant::now()).await;
        });
        let row = &ledger.stats().exporters[0];
        assert_eq!((row.dropped_total(), row.handed_back, row.lost()), (5, handed_back, 5 - handed_back));
        assert_eq!((row.rejected_total(), row.refused_whole, row.delivered), (7, 5, 3));
    }
}

#[test]
fn a_queue_that_leaves_is_not_told_of() {
    let exporter = Scripted::default();
    *exporter.script.lock().unwrap() = vec![Answer::Busy(None); 99].into();
    let (ledger, health) = (Ledger::new(), Health::new());
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let queue = start(&exporter, ExporterSettings::default(), &ledger, &health);
        queue.offer(item(5).1, 0, clock::now_ns());
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert!(health.worst().is_some());
        queue.leave();
        assert_eq!(health.worst(), None);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(health.worst(), None, "it fails on, and is gone");
        queue.drain(Instant::now()).await;
    });
}

/// Four minutes of failures of the one before do not count against the one that takes over.
#[test]
fn the_time_of_attempts_begins_anew_with_another_exporter() {
    let (old, new) = (Scripted::default(), Scripted::default());
    *old.script.lock().unwrap() = vec![Answer::Busy(None); 99].into();
    *new.script.lock().unwrap() = vec![Answer::Busy(None); 5].into();
    let (ledger, health) = (Ledger::new(), Health::new());
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let queue = start(&old, exported(), &ledger, &health);
        let (receipt, item) = item(5);
        queue.offer(item, 0, clock::now_ns());
        tokio::time::sleep(Duration::from_secs(230)).await;
        let drive = queue.shared.replace(Arc::new(new.clone()), exported());
        consume(&queue.shared, &drive);
        assert_eq!(receipt.await, Outcome::DELIVERED);
        queue.drain(Instant::now()).await;
    });
    assert_eq!(ledger.stats().exporters[0].dropped_total(), 0);
}
