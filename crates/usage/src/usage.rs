//! The handle: one for a process.

use std::{
    env,
    io::{self, IsTerminal, Write},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    config::{self, ConfigError, Kind, Said},
    consent::{self, Environment, Mode, Reason},
    fingerprint::Fingerprint,
    rights,
    sender::{self, Point, Sending},
    storage::Storage,
    tool::{Delivery, Tool},
};

static USAGE: OnceLock<Usage> = OnceLock::new();

/// Makes the handle of this process; the first call counts. To be called at the beginning of `main`: in a process that was started to
/// send ([`Delivery::Detached`]) it never returns.
pub fn init(tool: Tool) -> &'static Usage {
    USAGE.get_or_init(|| Usage::start(tool))
}

/// Counts one execution of a command, if the user wants that; see [`Usage::track`]. Without [`init`] it does nothing.
///
/// ```
/// aldis_usage::track_command_execution("build");
/// ```
pub fn track_command_execution(command: &'static str) {
    if let Some(usage) = USAGE.get() {
        // Whatever came of it, the command goes on.
        let _ = usage.track(command);
    }
}

/// What became of an invocation.
#[derive(Debug)]
pub enum Tracked {
    /// It is not counted.
    Off(Reason),
    /// It is not counted: this was the first run on a terminal, and the user has been told.
    Told,
    /// What would be sent was written to standard error.
    Logged,
    /// It is on its way.
    Sending(Sending),
    /// It is not counted: too many are under way, or neither a process nor a thread was to be had.
    Skipped,
}

/// Counts the commands of one tool.
#[derive(Debug)]
pub struct Usage {
    pub(crate) tool: Tool,
    pub(crate) storage: Option<Storage>,
    /// When the last point ended, or nothing was counted yet, Unix nanoseconds.
    counted_until: AtomicU64,
    under_way: Arc<AtomicUsize>,
}

impl Usage {
    /// A handle, for those who want no global one. No file is read. In a process that was started to send it never returns.
    pub fn start(tool: Tool) -> Self {
        let storage = tool.directory.clone().map(Storage::new);
        let usage =
            Self { tool, storage, counted_until: AtomicU64::new(now_ns()), under_way: Arc::default() };
        // Whoever starts a program with another's rights decides nothing there, least of all what it sends.
        if let Some(point) = sender::ordered(&usage.tool).filter(|_| !rights::are_others()) {
            let allowed = usage.storage.as_ref().filter(|_| usage.environment() == Environment::Silent);
            sender::run(&usage.tool, allowed, &point);
        }
        usage
    }

    /// Counts one execution of a command, if the user wants that. The name is part of the program's text, so that nothing that a user typed can
    /// get into it.
    ///
    /// It neither fails nor waits. Where nothing is counted it has read a few variables and one small file; only once, where the user is told,
    /// it writes that file.
    pub fn track(&self, command: &'static str) -> Tracked {
        let (storage, timeout) = match self.consent() {
            (Consent::Off(reason), _) => return Tracked::Off(reason),
            (Consent::Log, _) => return self.log(command),
            (Consent::Unasked, Some(storage)) => return self.tell(storage),
            (Consent::Given(timeout), Some(storage)) => (storage, timeout),
            (_, None) => return Tracked::Off(Reason::NoDirectory),
        };
        let point = self.point(command);
        let started = match self.tool.delivery {
            Delivery::Detached => sender::spawn(&self.tool, &point),
            Delivery::Inline => sender::start_thread(&self.under_way, &self.tool, storage, point, timeout),
        };
        match started {
            Ok(sending) => Tracked::Sending(sending),
            Err(error) => {
                log::debug!(target: "usage", "an invocation was not counted: {error}");
                // A user who decides at this moment is not waited for.
                if let Ok(_share) = storage.share(Duration::ZERO) {
                    sender::note_skipped(storage);
                }
                Tracked::Skipped
            }
        }
    }

    fn consent(&self) -> (Consent, Option<&Storage>) {
        let storage = self.storage.as_ref();
        match (self.environment(), storage) {
            (Environment::Decides(Mode::Log, _), _) => (Consent::Log, storage),
            (Environment::Decides(_, reason), _) => (Consent::Off(reason), storage),
            (Environment::Silent, None) => (Consent::Off(Reason::NoDirectory), None),
            (Environment::Silent, Some(at)) => {
                let read = config::load(at, &self.tool.defaults);
                let consent = match (consent::configuration(&read), &read) {
                    ((Mode::Send, _), Ok(said)) => Consent::Given(said.config.timeout),
                    ((_, Reason::NotTold), _) => Consent::Unasked,
                    ((_, reason), _) => Consent::Off(reason),
                };
                if let Consent::Off(reason @ (Reason::Unreadable(_) | Reason::BadEndpoint(_))) = &consent {
                    log::warn!(target: "usage", "nothing is counted: {reason}");
                }
                (consent, storage)
            }
        }
    }

    pub(crate) fn environment(&self) -> Environment {
        // What is no text is something nevertheless.
        let lookup = |name: &str| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        consent::environment(&lookup, self.tool.variable(), rights::are_others())
    }

    /// What the user's configuration says.
    pub(crate) fn configuration(&self) -> Result<Said, ConfigError> {
        let defaults = &self.tool.defaults;
        self.storage
            .as_ref()
            .map_or_else(|| Ok(Said::nothing(defaults)), |storage| config::load(storage, defaults))
    }

    /// Tells the user what will be counted, once.
    fn tell(&self, storage: &Storage) -> Tracked {
        if io::stderr().is_terminal() && self.tell_once(storage).is_ok_and(|told| told) {
            return Tracked::Told;
        }
        Tracked::Off(Reason::NotTold)
    }

    /// Whether it did. Of several first runs one has the directory; where nothing can be kept it would be told over and over.
    fn tell_once(&self, storage: &Storage) -> Result<bool, Box<dyn std::error::Error>> {
        storage.make()?;
        let _own = storage.own(Duration::ZERO)?;
        let said = self.configuration()?;
        let unasked = said.config.enabled && !said.decided;
        if unasked {
            let notice = format!("{}{}\n", self.tool.notice(), said.config.destination());
            let mut told = false;
            let tell = || io::stderr().write_all(notice.as_bytes()).map(|()| told = true);
            match config::save(storage, &said.config, tell) {
                Err(error) if told => config::note(storage, Kind::Told, &error)?,
                kept => kept?,
            }
        }
        Ok(unasked)
    }

    fn log(&self, command: &str) -> Tracked {
        // Where nobody reads it nothing is lost.
        let _ = self.sample(command).map(|body| io::stderr().write_all(format!("{body}\n").as_bytes()));
        Tracked::Logged
    }

    /// What would be sent for this command now. Where no fingerprint is stored one is shown that is forgotten again.
    pub(crate) fn sample(&self, command: &str) -> io::Result<String> {
        let stored = self.storage.as_ref().and_then(Fingerprint::stored);
        let fingerprint = stored.map_or_else(Fingerprint::generate, Ok)?.to_string();
        Ok(self.point(command).metric(&self.tool, &fingerprint).to_string())
    }

    /// The next point: from where the last one ended, or the process began, to now.
    fn point(&self, command: &str) -> Point {
        let mut start_ns = self.counted_until.load(Ordering::Relaxed);
        loop {
            let time_ns = now_ns().max(start_ns.saturating_add(1));
            let counted = &self.counted_until;
            match counted.compare_exchange(start_ns, time_ns, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Point { start_ns, time_ns, command: command.to_owned() },
                Err(later) => start_ns = later,
            }
        }
    }
}

/// What [`Usage::track`] has to do.
enum Consent {
    Off(Reason),
    Log,
    Unasked,
    /// For so long.
    Given(Duration),
}

fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_a_series_of_its_own() {
        let usage = Usage::start(Tool::new("tool", "1").directory(None));
        let points: Vec<Point> = (0..1000).map(|_| usage.point("build")).collect();
        for two in points.windows(2) {
            assert!(two[0].start_ns < two[0].time_ns && two[0].time_ns == two[1].start_ns, "{two:?}");
        }
    }
}
