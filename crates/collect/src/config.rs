//! How a collector is set up.

use std::{fmt, path::PathBuf, time::Duration};

use crate::limits::{
    DEFAULT_MAX_BYTES, DEFAULT_MAX_ITEMS, FLUSH_INTERVALS, MAX_BLOCK, MAX_BUFFER_ITEMS, MIN_BUFFER_BYTES,
};

/// Where a stream built from the configuration stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StorageBackend {
    /// In memory, bounded.
    #[default]
    Memory,
    /// In the file [`TelemetryConfig::storage_path`], a line of JSON for each record.
    File,
    /// In the SQLite database [`TelemetryConfig::storage_path`].
    Sqlite,
}

impl StorageBackend {
    /// `memory`, `file` or `sqlite`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::File => "file",
            Self::Sqlite => "sqlite",
        }
    }
}

impl std::str::FromStr for StorageBackend {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let all = [Self::Memory, Self::File, Self::Sqlite];
        all.into_iter()
            .find(|backend| backend.as_str() == text)
            .ok_or(ConfigError { setting: "storage_backend", expected: "memory, file or sqlite" })
    }
}

/// What becomes of a record for which there is no room. Whatever is dropped is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Overflow {
    /// The oldest record makes room for it: the buffer is a ring. While everything that is buffered is just being stored, nothing in it can
    /// make room, and it is the newest record that is dropped, as `queue_full`.
    #[default]
    DropOldest,
    /// It is dropped.
    DropNewest,
    /// Whoever records it waits for room, and drops it after that time. On threads that the collector itself needs to make room
    /// nobody waits.
    Block(Duration),
}

/// Settings of a [`crate::TelemetryCollector`].
///
/// ```
/// use std::time::Duration;
/// use aldis_collect::{StorageBackend, TelemetryConfig};
///
/// let config = TelemetryConfig {
///     enabled: true,
///     buffer_size: 1000,
///     flush_interval: Duration::from_secs(10),
///     realtime_mode: false,
///     storage_backend: StorageBackend::File,
///     storage_path: Some("telemetry.jsonl".into()),
///     ..TelemetryConfig::default()
/// };
/// assert_eq!(config.validate(), Ok(()));
///
/// let wrong = TelemetryConfig { buffer_size: 0, ..config };
/// assert_eq!(wrong.validate().unwrap_err().setting, "buffer_size");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TelemetryConfig {
    /// Whether anything is recorded at all.
    pub enabled: bool,
    /// Records that make a running stream flush, and the records that a collector without a running stream holds.
    pub buffer_size: usize,
    /// How long a record waits for the stream, at most.
    pub flush_interval: Duration,
    /// Whether listeners are called, and at once.
    pub realtime_mode: bool,
    /// Where [`crate::TelemetryStream::from_config`] stores.
    pub storage_backend: StorageBackend,
    /// The file or database of that backend.
    pub storage_path: Option<PathBuf>,
    /// What becomes of a record for which there is no room.
    pub overflow: Overflow,
    /// Records buffered at most while a stream runs.
    pub max_items: usize,
    /// Bytes buffered at most.
    pub max_bytes: usize,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            buffer_size: 1000,
            flush_interval: Duration::from_secs(1),
            realtime_mode: false,
            storage_backend: StorageBackend::Memory,
            storage_path: None,
            overflow: Overflow::default(),
            max_items: DEFAULT_MAX_ITEMS,
            max_bytes: DEFAULT_MAX_BYTES,
        }
    }
}

/// A setting is out of its range: change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The field of [`TelemetryConfig`], or `functions` of an [`Aggregation`](crate::Aggregation).
    pub setting: &'static str,
    /// What it takes.
    pub expected: &'static str,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} takes {}", self.setting, self.expected)
    }
}

impl std::error::Error for ConfigError {}

impl TelemetryConfig {
    /// Whether every setting is in its range.
    ///
    /// # Errors
    /// The first that is not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let (shortest, longest) = FLUSH_INTERVALS;
        let needs_path = self.storage_backend != StorageBackend::Memory;
        let rules = [
            ((1..=MAX_BUFFER_ITEMS).contains(&self.max_items), "max_items", "1 to 16777216 records"),
            ((1..=self.max_items).contains(&self.buffer_size), "buffer_size", "1 to max_items records"),
            ((shortest..=longest).contains(&self.flush_interval), "flush_interval", "1 ms to 1 h"),
            (self.max_bytes >= MIN_BUFFER_BYTES, "max_bytes", "at least 65536 bytes"),
            (
                !matches!(self.overflow, Overflow::Block(wait) if wait > MAX_BLOCK),
                "overflow",
                "a wait of at most 1 h",
            ),
            (
                !needs_path || self.storage_path.is_some(),
                "storage_path",
                "a path where storage_backend is file or sqlite",
            ),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, setting, expected)) => Err(ConfigError { setting, expected }),
            None => Ok(()),
        }
    }
}
