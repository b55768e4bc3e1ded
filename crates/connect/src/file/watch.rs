//! Which files there are, which of them are known, and their reading in turns.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Instant, SystemTime},
};

use glob::Pattern;
use pipeline::{Health, clock::now_ns, health::Severity};

use super::{
    Next,
    checkpoint::{self, Entry},
    delivery::Delivery,
    follow::{Follow, Seen, inode},
    receiver::{FileReceiverConfig, StartAt},
};
use crate::limits::{
    FILE_FAULT_SHOWN, FILE_STOP_POLL, FILE_TURN_REQUESTS, MAX_DEPARTED_FILES, MAX_FOLLOWED_FILES,
};

/// The thread that reads.
pub(super) struct Watch {
    config: FileReceiverConfig,
    /// Settings of the one whose place this takes.
    before: Option<FileReceiverConfig>,
    exclude: Vec<Pattern>,
    delivery: Arc<Delivery>,
    health: Health,
    /// By device and inode.
    files: BTreeMap<(u64, u64), Follow>,
    /// How far files came that are not followed now: of the checkpoint, or whose place another took.
    departed: Vec<Entry>,
    /// Before the first look.
    is_first: bool,
    faulty_since: Option<Instant>,
    saved: Vec<Entry>,
}

type Inode = (u64, u64);

/// Files that are there.
type Here = BTreeMap<Inode, (PathBuf, fs::Metadata)>;

/// What reading a file on came to.
enum Turn {
    /// There is more.
    More,
    /// Nothing more for now.
    Waits,
    /// The receiver stops.
    Stops,
}

impl Watch {
    pub(super) fn new(
        config: FileReceiverConfig,
        before: Option<FileReceiverConfig>,
        known: Vec<Entry>,
        delivery: Arc<Delivery>,
        health: Health,
    ) -> Self {
        let exclude = config.exclude.iter().filter_map(|pattern| Pattern::new(pattern).ok()).collect();
        let files = BTreeMap::new();
        // What another came to is not in this one's checkpoint yet.
        let saved = if before.is_some() { Vec::new() } else { known.clone() };
        let (is_first, faulty_since) = (true, None);
        Self {
            config,
            before,
            exclude,
            delivery,
            health,
            files,
            departed: known,
            is_first,
            faulty_since,
            saved,
        }
    }

    pub(super) fn run(&mut self, stop: &AtomicBool) {
        while !stop.load(Relaxed) {
            self.look();
            while self.read_all() {
                self.save();
            }
            self.let_go();
            self.save();
            self.recover();
            let until = Instant::now() + self.config.poll_interval;
            while !stop.load(Relaxed) && Instant::now() < until {
                thread::sleep(until.saturating_duration_since(Instant::now()).min(FILE_STOP_POLL));
            }
        }
        // What is on its way is settled or given up by its tasks, which know of the stop.
        while !self.delivery.is_idle() {
            thread::sleep(FILE_STOP_POLL);
            self.save();
        }
        self.save();
        if self.faulty_since.is_some() {
            self.health.resolve(&self.config.name);
        }
    }

    /// Finds out which files are there and what became of those that are followed.
    fn look(&mut self) {
        let mut here = Here::new();
        for path in self.matches() {
            if let Ok(metadata) = fs::metadata(&path)
                && metadata.is_file()
            {
                here.entry(inode(&metadata)).or_insert((path, metadata));
            }
        }
        for (inode, file) in &mut self.files {
            file.is_gone = !here.contains_key(inode);
            if let Some((path, _)) = here.get(inode) {
                file.path.clone_from(path);
            }
        }
        let replaced: Vec<_> = self
            .files
            .iter_mut()
            .filter(|(_, file)| !file.is_gone)
            .filter_map(|(inode, file)| {
                let seen = file.look(self.config.fingerprint_bytes);
                matches!(seen, Ok(Seen::Replaced)).then_some(*inode)
            })
            .collect();
        for inode in replaced {
            if let Some(file) = self.files.remove(&inode) {
                // A copy of what was cut may be among the files, or come.
                self.depart(file.entry());
            }
            if let Some((path, _)) = here.remove(&inode) {
                self.follow(&path, Some(0));
            }
        }
        here.retain(|inode, _| !self.files.contains_key(inode));
        for (inode, (path, metadata)) in &here {
            self.begin(*inode, path, metadata, &here);
        }
        if self.is_first {
            self.is_first = false;
            self.find_moved();
        }
    }

    /// Begins with a file that is not followed, one of the `new` ones.
    fn begin(&mut self, inode: Inode, path: &Path, metadata: &fs::Metadata, new: &Here) {
        // What is empty has nothing to be known by; it is looked at again.
        if metadata.len() == 0 {
            return;
        }
        if self.files.len() >= MAX_FOLLOWED_FILES {
            return self.fault(path, &format!("not followed: {MAX_FOLLOWED_FILES} files are open already"));
        }
        if let Some(known) = self.departed_of(inode, path, new) {
            let entry = self.departed.remove(known);
            return self.follow(path, Some(entry.offset));
        }
        let age = metadata.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        if let (Some(most), Some(age)) = (self.config.exclude_older_than, age)
            && age > most
        {
            return;
        }
        // What the one before would have followed had it been there came after its last look.
        let is_later = self.before.as_ref().is_some_and(|before| before.reads(path));
        let from_end = self.is_first && !is_later && self.config.start_at == StartAt::End;
        self.follow(path, (!from_end).then_some(0));
    }

    /// Which of the departed a file is: the one with its inode, else one that begins like it, unless that is among the new ones
    /// itself.
    fn departed_of(&self, inode: Inode, path: &Path, new: &Here) -> Option<usize> {
        let most = self.config.fingerprint_bytes;
        let file = File::open(path).ok()?;
        let own = |entry: &Entry| entry.inode == inode && entry.is_of(&file, most);
        let is_there = |entry: &Entry| {
            let own = new.get(&entry.inode).and_then(|(path, _)| File::open(path).ok());
            own.is_some_and(|own| entry.is_of(&own, most))
        };
        // What is compressed has no bytes to be compared at its place.
        let like = |entry: &Entry| !entry.tail.is_empty() && entry.is_of(&file, most) && !is_there(entry);
        self.departed.iter().position(own).or_else(|| self.departed.iter().position(like))
    }

    /// Looks beside where files were for those that were moved away while nobody looked, and reads their rest.
    fn find_moved(&mut self) {
        for entry in std::mem::take(&mut self.departed) {
            let Some(path) = self.moved(&entry) else {
                self.departed.push(entry);
                continue;
            };
            self.follow(&path, Some(entry.offset));
            if let Some(file) = self.files.get_mut(&entry.inode) {
                file.is_gone = true;
            }
        }
    }

    /// Where a file is now that was moved within its folder.
    fn moved(&self, entry: &Entry) -> Option<PathBuf> {
        for beside in fs::read_dir(entry.path.parent()?).ok()?.flatten() {
            let Ok(metadata) = beside.metadata() else { continue };
            if !metadata.is_file() || inode(&metadata) != entry.inode || self.files.contains_key(&entry.inode)
            {
                continue;
            }
            let file = File::open(beside.path()).ok()?;
            return entry.is_of(&file, self.config.fingerprint_bytes).then(|| beside.path());
        }
        None
    }

    fn follow(&mut self, path: &Path, offset: Option<u64>) {
        match Follow::open(path, &self.config, offset) {
            Ok(file) => drop(self.files.insert(file.inode, file)),
            Err(error) => self.fault(path, &error.to_string()),
        }
    }

    fn depart(&mut self, entry: Entry) {
        if self.departed.len() >= MAX_DEPARTED_FILES {
            self.departed.remove(0);
        }
        self.departed.push(entry);
    }

    /// Gives every file a turn; whether any has more.
    fn read_all(&mut self) -> bool {
        let inodes: Vec<_> = self.files.keys().copied().collect();
        let mut has_more = false;
        for inode in inodes {
            match self.turn(inode) {
                Turn::More => has_more = true,
                Turn::Waits => {}
                Turn::Stops => return false,
            }
        }
        has_more
    }

    fn turn(&mut self, inode: Inode) -> Turn {
        let length = self.files.get(&inode).map_or(0, Follow::length_now);
        for _ in 0..FILE_TURN_REQUESTS {
            let Some(file) = self.files.get_mut(&inode).filter(|file| !file.is_over) else {
                return Turn::Waits;
            };
            let (path, progress) = (file.path.clone(), file.progress.clone());
            let fault = match file.read() {
                Ok((Next::Record(record), end)) => {
                    match self.delivery.send(&record.request, &progress, end) {
                        Ok(true) => continue,
                        Ok(false) => return Turn::Stops,
                        Err(reason) => (format!("{}: {reason}", record.at), end),
                    }
                }
                Ok((Next::Fault(at, fault), end)) => {
                    self.delivery.refuse(self.config.signal, fault.to_string());
                    (format!("{at}: {fault}"), end)
                }
                Ok((Next::Waiting, _)) => {
                    file.read_to = Some(length);
                    return Turn::Waits;
                }
                Ok((Next::End, _)) => {
                    file.is_over = true;
                    return Turn::Waits;
                }
                Err(error) => {
                    // What is packed and damaged cannot be read any further.
                    file.is_over = true;
                    self.fault(&path, &error.to_string());
                    return Turn::Waits;
                }
            };
            progress.settle(progress.begin(fault.1));
            self.fault(&path, &format!("{}; passed over", fault.0));
        }
        Turn::More
    }

    /// Closes what was moved away and is read to its end, and removes what is to be removed.
    fn let_go(&mut self) {
        let done: Vec<_> = self
            .files
            .iter()
            .filter(|(_, file)| file.progress.is_settled())
            .filter_map(|(inode, file)| {
                let is_removed =
                    self.config.delete_after_read && !file.is_gone && file.remove().unwrap_or(false);
                (is_removed || (file.is_gone && file.is_over)).then_some(*inode)
            })
            .collect();
        for inode in done {
            // It may be seen again: then nothing of it is read twice.
            if let Some(mut file) = self.files.remove(&inode)
                && !file.is_removed()
            {
                file.mark();
                self.depart(file.entry());
            }
        }
    }

    /// The files that are wanted.
    fn matches(&self) -> Vec<PathBuf> {
        let found = self.config.include.iter().filter_map(|pattern| glob::glob(pattern).ok()).flatten();
        let is_wanted = |path: &PathBuf| !self.exclude.iter().any(|pattern| pattern.matches_path(path));
        let mut paths: Vec<PathBuf> = found.filter_map(Result::ok).filter(is_wanted).collect();
        paths.sort();
        paths.dedup();
        paths
    }

    fn fault(&mut self, path: &Path, what: &str) {
        self.faulty_since = Some(Instant::now());
        let what = format!("{}: {what}", path.display());
        self.health.report(&self.config.name, Severity::Degraded, what, now_ns());
    }

    /// A fault is shown for a while.
    fn recover(&mut self) {
        if self.faulty_since.is_some_and(|since| since.elapsed() > FILE_FAULT_SHOWN) {
            self.faulty_since = None;
            self.health.resolve(&self.config.name);
        }
    }

    /// How far everything came.
    pub(super) fn entries(&self) -> Vec<Entry> {
        self.files.values().map(Follow::entry).chain(self.departed.iter().cloned()).collect()
    }

    fn save(&mut self) {
        self.files.values_mut().for_each(Follow::mark);
        let Some(path) = &self.config.checkpoint else { return };
        let entries = self.entries();
        if entries == self.saved {
            return;
        }
        match checkpoint::save(path, &entries) {
            Ok(()) => self.saved = entries,
            Err(error) => {
                let path = path.clone();
                self.fault(&path, &format!("the checkpoint cannot be written: {error}"));
            }
        }
    }
}
