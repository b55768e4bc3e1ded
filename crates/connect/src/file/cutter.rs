//! Where one request ends and the next begins, in a stream of bytes.

use std::fmt;

use bytes::{Bytes, BytesMut};

use crate::limits::MAX_FRAME_LENGTH;

/// How requests follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON objects, on lines of their own as a rule.
    Lines,
    /// `u32` big-endian length ‖ request.
    Frames,
}

/// Where a request begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Bytes from the beginning of the (unpacked) stream.
    pub offset: u64,
    /// The line from 1; 0 for frames.
    pub line: u64,
    /// The byte in that line from 1; 0 for frames.
    pub column: u64,
    /// The how-manieth frame it is from 1; 0 for lines.
    pub number: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            0 => write!(f, "line {} (byte {})", self.line, self.offset),
            number => write!(f, "request {number} (byte {})", self.offset),
        }
    }
}

/// What the stream begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The bytes of one request; of lines perhaps of something that is none.
    Piece {
        /// Where it begins.
        at: Place,
        /// Its bytes, without length and line feed.
        bytes: Bytes,
    },
    /// More bytes than a request may have: they are skipped.
    TooLong {
        /// Where it begins.
        at: Place,
    },
    /// The stream ends inside a frame.
    CutOff {
        /// Where that begins.
        at: Place,
    },
}

/// Cuts a stream into requests without knowing what is in them. It holds no more than the request that is being read, and no
/// request is longer than its bound.
///
/// A line that ends inside a string, or behind which a line begins as requests do, is cut off there: a torn line costs itself and
/// not what follows it. Frames cannot be found again behind a torn one.
///
/// ```
/// use aldis_connect::file::{Cutter, Form};
///
/// let mut cutter = Cutter::new(None, 1000);
/// cutter.room().extend_from_slice(b"{\"resourceLogs\":[]}\n{\"resourceSp");
/// assert!(cutter.next(false).is_some());
/// assert!(cutter.next(false).is_none(), "the second is not whole yet");
/// assert_eq!((cutter.form(), cutter.offset()), (Some(Form::Lines), 20));
/// ```
#[derive(Debug)]
pub struct Cutter {
    form: Option<Form>,
    max_bytes: usize,
    buffer: BytesMut,
    /// Where the buffer begins.
    next: Place,
    scan: Scan,
    /// What is skipped before anything else.
    skip: Skip,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skip {
    Nothing,
    /// To the end of the line.
    Line,
    /// So many bytes.
    Bytes(u64),
}

impl Cutter {
    /// At the beginning of a stream; without a form the first bytes tell it.
    pub fn new(form: Option<Form>, max_bytes: usize) -> Self {
        Self::resumed(form, max_bytes, 0)
    }

    /// Behind `offset` bytes of a stream, where a request begins. Lines and requests are counted from there.
    pub fn resumed(form: Option<Form>, max_bytes: usize, offset: u64) -> Self {
        Self {
            form,
            max_bytes: max_bytes.min(MAX_FRAME_LENGTH),
            buffer: BytesMut::new(),
            next: Place { offset, line: 1, column: 1, number: 1 },
            scan: Scan::default(),
            skip: Skip::Nothing,
        }
    }

    /// Where the bytes that follow are put, behind those that are there.
    pub fn room(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// How far the stream has been dealt with: a request begins there, or space in front of one.
    pub fn offset(&self) -> u64 {
        self.next.offset
    }

    /// The form, once it is known.
    pub fn form(&self) -> Option<Form> {
        self.form
    }

    /// The next piece. `None` if more bytes are needed, or, where the stream has `ended`, if nothing is left.
    pub fn next(&mut self, ended: bool) -> Option<Cut> {
        if !self.skipped() {
            return None;
        }
        let form = match self.form {
            Some(form) => form,
            None => self.sniff(ended)?,
        };
        match form {
            Form::Lines => self.line(ended),
            Form::Frames => self.frame(ended),
        }
    }

    /// What the first bytes say, as many as a length has: no frame is so long that its length begins as text does, but blanks in
    /// front of text could be one.
    fn sniff(&mut self, ended: bool) -> Option<Form> {
        let head = &self.buffer[..self.buffer.len().min(size_of::<u32>())];
        let is_text = |byte: &u8| *byte >= b' ';
        let form = match (head.first()?, head.trim_ascii_start().first()) {
            (first, _) if is_text(first) => Form::Lines,
            (_, Some(b'{')) => Form::Lines,
            (_, Some(_)) => Form::Frames,
            (_, None) if head.len() < size_of::<u32>() && !ended => return None,
            (_, None) => Form::Lines,
        };
        self.form = Some(form);
        self.form
    }

    fn frame(&mut self, ended: bool) -> Option<Cut> {
        let at = Place { line: 0, column: 0, ..self.next };
        let Some((length, behind)) = self.buffer.split_first_chunk() else {
            return self.rest_of_frame(at, ended);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length > self.max_bytes {
            self.skip = Skip::Bytes(length as u64 + size_of::<u32>() as u64);
            self.next.number += 1;
            self.skipped();
            return Some(Cut::TooLong { at });
        }
        if behind.len() < length {
            return self.rest_of_frame(at, ended);
        }
        self.take(size_of::<u32>());
        let bytes = self.take(length);
        self.next.number += 1;
        Some(Cut::Piece { at, bytes })
    }

    /// What is there of a frame when more does not follow.
    fn rest_of_frame(&mut self, at: Place, ended: bool) -> Option<Cut> {
        if !ended || self.buffer.is_empty() {
            return None;
        }
        self.take(self.buffer.len());
        Some(Cut::CutOff { at })
    }

    fn line(&mut self, ended: bool) -> Option<Cut> {
        if self.scan.at == 0 {
            self.pass_space();
        }
        let at = Place { number: 0, ..self.next };
        let end = match self.scan.run(&self.buffer, ended) {
            Scanned::End(end) => Some(end),
            Scanned::More if ended && !self.buffer.is_empty() => Some(self.buffer.len()),
            Scanned::More => None,
        };
        if end.unwrap_or(self.buffer.len()) > self.max_bytes {
            // An object that is whole ends on this line.
            self.take(end.unwrap_or(self.scan.at));
            self.scan = Scan::default();
            self.skip = Skip::Line;
            self.skipped();
            return Some(Cut::TooLong { at });
        }
        let bytes = self.take(end?);
        self.scan = Scan::default();
        self.pass_space();
        Some(Cut::Piece { at, bytes })
    }

    fn pass_space(&mut self) {
        let space = self.buffer.len() - self.buffer.trim_ascii_start().len();
        self.take(space);
    }

    /// Whether nothing is left to be skipped.
    fn skipped(&mut self) -> bool {
        match self.skip {
            Skip::Nothing => return true,
            Skip::Line => {
                let end = memchr::memchr(b'\n', &self.buffer);
                self.take(end.unwrap_or(self.buffer.len()));
                if end.is_none() {
                    return false;
                }
            }
            Skip::Bytes(left) => {
                let here = left.min(self.buffer.len() as u64);
                self.take(here as usize);
                if here < left {
                    self.skip = Skip::Bytes(left - here);
                    return false;
                }
            }
        }
        self.skip = Skip::Nothing;
        true
    }

    fn take(&mut self, length: usize) -> Bytes {
        let bytes = &self.buffer[..length];
        self.next.offset += length as u64;
        match memchr::memrchr(b'\n', bytes) {
            _ if self.form == Some(Form::Frames) => {}
            Some(last) => {
                self.next.line += memchr::memchr_iter(b'\n', bytes).count() as u64;
                self.next.column = (length - last) as u64;
            }
            None => self.next.column += length as u64,
        }
        if length == 0 {
            return Bytes::new();
        }
        if length == self.buffer.len() {
            return std::mem::take(&mut self.buffer).freeze();
        }
        self.buffer.split_to(length).freeze()
    }
}

/// Looks for the end of a JSON object, going on where it stopped.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    /// How far the buffer has been looked at.
    at: usize,
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// It is no object; its line is its end.
    is_other: bool,
}

enum Scanned {
    /// The object, or what stands in its place, ends before this byte.
    End(usize),
    More,
}

impl Scan {
    fn run(&mut self, bytes: &[u8], ended: bool) -> Scanned {
        self.is_other |= self.at == 0 && bytes.first().is_some_and(|first| *first != b'{');
        if self.is_other {
            let end = memchr::memchr(b'\n', &bytes[self.at..]).map(|end| self.at + end);
            self.at = bytes.len();
            return end.map_or(Scanned::More, Scanned::End);
        }
        while let Some(&byte) = bytes.get(self.at) {
            match byte {
                b'\n' if self.in_string => return Scanned::End(self.at),
                b'\n' => match begins_request(&bytes[self.at + 1..]) {
                    Some(true) => return Scanned::End(self.at),
                    None if !ended => return Scanned::More,
                    _ => {}
                },
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Scanned::End(self.at + 1);
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
        Scanned::More
    }
}

/// Whether these bytes begin a line with a request; `None` if too few are there to tell.
fn begins_request(bytes: &[u8]) -> Option<bool> {
    const BEGINNINGS: [&[u8]; 4] =
        [b"{\"resourceSpans\"", b"{\"resourceLogs\"", b"{\"resourceMetrics\"", b"{\"resourceProfiles\""];
    if BEGINNINGS.iter().any(|beginning| bytes.starts_with(beginning)) {
        return Some(true);
    }
    let undecided = BEGINNINGS.iter().any(|beginning| beginning.starts_with(bytes));
    (!undecided).then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(form: Option<Form>, max: usize, stream: &[u8], step: usize) -> Vec<String> {
        let mut cutter = Cutter::new(form, max);
        let mut out = Vec::new();
        let mut told = |cut: Cut| {
            out.push(match cut {
                Cut::Piece { at, bytes } => {
                    format!("{}:{}:{}", at.line, at.column, String::from_utf8_lossy(&bytes))
                }
                Cut::TooLong { at } => format!("{} too long", at.offset),
                Cut::CutOff { at } => format!("{} cut off", at.offset),
            });
        };
        for piece in stream.chunks(step.max(1)) {
            cutter.room().extend_from_slice(piece);
            while let Some(cut) = cutter.next(false) {
                told(cut);
            }
        }
        while let Some(cut) = cutter.next(true) {
            told(cut);
        }
        assert_eq!(cutter.offset(), stream.len() as u64, "all is dealt with");
        out
    }

    /// However the stream comes in.
    fn whole(form: Option<Form>, max: usize, stream: &[u8]) -> Vec<String> {
        let all = cut(form, max, stream, stream.len());
        for step in 1..40 {
            assert_eq!(cut(form, max, stream, step), all, "in steps of {step}");
        }
        all
    }

    #[test]
    fn lines_are_cut_where_objects_end() {
        let stream = b"\n {\"a\":\"}\\\"{\"}\n{\"b\":[1,\n2]} {\"c\":{}}\n";
        assert_eq!(
            whole(None, 100, stream),
            ["2:2:{\"a\":\"}\\\"{\"}", "3:1:{\"b\":[1,\n2]}", "4:5:{\"c\":{}}"]
        );
    }

    #[test]
    fn blanks_are_passed_over_in_front_and_alone() {
        for blanks in [&b"\n"[..], b" ", b"\n\n\n\n", b"\r\n\r\n\t\n"] {
            assert_eq!(whole(None, 100, blanks), Vec::<String>::new());
            let stream = [blanks, b"{\"a\":1}"].concat();
            assert_eq!(whole(None, 100, &stream).len(), 1, "{stream:?}");
        }
        assert_eq!(whole(None, 100, b"\n\0"), ["0 cut off"]);
    }

    #[test]
    fn a_torn_line_costs_itself_only() {
        let torn = b"{\"resourceSpans\":[{\"x\":\"ab\n{\"resourceLogs\":[]}\n{\"resourceLogs\":[\n{\"resourceSpans\":[]}\nnothing\n{\"d\":1}\n{\"e\":";
        let pieces = whole(None, 100, torn);
        assert_eq!(
            pieces,
            [
                "1:1:{\"resourceSpans\":[{\"x\":\"ab",
                "2:1:{\"resourceLogs\":[]}",
                "3:1:{\"resourceLogs\":[",
                "4:1:{\"resourceSpans\":[]}",
                "5:1:nothing",
                "6:1:{\"d\":1}",
                "7:1:{\"e\":"
            ]
        );
    }

    #[test]
    fn what_is_too_long_is_skipped() {
        assert_eq!(
            whole(Some(Form::Lines), 8, b"{\"a\":1}\n{\"b\":12345678901234567890}\n{\"c\":2}\n"),
            ["1:1:{\"a\":1}", "8 too long", "3:1:{\"c\":2}"]
        );
        let frames = [&[0, 0, 0, 2][..], b"ab", &[0, 0, 0, 9], b"123456789", &[0, 0, 0, 1], b"c"].concat();
        assert_eq!(whole(None, 8, &frames), ["0:0:ab", "6 too long", "0:0:c"]);
    }

    #[test]
    fn frames_are_cut_by_their_length() {
        let frames = [&[0, 0, 0, 3][..], b"\nab", &[0, 0, 0, 0], &[0, 0, 1]].concat();
        assert_eq!(whole(None, 100, &frames), ["0:0:\nab", "0:0:", "11 cut off"]);
        assert_eq!(whole(None, 100, b""), Vec::<String>::new());
    }
}
