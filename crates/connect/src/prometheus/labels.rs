//! Label sets: built once for a series, kept as bytes, read in order.

use std::{borrow::Cow, fmt::Write};

use base64::{Engine, engine::general_purpose::STANDARD};
use otlp::view::{Attributes, ValueView};

use super::{
    format::Escaping,
    naming::{TranslationStrategy, label_name},
};

/// Ends a name or a value: no byte of UTF-8.
const END: u8 = 0xff;

/// The labels of a series, sorted by name: `name END value END …`. Equal sets are equal bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Labels(Box<[u8]>);

impl Labels {
    /// Names and values, sorted by name.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut parts = self.0.split(|b| *b == END);
        std::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
    }

    /// The same as text; what is checked is UTF-8.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
        self.pairs().map(move |(name, value)| (text(name), text(value)))
    }

    /// The same with names in this scheme. Values whose names become one are joined by `;`.
    pub(super) fn escaped(&self, escaping: Escaping) -> Cow<'_, Labels> {
        if self.texts().all(|(name, _)| matches!(escaping.label(name), Cow::Borrowed(_))) {
            return Cow::Borrowed(self);
        }
        let mut pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> =
            self.texts().map(|(name, value)| (escaping.label(name), Cow::Borrowed(value))).collect();
        pairs.sort();
        pairs.dedup_by(|later, first| {
            let is_same = later.0 == first.0;
            if is_same {
                let values = first.1.to_mut();
                values.push(';');
                values.push_str(&later.1);
            }
            is_same
        });
        Cow::Owned(Labels::of_sorted(pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))))
    }

    /// Bytes it takes up.
    pub(super) fn memory_bytes(&self) -> usize {
        self.0.len()
    }

    /// Sorted pairs, none twice, as a set.
    pub(super) fn of_sorted<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut bytes = Vec::new();
        for (name, value) in pairs {
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(END);
            bytes.extend_from_slice(value.as_bytes());
            bytes.push(END);
        }
        Labels(bytes.into())
    }
}

/// Puts a set together. Labels that are given by this program (`job`, `le`, the constant ones) keep their names; an
/// attribute that would have the same becomes `exported_…`, as in a scrape.
#[derive(Debug)]
pub(super) struct LabelsBuilder<'a> {
    strategy: TranslationStrategy,
    fixed: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Name, original key, value.
    attributes: Vec<(Cow<'a, str>, &'a str, Cow<'a, str>)>,
    /// Names that are put behind these labels when they are written.
    reserved: &'static str,
}

impl<'a> LabelsBuilder<'a> {
    pub(super) fn new(strategy: TranslationStrategy, reserved: &'static str) -> Self {
        Self { strategy, fixed: Vec::new(), attributes: Vec::new(), reserved }
    }

    /// A label of this program's own; the first of a name stays. An empty value is no label.
    pub(super) fn fixed(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        let (name, value) = (name.into(), value.into());
        if !value.is_empty() && !self.fixed.iter().any(|(known, _)| *known == name) {
            self.fixed.push((name, value));
        }
    }

    /// An attribute. A key that is there already gets this value.
    pub(super) fn attribute(&mut self, key: &'a str, value: ValueView<'a>) {
        let value = value_text(value);
        match self.attributes.iter_mut().find(|(_, known, _)| *known == key) {
            Some((_, _, known)) => *known = value,
            None => self.attributes.push((label_name(self.strategy, key), key, value)),
        }
    }

    /// An attribute of the instrumentation scope: `otel_scope_` stands in front of its name.
    pub(super) fn scope_attribute(&mut self, key: &str, value: ValueView<'a>) {
        let name = format!("otel_scope_{}", label_name(self.strategy, key));
        self.fixed(name, value_text(value));
    }

    /// All attributes but these.
    pub(super) fn attributes(&mut self, attributes: Attributes<'a>, except: &[&str]) {
        for (key, value) in attributes.filter(|(key, _)| !except.contains(key)) {
            self.attribute(key, value);
        }
    }

    /// The set. Values of keys that have become the same name are joined by `;` in the order of the keys.
    pub(super) fn build(mut self) -> Labels {
        for (name, _, _) in &mut self.attributes {
            while *name == self.reserved || self.fixed.iter().any(|(fixed, _)| fixed == name) {
                *name = format!("exported_{name}").into();
            }
        }
        self.attributes.sort();
        let mut merged = self.fixed;
        let fixed = merged.len();
        for (name, _, value) in self.attributes {
            match merged[fixed..].last_mut() {
                Some((last, values)) if *last == name => {
                    let values = values.to_mut();
                    values.push(';');
                    values.push_str(&value);
                }
                _ => merged.push((name, value)),
            }
        }
        // An empty value is the same as no label.
        merged.retain(|(_, value)| !value.is_empty());
        merged.sort();
        Labels::of_sorted(merged.iter().map(|(name, value)| (name.as_ref(), value.as_ref())))
    }
}

/// An attribute's value as text: <https://opentelemetry.io/docs/specs/otel/common/#anyvalue-representation-for-non-otlp-protocols>.
pub(super) fn value_text(value: ValueView<'_>) -> Cow<'_, str> {
    match value {
        ValueView::Empty => Cow::Borrowed(""),
        ValueView::String(text) => Cow::Borrowed(text),
        ValueView::Bool(true) => Cow::Borrowed("true"),
        ValueView::Bool(false) => Cow::Borrowed("false"),
        ValueView::Int(value) => Cow::Owned(value.to_string()),
        ValueView::Double(value) => Cow::Owned(double_text(value)),
        ValueView::Bytes(bytes) => Cow::Owned(STANDARD.encode(bytes)),
        ValueView::Array(_) | ValueView::Map(_) => {
            let mut out = String::new();
            put_json(value, &mut out);
            Cow::Owned(out)
        }
    }
}

fn double_text(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    value.to_string()
}

fn put_json(value: ValueView<'_>, out: &mut String) {
    match value {
        ValueView::Empty => out.push_str("null"),
        ValueView::Array(items) => {
            out.push('[');
            for (i, item) in items.enumerate() {
                if i > 0 {
                    out.push(',');
                }
                put_json(item, out);
            }
            out.push(']');
        }
        ValueView::Map(entries) => {
            out.push('{');
            for (i, (key, item)) in entries.enumerate() {
                if i > 0 {
                    out.push(',');
                }
                put_json_text(key, out);
                out.push(':');
                put_json(item, out);
            }
            out.push('}');
        }
        ValueView::Double(number) if !number.is_finite() => put_json_text(&double_text(number), out),
        ValueView::Bool(_) | ValueView::Int(_) | ValueView::Double(_) => out.push_str(&value_text(value)),
        ValueView::String(_) | ValueView::Bytes(_) => put_json_text(&value_text(value), out),
    }
}

fn put_json_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use otlp::{
        Depth, Signal,
        event::{AttributeValue, Metric, RequestBuilder},
    };

    use super::*;

    fn labels(attributes: &[(&str, AttributeValue)], fixed: &[(&'static str, &'static str)]) -> String {
        let attributes = attributes.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let mut builder = RequestBuilder::new(Signal::Metrics, Depth::Records);
        builder.push_metric(&Metric { name: "m".into(), attributes, ..Metric::default() }).unwrap();
        let batch = builder.finish();
        let mut set = LabelsBuilder::new(TranslationStrategy::default(), "le");
        fixed.iter().for_each(|(name, value)| set.fixed(*name, *value));
        set.attributes(batch.point(0).attributes(), &[]);
        let set = set.build();
        set.texts().map(|(name, value)| format!("{name}={value} ")).collect::<String>().trim_end().to_owned()
    }

    fn text(value: &str) -> AttributeValue {
        AttributeValue::String(value.to_owned())
    }

    #[test]
    fn sets_are_sorted_and_collisions_joined() {
        let set =
            [("b.c", text("2")), ("a", text("x")), ("b_c", text("3")), ("b-c", text("1")), ("e", text(""))];
        assert_eq!(labels(&set, &[]), "a=x b_c=1;2;3");
        let turned: Vec<_> = set.iter().rev().cloned().collect();
        assert_eq!(labels(&turned, &[]), "a=x b_c=1;2;3");
    }

    #[test]
    fn labels_of_our_own_keep_their_names() {
        let set = [("job", text("theirs")), ("le", text("3")), ("exported_job", text("taken"))];
        assert_eq!(
            labels(&set, &[("job", "ours"), ("job", "second")]),
            "exported_job=taken;theirs exported_le=3 job=ours"
        );
    }

    #[test]
    fn values_become_text() {
        let list = AttributeValue::Array(vec![
            AttributeValue::Int(-1),
            AttributeValue::Double(0.5),
            AttributeValue::Double(f64::NAN),
            text("a\"\n"),
            AttributeValue::Map(vec![("k".into(), AttributeValue::Bool(false))]),
        ]);
        for (value, expected) in [
            (AttributeValue::Int(i64::MIN), "k=-9223372036854775808"),
            (AttributeValue::Bool(true), "k=true"),
            (AttributeValue::Double(1.0), "k=1"),
            (AttributeValue::Double(f64::INFINITY), "k=Infinity"),
            (AttributeValue::Bytes(vec![0, 255]), "k=AP8="),
            (list, r#"k=[-1,0.5,"NaN","a\"\n",{"k":false}]"#),
        ] {
            assert_eq!(labels(&[("k", value)], &[]), expected);
        }
    }
}
