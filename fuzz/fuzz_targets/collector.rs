#![no_main]

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use aldis_collect::{FileSettings, FileStorage, TelemetryData, TelemetryEvent, TelemetryStorage};

// A file that a collector is to go on with, and that anything may have written: lines, or compressed pieces, of which one was torn or
// changed; and an index beside it that says what it likes of times and numbers, with true checks and samples. Nothing panics; a limit and
// a range find what a reading of everything finds, which no index keeps from its lines; what is stored behind it all is read back.
//
// The first byte chooses: 1 compressed, 2 with an index; the second, how many entries that has, of five bytes each at the input's end.
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let [mode, entries, rest @ ..] = input else { return };
    // In memory where there is such a folder: what is fuzzed is no disk.
    let shm = Path::new("/dev/shm");
    let parent = if shm.is_dir() { shm.to_owned() } else { std::env::temp_dir() };
    let folder = parent.join(format!("aldis-fuzz-collector-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("telemetry.jsonl");
    let has_index = mode & 2 != 0;
    let entries = if has_index { (usize::from(*entries) * 5).min(rest.len()) } else { 0 };
    let (bytes, entries) = rest.split_at(rest.len() - entries);
    fs::write(&path, bytes).unwrap();
    if has_index {
        fs::write(folder.join("telemetry.jsonl.idx"), index(&path, bytes, entries)).unwrap();
    }
    go_on(&path, mode & 1 != 0, has_index);
    fs::remove_dir_all(&folder).unwrap();
});

fn go_on(path: &Path, compresses: bool, has_index: bool) {
    let settings = FileSettings { compression: compresses.then_some(1), ..FileSettings::default() };
    let storage = FileStorage::with_settings(path, settings).unwrap();
    let all = storage.retrieve(None, None, None).unwrap();
    if !has_index {
        for (start, end, limit) in
            [(None, None, Some(1)), (Some(10), Some(1 << 40), None), (Some(17), None, Some(3))]
        {
            let mut selected = all.clone();
            selected.select(start, end, limit);
            assert_eq!(
                format!("{:?}", storage.retrieve(start, end, limit).unwrap()),
                format!("{selected:?}")
            );
        }
    }
    let mine = TelemetryEvent { time_ns: 42, message: "the last".into(), ..TelemetryEvent::default() };
    storage.store(&TelemetryData { events: vec![mine.clone()], metrics: Vec::new() }).unwrap();
    let again = storage.retrieve(Some(42), Some(43), None).unwrap();
    if !has_index {
        assert_eq!(again.events.last(), Some(&mine));
    }
    assert_eq!(storage.retrieve(None, None, None).unwrap().len(), all.len() + 1, "no index costs a line");
    storage.rebuild_index().unwrap();
    let rebuilt = storage.retrieve(Some(42), Some(43), None).unwrap();
    if compresses {
        return;
    }
    assert_eq!(rebuilt.events.last(), Some(&mine), "a rebuilt index does not lie");
}

/// An index of this file: position, length, number of lines and times from the input, all else as it must be.
fn index(path: &Path, bytes: &[u8], entries: &[u8]) -> Vec<u8> {
    let file = fs::metadata(path).unwrap();
    let mut index = b"ALDISIX2".to_vec();
    index.extend_from_slice(&file.dev().to_le_bytes());
    index.extend_from_slice(&file.ino().to_le_bytes());
    let check = fnv1a(&index);
    index.extend_from_slice(&check.to_le_bytes());
    for entry in entries.chunks_exact(5) {
        let start = index.len();
        for byte in entry {
            index.extend_from_slice(&u64::from(*byte).to_le_bytes());
        }
        let (from, length) = (usize::from(entry[0]), usize::from(entry[1]));
        let block = bytes.get(from..from + length).unwrap_or_default();
        let before = block.iter().rev().skip(1).position(|byte| *byte == b'\n');
        let last_line = before.map_or(block.len(), |before| before + 1);
        let last = block.len() - last_line;
        for number in [
            last_line as u64,
            sample(&bytes[bytes.len().min(from)..]),
            sample(&bytes[bytes.len().min(from + last)..]),
        ] {
            index.extend_from_slice(&number.to_le_bytes());
        }
        let check = fnv1a(&index[start..]);
        index.extend_from_slice(&check.to_le_bytes());
    }
    index
}

/// What a line begins with.
fn sample(bytes: &[u8]) -> u64 {
    let bytes = &bytes[..bytes.len().min(64)];
    fnv1a(&bytes[..bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |feed| feed + 1)])
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
