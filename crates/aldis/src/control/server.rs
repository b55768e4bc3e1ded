//! The side that is asked.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustix::process::geteuid;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    sync::{Semaphore, oneshot},
    time::{sleep, timeout},
};

use super::{LINE_TIMEOUT, MAX_REQUEST_BYTES, Request, is_answered};

/// Who may ask at once; one more is closed.
const MAX_AT_ONCE: usize = 8;
/// How long to wait after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A request that waits for its answer.
pub(crate) struct Asked {
    pub(crate) request: Request,
    answer: oneshot::Sender<Value>,
}

impl Asked {
    /// Answers it.
    pub(crate) fn answer(self, answer: Value) {
        // Whoever asked may have gone.
        let _ = self.answer.send(answer);
    }
}

/// A socket on which requests are taken. It is gone with this.
pub(crate) struct Server {
    path: PathBuf,
    /// Device and file, to remove no other's.
    file: (u64, u64),
}

impl Server {
    /// Listens here, on a thread of its own, and hands over what is asked. What a process that is gone left there is removed.
    ///
    /// # Errors
    /// Another engine listens there, or the system refuses.
    pub(crate) fn start(path: PathBuf, hand: impl Fn(Asked) + Send + Sync + 'static) -> io::Result<Server> {
        remove_stale(&path)?;
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        let found = fs::symlink_metadata(&path)?;
        let server = Server { path, file: (found.dev(), found.ino()) };
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new()
            .name("aldis-control".into())
            .spawn(move || runtime.block_on(listen(listener, Arc::new(hand))))?;
        Ok(server)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let is_ours =
            fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.file);
        if is_ours {
            // If it cannot be removed, the next one finds that nobody answers there.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is something else than a socket"))
        }
        Ok(_) if is_answered(path) => {
            Err(io::Error::new(io::ErrorKind::AddrInUse, "another engine listens there"))
        }
        Ok(_) => fs::remove_file(path),
    }
}

async fn listen(listener: UnixListener, hand: Arc<impl Fn(Asked) + Send + Sync + 'static>) {
    let Ok(listener) = tokio::net::UnixListener::from_std(listener) else { return };
    let places = Arc::new(Semaphore::new(MAX_AT_ONCE));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Before the file's mode was set anybody could connect; and nobody else's business it stays.
        let is_welcome =
            stream.peer_cred().is_ok_and(|peer| peer.uid() == geteuid().as_raw() || peer.uid() == 0);
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        if is_welcome {
            let hand = hand.clone();
            tokio::spawn(async move {
                let _place = place;
                // Its error is the peer's to notice.
                let _ = serve(stream, &*hand).await;
            });
        }
    }
}

async fn serve(stream: UnixStream, hand: &(impl Fn(Asked) + Send + Sync)) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = Vec::new();
    let mut bounded = BufReader::new(read.take(MAX_REQUEST_BYTES));
    timeout(LINE_TIMEOUT, bounded.read_until(b'\n', &mut line)).await??;
    if line.is_empty() {
        return Ok(());
    }
    let answer = match Request::parse(&line) {
        Ok(request) => {
            let (answer, answered) = oneshot::channel();
            hand(Asked { request, answer });
            answered.await.unwrap_or_else(|_| refused("the engine ends"))
        }
        Err(wrong) => refused(&wrong),
    };
    timeout(LINE_TIMEOUT, write.write_all(format!("{answer}\n").as_bytes())).await?
}

/// An answer that says no.
pub(crate) fn refused(message: &str) -> Value {
    json!({"ok": false, "exit": crate::exit::Exit::Unavailable.code(), "text": format!("{message}\n"), "message": message})
}
