//! Taking records out by condition: the Collector's `filter` processor.
//!
//! Conditions are written in the language of [`expr`], or as Collector configurations spell simple ones (OTTL).
//! Both spellings are accepted, even in one condition; what is not listed here is left for `expr` to judge. Span events
//! cannot be filtered.
//!
//! | OTTL | here |
//! |---|---|
//! | `and`, `or`, `not`, `nil` | `&&`, `\|\|`, `!(…)` around one comparison, `null` |
//! | `span.`, `log.`, `datapoint.` before a field | nothing |
//! | `instrumentation_scope.` | `scope.` |
//! | `attributes` in the resource's or scope's own context | `resource.attributes`, `scope.attributes` |
//! | `metric.name`, `metric.unit`, `metric.description`, `metric.type`, and without `metric.` in the metric's own context | `metric_name`, … |
//! | `status.code`, `status.message` | `status_code`, `status_message` |
//! | `start_time`, `end_time`, `time`, `observed_time`, also with `_unix_nano` | `start_ns`, `end_ns`, `time_ns`, `observed_time_ns` |
//! | `trace_id.string`, `span_id.string`, `parent_span_id.string`, `body.string` | without `.string` |
//! | `SPAN_KIND_…`, `STATUS_CODE_…`, `SEVERITY_NUMBER_…`, `METRIC_DATA_TYPE_…` | `KIND_…`, `STATUS_…`, `SEVERITY_…`, `METRIC_…` |
//! | `IsMatch(x, "re")` | `(x).matches("re")` |
//! | `HasPrefix(x, y)`, `HasSuffix(x, y)` | `(x).startsWith(y)`, `(x).endsWith(y)` |
//! | `Len(x)`, `Int(x)`, `Double(x)`, `String(x)`, `Bool(x)`, `Duration("1s")` | `size(x)`, `int(x)`, `double(x)`, `string(x)`, `bool(x)`, `duration("1s")` |
//! | `ToLowerCase(x)`, `ToUpperCase(x)` | `(x).lower()`, `(x).upper()` |
//! | `TraceID(0x…)`, `SpanID(0x…)` | the digits as a text |
//! | `IsRootSpan()` | `is_root` |

use std::sync::Arc;

use expr::{Environment, Expression, Selection};
use otlp::{Batch, Depth, Signal};

use crate::{Operator, Output, SettingError, StepContext, limits::MAX_RULE_NAME_BYTES};

mod translate;

pub(crate) use translate::compile;

/// What a condition is about: what a bare `attributes` in it belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Context {
    /// Spans, log records, data points.
    #[default]
    Record,
    /// Resources: all records of one go or stay.
    Resource,
    /// Instrumentation scopes: all records of one go or stay.
    Scope,
    /// Metrics: all data points of one go or stay.
    Metric,
}

/// One condition of a filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Where it stands in the settings: `traces.span[0]`.
    pub path: String,
    /// The condition, in the language of [`expr`] or as simple OTTL.
    pub text: String,
    /// What it is about.
    pub context: Context,
}

/// Removes every record for which any condition holds, and counts it under the first that does. A condition that reads
/// something absent holds only if it says so (`!=`, `== null`, `not`).
///
/// The Collector's `error_mode` chooses what happens when a condition fails on a record. Conditions here are checked when
/// they are compiled and cannot fail afterwards, so all its modes come to the same.
///
/// ```
/// use aldis_operators::{Operator, filter::{Condition, Filter}};
///
/// let condition = Condition {
///     path: "traces.span[0]".into(),
///     text: r#"attributes["http.route"] == "/healthz" and IsRootSpan()"#.into(),
///     ..Condition::default()
/// };
/// let filter = Filter::new(otlp::Signal::Traces, &[condition]).unwrap();
/// assert_eq!(filter.rules().len(), 1);
/// ```
#[derive(Debug)]
pub struct Filter {
    conditions: Vec<Expression>,
    rules: Vec<Arc<str>>,
    /// Kept from batch to batch for its memory.
    selection: Selection,
}

impl Filter {
    /// Compiles the conditions for records of one signal.
    ///
    /// # Errors
    /// Every fault of every condition, with its place.
    pub fn new(signal: Signal, conditions: &[Condition]) -> Result<Self, Vec<SettingError>> {
        let environment = Environment::of(signal);
        let mut filter = Self { conditions: Vec::new(), rules: Vec::new(), selection: Selection::default() };
        let mut errors = Vec::new();
        for condition in conditions {
            match compile(&condition.text, condition.context, &environment) {
                Ok(expression) => filter.conditions.push(expression),
                Err(faults) => errors.extend(faults.into_iter().map(|(at, message)| SettingError {
                    path: condition.path.clone(),
                    message,
                    at: Some(at),
                })),
            }
            filter.rules.push(rule_name(&condition.text));
        }
        if errors.is_empty() { Ok(filter) } else { Err(errors) }
    }
}

impl Operator for Filter {
    fn needs(&self) -> Depth {
        self.conditions.iter().map(Expression::needs).max().unwrap_or(Depth::Counts)
    }

    fn step(&mut self, mut batch: Batch, _context: &StepContext<'_>, out: &mut Output) {
        for (rule, condition) in self.conditions.iter().enumerate() {
            condition.select(&batch, &mut self.selection);
            if self.selection.count() == 0 {
                continue;
            }
            let selection = &self.selection;
            let removed = batch.retain(|_, i| !selection.contains(i));
            out.removed(rule, removed as u64);
            if batch.is_empty() {
                return;
            }
        }
        out.emit(batch);
    }

    fn rules(&self) -> &[Arc<str>] {
        &self.rules
    }
}

/// The condition itself, cut where it is too long for a label.
fn rule_name(text: &str) -> Arc<str> {
    text[..text.floor_char_boundary(MAX_RULE_NAME_BYTES)].into()
}
