//! Files that were rotated away are sealed.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use aldis_connect::file::{FileConfig, FileExporter, FileFormat, Key, Rotation, SealCounts};
use archive::{Archive, LineTimes, MAGIC, OpenOptions, TimeSpan, copy_lines};
use otlp::Signal;
use pipeline::{Health, Outcome};

use crate::files::{begun, in_order, log, names, read_with, send, texts};
use crate::side::PATIENCE;

pub(crate) const KEY: [u8; 32] = [7; 32];

/// Whether a file is an archive.
pub(crate) fn is_sealed(path: &Path) -> bool {
    fs::read(path).expect("there").starts_with(&MAGIC)
}

/// Waits until everything is sealed that was rotated away.
pub(crate) fn sealed_all(exporter: &FileExporter) -> SealCounts {
    wait("everything is sealed", exporter, |counts| counts.sealed > 0 && counts.unsealed == 0)
}

pub(crate) fn wait(what: &str, exporter: &FileExporter, holds: impl Fn(SealCounts) -> bool) -> SealCounts {
    let (mut since, mut before) = (Instant::now(), SealCounts::default());
    loop {
        let counts = exporter.seals().expect("it seals").counts();
        if holds(counts) {
            return counts;
        }
        // However many there are: as long as something is sealed it goes on.
        if counts.sealed != before.sealed {
            (since, before) = (Instant::now(), counts);
        }
        assert!(since.elapsed() < PATIENCE, "waited in vain until {what}: {counts:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

struct Scene {
    folder: tempfile::TempDir,
    config: FileConfig,
}

impl Scene {
    fn new(format: FileFormat, compression: Option<i32>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let inner = folder.path().join("files");
        fs::create_dir(&inner).expect("made");
        fs::write(folder.path().join("key"), KEY).expect("written");
        let rotation = Rotation { max_bytes: 1000, max_age: None, max_backups: 0 };
        let seal_key_file = Some(folder.path().join("key"));
        let path = inner.join("logs.data");
        let config = FileConfig {
            format,
            compression,
            seal_key_file,
            rotation: Some(rotation),
            ..FileConfig::new(path)
        };
        Self { folder, config }
    }

    fn path(&self) -> &Path {
        &self.config.path
    }

    fn write(&self, config: &FileConfig, all: &[String]) -> FileExporter {
        let exporter = begun(config.clone());
        all.iter().for_each(|text| assert_eq!(send(&exporter, log(text)), Outcome::DELIVERED));
        exporter
    }

    fn unsealing(&self) -> FileConfig {
        FileConfig { seal_key_file: None, ..self.config.clone() }
    }

    /// What all files say together.
    fn said(&self) -> Vec<String> {
        let of = |file: &PathBuf| {
            let (requests, faults) = read_with(file, Signal::Logs, Some(Key::new(KEY)));
            assert_eq!(faults, 0, "{file:?}");
            texts(&requests)
        };
        in_order(self.path()).iter().flat_map(of).collect()
    }
}

#[test]
fn files_that_were_rotated_away_are_sealed_in_every_form_and_over_restarts() {
    for (format, compression) in
        [(FileFormat::Json, None), (FileFormat::Proto, None), (FileFormat::Proto, Some(1))]
    {
        let scene = Scene::new(format, compression);
        let all = names(150);
        // What was rotated away before there was a key is sealed when there is one.
        drop(scene.write(&scene.unsealing(), &all[..50]));
        let before = in_order(scene.path()).len() - 1;
        assert!(before > 0);
        let exporter = scene.write(&scene.config, &all[50..100]);
        let counts = sealed_all(&exporter);
        assert!(counts.sealed > before as u64 && counts.failures == 0, "{counts:?}");
        drop(exporter);
        // The next one goes on.
        let exporter = scene.write(&scene.config, &all[100..]);
        sealed_all(&exporter);
        drop(exporter);
        for file in in_order(scene.path()) {
            assert_eq!(is_sealed(&file), file != scene.path(), "{file:?}");
        }
        assert_eq!(scene.said(), all);
    }
}

#[test]
fn an_exporter_that_ends_has_sealed_what_it_rotated_away() {
    let scene = Scene::new(FileFormat::Json, None);
    let all = names(15);
    drop(scene.write(&scene.config, &all));
    let unsealed =
        |files: &[PathBuf]| files[..files.len() - 1].iter().filter(|file| !is_sealed(file)).count();
    let files = in_order(scene.path());
    assert!(files.len() > 1 && scene.said() == all, "{files:?}");
    // It waits for seconds; on a disk that is slower what is left is whole, and the next one seals it.
    if unsealed(&files) > 0 {
        let next = scene.write(&scene.config, &[]);
        sealed_all(&next);
        drop(next);
        assert_eq!((unsealed(&in_order(scene.path())), scene.said()), (0, all));
    }
}

#[test]
fn an_archive_is_as_readable_for_others_as_the_file_and_knows_its_times() {
    let scene = Scene::new(FileFormat::Json, None);
    let large = "x".repeat(1200);
    let exporter = scene.write(&scene.unsealing(), &names(4)[..]);
    assert_eq!(send(&exporter, log(&large)), Outcome::DELIVERED);
    drop(exporter);
    let backup = in_order(scene.path()).remove(0);
    let line = "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"timeUnixNano\":\"TIME\"}]}]}]}\n";
    let of = |time: u64| line.replace("TIME", &time.to_string());
    fs::write(&backup, (1..=9).map(of).collect::<String>()).expect("written");
    fs::set_permissions(&backup, fs::Permissions::from_mode(0o640)).expect("changed");
    sealed_all(&begun(scene.config.clone()));
    let sealed = fs::File::open(&backup).expect("there");
    assert_eq!(sealed.metadata().expect("there").permissions().mode() & 0o777, 0o640);
    let mut archive = Archive::read(sealed, &Key::new(KEY), &OpenOptions::default()).expect("whole");
    let (times, mut found) = (LineTimes::new(["UnixNano"]).expect("a key"), Vec::new());
    copy_lines(&mut archive, TimeSpan { first: 3, last: 4 }, &times, &mut found).expect("whole");
    assert_eq!(found, [of(3), of(4)].concat().as_bytes());
}

#[test]
fn no_more_files_are_kept_than_the_rotation_says() {
    let mut scene = Scene::new(FileFormat::Json, None);
    drop(scene.write(&scene.unsealing(), &names(60)));
    assert!(in_order(scene.path()).len() > 4);
    scene.config.rotation = scene.config.rotation.map(|rotation| Rotation { max_backups: 3, ..rotation });
    let all = names(90);
    let exporter = scene.write(&scene.config, &all);
    sealed_all(&exporter);
    drop(exporter);
    let files = in_order(scene.path());
    assert_eq!(files.len(), 4, "{files:?}");
    let said = scene.said();
    assert_eq!(said, all[all.len() - said.len()..], "the latest are kept");
}

/// What cannot be sealed stays as it is, is told and counted, holds up nothing, and is sealed when it can be.
#[test]
fn a_file_that_cannot_be_sealed_stays_as_it_is() {
    let scene = Scene::new(FileFormat::Json, None);
    let all = names(60);
    drop(scene.write(&scene.unsealing(), &all[..30]));
    let files = in_order(scene.path());
    let backup = &files[0];
    // A folder in the place of a file cannot be sealed, whoever runs this.
    let moved = scene.folder.path().join("moved");
    fs::rename(backup, &moved).expect("moved");
    fs::create_dir(backup).expect("made");
    let exporter = begun(scene.config.clone());
    let health = Health::new();
    exporter.seals().expect("it seals").tell(health.clone(), "exporter file sealing");
    let counts = wait("one fails, and the others do not", &exporter, |counts| {
        counts.failures > 0 && counts.unsealed == 1
    });
    assert_eq!(counts.sealed as usize, files.len() - 2);
    let begun = Instant::now();
    while health.problems().is_empty() && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(2));
    }
    let told = health.problems()["exporter file sealing"].what.clone();
    assert!(told.contains(&*backup.to_string_lossy()) && told.contains("cannot be sealed"), "{told}");
    fs::remove_dir(backup).expect("removed");
    fs::rename(&moved, backup).expect("moved back");
    // The next rotation tries again.
    all[30..].iter().for_each(|text| assert_eq!(send(&exporter, log(text)), Outcome::DELIVERED));
    wait("all are sealed", &exporter, |counts| {
        counts.unsealed == 0 && counts.sealed as usize >= files.len() - 1
    });
    let begun = Instant::now();
    while !health.problems().is_empty() && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(health.problems().is_empty(), "{:?}", health.problems());
    drop(exporter);
    assert_eq!(scene.said(), all);
}

#[test]
fn what_a_kill_left_of_an_archive_is_removed() {
    let scene = Scene::new(FileFormat::Json, None);
    let all = names(30);
    drop(scene.write(&scene.unsealing(), &all));
    let backup = in_order(scene.path()).remove(0);
    let name = backup.file_name().expect("a name").to_string_lossy().into_owned();
    let beside = |name: String| scene.path().with_file_name(name);
    let (remains, other) = (beside(format!(".{name}.4711-0.part")), beside(".logs.data.1-0.part".to_owned()));
    fs::write(&remains, "a part").expect("written");
    fs::write(&other, "of somebody else").expect("written");
    sealed_all(&begun(scene.config.clone()));
    assert!(!remains.exists() && other.exists());
    fs::remove_file(other).expect("there");
    assert_eq!(scene.said(), all);
}

#[test]
fn without_its_key_it_does_not_start() {
    let scene = Scene::new(FileFormat::Json, None);
    let key = scene.folder.path().join("key");
    for (content, says) in [(Some("no key"), "a key is 32 bytes"), (None, "No such file")] {
        fs::remove_file(&key).expect("there");
        content.iter().for_each(|content| fs::write(&key, content).expect("written"));
        let error = FileExporter::start(scene.config.clone()).expect_err("there is no key").to_string();
        assert!(error.contains(says) && error.contains("key"), "{error}");
    }
}
