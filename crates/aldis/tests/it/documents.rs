//! What is written about the command line is what it does.

use std::{fs, path::PathBuf};

use crate::process::{aldis, text};

fn document(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn exit_codes_are_the_same_in_help_and_document() {
    let help = text(&aldis(&["--help"]).stdout);
    let table = help.split("Exit codes:\n").nth(1).unwrap();
    let document = document("cli.md");
    let mut rows = 0;
    for line in table.lines() {
        let (code, meaning) = line.trim().split_once("  ").unwrap();
        assert!(document.contains(&format!("| {code} | {meaning} |")), "{line}");
        rows += 1;
    }
    assert_eq!(rows, 6);
}

#[test]
fn every_command_and_flag_is_documented() {
    let document = document("cli.md");
    for command in ["demo", "serve", "check", "load", "sink"] {
        let section = document.split(&format!("\n## aldis {command}\n")).nth(1).unwrap();
        let section = section.split("\n## ").next().unwrap();
        for line in text(&aldis(&[command, "--help"]).stdout).lines() {
            let Some(flag) = line.split_whitespace().find(|word| word.starts_with("--")) else { continue };
            let is_row = line.trim_start().starts_with('-') && flag != "--help";
            assert!(
                !is_row || section.contains(&format!("`{flag}")),
                "{command} {flag} is not in docs/cli.md"
            );
        }
    }
}

/// `ALDIS_BLESS=1` writes the tables anew.
#[test]
fn every_setting_is_documented_as_the_table_says() {
    const MARK: &str = "<!-- settings -->\n";
    let document = document("configuration.md");
    let (head, tables) = document.split_once(MARK).unwrap();
    let written = settings();
    if std::env::var_os("ALDIS_BLESS").is_some() {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        fs::write(path, format!("{head}{MARK}{written}")).unwrap();
    } else {
        assert_eq!(tables, written, "run with ALDIS_BLESS=1 and read the difference");
    }
}

/// A table for each component.
fn settings() -> String {
    let mut out = String::new();
    for component in engine::components::COMPONENTS {
        let signals: Vec<&str> = component.signals.iter().map(|signal| signal.name()).collect();
        let aliases: Vec<String> = component.aliases.iter().map(|alias| format!(", `{alias}`")).collect();
        out += &format!("\n## {} `{}`{}\n\n", component.class.name(), component.name, aliases.concat());
        out += &format!("{} For {}.\n", component.text, signals.join(", "));
        let rows = engine::settings::paths(component.settings);
        if !rows.is_empty() {
            out += "\n| key | type | default | |\n|---|---|---|---|\n";
        }
        for (path, row) in rows {
            let default = if row.default.is_empty() { String::new() } else { format!("`{}`", row.default) };
            out += &format!("| `{path}` | {} | {default} | {} |\n", row.kind.name(), row.text);
        }
    }
    out
}

/// The README says `cargo run`, without a name: it must not be left open which program that is.
#[test]
fn cargo_run_is_this_program() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let asked = ["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path", manifest];
    let output = std::process::Command::new(env!("CARGO")).args(asked).output().unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let named: Vec<_> = packages.iter().filter_map(|package| package["default_run"].as_str()).collect();
    assert_eq!(named, ["aldis"]);
    assert!(
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md"))
            .unwrap()
            .contains("cargo run --release -- demo")
    );
}
