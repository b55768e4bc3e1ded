//! Everything that the programs offer is promised in `docs/promises.toml`, and nothing that they do not.

use std::process::Command;

use engine::components::COMPONENTS;
use engine::settings::{self, Kind};
use xtask::tidy::Finding;
use xtask::tidy::promises::{LIST, missing, parse, unkept};

fn assert_kept(kind: &str, offered: &[String]) {
    assert!(!offered.is_empty(), "no {kind} was found: the tables are read wrongly");
    let text = std::fs::read_to_string(xtask::root().join(LIST)).expect("the list is there");
    let promises = parse(&text).expect("the list is well formed");
    let mut findings = missing(&promises, kind, offered);
    findings.extend(unkept(&promises, kind, offered));
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(lines.is_empty(), "{} wrong:\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn every_setting_is_promised() {
    let settings = COMPONENTS.iter().flat_map(|component| {
        let place = format!("{}.{}", component.class.section(), component.name);
        // A table is shown by what is in it.
        let rows = settings::paths(component.settings).into_iter();
        let leaves = rows.filter(|(_, row)| !matches!(row.kind, Kind::Table(_) | Kind::Tables(_)));
        leaves.map(move |(path, _)| format!("{place}.{path}"))
    });
    assert_kept("setting", &settings.collect::<Vec<_>>());
}

#[test]
fn every_command_and_flag_is_promised() {
    let built =
        Command::new("cargo").args(["build", "--quiet", "-p", "aldis"]).current_dir(xtask::root()).status();
    assert!(built.is_ok_and(|status| status.success()), "aldis builds");
    let commands = commands_below(&[]);
    assert_kept("command", &commands);
    let of_command = |command: &String| {
        let flags = flags(&help(&command.split(' ').collect::<Vec<_>>()));
        flags.into_iter().map(|flag| format!("{command} {flag}")).collect::<Vec<_>>()
    };
    let top = flags(&help(&[])).into_iter();
    let all: Vec<String> = top.chain(commands.iter().flat_map(of_command)).collect();
    assert_kept("flag", &all);
}

/// Commands, and those below them: `config`, `config schema`.
fn commands_below(words: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    for name in commands(&help(words)) {
        let inner = [words, &[&name]].concat();
        all.push(inner.join(" "));
        all.extend(commands_below(&inner));
    }
    all
}

fn help(command: &[&str]) -> String {
    let binary = xtask::target_dir().join("debug/aldis");
    let output = Command::new(binary).args(command).arg("--help").output().expect("aldis runs");
    String::from_utf8(output.stdout).expect("help is text")
}

/// The words under `Commands:`.
fn commands(help: &str) -> Vec<String> {
    let listed =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// The long flags under `Options:`.
fn flags(help: &str) -> Vec<String> {
    let words = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let long =
        words.filter_map(|line| line.split([' ', ',', '=', '<', '[']).find(|word| word.starts_with("--")));
    long.filter(|flag| *flag != "--help").map(str::to_owned).collect()
}

#[test]
fn help_is_read() {
    let text = "Does things.\n\nCommands:\n  serve  Run it\n         for long\n  help   Print\n\nOptions:\n  -c, --config <FILE>  It\n      --json           As\n  -h, --help           Print\n";
    assert_eq!(commands(text), ["serve"]);
    assert_eq!(flags(text), ["--config", "--json"]);
}
