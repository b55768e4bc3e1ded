//! A file system in memory that forgets what was not synced, contents and names, when the machine crashes.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use crate::storage::file::disk::{Append, Beside, Disk, Identity, Look, Patch, Read};

#[derive(Clone, Default)]
pub(super) struct Forgetful(Arc<Mutex<World>>);

#[derive(Default)]
struct World {
    /// The names as they are, and as they would be after a crash.
    names: BTreeMap<PathBuf, u64>,
    lasting: BTreeMap<PathBuf, u64>,
    files: HashMap<u64, Node>,
    next: u64,
    /// Files that were begun to take the place of others.
    begun: usize,
    /// Whether no file can be synced.
    fails_to_sync: bool,
    /// Rises with every change of a file.
    clock: u64,
    /// Bytes that it takes before it is full.
    room: Option<usize>,
    /// The most bytes that somebody had at once to be put in a place.
    most_put: usize,
    /// Bytes that are read of files until something happens, and what; and writes.
    interruption: Option<(usize, Interruption)>,
    before_write: Option<(usize, Interruption)>,
    /// What files had when they were removed.
    removed: Vec<(PathBuf, Vec<u8>)>,
    /// Calls until another process puts a file aside, and which.
    rival: Option<(usize, PathBuf)>,
}

type Interruption = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Node {
    bytes: Vec<u8>,
    synced: usize,
    writes: usize,
    modified: u64,
}

struct Handle {
    disk: Forgetful,
    file: u64,
    position: u64,
}

impl Forgetful {
    fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// The machine crashes: of what was not synced of a file, so much as `survives` says of its length is there afterwards.
    pub(super) fn crash(&self, survives: impl Fn(usize) -> usize) {
        let mut world = self.lock();
        world.names = world.lasting.clone();
        for node in world.files.values_mut() {
            let unsynced = node.bytes.len() - node.synced;
            node.bytes.truncate(node.synced + survives(unsynced));
            node.synced = node.bytes.len();
        }
    }

    pub(super) fn fail_to_sync(&self, fails: bool) {
        self.lock().fails_to_sync = fails;
    }

    pub(super) fn fill_up(&self, room: usize) {
        self.lock().room = Some(room);
    }

    /// Before the call after so many more, another process puts the file and its index aside.
    pub(super) fn rival_rotates(&self, path: &str, after: usize) {
        self.lock().rival = Some((after, path.into()));
    }

    /// Does something once so many bytes were read, before whoever reads goes on.
    pub(super) fn interrupt_reading(&self, after_bytes: usize, happens: impl FnOnce() + Send + 'static) {
        self.lock().interruption = Some((after_bytes, Box::new(happens)));
    }

    /// Does something after so many more writes to files, before the next.
    pub(super) fn interrupt_writing(&self, after: usize, happens: impl FnOnce() + Send + 'static) {
        self.lock().before_write = Some((after, Box::new(happens)));
    }

    /// What files with such names had when they were removed.
    pub(super) fn removed(&self, is_one: impl Fn(&str) -> bool) -> Vec<u8> {
        let world = self.lock();
        let removed = world.removed.iter().filter(|(path, _)| is_one(path.to_str().unwrap()));
        removed.flat_map(|(_, bytes)| bytes.clone()).collect()
    }

    /// Counts a call, and lets the rival do its work when it is time.
    fn called(&self) -> MutexGuard<'_, World> {
        let mut world = self.lock();
        match world.rival.take() {
            Some((0, path)) => {
                let aside = format!("{}.{:06}", path.display(), 500);
                for (suffix, to) in [("", aside.clone()), (".idx", aside + ".idx")] {
                    let from = PathBuf::from(format!("{}{suffix}", path.display()));
                    if let Some(file) = world.names.remove(&from) {
                        world.names.insert(to.into(), file);
                    }
                }
            }
            rival => world.rival = rival.map(|(calls, path)| (calls - 1, path)),
        }
        world
    }

    pub(super) fn put(&self, path: &str, bytes: &[u8]) {
        let mut world = self.lock();
        let file = world.file(Path::new(path));
        let node = Node { bytes: bytes.to_vec(), synced: bytes.len(), writes: 0, modified: 0 };
        world.files.insert(file, node);
        world.changed(file);
        world.lasting.insert(path.into(), file);
    }

    /// Changes a byte, if there is any.
    pub(super) fn spoil(&self, path: &str, at: usize) {
        let mut world = self.lock();
        let Some(file) = world.names.get(Path::new(path)).copied() else { return };
        world.changed(file);
        let bytes = &mut world.files.get_mut(&file).unwrap().bytes;
        if !bytes.is_empty() {
            let at = at % bytes.len();
            bytes[at] ^= 0x10;
        }
    }

    /// Changes what a file has in its middle, as an editor does that writes in place.
    pub(super) fn edit(&self, path: &str, from: &str, to: &str) {
        let mut world = self.lock();
        let file = world.names[Path::new(path)];
        let bytes = &mut world.files.get_mut(&file).unwrap().bytes;
        let at = memchr::memmem::find(bytes, from.as_bytes()).unwrap();
        bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
        world.changed(file);
    }

    pub(super) fn bytes(&self, path: &str) -> Vec<u8> {
        let world = self.lock();
        world.files[&world.names[Path::new(path)]].bytes.clone()
    }

    pub(super) fn writes_to(&self, path: &str) -> usize {
        let world = self.lock();
        world.files[&world.names[Path::new(path)]].writes
    }

    pub(super) fn begun(&self) -> usize {
        self.lock().begun
    }

    pub(super) fn most_put(&self) -> usize {
        self.lock().most_put
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.lock().names.keys().map(|path| path.display().to_string()).collect()
    }
}

impl World {
    fn file(&mut self, path: &Path) -> u64 {
        if let Some(file) = self.names.get(path) {
            return *file;
        }
        self.next += 1;
        self.names.insert(path.to_owned(), self.next);
        self.files.insert(self.next, Node::default());
        self.next
    }

    fn changed(&mut self, file: u64) {
        self.clock += 1;
        self.files.get_mut(&file).unwrap().modified = self.clock;
    }

    fn look(&self, file: u64) -> Look {
        let node = &self.files[&file];
        let has_name = self.names.values().any(|named| *named == file);
        let (len, modified_ns) = (node.bytes.len() as u64, node.modified);
        Look { identity: Identity(0, file), len, modified_ns, has_name }
    }

    fn find(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for Forgetful {
    fn create_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let world = self.called();
        let inside = world.names.keys().filter(|path| path.parent() == Some(folder));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn Append>> {
        let file = self.called().file(path);
        Ok(Box::new(Handle { disk: self.clone(), file, position: 0 }))
    }

    fn read(&self, path: &Path) -> io::Result<Box<dyn Read>> {
        let file = self.called().find(path)?;
        Ok(Box::new(Handle { disk: self.clone(), file, position: 0 }))
    }

    fn patch(&self, path: &Path) -> io::Result<Box<dyn Patch>> {
        let file = self.called().find(path)?;
        Ok(Box::new(Handle { disk: self.clone(), file, position: 0 }))
    }

    fn identity(&self, path: &Path) -> io::Result<Identity> {
        Ok(Identity(0, self.called().find(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.called();
        let file = world.find(from)?;
        if world.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        world.names.remove(from);
        world.names.insert(to.to_owned(), file);
        Ok(())
    }

    fn begin(&self, path: &Path) -> io::Result<Box<dyn Beside>> {
        self.called().begun += 1;
        Ok(Box::new(New { disk: self.clone(), path: path.to_owned(), bytes: Vec::new() }))
    }

    fn sweep(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.called();
        let file = world.find(path)?;
        world.names.remove(path);
        let bytes = world.files[&file].bytes.clone();
        world.removed.push((path.to_owned(), bytes));
        Ok(())
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        let mut world = self.called();
        world.lasting = world.names.clone();
        Ok(())
    }
}

struct New {
    disk: Forgetful,
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Beside for New {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut world = self.disk.lock();
        world.most_put = world.most_put.max(bytes.len());
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn write_at(&mut self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.bytes[position as usize..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn put(self: Box<Self>) -> io::Result<()> {
        let mut world = self.disk.called();
        world.names.remove(&self.path);
        let file = world.file(&self.path);
        world.files.get_mut(&file).unwrap().bytes.clone_from(&self.bytes);
        world.changed(file);
        Ok(())
    }
}

impl Append for Handle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut world = self.disk.lock();
        match world.before_write.take() {
            Some((0, happens)) => {
                drop(world);
                happens();
                world = self.disk.lock();
            }
            later => world.before_write = later.map(|(writes, happens)| (writes - 1, happens)),
        }
        let room = world.room.unwrap_or(usize::MAX);
        let written = bytes.len().min(room);
        if written == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        world.room = world.room.map(|room| room - written);
        let node = world.files.get_mut(&self.file).unwrap();
        node.bytes.extend_from_slice(&bytes[..written]);
        node.writes += 1;
        self.position = node.bytes.len() as u64;
        world.changed(self.file);
        Ok(written)
    }

    fn position(&mut self) -> io::Result<u64> {
        Ok(self.position)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut world = self.disk.lock();
        if world.fails_to_sync {
            return Err(io::Error::other("cannot be reached"));
        }
        let node = world.files.get_mut(&self.file).unwrap();
        node.synced = node.bytes.len();
        Ok(())
    }

    fn look(&self) -> io::Result<Look> {
        Ok(self.disk.lock().look(self.file))
    }
}

impl Patch for Handle {
    fn look(&self) -> io::Result<Look> {
        Append::look(self)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let mut world = self.disk.lock();
        let there = &mut world.files.get_mut(&self.file).unwrap().bytes[position as usize..];
        there[..bytes.len()].copy_from_slice(bytes);
        world.changed(self.file);
        Ok(())
    }
}

impl Read for Handle {
    fn look(&self) -> io::Result<Look> {
        Append::look(self)
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut world = self.disk.lock();
        let bytes = &world.files[&self.file].bytes;
        let rest = &bytes[bytes.len().min(position as usize)..];
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        match world.interruption.take() {
            Some((bytes, happens)) if bytes <= read => {
                drop(world);
                happens();
            }
            later => world.interruption = later.map(|(bytes, happens)| (bytes - read, happens)),
        }
        Ok(read)
    }
}
