//! `file`: requests written into a file.

use std::time::Duration;

use connect::file::{FileConfig, FileFormat, Rotation, Sync};
use otlp::Signal;

use super::{Class, Component, Settings};
use crate::settings::{Kind, Section, Setting};

/// Exporter `file`.
pub const COMPONENT: Component = Component {
    name: "file",
    aliases: &[],
    class: Class::Exporter,
    signals: &Signal::ALL,
    text: "Writes requests into a file, which `aldis replay`, `aldis load` and the receiver `otlpjsonfile` read. Senders have their \
           answer when the system has taken a request: whole, or not at all.",
    settings: ROWS,
    read,
};

const ROWS: &[Setting] = &[
    Setting::new("path", Kind::Text, "", "The file. It is required."),
    Setting::new(
        "format",
        Kind::Choice(&["json", "proto"]),
        "json",
        "OTLP/JSON, a request on each line, or protobuf, each request behind its length (u32, big-endian).",
    ),
    Setting::new(
        "append",
        Kind::Bool,
        "false",
        "Whether what the file has is kept when the engine starts; with `rotation` it always is.",
    ),
    Setting::new(
        "compression",
        Kind::Choice(&["", "none", "zstd"]),
        "",
        "Each request is compressed by itself and stands behind its length, in either format.",
    ),
    Setting::new("compression_params", Kind::Table(LEVEL_ROWS), "", "How hard."),
    Setting::new(
        "rotation",
        Kind::Table(ROTATION_ROWS),
        "",
        "When the file is moved away and another begun; without, it grows.",
    ),
    Setting::new(
        "sync",
        Kind::Choice(&["none", "batch", "interval"]),
        "none",
        "When the system is made to write to the disk what it was given: when it likes, before senders have their answer, or every \
         `flush_interval` (only in Aldis).",
    ),
    Setting::new(
        "flush_interval",
        Kind::Duration,
        "1s",
        "How often with `sync: interval`. Nothing is kept back in this process, so that there is nothing else to flush.",
    ),
    Setting::new("create_directory", Kind::Bool, "false", "Whether folders are made where they are missing."),
    Setting::new(
        "directory_permissions",
        Kind::Text,
        "0755",
        "Their permissions, octal, before the process' mask.",
    ),
    Setting::later("encoding", "there are no encoding extensions; `format` says what is written"),
    Setting::later(
        "group_by",
        "one file for each value of an attribute is not there yet; use a pipeline, a filter and a file for each",
    ),
];

const LEVEL_ROWS: &[Setting] = &[Setting::new(
    "level",
    Kind::Int(0, 22),
    "0",
    "The level of zstd, 1 to 22; 0 is the fastest useful one.",
)];

const ROTATION_ROWS: &[Setting] = &[
    Setting::new("max_megabytes", Kind::Int(0, 1 << 30), "100", "MiB of the largest file; 0 is the default."),
    Setting::new(
        "max_days",
        Kind::Int(0, 36_500),
        "0",
        "Files that were moved away longer ago are removed; 0: none for its age.",
    ),
    Setting::new(
        "max_backups",
        Kind::Int(0, 1 << 30),
        "100",
        "So many that were moved away are kept; 0: all.",
    ),
    Setting::new(
        "localtime",
        Kind::Bool,
        "false",
        "Only `false`: names have the time in UTC, which never comes twice.",
    ),
    Setting::new(
        "seal_key_file",
        Kind::Text,
        "",
        "Files that were moved away become sealed archives under the same names, with the key in this file: 32 bytes, or 64 hexadecimal \
         digits. What is being written is not sealed (only in Aldis).",
    ),
];

fn read(section: &Section<'_>, _: &[Signal]) -> Settings {
    let path = section.text("path");
    if path.is_empty() {
        section.error("path", "`path` is missing", "such as `path: /var/lib/aldis/traces.jsonl`");
    }
    let level = section.table_or_empty("compression_params").int("level") as i32;
    let compression = (section.choice("compression") == "zstd").then_some(level);
    if compression.is_none() && section.has("compression_params") {
        section.error(
            "compression_params",
            "there is no compression to have a level",
            "remove it, or set `compression: zstd`",
        );
    }
    let rotation = section.table("rotation");
    let seal_key_file = rotation.as_ref().map(|rotation| rotation.text("seal_key_file"));
    let seal_key_file = seal_key_file.filter(|path| !path.is_empty()).map(Into::into);
    let rotation = rotation.map(|rotation| read_rotation(&rotation));
    let append = section.bool("append");
    if append && rotation.is_some() {
        section.error(
            "append",
            "`append` and `rotation` cannot stand together",
            "remove `append`: with `rotation` the file is kept",
        );
    }
    let flush_interval = section.duration("flush_interval");
    if flush_interval.is_zero() {
        section.error("flush_interval", "`flush_interval` must be longer than zero", "such as `1s`");
    }
    let sync = match section.choice("sync") {
        "batch" => Sync::Batch,
        "interval" => Sync::Interval(flush_interval),
        _ => Sync::None,
    };
    let format = if section.choice("format") == "proto" { FileFormat::Proto } else { FileFormat::Json };
    let create_directory = read_folder(section);
    let config = FileConfig {
        format,
        append,
        compression,
        rotation,
        seal_key_file,
        sync,
        create_directory,
        ..FileConfig::new(path)
    };
    Settings::FileExporter(Box::new(config))
}

fn read_rotation(section: &Section<'_>) -> Rotation {
    if section.bool("localtime") {
        section.error(
            "localtime",
            "names have the time in UTC",
            "remove the key: local time comes twice when clocks are put back",
        );
    }
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let days = section.count("max_days") as u32;
    let megabytes = match section.count("max_megabytes") {
        0 => 100,
        megabytes => megabytes,
    };
    Rotation {
        max_bytes: (megabytes as u64) << 20,
        max_age: (days > 0).then(|| DAY * days),
        max_backups: section.count("max_backups"),
    }
}

fn read_folder(section: &Section<'_>) -> Option<u32> {
    let text = section.text("directory_permissions");
    let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o777);
    if mode.is_none() {
        let message = format!("`{text}` is not a set of permissions");
        section.error(
            "directory_permissions",
            message,
            "write them in octal and in quotes, such as `\"0750\"`",
        );
    }
    let makes = section.bool("create_directory");
    if !makes && section.has("directory_permissions") {
        section.error(
            "directory_permissions",
            "no directory is made",
            "set `create_directory: true`, or remove the key",
        );
    }
    mode.filter(|_| makes)
}
