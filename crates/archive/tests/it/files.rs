//! Archives in files.

use std::{fs, path::Path};

use aldis_archive::{Error, Key, OpenOptions, SealOptions, open_file, seal_file};
use tempfile::TempDir;

use crate::oracle::text;

const KEY: [u8; 32] = [7; 32];

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_comes_back_and_the_snapshot_has_its_length() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("in"), text(3_000_000)).unwrap();
    fs::write(path("sealed"), "what stood there before").unwrap();
    let key = Key::new(KEY);
    let snapshot = seal_file(&path("in"), &path("sealed"), &key, &SealOptions::default()).unwrap();
    let length = fs::metadata(path("sealed")).unwrap().len();
    assert_eq!((snapshot.bytes_ciphertext, snapshot.frames_data), (length, 3));
    assert_eq!(snapshot.output.as_ref().map(|output| output.bytes), Some(length));
    assert_eq!(snapshot.sanity_check(), []);
    let snapshot = open_file(&path("sealed"), &path("out"), &key, &OpenOptions::default()).unwrap();
    assert!(fs::read(path("out")).unwrap() == text(3_000_000));
    assert_eq!((snapshot.bytes_ciphertext, snapshot.sanity_check()), (length, vec![]));
    assert_eq!(names(folder.path()), ["in", "out", "sealed"]);
}

#[test]
fn an_output_that_would_not_be_whole_does_not_appear() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("in"), text(3_000_000)).unwrap();
    let key = Key::new(KEY);
    seal_file(&path("in"), &path("sealed"), &key, &SealOptions::default()).unwrap();
    let sealed = fs::read(path("sealed")).unwrap();
    fs::write(path("old"), "old").unwrap();
    let cases = [
        ("cut", sealed[..sealed.len() - 1].to_vec()),
        ("half", sealed[..sealed.len() / 2].to_vec()),
        ("longer", [&sealed[..], b"x"].concat()),
        ("none", b"none".to_vec()),
    ];
    for (name, bytes) in cases {
        fs::write(path("sealed"), bytes).unwrap();
        for output in ["new", "old"] {
            let end = open_file(&path("sealed"), &path(output), &key, &OpenOptions::default());
            assert!(end.is_err(), "{name}");
        }
        assert_eq!(names(folder.path()), ["in", "old", "sealed"], "{name}");
        assert_eq!(fs::read(path("old")).unwrap(), b"old");
    }
    assert!(matches!(
        seal_file(&path("gone"), &path("new"), &key, &SealOptions::default()),
        Err(Error::Io(_))
    ));
    assert!(seal_file(&path("in"), &path("no/where"), &key, &SealOptions::default()).is_err());
    assert!(seal_file(&path("in"), Path::new("/"), &key, &SealOptions::default()).is_err());
    assert_eq!(names(folder.path()), ["in", "old", "sealed"]);
}

#[test]
fn devices_are_not_replaced_and_links_are_followed() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("in"), "x").unwrap();
    fs::create_dir(path("below")).unwrap();
    fs::write(path("below/target"), "old").unwrap();
    std::os::unix::fs::symlink(path("below/target"), path("link")).unwrap();
    let key = Key::new(KEY);
    let seal = |output: &Path| seal_file(&path("in"), output, &key, &SealOptions::default());
    assert!(seal(Path::new("/dev/null")).unwrap_err().to_string().contains("no regular file"));
    assert!(seal(folder.path()).is_err());
    seal(&path("link")).unwrap();
    assert!(fs::symlink_metadata(path("link")).unwrap().is_symlink());
    assert_ne!(fs::read(path("below/target")).unwrap(), b"old");
    open_file(&path("link"), &path("link"), &key, &OpenOptions::default()).unwrap();
    assert_eq!(fs::read(path("below/target")).unwrap(), b"x", "in its own place, too");
}

#[test]
fn keys_are_read_from_files() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("key");
    for (bytes, is_key, is_password) in [
        (&[7; 32][..], true, true),
        (&[b'0'; 64], true, true),
        (b"short\n", false, true),
        (b"", false, false),
        (&[b'x'; 4096], false, true),
        (&[b'x'; 5000], false, false),
    ] {
        fs::write(&path, bytes).unwrap();
        assert_eq!(Key::read(&path).is_ok_and(|key| !key.is_password()), is_key);
        assert_eq!(Key::read_password(&path).is_ok_and(|key| key.is_password()), is_password);
    }
    assert!(matches!(Key::read(Path::new("/nowhere")), Err(Error::Io(_))));
}
