//! What a row's runs say against its goals.

use super::row::{Kind, Row};
use super::sample::Sample;
use super::spread::Spread;
use serde_json::{Value, json};

/// One MiB.
const MIB: f64 = 1024.0 * 1024.0;

/// Runs of one row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runs {
    /// Ours against ours, in pairs.
    pub(crate) same: Vec<[Sample; 2]>,
    /// Ours and the other, in pairs, alternating in which comes first.
    pub(crate) pairs: Vec<[Sample; 2]>,
    /// Ours alone, where there is no peer.
    pub(crate) alone: Vec<Sample>,
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) about: String,
    pub(crate) ours: String,
    pub(crate) theirs: String,
    pub(crate) ratio: String,
    pub(crate) same: String,
    pub(crate) goal: String,
    pub(crate) met: bool,
}

impl Line {
    /// The head of the table.
    pub(crate) fn head() -> String {
        let (about, ours, theirs) = ("row", "aldis", "peer");
        format!("{about:<46} {ours:>22} {theirs:>22} {:>20} {:>20}  goal", "ratio", "A against A")
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Line { about, ours, theirs, ratio, same, goal, met } = self;
        let met = if *met { "met" } else { "MISSED" };
        write!(f, "{about:<46} {ours:>22} {theirs:>22} {ratio:>20} {same:>20}  {goal}: {met}")
    }
}

/// The line of a row; `None` when nothing was run.
pub(crate) fn line(row: &Row, runs: &Runs) -> Option<Line> {
    let same = Spread::of(runs.same.iter().map(|[a, b]| a.cpu_us / b.cpu_us));
    let blank = Line {
        about: row.about.into(),
        ours: String::new(),
        theirs: "-".into(),
        ratio: "-".into(),
        same: same.map_or("-".into(), |same| same.to_string()),
        goal: "none".into(),
        met: true,
    };
    match row.kind {
        Kind::Plain => cost(blank, runs, 1.0, None),
        Kind::Share => share(blank, runs),
        Kind::Cost { goal_us, goal_ratio, per_request } => {
            let scale = if per_request { row.offer.bodies.records() as f64 } else { 1.0 };
            cost(blank, runs, scale, Some((goal_us, goal_ratio)))
        }
        Kind::Shards { goal_ratio } => shards(blank, runs, goal_ratio),
        Kind::Idle { goal_mib } => {
            let (ours, theirs) = both(runs, |sample| sample.rss as f64 / MIB);
            bounded(blank, ours?, theirs, "MiB", goal_mib)
        }
        Kind::Latency { goal_p99_ms } => {
            let (ours, theirs) = both(runs, |sample| sample.sink_p99_ms);
            bounded(blank, ours?, theirs, "ms", goal_p99_ms)
        }
        Kind::Rate { .. } => rate(blank, runs),
        Kind::Overload { sink_per_second, budget_mib } => {
            overload(blank, runs, sink_per_second as f64, budget_mib)
        }
    }
}

/// CPU of ours and the peer, `scale` records at a time, against a goal of µs and of a ratio.
fn cost(blank: Line, runs: &Runs, scale: f64, goal: Option<(f64, f64)>) -> Option<Line> {
    let (ours, theirs) = both(runs, |sample| sample.cpu_us * scale);
    let ours = ours?;
    let ratio = Spread::of(runs.pairs.iter().map(|[a, b]| b.cpu_us / a.cpu_us));
    let same = Spread::of(runs.same.iter().map(|[a, b]| a.cpu_us / b.cpu_us));
    let inside = same.zip(ratio).is_some_and(|(same, ratio)| same.holds(ratio.median));
    let met = |(us, least): (f64, f64)| ours.median <= us && ratio.is_none_or(|ratio| ratio.median >= least);
    Some(Line {
        ours: format!("{ours} us"),
        theirs: theirs.map_or("-".into(), |theirs| format!("{theirs} us")),
        ratio: ratio.map_or("-".into(), |r| if inside { "no difference".into() } else { r.to_string() }),
        goal: goal.map_or("none".into(), |(us, ratio)| format!("<= {us} us, >= {ratio}x")),
        met: goal.is_none_or(met),
        ..blank
    })
}

/// CPU of ours under two configurations: the first over the second.
fn share(blank: Line, runs: &Runs) -> Option<Line> {
    let (with, without) = both(runs, |sample| sample.cpu_us);
    let ratio = Spread::of(runs.pairs.iter().map(|[with, without]| with.cpu_us / without.cpu_us))?;
    Some(Line {
        ours: format!("{} us", with?),
        theirs: format!("{} us (ours)", without?),
        ratio: ratio.to_string(),
        ..blank
    })
}

/// Records per second of two shards over those of one.
fn shards(blank: Line, runs: &Runs, goal: f64) -> Option<Line> {
    let ratio = Spread::of(runs.pairs.iter().map(|[one, two]| two.per_second / one.per_second))?;
    let (one, two) = both(runs, |sample| sample.per_second / 1e6);
    Some(Line {
        ours: format!("{} M/s (1)", one?),
        theirs: format!("{} M/s (2)", two?),
        ratio: ratio.to_string(),
        goal: format!(">= {goal}x"),
        met: ratio.median >= goal,
        ..blank
    })
}

/// CPU of all cores, peak memory and latency against the figures that the pipeline's specification gives.
fn rate(blank: Line, runs: &Runs) -> Option<Line> {
    let (ours, theirs) = both(runs, |sample| sample.machine_percent);
    let (memory, _) = both(runs, |sample| sample.rss_peak as f64 / MIB);
    let (p99, _) = both(runs, |sample| sample.sink_p99_ms);
    let (memory, p99, ours) = (memory?, p99?, ours?);
    Some(Line {
        ratio: format!("{:.0} MiB, {:.1} ms", memory.median, p99.median),
        met: memory.high <= RATE_MIB && p99.median <= RATE_P99_MS && ours.median <= RATE_CPU_PERCENT,
        goal: format!("<= {RATE_CPU_PERCENT} %, {RATE_MIB} MiB, p99 {RATE_P99_MS} ms"),
        ..bounded(blank, ours, theirs, "%", RATE_CPU_PERCENT)?
    })
}

/// CPU usage, memory for a million events and ingestion latency in the specification's table, as achieved there.
const RATE_CPU_PERCENT: f64 = 20.0;
const RATE_MIB: f64 = 500.0;
const RATE_P99_MS: f64 = 5.0;

/// Peak memory, and what of `wanted` records per second reached the sink.
fn overload(blank: Line, runs: &Runs, wanted: f64, budget_mib: f64) -> Option<Line> {
    let (ours, theirs) = both(runs, |sample| sample.rss_peak as f64 / MIB);
    let (goodput, _) = both(runs, |sample| 100.0 * sample.sink_per_second / wanted);
    let (ours, goodput) = (ours?, goodput?);
    Some(Line {
        ratio: format!("{:.0} % of R", goodput.median),
        goal: format!("<= {GROWTH_MAX} x {budget_mib} MiB, >= {GOODPUT_PERCENT} % of R"),
        met: ours.high <= GROWTH_MAX * budget_mib && goodput.low >= GOODPUT_PERCENT,
        ..bounded(blank, ours, theirs, "MiB", budget_mib)?
    })
}

/// Most that memory may grow over its budget.
const GROWTH_MAX: f64 = 1.2;
/// Least that a sink must get of what it takes.
const GOODPUT_PERCENT: f64 = 95.0;

fn both(runs: &Runs, number: impl Fn(&Sample) -> f64) -> (Option<Spread>, Option<Spread>) {
    let of = |which: usize| Spread::of(runs.pairs.iter().map(|pair| number(&pair[which])));
    (of(0).or_else(|| Spread::of(runs.alone.iter().map(&number))), of(1))
}

fn bounded(blank: Line, ours: Spread, theirs: Option<Spread>, unit: &str, goal: f64) -> Option<Line> {
    Some(Line {
        ours: format!("{ours} {unit}"),
        theirs: theirs.map_or("-".into(), |theirs| format!("{theirs} {unit}")),
        goal: format!("<= {goal} {unit}"),
        met: ours.median <= goal,
        ..blank
    })
}

/// The runs as raw results.
pub(crate) fn to_json(row: &Row, runs: &Runs) -> Value {
    let pair = |pair: &[Sample; 2]| json!([pair[0].to_json(), pair[1].to_json()]);
    json!({
        "row": row.name,
        "about": row.about,
        "settings": {
            "bodies": format!("{:?}", row.offer.bodies),
            "protocol": row.offer.protocol,
            "encoding": row.offer.encoding,
            "codec": row.offer.codec,
            "tls": row.offer.tls,
            "connections": row.offer.connections,
            "in_flight_per_connection": row.offer.in_flight,
            "answered_when": row.answered,
            "config_ours": row.ours,
            "config_theirs": row.theirs,
        },
        "same": runs.same.iter().map(pair).collect::<Vec<_>>(),
        "pairs": runs.pairs.iter().map(pair).collect::<Vec<_>>(),
        "alone": runs.alone.iter().map(Sample::to_json).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::row::ROWS;
    use super::*;

    fn sample(cpu_us: f64) -> Sample {
        Sample { cpu_us, ..Sample::default() }
    }

    fn runs(ours: f64, theirs: f64) -> Runs {
        let same = vec![[sample(ours), sample(ours * 1.02)], [sample(ours * 1.02), sample(ours)]];
        Runs { same, pairs: vec![[sample(ours), sample(theirs)]; 5], alone: Vec::new() }
    }

    #[test]
    fn a_cost_must_meet_both_goals() {
        let relay = ROWS.iter().find(|row| row.name == "relay").unwrap();
        assert!(line(relay, &runs(0.3, 2.0)).unwrap().met);
        assert!(!line(relay, &runs(0.4, 4.0)).unwrap().met);
        assert!(!line(relay, &runs(0.3, 1.0)).unwrap().met);
        assert_eq!(line(relay, &runs(0.3, 0.301)).unwrap().ratio, "no difference");
        assert_eq!(line(relay, &Runs::default()), None);
    }

    #[test]
    fn a_cost_per_request_is_scaled_by_its_records() {
        let batch = ROWS.iter().find(|row| row.name == "batch").unwrap();
        assert!(line(batch, &runs(0.5, 2.0)).unwrap().ours.starts_with("10.00"));
    }
}
