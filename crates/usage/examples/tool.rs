//! A command-line tool that counts how often its commands are run: `tool noop`, `tool echo WORDS`, `tool telemetry …`.
//!
//! The tests and the measurements use it; `tool telemetry` is parsed by hand here, as the feature `clap` may be off.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to a terminal")]

use std::process::ExitCode;

use aldis_usage::{Delivery, TelemetryConfig, Tool, Usage};

/// What the tool ends with when it did not know what to do.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let tool = Tool::new("tool", "1.2.3").directory(Tool::in_home(".tool"));
    let tool = match std::env::var("TOOL_DELIVERY").as_deref() {
        Ok("inline") => tool.delivery(Delivery::Inline),
        _ => tool,
    };
    // A tool that counts unless the user objects, and has time: tests of it run where everything else does too.
    let tool = match std::env::var("TOOL_DEFAULT_ENDPOINT") {
        Ok(endpoint) => tool.defaults(TelemetryConfig {
            enabled: true,
            otlp_endpoint: Some(endpoint),
            timeout: aldis_usage::limits::TIMEOUT_MAX,
        }),
        Err(_) => tool,
    };
    let usage = aldis_usage::init(tool);
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | ["noop", ..] => {
            aldis_usage::track_command_execution("noop");
            ExitCode::SUCCESS
        }
        ["echo", rest @ ..] => {
            aldis_usage::track_command_execution("echo");
            println!("{}", rest.join(" "));
            eprintln!("{} words", rest.len());
            ExitCode::from(7)
        }
        ["wait", times @ ..] => {
            // What comes of it, for those who look.
            let times = times.first().map_or(1, |times| times.parse().unwrap_or_default());
            for _ in 0..times {
                if let aldis_usage::Tracked::Sending(sending) = usage.track("wait") {
                    sending.wait();
                }
            }
            ExitCode::SUCCESS
        }
        ["telemetry", rest @ ..] => telemetry(usage, rest),
        _ => {
            eprintln!(
                "tool noop | echo WORDS | wait [TIMES] | telemetry enable [URL]|disable|status [--json]|show|reset"
            );
            ExitCode::from(USAGE)
        }
    }
}

fn telemetry(usage: &Usage, words: &[&str]) -> ExitCode {
    let answer = match words {
        ["enable"] => usage.enable(None),
        ["enable", endpoint] => usage.enable(Some(endpoint)),
        ["disable"] => usage.disable(),
        ["status"] => Ok(usage.status().to_string()),
        ["status", "--json"] => Ok(format!("{}\n", usage.status().to_json())),
        ["show"] => {
            eprintln!("{}", usage.destination());
            usage.show().map(|body| format!("{body}\n"))
        }
        ["reset"] => usage.reset(),
        _ => return ExitCode::from(USAGE),
    };
    match answer {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
