//! A terminal that is drawn on in place.

use std::{
    io::{self, IsTerminal, Write},
    panic, thread,
};

use super::{Size, Style, is_dumb};

/// The other screen of a terminal: what was on it before is there again when this is dropped, even by a panic.
pub(crate) struct Screen {
    style: Style,
}

/// What is assumed where the terminal does not tell.
const USUAL: Size = Size { width: 80, height: Some(24) };

/// Columns of what is written where there is no terminal.
const PIPE_WIDTH: usize = 110;

impl Screen {
    /// Takes standard output over, if it is a terminal that can place its cursor.
    pub(crate) fn open() -> Option<Screen> {
        let out = io::stdout();
        if !out.is_terminal() || is_dumb() {
            return None;
        }
        restore_before_panics();
        // The alternate screen, an invisible cursor (xterm control sequences, *DEC Private Mode Set*).
        write(b"\x1b[?1049h\x1b[?25l\x1b[2J");
        Some(Screen { style: Style::of_stdout() })
    }

    pub(crate) fn style(&self) -> Style {
        self.style
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
        write(out.as_bytes());
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        write(RESTORE);
    }
}

/// A visible cursor, the first screen.
const RESTORE: &[u8] = b"\x1b[?25h\x1b[?1049l";

/// What a panic that ends this thread says must not go with the other screen. Those of other threads are contained.
fn restore_before_panics() {
    let drawing = thread::current().id();
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().id() == drawing {
            write(RESTORE);
        }
        tell(info);
    }));
}

/// The size for a summary that scrolls by.
pub(crate) fn scrolling() -> Size {
    let width = size().map_or(PIPE_WIDTH, |size| size.width);
    Size { width, height: None }
}

fn size() -> Option<Size> {
    let told = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    let (width, height) = (usize::from(told.ws_col), usize::from(told.ws_row));
    (width > 0 && height > 0).then_some(Size { width, height: Some(height) })
}

fn write(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    // A terminal that went away is told by the signal that comes with it.
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}
