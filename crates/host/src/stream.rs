//! Frames of a running episode for whoever asks: a Unix socket that tells them as lines of JSON.
//!
//! [`StreamTelemetry`] offers an episode at `FOLDER/EPISODE.sock` ([`StreamFolder`]): `socat - UNIX:…`, or any program, gets a line for
//! each frame, first those of the ring, then each as it is taken, as `aldis run --json` writes them. Other lines have a `record`:
//!
//! - `{"record":"missed","episode_id":…,"frames":N}`: that many frames were overwritten before this reader took them.
//! - `{"record":"end","episode_id":…,"reason":…,"frames":N}`, with the budget if one was used up, is the last. A stream that ends without it
//!   ended before the episode did.
//! - `{"record":"refused","readers":N}`: there are that many readers, which is all.
//!
//! One thread serves all readers. What a reader has not taken yet waits in the ring, which is there anyhow; so a reader that is slow, or takes
//! nothing at all, costs a fixed number of bytes, and holds up neither the sampler nor other readers.

mod bell;
mod folder;
mod reader;
mod server;

pub use folder::{StreamFolder, StreamSocket};

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

pub(crate) use bell::Bell;

use crate::{handle::TelemetryHandle, id::EpisodeId};
use server::Server;

/// Why frames are not streamed.
#[derive(Debug)]
pub enum StreamError {
    /// The folder for sockets belongs to another user, or others may enter or change it: what is told there would not stay with this user.
    NotPrivate {
        /// The folder.
        path: PathBuf,
    },
    /// The episode is streamed already.
    Streamed {
        /// Its socket.
        path: PathBuf,
    },
    /// The kernel refused.
    Io {
        /// What was to be done with what.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl StreamError {
    pub(crate) fn io(path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Io { path: path.into(), source: source.into() }
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPrivate { path } => {
                write!(f, "{}: not a folder that is this user's alone (0700)", path.display())
            }
            Self::Streamed { path } => write!(f, "{}: the episode is streamed already", path.display()),
            Self::Io { path, source } => write!(f, "{}: {source}", path.display()),
        }
    }
}

impl std::error::Error for StreamError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// What a stream has told until now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StreamCounts {
    /// Readers that came, those included that are gone.
    pub readers: u64,
    /// Readers that found no place ([`MAX_STREAM_READERS`](crate::limits::MAX_STREAM_READERS)).
    pub refused: u64,
    /// Frames that readers were told to have missed, together.
    pub missed: u64,
    /// Readers that had not taken everything when the stream was closed.
    pub cut_off: u64,
}

/// The same, while it changes.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) readers: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) missed: AtomicU64,
    pub(crate) cut_off: AtomicU64,
}

/// Adds to one.
pub(crate) fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// Streams the frames of an episode to any number of readers, at most [`MAX_STREAM_READERS`](crate::limits::MAX_STREAM_READERS) at once, until it
/// is closed or dropped. See [the module](crate::stream) for what is told.
///
/// ```
/// use std::io::{BufRead, BufReader};
/// use aldis_host::{stream::{StreamFolder, StreamTelemetry}, *};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let place = tempfile::tempdir()?;
/// # let place = place.path().join("episodes");
/// let collector = new_shared_collector(TelemetryPolicy::default())?;
/// let own = TreeSubject::new(ProcReader::of_tree(std::process::id())?);
/// let handle = collector.start(Watch::new(EpisodeId::random()?, std::process::id(), own), monotonic_ns())?;
/// // `StreamFolder::of_this_user()` is where others look.
/// let stream = StreamTelemetry::serve(&handle, &StreamFolder::at(&place)?)?;
/// let mut lines = BufReader::new(std::os::unix::net::UnixStream::connect(stream.path())?).lines();
/// assert!(lines.next().unwrap()?.contains("\"seq\":0"));
/// collector.finish(&handle, EndReason::Completed, None, monotonic_ns());
/// assert!(lines.next().unwrap()?.contains("\"terminal\":true"));
/// assert!(lines.next().unwrap()?.contains("\"reason\":\"completed\""));
/// assert!(lines.next().is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct StreamTelemetry {
    episode_id: EpisodeId,
    folder: StreamFolder,
    path: PathBuf,
    handle: TelemetryHandle,
    bell: Arc<Bell>,
    closed: Arc<AtomicBool>,
    counters: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

impl StreamTelemetry {
    /// Offers the frames of an episode at its socket in a folder.
    ///
    /// # Errors
    /// The episode is streamed there already; the socket cannot be made, or the thread not be started.
    pub fn serve(handle: &TelemetryHandle, folder: &StreamFolder) -> Result<Self, StreamError> {
        let episode_id = handle.episode_id();
        let path = folder.socket(episode_id);
        let refused = |error: io::Error| StreamError::io(&path, error);
        let bell = Arc::new(Bell::new().map_err(refused)?);
        let listener = folder.listen(episode_id)?;
        let (closed, counters) = (Arc::<AtomicBool>::default(), Arc::<Counters>::default());
        let server = Server::new(listener, handle.clone(), bell.clone(), closed.clone(), counters.clone());
        handle.heard_by(&bell);
        let thread = thread::Builder::new().name("aldis-stream".into()).spawn(move || server.run());
        let thread = thread.map_err(|error| {
            handle.not_heard_by(&bell);
            folder.unlink(episode_id);
            refused(error)
        })?;
        let (folder, handle) = (folder.clone(), handle.clone());
        Ok(Self { episode_id, folder, path, handle, bell, closed, counters, thread: Some(thread) })
    }

    /// The socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was told until now.
    #[must_use]
    pub fn counts(&self) -> StreamCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { readers, refused, missed, cut_off } = &*self.counters;
        StreamCounts { readers: of(readers), refused: of(refused), missed: of(missed), cut_off: of(cut_off) }
    }

    /// Takes the socket away, gives readers a second ([`STREAM_LINGER`](crate::limits::STREAM_LINGER)) to take what there is, and hangs up.
    #[must_use]
    pub fn close(mut self) -> StreamCounts {
        self.end();
        self.counts()
    }

    fn end(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.folder.unlink(self.episode_id);
        self.closed.store(true, Ordering::Release);
        self.bell.ring();
        // One that panicked has said so.
        let _ = thread.join();
        self.handle.not_heard_by(&self.bell);
    }
}

/// As [`StreamTelemetry::close`].
impl Drop for StreamTelemetry {
    fn drop(&mut self) {
        self.end();
    }
}
