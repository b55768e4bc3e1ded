//! What is typed while a summary is shown.

use std::{io, sync::mpsc, thread};

/// A wish of whoever looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// End it.
    Quit,
    /// Say what can be typed, or stop saying it.
    Help,
    /// Hold the picture still, or go on.
    Pause,
    /// Give the room to the next part of the picture.
    Next,
    /// To the one before.
    Previous,
    /// Give every part its share again.
    Everything,
    /// Put what does most in front, or go back to the names.
    Sort,
}

/// Every key, for the help.
pub(super) const HELP: [(&str, &str); 6] = [
    ("q, Ctrl-C", "end it"),
    ("tab, arrows", "give the room to one part: services, operations, errors, a trace"),
    ("0, Esc", "every part again"),
    ("space, p", "hold the picture still; what comes is counted on"),
    ("Ctrl-Z", "stop, until `fg`"),
    ("?, h", "show and hide this"),
];

/// Bytes that are read at once: more than any key sends.
const CHUNK_BYTES: usize = 64;

/// Keys that may wait to be looked at; what is typed beyond them is dropped.
const WAITING: usize = 64;

/// Reads keys from standard input on a thread, which ends with the input or the process.
pub(super) fn listen() -> Option<mpsc::Receiver<Key>> {
    let (tell, typed) = mpsc::sync_channel(WAITING);
    let read = move || {
        let mut chunk = [0; CHUNK_BYTES];
        loop {
            match io::Read::read(&mut io::stdin(), &mut chunk) {
                Ok(0) => return,
                Ok(n) => keys(&chunk[..n]).into_iter().for_each(|key| {
                    // Full: whoever types faster than it is drawn is not waited for.
                    let _ = tell.try_send(key);
                }),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    };
    thread::Builder::new().name("aldis-keys".into()).spawn(read).ok().map(|_| typed)
}

/// The keys of what came in one read. Arrows are `ESC [ A` to `ESC [ D` or `ESC O A` …, shift-tab is `ESC [ Z` (xterm control
/// sequences, *PC-Style Function Keys*); a sequence that is not known is skipped whole.
fn keys(bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let key = match first {
            0x1b => match after {
                [b'[' | b'O', inner @ ..] => {
                    let end = inner.iter().position(|byte| (0x40..=0x7e).contains(byte));
                    rest = end.map_or(&[], |end| &inner[end + 1..]);
                    match end.map(|end| inner[end]) {
                        Some(b'B' | b'C') => Some(Key::Next),
                        Some(b'A' | b'D' | b'Z') => Some(Key::Previous),
                        _ => None,
                    }
                }
                _ => Some(Key::Everything),
            },
            b'q' | b'Q' => Some(Key::Quit),
            b'?' | b'h' => Some(Key::Help),
            b' ' | b'p' => Some(Key::Pause),
            b'\t' => Some(Key::Next),
            b'0' => Some(Key::Everything),
            b's' => Some(Key::Sort),
            _ => None,
        };
        keys.extend(key);
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::{Key::*, keys};

    #[test]
    fn keys_are_read_and_what_is_unknown_is_skipped() {
        assert_eq!(keys(b"q? p"), [Quit, Help, Pause, Pause]);
        assert_eq!(keys(b"\t\x1b[C\x1b[B\x1bOC"), [Next; 4]);
        assert_eq!(keys(b"\x1b[Z\x1b[A\x1b[D"), [Previous; 3]);
        assert_eq!(keys(b"\x1b"), [Everything]);
        assert_eq!(keys(b"0s"), [Everything, Sort]);
        // F5, a mouse, a half sequence, letters that mean nothing.
        assert_eq!(keys(b"\x1b[15~\x1b[<0;1;1Mxyz\x1b[1;5"), []);
        assert_eq!(keys("é\u{1f600}".as_bytes()), []);
    }
}
