//! What a receiver answers.

use std::io;

use super::{SendError, stream::Connection};
use crate::{
    json,
    limits::{ANSWER_BYTES_MAX, REJECTION_CHARS_MAX},
};

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    body: Body,
}

/// Where the body of an answer ends (RFC 9112, §6.3).
#[derive(Debug)]
enum Body {
    Length(usize),
    Chunks,
    Connection,
}

impl Answer {
    /// Reads it, to its empty line.
    pub(super) fn head(connection: &mut dyn Connection) -> Result<Self, SendError> {
        let mut head = Vec::new();
        // One byte after the other: what comes behind the head of a tunnel is TLS.
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && head.len() < ANSWER_BYTES_MAX {
            match connection.read(&mut byte) {
                Ok(0) => break,
                Ok(_) => head.push(byte[0]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) if head.contains(&b'\n') => break,
                Err(error) => return Err(error.into()),
            }
        }
        if head.is_empty() {
            return Err(SendError::BrokenOff);
        }
        let head = String::from_utf8_lossy(&head);
        let (line, fields) = head.split_once("\r\n").ok_or(SendError::NotHttp)?;
        let status = status(line).ok_or(SendError::NotHttp)?;
        let body = if status == 204 { Body::Length(0) } else { body(fields) };
        Ok(Self { status, body })
    }

    /// Reads on, and tells with which words the receiver has rejected the point, if it has. A receiver that has accepted the request and
    /// says no more is believed.
    pub(super) fn rejection(&self, connection: &mut dyn Connection) -> Option<String> {
        let body = self.read(connection);
        let body = String::from_utf8_lossy(&body);
        let partial = json::member(&body, "partialSuccess")?;
        let rejected = json::member(partial, "rejectedDataPoints").and_then(json::number)?;
        let message = || json::member(partial, "errorMessage").and_then(json::string).unwrap_or_default();
        (rejected > 0).then(|| shown(&message().0))
    }

    /// The body, as much of it as there may be and as comes.
    fn read(&self, connection: &mut dyn Connection) -> Vec<u8> {
        let mut all = Vec::new();
        let mut piece = [0; 512];
        loop {
            let whole = match self.body {
                Body::Length(bytes) => all.get(..bytes).map(<[u8]>::to_vec),
                Body::Chunks => joined(&all, false),
                Body::Connection => None,
            };
            if let Some(whole) = whole {
                return whole;
            }
            match connection.read(&mut piece) {
                Ok(read) if read > 0 && all.len() < ANSWER_BYTES_MAX => all.extend_from_slice(&piece[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        if matches!(self.body, Body::Chunks) { joined(&all, true).unwrap_or_default() } else { all }
    }
}

/// RFC 9112, §4.
fn status(line: &str) -> Option<u16> {
    let mut words = line.split(' ');
    let version = words.next().is_some_and(|word| word.starts_with("HTTP/1."));
    words.next().filter(|word| version && word.len() == 3).and_then(|word| word.parse().ok())
}

fn body(fields: &str) -> Body {
    let mut body = Body::Connection;
    for (name, value) in fields.lines().filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("Transfer-Encoding") && value.eq_ignore_ascii_case("chunked") {
            return Body::Chunks;
        }
        if name.eq_ignore_ascii_case("Content-Length")
            && let Ok(bytes) = value.parse()
        {
            body = Body::Length(bytes);
        }
    }
    body
}

/// A body out of its chunks (RFC 9112, §7.1), once the last has come, or else what there is if that is asked for.
fn joined(mut text: &[u8], unfinished: bool) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    let so_far = |whole: Vec<u8>| unfinished.then_some(whole);
    loop {
        let Some(end) = text.windows(2).position(|two| two == b"\r\n") else { return so_far(whole) };
        let line = String::from_utf8_lossy(&text[..end]);
        let digits = line.split(';').next().unwrap_or_default().trim();
        match usize::from_str_radix(digits, 16) {
            // What is no length ends it too: nothing behind it can be read.
            Ok(0) | Err(_) => return Some(whole),
            Ok(bytes) => {
                text = &text[end + 2..];
                whole.extend_from_slice(&text[..bytes.min(text.len())]);
                match bytes.checked_add(2).and_then(|end| text.get(end..)) {
                    Some(rest) => text = rest,
                    None => return so_far(whole),
                }
            }
        }
    }
}

/// What can be shown of a message on one line of a terminal.
fn shown(message: &str) -> String {
    // Marks that turn the direction of a line, or are not seen.
    let is_hidden = |letter: char| matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let letters = message.trim().chars().filter(|letter| !is_hidden(*letter)).take(REJECTION_CHARS_MAX);
    letters.map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
