use std::{fs, net::TcpListener};

use tempfile::TempDir;

use super::*;
use crate::{limits::TIMEOUT_MAX, sender::last_result};

/// A user's directory, who sends to this listener.
fn enabled(listener: &TcpListener) -> (TempDir, Storage) {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::new(folder.path().to_path_buf());
    let url = listener.local_addr().unwrap();
    let text = format!("[telemetry]\nenabled = true\notlp_endpoint = \"http://{url}\"\ntimeout = \"10s\"\n");
    fs::write(storage.path(config::FILE), text).unwrap();
    (folder, storage)
}

fn point() -> Point {
    Point { start_ns: 1, time_ns: 2, command: "build".to_owned() }
}

/// What has passed before a sender came to this counts.
#[test]
fn time_runs_from_the_beginning() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let (_folder, storage) = enabled(&listener);
    let tool = Tool::new("tool", "1");
    let long_ago = Instant::now().checked_sub(TIMEOUT_MAX).expect("a machine that runs for a while");
    let errand = Errand::begin(&tool, &storage, long_ago).unwrap();
    assert_eq!(errand.deadline(), long_ago + TIMEOUT_MAX);
    errand.run(&point());
    assert_eq!(last_result(&storage).unwrap().text, "no answer in time");
    assert!(listener.accept().is_err(), "nobody has come");
}

/// Waiting for a user who decides is part of the time that there is.
#[test]
fn a_decision_is_not_waited_for_once_time_is_over() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (_folder, storage) = enabled(&listener);
    let tool = Tool::new("tool", "1");
    let long_ago = Instant::now().checked_sub(TIMEOUT_MAX).expect("a machine that runs for a while");
    let deciding = storage.own(Duration::ZERO).unwrap();
    assert!(Errand::begin(&tool, &storage, long_ago).is_none());
    drop(deciding);
    assert!(Errand::begin(&tool, &storage, long_ago).is_some());
}
