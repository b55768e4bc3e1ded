//! A disk that is full.

use std::{
    fs,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use aldis_connect::file::{FileConfig, Key, Rotation};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use otlp::Signal;
use pipeline::{Health, Outcome};

use crate::{
    files::{begun, in_order, log, read_with, send, texts},
    sealing::{KEY, is_sealed, wait},
};

const NOTHING: Option<&str> = None;

/// Puts a file system of this size at a path, for this thread and those that it starts; it is gone when they are.
fn small_disk(path: &Path, size: &str) -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOTHING)?;
    mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), Some(&*format!("size={size}")))
}

/// Takes up all that is left of a disk but so many bytes.
fn fill(path: &Path, left: u64) {
    let mut file = fs::File::create(path).expect("a file");
    while file.write_all(&[b'x'; 4096]).is_ok() {}
    let full = file.metadata().expect("there").len();
    file.set_len(full - left).expect("shorter");
}

/// Text that does not become much shorter when it is compressed.
fn noise(bytes: usize) -> String {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'0' + (state >> 58) as u8)
    };
    (0..bytes).map(|_| next()).collect::<String>().replace('\\', "z")
}

#[test]
fn a_disk_that_is_full_while_a_file_is_sealed_costs_nothing_but_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let scene = || {
        let (path, key) = (folder.path().join("disk"), folder.path().join("key"));
        fs::create_dir(&path).expect("made");
        fs::write(&key, KEY).expect("written");
        if let Err(error) = small_disk(&path, "4m") {
            return eprintln!("skipped: no file system of its own: {error}");
        }
        sealed_once_there_is_room(&path, &key);
    };
    // Other tests go on to see what they saw.
    std::thread::scope(|scope| scope.spawn(scene).join()).expect("it holds");
}

fn sealed_once_there_is_room(disk: &Path, key: &Path) {
    let rotation = Rotation { max_bytes: 1 << 20, max_age: None, max_backups: 0 };
    let plain = FileConfig { rotation: Some(rotation), ..FileConfig::new(disk.join("logs.data")) };
    let large = noise(1 << 20);
    let exporter = begun(plain.clone());
    assert_eq!(send(&exporter, log(&large)), Outcome::DELIVERED);
    assert_eq!(send(&exporter, log("behind it")), Outcome::DELIVERED);
    drop(exporter);
    let backup = in_order(&plain.path).remove(0);
    let before = fs::read(&backup).expect("there");
    // An archive of it begins, and does not end.
    let filler = disk.join("filler");
    fill(&filler, 300_000);

    let sealing = FileConfig { seal_key_file: Some(key.to_owned()), ..plain };
    let exporter = begun(sealing);
    let health = Health::new();
    exporter.seals().expect("it seals").tell(health.clone(), "sealing");
    let counts = wait("the disk is full", &exporter, |counts| counts.failures > 0);
    assert_eq!((counts.sealed, counts.unsealed), (0, 1));
    eventually(|| health.problems().contains_key("sealing"));
    let told = health.problems().remove("sealing").expect("told").to_string();
    assert!(told.contains("No space left on device") && told.contains(&*backup.to_string_lossy()), "{told}");
    assert_eq!(fs::read(&backup).expect("there"), before, "it is as it was");
    eventually(|| !names(disk).iter().any(|name| name.ends_with(".part")));
    assert_eq!(send(&exporter, log("as ever")), Outcome::DELIVERED, "there is as much room as before");

    fs::remove_file(&filler).expect("there");
    // What is rotated away next is a reason to try again.
    assert_eq!(send(&exporter, log(&large)), Outcome::DELIVERED);
    assert_eq!(send(&exporter, log("the last")), Outcome::DELIVERED);
    wait("all is sealed", &exporter, |counts| counts.unsealed == 0 && counts.sealed >= 2);
    eventually(|| health.problems().is_empty());
    drop(exporter);
    let files = in_order(&disk.join("logs.data"));
    let said: Vec<String> = files.iter().flat_map(|file| said_by(file)).collect();
    assert_eq!(said, [&*large, "behind it", "as ever", &*large, "the last"]);
    assert_eq!(files.iter().filter(|file| is_sealed(file)).count(), files.len() - 1);
    assert_eq!(names(disk).len(), files.len(), "and nothing else is there");
}

fn said_by(file: &Path) -> Vec<String> {
    let (requests, faults) = read_with(file, Signal::Logs, Some(Key::new(KEY)));
    assert_eq!(faults, 0, "{file:?}");
    texts(&requests)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("there").file_name().to_string_lossy().into_owned()).collect()
}

fn eventually(holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain");
        std::thread::sleep(Duration::from_millis(2));
    }
}
