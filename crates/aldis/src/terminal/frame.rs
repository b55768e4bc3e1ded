//! What is going on, as lines of text.

use connect::otlp::ReceiverCounts;
use engine::Seen;
use operators::summary::{OperationRow, RecentRow, ServiceRow, SignalRow, Snapshot};
use otlp::Signal;
use pipeline::Stats;

use super::{
    Size, Style,
    line::{Draw, Line, Paint},
    text::{clock, count, duration, rate, share, sparkline},
    trace,
};

/// What is shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scene {
    /// What runs, and where it listens.
    pub(crate) title: String,
    /// Since when it runs, in seconds.
    pub(crate) seconds: u64,
    /// What is to be known now: an incident, a problem. Each a line.
    pub(crate) news: Vec<String>,
    /// What the summary knows.
    pub(crate) seen: Seen,
    /// What became of everything.
    pub(crate) stats: Stats,
    /// What receivers counted.
    pub(crate) receivers: Vec<(String, ReceiverCounts)>,
    /// What to try next.
    pub(crate) hints: Vec<String>,
    /// The part that has all the room; `None`: each has its share.
    pub(crate) part: Option<Part>,
    /// What stands instead of the parts, where it is not empty.
    pub(crate) help: Vec<String>,
}

/// A part of the picture, below the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Services,
    Operations,
    Errors,
    Trace,
}

impl Part {
    /// Every part, from the top.
    pub(crate) const ALL: [Part; 4] = [Part::Services, Part::Operations, Part::Errors, Part::Trace];
}

/// Columns of a history.
const HISTORY: usize = 20;

/// At most so many lines of each part where there is no end of lines.
const ENDLESS: [usize; 4] = [16, 8, 6, 24];

/// Draws it. No line is wider than the size says, and there are no more than fit.
pub(crate) fn lines(scene: &Scene, size: Size, style: Style) -> Vec<String> {
    let draw = Draw { width: size.width, style };
    let snapshot = &scene.seen.snapshot;
    let mut head = vec![draw.title(scene)];
    head.extend(scene.news.iter().map(|news| draw.one(Paint::Warn, &format!("! {news}"))));
    head.extend(snapshot.signals.iter().filter(|row| row.records > 0).map(|row| draw.signal(row)));
    let mut foot = draw.books(scene);
    foot.extend(scene.hints.iter().map(|hint| draw.one(Paint::Dim, hint)));
    let slowest = slowest(snapshot);
    let branches = snapshot.trace.as_ref().map_or(0, |tree| tree.branches.len());
    let mut wanted = [snapshot.services.len(), slowest.len(), snapshot.errors.len(), branches];
    for (i, wanted) in wanted.iter_mut().enumerate() {
        if scene.part.is_some_and(|part| part as usize != i) || !scene.help.is_empty() {
            *wanted = 0;
        }
    }
    let rows = match size.height {
        None => std::array::from_fn(|part| wanted[part].min(ENDLESS[part])),
        Some(height) => shared(wanted, height.saturating_sub(head.len() + foot.len())),
    };
    let mut lines = head;
    if !scene.help.is_empty() {
        lines.push(String::new());
        lines.extend(scene.help.iter().map(|help| draw.one(Paint::Plain, help)));
    }
    if snapshot.signals.iter().all(|row| row.records == 0) {
        lines.push(String::new());
        lines.push(draw.one(Paint::Dim, "nothing has come yet"));
    }
    if rows[0] > 0 {
        lines.push(String::new());
        lines.extend(draw.services(&snapshot.services, rows[0]));
    }
    if rows[1] > 0 {
        lines.push(String::new());
        lines.extend(draw.operations(&slowest, rows[1]));
    }
    if rows[2] > 0 {
        lines.push(String::new());
        lines.extend(draw.errors(snapshot, rows[2]));
    }
    if let Some(tree) = snapshot.trace.as_ref().filter(|_| rows[3] > 0) {
        lines.push(String::new());
        lines.extend(trace::lines(tree, rows[3] + 1, size.width, style));
    }
    if let Some(height) = size.height {
        lines.truncate(height.saturating_sub(foot.len()));
        lines.resize(height.saturating_sub(foot.len()), String::new());
    } else {
        lines.push(String::new());
    }
    lines.extend(foot);
    lines.truncate(size.height.unwrap_or(usize::MAX));
    lines
}

/// Divides lines among the parts: each has a heading and an empty line above it.
fn shared(wanted: [usize; 4], height: usize) -> [usize; 4] {
    /// Whose turn it is, again and again: the trace grows fastest.
    const TURNS: [usize; 7] = [0, 3, 1, 3, 0, 2, 3];
    let mut rows = [0; 4];
    let mut left = height;
    loop {
        let before = left;
        for part in TURNS {
            let cost = if rows[part] == 0 { 3 } else { 1 };
            if rows[part] < wanted[part] && left >= cost {
                rows[part] += 1;
                left -= cost;
            }
        }
        if left == before {
            return rows;
        }
    }
}

/// The slowest operations of lately; calls that the called service tells too are left out.
fn slowest(snapshot: &Snapshot) -> Vec<&OperationRow> {
    const SERVER: i32 = 2;
    const CLIENT: i32 = 3;
    let is_told = |row: &OperationRow| {
        row.kind == CLIENT
            && snapshot.operations.iter().any(|other| other.kind == SERVER && other.name == row.name)
    };
    snapshot.operations.iter().filter(|row| row.recent.spans > 0 && !is_told(row)).collect()
}

impl Draw {
    fn title(&self, scene: &Scene) -> String {
        let mut line = self.line();
        line.put(Paint::Bold, "aldis").put(Paint::Plain, &format!(" {} ", clock(scene.seconds)));
        line.put(Paint::Dim, &scene.title);
        line.finish()
    }

    fn signal(&self, row: &SignalRow) -> String {
        let name = match row.signal {
            Signal::Traces => "spans",
            Signal::Logs => "logs",
            Signal::Metrics => "points",
            Signal::Profiles => "profiles",
        };
        let mut line = self.line();
        line.left(Paint::Plain, name, 9).right(Paint::Bold, &rate(row.per_second), 7).put(Paint::Dim, "/s ");
        let history = sparkline(&row.history, HISTORY, self.style.unicode);
        line.put(Paint::Good, &history).right(Paint::Plain, &count(row.records), 15);
        line.put(Paint::Dim, " since the start");
        line.finish()
    }

    fn heading(&self, first: &str, first_width: usize, rest: &[(&str, usize)]) -> String {
        let mut line = self.line();
        line.left(Paint::Bold, first, first_width);
        for (name, width) in rest {
            line.right(Paint::Dim, name, *width);
        }
        line.finish()
    }

    /// Requests in a second, errors and durations of lately.
    fn recent(line: &mut Line, row: &RecentRow) {
        if row.spans == 0 {
            line.put(Paint::Dim, "       -       -        -        -");
            return;
        }
        let part = row.error_share();
        let paint = match part {
            p if p >= 0.05 => Paint::Bad,
            p if p > 0.0 => Paint::Warn,
            _ => Paint::Dim,
        };
        line.right(Paint::Plain, &rate(row.per_second), 8).right(paint, &share(part), 8);
        line.right(Paint::Plain, &duration(row.p50_ns), 9).right(Paint::Plain, &duration(row.p99_ns), 9);
    }

    fn services(&self, services: &[ServiceRow], rows: usize) -> Vec<String> {
        let rest = [("asked/s", 8), ("failed", 8), ("p50", 9), ("p99", 9), ("spans/s", 10)];
        let mut lines = vec![self.heading("SERVICES", 20, &rest)];
        let mut services: Vec<&ServiceRow> = services.iter().collect();
        if services.len() > rows {
            // Not all of them: rather those where something is wrong.
            services.sort_by(|a, b| b.asked.error_share().total_cmp(&a.asked.error_share()));
        }
        for row in services.iter().take(rows) {
            let mut line = self.line();
            line.left(Paint::Plain, named(&row.name), 20);
            Self::recent(&mut line, &row.asked);
            line.right(Paint::Plain, &rate(row.per_second), 10).put(Paint::Plain, " ");
            line.put(Paint::Good, &sparkline(&row.history, HISTORY, self.style.unicode));
            lines.push(line.finish());
        }
        self.more(&mut lines, services.len(), rows, "services");
        lines
    }

    fn operations(&self, operations: &[&OperationRow], rows: usize) -> Vec<String> {
        let label = self.width.saturating_sub(36).clamp(20, 60);
        let rest = [("per s", 8), ("failed", 8), ("p50", 9), ("p99", 9)];
        let mut lines = vec![self.heading("SLOWEST OPERATIONS", label, &rest)];
        for row in operations.iter().take(rows) {
            let mut line = self.line();
            line.left(Paint::Plain, &format!("{} {}", named(&row.service), row.name), label);
            Self::recent(&mut line, &row.recent);
            lines.push(line.finish());
        }
        lines
    }

    fn errors(&self, snapshot: &Snapshot, rows: usize) -> Vec<String> {
        let mut lines = vec![self.heading("ERRORS", 20, &[])];
        for row in snapshot.errors.iter().take(rows) {
            let ago = snapshot.at_ns.saturating_sub(row.last_ns) / 1_000_000_000;
            let mut line = self.line();
            line.right(Paint::Dim, &format!("{ago} s ago"), 9).right(
                Paint::Bad,
                &format!("{}x ", row.count),
                8,
            );
            line.put(Paint::Plain, &format!("{} ", named(&row.service)));
            line.put(Paint::Plain, &row.operation);
            if !row.text.is_empty() {
                line.put(Paint::Dim, ": ").put(Paint::Plain, &row.text);
            }
            lines.push(line.finish());
        }
        lines
    }

    fn more(&self, lines: &mut Vec<String>, all: usize, rows: usize, what: &str) {
        if all > rows && rows > 0 {
            lines.pop();
            lines.push(self.one(Paint::Dim, &format!("and {} more {what}", all - rows + 1)));
        }
    }

    /// Where every record is now.
    fn books(&self, scene: &Scene) -> Vec<String> {
        let books = Books::of(&scene.receivers, &scene.stats);
        let paint = |n: u64| if n > 0 { Paint::Bad } else { Paint::Plain };
        let [offered, admitted, refused] = [books.offered, books.admitted, books.refused].map(count);
        let mut line = self.line();
        line.put(Paint::Bold, "records ");
        line.put(Paint::Plain, &format!("offered {offered} = admitted {admitted} + "));
        line.put(paint(books.refused), &format!("refused {refused}"));
        let mut lines = vec![line.finish()];
        let [delivered, removed, lost, waiting] =
            [books.delivered, books.removed, books.lost, books.waiting].map(count);
        let mut line = self.line();
        line.put(
            Paint::Plain,
            &format!("        delivered {delivered} · removed {removed} · waiting {waiting} · "),
        );
        line.put(paint(books.lost), &format!("lost {lost}"));
        lines.push(line.finish());
        if scene.seen.skipped > 0 {
            let skipped = count(scene.seen.skipped);
            lines.push(self.one(Paint::Warn, &format!("the summary had no time for {skipped} records")));
        }
        lines
    }
}

/// A service's name; what has none says so.
fn named(service: &str) -> &str {
    if service.is_empty() { "(no name)" } else { service }
}

/// Sums over all signals and components.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Books {
    offered: u64,
    admitted: u64,
    refused: u64,
    removed: u64,
    delivered: u64,
    lost: u64,
    waiting: u64,
}

impl Books {
    fn of(receivers: &[(String, ReceiverCounts)], stats: &Stats) -> Books {
        let mut books = Books::default();
        for counts in receivers.iter().flat_map(|(_, counts)| &counts.signals) {
            books.offered += counts.records_offered;
            books.admitted += counts.records_admitted;
        }
        books.refused = books.offered - books.admitted.min(books.offered);
        let sum = |named: &pipeline::stats::Named| named.iter().map(|(_, n)| n).sum::<u64>();
        for row in &stats.stages {
            books.removed += sum(&row.removed);
            books.lost += sum(&row.dropped);
            books.waiting += row.held;
        }
        for row in &stats.exporters {
            books.delivered += row.delivered;
            books.lost += row.dropped_total() + row.rejected_total();
            books.waiting += row.queued + row.in_flight;
        }
        books
    }
}
