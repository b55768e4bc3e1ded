//! A command on a terminal.

use std::{fs, thread::sleep, time::Duration};

use rustix::process::Signal;
use tempfile::TempDir;

use super::is_ignored;
use crate::{
    process::{aldis, text, wait_until},
    screen::{Terminal, state},
};

/// Long enough for a signal to come that must not.
const A_WHILE: Duration = Duration::from_millis(500);

/// A script of the shell in a file: quotes do not come through unharmed.
fn script(folder: &TempDir, text: &str) -> String {
    let file = folder.path().join("script");
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn a_command_that_stops_stops_what_runs_it_and_goes_on_with_it() {
    let folder = TempDir::new().unwrap();
    let file = script(&folder, "kill -STOP $$; exit 5\n");
    for place in ["", "--no-cgroup"] {
        let Some(mut terminal) = Terminal::running(80, 24, &format!("run -q {place} sh {file}")) else {
            return;
        };
        wait_until("the shell says so", || terminal.shown().contains("stopped "));
        assert_eq!(terminal.state(), "T");
        terminal.types("\n");
        let shown = terminal.ends();
        assert!(shown.contains("ended 5"), "{shown}");
    }
}

#[test]
fn a_key_that_stops_stops_both() {
    let folder = TempDir::new().unwrap();
    let file = script(&folder, "echo begun; read line; echo got $line; exit 6\n");
    let Some(mut terminal) = Terminal::running(80, 24, &format!("run -q sh {file}")) else { return };
    wait_until("it runs", || terminal.shown().contains("begun"));
    terminal.types("\x1a");
    wait_until("the shell says so", || terminal.shown().contains("stopped "));
    terminal.types("\n");
    wait_until("it goes on", || terminal.state() != "T");
    terminal.types("hello\n");
    let shown = terminal.ends();
    assert!(shown.contains("got hello") && shown.contains("ended 6"), "{shown}");
    assert_eq!(shown.matches("stopped ").count(), 1, "{shown}");
}

/// Who tells this process to stop means its command: a budget of which nobody looks at would be none.
#[test]
fn a_stop_that_is_sent_is_the_commands() {
    let folder = TempDir::new().unwrap();
    let file = script(&folder, "echo begun $$; read line; echo got $line; exit 6\n");
    let Some(mut terminal) = Terminal::running(80, 24, &format!("run -q sh {file}")) else { return };
    wait_until("it runs", || terminal.shown().contains("begun "));
    terminal.is_sent(Signal::TSTP);
    wait_until("the shell says so", || terminal.shown().contains("stopped "));
    let shown = terminal.shown();
    let command = shown.split("begun ").nth(1).unwrap().split_whitespace().next().unwrap();
    assert_eq!((state(command).as_str(), terminal.state().as_str()), ("T", "T"));
    terminal.types("\n");
    wait_until("it goes on", || terminal.state() != "T");
    terminal.types("hello\n");
    let shown = terminal.ends();
    assert!(shown.contains("got hello") && shown.contains("ended 6"), "{shown}");
}

/// A command that will not be stopped by a key goes on, and so does what watches it; and each signal comes to it once.
#[test]
fn a_key_that_the_command_takes_otherwise_stops_nobody() {
    let folder = TempDir::new().unwrap();
    // Without processes of its own: those would be stopped, and it would wait for them.
    let file = script(
        &folder,
        "trap 'n=$((n+1)); echo $n > $0.heard' INT TSTP; echo begun\nwhile [ ! -e $0.end ]; do :; done; exit 6\n",
    );
    let Some(mut terminal) = Terminal::running(80, 24, &format!("run -q sh {file}")) else { return };
    wait_until("it runs and is watched", || {
        terminal.shown().contains("begun") && terminal.has_thread("aldis-sampler")
    });
    let heard = || fs::read_to_string(format!("{file}.heard")).unwrap_or_default();
    terminal.types("\x1a");
    wait_until("it hears of the key", || heard() == "1\n");
    if !is_ignored(Signal::INT) {
        terminal.types("\x03");
        wait_until("it hears of the other key", || heard() == "2\n");
        terminal.is_sent(Signal::INT);
        wait_until("it hears of what comes from elsewhere", || heard() == "3\n");
    }
    let all = heard();
    sleep(A_WHILE);
    assert_eq!(heard(), all);
    fs::write(format!("{file}.end"), "").unwrap();
    let shown = terminal.ends();
    assert!(shown.contains("ended 6") && !shown.contains("stopped "), "{shown}");
}

#[test]
fn a_line_shows_how_it_stands() {
    let folder = TempDir::new().unwrap();
    let file = script(&folder, "i=0; while [ ! -e $0.end ]; do i=$((i+1)); done\n");
    let Some(terminal) = Terminal::running(80, 24, &format!("run --live sh {file}")) else { return };
    wait_until("lines are drawn", || terminal.shown().matches("\raldis: ").count() > 2);
    fs::write(format!("{file}.end"), "").unwrap();
    let shown = terminal.ends();
    assert!(shown.contains(" CPUs, ") && shown.contains(", 1 process"), "{shown}");
    let after = shown.rsplit("\raldis: ").next().unwrap();
    assert!(after.contains("\r\x1b[K") && after.contains("ended with 0"), "the line is gone: {after}");
    let without = aldis(&["run", "-q", "--live", "--", "true"]);
    assert!(text(&without.stderr).contains("warning: --live: "), "{without:?}");
}
