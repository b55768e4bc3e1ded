//! An engine seen from outside, as lines of text.

use super::{
    Size, Style,
    line::{Draw, Paint},
    text::{bytes, clock, count, duration, rate, share},
};
use crate::top::{Picture, Row};

/// Columns of a name.
const NAME: usize = 34;

/// Draws it. No line is wider than the size says, and there are no more than fit.
pub(crate) fn top_lines(picture: &Picture, title: &str, size: Size, style: Style) -> Vec<String> {
    let draw = Draw { width: size.width, style };
    let mut lines = draw.head(picture, title);
    let parts: [(&str, &[Row], [&str; 4]); 3] = [
        ("RECEIVERS", &picture.receivers, ["offered/s", "admitted/s", "refused/s", ""]),
        ("STAGES", &picture.stages, ["in/s", "out/s", "removed/s", "held"]),
        ("EXPORTERS", &picture.exporters, ["in/s", "delivered/s", "failed/s", "queued"]),
    ];
    for (heading, rows, columns) in parts.iter().filter(|(_, rows, _)| !rows.is_empty()) {
        lines.push(String::new());
        let is_last = *heading == "EXPORTERS";
        lines.push(draw.columns(heading, columns, is_last));
        lines.extend(rows.iter().map(|row| draw.row(row, columns, is_last)));
    }
    if !picture.losses.is_empty() {
        lines.push(String::new());
        lines.push(draw.one(Paint::Bold, "LOST AND REFUSED"));
        for (place, why, records) in &picture.losses {
            let mut line = draw.line();
            line.left(Paint::Plain, place, NAME).right(Paint::Bad, &count(*records as u64), 12);
            line.put(Paint::Plain, " ").put(Paint::Dim, why);
            lines.push(line.finish());
        }
        for (place, records) in &picture.handed_back {
            let mut line = draw.line();
            line.left(Paint::Plain, place, NAME).right(Paint::Plain, &count(*records as u64), 12);
            line.put(Paint::Dim, " of these told to who sent them, and not lost");
            lines.push(line.finish());
        }
    }
    lines.truncate(size.height.unwrap_or(usize::MAX));
    lines
}

impl Draw {
    fn head(&self, picture: &Picture, title: &str) -> Vec<String> {
        let mut line = self.line();
        line.put(Paint::Bold, &format!("aldis {} ", picture.version)).put(Paint::Accent, title);
        line.put(Paint::Dim, &format!(" up {} ", clock(picture.uptime_seconds as u64)));
        match picture.ready {
            true => line.put(Paint::Good, "well"),
            false => line.put(Paint::Bad, "not well"),
        };
        let mut lines = vec![line.finish()];
        let part = match picture.budget_limit_bytes {
            limit if limit > 0.0 => picture.budget_used_bytes / limit,
            _ => 0.0,
        };
        let [resident, used, limit] =
            [picture.resident_bytes, picture.budget_used_bytes, picture.budget_limit_bytes]
                .map(|n| bytes(n as u64));
        let cpu = share(picture.cpu);
        lines.push(self.one(
            Paint::Plain,
            &format!("CPU {cpu} · memory {resident} · in flight {used} of {limit} ({})", share(part)),
        ));
        let unwell = picture.unwell.iter().map(|component| format!("! {component} is not well"));
        lines.extend(unwell.map(|text| self.one(Paint::Warn, &text)));
        lines
    }

    fn columns(&self, heading: &str, columns: &[&str; 4], is_exporter: bool) -> String {
        let mut line = self.line();
        line.left(Paint::Bold, heading, NAME);
        for column in columns {
            line.right(Paint::Dim, column, 12);
        }
        for column in ["full", "p50", "p99"].iter().filter(|_| is_exporter) {
            line.right(Paint::Dim, column, 9);
        }
        line.finish()
    }

    fn row(&self, row: &Row, columns: &[&str; 4], is_exporter: bool) -> String {
        let mut line = self.line();
        line.left(Paint::Plain, &row.name, NAME);
        line.right(Paint::Plain, &rate(row.per_second), 12).right(
            Paint::Plain,
            &rate(row.out_per_second),
            12,
        );
        let not = if row.not_per_second > 0.0 { Paint::Bad } else { Paint::Plain };
        line.right(not, &rate(row.not_per_second), 12);
        if !columns[3].is_empty() {
            line.right(Paint::Plain, &count(row.waiting as u64), 12);
        }
        if is_exporter {
            let full = if row.fill > 0.8 { Paint::Bad } else { Paint::Plain };
            line.right(full, &share(row.fill), 9);
            line.right(Paint::Plain, &duration(row.p50_ns), 9).right(Paint::Plain, &duration(row.p99_ns), 9);
        }
        line.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;

    fn picture() -> Picture {
        let row = |name: &str, per_second, not| Row {
            name: name.to_owned(),
            per_second,
            out_per_second: per_second - not,
            not_per_second: not,
            waiting: 1_234.0,
            fill: 0.9,
            p50_ns: 1_500_000,
            p99_ns: 178_000_000,
        };
        Picture {
            version: "1.2.3".to_owned(),
            uptime_seconds: 3_642.0,
            ready: false,
            cpu: 1.25,
            resident_bytes: 402_653_184.0,
            budget_used_bytes: 1_048_576.0,
            budget_limit_bytes: 2_147_483_648.0,
            receivers: vec![row("otlp grpc traces", 12_345.0, 0.0), row("otlp http logs", 10.0, 2.5)],
            stages: vec![row("traces:filter with a name that is too long for it", 12_345.0, 345.0)],
            exporters: vec![row("otlp traces", 12_000.0, 0.0)],
            losses: vec![("otlp traces".to_owned(), "queue_full_oldest".to_owned(), 1_234_567.0)],
            handed_back: vec![("otlp traces".to_owned(), 234_567.0)],
            unwell: vec!["otlp".to_owned()],
        }
    }

    #[test]
    fn pictures_are_those_in_the_files() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/frames");
        let (plain, ascii) = (Style { color: false, unicode: true }, Style { color: false, unicode: false });
        let quiet = Picture { ready: true, version: "1.2.3".to_owned(), ..Picture::default() };
        for (file, picture, size, style) in [
            ("top.txt", picture(), Size { width: 120, height: None }, plain),
            ("top_narrow.txt", picture(), Size { width: 60, height: Some(8) }, ascii),
            ("top_quiet.txt", quiet, Size { width: 80, height: None }, plain),
        ] {
            let drawn = top_lines(&picture, "http://127.0.0.1:8888", size, style).join("\n") + "\n";
            let path = folder.join(file);
            if std::env::var_os("ALDIS_BLESS").is_some() {
                fs::write(&path, &drawn).unwrap();
            }
            assert_eq!(fs::read_to_string(&path).unwrap_or_default(), drawn, "{file}");
        }
    }
}
