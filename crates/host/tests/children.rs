//! What concerns all children of a process: their orphans, and what they had used when they were waited for.
//!
//! A binary of its own, one test after the other, because any other child of the process would be counted too.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use aldis_host::{
    ChildrenUsage, EndReason, EpisodeId, ProcReader, TelemetryCollector, TelemetryPolicy, TreeSubject, Watch,
    monotonic_ns,
};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < Duration::from_secs(30), "not within half a minute: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn orphans_that_nobody_saw_are_adopted_counted_and_waited_for() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut stranger = Command::new("sleep").arg("1000").spawn().unwrap();
    // It starts a child that starts one, and lets both of them go before anybody looks.
    let script = "exec 3<&0; read go; (sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; read end' <&3 >&2 & ); echo gone; read end";
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut root = shell.spawn().unwrap();
    let mut reader = ProcReader::of_tree(root.id()).unwrap().adopting_orphans().unwrap();
    root.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    let mut said = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(root.stdout.take().unwrap()), &mut said)
        .unwrap();
    assert_eq!(said, "gone\n");
    eventually("root and orphan", || reader.read().unwrap().pids.get() == Some(2));
    let found: Vec<u32> = reader.processes().map(|process| process.pid).collect();
    assert!(!found.contains(&stranger.id()), "a child that was there before is none of them");
    let orphan = found.into_iter().find(|pid| *pid != root.id()).unwrap();
    eventually("it has used a tick", || reader.read().unwrap().cpu.usage_ns.get() > Some(0));
    let used = reader.read().unwrap().cpu.usage_ns.get();
    let pid = rustix::process::Pid::from_raw(i32::try_from(orphan).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    eventually("nothing is left of it", || {
        let stats = reader.read().unwrap();
        assert!(stats.cpu.usage_ns.get() >= used, "what it used stays");
        stats.pids.get() == Some(1) && fs::metadata(format!("/proc/{orphan}")).is_err()
    });
    for child in [&mut root, &mut stranger] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// A job of a few milliseconds, over before `/proc` counts a tick of it: its terminal frame has what it used, to the microsecond.
#[test]
fn the_terminal_frame_has_what_a_short_job_used() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let before = ChildrenUsage::now().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "read go; i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done"]).stdin(Stdio::piped());
    let mut child = shell.spawn().unwrap();
    let collector = TelemetryCollector::new(TelemetryPolicy::default()).unwrap();
    let reader = ProcReader::of_tree(child.id()).unwrap();
    let watch = Watch::new(EpisodeId::from_u128(1), child.id(), TreeSubject::new(reader));
    let handle = collector.start(watch, monotonic_ns()).unwrap();
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    assert!(child.wait().unwrap().success());
    let used = ChildrenUsage::now().unwrap().since(&before);
    collector.finish(&handle, EndReason::Completed, Some(used), monotonic_ns());
    let last = handle.frames().pop().unwrap();
    assert!(last.o11y_flags.terminal && last.o11y_flags.degraded);
    assert_eq!(last.cpu_ns, used.user_ns + used.system_ns);
    assert_eq!((last.cpu_user_ns, last.cpu_system_ns), (used.user_ns, used.system_ns));
    assert!(last.cpu_ns > 0 && last.mem_peak_bytes > 0);
}
