//! Records as rows.

use collect::{
    EventType, MetricKind, Name, Origin, TelemetryData, TelemetryEvent, TelemetryMetric,
    json::{fields, is_shallow, of_fields, of_tags, tags},
    limits::MAX_LINE_DEPTH,
};
use rusqlite::{Connection, Row, Transaction, TransactionBehavior, params};

/// The last time that SQLite's integers hold: 2^63 - 1 ns.
const LAST_TIME: &str = "2262-04-11T23:47:16.854775807Z";

/// Records of a batch that would not be read back as they are.
#[derive(Default)]
pub(crate) struct Refused {
    pub(crate) records: usize,
    /// Which was the first of them, events before metrics, and what is wrong with it.
    pub(crate) first: Option<(usize, String)>,
}

impl Refused {
    /// Whether this one is, too.
    fn takes(&mut self, number: usize, time_ns: u64, is_shallow: bool) -> bool {
        let why = match (is_shallow, i64::try_from(time_ns)) {
            (true, Ok(_)) => return false,
            (true, Err(_)) => format!("a time after {LAST_TIME}"),
            (false, _) => format!("a value of more than {MAX_LINE_DEPTH} levels"),
        };
        self.records += 1;
        self.first.get_or_insert((number, why));
        true
    }
}

/// Ids rise with every record, over both tables.
pub(crate) const TABLES: &str = "
CREATE TABLE events (
    id INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL, event_type TEXT NOT NULL, source TEXT NOT NULL, message TEXT NOT NULL,
    metadata TEXT NOT NULL, lane INTEGER NOT NULL, seq INTEGER NOT NULL
);
CREATE INDEX events_by_time ON events (time_ns);
CREATE TABLE metrics (
    id INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL, name TEXT NOT NULL, value REAL, unit TEXT NOT NULL,
    tags TEXT NOT NULL, kind TEXT NOT NULL, lane INTEGER NOT NULL, seq INTEGER NOT NULL
);
CREATE INDEX metrics_by_time ON metrics (time_ns);
";

pub(crate) fn insert(
    connection: &mut Connection,
    data: &TelemetryData,
    keep: Option<u64>,
) -> rusqlite::Result<Refused> {
    let mut refused = Refused::default();
    // Ids are taken by nobody else until this is committed.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut id = last_id(&transaction)?;
    for (number, event) in data.events.iter().enumerate() {
        if refused.takes(number, event.time_ns, is_shallow(&event.metadata)) {
            continue;
        }
        id += 1;
        insert_event(&transaction, id, event)?;
    }
    for (number, metric) in data.metrics.iter().enumerate() {
        if refused.takes(data.events.len() + number, metric.time_ns, true) {
            continue;
        }
        id += 1;
        insert_metric(&transaction, id, metric)?;
    }
    if let Some(keep) = keep {
        let too_old = id.saturating_sub(signed(keep));
        transaction.execute("DELETE FROM events WHERE id <= ?", [too_old])?;
        transaction.execute("DELETE FROM metrics WHERE id <= ?", [too_old])?;
    }
    transaction.commit()?;
    Ok(refused)
}

fn insert_event(transaction: &Transaction<'_>, id: i64, event: &TelemetryEvent) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)")?;
    let TelemetryEvent { source, message, origin, .. } = event;
    let (time, seq) = (signed(event.time_ns), signed(origin.seq));
    let metadata = of_fields(&event.metadata);
    let event_type = event.event_type.as_str();
    statement.execute(params![id, time, event_type, source.as_str(), message, metadata, origin.lane, seq])?;
    Ok(())
}

fn insert_metric(transaction: &Transaction<'_>, id: i64, metric: &TelemetryMetric) -> rusqlite::Result<()> {
    let mut statement =
        transaction.prepare_cached("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
    let TelemetryMetric { name, unit, origin, .. } = metric;
    let (time, seq) = (signed(metric.time_ns), signed(origin.seq));
    // SQLite has no NaN: it is stored as nothing, and read back as what it was.
    let value = Some(metric.value).filter(|value| !value.is_nan());
    let kind = if metric.kind == MetricKind::Delta { "delta" } else { "gauge" };
    let tags = of_tags(&metric.tags);
    statement.execute(params![
        id,
        time,
        name.as_str(),
        value,
        unit.as_str(),
        tags,
        kind,
        origin.lane,
        seq
    ])?;
    Ok(())
}

fn last_id(transaction: &Transaction<'_>) -> rusqlite::Result<i64> {
    let last =
        "SELECT max(coalesce((SELECT max(id) FROM events), 0), coalesce((SELECT max(id) FROM metrics), 0))";
    transaction.query_row(last, [], |row| row.get(0))
}

/// The oldest records from `start_ns` to before `end_ns`; those of one time in the order in which they were stored.
pub(crate) fn select(
    connection: &mut Connection,
    start_ns: Option<u64>,
    end_ns: Option<u64>,
    limit: Option<usize>,
) -> rusqlite::Result<TelemetryData> {
    // Both tables as they are at one time.
    let transaction = connection.transaction()?;
    // Times end with what SQLite's integers hold; there is nothing behind that.
    let Ok(start) = i64::try_from(start_ns.unwrap_or(0)) else { return Ok(TelemetryData::default()) };
    let end = end_ns.and_then(|end| i64::try_from(end).ok());
    let most = limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
    let query = |table: &str| {
        format!(
            "SELECT * FROM {table} WHERE time_ns >= ?1 AND (?2 IS NULL OR time_ns < ?2) ORDER BY time_ns, id LIMIT ?3"
        )
    };
    let mut statement = transaction.prepare_cached(&query("events"))?;
    let events: Vec<(i64, TelemetryEvent)> =
        statement.query_map(params![start, end, most], event)?.collect::<rusqlite::Result<_>>()?;
    let mut statement = transaction.prepare_cached(&query("metrics"))?;
    let metrics: Vec<(i64, TelemetryMetric)> =
        statement.query_map(params![start, end, most], metric)?.collect::<rusqlite::Result<_>>()?;
    let mut data = TelemetryData::default();
    let (mut events, mut metrics) = (events.into_iter().peekable(), metrics.into_iter().peekable());
    for _ in 0..limit.unwrap_or(usize::MAX) {
        let is_event_first = match (events.peek(), metrics.peek()) {
            (None, None) => break,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some((id, event)), Some((other, metric))) => (event.time_ns, id) < (metric.time_ns, other),
        };
        if is_event_first {
            data.events.extend(events.next().map(|(_, event)| event));
        } else {
            data.metrics.extend(metrics.next().map(|(_, metric)| metric));
        }
    }
    Ok(data)
}

fn event(row: &Row<'_>) -> rusqlite::Result<(i64, TelemetryEvent)> {
    let text = |column: &str| row.get::<_, String>(column);
    let event = TelemetryEvent {
        time_ns: unsigned(row, "time_ns")?,
        source: Name::from(text("source")?),
        message: text("message")?,
        event_type: EventType::from_text(&text("event_type")?).unwrap_or_default(),
        metadata: fields(&text("metadata")?).unwrap_or_default(),
        origin: origin(row)?,
    };
    Ok((row.get("id")?, event))
}

fn metric(row: &Row<'_>) -> rusqlite::Result<(i64, TelemetryMetric)> {
    let text = |column: &str| row.get::<_, String>(column);
    let metric = TelemetryMetric {
        time_ns: unsigned(row, "time_ns")?,
        name: Name::from(text("name")?),
        value: row.get::<_, Option<f64>>("value")?.unwrap_or(f64::NAN),
        unit: Name::from(text("unit")?),
        tags: tags(&text("tags")?).unwrap_or_default(),
        kind: if text("kind")? == "delta" { MetricKind::Delta } else { MetricKind::Gauge },
        origin: origin(row)?,
    };
    Ok((row.get("id")?, metric))
}

fn origin(row: &Row<'_>) -> rusqlite::Result<Origin> {
    Ok(Origin { lane: row.get("lane")?, seq: unsigned(row, "seq")? })
}

fn unsigned(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.max(0) as u64)
}

/// SQLite's integers end at 2^63. Times behind that were refused before; nobody counts so far.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
