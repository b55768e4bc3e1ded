//! Producers, consumers and a shutdown in every order.

use std::sync::Mutex as Quiet;

use loom::thread;
use otlp::Signal;

use super::*;
use crate::{
    Receipt, Sender,
    batcher::tests::batch,
    clock,
    exporter::BoxFuture,
    sync::model::{block_on, check, spawn},
};

/// What the far side does, send by send; then it takes everything.
#[derive(Clone, Default)]
struct FarSide {
    answers: Arc<Quiet<Vec<Answer>>>,
    meeting: Arc<Meeting>,
}

#[derive(Clone)]
enum Answer {
    Say(Outcome),
    /// It never answers.
    Hang,
    /// It answers once this many sends are on their way.
    Meet(usize),
}

#[derive(Default)]
struct Meeting {
    there: Mutex<usize>,
    changed: Notify,
}

impl Meeting {
    async fn of(&self, number: usize) {
        *self.there.lock().unwrap() += 1;
        self.changed.notify_waiters();
        loop {
            let changed = self.changed.notified();
            if *self.there.lock().unwrap() >= number {
                return;
            }
            changed.await;
        }
    }
}

impl Exporter for FarSide {
    fn name(&self) -> &str {
        "far"
    }

    fn open(&self) -> Box<dyn Sender> {
        Box::new(self.clone())
    }
}

impl Sender for FarSide {
    fn send<'a>(&'a self, _item: &'a Item) -> BoxFuture<'a, Outcome> {
        let answer = self.answers.lock().unwrap().pop();
        Box::pin(async move {
            match answer {
                Some(Answer::Say(outcome)) => return outcome,
                Some(Answer::Hang) => std::future::pending().await,
                Some(Answer::Meet(number)) => self.meeting.of(number).await,
                None => {}
            }
            Outcome::DELIVERED
        })
    }
}

/// An exporter whose consumers have threads of their own.
struct World {
    queue: ExporterQueue,
    ledger: Ledger,
    consumers: Vec<thread::JoinHandle<()>>,
}

impl World {
    /// `answers` are given last to first.
    fn new(answers: &[Answer], settings: ExporterSettings) -> Self {
        let ledger = Ledger::new();
        let far = FarSide { answers: Arc::new(Quiet::new(answers.to_vec())), ..FarSide::default() };
        let (queue, consumers) = start(far, settings, &ledger);
        Self { queue, ledger, consumers }
    }

    /// Offers an item from the calling thread.
    fn offer(&self, records: usize) -> Receipt {
        offer(&self.queue, records)
    }

    /// Drains to the end; every consumer must end, and every record must be in the books. Returns what was delivered
    /// and what was not.
    fn end(self, deadline: Instant) -> (u64, u64) {
        let undelivered = block_on(self.queue.drain(deadline));
        self.consumers.into_iter().for_each(|consumer| consumer.join().unwrap());
        let stats = self.ledger.stats();
        stats.check().unwrap();
        let row = stats.exporter("far", Signal::Traces).unwrap();
        assert_eq!((row.queued, row.in_flight), (0, 0));
        (row.delivered, undelivered.left.iter().map(|(_, records)| records).sum())
    }
}

fn start(
    far: FarSide,
    settings: ExporterSettings,
    ledger: &Ledger,
) -> (ExporterQueue, Vec<thread::JoinHandle<()>>) {
    let counters = ledger.exporter(far.name());
    let shared =
        Arc::new(Shared::new(Arc::new(far), settings, 1, counters, (Health::new(), "scripted".to_owned())));
    let drive = shared.state().drive.clone();
    let consumers = consumers(&shared, &drive);
    (ExporterQueue { shared }, consumers)
}

fn consumers(shared: &Arc<Shared>, drive: &Arc<Drive>) -> Vec<thread::JoinHandle<()>> {
    let run = |i| spawn(consumer::run(shared.clone(), drive.clone(), i));
    (0..drive.consumers()).map(run).collect()
}

/// An exporter with one consumer that delivers everything, and room for so many records.
pub(crate) fn open_exporter(items: u64, ledger: &Ledger) -> (ExporterQueue, thread::JoinHandle<()>) {
    let (queue, mut consumers) = start(FarSide::default(), settings(1, items, Policy::Block), ledger);
    (queue, consumers.remove(0))
}

fn offer(queue: &ExporterQueue, records: usize) -> Receipt {
    let (receipt, share) = Receipt::new(records as u64);
    let mut item = Item::new(batch(0..records));
    item.context.shares.push(share);
    queue.offer(item, 0, clock::now_ns());
    receipt
}

/// Room for `items` records; whoever waits is told the far side's answer, and what may be tried again is at once.
fn settings(consumers: usize, items: u64, policy: Policy) -> ExporterSettings {
    ExporterSettings {
        consumers,
        bounds: Bounds { items, sizer: Sizer::Records, bytes: u64::MAX },
        policy,
        acknowledge: Acknowledge::Exported,
        retry: RetrySettings { initial_interval: Duration::ZERO, ..RetrySettings::default() },
        ..ExporterSettings::default()
    }
}

fn never() -> Instant {
    crate::sync::time::now() + Duration::from_secs(3600)
}

/// A deadline that has passed: the thread that drains to it begins at any moment.
fn passed() -> Instant {
    crate::sync::time::now()
}

fn busy() -> Answer {
    let (maybe_delivered, overloaded) = (false, false);
    Answer::Say(Outcome::Retry { after: None, maybe_delivered, overloaded, reason: "503".to_owned() })
}

#[test]
fn every_item_offered_is_sent() {
    check(2, || {
        let world = World::new(&[], settings(1, 9, Policy::Refuse));
        let queue = world.queue.clone();
        let other = thread::spawn(move || offer(&queue, 1));
        let receipt = world.offer(1);
        assert_eq!(block_on(receipt), Outcome::DELIVERED);
        assert_eq!(block_on(other.join().unwrap()), Outcome::DELIVERED);
        assert_eq!(world.end(never()), (2, 0));
    });
}

#[test]
fn what_failed_is_sent_again_by_one_of_two() {
    check(2, || {
        let world = World::new(&[busy(), busy()], settings(2, 9, Policy::Refuse));
        let (one, two) = (world.offer(1), world.offer(1));
        assert_eq!(block_on(one), Outcome::DELIVERED);
        assert_eq!(block_on(two), Outcome::DELIVERED);
        assert_eq!(world.end(never()), (2, 0));
    });
}

/// With room for one, the others wait in line, and whoever asks for room is told of it.
#[test]
fn whoever_waits_for_room_gets_it() {
    check(2, || {
        let world = World::new(&[], settings(1, 1, Policy::Block));
        let queue = world.queue.clone();
        let other = spawn(async move {
            let receipt = offer(&queue, 1);
            queue.room(crate::queue::Size { requests: 1, records: 1, bytes: 0 }).await;
            receipt
        });
        let receipt = world.offer(1);
        assert_eq!(block_on(other.join().unwrap()), Outcome::DELIVERED);
        assert_eq!(block_on(receipt), Outcome::DELIVERED);
        assert_eq!(world.end(never()), (2, 0));
    });
}

/// A large item makes room for two small ones: both are sent at once, not one behind the other.
#[test]
fn all_that_is_let_in_finds_a_consumer() {
    check(2, || {
        let answers = [Answer::Meet(2), Answer::Meet(2), Answer::Say(Outcome::DELIVERED)];
        let world = World::new(&answers, settings(2, 2, Policy::Block));
        let receipts = [world.offer(2), world.offer(1), world.offer(1)];
        for receipt in receipts {
            assert_eq!(block_on(receipt), Outcome::DELIVERED);
        }
        assert_eq!(world.end(never()), (4, 0));
    });
}

/// Whoever is made room by is told, and the sum of the books is right.
#[test]
fn what_is_evicted_is_told() {
    check(2, || {
        let world = World::new(&[], settings(1, 1, Policy::DropOldest));
        let queue = world.queue.clone();
        let other = thread::spawn(move || offer(&queue, 1));
        let one = block_on(world.offer(1));
        let two = block_on(other.join().unwrap());
        let delivered = [&one, &two].iter().filter(|outcome| ***outcome == Outcome::DELIVERED).count();
        assert!(delivered >= 1, "{one:?} {two:?}");
        assert_eq!(world.end(never()), (delivered as u64, 0));
    });
}

/// The time for draining is over while an item is on its way back to be tried again later: it is either given up with
/// the rest or by the consumer, but never put into a queue that nobody looks into any more.
#[test]
fn what_comes_back_after_the_deadline_is_given_up() {
    for answer in [busy(), Answer::Hang] {
        check(3, move || {
            let mut settings = settings(1, 9, Policy::Refuse);
            settings.retry = RetrySettings::default();
            let world = World::new(&[answer.clone(), answer.clone()], settings);
            let receipt = world.offer(3);
            let told = spawn(receipt);
            assert_eq!(world.end(passed()), (0, 3));
            assert!(matches!(told.join().unwrap(), Outcome::Retry { .. }));
        });
    }
}

/// What waits for another attempt, much later, is tried at once in a shutdown: a consumer that sleeps until then is woken.
#[test]
fn what_waits_for_its_next_attempt_is_tried_in_a_shutdown() {
    check(2, || {
        let settings = ExporterSettings { retry: RetrySettings::default(), ..settings(1, 9, Policy::Refuse) };
        let world = World::new(&[busy()], settings);
        let shared = world.queue.shared.clone();
        let mut nacked = std::pin::pin!(shared.moved.notified());
        nacked.as_mut().enable();
        let receipt = world.offer(1);
        block_on(nacked);
        assert_eq!(world.end(never()), (1, 0));
        assert_eq!(block_on(receipt), Outcome::DELIVERED);
    });
}

/// What is offered while the exporter shuts down is refused, delivered or given up: its sender is told in any case.
#[test]
fn what_is_offered_during_a_shutdown_is_answered() {
    for policy in [Policy::Refuse, Policy::Block] {
        for deadline in [passed, never] {
            check(2, move || {
                let world = World::new(&[], settings(1, 1, policy));
                let _ = world.offer(1);
                let queue = world.queue.clone();
                let late = spawn(async move { offer(&queue, 1).await });
                let (delivered, left) = world.end(deadline());
                let expected = match late.join().unwrap() {
                    Outcome::Delivered { .. } => 1,
                    _ => 0,
                };
                assert!(delivered >= expected && delivered + left <= 2, "{delivered} {left} {expected}");
            });
        }
    }
}

/// A consumer that is cut off while the report is written: what it had is in the report, either way.
#[test]
fn the_report_misses_nothing_that_is_cut_off_meanwhile() {
    check(3, || {
        let world = World::new(&[Answer::Hang], settings(1, 9, Policy::Refuse));
        drop(world.offer(3));
        let shared = world.queue.shared.clone();
        shared.state().open = false;
        shared.give_up();
        shared.abort.send_replace(true);
        let left: u64 = shared.take_undelivered().iter().map(|(_, records)| records).sum();
        assert_eq!(left, 3);
        shared.wake_all();
        world.consumers.into_iter().for_each(|consumer| consumer.join().unwrap());
    });
}

/// Another exporter takes the place of one that fails or is in the middle of a send: what waits, and what came back, is sent by
/// the new one, once; the consumers of the old one end; nobody waits for a consumer that is gone.
#[test]
fn what_waits_is_sent_by_the_exporter_that_took_its_place() {
    for answers in [vec![], vec![busy()]] {
        check(1, move || {
            let mut world = World::new(&answers, settings(1, 9, Policy::Refuse));
            let queue = world.queue.clone();
            let other = spawn(async move { offer(&queue, 1).await });
            let shared = world.queue.shared.clone();
            let drive = shared.replace(Arc::new(FarSide::default()), settings(1, 9, Policy::Refuse));
            world.consumers.extend(consumers(&shared, &drive));
            assert_eq!(other.join().unwrap(), Outcome::DELIVERED);
            assert_eq!(world.end(never()), (1, 0));
        });
    }
}
