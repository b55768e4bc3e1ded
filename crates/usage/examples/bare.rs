//! [`tool`](tool.rs) without anything that counts: what the measurements compare it with.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to a terminal")]

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | ["noop", ..] => ExitCode::SUCCESS,
        ["echo", rest @ ..] => {
            println!("{}", rest.join(" "));
            eprintln!("{} words", rest.len());
            ExitCode::from(7)
        }
        _ => {
            eprintln!("bare noop | echo WORDS");
            ExitCode::from(2)
        }
    }
}
