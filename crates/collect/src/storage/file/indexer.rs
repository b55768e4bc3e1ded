//! The index of a file while lines are written to that.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    disk::{Append, Disk, Identity, Patch, Read},
    index::{self, Block, Entries, Stamp},
    writer::index_path,
};

/// Times that a stamp is written again, because others have written to the file meanwhile.
const STAMPS: usize = 3;

/// Writes an entry for each block of lines. What another process writes between is covered by no entry of this one, and is read.
pub(crate) struct Indexer {
    disk: Arc<dyn Disk>,
    /// Where the index is.
    path: PathBuf,
    of: PathBuf,
    identity: Identity,
    /// The file.
    file: Box<dyn Read>,
    handles: Handles,
    /// What this one has last written, or found to be right.
    stamped: Option<Stamp>,
    /// Lines that no entry covers yet.
    block: Block,
    /// Of all entries, those of others included, the one that is furthest, and how far the index was looked at.
    furthest: Option<Block>,
    looked_to: u64,
}

/// The index, to write to it and to read what others do.
struct Handles {
    end: Box<dyn Append>,
    head: Box<dyn Patch>,
    there: Box<dyn Read>,
}

impl Indexer {
    /// Goes on with the index of a file, or begins it anew where it is not that of the file as it is now.
    pub(crate) fn open(disk: &Arc<dyn Disk>, of: &Path, identity: Identity) -> io::Result<Self> {
        let mut indexer = Self::attach(disk.clone(), of, identity)?;
        if !indexer.is_sound()? {
            indexer.begin_anew()?;
        }
        Ok(indexer)
    }

    fn attach(disk: Arc<dyn Disk>, of: &Path, identity: Identity) -> io::Result<Self> {
        let (file, path) = (disk.read(of)?, index_path(of));
        let name = index::name(identity);
        if !disk.read(&path).is_ok_and(|there| begins_with(&*there, &name)) {
            disk.replace(&path, &index::head(&file.look()?))?;
        }
        let mut handles = Handles::open(&*disk, &path, identity)?;
        if file.identity()? != identity {
            return Err(io::ErrorKind::NotFound.into());
        }
        // An entry that was torn is filled up, so that the next ones are where they are looked for.
        let entries = (handles.there.len()? as usize).checked_sub(index::HEAD_BYTES);
        let torn = entries.ok_or(io::ErrorKind::UnexpectedEof)? % index::ENTRY_BYTES;
        if torn > 0 {
            handles.end.write(&vec![0; index::ENTRY_BYTES - torn])?;
        }
        let (of, block, furthest, looked_to) =
            (of.to_owned(), Block::default(), None, index::HEAD_BYTES as u64);
        Ok(Self { disk, path, of, identity, file, handles, stamped: None, block, furthest, looked_to })
    }

    /// Before lines are written. Goes on with an index that another has put in the place of this one, and begins it anew where somebody has
    /// changed the file and not said so: entries tell of what was.
    ///
    /// # Errors
    /// There is no index to go on with.
    pub(crate) fn check(&mut self) -> io::Result<()> {
        if !self.handles.there.look()?.has_name {
            self.block = Block::default();
            *self = Self::open(&self.disk, &self.of, self.identity)?;
        }
        if self.stamped == Some(Stamp::of(&self.file.look()?)) {
            return Ok(());
        }
        self.stamped = index::agreed(&*self.handles.there, &*self.file)?;
        if self.stamped.is_some() {
            return Ok(());
        }
        self.block = Block::default();
        self.begin_anew()
    }

    /// Once lines were written: says that the file is as it is by one who keeps its index.
    ///
    /// # Errors
    /// It cannot be written: no entry is believed.
    pub(crate) fn stamp(&mut self) -> io::Result<()> {
        for _ in 0..STAMPS {
            let now = Stamp::of(&self.file.look()?);
            if self.stamped == Some(now) {
                break;
            }
            self.handles.head.write_at(&now.bytes(), index::STAMP_AT)?;
            self.stamped = Some(now);
        }
        Ok(())
    }

    /// Whether the furthest entry is one of the file as it is. Entries are written behind their lines: one that is not is of lines that were
    /// cut off, and would be taken for one of what was written in their place.
    fn is_sound(&mut self) -> io::Result<bool> {
        let behind = self.furthest.map_or(0, |block| block.end());
        let mut entries = Entries::behind(&*self.handles.there, self.looked_to, behind);
        while let Some(block) = entries.next()? {
            self.furthest = Some(block);
        }
        self.looked_to = entries.position();
        self.furthest.map_or(Ok(true), |block| block.is_in(&*self.file))
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        let look = self.file.look()?;
        self.disk.replace(&self.path, &index::head(&look))?;
        self.handles = Handles::open(&*self.disk, &self.path, self.identity)?;
        (self.furthest, self.looked_to) = (None, index::HEAD_BYTES as u64);
        self.stamped = Some(Stamp::of(&look));
        Ok(())
    }

    /// Notes blocks that were written from `start` on. The last of them is not full.
    ///
    /// # Errors
    /// An entry cannot be written: what it does not cover is read.
    pub(crate) fn note(&mut self, start: u64, blocks: &[Block]) -> io::Result<()> {
        for mut block in blocks.iter().filter(|block| block.lines > 0).copied() {
            block.position += start;
            if self.block.lines > 0 && self.block.end() == block.position && !self.block.is_full() {
                self.block.append(&block);
            } else {
                self.close_block()?;
                self.block = block;
            }
        }
        if self.block.is_full() { self.close_block() } else { Ok(()) }
    }

    /// Ends without an entry for what has none yet: the index was written anew, with it.
    pub(crate) fn discard(mut self) {
        self.block = Block::default();
    }

    fn close_block(&mut self) -> io::Result<()> {
        let block = std::mem::take(&mut self.block);
        if block.lines == 0 {
            return Ok(());
        }
        if !self.is_sound()? {
            self.begin_anew()?;
        }
        // It was cut off since it was written.
        if !block.is_in(&*self.file)? {
            return Ok(());
        }
        let mut entry = Vec::with_capacity(index::ENTRY_BYTES);
        block.put(&mut entry);
        let written = self.handles.end.write(&entry)?;
        if written == entry.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }
}

impl Drop for Indexer {
    fn drop(&mut self) {
        // What it does not cover is read.
        let _ = self.close_block();
    }
}

impl Handles {
    fn open(disk: &dyn Disk, path: &Path, identity: Identity) -> io::Result<Self> {
        let (end, head, there) = (disk.append(path)?, disk.patch(path)?, disk.read(path)?);
        // Another process may have put the file aside since, and its index: this one is then that of another file.
        let is_of_it = begins_with(&*there, &index::name(identity))
            && there.identity()? == end.look()?.identity
            && there.identity()? == head.look()?.identity;
        if is_of_it { Ok(Self { end, head, there }) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}

fn begins_with(file: &dyn Read, head: &[u8]) -> bool {
    let mut there = vec![0; head.len()];
    file.read_at(&mut there, 0).is_ok() && there == head
}
