//! How far files have been read, in a file of its own.
//!
//! A line for each: how far, which file it was (device, inode, its first bytes, those before that place), and where it was found.

use std::{
    ffi::OsString,
    fmt::Write as _,
    fs::{self, File},
    io::{self, Write as _},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::FileExt,
    },
    path::{Path, PathBuf},
};

use super::identity::Fingerprint;

const FIRST_LINE: &str = "aldis file checkpoint 1";

/// How far one file has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Bytes of its unpacked content of which everything has been settled.
    pub(super) offset: u64,
    /// Device and inode.
    pub(super) inode: (u64, u64),
    /// What it begins with.
    pub(super) fingerprint: Fingerprint,
    /// What is before the offset, of a file that is not compressed: files of one writer may begin alike.
    pub(super) tail: Vec<u8>,
    /// Where it was last.
    pub(super) path: PathBuf,
}

impl Entry {
    /// Whether this is the file, or a copy of it, and has what was read of it.
    pub(super) fn is_of(&self, file: &File, most: usize) -> bool {
        let begins = || Ok::<_, io::Error>(self.fingerprint.became(&Fingerprint::of(file, most)?));
        let goes_on = || {
            let mut tail = vec![0; self.tail.len()];
            let from = self.offset.saturating_sub(tail.len() as u64);
            file.read_exact_at(&mut tail, from)?;
            Ok::<_, io::Error>(tail == self.tail)
        };
        begins().unwrap_or(false) && goes_on().unwrap_or(false)
    }
}

/// Reads a checkpoint. One that is not there is empty.
///
/// # Errors
/// A file that cannot be read, or that is none of these.
pub(super) fn load(path: &Path) -> io::Result<Vec<Entry>> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    let mut lines = text.lines();
    let wrong = || {
        let message = format!("{} is no checkpoint of files; move it away", path.display());
        io::Error::new(io::ErrorKind::InvalidData, message)
    };
    if lines.next() != Some(FIRST_LINE) {
        return Err(wrong());
    }
    lines.map(|line| parsed(line).ok_or_else(wrong)).collect()
}

/// What is known of files by two, of which the first knows better.
pub(super) fn joined(better: Vec<Entry>, other: Vec<Entry>) -> Vec<Entry> {
    let is_new = |entry: &Entry| better.iter().all(|known| known.inode != entry.inode);
    let rest: Vec<_> = other.into_iter().filter(is_new).collect();
    better.into_iter().chain(rest).collect()
}

/// Writes it in the place of the one before, which stays until the new one is whole.
pub(super) fn save(path: &Path, entries: &[Entry]) -> io::Result<()> {
    let mut text = format!("{FIRST_LINE}\n");
    for entry in entries {
        let (device, inode) = entry.inode;
        // Writing to a String cannot fail.
        let (begin, tail) = (hex(entry.fingerprint.bytes()), hex(&entry.tail));
        let _ = write!(text, "{} {device} {inode} {begin} {tail} ", entry.offset);
        text.push_str(&hex(entry.path.as_os_str().as_bytes()));
        text.push('\n');
    }
    let mut name = path.file_name().map(OsString::from).unwrap_or_default();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_data()?;
    fs::rename(new, path)
}

fn parsed(line: &str) -> Option<Entry> {
    let mut words = line.split(' ');
    let mut number = || words.next()?.parse().ok();
    let (offset, device, inode) = (number()?, number()?, number()?);
    let fingerprint = Fingerprint::new(unhex(words.next()?)?);
    let tail = unhex(words.next()?)?;
    let path = OsString::from_vec(unhex(words.next()?)?).into();
    words.next().is_none().then_some(Entry { offset, inode: (device, inode), fingerprint, tail, path })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_reads_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        assert_eq!(load(&path).unwrap(), []);
        let entry = Entry {
            offset: 7,
            inode: (1, u64::MAX),
            fingerprint: Fingerprint::new(b"{\"resource\n".to_vec()),
            tail: b"}".to_vec(),
            path: "/var/log/a b\n.jsonl".into(),
        };
        let other =
            Entry { tail: Vec::new(), path: OsString::from_vec(vec![b'/', 0xff]).into(), ..entry.clone() };
        save(&path, &[entry.clone(), other.clone()]).unwrap();
        assert_eq!(load(&path).unwrap(), [entry, other]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        for wrong in ["", "# notes\n", &format!("{FIRST_LINE}\n1 2 3 zz 00\n"), &format!("{FIRST_LINE}\n1\n")]
        {
            fs::write(&path, wrong).unwrap();
            let error = load(&path).unwrap_err().to_string();
            assert!(error.contains("is no checkpoint"), "{wrong:?}: {error}");
        }
    }
}
