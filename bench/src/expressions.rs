//! `bench expr`: what a condition costs per record, beside the `cel` crate on the same records.
//!
//! Input are hipstershop's spans in requests of about a thousand, all in memory, read once before the clock starts. Ours is
//! [`::expr::Expression::select`] over the batch, which a filter calls. For `cel` two costs are told: of executing its
//! program with a context at hand, and with the making of that context from the same span, which a filter would also pay.

use std::collections::HashMap;
use std::hint::black_box;
use std::path::Path;

use ::expr::{Environment, Expression, List, Selection, Value};
use bytes::Bytes;
use otlp::view::{Attributes, ValueView};
use otlp::{Batch, Check, Checker, Depth, Signal};

use crate::process::spread::Spread;

/// Records: how large requests are made.
const RECORDS_PER_REQUEST: u32 = 1000;

/// Measurements of each cost; the median is told, and the range.
const MEASUREMENTS: usize = 9;

/// Nanoseconds of CPU: how long a measurement lasts at least.
const MEASURED_NS: u64 = 150_000_000;

/// Spans: the sample on which `cel` is measured.
const CEL_SPANS: usize = 5000;

/// Typical conditions: an attribute under one service, the fields of slow or failed spans, texts.
const CONDITIONS: [&str; 4] = [
    r#"attributes["http.status_code"] >= 500 && resource["service.name"] == "frontend""#,
    r#"attributes["grpc.method"] == "/hipstershop.CurrencyService/Convert""#,
    r#"duration_ns > duration("100ms") || status_code == STATUS_ERROR"#,
    r#"name.matches("(?:Cart|Checkout)Service/.*Order")"#,
];

/// Measures and prints.
pub(crate) fn command(shared: &Path) -> Result<(), String> {
    let batches = batches(shared)?;
    let records: usize = batches.iter().map(Batch::len).sum();
    println!("{records} spans in {} requests; CPU ns per span: median [least, most]", batches.len());
    for condition in CONDITIONS {
        let expression = Expression::condition(condition, &Environment::of(Signal::Traces))
            .map_err(|errors| errors[0].to_string())?;
        let mut selection = Selection::default();
        let mut selected = 0;
        let ours = spread(records, || {
            selected = 0;
            for batch in &batches {
                expression.select(batch, &mut selection);
                selected += selection.count();
            }
        })?;
        let single = spread(records, || {
            for batch in &batches {
                for i in 0..batch.len() {
                    black_box(expression.matches(batch, i));
                }
            }
        })?;
        println!("\n{condition}\n  selects {selected}\n  select {ours}\n  matches, one by one {single}");
        for (what, cost) in cel(condition, &batches)? {
            println!("  {what} {cost}");
        }
    }
    Ok(())
}

/// Runs `pass` and tells its cost per record. The clock of a thread's CPU time ticks every few milliseconds: a measurement
/// repeats the pass until [`MEASURED_NS`] have gone.
fn spread(records: usize, mut pass: impl FnMut()) -> Result<Spread, String> {
    let mut costs = Vec::new();
    for _ in 0..MEASUREMENTS {
        let start = cpu_ns()?;
        let mut passes = 0;
        let mut used = 0;
        while used < MEASURED_NS {
            pass();
            passes += 1;
            used = cpu_ns()? - start;
        }
        costs.push(used as f64 / (passes * records) as f64);
    }
    Spread::of(costs).ok_or_else(|| "nothing was measured".to_owned())
}

/// What this thread has used so far; other work on the machine does not count.
fn cpu_ns() -> Result<u64, String> {
    const PATH: &str = "/proc/thread-self/schedstat";
    let text = std::fs::read_to_string(PATH).map_err(|e| format!("{PATH}: {e}"))?;
    let first = text.split_whitespace().next().unwrap_or_default();
    first.parse().map_err(|_| format!("{PATH}: {text:?} does not begin with a number"))
}

/// The same condition by the `cel` crate, on the first spans.
fn cel(condition: &str, batches: &[Batch]) -> Result<[(&'static str, Spread); 2], String> {
    // It has its own duration type and no names for OTLP's numbers.
    let source = condition.replace("duration(\"100ms\")", "100000000").replace("STATUS_ERROR", "2");
    // A missing key is an error to it: guarded as its users do.
    let guarded = ["http.status_code", "grpc.method"].into_iter().fold(source, |source, key| {
        let read = format!("attributes[\"{key}\"]");
        source.replace(&read, &format!("\"{key}\" in attributes && {read}"))
    });
    let program = ::cel::Program::compile(&guarded).map_err(|e| e.to_string())?;
    let spans: Vec<(&Batch, usize)> =
        batches.iter().flat_map(|batch| (0..batch.len()).map(move |i| (batch, i))).take(CEL_SPANS).collect();
    let root = ::cel::Context::default();
    let contexts: Vec<::cel::Context<'_, '_>> =
        spans.iter().map(|(batch, i)| context(&root, batch, *i)).collect();
    let execute = spread(spans.len(), || {
        for context in &contexts {
            let _ = black_box(program.execute(context));
        }
    })?;
    let whole = spread(spans.len(), || {
        for (batch, i) in &spans {
            let _ = black_box(program.execute(&context(&root, batch, *i)));
        }
    })?;
    Ok([("cel, context at hand", execute), ("cel, with its context", whole)])
}

/// The span's variables over the functions that all share.
fn context<'r>(
    root: &'r ::cel::Context<'r, 'static>,
    batch: &Batch,
    i: usize,
) -> ::cel::Context<'r, 'static> {
    let mut context = root.new_inner_scope();
    let span = batch.span(i);
    context.add_variable_from_value("attributes", map(span.attributes()));
    context.add_variable_from_value("resource", map(batch.resource_of(i).attributes()));
    context.add_variable_from_value("name", span.name());
    context.add_variable_from_value("status_code", i64::from(span.status_code()));
    context.add_variable_from_value("duration_ns", (span.end_ns() - span.start_ns()) as i64);
    context
}

fn map(attributes: Attributes<'_>) -> HashMap<String, ::cel::Value> {
    attributes.map(|(key, value)| (key.to_owned(), boxed(value))).collect()
}

fn boxed(value: ValueView<'_>) -> ::cel::Value {
    match Value::from(value) {
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::Double(value) => value.into(),
        Value::String(text) => text.as_ref().into(),
        Value::List(List::Wire(array)) => array.map(boxed).collect::<Vec<_>>().into(),
        _ => ::cel::Value::Null,
    }
}

/// Hipstershop's spans, its resources regrouped into requests.
fn batches(shared: &Path) -> Result<Vec<Batch>, String> {
    let path = shared.join("otlp/hipstershop-traces.zst");
    let file = std::fs::read(&path).map_err(|e| format!("{}: {e}; set ALDIS_SHARED_DATA", path.display()))?;
    let data = Bytes::from(zstd::decode_all(file.as_slice()).map_err(|e| e.to_string())?);
    // One request behind its length.
    let whole = check(data.slice(4..))?;
    let index = whole.index();
    let mut batches = Vec::new();
    let mut pending: Option<(u32, u32)> = None;
    for (number, resource) in index.resources.iter().enumerate() {
        let scopes = resource.first_scope..resource.first_scope + resource.scopes;
        let own: u32 = scopes.map(|scope| index.scopes[scope as usize].records).sum();
        let (start, before) = pending.take().unwrap_or((resource.start, 0));
        if before + own >= RECORDS_PER_REQUEST || number + 1 == index.resources.len() {
            batches.push(check(whole.raw().slice(start as usize..resource.body.end as usize))?);
        } else {
            pending = Some((start, before + own));
        }
    }
    Ok(batches)
}

fn check(request: Bytes) -> Result<Batch, String> {
    Checker::new(Signal::Traces, Check::Full, Depth::Attributes).check(request).map_err(|e| e.to_string())
}
