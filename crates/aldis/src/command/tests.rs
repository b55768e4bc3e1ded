use std::collections::BTreeSet;

use super::*;

/// The command line and every command in it, with the words that lead to it.
fn all() -> Vec<(String, clap::Command)> {
    fn into(path: &str, command: &clap::Command, all: &mut Vec<(String, clap::Command)>) {
        all.push((path.to_owned(), command.clone()));
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            into(&format!("{path} {}", inner.get_name()), inner, all);
        }
    }
    let mut all = Vec::new();
    into("aldis", &whole(), &mut all);
    all
}

/// The command lines under `Examples:`, without what is said about them and what a shell does with them.
fn examples(help: &str) -> Vec<Vec<String>> {
    let lines = help.split("Examples:\n").nth(1).unwrap_or_default().lines();
    let lines = lines.take_while(|line| line.starts_with(' ')).map(str::trim);
    let commands = lines.filter(|line| line.starts_with("aldis "));
    commands
        .map(|line| {
            let line = line.split("  ").next().unwrap_or_default();
            let line = line.split(['>', '|']).next();
            line.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
        })
        .collect()
}

#[test]
fn the_command_line_is_well_formed() {
    whole().debug_assert();
}

#[test]
fn every_command_has_examples_and_they_parse() {
    for (path, command) in all() {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples = examples(&help);
        assert!(!examples.is_empty(), "{path} --help has no example");
        for words in examples {
            let line = words.join(" ");
            assert!(line.starts_with(&path), "{path} has an example of another command: {line}");
            if let Err(error) = Cli::try_parse_from(&words) {
                panic!("{line}: {error}");
            }
        }
    }
}

#[test]
fn every_command_and_argument_says_what_it_is() {
    for (path, command) in all() {
        assert!(command.get_about().is_some(), "{path}");
        let silent: BTreeSet<_> =
            command.get_arguments().filter(|arg| arg.get_help().is_none()).map(clap::Arg::get_id).collect();
        assert!(silent.is_empty(), "{path}: {silent:?}");
    }
}

/// The documentation names those that are not.
#[test]
fn commands_are_counted_by_their_names() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let documented = std::fs::read_to_string(root.join("docs/cli.md")).unwrap();
    let (_, documented) = documented.split_once("Not counted are ").unwrap();
    let (documented, _) = documented.split_once(';').unwrap();
    let documented: BTreeSet<&str> =
        documented.split('`').filter_map(|word| word.strip_prefix("aldis ")).collect();
    let mut others = BTreeSet::new();
    for (path, command) in all().into_iter().filter(|(_, command)| !command.has_subcommands()) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let parsed = Cli::try_parse_from(&examples(&help)[0]).unwrap();
        let name = path.trim_start_matches("aldis ").to_owned();
        match parsed.command.counted_as() {
            Some(counted) => assert_eq!(counted, name),
            None => drop(others.insert(name.split(' ').next().unwrap_or_default().to_owned())),
        }
    }
    assert_eq!(others.iter().map(String::as_str).collect::<BTreeSet<_>>(), documented);
}
