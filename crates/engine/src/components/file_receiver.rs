//! `otlpjsonfile`: telemetry read from files.

use connect::file::{FileReceiverConfig, Form, StartAt};
use otlp::Signal;

use super::{Class, Component, Settings};
use crate::{
    settings::{Kind, Section, Setting},
    yaml::Scalar,
};

/// Receiver `otlpjsonfile`.
pub const COMPONENT: Component = Component {
    name: "otlpjsonfile",
    aliases: &["otlp_json_file", "file"],
    class: Class::Receiver,
    signals: &Signal::ALL,
    text: "Follows files of requests: OTLP/JSON lines, or protobuf behind lengths, compressed or not, as the exporter `file` writes them. \
           Files may grow, be moved and be cut. Everything is delivered at least once.",
    settings: ROWS,
    read,
};

const ATTRIBUTES_LATER: &str =
    "telemetry is passed on as it was written; add attributes with the processor `attributes`";
const LINES_LATER: &str = "requests end where their JSON ends; remove the key";

const ROWS: &[Setting] = &[
    Setting::new(
        "include",
        Kind::TextList,
        "",
        "Patterns of the files: `*`, `?`, `[abc]`, `**`. At least one is required.",
    ),
    Setting::new("exclude", Kind::TextList, "", "Patterns of those among them that are not read."),
    Setting::new(
        "exclude_older_than",
        Kind::Duration,
        "0s",
        "Files that have not changed for so long are not begun; 0: all are.",
    ),
    Setting::new(
        "start_at",
        Kind::Choice(&["end", "beginning"]),
        "end",
        "Where files are read from that are there at the start and in no checkpoint. Later ones are read whole.",
    ),
    Setting::new("poll_interval", Kind::Duration, "200ms", "How often is looked for what is new."),
    Setting::new(
        "fingerprint_size",
        Kind::Value,
        "1000",
        "Bytes from the beginning of a file by which it is known again; at least 16. Also as `1KiB`.",
    ),
    Setting::new(
        "max_log_size",
        Kind::Value,
        "64MiB",
        "Bytes of the longest request; longer ones are passed over and counted. Also as `1MiB`.",
    ),
    Setting::new(
        "delete_after_read",
        Kind::Bool,
        "false",
        "Whether a file is removed once all of it has been delivered; needs `start_at: beginning`.",
    ),
    Setting::new("encoding", Kind::Choice(&["utf-8"]), "utf-8", "How JSON is written."),
    Setting::new(
        "format",
        Kind::Choice(&["auto", "json", "proto"]),
        "auto",
        "The form of the files, where their content is not to tell (only in Aldis).",
    ),
    Setting::new(
        "checkpoint",
        Kind::Text,
        "",
        "A file where is written down how far files have been delivered, so that a restart goes on there; without it, it is forgotten (only in Aldis).",
    ),
    Setting::later("storage", "there are no storage extensions; write `checkpoint: FILE`"),
    Setting::later("replay_file", "files are read once; `aldis replay` reads them again"),
    Setting::later("compression", "compressed files are known by their content; remove the key"),
    Setting::later("ordering_criteria", "all files that match are read; narrow `include`"),
    Setting::later("header", LINES_LATER),
    Setting::later("multiline", LINES_LATER),
    Setting::later("force_flush_period", LINES_LATER),
    Setting::later("preserve_leading_whitespaces", LINES_LATER),
    Setting::later("preserve_trailing_whitespaces", LINES_LATER),
    Setting::later("max_log_size_behavior", "half a request is none: longer ones are passed over"),
    Setting::later("on_truncate", "a file that was cut is read from its beginning; remove the key"),
    Setting::later("initial_buffer_size", "buffers grow as they must; remove the key"),
    Setting::later("max_concurrent_files", "files are read in turns, one at a time; remove the key"),
    Setting::later("max_batches", "files are read in turns, one at a time; remove the key"),
    Setting::later(
        "polls_to_archive",
        "what is known of files is kept by number, not by age; remove the key",
    ),
    Setting::later("acquire_fs_lock", "files are not locked"),
    Setting::later("file_cache_advise", "the system's cache is left to the system"),
    Setting::later("include_file_name", ATTRIBUTES_LATER),
    Setting::later("include_file_path", ATTRIBUTES_LATER),
    Setting::later("include_file_name_resolved", ATTRIBUTES_LATER),
    Setting::later("include_file_path_resolved", ATTRIBUTES_LATER),
    Setting::later("include_file_owner_name", ATTRIBUTES_LATER),
    Setting::later("include_file_owner_group_name", ATTRIBUTES_LATER),
    Setting::later("include_file_permissions", ATTRIBUTES_LATER),
    Setting::later("include_file_record_number", ATTRIBUTES_LATER),
    Setting::later("include_file_record_offset", ATTRIBUTES_LATER),
];

fn read(section: &Section<'_>, signals: &[Signal]) -> Settings {
    section.choice("encoding");
    let patterns = |key: &str| -> Vec<String> {
        let patterns = section.text_list(key);
        for pattern in &patterns {
            if let Err(reason) = FileReceiverConfig::check_pattern(pattern) {
                section.error(key, format!("`{pattern}` is no pattern of files: {reason}"), "");
            }
        }
        patterns
    };
    let include = patterns("include");
    if include.is_empty() {
        section.error("include", "no file is named", "such as `include: [/var/log/otlp/*.jsonl]`");
    }
    let start_at = if section.choice("start_at") == "beginning" { StartAt::Beginning } else { StartAt::End };
    let delete_after_read = section.bool("delete_after_read");
    if delete_after_read && start_at == StartAt::End {
        section.error(
            "delete_after_read",
            "files that are not read from their beginning cannot be removed as read",
            "set `start_at: beginning`",
        );
    }
    let poll_interval = section.duration("poll_interval");
    if poll_interval.is_zero() {
        section.error("poll_interval", "`poll_interval` must be longer than zero", "such as `200ms`");
    }
    let config = FileReceiverConfig {
        exclude: patterns("exclude"),
        exclude_older_than: Some(section.duration("exclude_older_than")).filter(|age| !age.is_zero()),
        start_at,
        poll_interval,
        fingerprint_bytes: bytes(section, "fingerprint_size", 16, 1 << 20),
        max_request_bytes: bytes(section, "max_log_size", 1, connect::limits::MAX_FRAME_LENGTH as u64),
        delete_after_read,
        form: match section.choice("format") {
            "json" => Some(Form::Lines),
            "proto" => Some(Form::Frames),
            _ => None,
        },
        checkpoint: Some(section.text("checkpoint")).filter(|path| !path.is_empty()).map(Into::into),
        // Protobuf does not tell it; where several are wanted, names of files do.
        signal: signals.first().copied().filter(|_| signals.len() == 1),
        ..FileReceiverConfig::new(include)
    };
    Settings::FileReceiver(Box::new(config))
}

/// Bytes as a number, or as the Collector's users write them: `1KiB`, `64MiB`, `1MB`.
fn bytes(section: &Section<'_>, key: &str, least: u64, most: u64) -> usize {
    let text = match section.value(key).map(|node| (node, node.scalar())) {
        None => section.default_of(key).to_owned(),
        Some((_, Some(Scalar::Int(number)))) => number.to_string(),
        Some((_, Some(Scalar::Text(text)))) => text.to_owned(),
        Some((node, _)) => node.describe(),
    };
    match parsed(&text).filter(|bytes| (least..=most).contains(bytes)) {
        Some(bytes) => bytes as usize,
        None => {
            let help = format!("write bytes between {least} and {most}, such as `1000`, `64KiB`, `1MiB`");
            section.error(key, format!("`{key}` cannot be {text}"), help);
            parsed(section.default_of(key)).unwrap_or(least) as usize
        }
    }
}

fn parsed(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim() {
        "" | "B" => 1,
        "KiB" | "Ki" => 1 << 10,
        "MiB" | "Mi" => 1 << 20,
        "GiB" | "Gi" => 1 << 30,
        "kB" | "KB" | "k" | "K" => 1_000,
        "MB" | "M" => 1_000_000,
        "GB" | "G" => 1_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}
