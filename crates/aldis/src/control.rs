//! What a running engine can be asked by its user: one line of JSON there, one line back, over a Unix domain socket that only
//! that user can open.
//!
//! `{"command": "reload"}` is answered by an object with `ok`, `exit` (the code that whoever asks should end with) and `text`
//! for people; the rest is the command's. A line is bounded, and so is the time that it may take to come.

pub(crate) mod place;
pub(crate) mod server;

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// Bytes: the longest request.
pub(crate) const MAX_REQUEST_BYTES: u64 = 4096;
/// Bytes: the longest answer; as many problems as a file can have are shorter.
const MAX_ANSWER_BYTES: u64 = 4 << 20;
/// How long a line may take to be read or written.
pub(crate) const LINE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take to be found: opening what a configuration names is waited for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// To read the configuration again.
    Reload,
}

impl Request {
    fn line(self) -> Value {
        match self {
            Request::Reload => json!({"command": "reload"}),
        }
    }

    /// What a line asks for.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(line: &[u8]) -> Result<Request, String> {
        let value: Value = serde_json::from_slice(line).map_err(|error| format!("not a request: {error}"))?;
        match value["command"].as_str() {
            Some("reload") => Ok(Request::Reload),
            Some(other) => Err(format!("there is no command `{other}`")),
            None => Err("a request has a `command`".to_owned()),
        }
    }
}

/// Asks the engine that listens here.
///
/// # Errors
/// Nobody listens, or whoever does answers too late or with something else.
pub(crate) fn ask(path: &Path, request: Request) -> io::Result<Value> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_write_timeout(Some(LINE_TIMEOUT))?;
    writeln!(stream, "{}", request.line())?;
    let line = read_line(&mut stream, MAX_ANSWER_BYTES, Instant::now() + ANSWER_TIMEOUT)?;
    serde_json::from_slice(&line).map_err(io::Error::other)
}

/// Whether an engine listens here.
pub(crate) fn is_answered(path: &Path) -> bool {
    UnixStream::connect(path).is_ok()
}

fn read_line(stream: &mut UnixStream, most: u64, deadline: Instant) -> io::Result<Vec<u8>> {
    let (mut line, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let read = stream.read(&mut piece)?;
        line.extend_from_slice(&piece[..read]);
        if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            line.truncate(end);
            return Ok(line);
        }
        if read == 0 || line.len() as u64 > most {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer has no end"));
        }
    }
}

#[cfg(test)]
mod tests;
