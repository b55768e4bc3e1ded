//! A database as a storage.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use collect::{
    PerProcess, StorageBackend, StorageError, TelemetryCollector, TelemetryData, TelemetryStorage,
    TelemetryStream,
};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::rows;

/// How long another process may hold the database before storing, or reading, fails.
const BUSY: Duration = Duration::from_secs(10);

/// What a database that is ours says of itself: `PRAGMA application_id`, and the version of its tables.
const APPLICATION_ID: i32 = 0x414c_4453;
const VERSION: i32 = 1;

/// How a [`DatabaseStorage`] writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatabaseSettings {
    /// Syncs each batch before it counts as stored. Without, a crash of the machine may lose the last batches, as the journal was not
    /// synced since; a crash of the process loses nothing either way, and `flush` syncs.
    pub sync_every_batch: bool,
    /// Keeps so many of the newest records, at most.
    pub max_records: Option<u64>,
}

/// Stores each batch as one transaction. The tables `events` and `metrics` are for anybody's queries: times in Unix nanoseconds,
/// metadata and tags as JSON (SQLite's `json_extract` reads them).
///
/// An event with a value of more than [`MAX_LINE_DEPTH`](collect::limits::MAX_LINE_DEPTH) levels is refused, as by every storage, and the
/// others of its batch are stored. So is a record of a time after 2262-04-11T23:47:16.854775807Z, where SQLite's integers end.
///
/// Several processes may use one database, and a forked child opens its own connection.
///
/// ```
/// use aldis_sqlite::DatabaseStorage;
/// use collect::{TelemetryData, TelemetryEvent, TelemetryStorage};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("telemetry.db");
/// let storage = DatabaseStorage::open(&path)?;
/// let event = TelemetryEvent { time_ns: 17, metadata: vec![("pid".into(), 42.into())], ..TelemetryEvent::default() };
/// storage.store(&TelemetryData { events: vec![event.clone()], metrics: vec![] })?;
/// assert_eq!(storage.retrieve(Some(10), Some(20), None)?.events, [event]);
/// # Ok::<(), collect::StorageError>(())
/// ```
pub struct DatabaseStorage {
    path: PathBuf,
    settings: DatabaseSettings,
    /// SQLite's connections must not cross a fork.
    open: PerProcess<Mutex<Option<Connection>>>,
}

impl DatabaseStorage {
    /// Opens a database, and makes it if it is not there.
    ///
    /// # Errors
    /// It cannot be opened, or is something else's.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StorageError> {
        Self::with_settings(path, DatabaseSettings::default())
    }

    /// Opens a database to be written in another way.
    ///
    /// # Errors
    /// It cannot be opened, or is something else's.
    pub fn with_settings(path: impl AsRef<Path>, settings: DatabaseSettings) -> Result<Self, StorageError> {
        let path = path.as_ref().to_owned();
        let storage = Self { path, settings, open: PerProcess::new(Mutex::new(None)) };
        storage.with("open", |_| Ok(()))?;
        Ok(storage)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Connection>> {
        self.open.get(|_| Mutex::new(None)).lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the connection of this process.
    fn with<T>(
        &self,
        doing: &str,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StorageError> {
        let failed = |error: &dyn std::fmt::Display| {
            StorageError::new(format!("cannot {doing} {}: {error}", self.path.display()))
        };
        let mut open = self.lock();
        let connection = match &mut *open {
            Some(connection) => connection,
            none => {
                let mut connection = self.connect().map_err(|error| failed(&error))?;
                check_owner(&mut connection).map_err(|error| failed(&error))?;
                none.insert(connection)
            }
        };
        work(connection).map_err(|error| failed(&error))
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        if let Some(folder) = self.path.parent() {
            // If this is in vain, opening says so.
            let _ = std::fs::create_dir_all(folder);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(BUSY)?;
        write_ahead(&connection)?;
        let synchronous = if self.settings.sync_every_batch { "full" } else { "normal" };
        connection.pragma_update(None, "synchronous", synchronous)?;
        Ok(connection)
    }
}

/// Makes the tables in an empty database, and takes one that is ours. Says why not.
fn check_owner(connection: &mut Connection) -> Result<(), String> {
    let said = |error: rusqlite::Error| error.to_string();
    // Of two who find it empty one makes the tables, and the other waits and finds them.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(said)?;
    let number =
        |name: &str| transaction.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).map_err(said);
    let tables = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
    match (number("application_id")?, number("user_version")?, tables.map_err(said)?) {
        (APPLICATION_ID, VERSION, _) => return Ok(()),
        (0, 0, 0) => {}
        (APPLICATION_ID, version, _) => {
            return Err(format!("its tables are of version {version}, this program's of {VERSION}"));
        }
        _ => return Err("it is a database of something else".to_owned()),
    }
    let names = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};");
    transaction.execute_batch(rows::TABLES).and_then(|()| transaction.execute_batch(&names)).map_err(said)?;
    transaction.commit().map_err(said)
}

/// Has the journal written ahead. Whoever changes that needs the database alone for a moment, and SQLite does not wait for it.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let end = Instant::now() + BUSY;
    loop {
        match connection.pragma_update(None, "journal_mode", "wal") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < end =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            result => return result,
        }
    }
}

impl TelemetryStorage for DatabaseStorage {
    fn store(&self, data: &TelemetryData) -> Result<(), StorageError> {
        let insert = |connection: &mut Connection| rows::insert(connection, data, self.settings.max_records);
        let refused = self.with("store into", insert)?;
        let Some((first, why)) = refused.first else { return Ok(()) };
        let (path, refused, all) = (self.path.display(), refused.records, data.len());
        let message = format!(
            "{refused} of {all} records cannot be stored in {path}, and the others are: number {first} has {why}"
        );
        Err(StorageError::new(message).after(all - refused))
    }

    fn retrieve(
        &self,
        start_ns: Option<u64>,
        end_ns: Option<u64>,
        limit: Option<usize>,
    ) -> Result<TelemetryData, StorageError> {
        self.with("read", |connection| rows::select(connection, start_ns, end_ns, limit))
    }

    fn sync(&self) -> Result<(), StorageError> {
        // What is in the journal goes into the database, and both are synced.
        let checkpoint = |connection: &mut Connection| {
            connection.query_row("PRAGMA wal_checkpoint(FULL)", [], |row| row.get::<_, i32>(0))
        };
        match self.with("sync", checkpoint)? {
            0 => Ok(()),
            _ => {
                let busy =
                    format!("cannot sync {}: another process is reading it; try again", self.path.display());
                Err(StorageError::new(busy))
            }
        }
    }
}

/// The stream to the storage that a collector's configuration names, a database among them.
///
/// # Errors
/// It cannot be opened.
pub fn from_config(collector: &TelemetryCollector) -> Result<TelemetryStream, StorageError> {
    let config = collector.config();
    match (config.storage_backend, &config.storage_path) {
        (StorageBackend::Sqlite, Some(path)) => {
            Ok(TelemetryStream::new(collector, DatabaseStorage::open(path)?))
        }
        _ => TelemetryStream::from_config(collector),
    }
}
