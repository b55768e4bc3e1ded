//! Five networks, and the tool is the same in each.

use std::{fs, os::fd::AsRawFd, process::Output};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, socket};
use serde_json::Value;

use crate::{
    own::{mount, within},
    own_network::{SILENT, own_network},
    receiver::{Manner, Receiver},
    tool::{Home, wait_until},
};

/// What a command does in this home: it says the same and ends the same whatever becomes of the count, and this became of it.
fn alike(home: &Home, expected: &str) {
    let quiet = Home::new();
    let seen = |output: &Output| (output.status.code(), output.stdout.clone(), output.stderr.clone());
    for delivery in ["detached", "inline"] {
        let run = |home: &Home| {
            seen(&home.command(&["echo", "a", "b"]).env("TOOL_DELIVERY", delivery).output().unwrap())
        };
        let (with, without) = (run(home), run(&quiet));
        assert_eq!(with, without, "{delivery}");
        assert_eq!(with, (Some(7), b"a b\n".to_vec(), b"2 words\n".to_vec()));
    }
    // Who has noted nothing a second after its time was over is ended: where it is as slow as that another is sent.
    wait_until("something came of it", || {
        let nothing = home.status()["last_result"] == Value::Null;
        if nothing && home.senders().is_empty() {
            home.run(&["wait"]);
        }
        !nothing
    });
    assert_eq!(home.last_result(), expected);
}

#[test]
fn a_network_that_answers() {
    within(own_network, "a_network_that_answers", || {
        let receiver = Receiver::start();
        alike(&Home::enabled(&receiver.url), "delivered");
    });
}

#[test]
fn a_network_that_refuses() {
    within(own_network, "a_network_that_refuses", || {
        // A port that is taken, by one who does not listen.
        let taken = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind(taken.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
        let address: SockaddrIn = getsockname(taken.as_raw_fd()).unwrap();
        alike(&Home::enabled(&format!("http://{address}")), "cannot connect");
    });
}

#[test]
fn a_network_that_swallows_packets() {
    within(own_network, "a_network_that_swallows_packets", || {
        alike(&Home::hurried(&format!("http://{SILENT}:4318")), "no answer in time");
    });
}

/// A home that sends to a name which nobody answers for, in the network of the calling thread.
fn nameless() -> Home {
    let home = Home::hurried("http://receiver.example:4318");
    let file = home.path().join("resolv.conf");
    fs::write(&file, format!("nameserver {SILENT}\noptions timeout:30 attempts:1\n")).unwrap();
    mount(&["--bind", file.to_str().unwrap(), "/etc/resolv.conf"]).unwrap();
    home
}

#[test]
fn a_network_that_swallows_questions_for_names() {
    within(own_network, "a_network_that_swallows_questions_for_names", || {
        let home = nameless();
        alike(&home, "no answer in time");
    });
}

/// The system's resolver goes on asking after the sending has been given up, and few may do so.
#[test]
fn questions_for_names_are_few() {
    within(own_network, "questions_for_names_are_few", || {
        let home = nameless();
        let config = fs::read_to_string(home.file("config.toml")).unwrap();
        home.configure(&config.replace("2s", "10ms"));
        let output = home.command(&["wait", "20"]).env("TOOL_DELIVERY", "inline").output().unwrap();
        assert!(output.status.success());
        let status = home.status();
        assert_eq!((&status["skipped"], &status["last_result"]), (&12.into(), &"no answer in time".into()));
    });
}

/// It would answer after ten seconds: nobody is there any more.
#[test]
fn a_network_that_answers_too_late() {
    within(own_network, "a_network_that_answers_too_late", || {
        let receiver = Receiver::with_manner(Manner::Waits);
        alike(&Home::hurried(&receiver.url), "no answer in time");
    });
}
