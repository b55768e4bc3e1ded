//! Events and metrics of a collector in a SQLite database.
//!
//! ```
//! use aldis_sqlite::DatabaseStorage;
//! use collect::{EventType, TelemetryCollector, TelemetryConfig, TelemetryStream};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("telemetry.db");
//! let collector = TelemetryCollector::new(TelemetryConfig::default())?;
//! let stream = TelemetryStream::new(&collector, DatabaseStorage::open(&path)?);
//! stream.start()?;
//! collector.collect_event("app", "Started", EventType::Info, &[]);
//! collector.flush()?;
//! assert_eq!(stream.storage().retrieve(None, None, Some(1))?.events[0].message, "Started");
//! # Ok(())
//! # }
//! ```
//!
//! A crate of its own because SQLite is a library in C that comes with it, which others need not compile.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod rows;
mod storage;

pub use storage::{DatabaseSettings, DatabaseStorage, from_config};
