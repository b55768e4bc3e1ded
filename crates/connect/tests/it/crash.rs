//! A process that writes a file is killed at any moment: what it acknowledged is there.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use aldis_connect::file::{FileConfig, FileFormat, Key, Rotation};
use otlp::Signal;
use pipeline::Outcome;

use crate::{
    files::{begun, log, read_with, send, texts},
    sealing::{is_sealed, sealed_all},
};

/// Tells a process that runs [`child`] what to write, and from which number on.
const VARIABLE: &str = "ALDIS_TEST_FILE_WRITER";

/// What is written, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Proto,
    /// Lines that are sealed once they were rotated away.
    Sealed,
}

const KEY: [u8; 32] = [7; 32];

fn config(folder: &Path, form: Form) -> FileConfig {
    let rotation = Rotation { max_bytes: 40_000, max_age: None, max_backups: 0 };
    let format = if form == Form::Proto { FileFormat::Proto } else { FileFormat::Json };
    let seal_key_file = (form == Form::Sealed).then(|| folder.with_extension("key"));
    FileConfig {
        format,
        seal_key_file,
        rotation: Some(rotation),
        ..FileConfig::new(folder.join("logs.data"))
    }
}

/// Writes numbered records, large and small, and tells each number once it is acknowledged. It is no test by itself.
#[test]
fn child() {
    let Ok(told) = std::env::var(VARIABLE) else { return };
    let mut words = told.split('|');
    let mut word = || words.next().expect("three words").to_owned();
    let (folder, form_word, first) = (word(), word(), word().parse::<u64>().expect("a number"));
    let form =
        [Form::Json, Form::Proto, Form::Sealed].into_iter().find(|form| format!("{form:?}") == form_word);
    let exporter = begun(config(Path::new(&folder), form.expect("a form")));
    let mut out = std::io::stderr();
    for number in first.. {
        let padding = "x".repeat((number * 7919 % 9000) as usize);
        if send(&exporter, log(&format!("{number} {padding}"))) == Outcome::DELIVERED {
            // As long as that, so that it is not many lines ahead of a parent that does not get to kill it.
            let line = format!("acknowledged {number} {:1000}\n", "");
            out.write_all(line.as_bytes()).expect("the parent listens");
        }
    }
}

/// The numbers that are acknowledged before the child is killed, which is after so long.
fn killed_after(patience: Duration, folder: &Path, form: Form, first: u64) -> Vec<u64> {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "crash::child", "--nocapture"])
        .env(VARIABLE, format!("{}|{form:?}|{first}", folder.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a process");
    let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let mut numbers = Vec::new();
    let mut begun = None;
    for line in lines {
        let Ok(line) = line else { break };
        let Some(number) = line.strip_prefix("acknowledged ") else { continue };
        // A line that was torn by the end is no acknowledgement.
        let number = number.split_once(' ').map(|(number, _)| number.parse::<u64>().expect("a number"));
        numbers.extend(number);
        if begun.get_or_insert_with(Instant::now).elapsed() > patience {
            // What is told from here on is read too.
            let _ = child.kill();
        }
    }
    child.wait().expect("it ended");
    numbers
}

fn written(folder: &Path, form: Form) -> (BTreeSet<u64>, usize) {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    // A part of an archive that the kill left is no file yet.
    let is_part = |file: &Path| file.extension().is_some_and(|extension| extension == "part");
    files.retain(|file| !is_part(file));
    let current = config(folder, form).path;
    let (mut found, mut torn) = (BTreeSet::new(), 0);
    for file in files {
        let (requests, faults) = read_with(&file, Signal::Logs, Some(Key::new(KEY)));
        if form == Form::Proto && file != current {
            assert_eq!(faults, 0, "frames are cut back when the writer comes again: {file:?}");
        }
        torn += faults;
        for text in texts(&requests) {
            let (number, padding) = text.split_once(' ').expect("a number");
            let number = number.parse().expect("a number");
            assert_eq!(padding.len() as u64, number * 7919 % 9000, "record {number} is whole");
            assert!(found.insert(number), "record {number} is there once");
        }
    }
    (found, torn)
}

#[test]
fn nothing_that_was_acknowledged_is_lost() {
    for form in [Form::Json, Form::Proto, Form::Sealed] {
        let outer = tempfile::tempdir().expect("a folder");
        let folder = outer.path().join("files");
        fs::create_dir(&folder).expect("made");
        fs::write(folder.with_extension("key"), KEY).expect("written");
        let mut acknowledged = BTreeSet::new();
        let mut next = 0;
        const KILLS: usize = 8;
        for kill in 0..KILLS {
            let patience = Duration::from_millis(3 + 17 * (kill as u64 * 5 % 7));
            let numbers = killed_after(patience, &folder, form, next);
            assert!(!numbers.is_empty(), "the child writes");
            acknowledged.extend(numbers);
            next = acknowledged.last().map_or(0, |last| last + 100);
            let (found, torn) = written(&folder, form);
            let lost: Vec<_> = acknowledged.difference(&found).collect();
            assert!(lost.is_empty(), "after kill {kill}: {lost:?}");
            // Each kill tears one request at most.
            assert!(torn <= kill + 1, "{torn} torn after {} kills", kill + 1);
        }
        if form == Form::Sealed {
            let before = written(&folder, form);
            sealed_all(&begun(config(&folder, form)));
            for entry in fs::read_dir(&folder).expect("readable") {
                let file = entry.expect("readable").path();
                assert_eq!(is_sealed(&file), file != config(&folder, form).path, "{file:?}");
            }
            assert_eq!(written(&folder, form), before);
        }
        println!("{form:?}: {} acknowledged over {KILLS} kills", acknowledged.len());
    }
}
