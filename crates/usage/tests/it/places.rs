//! Homes that cannot be used as homes, and systems without room.

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::PathBuf,
    process::{Command, Output},
};

use crate::{
    own::{mount, own_mounts, within},
    receiver::{Receiver, body},
    tool::{Home, configuration, executable, text, wait_until},
};

/// A user who is not root: nobody.
const NOBODY: u32 = 65534;

/// A user of a test's own: processes of others count too where there may be so many and no more.
fn user(test: u32) -> u32 {
    // Within what a container without root maps.
    20_000 + 2 * (std::process::id() % 20_000) + test % 2
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// The command did what it does without any telemetry.
fn is_well(output: &Output) {
    let seen = (output.status.code(), text(&output.stdout), text(&output.stderr));
    assert_eq!(seen, (Some(7), "a\n".to_owned(), "1 words\n".to_owned()));
}

/// The tool where every user finds it, for commands of other users.
fn for_everybody(home: &Home) -> PathBuf {
    let copy = home.path().join("tool");
    // By another process: a child of another test that has not begun its program yet would hold what is open for writing here.
    assert!(Command::new("cp").arg(executable()).arg(&copy).status().unwrap().success());
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&copy, Permissions::from_mode(0o755)).unwrap();
    copy
}

#[test]
fn a_home_that_is_missing() {
    let home = Home::new();
    let missing = home.path().join("gone");
    for value in [None, Some(""), Some("relative"), Some("/nowhere/at/all"), missing.to_str()] {
        let mut command = home.command(&["echo", "a"]);
        let mut status = home.command(&["telemetry", "status"]);
        for command in [&mut command, &mut status] {
            command.env_remove("HOME");
            command.envs(value.map(|value| ("HOME", value)));
        }
        is_well(&command.output().unwrap());
        let status = status.output().unwrap();
        assert!(status.status.success() && text(&status.stdout).starts_with("off: "), "{status:?}");
    }
    let mut enable = home.command(&["telemetry", "enable"]);
    let refused = enable.env_remove("HOME").output().unwrap();
    assert!(!refused.status.success() && text(&refused.stderr).contains("set HOME"), "{refused:?}");
}

/// The user's own decision is read; nothing is written; the pseudonym is another one each time.
#[test]
fn a_home_that_cannot_be_written() {
    let receiver = Receiver::start();
    let home = Home::enabled(&receiver.url);
    let tool = for_everybody(&home);
    fs::set_permissions(home.file(""), Permissions::from_mode(0o555)).unwrap();
    let run = |words: &[&str]| {
        let mut command = Command::new(&tool);
        command.args(words).env_clear().env("HOME", home.path());
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.output().unwrap()
    };
    // There is room for one sender where no slot can be made: each has ended before the next.
    for sent in 1..=2 {
        assert!(run(&["wait"]).status.success());
        receiver.requests(sent);
    }
    assert_eq!(home.files(), ["config.toml"]);
    let fingerprint = |request: &String| {
        body(request)["resourceMetrics"][0]["resource"]["attributes"][2]["value"]["stringValue"].clone()
    };
    let requests = receiver.requests(2);
    assert_ne!(fingerprint(&requests[0]), fingerprint(&requests[1]));
    let disabled = run(&["telemetry", "disable"]);
    assert!(!disabled.status.success(), "a decision that is not kept is told: {disabled:?}");
}

#[test]
fn a_disk_that_is_full() {
    within(own_mounts, "a_disk_that_is_full", || {
        let receiver = Receiver::start();
        let home = Home::new();
        let disk = home.file("");
        fs::create_dir(&disk).unwrap();
        let place = disk.to_str().unwrap();
        mount(&["-t", "tmpfs", "-o", "size=16k", "tmpfs", place]).unwrap();
        let others = fs::read_to_string(format!("/proc/{}/mounts", std::process::id())).unwrap();
        assert!(!others.contains(place.trim_end_matches('/')), "nobody else sees it");
        let config = configuration(&receiver.url, "10s");
        home.configure(&config);
        let filler = fs::File::create(disk.join("filler")).unwrap();
        while std::io::Write::write(&mut &filler, &[b'x'; 64]).is_ok_and(|written| written > 0) {}
        is_well(&home.run(&["echo", "a"]));
        receiver.requests(1);
        wait_until("its sender has ended", || home.senders().is_empty());
        let refused = home.run(&["telemetry", "enable", "http://127.0.0.1:9"]);
        assert!(!refused.status.success(), "a decision that is not kept is told: {refused:?}");
        let kept = fs::read_to_string(home.file("config.toml")).unwrap();
        assert_eq!(kept, config, "what was there is whole");
        let files = home.files();
        assert!(files.iter().all(|name| !name.ends_with(".tmp")), "{files:?}");
    });
}

#[test]
fn several_first_runs_get_one_pseudonym() {
    let receiver = Receiver::start();
    let home = Home::enabled(&receiver.url);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| is_well(&home.run(&["echo", "a"])));
        }
    });
    let bodies = receiver.requests(2);
    let resource = |at: usize| body(&bodies[at])["resourceMetrics"][0]["resource"].clone();
    assert_eq!(resource(0), resource(1));
    let mode = fs::metadata(home.file("fingerprint")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// `sudo` keeps the home of who called it: nothing there may become root's.
#[test]
fn root_in_the_home_of_another_leaves_nothing() {
    if !is_root() {
        eprintln!("skipped: root_in_the_home_of_another_leaves_nothing: this is not root");
        return;
    }
    let receiver = Receiver::start();
    let home = Home::enabled(&receiver.url);
    for path in [home.path().to_path_buf(), home.file(""), home.file("config.toml")] {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    is_well(&home.run(&["echo", "a"]));
    receiver.requests(1);
    // Where nothing can be made there is one place for senders, which who ends gives back last.
    wait_until("its sender has ended", || home.senders().is_empty());
    let place = fs::File::open(home.file("config.toml")).unwrap();
    place.lock().unwrap();
    place.unlock().unwrap();
    let whose = || {
        let listed = fs::read_dir(home.file("")).unwrap().flatten();
        let mut listed: Vec<_> = listed
            .map(|file| (file.file_name(), file.metadata().unwrap()))
            .map(|(name, found)| (name, found.uid(), found.mode() & 0o777))
            .collect();
        listed.sort();
        listed
    };
    assert_eq!(whose().len(), 1, "{:?}", whose());
    // What its owner has is not touched either.
    for name in ["fingerprint", "last-result", "config.toml.0123456789abcdef.tmp"] {
        fs::write(home.file(name), "0".repeat(64)).unwrap();
        chown(home.file(name), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let before = whose();
    is_well(&home.run(&["echo", "a"]));
    receiver.requests(2);
    wait_until("all have ended", || home.senders().is_empty());
    for word in ["enable", "disable", "reset"] {
        let refused = home.run(&["telemetry", word]);
        assert!(text(&refused.stderr).contains("belongs to user 65534"), "{refused:?}");
    }
    assert_eq!(whose(), before);
}

/// Whether there is an address is not known where nobody could ask.
#[test]
fn a_user_who_may_start_no_thread() {
    if !is_root() {
        eprintln!("skipped: a_user_who_may_start_no_thread: this is not root");
        return;
    }
    let user = user(1);
    let home = Home::enabled("http://receiver.invalid:4318");
    let tool = for_everybody(&home);
    for path in [home.file(""), home.file("config.toml")] {
        chown(path, Some(user), Some(user)).unwrap();
    }
    let mut prlimit = Command::new("prlimit");
    // The command and its sender.
    prlimit.arg("--nproc=2:2").arg(tool).arg("wait").env_clear();
    let output = prlimit.env("PATH", "/usr/bin:/bin").env("HOME", home.path()).uid(user).gid(user).output();
    let Ok(output) = output else {
        eprintln!("skipped: a_user_who_may_start_no_thread: there is no prlimit");
        return;
    };
    assert!(output.status.success(), "{output:?}");
    assert_eq!(home.last_result(), "no thread to ask for the endpoint's name on");
}

/// A program with more rights than its user: by its owner, or by capabilities of its file.
#[test]
fn a_program_with_rights_of_its_own_counts_nothing() {
    if !is_root() {
        eprintln!("skipped: a_program_with_rights_of_its_own_counts_nothing: this is not root");
        return;
    }
    const USER: u32 = 64323;
    let receiver = Receiver::start();
    let home = Home::enabled(&receiver.url);
    let tool = for_everybody(&home);
    for path in [home.file(""), home.file("config.toml")] {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let run = |words: &[&str], point: bool| {
        let mut command = Command::new(&tool);
        command.args(words).env_clear().env("HOME", home.path()).uid(NOBODY).gid(NOBODY);
        if point {
            command.env("TOOL_TELEMETRY_SENDER", "1 2 by-hand");
        }
        command.output().unwrap()
    };
    let state = || text(&run(&["telemetry", "status"], false).stdout);
    assert!(state().starts_with("on: "), "{}", state());
    // What the system gives to another program that is treated the same.
    let other = home.path().join("cat");
    assert!(Command::new("cp").args(["/bin/cat"]).arg(&other).status().unwrap().success());
    let is_given = |how: &str, line: &str| {
        let seen = Command::new(&other).arg("/proc/self/status").uid(NOBODY).gid(NOBODY).output().unwrap();
        let is = text(&seen.stdout).lines().any(|found| found.starts_with(line));
        if !is {
            eprintln!("skipped: a_program_with_rights_of_its_own_counts_nothing: {how} has no effect here");
        }
        is
    };
    let counts_nothing = |how: &str| {
        let told = state();
        assert!(
            told.starts_with("off: the program runs with rights that its user does not have"),
            "{how}: {told}"
        );
        for point in [false, true] {
            is_well(&run(&["echo", "a"], point));
        }
        assert_eq!(home.files(), ["config.toml"], "{how}");
    };
    for file in [&tool, &other] {
        chown(file, Some(USER), None).unwrap();
        fs::set_permissions(file, Permissions::from_mode(0o4755)).unwrap();
    }
    if is_given("setuid", &format!("Uid:\t{NOBODY}\t{USER}")) {
        counts_nothing("setuid");
    }
    for file in [&tool, &other] {
        fs::set_permissions(file, Permissions::from_mode(0o755)).unwrap();
        // Where there is no `setcap` nothing is given.
        let _ = Command::new("setcap").arg("cap_net_raw+ep").arg(file).output();
    }
    if is_given("setcap", "CapPrm:\t0000000000002000") {
        counts_nothing("setcap");
    }
    assert_eq!(receiver.count(), 0);
}

#[test]
fn a_user_who_may_start_no_process() {
    if !is_root() {
        eprintln!("skipped: a_user_who_may_start_no_process: this is not root");
        return;
    }
    let user = user(2);
    let receiver = Receiver::start();
    let home = Home::enabled(&receiver.url);
    let tool = for_everybody(&home);
    for path in [home.file(""), home.file("config.toml")] {
        chown(path, Some(user), Some(user)).unwrap();
    }
    let mut prlimit = Command::new("prlimit");
    prlimit.arg("--nproc=1:1").arg(tool).args(["echo", "a"]).env_clear();
    let output = prlimit.env("PATH", "/usr/bin:/bin").env("HOME", home.path()).uid(user).gid(user).output();
    let Ok(output) = output else {
        eprintln!("skipped: a_user_who_may_start_no_process: there is no prlimit");
        return;
    };
    is_well(&output);
    wait_until("it was counted as skipped", || {
        fs::metadata(home.file("skipped")).is_ok_and(|file| file.len() == 1)
    });
    assert_eq!(receiver.count(), 0);
}
