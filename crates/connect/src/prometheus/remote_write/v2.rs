//! Remote write 2.0: `io.prometheus.write.v2.Request`, as Prometheus 3.8 and later read it.
//!
//! Numbers of fields: <https://github.com/prometheus/prometheus/blob/main/prompb/io/prometheus/write/v2/types.proto>.

use std::collections::HashMap;

use super::{
    rows::Row,
    v1::{metric_type, put_native},
};
use crate::prometheus::message::Message;

/// A request that is being written: its table of texts and its series, which stand behind each other in the end.
#[derive(Debug, Default)]
pub(super) struct Writer {
    symbols: Symbols,
    series: Message,
    refs: Vec<u32>,
}

/// Texts, each of which stands once in a request.
#[derive(Debug)]
struct Symbols {
    out: Message,
    numbers: HashMap<Box<str>, u32>,
    /// Texts in the order of their numbers, to be taken back with [`Writer::rewind`].
    order: Vec<Box<str>>,
}

/// How far a request was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    symbols: usize,
    series: usize,
    texts: usize,
}

impl Writer {
    /// Writes a series.
    pub(super) fn row(&mut self, row: &Row<'_>) {
        let Writer { symbols, series, refs } = self;
        series.message(5, |one| {
            refs.clear();
            row.each_label(|name, value| refs.extend([symbols.number(name), symbols.number(value)]));
            one.packed(1, refs);
            for sample in row.samples {
                one.message(2, |message| {
                    message.double(1, sample.value);
                    message.varint(2, sample.time_ms as u64);
                    if sample.start_ms > 0 {
                        message.varint(3, sample.start_ms as u64);
                    }
                });
            }
            for native in row.natives {
                one.message(3, |message| {
                    put_native(native, message);
                    if native.start_ms > 0 {
                        message.varint(17, native.start_ms as u64);
                    }
                });
            }
            for example in row.exemplars {
                refs.clear();
                for (name, value) in example.exemplar.labels.texts() {
                    refs.extend([symbols.number(name), symbols.number(value)]);
                }
                one.message(4, |message| {
                    message.packed(1, refs);
                    message.double(2, example.exemplar.value.as_f64());
                    message.varint(3, example.time_ms as u64);
                });
            }
            one.message(5, |metadata| {
                metadata.varint(1, metric_type(row.described.kind));
                metadata.varint(3, u64::from(symbols.number(&row.described.help)));
                metadata.varint(4, u64::from(symbols.number(&row.described.unit)));
            });
        });
    }

    /// Its size so far.
    pub(super) fn len(&self) -> usize {
        self.symbols.out.bytes.len() + self.series.bytes.len()
    }

    pub(super) fn mark(&self) -> Mark {
        let Symbols { out, order, .. } = &self.symbols;
        Mark { symbols: out.bytes.len(), series: self.series.bytes.len(), texts: order.len() }
    }

    /// Takes back what was written since.
    pub(super) fn rewind(&mut self, mark: Mark) {
        self.series.bytes.truncate(mark.series);
        self.symbols.out.bytes.truncate(mark.symbols);
        for text in self.symbols.order.drain(mark.texts..) {
            self.symbols.numbers.remove(&text);
        }
    }

    /// The whole request.
    pub(super) fn finish(self) -> Vec<u8> {
        let mut out = self.symbols.out.bytes;
        out.extend_from_slice(&self.series.bytes);
        out
    }
}

impl Default for Symbols {
    fn default() -> Self {
        let mut symbols = Symbols { out: Message::default(), numbers: HashMap::new(), order: Vec::new() };
        // The first text is the empty one.
        symbols.number("");
        symbols
    }
}

impl Symbols {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        // A request holds fewer bytes than that.
        let number = self.order.len() as u32;
        self.out.bytes_field(4, text.as_bytes());
        self.numbers.insert(text.into(), number);
        self.order.push(text.into());
        number
    }
}
