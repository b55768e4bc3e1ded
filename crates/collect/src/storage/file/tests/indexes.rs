//! What an index passes over, and what it must not.

use super::*;
use crate::storage::{
    file::disk::{Disk, Identity},
    line,
};

#[test]
fn an_index_passes_over_what_is_not_asked_for_and_is_not_needed() {
    let disk = Forgetful::default();
    let storage = open(&disk, FileSettings::default());
    for batch in 0..200 {
        storage.store(&of_events((batch * 100..(batch + 1) * 100).map(|i| event(i, i)))).unwrap();
    }
    let size = disk.bytes(PATH).len() as u64;
    assert!(size > 10 * INDEX_BLOCK_BYTES as u64);
    let asks = |storage: &FileStorage| {
        let mut seen = Vec::new();
        let report = storage.scan(Some(10_000), Some(10_100), |record| seen.push(record.time_ns())).unwrap();
        assert_eq!(seen, (10_000..10_100).collect::<Vec<_>>());
        assert_eq!(report.bytes_read + report.bytes_passed_over, size);
        report.bytes_passed_over
    };
    assert!(asks(&storage) > size / 2);
    drop(storage);
    let index = format!("{PATH}.idx");
    let whole = disk.bytes(&index);
    // Torn, of another file, or gone.
    disk.put(&index, &whole[..whole.len() - 7]);
    assert!(asks(&open(&disk, FileSettings::default())) > size / 2);
    let mut foreign = whole.clone();
    foreign[9] ^= 1;
    disk.put(&index, &foreign);
    assert_eq!(asks(&open(&disk, FileSettings::default())), 0);
    disk.remove(Path::new(&index)).unwrap();
    let storage = open(&disk, FileSettings::default());
    assert_eq!(asks(&storage), 0);
    storage.rebuild_index().unwrap();
    assert!(asks(&storage) > size / 2);
    storage.store(&of_events([event(10_050, 1)])).unwrap();
    assert_eq!(storage.retrieve(Some(10_050), Some(10_051), None).unwrap().len(), 2);
}

#[test]
fn a_file_that_was_cut_off_hides_nothing_behind_its_old_index() {
    // To nothing, and to less than was written; by a writer that goes on, and before another opens it.
    for (rest, goes_on) in [(0, true), (0, false), (3, true), (3, false)] {
        let disk = Forgetful::default();
        let before = of_events((0..5000).map(|i| event(i, i)));
        let mut storage = open(&disk, FileSettings::default());
        storage.store(&before).unwrap();
        // So that its entries are written.
        drop(storage);
        storage = open(&disk, FileSettings::default());
        storage.store(&before).unwrap();
        let whole = disk.bytes(PATH);
        let kept =
            whole.split_inclusive(|byte| *byte == b'\n').take(rest).flatten().copied().collect::<Vec<_>>();
        if goes_on {
            disk.put(PATH, &kept);
        } else {
            drop(storage);
            disk.put(PATH, &kept);
            storage = open(&disk, FileSettings::default());
        }
        for batch in 0..20 {
            storage.store(&of_events((0..1000).map(|i| event(1 << 40, batch * 1000 + i)))).unwrap();
        }
        assert!(disk.bytes(PATH).len() > whole.len());
        let found = storage.retrieve(Some(1 << 40), None, None).unwrap();
        assert_eq!(events(&found), (0..20_000).collect::<Vec<_>>(), "{rest} {goes_on}");
        assert_eq!(everything(&storage).len(), rest + 20_000);
        // The new index is one.
        drop(storage);
        let storage = open(&disk, FileSettings::default());
        let report = storage.scan(Some(0), Some(10), |_| ()).unwrap();
        assert!(report.bytes_passed_over > 0 && report.records == rest as u64, "{report:?}");
    }
}

/// As many bytes, and lines of the same lengths at the same places: nothing but what they say is new.
#[test]
fn a_file_that_was_written_anew_past_its_old_length_hides_nothing() {
    let batch = |first: u64, time_ns: u64| of_events((first..first + 1000).map(|i| event(time_ns + i, i)));
    let all = |disk: &Forgetful, first: u64, time_ns: u64, batches: u64| {
        let storage = open(disk, FileSettings::default());
        (0..batches).for_each(|i| storage.store(&batch(first + 1000 * i, time_ns)).unwrap());
    };
    // Cut off to nothing, or in the middle; by a writer that has it open, by the next one, or looked at only.
    for rest in [0, 7_777] {
        for how in 0..3 {
            let disk = Forgetful::default();
            all(&disk, 10_000, 1 << 40, 20);
            let open_before = open(&disk, FileSettings::default());
            open_before.store(&batch(30_000, 1 << 40)).unwrap();
            let old = disk.bytes(PATH);
            let anew = Forgetful::default();
            all(&anew, 10_000, 1 << 41, 22);
            let keep = old.split_inclusive(|byte| *byte == b'\n').take(rest).map(<[u8]>::len).sum::<usize>();
            let bytes = [&old[..keep], &anew.bytes(PATH)[keep..]].concat();
            assert!(bytes.len() > old.len());
            if how == 1 {
                drop(open_before);
                disk.put(PATH, &bytes);
                all(&disk, 50_000, 1 << 41, 3);
            } else {
                disk.put(PATH, &bytes);
                if how == 0 {
                    (50..53).for_each(|i| open_before.store(&batch(1000 * i, 1 << 41)).unwrap());
                }
                drop(open_before);
            }
            let reader = FileStorage::on(Arc::new(disk.clone()), Path::new(PATH), FileSettings::default());
            let reader = reader.unwrap();
            let (mut old_ones, mut new_ones) = (0, 0);
            let report = reader.scan(None, Some(1 << 41), |_| old_ones += 1).unwrap();
            assert_eq!((old_ones, report.bad_lines), (rest, 0), "{rest} {how}");
            let report = reader.scan(Some(1 << 41), None, |_| new_ones += 1).unwrap();
            let added = if how == 2 { 0 } else { 3000 };
            assert_eq!((new_ones, report.bad_lines), (22_000 - rest + added, 0), "{rest} {how}");
        }
    }
}

/// What is not as the last of ours left it is read whole, until the index is rebuilt: by one that only lost its last lines, too.
#[test]
fn an_index_is_begun_anew_where_a_file_lost_its_last_lines() {
    let disk = Forgetful::default();
    let storage = open(&disk, FileSettings::default());
    storage.store(&of_events((0..5000).map(|i| event(i, i)))).unwrap();
    let whole = disk.bytes(PATH);
    disk.put(PATH, &whole[..whole.len() - 1000]);
    storage.store(&of_events((5000..6000).map(|i| event(i, i)))).unwrap();
    let report = storage.scan(Some(5000), None, |_| ()).unwrap();
    assert_eq!((report.records, report.bad_lines), (1000, 1));
    assert!(report.bytes_passed_over < INDEX_BLOCK_BYTES as u64, "{report:?}");
    storage.rebuild_index().unwrap();
    let report = storage.scan(Some(5000), None, |_| ()).unwrap();
    assert_eq!((report.records, report.bad_lines), (1000, 1));
    assert!(report.bytes_passed_over > whole.len() as u64 / 2, "{report:?}");
}

/// As many bytes in the same file, and all samples of the index as they were.
#[test]
fn a_line_whose_time_was_changed_in_its_place_is_found_by_its_new_time() {
    let batch = |first: u64| of_events((first..first + 1000).map(|i| event(10_000 + i, i)));
    let found = |storage: &FileStorage, time_ns| {
        events(&storage.retrieve(Some(time_ns), Some(time_ns + 1), None).unwrap())
    };
    // By one that goes on to write, by one that does so before it is asked, by the next one, and by one that has not written last.
    for how in 0..4 {
        let disk = Forgetful::default();
        let storage = open(&disk, FileSettings::default());
        let other = open(&disk, FileSettings::default());
        (0..10).for_each(|i| storage.store(&batch(1000 * i)).unwrap());
        if how == 3 {
            (10..20).for_each(|i| other.store(&batch(1000 * i)).unwrap());
        }
        assert!(storage.scan(Some(90_000), None, |_| ()).unwrap().bytes_passed_over > 0, "{how}");
        disk.edit(PATH, "{\"time_ns\":11500,", "{\"time_ns\":90000,");
        if how == 1 {
            storage.store(&batch(30_000)).unwrap();
        }
        let storage = if how == 2 { open(&disk, FileSettings::default()) } else { storage };
        assert_eq!(found(&storage, 90_000), [1500], "{how}");
        assert_eq!(found(&other, 90_000), [1500], "{how}");
        assert_eq!(found(&storage, 11_500), [0; 0], "{how}");
        storage.store(&batch(50_000)).unwrap();
        other.store(&batch(60_000)).unwrap();
        assert_eq!(found(&storage, 90_000), [1500], "{how}");
        assert_eq!(found(&storage, 60_500), [50_500], "{how}");
        // The index can be had again.
        storage.rebuild_index().unwrap();
        assert_eq!(found(&storage, 90_000), [1500], "{how}");
        assert!(storage.scan(Some(90_000), None, |_| ()).unwrap().bytes_passed_over > 500_000, "{how}");
        storage.store(&batch(70_000)).unwrap();
        assert!(storage.scan(Some(90_000), None, |_| ()).unwrap().bytes_passed_over > 500_000, "{how}");
    }
}

#[test]
fn an_edit_while_an_index_is_rebuilt_is_in_it() {
    let disk = Forgetful::default();
    let storage = open(&disk, FileSettings::default());
    storage.store(&of_events((0..10_000).map(|i| event(10_000 + i, i)))).unwrap();
    let edited = disk.clone();
    // What was read already.
    let edit = move || edited.edit(PATH, "{\"time_ns\":10100,", "{\"time_ns\":90000,");
    disk.interrupt_reading(disk.bytes(PATH).len() / 2, edit);
    storage.rebuild_index().unwrap();
    assert_eq!(events(&storage.retrieve(Some(90_000), None, None).unwrap()), [100]);
    let report = storage.scan(Some(90_000), None, |_| ()).unwrap();
    assert!(report.bytes_passed_over > 0, "{report:?}");
}

/// The same in a file of the system.
#[test]
fn an_edit_by_another_program_is_noticed_by_the_time_of_the_file() {
    use std::os::unix::fs::FileExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.jsonl");
    let storage = FileStorage::open(&path).unwrap();
    storage.store(&of_events((0..10_000).map(|i| event(10_000 + i, i)))).unwrap();
    let asks = || storage.scan(Some(90_000), None, |_| ()).unwrap();
    assert!(asks().bytes_passed_over > 0);
    let whole = std::fs::read(&path).unwrap();
    let at = memchr::memmem::find(&whole, b"{\"time_ns\":11500,").unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(b"{\"time_ns\":90000,", at as u64).unwrap();
    // Its clock may go by ticks of some milliseconds.
    file.set_modified(std::time::SystemTime::now() + Duration::from_secs(1)).unwrap();
    assert_eq!((asks().records, asks().bytes_passed_over), (1, 0));
    storage.store(&of_events([event(5, 5)])).unwrap();
    assert_eq!(asks().records, 1);
    storage.rebuild_index().unwrap();
    assert!(asks().records == 1 && asks().bytes_passed_over > 0);
}

#[test]
fn an_index_that_lies_is_not_believed_whoever_wrote_it() {
    let disk = Forgetful::default();
    let storage = open(&disk, FileSettings::default());
    storage.store(&of_events((0..5000).map(|i| event(i, i)))).unwrap();
    drop(storage);
    let file = disk.read(Path::new(PATH)).unwrap();
    let whole = disk.bytes(PATH);
    // Blocks of any times that begin and end within lines, with entries that are sound by themselves.
    for (from, to) in [(0, 70_001), (40_000, 90_000), (33, whole.len() / 2)] {
        for times in [(0, u64::MAX), (1 << 50, 1 << 50)] {
            let mut block = index::Block::at(from as u64);
            block.add(to - from, times.0);
            block.max_ns = times.1;
            block.sample(&whole);
            let mut lies = index::head(&file.look().unwrap());
            block.put(&mut lies);
            disk.put(&format!("{PATH}.idx"), &lies);
            let mut visitor = Oldest::new(None);
            let there = disk.read(Path::new(&format!("{PATH}.idx"))).unwrap();
            let mut scan = Scan::new(&mut visitor, Span::of(None, None));
            scan.file(&*file, Some(&*there), whole.len() as u64).unwrap();
            assert_eq!(scan.report.bad_lines, 0, "{from}..{to}");
            assert_eq!(events(&visitor.finish()), (0..5000).collect::<Vec<_>>(), "{from}..{to} {times:?}");
        }
    }
}

#[test]
fn what_is_beside_an_index_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (path, neighbour) =
        (folder.path().join("telemetry.jsonl"), folder.path().join("telemetry.jsonl.new"));
    std::fs::write(&neighbour, "mine").unwrap();
    let storage = FileStorage::open(&path).unwrap();
    storage.store(&of_events([event(1, 1)])).unwrap();
    storage.rebuild_index().unwrap();
    assert_eq!(std::fs::read_to_string(&neighbour).unwrap(), "mine");
}

#[test]
fn a_limit_reads_no_further_than_the_index_says() {
    let disk = Forgetful::default();
    let storage = open(&disk, FileSettings::default());
    for batch in 0..200 {
        storage.store(&of_events((batch * 100..(batch + 1) * 100).map(|i| event(i, i)))).unwrap();
    }
    let mut oldest = Oldest::new(Some(10));
    let report = storage.scan_for(&mut oldest, Span::of(Some(500), None)).unwrap();
    assert_eq!(events(&oldest.finish()), (500..510).collect::<Vec<_>>());
    assert!(report.bytes_passed_over > report.bytes_read, "{report:?}");
}

/// A megabyte in which every other line is none of ours.
fn alternating(disk: &Forgetful, lines: u64) -> usize {
    let (mut bytes, mut bad) = (Vec::new(), 0);
    while bytes.len() < 1 << 20 {
        for _ in 0..lines {
            line::write_event(&event(bytes.len() as u64, bad), &mut bytes);
        }
        bytes.extend_from_slice(b"none of ours\n");
        bad += 1;
    }
    disk.put(PATH, &bytes);
    bad as usize
}

#[test]
fn an_index_of_bad_lines_is_rebuilt_in_constant_memory_and_is_small() {
    for (lines, has_entries) in [(1, false), (100, true)] {
        let disk = Forgetful::default();
        let bad = alternating(&disk, lines);
        let storage = open(&disk, FileSettings::default());
        storage.rebuild_index().unwrap();
        let most = crate::limits::SURVEY_BYTES + index::HEAD_BYTES + index::ENTRY_BYTES;
        assert!(disk.most_put() <= most, "{} bytes of entries at once", disk.most_put());
        let index = disk.bytes(&format!("{PATH}.idx")).len();
        assert!(index <= index::HEAD_BYTES + (1 << 20) / 50, "{index}");
        let report = storage.scan(Some(1 << 19), Some((1 << 19) + 1000), |_| ()).unwrap();
        assert!(report.records > 0 && report.bad_lines == bad as u64, "{report:?}");
        assert_eq!(report.bytes_passed_over > 1 << 19, has_entries, "{report:?}");
        assert_eq!(everything(&storage).len() as u64, bad as u64 * lines);
    }
}

#[test]
fn what_is_stored_while_an_index_is_rebuilt_does_not_wait_for_it() {
    let disk = Forgetful::default();
    let storage = Arc::new(open(&disk, FileSettings::default()));
    storage.store(&of_events((0..20_000).map(|i| event(i, i)))).unwrap();
    let (storing, (told, tell)) = (storage.clone(), std::sync::mpsc::channel::<()>());
    disk.interrupt_reading(disk.bytes(PATH).len() / 2, move || {
        let store = move || {
            storing.store(&of_events((20_000..30_000).map(|i| event(i, i)))).unwrap();
            told.send(()).unwrap();
        };
        std::thread::spawn(store);
        tell.recv_timeout(Duration::from_secs(30)).expect("stored while the index is rebuilt");
    });
    storage.rebuild_index().unwrap();
    assert_eq!(events(&everything(&storage)), (0..30_000).collect::<Vec<_>>());
    storage.store(&of_events((30_000..40_000).map(|i| event(i, i)))).unwrap();
    // What was written before, meanwhile and afterwards has entries.
    for first in [5000, 25_000, 39_000] {
        let report = storage.scan(Some(first), Some(first + 10), |_| ()).unwrap();
        assert!(
            report.records == 10 && report.bytes_read < 4 * INDEX_BLOCK_BYTES as u64,
            "{first} {report:?}"
        );
    }
}

/// What an index of an earlier version begins with.
fn old_head(version: char, of: Identity) -> Vec<u8> {
    let mut head = format!("ALDISIX{version}").into_bytes();
    head.extend_from_slice(&of.0.to_le_bytes());
    head.extend_from_slice(&of.1.to_le_bytes());
    let check = index::fnv1a(&head);
    head.extend_from_slice(&check.to_le_bytes());
    head
}

/// One who writes as earlier versions did, and one who does as this one does, one after the other and both with the file open: neither
/// believes the other's index, and each puts its own in the place once at most whenever it writes.
#[test]
fn writers_of_earlier_versions_and_their_indexes_hide_nothing() {
    let place = format!("{PATH}.idx");
    for version in ['1', '2'] {
        let disk = Forgetful::default();
        let open_all_the_time = open(&disk, FileSettings::default());
        for round in 0..10_u64 {
            let first = 10_000 * round;
            // The earlier version: lines, its own index where it finds none of its own, and an entry of all there is that says it is of
            // another time.
            let batch = of_events((first..first + 1000).map(|i| event(i, i)));
            let mut lines = Vec::new();
            batch.events.iter().for_each(|event| line::write_event(event, &mut lines));
            disk.append(Path::new(PATH)).unwrap().write(&lines).unwrap();
            let whole = disk.bytes(PATH);
            let head = old_head(version, disk.identity(Path::new(PATH)).unwrap());
            assert_eq!(head.len(), 32);
            if !disk.bytes(&place).starts_with(&head) {
                disk.replace(Path::new(&place), &head).unwrap();
            }
            let mut block = index::Block::at(0);
            for line in whole.split_inclusive(|byte| *byte == b'\n') {
                block.add(line.len(), 1 << 50);
            }
            block.sample(&whole);
            let mut entry = Vec::new();
            block.put(&mut entry);
            disk.append(Path::new(&place)).unwrap().write(&entry).unwrap();
            let begun = disk.begun();
            // Reading beside it, by one that has the file open and by one that opens it.
            let found = |storage: &FileStorage, from: u64| {
                events(&storage.retrieve(Some(from), Some(from + 1), None).unwrap())
            };
            assert_eq!(found(&open_all_the_time, first + 500), [first + 500]);
            if round % 2 == 0 {
                assert_eq!(found(&open(&disk, FileSettings::default()), first + 500), [first + 500]);
            }
            open_all_the_time.store(&of_events((first..first + 1000).map(|i| event(i + 2000, i)))).unwrap();
            assert!(disk.begun() <= begun + 2, "{} times", disk.begun() - begun);
            for earlier in 0..=round {
                assert_eq!(found(&open_all_the_time, 10_000 * earlier + 500), [10_000 * earlier + 500]);
                assert_eq!(found(&open_all_the_time, 10_000 * earlier + 2500), [10_000 * earlier + 500]);
            }
            // To the earlier version it is none of its own.
            assert!(!disk.bytes(&place).starts_with(&head));
        }
        open_all_the_time.rebuild_index().unwrap();
        assert!(open_all_the_time.scan(Some(90_500), None, |_| ()).unwrap().bytes_passed_over > 1 << 20);
    }
}

const REBUILDER: &str = "ALDIS_COLLECT_TEST_REBUILDER";

/// No test: what the next one starts, and kills.
#[test]
fn a_process_that_rebuilds_an_index() {
    let Ok(path) = std::env::var(REBUILDER) else { return };
    let storage = FileStorage::open(path).unwrap();
    loop {
        storage.rebuild_index().unwrap();
    }
}

/// What is begun in a folder to take the place of an index.
fn begun(folder: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "new")).collect()
}

#[test]
#[cfg(unix)]
fn what_a_killed_process_left_of_an_index_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.jsonl");
    let mut lines = Vec::new();
    (0..50_000).for_each(|i| line::write_event(&event(i, i), &mut lines));
    std::fs::write(&path, &lines).unwrap();
    let was_killed_over_it = || {
        let mut process = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "storage::file::tests::indexes::a_process_that_rebuilds_an_index"])
            .env(REBUILDER, &path)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        while begun(folder.path()).is_empty() && process.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        process.kill().unwrap();
        process.wait().unwrap();
        !begun(folder.path()).is_empty()
    };
    assert!((0..100).any(|_| was_killed_over_it()), "it was always killed between two");
    let left = begun(folder.path());
    let aged = |path: &Path, modified: std::time::SystemTime| {
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_modified(modified).unwrap();
    };
    // What is young may be of a process that this one does not see; and is young however long this one takes.
    let now = std::time::SystemTime::now();
    left.iter().for_each(|path| aged(path, now + Duration::from_secs(3600)));
    drop(FileStorage::open(&path).unwrap());
    assert_eq!(begun(folder.path()), left);
    // The first process lives, and so does this one, which has begun at least this file; another file's are that one's.
    System.replace(&folder.path().join("any"), b"").unwrap();
    let own = std::process::id();
    let stays = [
        "telemetry.jsonl.idx.1-0.new",
        &format!("telemetry.jsonl.idx.{own}-0.new"),
        "telemetry.jsonl.idx.-1-0.new",
        "telemetry.jsonl.idx.1.new",
        "other.jsonl.idx.99999999-0.new",
    ];
    let goes = [format!("telemetry.jsonl.idx.{own}-{}.new", u64::MAX)];
    let mut expected: Vec<PathBuf> = stays.iter().map(|name| folder.path().join(name)).collect();
    let others = goes.iter().map(|name| folder.path().join(name));
    for path in expected.iter().cloned().chain(others) {
        std::fs::write(path, "").unwrap();
    }
    begun(folder.path()).iter().for_each(|path| aged(path, now - Duration::from_secs(3600)));
    let storage = FileStorage::open(&path).unwrap();
    let mut there = begun(folder.path());
    there.sort();
    expected.sort();
    assert_eq!(there, expected);
    assert_eq!(everything(&storage).len(), 50_000);
}
