//! `aldis check`, and that serving refuses what it refuses.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::process::{aldis, text};

fn configs(folder: &str) -> Vec<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../engine/testdata/configs").join(folder);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let yaml = files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    yaml.map(|path| path.to_str().unwrap().to_owned()).collect()
}

#[test]
fn starting_refuses_every_bad_configuration_with_the_problems_that_check_finds() {
    let bad = configs("bad");
    assert!(bad.len() > 5);
    for file in bad {
        let checked = aldis(&["check", &file]);
        assert_eq!(checked.status.code(), Some(1), "{file}");
        let served = aldis(&["serve", "-c", &file]);
        assert_eq!(served.status.code(), Some(1), "{file}");
        assert_eq!(text(&checked.stderr), text(&served.stderr));
        assert!(text(&checked.stderr).contains(&format!("{file}:")) && checked.stdout.is_empty());
    }
}

#[test]
fn a_good_configuration_is_one_line_and_where_ownership_passes() {
    for file in configs("good") {
        let output = aldis(&["check", &file]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let stdout = text(&output.stdout);
        assert!(stdout.lines().next().unwrap().starts_with(&format!("{file}: ok (")), "{stdout}");
        assert!(stdout.contains("senders have their answer"), "{stdout}");
    }
}

#[test]
fn an_explanation_is_what_runs_on_this_machine() {
    let file = configs("good").into_iter().find(|file| file.ends_with("collector_production.yaml")).unwrap();
    let output = aldis(&["check", &file, "--explain"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    assert!(told.contains("pipeline traces") && told.contains("senders have their answer"), "{told}");
    let output = aldis(&["check", &file, "--explain", "--json"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["explanation"]["machine_bytes"], engine::explain::memory_bytes());
    assert!(told["explanation"]["pipelines"][0]["exporters"][0]["queue"]["bytes"].is_u64(), "{told}");
    // Of a file that builds nothing there is nothing to explain.
    let bad = configs("bad").into_iter().find(|file| file.ends_with("shapes.yaml")).unwrap();
    let output = aldis(&["check", &bad, "--explain", "--json"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &told["explanation"]), (Some(1), &Value::Null));
}

#[test]
fn problems_are_also_told_as_json() {
    let file = configs("bad").into_iter().find(|file| file.ends_with("framing.yaml")).unwrap();
    let output = aldis(&["check", &file, "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["ok"], &told["errors"]), (&Value::Bool(false), &Value::from(1)));
    let problem = &told["problems"][0];
    assert_eq!((&problem["line"], &problem["column"], &problem["width"]), (&9.into(), &26.into(), &4.into()));
    assert_eq!(problem["severity"], "error");
    assert!(output.stderr.is_empty());
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    for command in [&["check", "/nowhere/at all.yaml"][..], &["serve", "-c", "/nowhere/at all.yaml"]] {
        let output = aldis(command);
        assert_eq!(output.status.code(), Some(3));
        assert!(
            text(&output.stderr).contains("cannot read /nowhere/at all.yaml"),
            "{}",
            text(&output.stderr)
        );
    }
    let output = aldis(&["load", "/nowhere/traces.zst"]);
    assert_eq!(output.status.code(), Some(3));
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("unnamed");
    // A length, and a request without resources.
    std::fs::write(&file, [0, 0, 0, 0]).unwrap();
    let unnamed = file.to_str().unwrap();
    let output = aldis(&["load", unnamed]);
    assert!(text(&output.stderr).contains("--signal"), "{}", text(&output.stderr));
    let output =
        aldis(&["load", unnamed, "--signal", "logs", "--endpoint", "127.0.0.1:1", "--requests", "1"]);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output.stderr));
}

#[test]
fn a_wrong_command_line_is_told() {
    for arguments in [
        &["serve", "--config", "a.yaml", "--grpc", "127.0.0.1:0"][..],
        &["chekc"],
        &["load", "--rate", "0"],
        &["sink", "--grpc", "here"],
        &["load", "--header", "x"],
    ] {
        assert_eq!(aldis(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn the_version_is_the_crates() {
    assert_eq!(text(&aldis(&["--version"]).stdout).trim(), format!("aldis {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn nothing_is_coloured_unless_a_terminal_reads() {
    for file in configs("bad") {
        assert!(!aldis(&["check", &file]).stderr.contains(&b'\x1b'));
    }
}
