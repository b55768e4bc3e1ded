//! Small files whose content may change while they are used.

use std::{
    fmt, fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Instant, SystemTime},
};

use super::AuthError;
use crate::limits::{MAX_CREDENTIALS_BYTES, WATCH_INTERVAL};

/// What a file says, read again when the file is another one: looked at when it is used, at most once in
/// [`WATCH_INTERVAL`], on a thread of its own: a file system that does not answer holds nobody up who has an older value. A file that has become unreadable or senseless changes nothing: what it said last stays in force.
pub(super) struct Watched<T> {
    file: Arc<File<T>>,
}

struct File<T> {
    path: PathBuf,
    read: Box<Read<T>>,
    state: Mutex<State<T>>,
}

/// What a file's text says.
type Read<T> = dyn Fn(&str) -> Result<T, AuthError> + Send + Sync;

struct State<T> {
    looked: Option<Instant>,
    is_looking: bool,
    stamp: Option<Stamp>,
    value: Option<Arc<T>>,
}

/// What tells one content of a file from the next without reading it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
}

impl<T: Send + Sync + 'static> Watched<T> {
    /// Nothing is read before it is wanted.
    pub(super) fn new(
        path: &Path,
        read: impl Fn(&str) -> Result<T, AuthError> + Send + Sync + 'static,
    ) -> Self {
        let state = State { looked: None, is_looking: false, stamp: None, value: None };
        let (path, read) = (path.to_owned(), Box::new(read));
        Self { file: Arc::new(File { path, read, state: Mutex::new(state) }) }
    }

    /// What it said when it was read last. Only where it never was, it is read before the answer.
    pub(super) fn get(&self, now: Instant) -> Result<Arc<T>, AuthError> {
        let mut state = self.file.state();
        let Some(value) = state.value.clone() else {
            drop(state);
            return self.file.refresh(now);
        };
        let is_due =
            state.looked.is_none_or(|looked| now.saturating_duration_since(looked) >= WATCH_INTERVAL);
        if is_due && !state.is_looking {
            (state.looked, state.is_looking) = (Some(now), true);
            drop(state);
            let file = self.file.clone();
            let looking = thread::Builder::new().name("aldis-watch".to_owned()).spawn(move || {
                // What it said last stays in force.
                let _ = file.refresh(now);
            });
            if looking.is_err() {
                // There is no thread now; the next who is due tries again.
                self.file.state().is_looking = false;
            }
        }
        Ok(value)
    }
}

impl<T> File<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads it if it is another one. Nobody waits for the state meanwhile.
    fn refresh(&self, now: Instant) -> Result<Arc<T>, AuthError> {
        let known = self.state().stamp;
        let found = self.look(known);
        let mut state = self.state();
        (state.looked, state.is_looking) = (Some(now), false);
        if let Some((stamp, value)) = found? {
            (state.stamp, state.value) = (Some(stamp), Some(Arc::new(value)));
        }
        state.value.clone().ok_or_else(|| AuthError(format!("{} was not read", self.path.display())))
    }

    /// `None` if it is as it was.
    fn look(&self, known: Option<Stamp>) -> Result<Option<(Stamp, T)>, AuthError> {
        let named = |what: String| AuthError(format!("{}: {what}", self.path.display()));
        let file = fs::File::open(&self.path).map_err(|error| named(error.to_string()))?;
        let about = file.metadata().map_err(|error| named(error.to_string()))?;
        let stamp = Stamp { modified: about.modified().ok(), bytes: about.len() };
        if known == Some(stamp) {
            return Ok(None);
        }
        let mut text = String::new();
        let most = MAX_CREDENTIALS_BYTES as u64;
        file.take(most + 1).read_to_string(&mut text).map_err(|error| named(error.to_string()))?;
        if text.len() as u64 > most {
            return Err(named(format!("it is longer than {most} bytes")));
        }
        let value = (self.read)(&text).map_err(|error| named(error.0))?;
        Ok(Some((stamp, value)))
    }
}

impl<T> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watched").field(&self.file.path).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    fn shout(text: &str) -> Result<String, AuthError> {
        match text.trim() {
            "" => Err(AuthError("it is empty".to_owned())),
            text => Ok(text.to_uppercase()),
        }
    }

    #[test]
    fn a_file_is_read_again_when_it_changes_and_stays_in_force_when_it_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let watched = Watched::new(&path, shout);
        let mut now = Instant::now();
        let error = watched.get(now).expect_err("no file").0;
        assert!(error.contains("token") && error.contains("No such file"), "{error}");
        fs::write(&path, "one\n").expect("written");
        assert_eq!(*watched.get(now).expect("there now"), "ONE", "what is not there is looked for each time");
        fs::write(&path, "two two\n").expect("written");
        assert_eq!(*watched.get(now).expect("cached"), "ONE");
        now += WATCH_INTERVAL;
        assert_eq!(looked(&watched, now), "TWO TWO");
        for spoil in [|path: &Path| fs::write(path, "\n"), |path: &Path| fs::remove_file(path)] {
            spoil(&path).expect("spoilt");
            now += WATCH_INTERVAL;
            assert_eq!(looked(&watched, now), "TWO TWO");
        }
    }

    /// What it says once it was looked at.
    fn looked(watched: &Watched<String>, now: Instant) -> String {
        watched.get(now).expect("in force");
        for _ in 0..60_000 {
            if !watched.file.state().is_looking {
                return watched.get(now).expect("in force").to_string();
            }
            thread::sleep(Duration::from_millis(1));
        }
        panic!("it is looked at for ever");
    }

    #[test]
    fn a_file_that_cannot_be_read_now_holds_nobody_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        fs::write(&path, "one").expect("written");
        let (go_on, held) = mpsc::channel::<()>();
        go_on.send(()).expect("the first is not held up");
        let held = Mutex::new(held);
        let watched = Watched::new(&path, move |text| {
            let _ = held.lock().expect("one at a time").recv_timeout(Duration::from_secs(60));
            shout(text)
        });
        let mut now = Instant::now();
        assert_eq!(*watched.get(now).expect("there"), "ONE");
        fs::write(&path, "two two").expect("written");
        for _ in 0..3 {
            now += WATCH_INTERVAL;
            assert_eq!(*watched.get(now).expect("in force"), "ONE", "while it is read");
        }
        go_on.send(()).expect("somebody reads");
        assert_eq!(looked(&watched, now), "TWO TWO");
    }

    #[test]
    fn a_huge_file_is_not_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        fs::write(&path, vec![b'x'; MAX_CREDENTIALS_BYTES + 1]).expect("written");
        let error = Watched::new(&path, shout).get(Instant::now()).expect_err("too long").0;
        assert!(error.contains("longer than"), "{error}");
    }
}
