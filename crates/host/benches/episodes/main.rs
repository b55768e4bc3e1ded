//! What it costs to watch episodes, and how far they get beyond their budgets.
//!
//! `cargo bench -p aldis-host [-- RUNS]`, as root, where cgroups (version 2) can be made. Times are CPU times, as the kernel counts them. A
//! sample is measured in turns with its floor: `pread(2)` of the same open files into one buffer, and nothing more. What watches runs in a
//! process of its own, so that the memory is its own too.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement that cannot go on should panic")]

mod anatomy;

use std::{
    env,
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use aldis_host::{
    Budget, CgroupReader, EndReason, EpisodeId, EpisodeScope, OsResourceLimits, Placement, PressureStats,
    ProcReader, PromoteTriggers, Sample, Sampler, ScopeSubject, Slice, Subject, TelemetryError,
    TelemetryHandle, TelemetryPolicy, TreeSubject, Watch, create_episode_scope, enter_if_asked, monotonic_ns,
    new_shared_collector, remove_episode_scope,
};
use anatomy::{Calls, Parts, Timed};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Runs with a budget, of each kind, unless the command line says.
const RUNS: usize = 200;
/// Rounds of samples, in turns with their floor, and samples in each.
const ROUNDS: usize = 60;
const SAMPLES: u32 = 500;
/// How long what watches is looked at.
const WATCHED: Duration = Duration::from_secs(6);

fn main() {
    enter_if_asked();
    let words: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    match words.first().map(String::as_str) {
        Some("watch") => return watch(&words[1], words[2].parse().unwrap(), words[3].parse().unwrap()),
        Some("samples") => return samples(),
        Some("budgets") => return budgets(words.get(1).map_or(RUNS, |runs| runs.parse().unwrap())),
        Some("anatomy") => return anatomies(words.get(1).map_or(RUNS, |runs| runs.parse().unwrap())),
        Some("watching") => return watching(),
        Some("starts") => return starts(),
        _ => {}
    }
    starts();
    samples();
    watching();
    budgets(words.first().and_then(|runs| runs.parse().ok()).unwrap_or(RUNS));
}

fn ns(clock: ClockId) -> u64 {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
    u64::try_from(tv_sec).unwrap() * 1_000_000_000 + u64::try_from(tv_nsec).unwrap()
}

fn scope() -> EpisodeScope {
    let slice = Slice::of_this_process().unwrap();
    create_episode_scope(&slice, EpisodeId::random().unwrap(), &OsResourceLimits::default()).unwrap()
}

fn asleep(scope: &EpisodeScope) -> Child {
    Placement::of(scope).unwrap().command("sleep").arg("1000").spawn().unwrap()
}

/// A command from its start to its end, made in its cgroup by the kernel and led there by the entry, which is this program: in turns.
fn starts() {
    let scope = scope();
    let placement = Placement::of(&scope).unwrap();
    let timed = |run: &dyn Fn() -> ExitStatus| {
        let begun = Instant::now();
        assert!(run().success());
        begun.elapsed().as_secs_f64() * 1e3
    };
    let ways: [(&str, &dyn Fn() -> ExitStatus); 3] = [
        ("/bin/true, without a cgroup", &|| Command::new("/bin/true").status().unwrap()),
        ("made in its cgroup", &|| placement.start(&["/bin/true"], &[]).unwrap().wait().unwrap()),
        ("led there by the entry", &|| placement.command("/bin/true").status().unwrap()),
    ];
    let mut all = [const { Vec::new() }; 3];
    for _ in 0..RUNS {
        for ((_, run), times) in ways.iter().zip(&mut all) {
            times.push(timed(run));
        }
    }
    println!("Starting a command in a cgroup: milliseconds of wall time, {RUNS} runs of each in turns\n");
    println!("{:52} {:>8} {:>8} {:>8}", "", "p50", "p90", "p99");
    for ((name, _), times) in ways.iter().zip(&mut all) {
        times.sort_by(f64::total_cmp);
        let [p50, p90, p99] = [50, 90, 99].map(|percent| percentile(times, percent));
        println!("{name:52} {p50:8.2} {p90:8.2} {p99:8.2}");
    }
    println!();
    remove_episode_scope(&scope).unwrap();
}

fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent).div_ceil(100).clamp(1, sorted.len()) - 1]
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    percentile(values, 50)
}

/// Microseconds of CPU time of one call, by the median of rounds, and of its floor.
fn in_turns(name: &str, files: &[PathBuf], mut call: impl FnMut()) {
    let opened: Vec<File> = files.iter().map(|path| File::open(path).unwrap()).collect();
    let mut buffer = vec![0; 64 << 10];
    let mut floor = || {
        for file in &opened {
            // A process of the list may have ended.
            let _ = std::hint::black_box(file.read_at(&mut buffer, 0));
        }
    };
    let timed = |call: &mut dyn FnMut()| {
        let began = ns(ClockId::ThreadCPUTime);
        (0..SAMPLES).for_each(|_| call());
        (ns(ClockId::ThreadCPUTime) - began) as f64 / f64::from(SAMPLES) / 1000.0
    };
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        floors.push(timed(&mut floor));
        ours.push(timed(&mut call));
    }
    let (ours, floor) = (median(&mut ours), median(&mut floors));
    println!("{name:<52}{:>6}{ours:>9.2}{floor:>9.2}{:>9.2}", files.len(), ours - floor);
}

fn samples() {
    println!("One sample: microseconds of CPU time, median of {ROUNDS} rounds of {SAMPLES}, in turns\n");
    println!("{:<52}{:>6}{:>9}{:>9}{:>9}", "", "files", "sample", "floor", "added");
    let scope = scope();
    let files = |folder: &Path, names: &[&str]| -> Vec<PathBuf> {
        names.iter().map(|name| folder.join(name)).filter(|path| path.exists()).collect()
    };
    let told = ["cpu.stat", "memory.current", "memory.peak", "memory.stat", "io.stat", "pids.current"];
    let pressure = ["cpu.pressure", "memory.pressure", "io.pressure"];
    let mut reader = scope.reader().unwrap();
    let of_kernel = files(scope.path(), &told);
    in_turns("a cgroup, what its controllers tell", &of_kernel, || {
        reader.read().unwrap();
    });
    let with_pressure: Vec<PathBuf> =
        of_kernel.iter().cloned().chain(files(scope.path(), &pressure)).collect();
    in_turns("a cgroup, and its pressure", &with_pressure, || {
        reader.read().unwrap();
        reader.pressure().unwrap();
    });
    // Texts of a kernel with all controllers, in memory: what taking them apart costs.
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/cgroups/full");
    let mut reader = CgroupReader::open(&full).unwrap();
    in_turns("texts of a cgroup with all controllers", &files(&full, &told), || {
        reader.read().unwrap();
    });
    let mut child = asleep(&scope);
    let of_child = files(Path::new(&format!("/proc/{}", child.id())), &["stat", "statm", "io"]);
    let mut members = ProcReader::of_scope(scope.path()).unwrap();
    let of_members: Vec<PathBuf> =
        of_child.iter().cloned().chain([scope.path().join("cgroup.procs")]).collect();
    in_turns("one process of a cgroup, of /proc", &of_members, || {
        members.read().unwrap();
    });
    let mut tree = ProcReader::of_tree(child.id()).unwrap();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let all: Vec<PathBuf> = processes
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok()))
        .map(|entry| entry.path().join("stat"))
        .collect();
    let all = all.into_iter().filter(|path| File::open(path).is_ok()).collect::<Vec<_>>();
    in_turns("a tree of one process, of /proc", &all, || {
        tree.read().unwrap();
    });
    child.kill().unwrap();
    child.wait().unwrap();
    remove_episode_scope(&scope).unwrap();
}

/// Only what the cgroup tells: what a machine on which all controllers are there costs, but for their files. With its pressure each time, or
/// when it is asked for.
struct CgroupAlone(CgroupReader, bool);

impl Subject for CgroupAlone {
    fn sample(&mut self, with_pressure: bool) -> Result<Sample, TelemetryError> {
        let pressure = if self.1 || with_pressure { self.0.pressure()? } else { PressureStats::default() };
        Ok(Sample { stats: self.0.read()?, pressure })
    }

    fn freeze(&mut self) -> Result<(), TelemetryError> {
        Ok(())
    }

    fn kill(&mut self) -> Result<(), TelemetryError> {
        Ok(())
    }
}

fn watching() {
    println!("\nWatching for {} s: percent of a core, and the memory of all\n", WATCHED.as_secs());
    println!("{:<52}{:>9}{:>9}{:>9}{:>9}", "", "frames", "% core", "us each", "MiB");
    for (name, kind, episodes, period_ms) in [
        ("100 episodes, 10 Hz, four files of the cgroup", "cgroup", 100, 100),
        ("  the same files, by a thread that only sleeps", "floor", 100, 100),
        ("  a thread that only sleeps", "sleep", 100, 100),
        ("100 episodes, 10 Hz, CPU time, pressure as it changes", "asked", 100, 100),
        ("100 episodes, 10 Hz, cgroup and /proc", "scope", 100, 100),
        ("1 episode, 1 kHz, four files of the cgroup", "cgroup", 1, 1),
        ("  the same files, by a thread that only sleeps", "floor", 1, 1),
        ("  a thread that only sleeps", "sleep", 1, 1),
        ("1 episode, 1 kHz, CPU time, pressure as it changes", "asked", 1, 1),
        ("1 episode, 1 kHz, cgroup and /proc", "scope", 1, 1),
        ("1 episode, 10 Hz, a tree, of /proc", "tree", 1, 100),
    ] {
        let own = env::current_exe().unwrap();
        let words = ["watch".to_owned(), kind.to_owned(), episodes.to_string(), period_ms.to_string()];
        let said = Command::new(own).args(words).stderr(Stdio::inherit()).output().unwrap();
        print!("{name:<52}{}", String::from_utf8(said.stdout).unwrap());
    }
}

/// What no sampler can do without: to wake up, and to read.
fn floor(episodes: usize, period_ms: u64, names: &[&str]) {
    let scopes: Vec<EpisodeScope> = (0..episodes).map(|_| scope()).collect();
    let paths = scopes.iter().flat_map(|scope| names.iter().map(|name| scope.path().join(name)));
    let files: Vec<File> = paths.map(|path| File::open(path).unwrap()).collect();
    let mut buffer = vec![0; 64 << 10];
    let (cpu, began) = (ns(ClockId::ProcessCPUTime), monotonic_ns());
    let mut seen = 0;
    while monotonic_ns() < began + u64::try_from(WATCHED.as_nanos()).unwrap() {
        thread::sleep(Duration::from_millis(period_ms));
        files.iter().for_each(|file| _ = std::hint::black_box(file.read_at(&mut buffer, 0).unwrap()));
        seen += episodes;
    }
    let cpu = (ns(ClockId::ProcessCPUTime) - cpu) as f64;
    let wall = (monotonic_ns() - began) as f64;
    println!("{seen:>9}{:>9.2}{:>9.2}", cpu / wall * 100.0, cpu / 1000.0 / seen as f64);
    scopes.iter().for_each(|scope| remove_episode_scope(scope).unwrap());
}

fn watch(kind: &str, episodes: usize, period_ms: u64) {
    let four = ["cpu.stat", "cpu.pressure", "memory.pressure", "io.pressure"];
    match kind {
        "floor" => return floor(episodes, period_ms, &four),
        "sleep" => return floor(episodes, period_ms, &[]),
        _ => {}
    }
    let triggers =
        PromoteTriggers { pressure_percent: (kind == "asked").then_some(90), ..PromoteTriggers::default() };
    let policy = TelemetryPolicy::builder().sample_period_ms(period_ms).promote_triggers(triggers);
    let policy = policy.build().unwrap();
    let collector = new_shared_collector(policy).unwrap();
    let sampler = Sampler::spawn(Arc::clone(&collector)).unwrap();
    let mut jobs = Vec::new();
    for _ in 0..episodes {
        let scope = Arc::new(scope());
        let child = asleep(&scope);
        jobs.push((scope, child));
    }
    let handles: Vec<TelemetryHandle> = jobs
        .iter()
        .map(|(scope, child)| {
            let (id, pid) = (scope.id(), child.id());
            let watch = match kind {
                "cgroup" | "asked" => {
                    Watch::new(id, pid, CgroupAlone(scope.reader().unwrap(), kind == "cgroup"))
                }
                "tree" => Watch::new(id, pid, TreeSubject::new(ProcReader::of_tree(pid).unwrap())),
                _ => Watch::new(id, pid, ScopeSubject::new(Arc::clone(scope)).unwrap()),
            };
            collector.start(watch, monotonic_ns()).unwrap()
        })
        .collect();
    let frames = || handles.iter().map(TelemetryHandle::seq).sum::<u64>();
    thread::sleep(Duration::from_secs(1));
    let (seen, cpu, wall) = (frames(), ns(ClockId::ProcessCPUTime), monotonic_ns());
    thread::sleep(WATCHED);
    let cpu = (ns(ClockId::ProcessCPUTime) - cpu) as f64;
    let (seen, wall) = (frames() - seen, (monotonic_ns() - wall) as f64);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: f64 = resident.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    println!("{seen:>9}{:>9.2}{:>9.2}{:>9.1}", cpu / wall * 100.0, cpu / 1000.0 / seen as f64, kib / 1024.0);
    drop(sampler);
    for (scope, mut child) in jobs {
        remove_episode_scope(&scope).unwrap();
        child.wait().unwrap();
    }
}

fn budgets(runs: usize) {
    let cpus = thread::available_parallelism().unwrap().get();
    println!(
        "\nBeyond a budget of CPU time, on {cpus} CPUs: milliseconds, of all and for each CPU; {runs} runs\n"
    );
    println!("{:<52}{:>9}{:>9}{:>9}{:>9}{:>11}", "", "p50", "p90", "p99", "most", "p99 / CPU");
    for (name, kind, burners) in [
        ("a cgroup, one process burns", "scope", 1),
        ("a cgroup, one for each CPU burns", "scope", cpus),
        ("a tree, one process burns", "tree", 1),
        ("a tree, one for each CPU burns", "tree", cpus),
    ] {
        let runs: Vec<[f64; 2]> =
            (0..runs).map(|run| overshoot(kind, burners, 20 + run as u64 % 50).0).collect();
        for (when, at) in [("when it is ended", 0), ("when nothing lives", 1)] {
            let mut over: Vec<f64> = runs.iter().map(|run| run[at]).collect();
            over.sort_by(f64::total_cmp);
            let [p50, p90, p99] = [50, 90, 99].map(|percent| percentile(&over, percent));
            let (most, each) = (over[over.len() - 1], p99 / burners as f64);
            println!(
                "{:<52}{p50:>9.2}{p90:>9.2}{p99:>9.2}{most:>9.2}{each:>11.2}",
                format!("{name}, {when}")
            );
        }
    }
}

/// Milliseconds of CPU time that a job has used beyond its budget: as told when it is stopped, and when nothing of it lives any more, by the kernel's own account of a cgroup,
/// in which the tree is too, unknown to who watches it.
fn overshoot(kind: &str, burners: usize, budget_ms: u64) -> ([f64; 2], Vec<anatomy::Call>) {
    let calls = Calls::default();
    let collector = new_shared_collector(TelemetryPolicy::default()).unwrap();
    let _sampler = Sampler::spawn(Arc::clone(&collector)).unwrap();
    let burn = "while :; do :; done";
    let script = format!("{}{burn}", format!("{burn} & ").repeat(burners - 1));
    let budget = Budget { cpu_ms: Some(budget_ms), ..Budget::default() };
    let scope = Arc::new(scope());
    let mut child = Placement::of(&scope).unwrap().command("sh").args(["-c", &script]).spawn().unwrap();
    let id = scope.id();
    let watch = match kind {
        "tree" => {
            let subject = TreeSubject::new(ProcReader::of_tree(child.id()).unwrap());
            Watch::new(id, child.id(), Timed { subject, calls: Arc::clone(&calls) })
        }
        _ => {
            let subject = ScopeSubject::new(Arc::clone(&scope)).unwrap();
            Watch::new(id, child.id(), Timed { subject, calls: Arc::clone(&calls) })
        }
    };
    let handle = collector.start(watch.budget(budget), monotonic_ns()).unwrap();
    child.wait().unwrap();
    while handle.ended().is_none() || scope.is_populated().unwrap() {
        thread::sleep(Duration::from_millis(1));
    }
    let Some(EndReason::BudgetExhausted(found)) = handle.ended() else { panic!("{:?}", handle.ended()) };
    // A cgroup is here also of a tree, which does not know of it: the truth of both.
    let used = scope.reader().unwrap().read().unwrap().cpu.usage_ns.get().unwrap();
    remove_episode_scope(&scope).unwrap();
    let over = [found.overshoot() as f64 / 1e6, used as f64 / 1e6 - budget_ms as f64];
    let calls = calls.lock().unwrap().clone();
    (over, calls)
}

/// Every run that got beyond its budget by more than a millisecond and a half, in parts, worst first.
fn anatomies(runs: usize) {
    let cpus = thread::available_parallelism().unwrap().get();
    for (kind, burners) in [("scope", 1), ("scope", cpus), ("tree", 1), ("tree", cpus)] {
        println!("\n{kind}, {burners} burning: milliseconds, {runs} runs");
        let names = ["in the end", "frozen", "left", "rate", "late", "latest", "read", "freeze"];
        names.iter().for_each(|name| print!("{name:>11}"));
        println!();
        let mut all: Vec<[f64; 8]> = Vec::new();
        for run in 0..runs {
            let budget_ms = 20 + run as u64 % 50;
            let ([_, end], calls) = overshoot(kind, burners, budget_ms);
            let Some(parts) = anatomy::parts(&calls, budget_ms, u32::try_from(cpus).unwrap()) else {
                continue;
            };
            let Parts { late, latest, read, freeze, left, rate, over } = parts;
            all.push([end, over, left, rate, late, latest, read, freeze]);
        }
        all.sort_by(|one, other| other[0].total_cmp(&one[0]));
        for row in all.iter().take(8).chain(all.get(all.len() / 2)) {
            row.iter().for_each(|value| print!("{value:>11.2}"));
            println!();
        }
    }
}
