//! Configurations that cannot be replaced.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt},
};

use crate::{
    consent::on_a_terminal,
    own::{mount, own_mounts, within},
    receiver::Receiver,
    tool::{Home, text, wait_until},
};

/// The notice, for a tool that counts by default: once. Whether there was a terminal to see it on.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn told_once(home: &Home, receiver: &Receiver, name: &str) -> bool {
    let Some(first) = on_a_terminal(home, &receiver.url) else {
        eprintln!("skipped: {name}: there is no `script` to make a terminal");
        return false;
    };
    assert!(first.contains("tool counts which of its commands are run"), "{first}");
    assert_eq!(on_a_terminal(home, &receiver.url).unwrap(), "", "once");
    receiver.requests(1);
    wait_until("its sender has ended", || home.senders().is_empty());
    true
}

/// A configuration on which another file is mounted, as in a container.
fn mounted(home: &Home, options: &[&str]) {
    let own = home.path().join("own.toml");
    fs::write(&own, "color = \"never\"\n").unwrap();
    home.configure("");
    let (own, place) = (own.display().to_string(), home.file("config.toml").display().to_string());
    mount(&["--bind", &own, &place]).unwrap();
    if !options.is_empty() {
        mount(&[options, &[place.as_str()]].concat()).unwrap();
    }
}

fn state(home: &Home, receiver: &Receiver) -> serde_json::Value {
    let mut command = home.command(&["telemetry", "status", "--json"]);
    let output = command.env("TOOL_DEFAULT_ENDPOINT", &receiver.url).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_mounted_configuration_is_written_in_place() {
    within(own_mounts, "a_mounted_configuration_is_written_in_place", || {
        let (receiver, home) = (Receiver::start(), Home::new());
        mounted(&home, &[]);
        let file = || fs::read_to_string(home.path().join("own.toml")).unwrap();
        if !told_once(&home, &receiver, "a_mounted_configuration_is_written_in_place") {
            return;
        }
        assert!(file().starts_with("color = \"never\"\n") && file().contains("enabled = true"), "{}", file());
        let told = state(&home, &receiver);
        assert_eq!(told["state"], "on");
        let note = told["config_note"].as_str().unwrap();
        assert!(note.starts_with("the configuration was written in place: "), "{note}");
        assert!(home.told(&["telemetry", "status"]).contains(&format!("note: {note}\n")));
        let disabled = home.told(&["telemetry", "disable"]);
        assert!(disabled.contains("Note: the configuration was written in place"), "{disabled}");
        assert!(file().contains("enabled = false"), "{}", file());
        assert_eq!(home.files(), ["config.note", "config.toml"]);
        let enabled = home.told(&["telemetry", "enable", &receiver.url]);
        assert!(enabled.contains(&receiver.url), "{enabled}");
        assert_eq!(state(&home, &receiver)["state"], "on");
        mount(&["-o", "remount,bind,ro", home.file("config.toml").to_str().unwrap()]).unwrap();
        let refused = home.run(&["telemetry", "enable", "http://127.0.0.1:9"]);
        assert!(text(&refused.stderr).contains("can neither be replaced"), "{refused:?}");
    });
}

/// What cannot be written anywhere near is kept beside it, a no as well as that the user was told.
#[test]
fn a_configuration_that_is_read_only_has_a_note() {
    within(own_mounts, "a_configuration_that_is_read_only_has_a_note", || {
        let (receiver, home) = (Receiver::start(), Home::new());
        mounted(&home, &["-o", "remount,bind,ro"]);
        let before = fs::read_to_string(home.file("config.toml")).unwrap();
        if !told_once(&home, &receiver, "a_configuration_that_is_read_only_has_a_note") {
            return;
        }
        assert_eq!(fs::read_to_string(home.file("config.toml")).unwrap(), before);
        let note = state(&home, &receiver)["config_note"].as_str().unwrap().to_owned();
        assert!(note.starts_with("that the user has been told is kept in config.note: "), "{note}");
        let disable = || {
            let mut command = home.command(&["telemetry", "disable"]);
            command.env("TOOL_DEFAULT_ENDPOINT", &receiver.url).output().unwrap()
        };
        for _ in 0..2 {
            let disabled = disable();
            assert!(
                text(&disabled.stdout).contains("Note: the user's no is kept in config.note"),
                "{disabled:?}"
            );
            let told = state(&home, &receiver);
            assert_eq!((&told["state"], &told["reason"]), (&"off".into(), &"it is not enabled".into()));
        }
        let count = receiver.count();
        assert_eq!(on_a_terminal(&home, &receiver.url).unwrap(), "", "a no is no reason to be told again");
        assert_eq!(home.files(), ["config.note", "config.toml"]);
        assert_eq!(fs::metadata(home.file("config.note")).unwrap().mode() & 0o777, 0o600);
        mount(&["-o", "remount,bind,rw", home.file("config.toml").to_str().unwrap()]).unwrap();
        home.told(&["telemetry", "enable", &receiver.url]);
        let note = state(&home, &receiver)["config_note"].as_str().unwrap().to_owned();
        assert!(note.starts_with("the configuration was written in place"), "the no is taken back: {note}");
        assert_eq!(receiver.count(), count);
        home.run(&["wait"]);
        receiver.requests(count + 1);
    });
}

/// Somebody else says yes in a file that the user cannot write, and the user no; and then yes.
#[test]
fn a_no_holds_against_a_file_that_says_yes() {
    within(own_mounts, "a_no_holds_against_a_file_that_says_yes", || {
        let receiver = Receiver::start();
        let home = Home::enabled(&receiver.url);
        let place = home.file("config.toml").display().to_string();
        mount(&["--bind", &place, &place]).unwrap();
        mount(&["-o", "remount,bind,ro", &place]).unwrap();
        home.told(&["telemetry", "disable"]);
        home.run(&["wait"]);
        assert_eq!((home.status()["state"].as_str(), receiver.count()), (Some("off"), 0));
        home.told(&["telemetry", "enable"]);
        assert_eq!(home.all_files(), ["config.toml"], "nothing has to be written for that");
        home.run(&["wait"]);
        receiver.requests(1);
    });
}

/// A file that nobody may write, where others may take its place.
#[test]
fn a_read_only_file_is_replaced() {
    let (receiver, home) = (Receiver::start(), Home::new());
    home.configure("color = \"never\"\n");
    fs::set_permissions(home.file("config.toml"), Permissions::from_mode(0o444)).unwrap();
    if !told_once(&home, &receiver, "a_read_only_file_is_replaced") {
        return;
    }
    assert!(
        home.files().contains(&"config.toml".to_owned()) && !home.files().contains(&"config.note".to_owned())
    );
    assert_eq!(fs::metadata(home.file("config.toml")).unwrap().mode() & 0o777, 0o444);
    assert_eq!(home.status()["config_note"], serde_json::Value::Null);
}
