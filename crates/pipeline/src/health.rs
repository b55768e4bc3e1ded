//! What is wrong right now, by component.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// The problems of all components that share it. Clones share.
///
/// Components report changes only, so it costs nothing while nothing changes.
#[derive(Clone, Debug, Default)]
pub struct Health {
    problems: Arc<Mutex<BTreeMap<String, Problem>>>,
}

/// What is wrong with one component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What happened last, for people.
    pub what: String,
    /// Since when, Unix nanoseconds.
    pub since_ns: u64,
    /// Since when nothing waits that it could fail again, Unix nanoseconds: it is not known to be well, and nobody needs it.
    pub idle_since_ns: Option<u64>,
}

/// How bad a problem is. Ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It may pass: a destination that does not answer, a panic that was contained.
    Degraded,
    /// It will not pass without a restart: a stage that keeps panicking.
    Dead,
}

impl Health {
    /// Nothing is wrong yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a problem. `since_ns` stays that of the first report until it is resolved; severity never falls until then.
    pub fn report(&self, component: &str, severity: Severity, what: String, now_ns: u64) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        let problem = Problem { severity, what, since_ns: now_ns, idle_since_ns: None };
        match problems.get_mut(component) {
            Some(before) => {
                before.severity = before.severity.max(problem.severity);
                before.what = problem.what;
                before.idle_since_ns = None;
            }
            None => drop(problems.insert(component.to_owned(), problem)),
        }
    }

    /// Notes that nothing waits any more that a component could fail again, until the next report.
    pub fn rest(&self, component: &str, now_ns: u64) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(problem) = problems.get_mut(component) {
            problem.idle_since_ns.get_or_insert(now_ns);
        }
    }

    /// Notes that a component is well again, unless it is dead.
    pub fn resolve(&self, component: &str) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        if problems.get(component).is_some_and(|problem| problem.severity < Severity::Dead) {
            problems.remove(component);
        }
    }

    /// Forgets a component that is no longer there, whatever is wrong with it.
    pub fn forget(&self, component: &str) {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).remove(component);
    }

    /// All problems, by component.
    pub fn problems(&self) -> BTreeMap<String, Problem> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The worst there is; `None` means all is well.
    pub fn worst(&self) -> Option<Severity> {
        self.problems().values().map(|problem| problem.severity).max()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Degraded => "degraded",
            Severity::Dead => "dead",
        };
        write!(f, "{severity}: {}", self.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_keeps_its_beginning_and_its_worst_until_it_is_resolved() {
        let health = Health::new();
        assert_eq!(health.worst(), None);
        health.report("otlp", Severity::Degraded, "503".to_owned(), 5);
        health.report("otlp", Severity::Degraded, "504".to_owned(), 9);
        let problem = health.problems().remove("otlp").unwrap();
        assert_eq!((problem.since_ns, problem.to_string().as_str()), (5, "degraded: 504"));
        let idle_since = || health.problems()["otlp"].idle_since_ns;
        health.rest("otlp", 10);
        health.rest("otlp", 11);
        health.rest("file", 11);
        assert_eq!((idle_since(), health.problems().len()), (Some(10), 1));
        health.report("otlp", Severity::Degraded, "504".to_owned(), 12);
        assert_eq!(idle_since(), None, "something waits again");
        health.resolve("otlp");
        assert_eq!(health.worst(), None);
        health.report("filter", Severity::Dead, "panicked".to_owned(), 5);
        health.report("filter", Severity::Degraded, "again".to_owned(), 6);
        health.resolve("filter");
        assert_eq!(health.worst(), Some(Severity::Dead));
        health.forget("filter");
        assert_eq!(health.worst(), None);
    }
}
