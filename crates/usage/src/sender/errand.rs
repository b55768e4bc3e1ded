//! One invocation on its way, for a user who may decide otherwise at any moment.
//!
//! The invocation asked everybody before it started a sender; the sender asks the user's configuration again before each step that leaves
//! something behind: its place, the fingerprint and the request, the result. Each time it has a share of the directory until
//! that is done ([`Storage::share`]), and whoever decides waits for that. So when `disable` or `reset` has returned nothing is sent or written
//! that it was to stop. Nobody waits for a network with a share: the connection stands before the request is made.
//!
//! There is one deadline, and it runs from the beginning: waiting for a user who decides is part of it.

use std::time::{Duration, Instant};

use super::{
    Point,
    notes::{note_result, note_skipped},
    slot::Slot,
};
use crate::{
    client::{OtlpClient, SendError},
    config::{self, TelemetryConfig},
    consent::{self, Mode},
    fingerprint::Fingerprint,
    limits::NOTE_PATIENCE,
    storage::Storage,
    tool::Tool,
};

/// An invocation with a place among those that are sent.
pub(super) struct Errand<'a> {
    tool: &'a Tool,
    storage: &'a Storage,
    config: TelemetryConfig,
    slot: Slot,
    deadline: Instant,
}

/// Why it did not arrive.
enum Stopped {
    /// The user wants it no more.
    ByUser,
    ByNetwork(SendError),
}

impl From<SendError> for Stopped {
    fn from(error: SendError) -> Self {
        Stopped::ByNetwork(error)
    }
}

impl<'a> Errand<'a> {
    /// Takes a place, if the user wants it. Where none is free that is noted. Its time runs since it began, for as long as the user says.
    pub(super) fn begin(tool: &'a Tool, storage: &'a Storage, began: Instant) -> Option<Self> {
        // Who decides now may say no; how long that is waited for is what they have said until now.
        let before = wanted(tool, storage)?;
        let _share = storage.share(left(began + before.timeout)).ok()?;
        let config = wanted(tool, storage)?;
        let slot = Slot::take(storage);
        if slot.is_none() {
            note_skipped(storage);
        }
        let deadline = began + config.timeout;
        slot.map(|slot| Self { tool, storage, config, slot, deadline })
    }

    /// When its time is over.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Sends one point, and notes what came of it.
    pub(super) fn run(&self, point: &Point) {
        let sent = match self.send(point) {
            Ok(()) => Ok(()),
            Err(Stopped::ByNetwork(error)) => Err(error),
            Err(Stopped::ByUser) => return,
        };
        if let Err(error) = &sent {
            log::debug!(target: "usage", "an invocation was not counted: {error}");
        }
        let Ok(_share) = self.storage.share(left(self.deadline + NOTE_PATIENCE)) else { return };
        match sent {
            _ if !self.is_wanted() => {}
            Err(SendError::Busy) => note_skipped(self.storage),
            sent => note_result(self.storage, sent),
        }
    }

    fn send(&self, point: &Point) -> Result<(), Stopped> {
        let agent = format!("{}/{}", self.tool.service_name, self.tool.version);
        let url = self.config.otlp_endpoint.as_deref().unwrap_or_default();
        let client = OtlpClient::new(url, &agent, self.config.timeout).map_err(|_| Stopped::ByUser)?;
        let mut open = client.open(self.deadline)?;
        {
            let _share = self.storage.share(left(self.deadline)).map_err(|_| Stopped::ByUser)?;
            if !self.is_wanted() {
                return Err(Stopped::ByUser);
            }
            // Without randomness there is no pseudonym, and nothing is sent without one.
            let fingerprint = Fingerprint::load_or_create(self.storage).map_err(|_| Stopped::ByUser)?;
            open.post(&point.metric(self.tool, &fingerprint.to_string()))?;
        }
        Ok(open.answer()?)
    }

    /// Whether the user wants it still, and to where it goes, and has not had everything forgotten meanwhile.
    fn is_wanted(&self) -> bool {
        let endpoint = |config: TelemetryConfig| config.otlp_endpoint;
        self.slot.is_there()
            && wanted(self.tool, self.storage).map(endpoint) == Some(self.config.otlp_endpoint.clone())
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// The configuration of a user who wants it.
fn wanted(tool: &Tool, storage: &Storage) -> Option<TelemetryConfig> {
    let read = config::load(storage, &tool.defaults);
    (consent::configuration(&read).0 == Mode::Send).then(|| read.ok())?.map(|said| said.config)
}

#[cfg(test)]
mod tests;
