//! Writes requests into a file.

use std::{fmt, io, path::PathBuf, sync::Arc, time::Duration};

use archive::Key;
use otlp::{Batch, Codec, WireError, json};
use pipeline::{Exporter, Item, Outcome, Sender, exporter::BoxFuture};

use super::{
    Form,
    claim::Claim,
    output::Output,
    sealing::{Sealing, Seals},
    writer::{NotTaken, Writer},
};
use crate::{codec, limits::MAX_FRAME_LENGTH};

/// What requests are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileFormat {
    /// OTLP/JSON.
    #[default]
    Json,
    /// Protobuf.
    Proto,
}

/// When files are rotated and which are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Bytes of the largest file, unless one request is larger.
    pub max_bytes: u64,
    /// Files older than this are removed when one is rotated.
    pub max_age: Option<Duration>,
    /// So many are kept; 0: all.
    pub max_backups: usize,
}

/// When the system is made to write down what it was given. Without, what was acknowledged survives the end of this process,
/// however sudden, but not that of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sync {
    /// When it likes.
    #[default]
    None,
    /// Before requests are acknowledged.
    Batch,
    /// So often.
    Interval(Duration),
}

/// Settings of a file, in the words of the Collector's `file` exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileConfig {
    /// Its name in configuration, metrics and logs.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// What requests are written in.
    pub format: FileFormat,
    /// The level of zstd, if requests are compressed: each then has its length before it.
    pub compression: Option<i32>,
    /// Whether what the file has is kept. With rotation it always is.
    pub append: bool,
    /// When it is rotated; without, it grows.
    pub rotation: Option<Rotation>,
    /// The file with the key, as `aldis seal --key-file` takes it, with which files are sealed that were rotated away. Without
    /// rotation none are.
    pub seal_key_file: Option<PathBuf>,
    /// Permissions of folders that are made where they are missing; without, they are not made.
    pub create_directory: Option<u32>,
    /// When the system is made to write.
    pub sync: Sync,
}

impl FileConfig {
    /// JSON lines in a file that is made anew.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            name: "file".to_owned(),
            path: path.into(),
            format: FileFormat::Json,
            compression: None,
            append: false,
            rotation: None,
            seal_key_file: None,
            create_directory: None,
            sync: Sync::None,
        }
    }

    fn form(&self) -> Form {
        match (self.format, self.compression) {
            (FileFormat::Json, None) => Form::Lines,
            _ => Form::Frames,
        }
    }
}

/// Writes every request into one file and acknowledges it when the system has taken it. A request is in the file whole or not
/// at all, or, where the process was killed, torn at the very end.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use aldis_connect::file::{FileConfig, FileExporter};
/// use pipeline::TelemetryPipeline;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("spans.jsonl");
/// let exporter = FileExporter::start(FileConfig::new(&path))?;
/// let pipeline = TelemetryPipeline::builder().with_exporter(Arc::new(exporter)).build()?;
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// pipeline.record_span(otlp::Span { name: "GET /".into(), ..otlp::Span::default() }).await
/// # })?;
/// pipeline.shutdown(Duration::from_secs(30));
/// let text = std::fs::read_to_string(&path)?;
/// assert!(text.starts_with("{\"resourceSpans\":[") && text.ends_with("}\n"), "{text}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FileExporter {
    config: Arc<FileConfig>,
    writer: Arc<Writer>,
    seals: Option<Seals>,
}

impl fmt::Debug for FileExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileExporter").field("config", &self.config).finish_non_exhaustive()
    }
}

impl FileExporter {
    /// Opens the file and starts the thread that writes it.
    ///
    /// # Errors
    /// What the system says: no folder, no permission, no thread. A file that is being written already, by an exporter that
    /// has not ended, is left as it is.
    pub fn start(config: FileConfig) -> io::Result<Self> {
        let exporter = Self::open(config)?;
        exporter.begin();
        Ok(exporter)
    }

    /// As [`start`](Self::start), but what the file has is left as it is until [`begin`](Self::begin), before which nothing can be
    /// sent: for those who may yet find that they need no file. One that was not there is made.
    ///
    /// # Errors
    /// As `start`.
    pub fn open(config: FileConfig) -> io::Result<Self> {
        let keeps = config.append || config.rotation.is_some();
        let claim = Claim::take(&config.path)?;
        let mut output =
            Output::open(&config.path, config.form(), config.rotation, config.create_directory, keeps)
                .map_err(|error| not_opened(&config, &error))?;
        let sealing = sealing(&config)?;
        let seals = sealing.as_ref().map(|sealing| sealing.seals().clone());
        sealing.into_iter().for_each(|sealing| output.seal_with(sealing));
        let writer = Writer::start(output, claim, config.sync, &config.name)?;
        Ok(Self { config: Arc::new(config), writer: Arc::new(writer), seals })
    }

    /// Empties the file, where it is not to be kept, and writes from then on.
    pub fn begin(&self) {
        self.writer.begin();
    }

    /// The books of what was sealed, where files are that were rotated away.
    pub fn seals(&self) -> Option<&Seals> {
        self.seals.as_ref()
    }

    fn encode(&self, batch: &Batch) -> Result<Vec<u8>, Unwritable> {
        let mut out = Vec::new();
        let form = self.config.form();
        if form == Form::Frames {
            out.extend_from_slice(&[0; size_of::<u32>()]);
        }
        match (self.config.format, self.config.compression) {
            (FileFormat::Json, None) => json::append(batch, &mut out).map_err(Unwritable::Wire)?,
            (FileFormat::Json, Some(level)) => {
                let mut text = Vec::new();
                json::append(batch, &mut text).map_err(Unwritable::Wire)?;
                out.extend_from_slice(&pack(level, &text)?);
            }
            (FileFormat::Proto, None) => out.extend_from_slice(&batch.to_wire()),
            (FileFormat::Proto, Some(level)) => match batch.compressed(Codec::Zstd) {
                Some(received) => out.extend_from_slice(received),
                None => out.extend_from_slice(&pack(level, &batch.to_wire())?),
            },
        }
        if form == Form::Lines {
            out.push(b'\n');
            return Ok(out);
        }
        let length = out.len() - size_of::<u32>();
        if length > MAX_FRAME_LENGTH {
            return Err(Unwritable::TooLong(length));
        }
        out[..size_of::<u32>()].copy_from_slice(&(length as u32).to_be_bytes());
        Ok(out)
    }
}

/// What seals files that were rotated away, if they are to be.
fn sealing(config: &FileConfig) -> io::Result<Option<Sealing>> {
    let (Some(key_file), Some(rotation)) = (&config.seal_key_file, config.rotation) else { return Ok(None) };
    let key = Key::read(key_file).map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {error}", key_file.display()))
    })?;
    Sealing::start(&config.path, config.form(), rotation, key, &config.name).map(Some)
}

/// Says which file it was, and what can be done where that is known.
fn not_opened(config: &FileConfig, error: &io::Error) -> io::Error {
    let help = match error.kind() {
        io::ErrorKind::NotFound if config.create_directory.is_none() => {
            "; make its folder, or set `create_directory: true`"
        }
        io::ErrorKind::PermissionDenied => {
            "; let the user that runs this write there, or name another `path`"
        }
        _ => "",
    };
    io::Error::new(error.kind(), format!("{} cannot be opened: {error}{help}", config.path.display()))
}

fn pack(level: i32, plain: &[u8]) -> Result<bytes::Bytes, Unwritable> {
    codec::compress(Codec::Zstd, level, plain).map_err(|error| Unwritable::Packing(error.to_string()))
}

/// Why a request cannot be written down.
enum Unwritable {
    Wire(WireError),
    Packing(String),
    TooLong(usize),
}

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unwritable::Wire(error) => error.fmt(f),
            Unwritable::Packing(error) => f.write_str(error),
            Unwritable::TooLong(length) => {
                write!(f, "it takes {length} bytes, and a request in a file at most {MAX_FRAME_LENGTH}")
            }
        }
    }
}

impl Exporter for FileExporter {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn open(&self) -> Box<dyn Sender> {
        Box::new(self.clone())
    }
}

impl Sender for FileExporter {
    fn send<'a>(&'a self, item: &'a Item) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let bytes = match self.encode(&item.batch) {
                Ok(bytes) => bytes,
                Err(error) => {
                    let reason = format!("the request cannot be written to a file: {error}");
                    return Outcome::Permanent { code: "unsendable".into(), reason };
                }
            };
            let told = match self.writer.write(bytes) {
                Ok(told) => told.await,
                Err(NotTaken::Full) => return Outcome::overloaded("too much waits to be written"),
                Err(NotTaken::Gone) => {
                    return Outcome::unavailable("the thread that writes the file is gone");
                }
            };
            let path = self.config.path.display();
            let (reason, maybe_delivered) = match told {
                Ok(Ok(())) => return Outcome::DELIVERED,
                Ok(Err(error)) => (format!("{path} cannot be written: {}", error.reason), error.is_written),
                Err(_) => (format!("the thread that writes {path} ended"), true),
            };
            Outcome::Retry { after: None, maybe_delivered, overloaded: false, reason }
        })
    }
}
