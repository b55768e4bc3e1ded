//! Cgroups of the real kernel.

use std::fs;

use aldis_host::{
    CgroupError, CgroupReader, Hierarchy, Metric, MetricSource, ProcReader, Slice, is_cgroup_v2_available,
    monotonic_ns,
};
use rustix::time::{ClockId, clock_gettime};

use crate::{
    processes::{Job, eventually},
    scratch::Scratch,
};

#[test]
fn version_2_is_available_where_it_is_mounted() {
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let mounted = mounts.lines().any(|line| line.split(' ').nth(2) == Some("cgroup2"));
    assert_eq!(is_cgroup_v2_available(), mounted);
}

/// Below the cgroup that the kernel says this process is in; nothing is made before there is a scope.
#[test]
fn the_slice_of_this_process_is_below_its_cgroup() {
    let own = Hierarchy::find().ok().and_then(|found| found.own().map(|own| own.join("aldis.slice")));
    match (Slice::of_this_process(), own) {
        (Ok(slice), Some(expected)) => assert_eq!(slice.path(), expected),
        (refused, None) => assert!(matches!(refused, Err(CgroupError::Unavailable)), "{refused:?}"),
        (refused, own) => panic!("{refused:?} for {own:?}"),
    }
}

#[test]
fn the_time_is_that_of_the_clock_that_never_jumps() {
    let of_kernel = || {
        let now = clock_gettime(ClockId::Monotonic);
        u64::try_from(now.tv_sec * 1_000_000_000 + now.tv_nsec).unwrap()
    };
    let (before, told, after) = (of_kernel(), monotonic_ns(), of_kernel());
    assert!(before <= told && told <= after, "{before} {told} {after}");
}

/// What is read is what the file says, to the microsecond, and no file is missing that the kernel has.
#[test]
fn cpu_time_is_that_of_the_kernels_file() {
    let Some(scratch) = Scratch::new("cpu_time_is_that_of_the_kernels_file") else { return };
    let mut reader = CgroupReader::open(scratch.path()).unwrap();
    assert_eq!(reader.path(), scratch.path());
    assert_eq!(reader.read().unwrap().cpu.usage_ns.get(), Some(0));
    let mut job = Job::shell("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done");
    scratch.take(job.pid());
    job.go();
    job.wait();
    let of_file = || {
        let file = fs::read_to_string(scratch.path().join("cpu.stat")).unwrap();
        ["usage_usec", "user_usec", "system_usec"].map(|key| {
            let line = file.lines().find(|line| line.split(' ').next() == Some(key)).unwrap();
            Some(line.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 1000)
        })
    };
    let mut stats = reader.read().unwrap();
    // The last moment of a process that has ended is accounted for a little later.
    eventually("both say the same", || {
        stats = reader.read().unwrap();
        [stats.cpu.usage_ns, stats.cpu.user_ns, stats.cpu.system_ns].map(Metric::get) == of_file()
    });
    assert!(stats.cpu.usage_ns.get() > Some(0) && stats.cpu.usage_ns.source() == MetricSource::Cgroup);
    assert_eq!(stats.memory.rss_bytes.get().is_some(), scratch.path().join("memory.stat").exists());
    assert_eq!(reader.faults(), 0, "{:?}", reader.last_fault());
}

#[test]
fn events_and_pressure_are_read() {
    let Some(scratch) = Scratch::new("events_and_pressure_are_read") else { return };
    let mut reader = CgroupReader::open(scratch.path()).unwrap();
    assert!(!reader.events().unwrap().unwrap().populated);
    let job = Job::shell("read forever");
    scratch.take(job.pid());
    assert!(reader.events().unwrap().unwrap().populated);
    let pressure = reader.pressure().unwrap();
    assert_eq!(pressure.cpu.is_some(), fs::read(scratch.path().join("cpu.pressure")).is_ok());
    assert_eq!(reader.faults(), 0, "{:?}", reader.last_fault());
}

#[test]
fn a_cgroup_that_somebody_removes_is_gone() {
    let Some(scratch) = Scratch::new("a_cgroup_that_somebody_removes_is_gone") else { return };
    let mut reader = CgroupReader::open(scratch.path()).unwrap();
    reader.read().unwrap();
    fs::remove_dir(scratch.path()).unwrap();
    assert!(matches!(reader.read(), Err(CgroupError::Gone { path }) if path == scratch.path()));
    assert!(matches!(reader.events(), Err(CgroupError::Gone { .. })));
    assert!(matches!(CgroupReader::open(scratch.path()), Err(CgroupError::Gone { .. })));
}

/// Where no controller tells of memory and I/O, the processes of the cgroup do, double-forked ones too.
#[test]
fn proc_completes_what_a_cgroup_lacks() {
    let Some(scratch) = Scratch::new("proc_completes_what_a_cgroup_lacks") else { return };
    let mut job = Job::shell("(sh -c 'read forever' <&3 & ) ; read forever <&3");
    scratch.take(job.pid());
    job.go();
    let (mut reader, mut members) =
        (CgroupReader::open(scratch.path()).unwrap(), ProcReader::of_scope(scratch.path()).unwrap());
    eventually("two processes live in it", || members.read().unwrap().pids.get() == Some(2));
    let of_cgroup = reader.read().unwrap();
    let both = of_cgroup.or(members.read().unwrap());
    assert_eq!(both.cpu, of_cgroup.cpu);
    assert!(both.memory.rss_bytes.get() > Some(0) && both.io.read_chars.get() > Some(0));
    assert_eq!(both.io.read_chars.source(), MetricSource::Proc);
    drop(job);
}

#[test]
fn the_root_of_the_hierarchy_can_be_read() {
    let Ok(hierarchy) = Hierarchy::find() else {
        eprintln!("skipped: the_root_of_the_hierarchy_can_be_read: no cgroup v2 hierarchy is mounted");
        return;
    };
    let mut reader = CgroupReader::open(hierarchy.mount()).unwrap();
    let _ = reader.read().unwrap();
    assert_eq!(reader.faults(), 0, "{:?}", reader.last_fault());
}
