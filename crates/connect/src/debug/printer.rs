//! The thread that prints.

use std::{
    fs::{File, OpenOptions},
    io::{self, IsTerminal, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    },
    thread,
};

use otlp::Batch;
use pipeline::{Charge, Item, clock::now_ns};
use tokio::sync::oneshot;

use super::{
    Target,
    text::{self, Style},
};
use crate::limits::{DEBUG_BATCHES, DEBUG_BYTES, DEBUG_CLOSE_GRACE};

/// Where text goes.
pub(super) enum Output {
    Stdout,
    Stderr,
    File(File),
}

impl Output {
    pub(super) fn open(target: &Target) -> io::Result<Self> {
        Ok(match target {
            Target::Stdout => Output::Stdout,
            Target::Stderr => Output::Stderr,
            Target::File(path) => Output::File(OpenOptions::new().create(true).append(true).open(path)?),
        })
    }

    /// Whether text there may have colours.
    fn has_colors(&self) -> bool {
        let is_terminal = match self {
            Output::Stdout => io::stdout().is_terminal(),
            Output::Stderr => io::stderr().is_terminal(),
            Output::File(file) => file.is_terminal(),
        };
        // <https://no-color.org>
        is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
    }

    fn print(&mut self, text: &str) -> io::Result<()> {
        match self {
            Output::Stdout => io::stdout().lock().write_all(text.as_bytes()),
            Output::Stderr => io::stderr().lock().write_all(text.as_bytes()),
            Output::File(file) => file.write_all(text.as_bytes()),
        }
    }
}

/// A batch that waits to be printed.
struct Waiting {
    batch: Batch,
    bytes: usize,
    /// Given back when it has been printed.
    _charges: Vec<Charge>,
    done: oneshot::Sender<()>,
}

/// What senders and the thread share.
#[derive(Default)]
struct Shared {
    bytes: AtomicUsize,
    /// Records that found no room since this was last said.
    not_shown: AtomicU64,
}

pub(super) struct Printer {
    send: Option<SyncSender<Waiting>>,
    shared: Arc<Shared>,
    ended: Mutex<Receiver<()>>,
}

impl Printer {
    pub(super) fn start(outputs: Vec<Output>, style: Style) -> io::Result<Self> {
        let (send, waiting) = mpsc::sync_channel(DEBUG_BATCHES);
        let (tell, ended) = mpsc::sync_channel(1);
        let shared = Arc::new(Shared::default());
        let own = shared.clone();
        let print = move || {
            Thread { outputs, style, shared: own }.run(&waiting);
            // Nobody listens any more if that took too long.
            let _ = tell.try_send(());
        };
        thread::Builder::new().name("aldis-debug".into()).spawn(print)?;
        Ok(Self { send: Some(send), shared, ended: Mutex::new(ended) })
    }

    /// Hands a batch over; what is returned is told when it is printed. `None` if there is no room: it is counted, and that
    /// is said.
    pub(super) fn print(&self, item: &Item) -> Option<oneshot::Receiver<()>> {
        let bytes = item.batch.memory_bytes();
        // One may always wait, however large it is: it is there already.
        let room = |held: usize| (held == 0 || held + bytes <= DEBUG_BYTES).then_some(held + bytes);
        let taken = self.shared.bytes.fetch_update(Relaxed, Relaxed, room).is_ok();
        let (done, told) = oneshot::channel();
        let (batch, charges) = (item.batch.clone(), item.context.charges.clone());
        let waiting = Waiting { batch, bytes, _charges: charges, done };
        let sent = taken && self.send.as_ref().is_some_and(|send| send.try_send(waiting).is_ok());
        if sent {
            return Some(told);
        }
        self.shared.not_shown.fetch_add(item.batch.len() as u64, Relaxed);
        if taken {
            self.shared.bytes.fetch_sub(bytes, Relaxed);
        }
        None
    }
}

impl Drop for Printer {
    fn drop(&mut self) {
        self.send = None;
        // A terminal that nobody reads does not keep the program from ending.
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _: Result<(), RecvTimeoutError> = ended.recv_timeout(DEBUG_CLOSE_GRACE);
    }
}

struct Thread {
    outputs: Vec<Output>,
    style: Style,
    shared: Arc<Shared>,
}

impl Thread {
    fn run(mut self, waiting: &Receiver<Waiting>) {
        for Waiting { batch, bytes, _charges, done } in waiting {
            self.tell_not_shown();
            let at_ns = now_ns();
            for output in &mut self.outputs {
                let style = Style { colors: output.has_colors(), ..self.style.clone() };
                // A reader that went away costs its text, as the exporter only shows.
                let _ = output.print(&text::render(&batch, &style, at_ns));
            }
            drop((batch, _charges));
            self.shared.bytes.fetch_sub(bytes, Relaxed);
            // Its sender may have stopped waiting.
            let _ = done.send(());
        }
        self.tell_not_shown();
    }

    fn tell_not_shown(&mut self) {
        let records = self.shared.not_shown.swap(0, Relaxed);
        if records == 0 {
            return;
        }
        let text = format!("{}: {records} records were not shown: printing is too slow\n", self.style.name);
        for output in &mut self.outputs {
            let _ = output.print(&text);
        }
    }
}
