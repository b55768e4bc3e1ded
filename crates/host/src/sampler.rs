//! The thread that has the clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{
    clock::monotonic_ns,
    collector::{SharedCollector, TelemetryError},
    file::Scratch,
    urgency::Urgency,
};

/// Looks at the episodes of a collector when they are due, on one thread for all of them, until it is dropped.
///
/// While one of them has a budget of its own (not of measuring) the thread comes at once when it is due, before whatever else runs (`SCHED_FIFO`,
/// priority 1), where this user may have that: as root, or by `RLIMIT_RTPRIO`. Then it also has the kernel account for what runs at that moment, shortly
/// before a budget is used up. Else it asks for short turns (Linux 6.12), and may be late by some milliseconds.
#[derive(Debug)]
pub struct Sampler {
    collector: SharedCollector,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    /// Starts the thread. A collector has one at a time.
    ///
    /// # Errors
    /// The system starts no thread.
    pub fn spawn(collector: SharedCollector) -> Result<Self, TelemetryError> {
        let stopped = Arc::new(AtomicBool::new(false));
        let (watched, is_stopped) = (collector.clone(), stopped.clone());
        let run = move || {
            Scratch::prepare();
            let mut urgency = Urgency::of_this_thread();
            while !is_stopped.load(Ordering::Acquire) {
                let due_ns = watched.poll(monotonic_ns());
                urgency.set(watched.has_budgets());
                match due_ns {
                    Some(due_ns) => {
                        thread::park_timeout(Duration::from_nanos(due_ns.saturating_sub(monotonic_ns())));
                    }
                    None => thread::park(),
                }
            }
        };
        let thread =
            thread::Builder::new().name("aldis-sampler".into()).spawn(run).map_err(TelemetryError::Thread)?;
        collector.woken_by(thread.thread().clone());
        // Something may have been started in between.
        collector.wake();
        Ok(Self { collector, stopped, thread: Some(thread) })
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        self.collector.wake();
        if let Some(thread) = self.thread.take() {
            // A sampler that panicked has said so.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Instant};

    use super::*;
    use crate::{
        Budget, EndReason, EpisodeId, Sample, Subject, TelemetryHandle, TelemetryPolicy, Watch,
        new_shared_collector, urgency::is_urgent,
    };

    /// Tells whether whoever looks is urgent.
    struct Asks(mpsc::Sender<bool>);

    impl Subject for Asks {
        fn sample(&mut self, _: bool) -> Result<Sample, TelemetryError> {
            // Nobody listens in the end.
            let _ = self.0.send(is_urgent());
            Ok(Sample::default())
        }

        fn freeze(&mut self) -> Result<(), TelemetryError> {
            Ok(())
        }

        fn kill(&mut self) -> Result<(), TelemetryError> {
            Ok(())
        }
    }

    #[test]
    fn the_thread_is_urgent_while_something_has_a_budget() {
        let policy = TelemetryPolicy::builder().sample_period_ms(1).build().unwrap();
        let collector = new_shared_collector(policy).unwrap();
        let _sampler = Sampler::spawn(collector.clone()).unwrap();
        let watched = |number: u128, budget: Budget| -> (TelemetryHandle, mpsc::Receiver<bool>) {
            let (tells, told) = mpsc::channel();
            let watch = Watch::new(EpisodeId::from_u128(number), 1, Asks(tells)).budget(budget);
            (collector.start(watch, monotonic_ns()).unwrap(), told)
        };
        let becomes = |told: &mpsc::Receiver<bool>, wanted: bool| {
            let begun = Instant::now();
            while told.recv_timeout(Duration::from_secs(30)).unwrap() != wanted {
                assert!(begun.elapsed() < Duration::from_secs(30), "it is not {wanted}");
            }
        };
        // Of measuring it is no matter when it is found.
        let (_endless, always) = watched(1, Budget { sampler_cpu_ms: Some(1 << 40), ..Budget::default() });
        becomes(&always, false);
        let (limited, told) = watched(2, Budget { wall_ms: Some(1 << 40), ..Budget::default() });
        if !crate::urgency::can_be_urgent() {
            eprintln!("SKIPPED: this kernel schedules every thread of this user alike");
            return;
        }
        becomes(&told, true);
        collector.finish(&limited, EndReason::Stopped, None, monotonic_ns());
        becomes(&always, true);
        becomes(&always, false);
    }
}
