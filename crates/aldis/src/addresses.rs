//! Which addresses are listened on, for programs that start this one with port 0.

use std::{io, path::Path};

use engine::run::Bound;
use serde_json::{Value, json};

/// `{"event": "started", "addresses": [{"receiver", "protocol", "address", "port"}], …}`.
pub(crate) fn started(addresses: &[Bound], shards: usize) -> Value {
    let address = |bound: &Bound| {
        json!({
            "receiver": bound.receiver,
            "protocol": bound.protocol,
            "address": bound.address.to_string(),
            "port": bound.address.port(),
        })
    };
    json!({
        "event": "started",
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "shards": shards,
        "addresses": addresses.iter().map(address).collect::<Vec<_>>(),
    })
}

/// The same for people: `otlp grpc on 127.0.0.1:4317, …`.
pub(crate) fn listed(addresses: &[Bound]) -> String {
    let one = |bound: &Bound| format!("{} {} on {}", bound.receiver, bound.protocol, bound.address);
    match addresses {
        [] => "no listener".to_owned(),
        addresses => addresses.iter().map(one).collect::<Vec<_>>().join(", "),
    }
}

/// Writes a file that is either absent or whole.
pub(crate) fn write(file: &Path, started: &Value) -> io::Result<()> {
    let mut partial = file.as_os_str().to_owned();
    partial.push(".partial");
    std::fs::write(&partial, format!("{started}\n"))?;
    std::fs::rename(&partial, file)
}
