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
    for command in commands(&[]) {
        let section = document.split(&format!("\n## aldis {}\n", command[0])).nth(1);
        let section = section.unwrap_or_else(|| panic!("{command:?} is not in docs/cli.md"));
        let section = section.split("\n## ").next().unwrap();
        let whole = format!("`aldis {}", command.join(" "));
        assert!(command.len() == 1 || section.contains(&whole), "{whole}` is not in docs/cli.md");
        let words: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
        for line in text(&aldis(&words).stdout).lines() {
            let Some(flag) = line.split_whitespace().find(|word| word.starts_with("--")) else { continue };
            let is_row = line.trim_start().starts_with('-') && flag != "--help";
            assert!(
                !is_row || section.contains(&format!("`{flag}")),
                "{command:?} {flag} is not in docs/cli.md"
            );
        }
    }
}

/// Every command that the help below these words lists, with those below it.
fn commands(words: &[&str]) -> Vec<Vec<String>> {
    let help = text(&aldis(&[words, &["--help"]].concat()).stdout);
    let listed =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let mut all = Vec::new();
    for name in names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        let inner = [words, &[name]].concat();
        all.push(inner.iter().map(|word| (*word).to_owned()).collect());
        all.extend(commands(&inner));
    }
    all
}

/// `ALDIS_BLESS=1` writes the tables anew.
#[test]
fn every_setting_is_documented_as_config_docs_says() {
    const MARK: &str = "<!-- settings -->\n";
    let document = document("configuration.md");
    let (head, tables) = document.split_once(MARK).unwrap();
    let output = aldis(&["config", "docs"]);
    assert_eq!(output.status.code(), Some(0));
    let written = text(&output.stdout);
    if std::env::var_os("ALDIS_BLESS").is_some() {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        fs::write(path, format!("{head}{MARK}{written}")).unwrap();
    } else {
        assert_eq!(tables, written, "run with ALDIS_BLESS=1 and read the difference");
    }
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
