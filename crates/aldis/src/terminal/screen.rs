//! A terminal that is drawn on in place.

use std::{
    io::{self, IsTerminal, Write},
    panic,
    sync::{Mutex, MutexGuard, PoisonError, mpsc},
    thread,
};

use rustix::{
    process::{Signal, getpgrp, getpid, kill_process},
    termios::{
        LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr,
    },
};
use tokio::{
    runtime::{self, Runtime},
    signal::unix::{SignalKind, signal},
};

use super::{Size, Style, is_dumb, keys};

/// The other screen of a terminal: what was on it before is there again when this is dropped, even by a panic, and while the
/// process is stopped (Ctrl-Z).
pub(crate) struct Screen {
    style: Style,
    keys: Option<mpsc::Receiver<keys::Key>>,
}

/// What is assumed where the terminal does not tell.
const USUAL: Size = Size { width: 80, height: Some(24) };

/// Columns of what is written where there is no terminal.
const PIPE_WIDTH: usize = 110;

/// The other screen, an invisible cursor (xterm control sequences, *DEC Private Mode Set*).
const TAKE: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[2J";

/// A visible cursor, the first screen.
const RESTORE: &[u8] = b"\x1b[?25h\x1b[?1049l";

/// What is taken over of the terminal, and how it was before. There is one terminal.
static TAKEN: Mutex<Taken> = Mutex::new(Taken { screen: false, input: None });

struct Taken {
    screen: bool,
    /// How the input was, where keys are read.
    input: Option<Termios>,
}

impl Taken {
    fn lock() -> MutexGuard<'static, Taken> {
        TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the screen, and the input if it is a terminal that this process may read from.
    fn take(&mut self) {
        self.input = key_by_key();
        self.screen = true;
        write(TAKE);
    }

    fn give_back(&mut self) {
        if std::mem::take(&mut self.screen) {
            write(RESTORE);
        }
        if let Some(before) = self.input.take() {
            // A terminal that went away needs nothing.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &before);
        }
    }
}

/// From now on keys are read as they are typed, and not shown; signals stay. How it was before.
fn key_by_key() -> Option<Termios> {
    let stdin = io::stdin();
    // In the background reading would stop the process.
    let ours = stdin.is_terminal() && tcgetpgrp(&stdin).ok()? == getpgrp();
    let before = ours.then(|| tcgetattr(&stdin).ok()).flatten()?;
    let mut typed = before.clone();
    typed.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
    typed.special_codes[SpecialCodeIndex::VMIN] = 1;
    typed.special_codes[SpecialCodeIndex::VTIME] = 0;
    tcsetattr(&stdin, OptionalActions::Now, &typed).ok()?;
    Some(before)
}

impl Screen {
    /// Takes standard output over, if it is a terminal that can place its cursor.
    pub(crate) fn open() -> Option<Screen> {
        let out = io::stdout();
        if !out.is_terminal() || is_dumb() {
            return None;
        }
        restore_before_panics();
        restore_while_stopped();
        let mut taken = Taken::lock();
        taken.take();
        let keys = taken.input.as_ref().and_then(|_| keys::listen());
        Some(Screen { style: Style::of_stdout(), keys })
    }

    pub(crate) fn style(&self) -> Style {
        self.style
    }

    /// Whether keys are read.
    pub(crate) fn has_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// The next key that was typed.
    pub(crate) fn key(&self) -> Option<keys::Key> {
        self.keys.as_ref()?.try_recv().ok()
    }

    /// How large it is now.
    pub(crate) fn size(&self) -> Size {
        size().unwrap_or(USUAL)
    }

    /// Draws these lines over what was there.
    pub(crate) fn draw(&self, lines: &[String]) {
        // One write, so that no half of a picture is seen; synchronised where the terminal knows how (mode 2026).
        let mut out = String::from("\x1b[?2026h\x1b[H");
        for (i, line) in lines.iter().enumerate() {
            if i > 0 {
                out.push_str("\r\n");
            }
            out.push_str(line);
            out.push_str("\x1b[K");
        }
        out.push_str("\x1b[J\x1b[?2026l");
        // Not while the terminal is somebody else's.
        let _taken = Taken::lock();
        write(out.as_bytes());
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        Taken::lock().give_back();
    }
}

/// What a panic that ends this thread says must not go with the other screen. Those of other threads are contained.
fn restore_before_panics() {
    let drawing = thread::current().id();
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().id() == drawing {
            // Held only by this very thread, while it writes, or by the one that waits to be continued.
            match TAKEN.try_lock() {
                Ok(mut taken) => taken.give_back(),
                Err(_) => write(RESTORE),
            }
        }
        tell(info);
    }));
}

/// Ctrl-Z gives the terminal back, and `fg` takes it again. Where that cannot be, the process stops as any other.
fn restore_while_stopped() {
    let Ok(runtime) = runtime::Builder::new_current_thread().enable_io().build() else { return };
    let entered = runtime.enter();
    let Ok(mut asked) = signal(SignalKind::from_raw(Signal::TSTP.as_raw())) else { return };
    drop(entered);
    let wait = move || {
        while runtime.block_on(asked.recv()).is_some() {
            // Nothing is drawn while it is locked.
            let mut taken = Taken::lock();
            let was = taken.screen;
            taken.give_back();
            stop_until_continued(&runtime);
            if was {
                taken.take();
            }
        }
    };
    // Without the thread Ctrl-Z does nothing; nothing else is lost.
    let _ = thread::Builder::new().name("aldis-stop".into()).spawn(wait);
}

/// Stops this process, and returns when it goes on. The signal may reach another thread first, and this one then runs for a
/// moment longer: to have sent it is not to be stopped.
fn stop_until_continued(runtime: &Runtime) {
    // Heard from now on: who continued it before does not count.
    let continued = {
        let _entered = runtime.enter();
        signal(SignalKind::from_raw(Signal::CONT.as_raw()))
    };
    if kill_process(getpid(), Signal::STOP).is_ok()
        && let Ok(mut continued) = continued
    {
        runtime.block_on(continued.recv());
    }
}

/// The size for a summary that scrolls by.
pub(crate) fn scrolling() -> Size {
    let width = size().map_or(PIPE_WIDTH, |size| size.width);
    Size { width, height: None }
}

fn size() -> Option<Size> {
    let told = tcgetwinsize(io::stdout()).ok()?;
    let (width, height) = (usize::from(told.ws_col), usize::from(told.ws_row));
    (width > 0 && height > 0).then_some(Size { width, height: Some(height) })
}

fn write(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    // A terminal that went away is told by the signal that comes with it.
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}
