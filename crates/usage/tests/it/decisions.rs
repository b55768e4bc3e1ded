//! What a user decides holds at once, whatever is under way.

use std::{
    fs::{self, File},
    io::Read,
    net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream},
    os::fd::OwnedFd,
    process::{Child, Stdio},
    time::Duration,
};

use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, SockaddrIn};

use crate::{
    receiver::{Manner, Receiver},
    tool::{Home, text, wait_until},
};

/// A receiver at whose door one stands already, so that who comes next has to wait outside.
struct Door {
    listener: TcpListener,
    _first: TcpStream,
    url: String,
}

impl Door {
    fn closed() -> Self {
        let (family, kind) = (AddressFamily::Inet, SockType::Stream);
        let listener: OwnedFd = socket::socket(family, kind, SockFlag::SOCK_CLOEXEC, None).unwrap();
        let any = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
        socket::bind(std::os::fd::AsRawFd::as_raw_fd(&listener), &SockaddrIn::from(any)).unwrap();
        socket::listen(&listener, Backlog::new(0).unwrap()).unwrap();
        let listener = TcpListener::from(listener);
        let address = listener.local_addr().unwrap();
        let first = TcpStream::connect(address).unwrap();
        Self { listener, _first: first, url: format!("http://{address}") }
    }

    /// Lets the next one in, too: the sender of this home, unless it has lost its patience.
    fn open(self, home: &Home) -> Option<TcpStream> {
        drop(self.listener.accept().unwrap());
        self.listener.set_nonblocking(true).unwrap();
        let mut next = None;
        wait_until("somebody comes, or nobody is there", || {
            next = self.listener.accept().ok();
            next.is_some() || home.senders().is_empty()
        });
        next.map(|(stream, _)| stream)
    }
}

/// What whoever came has to say.
fn said(stream: Option<TcpStream>) -> String {
    let mut all = Vec::new();
    // How it ends is nothing that it says.
    let _ = stream.map(|mut stream| stream.read_to_end(&mut all));
    text(&all)
}

/// A command that ends when its sender has ended.
fn run_on(home: &Home) -> Child {
    home.command(&["wait"]).stdout(Stdio::null()).spawn().unwrap()
}

fn ended(mut command: Child) {
    assert!(command.wait().unwrap().success());
}

/// Has a user decide; once more where they are told that others are at work, who are not waited for without end.
fn decided(home: &Home, words: &[&str]) {
    wait_until("it is decided", || {
        let output = home.run(&[&["telemetry"][..], words].concat());
        let told = text(&output.stderr);
        assert!(output.status.success() || told.contains("at work in"), "{words:?}: {output:?}");
        output.status.success()
    });
}

/// What is left in a home whose user has decided.
fn only_the_decision(home: &Home, what: &str) {
    assert_eq!(home.all_files(), ["config.toml"], "{what}");
}

#[test]
fn who_is_on_the_way_does_not_send_any_more() {
    for word in ["disable", "reset"] {
        let door = Door::closed();
        let home = Home::enabled(&door.url);
        let command = run_on(&home);
        wait_until("a sender is on the way", || home.all_files().iter().any(|name| name.ends_with(".lock")));
        decided(&home, &[word]);
        assert_eq!(said(door.open(&home)), "", "{word}");
        ended(command);
        only_the_decision(&home, word);
    }
}

/// A user who decides between a connection and its request.
#[test]
fn who_has_arrived_waits_for_who_decides() {
    let door = Door::closed();
    let home = Home::enabled(&door.url);
    let command = run_on(&home);
    wait_until("a sender is on the way", || home.all_files().iter().any(|name| name.ends_with(".lock")));
    let deciding = File::open(home.file("")).unwrap();
    deciding.lock().unwrap();
    let config = fs::read_to_string(home.file("config.toml")).unwrap();
    let mut stream = door.open(&home);
    if let Some(stream) = &mut stream {
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        assert!(!stream.read(&mut [0]).is_ok_and(|read| read > 0), "it asks, and waits");
        stream.set_read_timeout(None).unwrap();
    }
    home.configure(&config.replace("true", "false"));
    drop(deciding);
    assert_eq!(said(stream), "");
    ended(command);
    assert!(!home.file("fingerprint").exists());
}

#[test]
fn what_came_of_it_is_not_noted_any_more() {
    for word in ["disable", "reset"] {
        let receiver = Receiver::with_manner(Manner::Held);
        let home = Home::enabled(&receiver.url);
        let command = run_on(&home);
        receiver.requests(1);
        decided(&home, &[word]);
        only_the_decision(&home, word);
        receiver.release();
        ended(command);
        only_the_decision(&home, word);
    }
}

#[test]
fn what_was_for_another_endpoint_is_not_noted() {
    let receiver = Receiver::with_manner(Manner::Held);
    let home = Home::enabled(&receiver.url);
    let command = run_on(&home);
    receiver.requests(1);
    decided(&home, &["enable", "http://127.0.0.1:9"]);
    // Nothing, unless it took so long that the sender had lost its patience.
    let before = home.status()["last_result"].clone();
    receiver.release();
    ended(command);
    assert_eq!(home.status()["last_result"], before);
    assert_ne!(before, "delivered");
}

#[test]
fn a_directory_that_is_removed_stays_removed() {
    let receiver = Receiver::with_manner(Manner::Held);
    let door = Door::closed();
    let homes = [Home::enabled(&receiver.url), Home::enabled(&door.url)];
    let commands = homes.each_ref().map(run_on);
    receiver.requests(1);
    wait_until("a sender is on the way", || !homes[1].senders().is_empty());
    wait_until("it has a place", || homes[1].all_files().len() > 1);
    for home in &homes {
        wait_until("it is removed", || {
            // One who has lost its patience may be writing there.
            let _ = fs::remove_dir_all(home.file(""));
            !home.file("").exists()
        });
    }
    receiver.release();
    assert_eq!(said(door.open(&homes[1])), "");
    commands.into_iter().for_each(ended);
    for home in &homes {
        assert!(!home.file("").exists());
    }
}

/// A sender that has not begun: whoever decides has the directory to themselves.
#[test]
fn who_comes_while_a_user_decides_does_as_they_decided() {
    let receiver = Receiver::start();
    let home = Home::enabled(&receiver.url);
    let deciding = File::open(home.file("")).unwrap();
    deciding.lock().unwrap();
    let command = run_on(&home);
    wait_until("a sender is on the way", || !home.senders().is_empty());
    let config = fs::read_to_string(home.file("config.toml")).unwrap();
    home.configure(&config.replace("true", "false"));
    drop(deciding);
    ended(command);
    assert_eq!(receiver.count(), 0);
    only_the_decision(&home, "before it began");
}

fn says_no(home: &Home) -> bool {
    fs::read_to_string(home.file("config.toml")).unwrap().contains("enabled = false")
}

/// A sender that has asked already, and is about to write.
#[test]
fn a_decision_waits_for_who_is_writing() {
    // It waits for two seconds. A test that was held up for longer has to write once more.
    wait_until("who was writing has been waited for", || {
        let home = Home::enabled("http://127.0.0.1:9");
        let writing = File::open(home.file("")).unwrap();
        writing.lock_shared().unwrap();
        let mut command = home.command(&["telemetry", "disable"]);
        let deciding = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        wait_until("it is decided", || says_no(&home));
        fs::write(home.file("fingerprint"), "0".repeat(64)).unwrap();
        writing.unlock().unwrap();
        let output = deciding.wait_with_output().unwrap();
        if output.status.success() {
            only_the_decision(&home, "written meanwhile");
        } else {
            assert!(text(&output.stderr).contains("at work in"), "{output:?}");
        }
        output.status.success()
    });
}

#[test]
fn a_decision_does_not_wait_for_ever() {
    let home = Home::enabled("http://127.0.0.1:9");
    fs::write(home.file("fingerprint"), "0".repeat(64)).unwrap();
    let stuck = File::open(home.file("")).unwrap();
    stuck.lock_shared().unwrap();
    let refused = home.run(&["telemetry", "disable"]);
    assert!(!refused.status.success() && text(&refused.stderr).contains("at work in"), "{refused:?}");
    assert_eq!(home.status()["reason"], "it is not enabled", "it is decided nevertheless");
    only_the_decision(&home, "what can be forgotten is");
}

#[test]
fn no_race_leaves_a_fingerprint() {
    let receiver = Receiver::start();
    let home = Home::enabled(&receiver.url);
    for round in 0..30 {
        decided(&home, &["enable"]);
        for _ in 0..round % 4 {
            home.run(&["noop"]);
        }
        decided(&home, &["disable"]);
        wait_until("all have ended", || home.senders().is_empty());
        only_the_decision(&home, "after all");
    }
}

/// One who decided otherwise, was waited for no longer, and writes after all.
#[test]
fn who_decides_late_does_not_undo_a_no() {
    let home = Home::enabled("http://127.0.0.1:9");
    let before = fs::read_to_string(home.file("config.toml")).unwrap();
    let other = File::open(home.file("")).unwrap();
    other.lock().unwrap();
    let mut command = home.command(&["telemetry", "disable"]);
    let disabling = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("it waits no longer to write", || says_no(&home));
    home.configure(&before);
    drop(other);
    let output = disabling.wait_with_output().unwrap();
    // A machine so slow that it has lost its patience says so.
    assert_eq!(output.status.success(), says_no(&home), "{output:?}");
}

/// What stands where a link leads is not known while that is not there: a no, maybe.
#[test]
fn a_link_that_leads_nowhere_is_no_word() {
    let home = Home::enabled("http://127.0.0.1:9");
    let (link, elsewhere) = (home.file("config.toml"), home.path().join("elsewhere.toml"));
    fs::rename(&link, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
    assert_eq!(home.status()["state"], "on", "a link is followed");
    fs::rename(&elsewhere, home.path().join("gone")).unwrap();
    let status = home.status();
    assert_eq!(status["state"], "off", "{status}");
    assert!(status["reason"].as_str().unwrap().contains("leads nowhere"), "{status}");
    let enabled = home.run(&["telemetry", "enable"]);
    assert!(!enabled.status.success() && link.is_symlink(), "{enabled:?}");
}

/// A pipe where the directory should be is opened by nobody who would wait for its other end.
#[test]
fn a_pipe_holds_nobody_up() {
    let home = Home::enabled("http://127.0.0.1:9");
    let folder = home.file("");
    let folder = folder.to_str().unwrap().trim_end_matches('/');
    fs::remove_dir_all(folder).unwrap();
    nix::unistd::mkfifo(folder, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for word in ["disable", "reset", "status"] {
        let mut running =
            home.command(&["telemetry", word]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_until("it ends", || running.try_wait().unwrap().is_some());
    }
    assert!(home.run(&["noop"]).status.success());
}
