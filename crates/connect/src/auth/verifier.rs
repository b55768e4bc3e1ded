//! Passwords that come with requests, checked without letting a flood of wrong ones take the machine.
//!
//! Checking a password is meant to be slow, and every request carries one. So what was found right is remembered by its digest,
//! with the stored password in it, so that a changed file forgets it; what was found wrong likewise. What is new waits for one
//! thread, in a queue of [`MAX_WAITING_PASSWORDS`]; behind a wrong one the thread rests ([`WRONG_PASSWORD_PAUSE`]). A
//! name that nobody has takes the same way, and a wrong answer the same work, whatever form the name's password has: each slow form
//! of the list is computed once.

use std::{
    collections::HashMap,
    fmt, io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Instant,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header::AUTHORIZATION};
use tokio::sync::oneshot;

use super::{
    AuthError, Denied, Identity, after_scheme,
    digest::{Digest, Digests},
    htpasswd::{HtpasswdSettings, Slow, Stored, Users, left},
    only,
    watched::Watched,
};
use crate::limits::{MAX_LOGIN_BYTES, MAX_REMEMBERED_PASSWORDS, MAX_WAITING_PASSWORDS, WRONG_PASSWORD_PAUSE};

/// Knows users by their passwords.
pub(crate) struct Verifier {
    users: Source,
    digests: Digests,
    remembered: Mutex<Remembered>,
    waiting: SyncSender<Question>,
    /// How many passwords were really checked.
    verifications: Arc<AtomicU64>,
}

enum Source {
    Fixed(Arc<Users>),
    File(Watched<Users>),
}

/// What was found, by digest: bounded, and what is wrong cannot push out what is right.
#[derive(Default)]
struct Remembered {
    right: HashMap<Digest, Identity>,
    wrong: HashMap<Digest, ()>,
}

struct Question {
    /// `None` for a name that nobody has.
    stored: Option<Stored>,
    forms: Arc<[Slow]>,
    password: Vec<u8>,
    answer: oneshot::Sender<bool>,
}

impl Verifier {
    pub(super) fn open(settings: &HtpasswdSettings) -> Result<Self, AuthError> {
        settings.validate()?;
        let inline = Users::parse(settings.inline.reveal())?;
        let users = match &settings.file {
            None => Source::Fixed(Arc::new(inline)),
            Some(path) => {
                let watched = Watched::new(path, move |text| Ok(Users::parse(text)?.and(&inline)));
                watched.get(Instant::now())?;
                Source::File(watched)
            }
        };
        let verifications = Arc::new(AtomicU64::new(0));
        let waiting = start(verifications.clone())
            .map_err(|error| AuthError(format!("no thread for checking passwords: {error}")))?;
        let (digests, remembered) = (Digests::new()?, Mutex::default());
        Ok(Self { users, digests, remembered, waiting, verifications })
    }

    #[cfg(test)]
    pub(super) fn verifications(&self) -> u64 {
        self.verifications.load(Relaxed)
    }

    #[cfg(test)]
    pub(super) fn remember_wrong(&self, name: &str) {
        self.remembered().insert(self.digests.of(&[name.as_bytes()]), None);
    }

    /// How many right and how many wrong ones.
    #[cfg(test)]
    pub(super) fn remembers(&self) -> (usize, usize) {
        let remembered = self.remembered();
        (remembered.right.len(), remembered.wrong.len())
    }

    pub(super) async fn admit(&self, headers: &HeaderMap) -> Result<Identity, Denied> {
        let value = only(headers, &AUTHORIZATION)?;
        let (name, password) = login(value.as_bytes()).ok_or(Denied::Wrong)?;
        let users = match &self.users {
            Source::Fixed(users) => users.clone(),
            // It was read once, so that there always is something in force.
            Source::File(watched) => watched.get(Instant::now()).map_err(|_| Denied::Wrong)?,
        };
        let stored = users.stored.get(&name);
        let digest = self.digest(&name, &password, stored);
        if let Some(known) = self.remembered().get(&digest) {
            return known;
        }
        let (answer, answered) = oneshot::channel();
        let question = Question { stored: stored.cloned(), forms: users.forms(), password, answer };
        match self.waiting.try_send(question) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => return Err(Denied::Busy),
        }
        let is_right = answered.await.map_err(|_| Denied::Busy)?;
        let identity: Option<Identity> = is_right.then(|| name.into());
        self.remembered().insert(digest, identity.clone());
        identity.ok_or(Denied::Wrong)
    }

    fn digest(&self, name: &str, password: &[u8], stored: Option<&Stored>) -> Digest {
        let (text, salt): (&[u8], &[u8]) = match stored {
            None => (b"", b""),
            Some(Stored::Bcrypt(text) | Stored::Apr1(text) | Stored::Plain(text)) => {
                (text.reveal().as_bytes(), b"")
            }
            Some(Stored::Sha { digest, salt }) => (digest, salt),
        };
        self.digests.of(&[name.as_bytes(), password, text, salt])
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remembered {
    fn get(&self, digest: &Digest) -> Option<Result<Identity, Denied>> {
        match self.right.get(digest) {
            Some(identity) => Some(Ok(identity.clone())),
            None => self.wrong.get(digest).map(|()| Err(Denied::Wrong)),
        }
    }

    fn insert(&mut self, digest: Digest, identity: Option<Identity>) {
        // Full is begun anew: to choose which to forget would need an order, and both come back by themselves.
        match identity {
            Some(identity) => {
                make_room(&mut self.right);
                self.right.insert(digest, identity);
            }
            None => {
                make_room(&mut self.wrong);
                self.wrong.insert(digest, ());
            }
        }
    }
}

fn make_room<T>(map: &mut HashMap<Digest, T>) {
    if map.len() >= MAX_REMEMBERED_PASSWORDS {
        map.clear();
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("verifications", &self.verifications).finish_non_exhaustive()
    }
}

/// The thread that checks; it ends with whoever asks.
fn start(verifications: Arc<AtomicU64>) -> io::Result<SyncSender<Question>> {
    let (waiting, questions) = sync_channel(MAX_WAITING_PASSWORDS);
    thread::Builder::new().name("aldis-auth".to_owned()).spawn(move || run(&questions, &verifications))?;
    Ok(waiting)
}

fn run(questions: &Receiver<Question>, verifications: &AtomicU64) {
    while let Ok(Question { stored, forms, password, answer }) = questions.recv() {
        // Whoever asked has gone.
        if answer.is_closed() {
            continue;
        }
        verifications.fetch_add(1, Relaxed);
        let begun = Instant::now();
        let is_right = stored.as_ref().is_some_and(|stored| stored.is(&password));
        if !is_right {
            left(&forms, stored.as_ref()).for_each(|form| form.pretend(&password));
        }
        let took = begun.elapsed();
        // Whoever asked may have gone.
        let _ = answer.send(is_right);
        if !is_right {
            thread::sleep(took * WRONG_PASSWORD_PAUSE);
        }
    }
}

/// Name and password of `Basic …` (RFC 7617).
fn login(value: &[u8]) -> Option<(String, Vec<u8>)> {
    let encoded = after_scheme(value, "Basic")?;
    if encoded.len() > MAX_LOGIN_BYTES {
        return None;
    }
    let both = STANDARD.decode(encoded).ok()?;
    let colon = both.iter().position(|byte| *byte == b':')?;
    let name = String::from_utf8(both[..colon].to_vec()).ok()?;
    Some((name, both[colon + 1..].to_vec()))
}
