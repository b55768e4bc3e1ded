//! What a user decides: the five commands of `telemetry`, as functions that say what they did.

use std::{fmt, io};

use crate::{
    client::{Endpoint, EndpointError},
    config::{self, ConfigError, Kind, Note},
    consent::Mode,
    fingerprint::Fingerprint,
    limits::LOCK_PATIENCE,
    sender,
    storage::Storage,
    usage::Usage,
};

/// What is shown where no command is named.
const SAMPLE_COMMAND: &str = "telemetry show";

/// Why a decision could not be kept.
#[derive(Debug)]
pub enum ManageError {
    /// The endpoint cannot be used: give another.
    Endpoint(EndpointError),
    /// The configuration cannot be read or written: mend it, or its folder.
    Config(ConfigError),
    /// A file of the tool's directory cannot be removed or written.
    Storage(io::Error),
    /// There is no home directory to keep it in.
    NoDirectory,
    /// Senders, or another decision, have been writing into the tool's directory for longer than
    /// [`LOCK_PATIENCE`](crate::limits::LOCK_PATIENCE): decide again.
    Busy(io::Error),
}

impl fmt::Display for ManageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ManageError::Endpoint(error) => write!(f, "the endpoint cannot be used: {error}"),
            ManageError::Config(error) => write!(f, "{error}"),
            ManageError::Storage(error) => write!(f, "cannot be stored: {error}"),
            ManageError::NoDirectory => {
                f.write_str("there is no home directory to keep a decision in: set HOME")
            }
            ManageError::Busy(error) => write!(f, "{error}, and may leave something there: decide again"),
        }
    }
}

impl std::error::Error for ManageError {}

impl From<ConfigError> for ManageError {
    fn from(error: ConfigError) -> Self {
        ManageError::Config(error)
    }
}

impl From<io::Error> for ManageError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::TimedOut {
            ManageError::Busy(error)
        } else {
            ManageError::Storage(error)
        }
    }
}

impl Usage {
    /// Counts from now on, and sends to this endpoint, or to the one that is configured. Tells what will be sent, and whether something
    /// else says no.
    ///
    /// # Errors
    /// The endpoint cannot be used, or the configuration cannot be written.
    pub fn enable(&self, endpoint: Option<&str>) -> Result<String, ManageError> {
        let storage = self.kept()?;
        // What cannot be kept makes no directory.
        self.configuration()?;
        if let Some(endpoint) = endpoint {
            Endpoint::parse(endpoint).map_err(ManageError::Endpoint)?;
        }
        storage.make()?;
        let lock = storage.own(LOCK_PATIENCE)?;
        let mut config = self.configuration()?.config;
        config.enabled = true;
        if let Some(endpoint) = endpoint {
            config.otlp_endpoint = Some(endpoint.to_owned());
        }
        config::save(storage, &config, || Ok(()))?;
        drop(lock);
        let status = self.status();
        let state = match (status.endpoint, status.mode) {
            (Some(_), Mode::Send) => format!("{}\n", config.destination()),
            (Some(_), Mode::Log | Mode::Off) => {
                format!("{} For now nothing is sent: {}.\n", config.destination(), status.reason)
            }
            (None, _) => format!("For now nothing is sent: {}.\n", status.reason),
        };
        Ok(format!("{}{state}{}", self.tool.notice(), noted(storage)))
    }

    /// Counts no more, and forgets the fingerprint and what was noted. When it returns nothing is sent any more either: whoever was about to
    /// asks again before.
    ///
    /// # Errors
    /// The configuration cannot be read or written, or a file cannot be removed; what can be forgotten is.
    pub fn disable(&self) -> Result<String, ManageError> {
        let storage = self.kept()?;
        let kept = self.decide_no(storage);
        // Somebody who decided otherwise, and was not waited for any longer, may have written after that: now nobody does.
        let forgotten = self.forget(storage, || match self.configuration()?.config.enabled {
            true => self.write_no(storage),
            false => Ok(()),
        });
        kept?;
        forgotten?;
        Ok(format!("Nothing is counted any more; the fingerprint is forgotten.\n{}", noted(storage)))
    }

    /// Whoever asks from now on is told no; whoever has asked may write something yet, until they give their share of the directory back.
    fn decide_no(&self, storage: &Storage) -> Result<(), ManageError> {
        storage.make()?;
        // Senders go on meanwhile; others who decide are waited for, but not for ever.
        let _share = storage.share(LOCK_PATIENCE);
        self.write_no(storage)
    }

    fn write_no(&self, storage: &Storage) -> Result<(), ManageError> {
        let mut config = self.configuration()?.config;
        config.enabled = false;
        let Err(error) = config::save(storage, &config, || Ok(())) else { return Ok(()) };
        config::note(storage, Kind::No, &error).map_err(|_| error.into())
    }

    /// Removes what was stored, once nobody can write it anew who has asked before.
    fn forget(
        &self,
        storage: &Storage,
        alone: impl FnOnce() -> Result<(), ManageError>,
    ) -> Result<(), ManageError> {
        let lock = match storage.own(LOCK_PATIENCE) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            lock => lock,
        };
        if lock.is_ok() {
            alone()?;
        }
        Fingerprint::forget(storage)?;
        sender::forget(storage)?;
        lock.map(drop).map_err(ManageError::from)
    }

    /// What would be sent, byte for byte, if this were a command that is counted; [`Self::destination`] tells where to.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn show(&self) -> Result<String, ManageError> {
        Ok(self.sample(SAMPLE_COMMAND)?)
    }

    /// Where what is shown would go, in a sentence or two; and why it does not go there now, if that is so.
    pub fn destination(&self) -> String {
        let config = match self.configuration() {
            Ok(said) => said.config,
            Err(error) => return format!("Nothing is sent: the configuration cannot be read: {error}."),
        };
        let status = self.status();
        match (status.endpoint, status.mode) {
            (Some(_), Mode::Log | Mode::Off) => {
                format!("{} For now nothing is sent: {}.", config.destination(), status.reason)
            }
            _ => config.destination(),
        }
    }

    /// Forgets the fingerprint and what was noted. The next invocation that is sent has another.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn reset(&self) -> Result<String, ManageError> {
        self.forget(self.kept()?, || Ok(()))?;
        Ok("The fingerprint is forgotten; the next invocation that is sent has another.\n".to_owned())
    }

    fn kept(&self) -> Result<&Storage, ManageError> {
        self.storage.as_ref().ok_or(ManageError::NoDirectory)
    }
}

/// A line on how a decision was kept, where it could not be as usual.
fn noted(storage: &Storage) -> String {
    Note::stored(storage).map(|note| format!("Note: {note}.\n")).unwrap_or_default()
}
