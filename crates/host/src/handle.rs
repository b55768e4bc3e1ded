//! What is known of an episode that a collector watches.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    budget::BudgetTracker,
    collector::{TelemetryError, WhenExhausted},
    episode::{EndReason, Episode},
    frame::TelemetryFrame,
    id::EpisodeId,
    recorder::Recorder,
    stats::{PressureStats, ResourceStats},
    stream::Bell,
    subject::Subject,
};

/// An episode with what it is read from and written to.
pub(crate) struct Watched {
    pub(crate) episode: Episode,
    pub(crate) subject: Box<dyn Subject>,
    pub(crate) with_pressure: bool,
    /// The last that was read, and until when it stands.
    pub(crate) pressure: PressureStats,
    pub(crate) pressure_until_ns: u64,
    pub(crate) when_exhausted: WhenExhausted,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) due_ns: Option<u64>,
    pub(crate) not_ended: Option<TelemetryError>,
    /// Of those who stream it.
    pub(crate) bells: Vec<Arc<Bell>>,
}

/// An episode that is watched, or was. It may be asked at any time, from any thread, also once the episode has ended.
#[derive(Clone)]
pub struct TelemetryHandle {
    episode_id: EpisodeId,
    pid: u32,
    watched: Arc<Mutex<Watched>>,
}

impl std::fmt::Debug for TelemetryHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TelemetryHandle")
            .field("episode_id", &self.episode_id)
            .field("pid", &self.pid)
            .finish()
    }
}

impl TelemetryHandle {
    pub(crate) fn new(watched: Watched) -> Self {
        let (episode_id, pid) = (watched.episode.id(), watched.episode.pid());
        Self { episode_id, pid, watched: Arc::new(Mutex::new(watched)) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.watched, &other.watched)
    }

    /// The episode.
    #[must_use]
    pub fn episode_id(&self) -> EpisodeId {
        self.episode_id
    }

    /// The process that it began with.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The number of the next frame: how many there were.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.lock().episode.seq()
    }

    /// Why it ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<EndReason> {
        self.lock().episode.ended()
    }

    /// The frames that are kept, oldest first, copied.
    #[must_use]
    pub fn frames(&self) -> Vec<TelemetryFrame> {
        self.lock().episode.frames().copied().collect()
    }

    /// Copies the frames that are kept from number `seq` on, oldest first, at most so many. The first may have a higher number: those before it
    /// were overwritten. Returns why the episode ended, if it has and no frame follows.
    pub fn copy_frames(&self, seq: u64, at_most: usize, into: &mut Vec<TelemetryFrame>) -> Option<EndReason> {
        let watched = self.lock();
        let before = into.len();
        into.extend(watched.episode.frames_from(seq).take(at_most));
        let next = if into.len() > before { into.last().map_or(seq, |last| last.seq + 1) } else { seq };
        watched.episode.ended().filter(|_| next >= watched.episode.seq())
    }

    /// Whoever streams it is told of each frame.
    pub(crate) fn heard_by(&self, bell: &Arc<Bell>) {
        self.lock().bells.push(Arc::clone(bell));
    }

    pub(crate) fn not_heard_by(&self, bell: &Arc<Bell>) {
        self.lock().bells.retain(|other| !Arc::ptr_eq(other, bell));
    }

    /// How it stands.
    #[must_use]
    pub fn snapshot(&self) -> TelemetryHandleSnapshot {
        let watched = self.lock();
        let episode = &watched.episode;
        TelemetryHandleSnapshot {
            episode_id: self.episode_id,
            pid: self.pid,
            seq: episode.seq(),
            last_frame: episode.frames().last().copied(),
            stats: *episode.stats(),
            most_processes: episode.most_processes(),
            budget: *episode.budget(),
            ended: episode.ended(),
            overwritten: episode.overwritten(),
            clamped: episode.clamped(),
            recorder_failures: watched.recorder.as_ref().map_or(0, Recorder::failures),
            recorder_torn_lines: watched.recorder.as_ref().map_or(0, Recorder::torn_lines),
            not_ended: watched.not_ended.as_ref().map(ToString::to_string),
        }
    }
}

/// How an episode stood at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetryHandleSnapshot {
    /// The episode.
    pub episode_id: EpisodeId,
    /// The process that it began with.
    pub pid: u32,
    /// The number of the next frame.
    pub seq: u64,
    /// The last frame; there is one from the beginning.
    pub last_frame: Option<TelemetryFrame>,
    /// The last reading, each metric with its source.
    pub stats: ResourceStats,
    /// The most processes at once that a reading told of, threads where a cgroup counts; `None` if none told.
    pub most_processes: Option<u64>,
    /// What was used of the budgets, of those for the measuring too.
    pub budget: BudgetTracker,
    /// Why it ended, if it has.
    pub ended: Option<EndReason>,
    /// Frames that gave way to newer ones.
    pub overwritten: u64,
    /// Values that were above what a frame holds.
    pub clamped: u64,
    /// Times that the recorder could not write.
    pub recorder_failures: u64,
    /// Lines of its file that it found torn, and closed.
    pub recorder_torn_lines: u64,
    /// Why an episode lives on whose budget is used up.
    pub not_ended: Option<String>,
}
