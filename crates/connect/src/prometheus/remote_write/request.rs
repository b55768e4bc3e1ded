//! Streams as requests: as many in each as its size allows.

use super::{
    RemoteWriteMessage,
    rows::{Row, each_row},
    streams::{Described, NAME, Point, Reading, Stream, Streams},
    v1, v2,
};
use crate::prometheus::{
    exemplars::Exemplars,
    family::Kind,
    labels::Labels,
    value::{Number, Value},
};

/// What is in a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    /// Numbers of streams.
    pub(super) streams: Vec<usize>,
    /// Data points.
    pub(super) records: u64,
    pub(super) samples: u64,
    pub(super) histograms: u64,
    pub(super) exemplars: u64,
}

/// A request before it is compressed.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) message: RemoteWriteMessage,
    pub(super) content: Content,
    pub(super) body: Vec<u8>,
}

/// How requests are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) message: RemoteWriteMessage,
    /// Bytes of a request, unless one stream alone is larger.
    pub(super) max_bytes: usize,
    /// Whether 1.0 describes metrics.
    pub(super) metadata: bool,
}

enum Writer {
    V1(v1::Writer),
    V2(Box<v2::Writer>),
}

enum Mark {
    V1(usize),
    V2(v2::Mark),
}

impl Writer {
    fn new(message: RemoteWriteMessage) -> Self {
        match message {
            RemoteWriteMessage::V1 => Writer::V1(v1::Writer::default()),
            RemoteWriteMessage::V2 => Writer::V2(Box::default()),
        }
    }

    fn row(&mut self, row: &Row<'_>) {
        match self {
            Writer::V1(writer) => writer.row(row),
            Writer::V2(writer) => writer.row(row),
        }
    }

    fn len(&self) -> usize {
        match self {
            Writer::V1(writer) => writer.out.bytes.len(),
            Writer::V2(writer) => writer.len(),
        }
    }

    fn mark(&self) -> Mark {
        match self {
            Writer::V1(writer) => Mark::V1(writer.out.bytes.len()),
            Writer::V2(writer) => Mark::V2(writer.mark()),
        }
    }

    fn rewind(&mut self, mark: &Mark) {
        match (self, mark) {
            (Writer::V1(writer), Mark::V1(bytes)) => writer.out.bytes.truncate(*bytes),
            (Writer::V2(writer), Mark::V2(mark)) => writer.rewind(*mark),
            _ => {}
        }
    }

    fn describe(&mut self, described: &Described) {
        if let Writer::V1(writer) = self {
            writer.describe(described);
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Writer::V1(writer) => writer.out.bytes,
            Writer::V2(writer) => writer.finish(),
        }
    }
}

/// The next request of the streams from `next` on that are not settled; `next` becomes the first that is in none yet.
pub(super) fn next_request(
    streams: &Streams,
    form: Form,
    next: &mut usize,
    is_settled: impl Fn(usize) -> bool,
) -> Option<Request> {
    let mut writer = Writer::new(form.message);
    let mut content = Content::default();
    while let Some(stream) = streams.all.get(*next) {
        if is_settled(*next) {
            *next += 1;
            continue;
        }
        let mark = writer.mark();
        let described = &streams.described[stream.described];
        let mut more = Content { records: stream.records, ..Content::default() };
        each_row(stream, described, |row| {
            writer.row(row);
            more.count(row);
        });
        if !content.streams.is_empty() && writer.len() > form.max_bytes {
            writer.rewind(&mark);
            break;
        }
        if form.metadata {
            writer.describe(described);
        }
        content.streams.push(*next);
        content.add(&more);
        *next += 1;
    }
    let is_empty = content.streams.is_empty();
    (!is_empty).then(|| Request { message: form.message, content, body: writer.finish() })
}

/// The request that says of resources that they were there at a time.
pub(super) fn info_request<'a>(
    infos: impl Iterator<Item = (&'a Labels, i64)>,
    form: Form,
) -> Option<Request> {
    let described = Described {
        name: "target_info".to_owned(),
        kind: Kind::Gauge,
        is_native: false,
        help: "Target metadata".to_owned(),
        unit: String::new(),
    };
    let mut writer = Writer::new(form.message);
    let mut content = Content::default();
    for (labels, time_ms) in infos {
        let mut pairs: Vec<(&str, &str)> = labels.texts().filter(|(name, _)| *name != NAME).collect();
        pairs.push((NAME, &described.name));
        pairs.sort_unstable();
        let point = Point {
            time_ms,
            start_ms: 0,
            reading: Reading::Value(Value::Number(Number::Int(1))),
            exemplars: Exemplars::default(),
        };
        let labels = Labels::of_sorted(pairs.into_iter());
        let stream = Stream { described: 0, labels, points: vec![point], records: 0 };
        each_row(&stream, &described, |row| {
            writer.row(row);
            content.count(row);
        });
    }
    if content.samples == 0 {
        return None;
    }
    if form.metadata {
        writer.describe(&described);
    }
    Some(Request { message: form.message, content, body: writer.finish() })
}

impl Content {
    fn count(&mut self, row: &Row<'_>) {
        self.samples += row.samples.len() as u64;
        self.histograms += row.natives.len() as u64;
        self.exemplars += row.exemplars.len() as u64;
    }

    fn add(&mut self, more: &Content) {
        self.records += more.records;
        self.samples += more.samples;
        self.histograms += more.histograms;
        self.exemplars += more.exemplars;
    }
}
