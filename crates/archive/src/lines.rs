//! Lines that say of when they are: what is sealed with their times, and found by them.

use std::io::{Read, Seek, Write};

use memchr::{memchr, memmem, memrchr};

use crate::{
    error::Error,
    index::TimeSpan,
    key::Key,
    limits::{MAX_KEY_BYTES, MAX_LINE_BYTES, MAX_TIME_BYTES},
    options::SealOptions,
    range::Archive,
    seal::Sealer,
    snapshot::TelemetrySnapshot,
    time::unix_nanos,
    timers::Stage,
};

/// Bytes that are read at once.
const READ_BYTES: usize = 256 << 10;

/// Where in lines of JSON the time stands: behind keys with one of these ends, as a number of nanoseconds, in quotes or not, or as
/// an RFC 3339 time.
///
/// ```
/// use aldis_archive::{LineTimes, TimeSpan};
///
/// let times = LineTimes::new(["UnixNano"])?;
/// let line = br#"{"startTimeUnixNano":"5","name":"a","endTimeUnixNano":9}"#;
/// assert_eq!(times.of(line), Some(TimeSpan { first: 5, last: 9 }));
/// assert_eq!(times.of(br#"{"name":"UnixNano"}"#), None);
/// # Ok::<(), aldis_archive::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LineTimes {
    /// The ends of keys, each with the quote behind it.
    keys: Vec<memmem::Finder<'static>>,
}

impl LineTimes {
    /// Of keys that end so. For OTLP/JSON that is `UnixNano`.
    ///
    /// # Errors
    /// There is no key, or one is empty or longer than [`MAX_KEY_BYTES`].
    pub fn new<K: AsRef<str>>(keys: impl IntoIterator<Item = K>) -> Result<Self, Error> {
        let finder = |key: K| {
            let key = key.as_ref();
            match (1..=MAX_KEY_BYTES).contains(&key.len()) {
                true => Ok(memmem::Finder::new(format!("{key}\"").as_bytes()).into_owned()),
                false => Err(Error::Settings("a key has 1 to 64 bytes")),
            }
        };
        let keys: Vec<_> = keys.into_iter().map(finder).collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(Error::Settings("no key says where times are")) } else { Ok(Self { keys }) }
    }

    /// From the first to the last time of a line.
    pub fn of(&self, line: &[u8]) -> Option<TimeSpan> {
        self.within(line, true)
    }

    /// The times in a part of a line. What touches its end is a time only if that is the end of the line.
    fn within(&self, part: &[u8], is_end: bool) -> Option<TimeSpan> {
        let of_key = |key: &memmem::Finder<'static>| {
            let behind = key.needle().len();
            let times = key.find_iter(part).filter_map(move |at| value(&part[at + behind..], is_end));
            times.map(TimeSpan::at).reduce(TimeSpan::with)
        };
        self.keys.iter().filter_map(of_key).reduce(TimeSpan::with)
    }
}

/// The time behind a key.
fn value(behind: &[u8], is_end: bool) -> Option<u64> {
    let value = behind.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    if let Some(text) = value.strip_prefix(b"\"") {
        let text = &text[..memchr(b'"', &text[..text.len().min(MAX_TIME_BYTES)])?];
        return number(text).or_else(|| unix_nanos(text));
    }
    let len = value.iter().position(|byte| !byte.is_ascii_digit());
    match len {
        Some(len) if matches!(value[len], b'.' | b'e' | b'E') => None,
        Some(len) => number(&value[..len]),
        None => number(value).filter(|_| is_end),
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

/// Seals lines, and has the index know their times: a line's are those of every frame that it stands in.
///
/// # Errors
/// As [`seal`](crate::seal).
pub fn seal_lines<R: Read, W: Write>(
    mut input: R,
    output: W,
    key: &Key,
    options: &SealOptions,
    times: &LineTimes,
) -> Result<TelemetrySnapshot, Error> {
    let mut sealer = Sealer::new(output, key, options)?;
    // Of the line that has begun: where it began, its times so far, and what of it may hold a part of one.
    let (mut begun, mut of_line, mut kept) = (0, None, Vec::new());
    loop {
        let fresh = kept.len();
        kept.reserve(READ_BYTES);
        let room = (&mut input).take(READ_BYTES as u64);
        let read = sealer.timed(Stage::Read, || { room }.read_to_end(&mut kept))?;
        sealer.write_all(&kept[fresh..])?;
        let before = sealer.position() - kept.len() as u64;
        let mut rest = &kept[..];
        while let Some(end) = memchr(b'\n', rest) {
            let line = merged(of_line.take(), times.of(&rest[..end]));
            rest = &rest[end + 1..];
            let behind = before + (kept.len() - rest.len()) as u64;
            if let Some(of_line) = line {
                sealer.stamp(begun..behind, of_line);
            }
            begun = behind;
        }
        let is_end = read < READ_BYTES;
        of_line = merged(of_line, times.within(rest, is_end));
        if is_end {
            if let Some(of_line) = of_line {
                sealer.stamp(begun..sealer.position(), of_line);
            }
            let (_, snapshot) = sealer.finish()?;
            return Ok(snapshot);
        }
        let tail = rest.len().min(2 * MAX_KEY_BYTES + MAX_TIME_BYTES);
        kept.drain(..kept.len() - tail);
    }
}

fn merged(a: Option<TimeSpan>, b: Option<TimeSpan>) -> Option<TimeSpan> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.with(b)),
        (a, b) => a.or(b),
    }
}

/// What became of the lines of the frames that were opened for a range of times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinesCopied {
    /// Lines that were read, the ends of such included that begin in a frame before.
    pub read: u64,
    /// Of those, the lines with a time. Where many were read and none has one, the archive was sealed with other keys: a frame is opened
    /// only if a line in it has a time behind those.
    pub with_time: u64,
    /// Of those, the lines of the range, which were written.
    pub written: u64,
}

/// Writes the lines of an archive that have a time in common with `range`, and opens no more frames than the index says may have
/// any. The archive was sealed by [`seal_lines`] with the same keys; lines without a time are not written. An empty archive has no lines
/// of any time.
///
/// # Errors
/// As [`Archive::copy`]; a line is longer than [`MAX_LINE_BYTES`]; or [`Error::NoTimes`]: there are frames, and the index has a time of none.
pub fn copy_lines<R: Read + Seek>(
    archive: &mut Archive<R>,
    range: TimeSpan,
    times: &LineTimes,
    output: impl Write,
) -> Result<LinesCopied, Error> {
    if archive.plaintext_bytes() > 0 && archive.times().is_none() {
        return Err(Error::NoTimes);
    }
    let copied = LinesCopied::default();
    let mut lines = Lines { output, times, range, partial: Vec::new(), copied };
    for part in archive.ranges(range) {
        // What stands before the first line end may be the end of a line of which the beginning is not here. Its times are not
        // in the range then: else the index would have it here from its first byte.
        let is_end = part.end == archive.plaintext_bytes();
        archive.copy(part, &mut lines)?;
        let partial = std::mem::take(&mut lines.partial);
        // What stands behind the last line end is whole only at the end of everything.
        if is_end && !partial.is_empty() {
            lines.line(&partial)?;
        }
    }
    lines.output.flush()?;
    Ok(lines.copied)
}

/// Passes on the lines that are of the range.
struct Lines<'a, W> {
    output: W,
    times: &'a LineTimes,
    range: TimeSpan,
    /// A line that has begun.
    partial: Vec<u8>,
    copied: LinesCopied,
}

impl<W: Write> Lines<'_, W> {
    fn line(&mut self, line: &[u8]) -> std::io::Result<()> {
        self.copied.read += 1;
        let Some(times) = self.times.of(line) else { return Ok(()) };
        self.copied.with_time += 1;
        if times.meets(self.range) {
            self.output.write_all(line)?;
            self.copied.written += 1;
        }
        Ok(())
    }
}

impl<W: Write> Write for Lines<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let whole = memrchr(b'\n', bytes).map_or(0, |at| at + 1);
        let (mut whole, rest) = bytes.split_at(whole);
        if !self.partial.is_empty() && !whole.is_empty() {
            let end = memchr(b'\n', whole).map_or(whole.len(), |at| at + 1);
            let mut line = std::mem::take(&mut self.partial);
            line.extend(&whole[..end]);
            whole = &whole[end..];
            self.line(&line)?;
        }
        for line in whole.split_inclusive(|byte| *byte == b'\n') {
            self.line(line)?;
        }
        if self.partial.len() + rest.len() > MAX_LINE_BYTES {
            return Err(Error::LineTooLong.into());
        }
        self.partial.extend(rest);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.output.flush()
    }
}
