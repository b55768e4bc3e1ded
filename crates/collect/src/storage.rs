//! Where records are kept.

use std::{fmt, io, sync::Arc};

use crate::TelemetryData;

mod file;
pub(crate) mod line;
mod memory;
mod oldest;

pub use file::{FileSettings, FileStats, FileStorage, ScanReport, SyncPolicy};
pub use memory::{MemoryStats, MemoryStorage};
pub use oldest::Record;

/// Keeps records and finds them again. [`crate::TelemetryStream`] calls [`TelemetryStorage::store`] on one thread, batch by batch;
/// the other methods may be called from any thread meanwhile.
///
/// ```
/// use std::sync::Mutex;
/// use aldis_collect::{StorageError, TelemetryData, TelemetryStorage};
///
/// #[derive(Default)]
/// struct Everything(Mutex<TelemetryData>);
///
/// impl TelemetryStorage for Everything {
///     fn store(&self, data: &TelemetryData) -> Result<(), StorageError> {
///         self.0.lock().unwrap().append(data.clone());
///         Ok(())
///     }
///     fn retrieve(
///         &self,
///         start_ns: Option<u64>,
///         end_ns: Option<u64>,
///         limit: Option<usize>,
///     ) -> Result<TelemetryData, StorageError> {
///         let mut data = self.0.lock().unwrap().clone();
///         data.select(start_ns, end_ns, limit);
///         Ok(data)
///     }
/// }
///
/// let storage = Everything::default();
/// storage.store(&TelemetryData::default())?;
/// assert!(storage.retrieve(None, None, Some(10))?.is_empty());
/// # Ok::<(), StorageError>(())
/// ```
pub trait TelemetryStorage: Send + Sync {
    /// Stores a batch.
    ///
    /// # Errors
    /// It was not stored, or only [`StorageError::stored`] records of it were: the first ones (events before metrics), but for those that
    /// it refused by themselves. The rest counts as dropped.
    fn store(&self, data: &TelemetryData) -> Result<(), StorageError>;

    /// The records from `start_ns` (Unix nanoseconds) to before `end_ns`, the oldest first, `limit` of them at most, events and
    /// metrics together.
    ///
    /// # Errors
    /// They could not be read.
    fn retrieve(
        &self,
        start_ns: Option<u64>,
        end_ns: Option<u64>,
        limit: Option<usize>,
    ) -> Result<TelemetryData, StorageError>;

    /// Makes what was stored survive a crash of the machine, as far as this storage can. `flush` and `stop` call it.
    ///
    /// # Errors
    /// That is not certain.
    fn sync(&self) -> Result<(), StorageError> {
        Ok(())
    }

    /// Does what is due by now. A running stream calls it about every flush interval.
    ///
    /// # Errors
    /// It could not be done.
    fn tick(&self) -> Result<(), StorageError> {
        Ok(())
    }
}

impl<S: TelemetryStorage + ?Sized> TelemetryStorage for Arc<S> {
    fn store(&self, data: &TelemetryData) -> Result<(), StorageError> {
        (**self).store(data)
    }

    fn retrieve(
        &self,
        start_ns: Option<u64>,
        end_ns: Option<u64>,
        limit: Option<usize>,
    ) -> Result<TelemetryData, StorageError> {
        (**self).retrieve(start_ns, end_ns, limit)
    }

    fn sync(&self) -> Result<(), StorageError> {
        (**self).sync()
    }

    fn tick(&self) -> Result<(), StorageError> {
        (**self).tick()
    }
}

/// Records of a batch that a storage cannot have.
#[derive(Default)]
pub(crate) struct Refused {
    pub(crate) records: usize,
    /// Why the first of them was.
    reason: Option<String>,
}

/// What is said of the records that were not refused.
pub(crate) const OTHERS_STORED: &str = ", and the others are";

impl Refused {
    pub(crate) fn add(&mut self, number: usize, reason: &str) {
        self.records += 1;
        self.reason.get_or_insert_with(|| format!("number {number} {reason}"));
    }

    /// Says how many of all they are, and what is with the others.
    pub(crate) fn error(&self, all: usize, place: impl fmt::Display, others: &str) -> Option<StorageError> {
        let reason = self.reason.as_ref()?;
        let refused = self.records;
        let message = format!("{refused} of {all} records cannot be stored in {place}{others}: {reason}");
        Some(StorageError::new(message))
    }
}

/// Why a storage did not do what it was asked to.
#[derive(Debug)]
pub struct StorageError {
    /// Records of the batch that are stored all the same: the first ones, but for those that were refused by themselves.
    pub stored: usize,
    message: String,
    source: Option<io::Error>,
}

impl StorageError {
    /// An error that says what went wrong and what can be done.
    pub fn new(message: impl Into<String>) -> Self {
        Self { stored: 0, message: message.into(), source: None }
    }

    /// An error of the system: free room or set rights, and try again.
    pub fn io(doing: impl fmt::Display, source: io::Error) -> Self {
        Self { stored: 0, message: format!("cannot {doing}: {source}"), source: Some(source) }
    }

    /// Both: what went wrong, and what did besides.
    #[must_use]
    pub(crate) fn besides(self, other: Option<Self>) -> Self {
        match other {
            Some(other) => Self { message: format!("{}; {}", self.message, other.message), ..self },
            None => self,
        }
    }

    /// The same error after so many records were stored.
    #[must_use]
    pub fn after(self, stored: usize) -> Self {
        Self { stored, ..self }
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for StorageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}
