//! What is not in the graph any more and still has something to do: requests in flight, batches that linger, queues that are
//! not empty. A thread for each reload sees it out; there are never more than [`limits::MAX_LEAVING`].

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, SyncSender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use connect::otlp::Inlets;
use otlp::Signal;
use pipeline::{Chain, ExporterQueue, QueueGauge, Shards, Undelivered, clock::now_ns};
use tokio::sync::watch;

use super::{pipelines, receivers};
use crate::{
    components::Id,
    graph::{Graph, Plan},
    limits,
};

/// What leaves.
#[derive(Default)]
pub(super) struct Leavers {
    /// Receivers that are gone, and pipelines that are gone but for them.
    pub(super) astray: Astray,
    /// Receivers that earlier reloads took out and that lead to these pipelines, or may lead to these queues, too.
    pub(super) before: Vec<Arc<receivers::Running>>,
    /// Receivers that others of their name have taken the place of.
    pub(super) replaced: Vec<(Id, Arc<receivers::Running>)>,
    /// Where nothing leads but these pipelines.
    pub(super) queues: pipelines::Queues,
}

/// Receivers that are in the graph no more and may be in the middle of requests, and pipelines that are not, but that such
/// receivers lead to.
#[derive(Clone, Default)]
pub(super) struct Astray {
    pub(super) receivers: Vec<Gone>,
    pub(super) pipelines: BTreeMap<String, pipelines::Running>,
}

/// A receiver that is in the graph no more. What it is in the middle of goes where it led, whatever becomes of that.
#[derive(Clone)]
pub(super) struct Gone {
    pub(super) id: Id,
    /// The last graph that it was in.
    pub(super) graph: Arc<Graph>,
    /// Where it leads, by shard.
    pub(super) inlets: Vec<Inlets>,
    /// It, and those that it had taken the place of.
    pub(super) running: Vec<Arc<receivers::Running>>,
}

impl Gone {
    /// Leads it to the pipelines that have the names of those that it fed, as they run now.
    pub(super) fn lead<'a>(&self, running: impl Fn(&Plan) -> Option<&'a pipelines::Running> + Copy) {
        let ways = pipelines::inlets(&self.graph, running, &self.id, self.inlets.len());
        self.inlets.iter().zip(&ways).for_each(|(inlets, ways)| inlets.lead_as(ways));
    }

    /// Whether it leads to one of these.
    pub(super) fn leads_to(&self, pipelines: &BTreeMap<String, pipelines::Running>) -> bool {
        let fed = |plan: &Plan| plan.receivers.contains(&self.id) && pipelines.contains_key(&plan.name);
        self.graph.pipelines.iter().any(fed)
    }
}

/// What did not leave.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Left {
    /// Connections that were cut off with requests in flight.
    pub(super) connections_cut: usize,
    /// Records that stages still held.
    pub(super) held: u64,
    /// What exporters had not delivered.
    pub(super) undelivered: Vec<Undelivered>,
    /// Exporters that did not answer in time.
    pub(super) silent: usize,
}

impl Left {
    pub(super) fn add(&mut self, other: Left) {
        self.connections_cut += other.connections_cut;
        self.held += other.held;
        self.undelivered.extend(other.undelivered);
        self.silent += other.silent;
    }
}

/// A thread that sees something out.
pub(super) struct Leaving {
    /// Nothing once it has ended: it is not kept until the next reload.
    astray: Arc<Mutex<Astray>>,
    replaced: Vec<(Id, Arc<receivers::Running>)>,
    queues: Vec<((Id, Signal), QueueGauge)>,
    until: watch::Sender<Instant>,
    thread: JoinHandle<Left>,
}

/// What a thread is to see out, what it empties when those are gone who led there, and until when.
type Work = (Leavers, Arc<Mutex<Astray>>, watch::Receiver<Instant>);

/// A thread that waits for what it is to see out. Dropped, it ends.
pub(super) struct Usher {
    give: SyncSender<Work>,
    thread: JoinHandle<Left>,
}

impl Usher {
    pub(super) fn start(shards: &Shards) -> io::Result<Usher> {
        let (give, given) = mpsc::sync_channel::<Work>(1);
        let shards = shards.clone();
        let wait =
            move || given.recv().map(|(leavers, astray, until)| leavers.see_out(&shards, &astray, &until));
        let thread =
            thread::Builder::new().name("aldis-leaving".into()).spawn(move || wait().unwrap_or_default())?;
        Ok(Usher { give, thread })
    }

    /// Sees these out within `patience`; none, if there is nothing.
    pub(super) fn take(self, leavers: Leavers, patience: Duration) -> Option<Leaving> {
        let Leavers { astray, before, replaced, queues } = &leavers;
        if astray.receivers.is_empty() && before.is_empty() && replaced.is_empty() && queues.is_empty() {
            debug_assert!(astray.pipelines.is_empty(), "only receivers that are gone lead to them");
            return None;
        }
        let gauge = |(key, queue): (&(Id, Signal), &ExporterQueue)| (key.clone(), queue.gauge());
        let (replaced, queues) = (replaced.clone(), queues.iter().map(gauge).collect());
        let astray = Arc::new(Mutex::new(astray.clone()));
        let (until, told) = watch::channel(Instant::now() + patience);
        // It waits for nothing else.
        let _ = self.give.send((leavers, astray.clone(), told));
        Some(Leaving { astray, replaced, queues, until, thread: self.thread })
    }
}

impl Leaving {
    pub(super) fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// The receivers among it, which may be told to stop sooner.
    pub(super) fn receivers(&self) -> Vec<Arc<receivers::Running>> {
        let replaced = self.replaced.iter().map(|(_, running)| running);
        let gone = self.astray();
        gone.receivers.iter().flat_map(|gone| &gone.running).chain(replaced).cloned().collect()
    }

    /// Those of a name that had others take their place.
    pub(super) fn replaced(&self, id: &Id) -> impl Iterator<Item = &Arc<receivers::Running>> {
        self.replaced.iter().filter(move |(of, _)| of == id).map(|(_, running)| running)
    }

    /// What may still be in the middle of something though it is in no graph.
    pub(super) fn astray(&self) -> Astray {
        self.astray.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Queues that have not run empty, as long as they are there.
    pub(super) fn queues(&self) -> &[((Id, Signal), QueueGauge)] {
        &self.queues
    }

    /// It has no longer than this.
    pub(super) fn hurry(&self, until: Instant) {
        self.until.send_if_modified(|current| {
            let is_sooner = until < *current;
            *current = until.min(*current);
            is_sooner
        });
    }

    /// What did not leave. Blocks, a little longer than it may take.
    pub(super) fn join(self) -> Left {
        let give_up = (*self.until.borrow()).max(Instant::now()) + 2 * limits::STOP_GRACE;
        while !self.thread.is_finished() && Instant::now() < give_up {
            thread::sleep(limits::DRAIN_STEP);
        }
        match self.thread.is_finished() {
            true => self.thread.join().unwrap_or_default(),
            false => Left { silent: self.queues.len(), ..Left::default() },
        }
    }
}

impl Leavers {
    fn see_out(self, shards: &Shards, astray: &Mutex<Astray>, until: &watch::Receiver<Instant>) -> Left {
        let mut left = self.see_requests_out(half_way(*until.borrow()));
        let Leavers { replaced, queues, .. } = self.forget(astray);
        let queues: Vec<ExporterQueue> = queues.into_values().collect();
        left.undelivered = drain(&queues, shards, until);
        left.silent = queues.len() - left.undelivered.len();
        // Whoever keeps a connection without using it has not heard that it is to go.
        let quiet = Instant::now() + limits::LEAVE_GRACE;
        let replaced: Vec<_> = replaced.into_iter().map(|(_, receiver)| receiver).collect();
        replaced.iter().for_each(|receiver| receiver.wait_for_none(quiet.min(half_way(*until.borrow()))));
        left.connections_cut += stop(&replaced, &[], *until.borrow());
        left
    }

    /// Ends receivers that are gone, and then the pipelines that they lead to.
    fn see_requests_out(&self, deadline: Instant) -> Left {
        let Astray { receivers, pipelines } = &self.astray;
        let chains: Vec<Arc<Chain>> =
            pipelines.values().flat_map(pipelines::Running::front_to_back).cloned().collect();
        let gone = receivers.iter().flat_map(|gone| &gone.running).map(|receiver| (receiver, true));
        let all: Vec<_> = gone.chain(self.before.iter().map(|receiver| (receiver, false))).collect();
        let connections_cut = flushing(&chains, &all, |(receiver, is_ours)| match is_ours {
            true => receiver.stop(deadline),
            // Whoever took them out ends them.
            false => {
                receiver.wait_for_none(deadline);
                0
            }
        });
        let held = chains.iter().map(|chain| chain.close(now_ns())).sum();
        Left { connections_cut, held, ..Left::default() }
    }

    /// Without those that have ended: through pipelines they would keep queues, and through those exporters.
    fn forget(mut self, astray: &Mutex<Astray>) -> Self {
        *astray.lock().unwrap_or_else(PoisonError::into_inner) = Astray::default();
        self.astray = Astray::default();
        self.before.clear();
        self
    }
}

/// Half of the time until then: what was acknowledged must not run out of it because somebody stalls in the middle of a body.
pub(super) fn half_way(deadline: Instant) -> Instant {
    let now = Instant::now();
    now + deadline.saturating_duration_since(now) / 2
}

/// Stops receivers, all at once, while these chains send on what lingers. Returns how many connections were cut off.
pub(super) fn stop(receivers: &[Arc<receivers::Running>], chains: &[Arc<Chain>], deadline: Instant) -> usize {
    flushing(chains, receivers, |receiver| receiver.stop(deadline))
}

/// Ends all of these at once. Requests in flight wait for batches that linger: those are sent on meanwhile. Returns the sum.
fn flushing<T: Sync>(chains: &[Arc<Chain>], all: &[T], end: impl Fn(&T) -> usize + Sync) -> usize {
    thread::scope(|scope| {
        let end = &end;
        let ending: Vec<_> = all.iter().map(|one| scope.spawn(move || end(one))).collect();
        while ending.iter().any(|thread| !thread.is_finished()) {
            chains.iter().for_each(|chain| chain.flush(now_ns()));
            thread::sleep(limits::DRAIN_STEP);
        }
        ending.into_iter().map(|thread| thread.join().unwrap_or_default()).sum()
    })
}

/// Lets every queue run empty, all at once. The deadline may come closer meanwhile.
pub(super) fn drain(
    queues: &[ExporterQueue],
    shards: &Shards,
    until: &watch::Receiver<Instant>,
) -> Vec<Undelivered> {
    let (tell, told) = mpsc::sync_channel(queues.len());
    for (i, queue) in queues.iter().enumerate() {
        let (queue, tell, mut until) = (queue.clone(), tell.clone(), until.clone());
        shards.spawn(i, async move {
            let undelivered = loop {
                let deadline = *until.borrow_and_update();
                tokio::select! {
                    undelivered = queue.drain(deadline.into()) => break undelivered,
                    Ok(()) = until.changed() => {}
                }
            };
            // Nobody listens any more only if the drain took longer than it may.
            let _ = tell.send(undelivered);
        });
    }
    drop(tell);
    let mut drained = Vec::new();
    while drained.len() < queues.len() && Instant::now() < *until.borrow() + limits::STOP_GRACE {
        match told.recv_timeout(limits::DRAIN_STEP * 10) {
            Ok(undelivered) => drained.push(undelivered),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    drained
}
