//! Reading the lines back: all of them, or none.

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    io,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{FILE_BYTES_MAX, ReviewerEventKind, ReviewerProjectionEvent, lock, put_aside};

/// How often a file is read again that was put aside meanwhile, where no lock keeps writers away.
const TRIES_MAX: usize = 10;

/// Which events are wanted: those that have everything that is given here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReviewerFilter {
    /// Of these kinds; none given means of every kind.
    pub kinds: Vec<ReviewerEventKind>,
    /// Of this kind of review.
    pub review_type: Option<String>,
    /// Of this pull request.
    pub pr_number: Option<u64>,
    /// Of this commit.
    pub head_sha: Option<String>,
    /// Of this run.
    pub run_id: Option<String>,
}

impl ReviewerFilter {
    /// Whether an event is wanted.
    pub fn accepts(&self, event: &ReviewerProjectionEvent) -> bool {
        let is =
            |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        (self.kinds.is_empty() || self.kinds.contains(&event.event))
            && is(&self.review_type, &event.review_type)
            && is(&self.head_sha, &event.head_sha)
            && is(&self.run_id, &event.run_id)
            && self.pr_number.is_none_or(|wanted| wanted == event.pr_number)
    }
}

/// Whether the lines can be relied upon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum ReviewerHealth {
    /// They are there, and every one of them is an event.
    Present,
    /// There is no file, or none with an event in it: nothing was ever said, or it is gone. One that was put aside is not enough, as the one
    /// after it is gone then.
    Missing,
    /// A file cannot be read, or holds something that is no event, or a number that does not rise.
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1; 0 for the file as a whole.
        line: u64,
        /// What is wrong.
        reason: String,
    },
}

impl ReviewerHealth {
    /// Only [`Present`](Self::Present) is: whoever asks whether a reviewer is alive must not be told yes for want of an answer.
    pub fn is_healthy(&self) -> bool {
        *self == Self::Present
    }
}

impl fmt::Display for ReviewerHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present => f.write_str("present"),
            Self::Missing => f.write_str("missing"),
            Self::Malformed { path, line: 0, reason } => write!(f, "{}: {reason}", path.display()),
            Self::Malformed { path, line, reason } => write!(f, "{}:{line}: {reason}", path.display()),
        }
    }
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projection {
    /// Whether it can be relied upon.
    pub health: ReviewerHealth,
    /// The events that the filter accepts, oldest first. None unless `health` is [`Present`](ReviewerHealth::Present).
    pub events: Vec<ReviewerProjectionEvent>,
}

/// Reads the file at `path` and the one that was put aside before it.
pub fn project(path: &Path, filter: &ReviewerFilter) -> Projection {
    match read(path) {
        Ok(Some(mut events)) => {
            events.retain(|event| filter.accepts(event));
            Projection { health: ReviewerHealth::Present, events }
        }
        Ok(None) => Projection { health: ReviewerHealth::Missing, events: Vec::new() },
        Err(health) => Projection { health, events: Vec::new() },
    }
}

/// Every event of both files; `None` if there is none, or no file that would be written to.
///
/// The numbers of a run rise. That some are left out is no fault: they may have been in a file that gave way to the one put aside.
pub(super) fn read(path: &Path) -> Result<Option<Vec<ReviewerProjectionEvent>>, ReviewerHealth> {
    let malformed =
        |path: &Path, line, reason| ReviewerHealth::Malformed { path: path.to_owned(), line, reason };
    let (aside, current) = texts(path).map_err(|error| malformed(path, 0, error.to_string()))?;
    if aside.is_none() && current.is_none() {
        return Ok(None);
    }
    let (has_current, mut events) = (current.is_some(), Vec::new());
    let mut last = HashMap::new();
    for (path, text) in [(put_aside(path), aside), (path.to_owned(), current)] {
        let Some(text) = text else { continue };
        for (number, line) in (1..).zip(text.split_inclusive(|byte| *byte == b'\n')) {
            let fail = |reason| malformed(&path, number, reason);
            let line = line.strip_suffix(b"\n").ok_or_else(|| fail("the line has no end".to_owned()))?;
            let event = ReviewerProjectionEvent::parse(line).map_err(fail)?;
            let before = last.insert(event.run_id.clone(), event.seq).unwrap_or(0);
            if event.seq <= before {
                return Err(fail(format!("seq is {} after {before} in run {}", event.seq, event.run_id)));
            }
            events.push(event);
        }
    }
    Ok((has_current && !events.is_empty()).then_some(events))
}

type Text = Option<Vec<u8>>;
/// Device and number: what tells a file from another that got its name.
type Identity = (u64, u64);

/// Both files, as they were at one moment.
fn texts(path: &Path) -> io::Result<(Text, Text)> {
    let _lock = lock::shared(path)?;
    for _ in 0..TRIES_MAX {
        let aside = text(&put_aside(path))?;
        let current = text(path)?;
        // The file put aside is still the one that was read, so no line went from one to the other in between.
        if identity(&put_aside(path)) == aside.as_ref().map(|(identity, _)| *identity) {
            return Ok((aside.map(|(_, text)| text), current.map(|(_, text)| text)));
        }
    }
    Err(io::Error::other("it is put aside faster than it can be read"))
}

fn identity(path: &Path) -> Option<Identity> {
    path.metadata().ok().map(|found| (found.dev(), found.ino()))
}

fn text(path: &Path) -> io::Result<Option<(Identity, Vec<u8>)>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("is no file"));
    }
    let mut text = Vec::new();
    (&mut file).take(FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("is larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok(Some(((found.dev(), found.ino()), text)))
}
