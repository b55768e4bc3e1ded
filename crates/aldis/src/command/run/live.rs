//! How an episode stands, on one line of the terminal, while it goes on.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use host::{TelemetryFrame, TelemetryHandleSnapshot};

use crate::terminal::{bytes, count, duration, is_dumb};

/// From one line to the next.
const PERIOD: Duration = Duration::from_millis(500);

/// A line that is drawn anew again and again, and gone in the end.
pub(super) struct Live {
    drawn: Option<Instant>,
    /// The sample that the last line was of: what was used since makes the rate.
    before: Option<TelemetryFrame>,
}

impl Live {
    /// Where it can be drawn: on a terminal that can go back on its line.
    pub(super) fn open() -> Result<Self, &'static str> {
        if io::stderr().is_terminal() && !is_dumb() {
            Ok(Self { drawn: None, before: None })
        } else {
            Err("--live: standard error is no terminal that a line could be drawn on again")
        }
    }

    /// Draws it if it is time.
    pub(super) fn draw(&mut self, snapshot: &TelemetryHandleSnapshot, wall_ns: u64) {
        let is_due = self.drawn.is_none_or(|drawn| drawn.elapsed() >= PERIOD);
        let Some(frame) = snapshot.last_frame.filter(|_| is_due) else { return };
        let line = line(&frame, self.before.as_ref(), snapshot.stats.pids.get(), wall_ns);
        write(&format!("\r{line}\x1b[K"));
        (self.drawn, self.before) = (Some(Instant::now()), Some(frame));
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            write("\r\x1b[K");
        }
    }
}

/// `aldis: 12.3 s, 1.20 CPUs, 512 MiB, 1.0 MiB read, 3.0 MiB written, 12 processes`
fn line(
    frame: &TelemetryFrame,
    before: Option<&TelemetryFrame>,
    processes: Option<u64>,
    wall_ns: u64,
) -> String {
    let (used, passed) = match before {
        Some(before) => (frame.cpu_ns - before.cpu_ns, frame.ts_mono - before.ts_mono),
        None => (frame.cpu_ns, wall_ns),
    };
    let cpus = if passed == 0 { 0.0 } else { used as f64 / passed as f64 };
    let mut line = format!(
        "aldis: {}, {cpus:.2} CPUs, {}, {} read, {} written",
        duration(wall_ns),
        bytes(frame.mem_rss_bytes),
        bytes(frame.io_read_bytes),
        bytes(frame.io_write_bytes),
    );
    if let Some(processes) = processes {
        let noun = if processes == 1 { "process" } else { "processes" };
        line += &format!(", {} {noun}", count(processes));
    }
    line
}

fn write(text: &str) {
    let mut err = io::stderr().lock();
    // A terminal that went away is told by the signal that comes with it.
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

#[cfg(test)]
mod tests {
    use host::EpisodeId;

    use super::*;

    #[test]
    fn the_rate_is_that_since_the_last_line() {
        let frame = |seq, ts_mono, cpu_ns| {
            let builder = TelemetryFrame::builder(EpisodeId::from_u128(1), seq);
            builder.ts_mono(ts_mono).cpu(cpu_ns, 0, 0).memory(3 << 20, 0).io(0, 512).build()
        };
        let (first, second) =
            (frame(0, 5_000_000_000, 1_000_000_000), frame(1, 6_000_000_000, 3_000_000_000));
        let told = line(&first, None, None, 4_000_000_000);
        assert_eq!(told, "aldis: 4.00 s, 0.25 CPUs, 3 MiB, 0 bytes read, 512 bytes written");
        let told = line(&second, Some(&first), Some(12), 5_000_000_000);
        assert_eq!(told, "aldis: 5.00 s, 2.00 CPUs, 3 MiB, 0 bytes read, 512 bytes written, 12 processes");
    }
}
