//! How far long work has come, on one line of the terminal.

use std::{
    io::{self, IsTerminal, Write},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use super::{Style, is_dumb, line::plain, text::clock};

/// From one line to the next.
const PERIOD: Duration = Duration::from_millis(200);

/// Columns of a bar.
const BAR: usize = 24;

/// Columns where the terminal does not tell.
const USUAL: usize = 80;

/// How far work has come: a part of one, or, where nothing bounds it, nothing.
pub(crate) type Part = Box<dyn Fn() -> Option<f64> + Send>;

/// What is done, which may say how much it is by now.
pub(crate) type What = Box<dyn Fn() -> String + Send>;

/// Does the work, and shows meanwhile how far it has come: on standard error, if that is a terminal that can go back on its line,
/// and if it is wanted. What is said is gone at the end.
pub(crate) fn during<T>(is_wanted: bool, what: What, part: Part, work: impl FnOnce() -> T) -> T {
    if !is_wanted || !io::stderr().is_terminal() || is_dumb() {
        return work();
    }
    let style = Style::of_stderr();
    let begun = Instant::now();
    let (ended, end) = mpsc::channel::<()>();
    let show = move || {
        while end.recv_timeout(PERIOD) == Err(mpsc::RecvTimeoutError::Timeout) {
            let told = line(&what(), part(), begun.elapsed(), width(), style);
            write(&format!("\r{told}\x1b[K"));
        }
        write("\r\x1b[K");
    };
    let shown = thread::Builder::new().name("aldis-progress".into()).spawn(show);
    let done = work();
    drop(ended);
    // It only writes; if it failed the line stays.
    let _ = shown.map(thread::JoinHandle::join);
    done
}

/// `what ━━━━━━━━━━━━─────────── 50 % 00:05`, at most so wide that the line does not wrap.
fn line(what: &str, part: Option<f64>, elapsed: Duration, width: usize, style: Style) -> String {
    let bar = part.map_or_else(String::new, |part| {
        let part = part.clamp(0.0, 1.0);
        let full = (part * BAR as f64) as usize;
        format!(" {}{} {:3.0} %", "━".repeat(full), "─".repeat(BAR - full), (part * 100.0).floor())
    });
    let tail = format!("{bar} {}", clock(elapsed.as_secs()));
    // The last column is left alone: some terminals wrap when it is written.
    let room = width.saturating_sub(1);
    let head = room.saturating_sub(tail.chars().count());
    let whole: String = what.chars().take(head).chain(tail.chars()).take(room).collect();
    match style.unicode {
        true => whole,
        false => whole.chars().map(|c| if c.is_ascii() { c } else { plain(c) }).collect(),
    }
}

fn width() -> usize {
    let told = rustix::termios::tcgetwinsize(io::stderr()).map_or(0, |told| usize::from(told.ws_col));
    if told > 0 { told } else { USUAL }
}

fn write(text: &str) {
    let mut err = io::stderr().lock();
    // A terminal that went away is told by the signal that comes with it.
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(part: Option<f64>, width: usize, unicode: bool) -> String {
        line("sending", part, Duration::from_secs(65), width, Style { color: false, unicode })
    }

    #[test]
    fn a_bar_is_as_long_as_the_part_that_is_done() {
        assert_eq!(drawn(Some(0.5), 80, true), "sending ━━━━━━━━━━━━────────────  50 % 01:05");
        assert_eq!(drawn(Some(0.999), 80, false), "sending =======================-  99 % 01:05");
        assert_eq!(drawn(Some(7.0), 80, false), "sending ======================== 100 % 01:05");
        assert_eq!(drawn(None, 80, true), "sending 01:05");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in 0..60 {
            let drawn = drawn(Some(0.3), width, true);
            assert!(drawn.chars().count() <= width.saturating_sub(1), "{width}: {drawn}");
        }
    }
}
