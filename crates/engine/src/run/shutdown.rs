//! The end: receivers, chains, queues.

use std::{fmt, sync::Arc, time::Instant};

use connect::otlp::ReceiverCounts;
use otlp::Signal;
use pipeline::{Chain, ExporterQueue, Stats, Undelivered, clock::now_ns, ledger::DropCause, stats::Named};
use tokio::sync::watch;

use super::{Engine, Seen, leaving, leaving::Left, pipelines};
use crate::telemetry::Event;

/// What a shutdown left behind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DrainReport {
    /// Connections that were cut off with requests in flight.
    pub connections_cut: usize,
    /// What exporters had not delivered.
    pub undelivered: Vec<Undelivered>,
    /// Exporters that did not answer in time, so that what they hold is not known.
    pub silent: usize,
    /// Records that stages still held.
    pub held: u64,
    /// Threads that did not end.
    pub threads_left: usize,
    /// What became of everything.
    pub stats: Stats,
    /// What every receiver counted.
    pub receivers: Vec<(String, ReceiverCounts)>,
    /// What the exporter `summary` knows at the end, where there is one.
    pub summary: Option<Seen>,
}

/// Records that were accepted and not delivered, before a shutdown or in it, what did not leave in time aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The exporter, or the stage.
    pub component: String,
    /// Their kind.
    pub signal: Signal,
    /// Records that were given up, but for those whose senders were told so.
    pub lost: u64,
    /// Records that the far side refused for good, or that it could not be sent.
    pub refused: u64,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { component, signal, lost, refused } = self;
        write!(
            f,
            "{component}: not delivered: {lost} records of {signal} given up, {refused} refused for good"
        )
    }
}

impl DrainReport {
    /// Whether everything that was accepted was delivered, or taken out as configured.
    pub fn is_complete(&self) -> bool {
        self.all_left() && self.losses().is_empty()
    }

    /// Whether everything left, be it that the far side did not take it.
    pub fn all_left(&self) -> bool {
        let all_left = self.undelivered.iter().all(Undelivered::is_empty) && self.held == 0;
        all_left && self.silent == 0 && self.threads_left == 0
    }

    /// Records that had not left when the time was over.
    pub fn left_behind(&self) -> u64 {
        let left = self.undelivered.iter().flat_map(|one| &one.left).map(|(_, records)| records);
        left.sum::<u64>() + self.held
    }

    /// What was given up or refused since the start.
    pub fn losses(&self) -> Vec<Loss> {
        let sum = |counts: &Named, but: &str| -> u64 {
            counts.iter().filter(|(name, _)| &**name != but).map(|(_, n)| n).sum()
        };
        let stages = self.stats.stages.iter().map(|row| Loss {
            component: row.name.to_string(),
            signal: row.signal,
            lost: sum(&row.dropped, ""),
            refused: 0,
        });
        let exporters = self.stats.exporters.iter().map(|row| Loss {
            component: row.name.to_string(),
            signal: row.signal,
            // What a shutdown gives up is told as left behind.
            lost: sum(&row.dropped, DropCause::Shutdown.name()).saturating_sub(row.handed_back),
            refused: row.rejected_total(),
        });
        stages.chain(exporters).filter(|loss| loss.lost + loss.refused > 0).collect()
    }
}

impl Engine {
    /// Takes nothing new, lets what was accepted leave until `deadline`, and says what did not. Blocks.
    ///
    /// Requests in flight have half of that time: what was acknowledged must not run out of it because somebody stalls in the
    /// middle of a body.
    pub fn shutdown(mut self, deadline: Instant) -> DrainReport {
        let mut report = DrainReport::default();
        self.own.drain();
        self.queues.values().for_each(ExporterQueue::hurry);
        self.leaving.iter().for_each(|leaving| leaving.hurry(deadline));
        let chains: Vec<Arc<Chain>> =
            self.pipelines.values().flat_map(pipelines::Running::front_to_back).cloned().collect();
        let mut receivers: Vec<_> = self.receivers.values().cloned().collect();
        receivers.extend(self.leaving.iter().flat_map(leaving::Leaving::receivers));
        let cut = leaving::stop(&receivers, &chains, leaving::half_way(deadline));
        let counts = self.receivers();
        self.left.held += chains.iter().map(|chain| chain.close(now_ns())).sum::<u64>();
        let queues: Vec<ExporterQueue> = self.queues.into_values().collect();
        let undelivered = leaving::drain(&queues, &self.shards, &watch::channel(deadline).1);
        let silent = queues.len() - undelivered.len();
        self.left.add(Left { connections_cut: cut, held: 0, undelivered, silent });
        self.leaving.into_iter().for_each(|leaving| self.left.add(leaving.join()));
        Left {
            connections_cut: report.connections_cut,
            held: report.held,
            undelivered: report.undelivered,
            silent: report.silent,
        } = self.left;
        report.receivers = counts;
        // Those that are scraped answer until here.
        drop(self.exporters);
        // Nothing that could still leave is left: what runs on (looking at memory, say) is not waited for.
        report.threads_left = self.shards.stop(Instant::now());
        report.stats = self.ledger.stats();
        report.summary = self.tap.map(|tap| tap.close(now_ns()));
        self.own.finish_traces(deadline);
        let losses = report.losses();
        self.own.tell(&Event::Ended {
            complete: report.is_complete(),
            undelivered: report.left_behind(),
            lost: losses.iter().map(|loss| loss.lost).sum(),
            refused: losses.iter().map(|loss| loss.refused).sum(),
        });
        report
    }
}
