//! Sending one invocation: on a thread, or as a process of its own.
//!
//! The command starts the process, says in a variable which point of the counter it is to send, and forgets it. The process takes no part
//! in anything of its parent's: it has left its terminal and its group, has no open file of its parent's (a reader of a pipe would wait for
//! it), works in no folder, and is ended by the system if it has not ended in time.

mod errand;
mod notes;
mod process;
mod slot;

use std::{
    env, io,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    limits::{SENDER_GRACE, SENDERS_MAX, TIMEOUT_MAX},
    metric::CommandMetric,
    storage::Storage,
    tool::Tool,
};
use errand::Errand;
pub use notes::LastResult;
pub(crate) use notes::{LAST_RESULT, last_result, note_skipped, skipped};
use slot::Slot;

/// The point that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) start_ns: u64,
    pub(crate) time_ns: u64,
    pub(crate) command: String,
}

impl Point {
    /// As a variable has it.
    fn as_text(&self) -> String {
        format!("{} {} {}", self.start_ns, self.time_ns, self.command)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ' ');
        let mut time = || parts.next()?.parse().ok();
        let (start_ns, time_ns) = (time()?, time()?);
        Some(Self { start_ns, time_ns, command: parts.next()?.to_owned() })
    }

    /// With what is sent of the tool.
    pub(crate) fn metric<'a>(&'a self, tool: &'a Tool, fingerprint: &'a str) -> CommandMetric<'a> {
        CommandMetric {
            service_name: &tool.service_name,
            service_version: &tool.version,
            metric_prefix: &tool.metric_prefix,
            fingerprint,
            command_name: &self.command,
            start_time_unix_nano: self.start_ns,
            time_unix_nano: self.time_ns,
        }
    }
}

/// Something that is being sent.
#[derive(Debug)]
pub struct Sending {
    kind: Kind,
    /// When nobody waits for it any more.
    until: Instant,
}

#[derive(Debug)]
enum Kind {
    Process(Child),
    Thread(JoinHandle<()>),
}

impl Sending {
    /// Waits until it is over, which it is after the configured timeout at the latest, give or take
    /// [`SENDER_GRACE`](crate::limits::SENDER_GRACE). A thread that is held up beyond that (a disk that hangs) is not waited for, nor is a
    /// process beyond [`TIMEOUT_MAX`](crate::limits::TIMEOUT_MAX) and twice that (one that somebody has stopped). Nobody need do this: it is
    /// for programs that live on, whose table of processes would keep an entry otherwise.
    pub fn wait(self) {
        let mut kind = self.kind;
        let mut is_over = move || match &mut kind {
            // That it ended is all there is to know.
            Kind::Process(child) => !matches!(child.try_wait(), Ok(None)),
            Kind::Thread(thread) => thread.is_finished(),
        };
        let mut pause = PAUSE_MIN;
        while !is_over() && Instant::now() < self.until {
            thread::sleep(pause);
            pause = (2 * pause).min(PAUSE_MAX);
        }
    }
}

/// How often it is looked whether a sender has ended: at first, and after a while.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(32);

/// Starts a process that sends.
pub(crate) fn spawn(tool: &Tool, point: &Point) -> io::Result<Sending> {
    let child = Command::new(executable()?)
        .arg0(&tool.name)
        .env(tool.sender_variable(), point.as_text())
        .current_dir("/")
        // A terminal that closes as the command ends takes its group with it.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(Sending { kind: Kind::Process(child), until: Instant::now() + TIMEOUT_MAX + 2 * SENDER_GRACE })
}

/// This program, also when its file has been replaced meanwhile.
fn executable() -> io::Result<std::path::PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { env::current_exe() }
}

/// Starts a thread that sends, unless too many do. Its time has begun when this is called, and ends after the timeout.
pub(crate) fn start_thread(
    under_way: &Arc<AtomicUsize>,
    tool: &Tool,
    storage: &Storage,
    point: Point,
    timeout: Duration,
) -> io::Result<Sending> {
    let began = Instant::now();
    /// Counts itself out at the end.
    struct Place(Arc<AtomicUsize>);
    impl Drop for Place {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    let others = under_way.fetch_add(1, Ordering::Relaxed);
    let place = Place(Arc::clone(under_way));
    if others >= SENDERS_MAX {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    let (tool, storage) = (tool.clone(), storage.clone());
    let send = move || {
        let _place = place;
        if let Some(errand) = Errand::begin(&tool, &storage, began) {
            errand.run(&point);
        }
    };
    let thread = thread::Builder::new().name("usage".to_owned()).spawn(send)?;
    Ok(Sending { kind: Kind::Thread(thread), until: began + timeout + SENDER_GRACE })
}

/// What this process is to send, if it was started to send.
pub(crate) fn ordered(tool: &Tool) -> Option<Point> {
    env::var(tool.sender_variable()).ok().and_then(|text| Point::parse(&text))
}

/// The life of a process that sends.
pub(crate) fn run(tool: &Tool, storage: Option<&Storage>, point: &Point) -> ! {
    let began = Instant::now();
    process::detach(began);
    if let Some(errand) = storage.and_then(|storage| Errand::begin(tool, storage, began)) {
        process::end_after(errand.deadline());
        errand.run(point);
    }
    process::end()
}

/// Removes what this module has stored.
pub(crate) fn forget(storage: &Storage) -> io::Result<()> {
    notes::forget(storage)?;
    Slot::forget(storage)
}

#[cfg(test)]
mod tests {
    use super::{notes::note_result, *};
    use crate::client::SendError;

    #[test]
    fn a_point_is_read_as_it_was_written() {
        let point = Point { start_ns: 1, time_ns: u64::MAX, command: "config schema".to_owned() };
        assert_eq!(Point::parse(&point.as_text()), Some(point));
        for text in ["", "1", "1 2", "a 2 build", "1 -2 build"] {
            assert_eq!(Point::parse(text), None, "{text}");
        }
    }

    /// Nobody waits for ever for what does not end.
    #[test]
    fn what_hangs_is_not_waited_for() {
        let mut sleeps = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = nix::unistd::Pid::from_raw(sleeps.id() as i32);
        let (go_on, hangs) = std::sync::mpsc::channel::<()>();
        let thread = thread::spawn(move || hangs.recv().unwrap_or_default());
        assert!(sleeps.try_wait().unwrap().is_none() && !thread.is_finished());
        for kind in [Kind::Process(sleeps), Kind::Thread(thread)] {
            Sending { kind, until: Instant::now() }.wait();
        }
        drop(go_on);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        nix::sys::wait::waitpid(pid, None).unwrap();
    }

    #[test]
    fn what_was_noted_is_told_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::new(folder.path().join("a"));
        note_skipped(&storage);
        note_result(&storage, Ok(()));
        assert!(!storage.path("").exists(), "a directory that is not there is not made");
        storage.make().unwrap();
        assert_eq!((last_result(&storage), skipped(&storage)), (None, 0));
        note_skipped(&storage);
        note_skipped(&storage);
        note_result(&storage, Err(SendError::Refused(503)));
        assert_eq!(last_result(&storage).unwrap().text, "refused with status 503");
        note_result(&storage, Ok(()));
        assert_eq!((last_result(&storage).unwrap().text.as_str(), skipped(&storage)), ("delivered", 2));
        let _slot = Slot::take(&storage).unwrap();
        forget(&storage).unwrap();
        assert_eq!(std::fs::read_dir(storage.path("")).unwrap().count(), 0);
    }
}
