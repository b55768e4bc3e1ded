use std::{fs, os::unix::fs::PermissionsExt};

use tempfile::TempDir;

use super::{
    server::{Asked, Server},
    *,
};

fn echo(asked: Asked) {
    let name = format!("{:?}", asked.request);
    asked.answer(json!({"ok": true, "text": name}));
}

#[test]
fn a_request_is_answered_and_the_socket_is_gone_with_its_server() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("one.sock");
    let server = Server::start(path.clone(), echo).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(ask(&path, Request::Reload).unwrap()["text"], "Reload");
    assert!(Server::start(path.clone(), echo).is_err(), "one is there");
    drop(server);
    assert!(!path.exists());
}

#[test]
fn what_nobody_answers_on_is_replaced_and_nothing_else_is() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("one.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists() && !is_answered(&path));
    let server = Server::start(path.clone(), echo).unwrap();
    assert!(ask(&path, Request::Reload).is_ok());
    // Somebody puts a file in its place: that one is not removed.
    fs::remove_file(&path).unwrap();
    fs::write(&path, "mine").unwrap();
    drop(server);
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    assert!(Server::start(path, echo).is_err(), "it is no socket");
}

#[test]
fn who_says_nothing_or_too_much_holds_nobody_up() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("one.sock");
    let _server = Server::start(path.clone(), echo).unwrap();
    let silent: Vec<UnixStream> = (0..3).map(|_| UnixStream::connect(&path).unwrap()).collect();
    let mut much = UnixStream::connect(&path).unwrap();
    let _ = much.write_all(&[b'x'; 2 * MAX_REQUEST_BYTES as usize]);
    let answer = read_line(&mut much, 1 << 20, Instant::now() + LINE_TIMEOUT);
    assert!(answer.is_ok_and(|line| String::from_utf8(line).unwrap().contains("not a request")));
    assert!(ask(&path, Request::Reload).is_ok());
    drop(silent);
}

#[test]
fn requests_are_read_or_refused() {
    assert_eq!(Request::parse(br#"{"command": "reload"}"#), Ok(Request::Reload));
    for (line, why) in
        [("{}", "has a `command`"), (r#"{"command": "x"}"#, "no command `x`"), ("", "not a request")]
    {
        assert!(Request::parse(line.as_bytes()).unwrap_err().contains(why), "{line}");
    }
}
