//! How things stand, once a second at most.

use std::{collections::HashMap, path::PathBuf};

use serde::Serialize;

use super::{ReviewerEventKind, ReviewerFilter, ReviewerHealth, SUMMARY_PERIOD_NS, project};

/// How things stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProjectionSummary {
    /// Whether the rest can be relied upon: it is empty otherwise.
    pub health: ReviewerHealth,
    /// Events that the filter accepts.
    pub events: u64,
    /// Runs among them.
    pub runs: u64,
    /// Runs that have neither completed nor crashed.
    pub runs_open: u64,
    /// Runs whose last word is that they completed.
    pub runs_complete: u64,
    /// Runs whose last word is that they crashed.
    pub runs_crashed: u64,
    /// Stalls.
    pub stalls: u64,
    /// Runs that went on with another model, each time.
    pub model_fallbacks: u64,
    /// Commits that were no longer the newest.
    pub sha_drifts: u64,
    /// The number of the last event; 0 if there is none.
    pub last_seq: u64,
    /// The time of the last event.
    pub last_ts: Option<String>,
}

/// Tells how things stand.
#[derive(Debug)]
pub struct Projector {
    path: PathBuf,
    filter: ReviewerFilter,
    told_ns: Option<u64>,
}

impl Projector {
    /// Of the events at `path` that `filter` accepts.
    pub fn new(path: impl Into<PathBuf>, filter: ReviewerFilter) -> Self {
        Self { path: path.into(), filter, told_ns: None }
    }

    /// How things stand, unless that was told less than a second before `now_ns`, nanoseconds of a clock that does not go back.
    pub fn summary(&mut self, now_ns: u64) -> Option<ProjectionSummary> {
        if self.told_ns.is_some_and(|told| now_ns.saturating_sub(told) < SUMMARY_PERIOD_NS) {
            return None;
        }
        self.told_ns = Some(now_ns);
        let read = project(&self.path, &self.filter);
        let mut last_of_run = HashMap::new();
        let mut counts = [0_u64; ReviewerEventKind::ALL.len()];
        for event in &read.events {
            last_of_run.insert(event.run_id.as_str(), event.event);
            counts[event.event as usize] += 1;
        }
        let count = |kind: ReviewerEventKind| counts[kind as usize];
        let ended = |kind| last_of_run.values().filter(|last| **last == kind).count() as u64;
        let (complete, crashed) = (ended(ReviewerEventKind::RunComplete), ended(ReviewerEventKind::RunCrash));
        let last = read.events.last();
        Some(ProjectionSummary {
            health: read.health,
            events: read.events.len() as u64,
            runs: last_of_run.len() as u64,
            runs_open: last_of_run.len() as u64 - complete - crashed,
            runs_complete: complete,
            runs_crashed: crashed,
            stalls: count(ReviewerEventKind::StallDetected),
            model_fallbacks: count(ReviewerEventKind::ModelFallback),
            sha_drifts: count(ReviewerEventKind::ShaDrift),
            last_seq: last.map_or(0, |event| event.seq),
            last_ts: last.map(|event| event.ts.clone()),
        })
    }
}
