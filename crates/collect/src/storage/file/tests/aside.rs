//! Files that are put aside, by this process and by others.

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
};

use super::*;
use crate::storage::{
    file::disk::{Append, Beside, Disk, Identity, Patch, Read},
    line,
};

#[test]
fn files_put_aside_are_numbered_read_in_order_and_kept_to_a_number() {
    let disk = Forgetful::default();
    disk.put("/log/telemetry.jsonl.000007", b"");
    disk.put("/log/telemetry.jsonl.old", b"nothing of ours\n");
    let settings = FileSettings { rotate_bytes: Some(4096), keep_files: Some(3), ..FileSettings::default() };
    let storage = open(&disk, settings);
    for i in 0..400 {
        storage.store(&of_events([event(5, i)])).unwrap();
    }
    let stats = storage.stats();
    assert_eq!(stats.rotations + 1 - stats.removed_files, 3);
    let mut names: Vec<String> = disk.names().into_iter().filter(|name| !name.ends_with("idx")).collect();
    names.sort();
    let newest = 7 + stats.rotations;
    let expected = [
        PATH.to_owned(),
        format!("{PATH}.{:06}", newest - 2),
        format!("{PATH}.{:06}", newest - 1),
        format!("{PATH}.{newest:06}"),
        format!("{PATH}.old"),
    ];
    assert_eq!(names, expected);
    let read = events(&everything(&storage));
    assert_eq!(read, (read[0]..400).collect::<Vec<_>>());
    assert!(read.len() > 60, "{}", read.len());
}

#[test]
fn another_process_that_rotates_at_any_moment_costs_nothing() {
    for moment in 0..60 {
        let disk = Forgetful::default();
        let settings = FileSettings { rotate_bytes: Some(4096), ..FileSettings::default() };
        disk.rival_rotates(PATH, moment);
        let storage = open(&disk, settings);
        for i in 0..100 {
            storage.store(&of_events([event(i, i)])).unwrap_or_else(|error| panic!("{moment}: {error}"));
        }
        drop(storage);
        let storage = open(&disk, settings);
        let mut read = events(&everything(&storage));
        read.sort_unstable();
        assert_eq!(read, (0..100).collect::<Vec<_>>(), "{moment}");
        let mut some = events(&storage.retrieve(Some(10), Some(20), None).unwrap());
        some.sort_unstable();
        assert_eq!(some, (10..20).collect::<Vec<_>>(), "{moment}");
        assert_eq!(storage.stats().bad_lines, 0, "{moment}");
    }
}

#[test]
fn whoever_is_slow_does_not_write_to_files_that_others_put_aside_and_removed() {
    let disk = Forgetful::default();
    let settings = FileSettings { rotate_bytes: Some(4096), keep_files: Some(1), ..FileSettings::default() };
    let (slow, busy) = (open(&disk, settings), open(&disk, settings));
    slow.store(&of_events([event(0, 0)])).unwrap();
    for i in 1..200 {
        busy.store(&of_events([event(i, i)])).unwrap();
    }
    slow.store(&of_events([event(200, 200)])).unwrap();
    assert!(events(&everything(&busy)).contains(&200));
    // Nor to one that somebody has removed by hand.
    disk.remove(std::path::Path::new(PATH)).unwrap();
    slow.store(&of_events([event(201, 201)])).unwrap();
    assert!(events(&everything(&busy)).contains(&201));
}

/// Numbers of events in lines.
fn numbers(lines: &[u8]) -> Vec<u64> {
    let mut names = crate::name::NameCache::new();
    let records = lines.split(|byte| *byte == b'\n').filter_map(|line| line::read(line, &mut names));
    records.map(|record| record.time_ns()).collect()
}

/// Between the look at what is the file, and the write.
#[test]
fn what_is_written_to_a_file_that_another_removes_in_that_moment_is_in_the_next_one() {
    for keep in [0, 1] {
        for moment in 0..12 {
            let disk = Forgetful::default();
            let settings =
                FileSettings { rotate_bytes: Some(4096), keep_files: Some(keep), ..FileSettings::default() };
            let (slow, busy) = (open(&disk, settings), open(&disk, settings));
            let rotate = move || (0..100).for_each(|i| busy.store(&of_events([event(1000 + i, i)])).unwrap());
            disk.interrupt_writing(moment, rotate);
            (0..12).for_each(|i| slow.store(&of_events([event(i, i)])).unwrap());
            assert_eq!(slow.stats().written_records, 12);
            let kept = everything(&slow).events;
            let mut found: Vec<u64> = kept.iter().map(|event| event.time_ns).collect();
            found.extend(numbers(&disk.removed(|name| !name.ends_with("idx"))));
            found.sort_unstable();
            let expected: Vec<u64> = (0..12).chain(1000..1100).collect();
            assert_eq!(found, expected, "{keep} {moment}");
        }
    }
}

/// The system's, but for what is removed: that is put in a folder of those.
struct Graveyard(PathBuf);

impl Disk for Graveyard {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        System.create_folder(folder)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        System.list(folder)
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn Append>> {
        System.append(path)
    }

    fn read(&self, path: &Path) -> io::Result<Box<dyn Read>> {
        System.read(path)
    }

    fn patch(&self, path: &Path) -> io::Result<Box<dyn Patch>> {
        System.patch(path)
    }

    fn identity(&self, path: &Path) -> io::Result<Identity> {
        System.identity(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        System.rename(from, to)
    }

    fn begin(&self, path: &Path) -> io::Result<Box<dyn Beside>> {
        System.begin(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut file = std::fs::File::open(path)?;
        System.remove(path)?;
        if !path.to_str().unwrap().ends_with("idx") {
            let mut grave = tempfile::Builder::new().tempfile_in(&self.0)?;
            io::copy(&mut file, &mut grave)?;
            grave.keep()?;
        }
        Ok(())
    }

    fn sweep(&self, place: &Path) -> io::Result<()> {
        System.sweep(place)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        System.sync_folder(folder)
    }
}

const WRITER: &str = "ALDIS_COLLECT_TEST_RETENTION";
const STORED: u64 = 500;

/// No test: what the next one starts, twice. The variable has the folder, the first number, and how many files are kept.
#[test]
fn a_process_that_keeps_few_files() {
    let Ok(told) = std::env::var(WRITER) else { return };
    let told: Vec<&str> = told.split('|').collect();
    let (folder, first, keep) = (Path::new(told[0]), told[1].parse::<u64>().unwrap(), told[2].parse().ok());
    let settings = FileSettings { rotate_bytes: Some(4096), keep_files: keep, ..FileSettings::default() };
    let disk = Arc::new(Graveyard(folder.join("removed")));
    let storage = FileStorage::on(disk, &folder.join("telemetry.jsonl"), settings).unwrap();
    // Each is as large as a file may be: they are put aside and removed all the time.
    for number in first..first + STORED {
        let large = TelemetryEvent { message: "x".repeat(4096), ..event(number, number) };
        storage.store(&of_events([large])).unwrap();
    }
}

#[test]
fn every_line_of_two_processes_is_in_a_file_that_is_kept_or_in_one_that_was_removed() {
    for keep in [0, 2] {
        let folder = tempfile::tempdir().unwrap();
        let removed = folder.path().join("removed");
        std::fs::create_dir(&removed).unwrap();
        let start = |first: u64| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "storage::file::tests::aside::a_process_that_keeps_few_files"])
                .env(WRITER, format!("{}|{first}|{keep}", folder.path().display()))
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        };
        for mut process in [start(0), start(STORED)] {
            assert!(process.wait().unwrap().success());
        }
        let storage = FileStorage::open(folder.path().join("telemetry.jsonl")).unwrap();
        let kept: Vec<u64> = everything(&storage).events.iter().map(|event| event.time_ns).collect();
        let mut all: BTreeSet<u64> = kept.iter().copied().collect();
        assert_eq!(all.len(), kept.len(), "some are there twice");
        for grave in std::fs::read_dir(removed).unwrap() {
            all.extend(numbers(&std::fs::read(grave.unwrap().path()).unwrap()));
        }
        let lost: Vec<u64> = (0..2 * STORED).filter(|number| !all.contains(number)).collect();
        assert!(lost.is_empty(), "{keep}: {lost:?}");
    }
}
