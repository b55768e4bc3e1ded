//! What takes a kernel with every controller of cgroup v2, or a service manager: run in a virtual machine by `cargo xtask test machine`.
//!
//! The truth is that of the example `burden`, which does what it is told, and the kernel's own files.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod systemd;

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use aldis_host::{
    EpisodeId, EpisodeScope, Hierarchy, MetricSource, OsResourceLimits, Placement, Slice,
    create_episode_scope, remove_episode_scope,
};

/// Bytes in a MiB.
const MIB: u64 = 1 << 20;
/// What the kernel keeps for each process and for each open file of it, beside its memory: a stack, page tables, names. In bytes, for
/// the few processes of these tests.
const KERNEL_BYTES: u64 = 2 * MIB;

/// An example of this crate. Cargo builds them with the tests.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().join("examples").join(name)
}

/// A folder on a block device.
fn disk() -> PathBuf {
    std::env::var_os("ALDIS_DISK").expect("the machine's script says where its disk is").into()
}

fn scope(test: &str, limits: &OsResourceLimits) -> EpisodeScope {
    // Each test has a slice of its own; the root of the hierarchy may have processes and controllers at once.
    let slice = Slice::new(Hierarchy::find().unwrap().mount(), &format!("{test}.slice")).unwrap();
    let scope = create_episode_scope(&slice, EpisodeId::random().unwrap(), limits).unwrap();
    assert!(scope.missing_controllers().is_empty(), "{:?}", scope.missing_controllers());
    assert!(scope.unset_limits().is_empty(), "{:?}", scope.unset_limits());
    scope
}

fn burden(scope: &EpisodeScope, words: &str) -> Command {
    let mut command = Placement::through(&example("episode"), scope).command(example("burden"));
    command.args(words.split_whitespace()).arg("--folder").arg(disk()).stdin(Stdio::null());
    command
}

fn file(scope: &EpisodeScope, name: &str) -> String {
    fs::read_to_string(scope.path().join(name)).unwrap()
}

/// A number of a file with a name on each line.
fn number(scope: &EpisodeScope, name: &str, key: &str) -> u64 {
    let text = file(scope, name);
    let line =
        text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_else(|| panic!("{name}: {text}"));
    line.trim().parse().unwrap()
}

/// Every metric that a cgroup has comes from it, and is what the kernel's file says.
#[test]
fn everything_is_the_kernels_account() {
    let scope = scope("everything", &OsResourceLimits::default());
    let output =
        burden(&scope, "--cpu 300 --orphans 1 --short 2 --anon 24 --write 3 --direct 5").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut reader = scope.reader().unwrap();
    let read = reader.read().unwrap();
    for (name, metric) in read.metrics() {
        let expected = if name.ends_with("chars") { MetricSource::Unavailable } else { MetricSource::Cgroup };
        assert_eq!(metric.source(), expected, "{name}");
    }
    assert_eq!(read.cpu.usage_ns.get(), Some(number(&scope, "cpu.stat", "usage_usec ") * 1000));
    assert_eq!(read.memory.peak_bytes.get(), Some(file(&scope, "memory.peak").trim().parse().unwrap()));
    assert_eq!(read.pids.get(), Some(0));
    // This kernel counts in ticks of 10 ms, for each of five processes; time in which the machine itself does not run is counted too.
    let cpu_ms = read.cpu.usage_ns.get().unwrap() / 1_000_000;
    assert!(cpu_ms >= 560, "{cpu_ms} ms of 610");
    let peak = read.memory.peak_bytes.get().unwrap();
    // The cache is in it: of what was written, and of programs.
    assert!((24 * MIB..40 * MIB).contains(&peak), "{peak}");
    let written = read.io.write_bytes.get().unwrap();
    assert!((8 * MIB..8 * MIB + MIB).contains(&written), "{written} bytes of 8 MiB");
    assert_eq!(reader.faults(), 0, "{:?}", reader.last_fault());
    remove_episode_scope(&scope).unwrap();
}

/// What goes past the cache is counted to the byte.
#[test]
fn direct_writes_are_exact() {
    let scope = scope("direct", &OsResourceLimits::default());
    assert!(burden(&scope, "--direct 7").status().unwrap().success());
    let written = scope.reader().unwrap().read().unwrap().io.write_bytes.get();
    assert_eq!(written, Some(7 * MIB));
    remove_episode_scope(&scope).unwrap();
}

/// Memory while it is held, and that the peak stays.
#[test]
fn memory_is_anonymous_memory_and_its_peak() {
    let scope = scope("memory", &OsResourceLimits::default());
    let mut reader = scope.reader().unwrap();
    let mut child = burden(&scope, "--anon 48 --hold 100000").spawn().unwrap();
    let mut held = 0;
    while held < 48 * MIB {
        held = reader.read().unwrap().memory.rss_bytes.get().unwrap();
        assert_eq!(child.try_wait().unwrap(), None);
    }
    assert!(held < 48 * MIB + KERNEL_BYTES, "{held}");
    child.kill().unwrap();
    child.wait().unwrap();
    scope.kill().unwrap();
    while scope.is_populated().unwrap() {}
    let after = reader.read().unwrap().memory;
    assert!(after.peak_bytes.get().unwrap() >= held);
    assert!(after.rss_bytes.get().unwrap() < KERNEL_BYTES, "{after:?}");
    remove_episode_scope(&scope).unwrap();
}

/// Whoever takes more than the limit is killed by the kernel, and nobody else.
#[test]
fn memory_beyond_the_limit_is_an_end() {
    let limits = OsResourceLimits { memory_max_bytes: Some(24 * MIB), ..OsResourceLimits::default() };
    let scope = scope("oom", &limits);
    let status = burden(&scope, "--anon 64").status().unwrap();
    assert_eq!(status.signal(), Some(9), "{status:?}");
    assert_eq!(number(&scope, "memory.events", "oom_kill "), 1);
    let peak = scope.reader().unwrap().read().unwrap().memory.peak_bytes.get().unwrap();
    assert!((20 * MIB..=24 * MIB).contains(&peak), "{peak}");
    remove_episode_scope(&scope).unwrap();
}

#[test]
fn tasks_beyond_the_limit_are_not_made() {
    let scope = scope("pids", &OsResourceLimits { pids_max: Some(4), ..OsResourceLimits::default() });
    // Whoever holds the pipe keeps us waiting.
    let script = "for i in 1 2 3 4 5; do sleep 1000 > /dev/null 2>&1 & done";
    let mut command = Placement::through(&example("episode"), &scope).command("sh");
    let output = command.args(["-c", script]).output().unwrap();
    assert!(!output.status.success() && !output.stderr.is_empty(), "{output:?}");
    // The shell has ended; three of its children live on.
    let mut reader = scope.reader().unwrap();
    assert_eq!(reader.read().unwrap().pids.get(), Some(3));
    remove_episode_scope(&scope).unwrap();
}

/// A tenth of a CPU, and no more.
#[test]
fn a_share_of_a_cpu_is_held() {
    let scope = scope("cpu", &OsResourceLimits { cpu_millis: Some(100), ..OsResourceLimits::default() });
    assert!(burden(&scope, "--cpu 100").status().unwrap().success());
    assert!(number(&scope, "cpu.stat", "nr_throttled ") > 0);
    remove_episode_scope(&scope).unwrap();
}
