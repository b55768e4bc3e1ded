//! What compression costs and saves, by codec and level: bytes, time each way, and memory, on requests of several sizes.
//!
//! Each cell is measured by a process of its own, so that no codec runs in memory that another has left behind. gzip and
//! zstd are those of `connect::codec`, as receivers and exporters call them; lz4 is there to compare with: OTLP does not
//! name it.

mod cell;
mod corpus;
mod method;

use self::cell::Cell;
use self::corpus::{Data, SIZES};
use self::method::Method;
use crate::process::machine;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How it is called.
pub(crate) const HELP: &str = "  bench compression [--data spans|logs|metrics]... [--dry]   codecs by level: bytes, time each way, memory";

/// What a cell's process is started with.
const ONE: &str = "--one";

/// Measures every cell, prints a table for each kind of data and size of request, and writes the raw result.
///
/// # Errors
/// A wrong argument, data that is not there, a cell that fails.
pub(crate) fn command(args: &[String], shared: &Path) -> Result<(), String> {
    if let [one, method, level, file, records] = args
        && one == ONE
    {
        return cell::command(method, level, Path::new(file), records);
    }
    let (mut chosen, mut dry) = (Vec::new(), false);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match (arg.as_str(), args.as_slice().first()) {
            ("--dry", _) => dry = true,
            ("--data", Some(name)) => {
                chosen.push(Data::named(name).ok_or_else(|| format!("no data {name:?}"))?);
                args.next();
            }
            _ => return Err(format!("no such argument: {arg}\n{HELP}")),
        }
    }
    if chosen.is_empty() {
        chosen = Data::ALL.to_vec();
    }
    let mut results = Vec::new();
    for data in chosen {
        let batch = data.read(shared)?;
        for size in SIZES {
            let corpus = corpus::write(data, &batch, size, &folder()?)?;
            println!(
                "\n{data}, {} records a request, {} requests of {:.0} B, {:.1} B a record",
                corpus.records / corpus.requests as u64,
                corpus.requests,
                corpus.bytes as f64 / corpus.requests as f64,
                corpus.bytes as f64 / corpus.records as f64,
            );
            println!("{}", Cell::head());
            for method in Method::all() {
                let cell = measured(method, &corpus)?;
                println!("{:<10} {cell}", method.to_string());
                results.push(json!({
                    "data": data.to_string(),
                    "records_per_request": size,
                    "method": method.to_string(),
                    "cell": cell.to_json(),
                }));
            }
        }
    }
    if dry { Ok(()) } else { write(&results) }
}

/// One cell, by a process that measures nothing else.
fn measured(method: Method, corpus: &corpus::Corpus) -> Result<Cell, String> {
    let this = std::env::current_exe().map_err(|e| e.to_string())?;
    let output = Command::new(this)
        .args(["compression", ONE, method.name(), &method.level().to_string()])
        .arg(&corpus.path)
        .arg(corpus.records.to_string())
        .output()
        .map_err(|e| e.to_string())?;
    if !output.status.success() {
        return Err(format!("{method}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Cell::from_json(&output.stdout)
        .ok_or_else(|| format!("{method}: {}", String::from_utf8_lossy(&output.stdout)))
}

fn folder() -> Result<PathBuf, String> {
    let folder = crate::process::target().join("bench/compression");
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(folder)
}

fn write(results: &[serde_json::Value]) -> Result<(), String> {
    let folder = machine::results_folder()?;
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let path = folder.join("compression.json");
    let result = json!({ "machine": machine::describe(), "commit": machine::commit(), "cells": results });
    let text = serde_json::to_string_pretty(&result).map_err(|e| e.to_string())? + "\n";
    std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    println!("\nraw results: {}", path.display());
    Ok(())
}
