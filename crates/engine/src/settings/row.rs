//! What can be configured, as data.

/// One key that can be configured.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The key.
    pub key: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// Its default, as one would write it; empty where there is none.
    pub default: &'static str,
    /// What it does, in a sentence.
    pub text: &'static str,
}

impl Setting {
    /// A row.
    pub const fn new(key: &'static str, kind: Kind, default: &'static str, text: &'static str) -> Self {
        Self { key, kind, default, text }
    }

    /// A key that the Collector has and that cannot be honoured here; the text says why.
    pub const fn later(key: &'static str, text: &'static str) -> Self {
        Self { key, kind: Kind::Later, default: "", text }
    }
}

/// What the value of a setting is.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number between two bounds, both included.
    Int(i64, i64),
    /// A number between two bounds, both included.
    Float(f64, f64),
    /// A length of time: `200ms`, `1m30s`.
    Duration,
    /// Text.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Host and port.
    Address,
    /// A map of names to texts.
    TextMap,
    /// A list of texts.
    TextList,
    /// A map with these keys.
    Table(&'static [Setting]),
    /// A list of maps with these keys.
    Tables(&'static [Setting]),
    /// A map of names to texts that are shown to nobody.
    SecretMap,
    /// Text that is shown to nobody.
    Secret,
    /// A list of such texts.
    Secrets,
    /// The name of an extension that does this.
    Extension(Role),
    /// Any single value.
    Value,
    /// The Collector has it; here it is an error with the row's text.
    Later,
}

/// What an extension is named for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It knows senders.
    ServerAuth,
    /// It has credentials to send.
    ClientAuth,
}

impl Kind {
    /// Whether values are shown to nobody: not in messages, not in what explains a configuration.
    pub const fn is_secret(&self) -> bool {
        matches!(self, Kind::Secret | Kind::Secrets | Kind::SecretMap)
    }

    /// The word that documentation uses.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Bool => "bool",
            Kind::Int(..) => "int",
            Kind::Float(..) => "float",
            Kind::Duration => "duration",
            Kind::Text => "string",
            Kind::Choice(_) => "enum",
            Kind::Address => "host:port",
            Kind::TextMap => "map of strings",
            Kind::TextList => "list of strings",
            Kind::Table(_) => "map",
            Kind::Tables(_) => "list of maps",
            Kind::SecretMap => "map of secret strings",
            Kind::Secret => "secret string",
            Kind::Secrets => "list of secret strings",
            Kind::Extension(_) => "extension",
            Kind::Value => "any",
            Kind::Later => "not yet",
        }
    }
}

/// Every path that rows describe, in order: `("timeout", row)`, `("protocols.grpc.endpoint", row)`, … Keys that cannot be
/// honoured are left out.
pub fn paths(rows: &'static [Setting]) -> Vec<(String, &'static Setting)> {
    walk(rows).into_iter().filter(|(_, row)| !matches!(row.kind, Kind::Later)).collect()
}

/// Every path to a key that the Collector has and that cannot be honoured here, in order.
pub fn refused(rows: &'static [Setting]) -> Vec<(String, &'static Setting)> {
    walk(rows).into_iter().filter(|(_, row)| matches!(row.kind, Kind::Later)).collect()
}

fn walk(rows: &'static [Setting]) -> Vec<(String, &'static Setting)> {
    let mut all = Vec::new();
    for row in rows {
        all.push((row.key.to_owned(), row));
        if let Kind::Table(inner) | Kind::Tables(inner) = row.kind {
            all.extend(walk(inner).into_iter().map(|(path, inner)| (format!("{}.{path}", row.key), inner)));
        }
    }
    all
}
