//! Directories like those of the kernel, and what readers make of them.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use aldis_host::{
    CgroupError, CgroupReader, Fault, ProcError, ProcReader,
    limits::{MAX_CGROUP_PATH_LEN, MAX_PROCS_FILE_SIZE, MAX_TELEMETRY_FILE_SIZE},
};

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

fn rendered(reader: &mut CgroupReader) -> String {
    let mut text = reader.read().unwrap().to_string();
    writeln!(text, "faults {}", reader.faults()).unwrap();
    if let Some(fault) = reader.last_fault() {
        writeln!(text, "last fault: {fault}").unwrap();
    }
    text
}

/// Every directory below `testdata/cgroups` is read as the file `.expected` beside it says.
#[test]
fn a_cgroup_says_what_its_files_say() {
    let mut cases = 0;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/cgroups")).unwrap() {
        let directory = entry.unwrap().path();
        if directory.is_dir() {
            let expected = fs::read_to_string(directory.with_extension("expected")).unwrap();
            let mut reader = CgroupReader::open(&directory).unwrap();
            assert_eq!(rendered(&mut reader), expected, "{}", directory.display());
            cases += 1;
        }
    }
    assert_eq!(cases, 4);
}

#[test]
fn pressure_and_events_are_there_or_not() {
    let mut full = CgroupReader::open(&testdata("cgroups/full")).unwrap();
    let pressure = full.pressure().unwrap();
    assert_eq!(pressure.cpu.unwrap().some.avg10, 150);
    assert_eq!((pressure.memory, pressure.io), (None, None));
    assert!(full.events().unwrap().unwrap().populated);
    let mut bare = CgroupReader::open(&testdata("cgroups/bare")).unwrap();
    assert_eq!(bare.pressure().unwrap(), Default::default());
    assert_eq!(bare.faults(), 0, "what is not there is no fault");
}

/// INV-TL05: a file is read up to `MAX_TELEMETRY_FILE_SIZE` bytes, and refused beyond.
#[test]
fn inv_tl05_a_file_beyond_the_bound_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let stat = "usage_usec 3\nuser_usec 2\nsystem_usec 1\n";
    let with_bytes = |bytes: usize| {
        let padded = format!("{stat}{}", "x".repeat(bytes - stat.len()));
        fs::write(folder.path().join("cpu.stat"), padded).unwrap();
        let mut reader = CgroupReader::open(folder.path()).unwrap();
        let used = reader.read().unwrap().cpu.usage_ns.get();
        (used, reader.faults(), reader.last_fault().map(|Fault { file, .. }| file))
    };
    assert_eq!(with_bytes(MAX_TELEMETRY_FILE_SIZE), (Some(3000), 0, None));
    assert_eq!(with_bytes(MAX_TELEMETRY_FILE_SIZE + 1), (None, 1, Some("cpu.stat")));
    assert_eq!(with_bytes(4 * MAX_TELEMETRY_FILE_SIZE), (None, 1, Some("cpu.stat")));
}

/// INV-TL04: the path of a cgroup has at most `MAX_CGROUP_PATH_LEN` bytes.
#[test]
fn inv_tl04_a_path_beyond_the_bound_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut path = folder.path().to_path_buf();
    while path.as_os_str().len() + 101 < MAX_CGROUP_PATH_LEN {
        path.push("d".repeat(100));
    }
    path.push("d".repeat(MAX_CGROUP_PATH_LEN - path.as_os_str().len() - 1));
    fs::create_dir_all(&path).unwrap();
    assert_eq!(path.as_os_str().len(), MAX_CGROUP_PATH_LEN);
    CgroupReader::open(&path).unwrap();
    // Short enough for the kernel, so that the refusal is ours.
    let longer = path.with_file_name(format!("{}x", path.file_name().unwrap().to_str().unwrap()));
    fs::create_dir_all(&longer).unwrap();
    let refused = CgroupReader::open(&longer).unwrap_err();
    assert!(
        matches!(refused, CgroupError::PathTooLong { bytes } if bytes == MAX_CGROUP_PATH_LEN + 1),
        "{refused}"
    );
}

#[test]
fn a_path_that_leads_up_or_nowhere_is_refused() {
    for (path, part) in [
        ("sys/fs/cgroup", "absolute"),
        ("", "absolute"),
        ("/sys/fs/cgroup/../../../etc", "lead up"),
        ("/tmp/a\0b", "zero byte"),
        ("/nowhere/at/all", "no such cgroup"),
        ("/etc/passwd", "Not a directory"),
    ] {
        let refused = CgroupReader::open(Path::new(path)).unwrap_err().to_string();
        assert!(refused.contains(part), "{path}: {refused}");
    }
}

/// A file of a cgroup is none that leads elsewhere.
#[test]
fn a_link_in_place_of_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(testdata("cgroups/full/cpu.stat"), folder.path().join("cpu.stat")).unwrap();
    assert!(matches!(CgroupReader::open(folder.path()), Err(CgroupError::Io { .. })));
}

/// `testdata/proc`: 100 has the child 101, which has 200, a zombie; 201 is a stranger, and 300 is older than its parent, which therefore is
/// none. Of 200 there is no `io`, as if it had ended in between.
#[test]
fn a_tree_is_its_processes() {
    let tick_ns = 1_000_000_000 / rustix::param::clock_ticks_per_second();
    let page = rustix::param::page_size() as u64;
    let mut reader = ProcReader::at(&testdata("proc"), 100).unwrap();
    let stats = reader.read().unwrap();
    let found: Vec<u32> = reader.processes().map(|process| process.pid).collect();
    assert_eq!(found, [100, 101, 200], "of those in {:?}", fs::read_dir(testdata("proc")).unwrap().count());
    assert_eq!(stats.cpu.user_ns.get(), Some((10 + 20 + 3 + 1) * tick_ns));
    assert_eq!(stats.cpu.system_ns.get(), Some((5 + 2 + 1) * tick_ns));
    assert_eq!(stats.cpu.usage_ns.get(), Some(42 * tick_ns));
    assert_eq!(stats.memory.rss_bytes.get(), Some(2 * 10 * page));
    assert_eq!(stats.memory.current_bytes.get(), Some(2 * 30 * page));
    assert_eq!(stats.io.read_bytes.get(), Some(2 * 4096));
    assert_eq!(stats.io.write_bytes.get(), Some(2 * 8192));
    assert_eq!((stats.io.read_chars.get(), stats.io.write_chars.get()), (Some(2), Some(2 * 2)));
    assert_eq!(stats.memory.peak_bytes.get(), stats.memory.current_bytes.get(), "of one look");
    assert_eq!(stats.pids.get(), Some(2), "a zombie has ended");
}

#[test]
fn a_process_that_is_not_there_is_gone() {
    let gone = ProcReader::at(&testdata("proc"), 999).unwrap_err();
    assert!(matches!(gone, ProcError::Gone { pid: 999 }), "{gone}");
    assert!(matches!(ProcReader::at(Path::new("/nowhere"), 1), Err(ProcError::Unavailable { .. })));
    assert!(matches!(ProcReader::of_scope(Path::new("a/b")), Err(ProcError::Cgroup(_))));
}

/// A list of processes is read up to `MAX_PROCS_FILE_SIZE` bytes: half a list would be a wrong sum.
#[test]
fn a_list_of_too_many_processes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let with_bytes = |bytes: usize| {
        // A number that no process has, and empty lines.
        let list = format!("{}{}", u32::MAX, "\n".repeat(bytes - 10));
        fs::write(folder.path().join("cgroup.procs"), list).unwrap();
        ProcReader::of_scope(folder.path()).unwrap().read().map(|stats| stats.pids.get())
    };
    assert_eq!(with_bytes(MAX_PROCS_FILE_SIZE).unwrap(), Some(0));
    let refused = with_bytes(MAX_PROCS_FILE_SIZE + 1);
    assert!(matches!(refused, Err(ProcError::TooMany)), "{refused:?}");
}

/// A process that vanishes between two readings, then one that has its number.
#[test]
fn a_vanished_process_leaves_what_it_used_and_its_number() {
    let tick_ns = 1_000_000_000 / rustix::param::clock_ticks_per_second();
    let folder = tempfile::tempdir().unwrap();
    let write = |pid: u32, parent: u32, ticks: u64, start: u64| {
        let directory = folder.path().join(pid.to_string());
        fs::create_dir_all(&directory).unwrap();
        let stat = format!("{pid} (x) S {parent} 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 1 0 {start} 0 0\n");
        fs::write(directory.join("stat"), stat).unwrap();
    };
    let ticks = |reader: &mut ProcReader| reader.read().unwrap().cpu.usage_ns.get().unwrap() / tick_ns;
    write(10, 1, 1, 100);
    write(11, 10, 40, 101);
    let mut reader = ProcReader::at(folder.path(), 10).unwrap();
    assert_eq!(ticks(&mut reader), 41);
    fs::remove_dir_all(folder.path().join("11")).unwrap();
    assert_eq!(ticks(&mut reader), 41, "nobody waited for it, so that it is kept here");
    write(11, 1, 900, 500);
    assert_eq!(ticks(&mut reader), 41, "another process with the number of one that was a child");
    write(10, 1, 900, 501);
    let stats = reader.read().unwrap();
    assert_eq!(stats.cpu.usage_ns.get(), Some(41 * tick_ns), "another process with the number of the first");
    assert_eq!(stats.pids.get(), Some(0));
}
