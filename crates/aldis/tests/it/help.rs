//! What the command says about itself: to readers, shells, editors and other programs.

use std::{fs, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{aldis, text};

#[test]
fn completions_know_every_command_and_flag() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = aldis(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0));
        let script = text(&output.stdout);
        for word in
            ["demo", "serve", "check", "config", "schema", "load", "sink", "stats-on-exit", "workload"]
        {
            assert!(script.contains(word), "{shell} does not complete {word}");
        }
    }
    assert_eq!(aldis(&["completions", "tcsh"]).status.code(), Some(2));
}

/// The script is run by the shell it is for: what it completes is asked for.
#[test]
fn bash_completes_words() {
    let script = text(&aldis(&["completions", "bash"]).stdout);
    let ask = "COMP_WORDS=(aldis check --j); COMP_CWORD=2; _aldis aldis --j check; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let bash = Command::new("bash").args(["--norc", "-c", &format!("{script}\n{ask}")]).output();
    let Ok(bash) = bash else {
        eprintln!("skipped: bash is not installed");
        return;
    };
    assert_eq!(text(&bash.stdout).trim(), "--json", "{}", text(&bash.stderr));
}

#[test]
fn man_pages_are_written_for_every_command() {
    let folder = TempDir::new().unwrap();
    let pages = folder.path().join("share/man/man1");
    let output = aldis(&["man", pages.to_str().unwrap()]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0), "{}", text(&output.stderr));
    for (page, part) in [
        ("aldis.1", "aldis\\-serve(1)"),
        ("aldis-serve.1", "drain\\-timeout"),
        ("aldis-config-schema.1", "JSON Schema"),
        ("aldis-man.1", "DIR"),
    ] {
        let written = fs::read_to_string(pages.join(page)).unwrap();
        assert!(written.contains(".TH") && written.contains(part), "{page}: {written}");
    }
    let names = fs::read_dir(&pages).unwrap().map(|page| page.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.contains("help")).count(), 0, "there is no command `help`");
    assert_eq!(aldis(&["man"]).stdout, fs::read(pages.join("aldis.1")).unwrap());
    let taken = pages.join("aldis.1/below");
    assert_eq!(aldis(&["man", taken.to_str().unwrap()]).status.code(), Some(3));
}

#[test]
fn the_schema_that_is_written_is_the_engines() {
    let written: Value = serde_json::from_slice(&aldis(&["config", "schema"]).stdout).unwrap();
    assert_eq!(written, engine::reference::schema());
}

#[test]
fn variables_decide_about_colours_everywhere() {
    let bad = concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/testdata/configs/bad/framing.yaml");
    for arguments in [&["check", bad][..], &["chekc"], &["serve", "--hepl"], &["--help"]] {
        let run = |variables: &[(&str, &str)]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_aldis"));
            command.args(arguments).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
            let output = command.envs(variables.iter().copied()).output().unwrap();
            output.stdout.iter().chain(&output.stderr).any(|byte| *byte == 0x1b)
        };
        assert!(!run(&[]), "{arguments:?} into a pipe");
        assert!(run(&[("CLICOLOR_FORCE", "1")]), "{arguments:?} with CLICOLOR_FORCE");
        assert!(!run(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]), "{arguments:?} with NO_COLOR");
    }
}

/// Whoever reads JSON reads it when something goes wrong, too.
#[test]
fn errors_are_json_where_that_is_asked_for() {
    let gone = "/nowhere/at all";
    let file = format!("{gone}/started.json");
    for (arguments, code) in [
        (&["check", "--json", gone][..], 3),
        (&["serve", "--json", "-c", gone], 3),
        (&["load", "--json", gone], 3),
        (&["load", "--json", "--encoding", "json", "--requests", "1"], 2),
        (&["sink", "--json", "--grpc", "192.0.2.1:1", "--http", "127.0.0.1:0"], 4),
        (&["sink", "--json", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--addresses-file", &file], 3),
    ] {
        let output = aldis(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        let stderr = text(&output.stderr);
        let last: Value = serde_json::from_str(stderr.lines().last().unwrap()).unwrap();
        assert_eq!(last["event"], "error", "{arguments:?}");
        assert!(last["message"].as_str().is_some_and(|message| !message.is_empty()), "{last}");
    }
}
