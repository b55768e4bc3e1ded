//! What a page of metrics says of an engine, and how it changed since the one before.

use serde_json::{Value, json};

use super::exposition::Sample;

/// An engine at a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Picture {
    pub(crate) version: String,
    pub(crate) uptime_seconds: f64,
    pub(crate) ready: bool,
    /// Parts of one CPU.
    pub(crate) cpu: f64,
    pub(crate) resident_bytes: f64,
    pub(crate) budget_used_bytes: f64,
    pub(crate) budget_limit_bytes: f64,
    pub(crate) receivers: Vec<Row>,
    pub(crate) stages: Vec<Row>,
    pub(crate) exporters: Vec<Row>,
    /// Records lost or refused since the start: where, why, how many.
    pub(crate) losses: Vec<(String, String, f64)>,
    /// Where, of what exporters lost, senders were told of so many records: they are not lost.
    pub(crate) handed_back: Vec<(String, f64)>,
    /// Components that are not well.
    pub(crate) unwell: Vec<String>,
}

/// A part of an engine, with records a second.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) per_second: f64,
    pub(crate) out_per_second: f64,
    /// Refused, removed or failed.
    pub(crate) not_per_second: f64,
    /// What waits: records held, or queued.
    pub(crate) waiting: f64,
    /// The part of its queue that is taken, 0 to 1.
    pub(crate) fill: f64,
    /// Nanoseconds; of exporters.
    pub(crate) p50_ns: u64,
    pub(crate) p99_ns: u64,
}

impl Picture {
    /// With what does most in front, of each part.
    pub(crate) fn sorted(mut self) -> Self {
        for rows in [&mut self.receivers, &mut self.stages, &mut self.exporters] {
            rows.sort_by(|one, two| two.per_second.total_cmp(&one.per_second));
        }
        self.losses.sort_by(|(.., one), (.., two)| two.total_cmp(one));
        self
    }
}

/// Two pages and the seconds between them. Without a first one there are no rates.
pub(crate) struct Pages<'a> {
    pub(crate) before: &'a [Sample],
    pub(crate) now: &'a [Sample],
    pub(crate) seconds: f64,
}

fn sum(samples: &[Sample], name: &str, like: &[(&str, &str)]) -> f64 {
    let is_it =
        |sample: &&Sample| sample.name == name && like.iter().all(|(key, value)| sample.label(key) == *value);
    samples.iter().filter(is_it).map(|sample| sample.value).sum()
}

impl Pages<'_> {
    /// What they show.
    pub(crate) fn picture(&self) -> Picture {
        let now = |name: &str| sum(self.now, name, &[]);
        let build = self.now.iter().find(|sample| sample.name == "aldis_build_info");
        let unwell = self.now.iter().filter(|sample| sample.name == "aldis_component_unwell");
        Picture {
            version: build.map(|build| build.label("version").to_owned()).unwrap_or_default(),
            uptime_seconds: now("otelcol_process_uptime"),
            ready: now("aldis_ready") > 0.0,
            cpu: self.rate("otelcol_process_cpu_seconds", &[]),
            resident_bytes: now("otelcol_process_memory_rss"),
            budget_used_bytes: now("aldis_budget_used_bytes"),
            budget_limit_bytes: now("aldis_budget_limit_bytes"),
            receivers: self.rows("aldis_receiver_offered", &["receiver", "transport", "signal"], |like| {
                Row {
                    per_second: self.rate("aldis_receiver_offered", like),
                    out_per_second: self.rate("aldis_receiver_admitted", like),
                    not_per_second: self.rate("aldis_receiver_refused", like),
                    ..Row::default()
                }
            }),
            stages: self.rows("aldis_stage_in", &["stage", "signal"], |like| Row {
                per_second: self.rate("aldis_stage_in", like),
                out_per_second: self.rate("aldis_stage_out", like),
                not_per_second: self.rate("aldis_stage_removed", like)
                    + self.rate("aldis_stage_dropped", like),
                waiting: sum(self.now, "aldis_stage_held", like),
                ..Row::default()
            }),
            exporters: self
                .rows("aldis_exporter_enqueued", &["exporter", "signal"], |like| self.exporter(like)),
            losses: self.losses(),
            handed_back: self.handed_back(),
            unwell: unwell.map(|sample| sample.label("component").to_owned()).collect(),
        }
    }

    fn exporter(&self, like: &[(&str, &str)]) -> Row {
        let [exporter, (_, signal)] = like else { return Row::default() };
        let queue = [*exporter, ("data_type", *signal)];
        let capacity = sum(self.now, "otelcol_exporter_queue_capacity", &queue);
        let size = sum(self.now, "otelcol_exporter_queue_size", &queue);
        let lost = ["aldis_exporter_rejected", "aldis_exporter_dropped", "aldis_exporter_refused"];
        Row {
            per_second: self.rate("aldis_exporter_enqueued", like),
            out_per_second: self.rate("aldis_exporter_delivered", like),
            not_per_second: lost.iter().map(|name| self.rate(name, like)).sum(),
            waiting: sum(self.now, "aldis_exporter_queued", like),
            fill: if capacity > 0.0 { size / capacity } else { 0.0 },
            p50_ns: self.quantile(0.5, &[*exporter]),
            p99_ns: self.quantile(0.99, &[*exporter]),
            ..Row::default()
        }
    }

    /// A row for each set of these labels that a metric has.
    fn rows(&self, name: &str, keys: &[&str], row: impl Fn(&[(&str, &str)]) -> Row) -> Vec<Row> {
        let series = self.now.iter().filter(|sample| sample.name == name);
        series
            .map(|sample| {
                let like: Vec<_> = keys.iter().map(|key| (*key, sample.label(key))).collect();
                let name = like.iter().map(|(_, value)| *value).collect::<Vec<_>>().join(" ");
                Row { name, ..row(&like) }
            })
            .collect()
    }

    /// A second, between the pages; zero where the engine began anew.
    fn rate(&self, name: &str, like: &[(&str, &str)]) -> f64 {
        if self.before.is_empty() || self.seconds <= 0.0 {
            return 0.0;
        }
        (sum(self.now, name, like) - sum(self.before, name, like)).max(0.0) / self.seconds
    }

    /// Of what was sent between the pages, or ever if that is nothing: within a bucket as if all were evenly far apart.
    fn quantile(&self, q: f64, like: &[(&str, &str)]) -> u64 {
        const BUCKETS: &str = "aldis_exporter_latency_bucket";
        let is_it = |sample: &&Sample| {
            sample.name == BUCKETS && like.iter().all(|(key, value)| sample.label(key) == *value)
        };
        let of = |since: &[Sample]| {
            let below = |sample: &Sample| {
                let mut like = like.to_vec();
                like.push(("le", sample.label("le")));
                Some((sample.label("le").parse::<f64>().ok()?, sample.value - sum(since, BUCKETS, &like)))
            };
            let mut buckets: Vec<(f64, f64)> = self.now.iter().filter(is_it).filter_map(below).collect();
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            buckets
        };
        let lately = of(self.before);
        let has_some = lately.last().is_some_and(|(_, count)| *count > 0.0);
        let buckets = if has_some { lately } else { of(&[]) };
        let rank = buckets.last().map_or(0.0, |(_, count)| *count) * q;
        let (mut low, mut under) = (0.0, 0.0);
        for (high, below) in buckets {
            if below >= rank && below > under {
                let high = if high.is_finite() { high } else { low };
                return ((low + (high - low) * (rank - under) / (below - under)) * 1e9) as u64;
            }
            (low, under) = (high, below);
        }
        0
    }

    fn losses(&self) -> Vec<(String, String, f64)> {
        let of = |sample: &Sample| {
            let (place, why) = match sample.name.as_str() {
                "aldis_receiver_refused" => ("receiver", "code"),
                "aldis_stage_dropped" => ("stage", "reason"),
                "aldis_exporter_dropped" => ("exporter", "reason"),
                "aldis_exporter_rejected" => ("exporter", "code"),
                _ => return None,
            };
            (sample.value > 0.0).then(|| (part(sample, place), sample.label(why).to_owned(), sample.value))
        };
        self.now.iter().filter_map(of).collect()
    }

    fn handed_back(&self) -> Vec<(String, f64)> {
        let some = self
            .now
            .iter()
            .filter(|sample| sample.name == "aldis_exporter_handed_back" && sample.value > 0.0);
        some.map(|sample| (part(sample, "exporter"), sample.value)).collect()
    }
}

/// The component that a sample is of, and its signal.
fn part(sample: &Sample, key: &str) -> String {
    format!("{} {}", sample.label(key), sample.label("signal"))
}

impl Picture {
    /// For programs.
    pub(crate) fn as_json(&self) -> Value {
        let rows = |rows: &[Row], not: &str| {
            let row = |row: &Row| {
                json!({
                    "name": row.name, "per_second": row.per_second, "out_per_second": row.out_per_second,
                    not: row.not_per_second, "waiting": row.waiting, "queue_fill": row.fill, "p50_ns": row.p50_ns,
                    "p99_ns": row.p99_ns,
                })
            };
            rows.iter().map(row).collect::<Vec<_>>()
        };
        let losses = self.losses.iter();
        json!({
            "version": self.version, "uptime_seconds": self.uptime_seconds, "ready": self.ready, "cpu": self.cpu,
            "resident_bytes": self.resident_bytes, "budget_used_bytes": self.budget_used_bytes,
            "budget_limit_bytes": self.budget_limit_bytes,
            "receivers": rows(&self.receivers, "refused_per_second"),
            "stages": rows(&self.stages, "removed_per_second"),
            "exporters": rows(&self.exporters, "failed_per_second"),
            "losses": losses.map(|(place, why, n)| json!({"where": place, "why": why, "records": n})).collect::<Vec<_>>(),
            "handed_back": self.handed_back.iter().map(|(place, n)| json!({"where": place, "records": n})).collect::<Vec<_>>(),
            "unwell": self.unwell,
        })
    }
}
