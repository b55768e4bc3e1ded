//! Exporters whose items keep their order and are sent in parts.

use std::sync::Mutex as StdMutex;

use proptest::prelude::*;
use tokio::runtime::Builder;

use super::*;
use crate::{Progress, Sender, Stats, batcher::tests::batch, clock, exporter::BoxFuture};

/// What the far side says to one part.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Take,
    Refuse,
    Busy,
    /// It may have been taken.
    Lost,
}

/// Sends each record as a part of its own, one after the other.
#[derive(Clone, Default)]
struct Parts {
    script: Arc<StdMutex<Vec<Answer>>>,
    /// Item (by its number of records) and part, of everything that was sent.
    sent: Arc<StdMutex<Vec<(usize, usize, Answer)>>>,
}

impl Exporter for Parts {
    fn name(&self) -> &str {
        "parts"
    }
    fn open(&self) -> Box<dyn Sender> {
        Box::new(self.clone())
    }
    fn in_order(&self) -> bool {
        true
    }
}

impl Sender for Parts {
    fn send<'a>(&'a self, _: &'a Item) -> BoxFuture<'a, Outcome> {
        unreachable!("the queue has a progress")
    }

    fn send_rest<'a>(&'a self, item: &'a Item, progress: &'a mut Progress) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            for part in 0..item.batch.len() {
                if progress.is_settled(part) {
                    continue;
                }
                tokio::task::yield_now().await;
                let answer = self.script.lock().unwrap().pop().unwrap_or(Answer::Take);
                self.sent.lock().unwrap().push((item.batch.len(), part, answer));
                match answer {
                    Answer::Take => progress.deliver(1),
                    Answer::Refuse => progress.reject("400", 1),
                    Answer::Busy | Answer::Lost => {
                        let reason = "503".to_owned();
                        return Outcome::Retry {
                            after: None,
                            maybe_delivered: answer == Answer::Lost,
                            overloaded: false,
                            reason,
                        };
                    }
                }
                progress.settle(part);
            }
            Outcome::Delivered { rejected: progress.rejected() }
        })
    }
}

/// Offers items of these many records, waits `wait_ms`, and drains for no time.
fn run(parts: &Parts, items: &[usize], wait_ms: u64) -> (Stats, Undelivered) {
    let (ledger, health) = (Ledger::new(), Health::new());
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let undelivered = runtime.block_on(async {
        let settings = ExporterSettings { consumers: 8, ..ExporterSettings::default() };
        let counters = ledger.exporter("parts");
        let shared = Arc::new(Shared::new(
            Arc::new(parts.clone()),
            settings,
            2,
            counters,
            (health.clone(), "scripted".to_owned()),
        ));
        let drive = shared.state().drive.clone();
        for i in 0..drive.consumers() {
            tokio::spawn(consumer::run(shared.clone(), drive.clone(), i));
        }
        let queue = ExporterQueue { shared };
        for records in items {
            queue.offer(Item::new(batch(0..*records)), 0, clock::now_ns());
        }
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        queue.drain(Instant::now()).await
    });
    let stats = ledger.stats();
    stats.check().unwrap();
    (stats, undelivered)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_fails_the_order_stays_and_every_record_is_counted_once(
        items in prop::collection::vec(1_usize..6, 1..6),
        script in prop::collection::vec(
            prop_oneof![
                3 => Just(Answer::Take), 1 => Just(Answer::Refuse), 1 => Just(Answer::Busy), 1 => Just(Answer::Lost)
            ],
            0..20,
        ),
        wait_ms in prop_oneof![Just(0_u64), Just(6_000), Just(3_000_000)],
    ) {
        // Lengths tell items apart.
        let items: Vec<usize> = items.iter().enumerate().map(|(i, records)| records + 10 * i).collect();
        let parts = Parts { script: Arc::new(StdMutex::new(script)), ..Parts::default() };
        let (stats, undelivered) = run(&parts, &items, wait_ms);
        let sent = parts.sent.lock().unwrap().clone();
        let is_again = |answer| matches!(answer, Answer::Busy | Answer::Lost);
        let settled: Vec<(usize, usize)> =
            sent.iter().filter(|(.., answer)| !is_again(*answer)).map(|(i, p, _)| (*i, *p)).collect();
        prop_assert!(settled.is_sorted(), "{sent:?}");
        prop_assert!(settled.windows(2).all(|pair| pair[0] != pair[1]), "sent again: {sent:?}");
        let of = |wanted| sent.iter().filter(|(.., answer)| *answer == wanted).count() as u64;
        let row = &stats.exporters[0];
        prop_assert_eq!(row.delivered, of(Answer::Take));
        prop_assert_eq!(row.rejected_total(), of(Answer::Refuse));
        let all: usize = items.iter().sum();
        // From the first answer that was lost on, each further attempt may bring twice what is not settled.
        let mut again = 0;
        for item in &items {
            let of_item: Vec<&(usize, usize, Answer)> = sent.iter().filter(|(of, ..)| of == item).collect();
            let attempts = of_item.split_inclusive(|(.., answer)| is_again(*answer));
            let (mut is_unsure, mut left) = (false, *item as u64);
            for attempt in attempts {
                again += if is_unsure { left } else { 0 };
                is_unsure |= attempt.iter().any(|(.., answer)| *answer == Answer::Lost);
                left -= attempt.iter().filter(|(.., answer)| !is_again(*answer)).count() as u64;
            }
        }
        prop_assert_eq!(row.maybe_duplicate, again, "{:?}", &sent);
        let left: u64 = undelivered.left.iter().map(|(_, records)| records).sum();
        prop_assert_eq!(row.delivered + row.rejected_total() + left, all as u64);
    }
}
