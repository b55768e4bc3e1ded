//! `cargo xtask test`: one command that sets up what each suite needs, runs it, and says which suites ran, which were
//! skipped and why.
//!
//! A skip is never silent: a suite that cannot run says why, a Rust test that returns early prints a line that begins
//! with `skipped:`. With `CI=true` a skip that `ci/expected-skips` does not list, with a reason, is a failure.
//!
//! An unsteady test is not silent either: a Rust test that fails is run once more by itself, and where it passes then, the
//! table names it. That is a defect, of the test or of what it tests, but hardly one of the change at hand.

mod cargo_tests;
mod configs;
pub(crate) mod debian;
mod examples;
mod fuzz;
mod machine;
mod models;
mod prometheus;
mod python;
mod run;
mod sdk;
mod skips;

use std::time::{Duration, Instant};

pub use cargo_tests::Libtest;
pub use skips::Expected;

/// What one suite did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed; a suite that could not be built counts as one.
    pub failed: u64,
    /// Tests that did not run, or returned early: `(name, reason)`.
    pub skipped: Vec<(String, String)>,
    /// Tests that failed, and passed when they were run once more by themselves; they are among the passed.
    pub unsteady: Vec<String>,
    /// Why the suite as a whole did not run; its counts are 0 then.
    pub not_run: Option<String>,
}

impl Tally {
    fn not_run(reason: impl Into<String>) -> Self {
        Self { not_run: Some(reason.into()), ..Self::default() }
    }

    fn one(passed: bool) -> Self {
        Self { passed: u64::from(passed), failed: u64::from(!passed), ..Self::default() }
    }

    fn skips(&self) -> usize {
        self.skipped.len() + usize::from(self.not_run.is_some())
    }
}

/// A named group of tests.
struct Suite {
    name: &'static str,
    about: &'static str,
    run: fn() -> Tally,
}

const SUITES: [Suite; 13] = [
    Suite { name: "tidy", about: "the house: layers, sizes, words, links, promises", run: cargo_tests::tidy },
    Suite {
        name: "rust",
        about: "unit, property, integration and documentation tests",
        run: cargo_tests::workspace,
    },
    Suite { name: "examples", about: "every example of every crate, run", run: examples::run },
    Suite {
        name: "python",
        about: "the Python package `aldis` on every CPython of the machine, its types and its stable ABI",
        run: python::run,
    },
    Suite {
        name: "sdk-python",
        about: "OpenTelemetry SDK for Python through `aldis serve`",
        run: sdk::python,
    },
    Suite { name: "sdk-js", about: "OpenTelemetry SDK for JavaScript through `aldis serve`", run: sdk::js },
    Suite { name: "sdk-go", about: "OpenTelemetry SDK for Go through `aldis serve`", run: sdk::go },
    Suite {
        name: "collector",
        about: "OpenTelemetry Collector before and behind `aldis serve`",
        run: sdk::collector,
    },
    Suite {
        name: "prometheus",
        about: "`aldis serve` scraped by Prometheus, promtool and the parsers of others, writing to Prometheus, and telling of itself",
        run: prometheus::run,
    },
    Suite {
        name: "configs",
        about: "configurations by the schema, an independent validator and the Collector's `validate`",
        run: configs::run,
    },
    Suite {
        name: "models",
        about: "receipts, queues, leases and shutdowns in every order of few interruptions",
        run: models::run,
    },
    Suite {
        name: "machine",
        about: "every controller of cgroup v2, and systemd, in a virtual machine",
        run: machine::run,
    },
    Suite { name: "fuzz", about: "every fuzz target, from its corpus, for a bounded time", run: fuzz::run },
];

/// `cargo xtask test [--list | SUITE…]`. `Ok(false)` when a test failed.
///
/// # Errors
/// A suite of that name does not exist, or `ci/expected-skips` cannot be read.
pub fn command(args: &[&str]) -> Result<bool, String> {
    if args == ["--list"] {
        for suite in &SUITES {
            println!("{:<10} {}", suite.name, suite.about);
        }
        return Ok(true);
    }
    if let Some(unknown) = args.iter().find(|arg| !SUITES.iter().any(|suite| suite.name == **arg)) {
        let names: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
        return Err(format!("no suite is called {unknown:?}; there are {}", names.join(", ")));
    }
    let expected = Expected::read(&crate::root().join("ci/expected-skips"))?;
    let chosen = SUITES.iter().filter(|suite| args.is_empty() || args.contains(&suite.name));
    let mut done = Vec::new();
    for suite in chosen {
        println!("\n=== {}: {}", suite.name, suite.about);
        let start = Instant::now();
        let tally = (suite.run)();
        done.push((suite.name, tally, start.elapsed()));
    }
    let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    let (table, well) = conclude(&done, &expected, in_ci);
    println!("{table}");
    Ok(well)
}

/// The table and the closing line, and whether all is well.
fn conclude(done: &[(&str, Tally, Duration)], expected: &Expected, in_ci: bool) -> (String, bool) {
    let head = format!("{:<10} {:>7} {:>7} {:>8} {:>8}", "suite", "passed", "failed", "skipped", "seconds");
    let mut lines = vec![String::new(), head];
    let mut unexpected = Vec::new();
    for (name, tally, took) in done {
        let (skips, seconds) = (tally.skips(), took.as_secs_f64());
        lines.push(format!("{name:<10} {:>7} {:>7} {skips:>8} {seconds:>8.1}", tally.passed, tally.failed));
        for test in &tally.unsteady {
            lines.push(format!("{:<10} unsteady: {test}: failed, then passed by itself", ""));
        }
        let whole = tally.not_run.iter().map(|reason| ((*name).to_owned(), reason.clone()));
        for (test, reason) in
            whole.chain(tally.skipped.iter().map(|(t, r)| (format!("{name}: {t}"), r.clone())))
        {
            lines.push(format!("{:<10} skipped: {test}: {reason}", ""));
            if !expected.lists(&test) {
                unexpected.push(test);
            }
        }
    }
    let failed: u64 = done.iter().map(|(_, tally, _)| tally.failed).sum();
    let passed: u64 = done.iter().map(|(_, tally, _)| tally.passed).sum();
    let skipped: usize = done.iter().map(|(_, tally, _)| tally.skips()).sum();
    let forbidden = if in_ci { unexpected.len() } else { 0 };
    if forbidden > 0 {
        lines.push(format!("\nskipped without a line in ci/expected-skips: {}", unexpected.join(", ")));
    }
    let unsteady: usize = done.iter().map(|(_, tally, _)| tally.unsteady.len()).sum();
    let unsteady = if unsteady > 0 { format!(", {unsteady} unsteady") } else { String::new() };
    lines.push(format!("\n{passed} passed, {failed} failed, {skipped} skipped{unsteady}"));
    (lines.join("\n"), failed == 0 && forbidden == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(tally: Tally, in_ci: bool) -> bool {
        let expected = Expected::parse("fuzz: no nightly there\nrust: a::b: no data there\n").unwrap();
        conclude(&[("rust", tally, Duration::ZERO)], &expected, in_ci).1
    }

    #[test]
    fn a_failure_fails_everywhere() {
        assert!(!verdict(Tally::one(false), false));
        assert!(verdict(Tally::one(true), true));
    }

    #[test]
    fn an_unlisted_skip_fails_in_ci_only() {
        let skipped = |name: &str| Tally { skipped: vec![(name.into(), "why".into())], ..Tally::one(true) };
        assert!(verdict(skipped("c::d"), false));
        assert!(!verdict(skipped("c::d"), true));
        assert!(verdict(skipped("a::b"), true));
        assert!(!verdict(Tally::not_run("no cargo"), true));
    }

    #[test]
    fn an_unsteady_test_fails_nothing_and_is_named() {
        let tally = Tally { unsteady: vec!["a::b".into()], ..Tally::one(true) };
        let (table, well) = conclude(&[("rust", tally, Duration::ZERO)], &Expected::default(), true);
        assert!(well && table.contains("unsteady: a::b") && table.contains("1 unsteady"), "{table}");
    }

    #[test]
    fn suites_have_different_names_and_an_unknown_one_is_refused() {
        for (number, suite) in SUITES.iter().enumerate() {
            assert!(!SUITES[..number].iter().any(|other| other.name == suite.name), "{}", suite.name);
        }
        assert!(command(&["pyhton"]).unwrap_err().contains("python"));
    }
}
