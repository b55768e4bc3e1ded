//! Collectors: with a subject that does as it is told, and on the kernel.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use aldis_host::{
    Baseline, Budget, BudgetKind, CgroupError, EndReason, EpisodeId, Metric, MetricSource, PolicyError,
    ProcReader, PromoteTriggers, Recorder, ResourceStats, Sample, Sampler, ScopeSubject, SharedCollector,
    Subject, TelemetryCollector, TelemetryError, TelemetryHandle, TelemetryPolicy, TreeSubject, Watch,
    limits::MAX_EPISODES, monotonic_ns, new_shared_collector,
};

use aldis_host::parse::Pressure;

use crate::{
    processes::eventually,
    scopes::{placed, removed, scope_in, slice_in},
    scratch::{Scratch, skipped},
};

const MS: u64 = 1_000_000;

/// What a subject was asked, in order, and what it says next.
#[derive(Default)]
pub(crate) struct Script {
    asked: Vec<&'static str>,
    cpu_ns: u64,
    /// Hundredths of a percent, for whoever asks.
    pressure: Option<u32>,
    is_gone: bool,
    lives_on: bool,
}

#[derive(Clone, Default)]
pub(crate) struct Scripted(Arc<Mutex<Script>>);

impl Scripted {
    pub(crate) fn uses(&self, cpu_ns: u64) {
        self.0.lock().unwrap().cpu_ns = cpu_ns;
    }

    pub(crate) fn asked(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }
}

fn gone() -> TelemetryError {
    TelemetryError::Proc(ProcReader::at(Path::new("/nowhere"), 1).unwrap_err())
}

impl Subject for Scripted {
    fn sample(&mut self, with_pressure: bool) -> Result<Sample, TelemetryError> {
        let mut script = self.0.lock().unwrap();
        script.asked.push(if with_pressure { "sample with pressure" } else { "sample" });
        if script.is_gone {
            return Err(gone());
        }
        let mut stats = ResourceStats::default();
        stats.cpu.usage_ns = Metric::of_cgroup(script.cpu_ns);
        let mut sample = Sample { stats, ..Sample::default() };
        if let Some(avg10) = script.pressure.filter(|_| with_pressure) {
            let mut waits = Pressure::default();
            waits.some.avg10 = avg10;
            sample.pressure.memory = Some(waits);
        }
        Ok(sample)
    }

    fn settle(&mut self) {
        self.0.lock().unwrap().asked.push("settle");
    }

    fn freeze(&mut self) -> Result<(), TelemetryError> {
        let mut script = self.0.lock().unwrap();
        script.asked.push("freeze");
        // Until it stood still it used a little more.
        script.cpu_ns += 5;
        Ok(())
    }

    fn kill(&mut self) -> Result<(), TelemetryError> {
        let mut script = self.0.lock().unwrap();
        script.asked.push("kill");
        if script.lives_on { Err(gone()) } else { Ok(()) }
    }
}

fn collector(triggers: PromoteTriggers) -> TelemetryCollector {
    let policy =
        TelemetryPolicy::builder().ring_buffer_capacity(4).promote_triggers(triggers).build().unwrap();
    TelemetryCollector::new(policy).unwrap()
}

pub(crate) fn id(number: u128) -> EpisodeId {
    EpisodeId::from_u128(number)
}

/// CTR-TL01: what a look finds goes to the episode's budget, as it grows.
#[test]
fn ctr_tl01_looks_report_what_was_used() {
    let (collector, subject) = (collector(PromoteTriggers::default()), Scripted::default());
    subject.uses(7 * MS);
    let handle = collector.start(Watch::new(id(1), 9, subject.clone()), 0).unwrap();
    for (now_ms, used_ms) in [(100, 9), (200, 9), (300, 40)] {
        subject.uses(used_ms * MS);
        assert_eq!(collector.poll(now_ms * MS), Some((now_ms + 100) * MS));
        assert_eq!(handle.snapshot().budget.cpu_ms(), used_ms);
    }
    let seqs: Vec<u64> = handle.frames().iter().map(|frame| frame.seq).collect();
    assert_eq!(seqs, [0, 1, 2, 3]);
    assert_eq!((handle.seq(), handle.pid(), handle.episode_id()), (4, 9, id(1)));
    assert_eq!(collector.poll(350 * MS), Some(400 * MS), "nothing is due");
    assert_eq!(handle.seq(), 4);
}

/// CTR-TL02: a budget that is used up stops the episode: frozen, read, killed, one terminal frame, silence.
#[test]
fn ctr_tl02_an_exhausted_budget_triggers_stop() {
    let (collector, subject) = (collector(PromoteTriggers::default()), Scripted::default());
    let budget = Budget { cpu_ms: Some(10), ..Budget::default() };
    let handle = collector.start(Watch::new(id(1), 9, subject.clone()).budget(budget), 0).unwrap();
    assert_eq!(subject.asked(), ["sample"]);
    subject.uses(10 * MS);
    assert_eq!(collector.poll(100 * MS), None, "nothing is watched any more");
    assert_eq!(subject.asked(), ["settle", "sample", "freeze", "sample", "kill"]);
    let Some(EndReason::BudgetExhausted(found)) = handle.ended() else { panic!("{:?}", handle.ended()) };
    assert_eq!((found.kind, found.limit, found.overshoot()), (BudgetKind::CpuMs, 10, 5));
    let frames = handle.frames();
    assert_eq!(frames.iter().filter(|frame| frame.o11y_flags.terminal).count(), 1);
    assert!(frames.last().unwrap().o11y_flags.terminal && frames.last().unwrap().cpu_ns == 10 * MS + 5);
    collector.finish(&handle, EndReason::Completed, None, 200 * MS);
    assert_eq!(collector.poll(1000 * MS), None);
    assert_eq!(handle.frames(), frames, "silence");
    assert!(matches!(handle.ended(), Some(EndReason::BudgetExhausted(_))));
    assert!(collector.is_empty() && handle.snapshot().not_ended.is_none());
}

/// The kernel's account is brought up to date where a tick more or less matters.
#[test]
fn close_to_a_budget_the_account_is_settled_before_it_is_read() {
    let (collector, subject) = (collector(PromoteTriggers::default()), Scripted::default());
    let budget = Budget { cpu_ms: Some(1_000_000), ..Budget::default() };
    collector.start(Watch::new(id(1), 9, subject.clone()).budget(budget), 0).unwrap();
    subject.uses(1_000_000 * MS - 1);
    collector.poll(100 * MS);
    assert_eq!(subject.asked(), ["sample", "sample"], "there was much left");
    collector.poll(101 * MS);
    assert_eq!(subject.asked(), ["settle", "sample"]);
}

#[test]
fn what_cannot_be_killed_is_told() {
    let (collector, subject) = (collector(PromoteTriggers::default()), Scripted::default());
    subject.0.lock().unwrap().lives_on = true;
    let budget = Budget { cpu_ms: Some(0), ..Budget::default() };
    let handle = collector.start(Watch::new(id(1), 9, subject), 0).unwrap();
    assert!(handle.ended().is_none());
    let none_at_all = Scripted(Arc::new(Mutex::new(Script { lives_on: true, ..Script::default() })));
    let handle = collector.start(Watch::new(id(2), 9, none_at_all).budget(budget), 0).unwrap();
    assert!(matches!(handle.ended(), Some(EndReason::BudgetExhausted(_))), "it had nothing to begin with");
    assert!(handle.snapshot().not_ended.unwrap().contains("/proc"));
    assert_eq!(collector.len(), 1);
}

/// What measuring costs is another budget: it ends the measuring, and nobody is killed.
#[test]
fn a_budget_of_the_sampler_ends_the_measuring_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frames");
    let every = PromoteTriggers { every_frames: Some(1), ..PromoteTriggers::default() };
    for budget in [
        Budget { sampler_bytes: Some(1), ..Budget::default() },
        Budget { sampler_cpu_ms: Some(0), ..Budget::default() },
    ] {
        let (collector, subject) = (collector(every), Scripted::default());
        let recorder = Recorder::append(&file).unwrap();
        let watch = Watch::new(id(1), 9, subject.clone()).budget(budget).recorder(recorder);
        let handle = collector.start(watch, 0).unwrap();
        collector.poll(100 * MS);
        collector.poll(200 * MS);
        let Some(EndReason::BudgetExhausted(found)) = handle.ended() else { panic!("{:?}", handle.ended()) };
        assert!(found.kind.is_of_sampler(), "{found}");
        assert!(subject.asked().iter().all(|asked| *asked == "sample"), "neither frozen nor killed");
        assert!(handle.frames().last().unwrap().o11y_flags.terminal);
    }
}

#[test]
fn what_cannot_be_read_any_more_ends_with_what_is_known() {
    let (collector, subject) = (collector(PromoteTriggers::default()), Scripted::default());
    subject.uses(3);
    let handle = collector.start(Watch::new(id(1), 9, subject.clone()), 0).unwrap();
    subject.0.lock().unwrap().is_gone = true;
    assert_eq!(collector.poll(100 * MS), None);
    assert_eq!(handle.ended(), Some(EndReason::Lost));
    let last = handle.frames().pop().unwrap();
    assert!(last.o11y_flags.terminal && last.cpu_ns == 3 && last.seq == 1);
    assert!(matches!(collector.start(Watch::new(id(2), 9, subject), 0), Err(TelemetryError::Proc(_))));
}

#[test]
fn pressure_is_read_where_a_trigger_asks_for_it() {
    let triggers = PromoteTriggers { pressure_percent: Some(90), ..PromoteTriggers::default() };
    let (collector, subject) = (collector(triggers), Scripted::default());
    collector.start(Watch::new(id(1), 9, subject.clone()), 0).unwrap();
    collector.poll(100 * MS);
    assert_eq!(subject.asked(), ["sample with pressure", "sample"]);
    let Some(scratch) = Scratch::new("pressure_is_read_where_a_trigger_asks_for_it") else { return };
    let scope = Arc::new(scope_in(&slice_in(&scratch)));
    let mut subject = ScopeSubject::new(scope.clone()).unwrap();
    assert_eq!(subject.sample(false).unwrap().pressure, Default::default());
    let has_file = fs::read(scope.path().join("cpu.pressure")).is_ok();
    assert_eq!(subject.sample(true).unwrap().pressure.cpu.is_some(), has_file);
    removed(&scope);
}

/// The kernel's averages change every two seconds: to read them with each sample would say the same for more.
#[test]
fn pressure_stands_for_half_a_second() {
    let triggers = PromoteTriggers { pressure_percent: Some(90), ..PromoteTriggers::default() };
    let (collector, subject) = (collector(triggers), Scripted::default());
    let presses = |hundredths: u32| subject.0.lock().unwrap().pressure = Some(hundredths);
    presses(9_000);
    let handle = collector.start(Watch::new(id(1), 9, subject.clone()), 0).unwrap();
    let promoted = || handle.frames().last().unwrap().o11y_flags.promoted;
    assert!(promoted());
    for (at, hundredths, asked, promotes) in [
        (100, 0, "sample", false),
        (400, 9_500, "sample", false),
        (500, 9_500, "sample with pressure", false),
        (900, 0, "sample", false),
        (1000, 0, "sample with pressure", false),
        (1400, 9_000, "sample", false),
        (1500, 9_000, "sample with pressure", true),
    ] {
        subject.asked();
        presses(hundredths);
        collector.poll(at * MS);
        assert_eq!((subject.asked(), promoted()), (vec![asked], promotes), "at {at} ms");
    }
}

/// What the controllers of a scope do not tell, its processes do, and it is said which.
#[test]
fn a_scope_is_completed_by_its_processes() {
    let Some(scratch) = Scratch::new("a_scope_is_completed_by_its_processes") else { return };
    let scope = Arc::new(scope_in(&slice_in(&scratch)));
    let mut child = placed(&scope, "sleep 1000").spawn().unwrap();
    let mut subject = ScopeSubject::new(scope.clone()).unwrap();
    let mut stats = || subject.sample(false).unwrap().stats;
    eventually("it has memory", || stats().memory.rss_bytes.get() > Some(0));
    let (stats, has_file) = (stats(), |file: &str| scope.path().join(file).exists());
    let source = |of_cgroup: bool| if of_cgroup { MetricSource::Cgroup } else { MetricSource::Proc };
    assert_eq!(stats.cpu.usage_ns.source(), MetricSource::Cgroup);
    assert_eq!(stats.memory.rss_bytes.source(), source(has_file("memory.stat")));
    assert_eq!(stats.io.read_bytes.source(), source(has_file("io.stat")));
    assert_eq!(stats.pids.source(), source(has_file("pids.current")));
    removed(&scope);
    assert!(!child.wait().unwrap().success());
}

#[test]
fn episodes_are_looked_at_when_each_is_due() {
    let collector = collector(PromoteTriggers::default());
    let handles: Vec<TelemetryHandle> = (0..3)
        .map(|n| collector.start(Watch::new(id(n), 9, Scripted::default()), n as u64 * 10 * MS).unwrap())
        .collect();
    let seqs = || handles.iter().map(TelemetryHandle::seq).collect::<Vec<_>>();
    assert_eq!(collector.poll(100 * MS), Some(110 * MS));
    assert_eq!(seqs(), [2, 1, 1]);
    assert_eq!(collector.poll(115 * MS), Some(120 * MS));
    assert_eq!(seqs(), [2, 2, 1]);
    let again = collector.start(Watch::new(id(1), 9, Scripted::default()), 0);
    assert!(matches!(again, Err(TelemetryError::Duplicate(other)) if other == id(1)));
    collector.finish(&handles[1], EndReason::Completed, None, 120 * MS);
    assert_eq!((collector.len(), handles[1].ended()), (2, Some(EndReason::Completed)));
    collector.start(Watch::new(id(1), 9, Scripted::default()), 0).unwrap();
}

/// To wake up costs as much as to look: those that are nearly due are looked at too, and are due together from then on.
#[test]
fn episodes_that_are_due_about_the_same_time_are_looked_at_at_once() {
    let collector = collector(PromoteTriggers::default());
    let handles = [0, 4, 5].map(|ms| {
        let watch = Watch::new(id(u128::from(ms)), 9, Scripted::default());
        collector.start(watch, ms * MS).unwrap()
    });
    let seqs = || handles.each_ref().map(TelemetryHandle::seq);
    // A twentieth of the period is five milliseconds.
    assert_eq!(collector.poll(100 * MS), Some(105 * MS));
    assert_eq!(seqs(), [2, 2, 1]);
    assert_eq!(collector.poll(105 * MS), Some(200 * MS));
    assert_eq!(seqs(), [2, 2, 2]);
    collector.poll(200 * MS);
    assert_eq!(seqs(), [3, 3, 2]);
}

#[test]
fn episodes_and_policies_are_bounded() {
    let policy = TelemetryPolicy::builder().ring_buffer_capacity(2).build().unwrap();
    let collector = TelemetryCollector::new(policy).unwrap();
    for n in 0..MAX_EPISODES {
        collector.start(Watch::new(id(n as u128), 1, Scripted::default()), 0).unwrap();
    }
    let more = collector.start(Watch::new(id(u128::MAX), 1, Scripted::default()), 0);
    assert!(matches!(more, Err(TelemetryError::TooMany)));
    let wrong = TelemetryPolicy { sample_period_ms: 0, ..TelemetryPolicy::default() };
    let refused = new_shared_collector(wrong);
    assert!(matches!(refused, Err(TelemetryError::Policy(PolicyError::SamplePeriod { ms: 0 }))));
}

fn lines(file: &Path) -> Vec<serde_json::Value> {
    fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_recorder_has_each_frame_once_and_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frames");
    let triggers =
        PromoteTriggers { every_frames: Some(3), abnormal_end: true, ..PromoteTriggers::default() };
    let (collector, subject) = (collector(triggers), Scripted::default());
    let budget = Budget { cpu_ms: Some(1), ..Budget::default() };
    let watch =
        Watch::new(id(1), 9, subject.clone()).budget(budget).recorder(Recorder::append(&file).unwrap());
    let handle = collector.start(watch, 0).unwrap();
    for look in 1..5 {
        collector.poll(look * 100 * MS);
    }
    subject.uses(2 * MS);
    collector.poll(500 * MS);
    let lines = lines(&file);
    let records: Vec<&str> = lines.iter().filter_map(|line| line["record"].as_str()).collect();
    assert_eq!(records, ["promotion", "promotion", "promotion", "end"]);
    let seqs: Vec<u64> = lines.iter().filter_map(|line| line["seq"].as_u64()).collect();
    assert_eq!(seqs, (0..handle.seq()).collect::<Vec<_>>());
    assert_eq!((&lines[0]["trigger"], &lines[0]["frames"]), (&"every_frames".into(), &3.into()));
    assert_eq!(lines[0]["missed"], 0);
    assert_eq!(lines[3]["o11y_flags"]["promoted"], true, "the frame that fired");
    let end = lines.last().unwrap();
    assert_eq!((&end["reason"], &end["budget"]), (&"budget_exhausted".into(), &"cpu_ms".into()));
    assert_eq!(
        (&end["limit"], &end["used"], &end["overshoot"]),
        (&1.into(), &2_000_005.into(), &1_000_005.into())
    );
    let written = handle.snapshot().budget.used(BudgetKind::SamplerBytes);
    assert_eq!(written, fs::metadata(&file).unwrap().len(), "and all of it is accounted for");
}

#[test]
fn what_the_ring_lost_before_it_was_written_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frames");
    let triggers = PromoteTriggers { termination: true, ..PromoteTriggers::default() };
    let collector = collector(triggers);
    let watch = Watch::new(id(1), 9, Scripted::default()).recorder(Recorder::append(&file).unwrap());
    let handle = collector.start(watch, 0).unwrap();
    for look in 1..10 {
        collector.poll(look * 100 * MS);
    }
    collector.finish(&handle, EndReason::Completed, None, 2000 * MS);
    let lines = lines(&file);
    // Eleven frames, of which the ring holds four.
    assert_eq!((&lines[0]["frames"], &lines[0]["missed"]), (&4.into(), &7.into()));
    assert_eq!(handle.snapshot().overwritten, 7);
    assert_eq!(lines.last().unwrap()["reason"], "completed");
}

#[test]
fn a_disk_that_is_full_is_counted_and_stops_nothing() {
    let triggers = PromoteTriggers { every_frames: Some(1), ..PromoteTriggers::default() };
    let collector = collector(triggers);
    let full = Recorder::append(Path::new("/dev/full")).unwrap();
    let handle = collector.start(Watch::new(id(1), 9, Scripted::default()).recorder(full), 0).unwrap();
    collector.poll(100 * MS);
    let snapshot = handle.snapshot();
    assert_eq!((snapshot.recorder_failures, snapshot.seq, snapshot.ended), (2, 2, None));
    assert_eq!(snapshot.budget.used(BudgetKind::SamplerBytes), 0);
}

/// A disk of its own for a test, and gone with it.
struct Disk(tempfile::TempDir);

impl Disk {
    fn of_kib(test: &str, kib: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={kib}k");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(folder.path()).output();
        match mount {
            Ok(done) if done.status.success() => Some(Self(folder)),
            other => {
                skipped(test, &format!("no disk can be mounted: {other:?}"));
                None
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// Lines that are JSON, and how many are not.
fn whole_lines(file: &Path) -> (Vec<serde_json::Value>, u64) {
    let text = fs::read_to_string(file).unwrap();
    let (whole, torn): (Vec<_>, Vec<_>) =
        text.lines().map(serde_json::from_str).partition(Result::<serde_json::Value, _>::is_ok);
    (whole.into_iter().map(Result::unwrap).collect(), torn.len() as u64)
}

#[test]
fn a_line_that_a_full_disk_tore_is_closed_when_there_is_room() {
    let Some(disk) = Disk::of_kib("a_line_that_a_full_disk_tore_is_closed_when_there_is_room", 12) else {
        return;
    };
    let (file, filler) = (disk.0.path().join("frames"), disk.0.path().join("filler"));
    fs::write(&filler, [0; 4096]).unwrap();
    let triggers = PromoteTriggers { every_frames: Some(1), termination: true, ..PromoteTriggers::default() };
    let collector = collector(triggers);
    let watch = Watch::new(id(1), 9, Scripted::default()).recorder(Recorder::append(&file).unwrap());
    let handle = collector.start(watch, 0).unwrap();
    let mut look = 1;
    while handle.snapshot().recorder_failures == 0 {
        collector.poll(look * 100 * MS);
        look += 1;
    }
    let (_, torn) = whole_lines(&file);
    assert_eq!(
        (torn, handle.snapshot().recorder_torn_lines),
        (1, 0),
        "it is torn, and nobody has seen it yet"
    );
    fs::remove_file(filler).unwrap();
    collector.poll(look * 100 * MS);
    collector.finish(&handle, EndReason::Completed, None, (look + 1) * 100 * MS);
    let (lines, torn) = whole_lines(&file);
    assert_eq!((torn, handle.snapshot().recorder_torn_lines), (1, 1));
    let seqs: Vec<u64> = lines.iter().filter_map(|line| line["seq"].as_u64()).collect();
    assert_eq!(seqs, (0..handle.seq()).collect::<Vec<_>>(), "each frame once, whole");
    assert_eq!(lines.last().unwrap()["reason"], "completed");
    let written = handle.snapshot().budget.used(BudgetKind::SamplerBytes);
    assert_eq!(written, fs::metadata(&file).unwrap().len(), "what was written in vain is accounted for too");
}

#[test]
fn a_file_that_somebody_left_torn_is_closed_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frames");
    for (left, torn_lines) in [("", 0), ("{\"record\":\"end\"}\n", 0), ("{\"record\":", 1)] {
        fs::write(&file, left).unwrap();
        let collector = collector(PromoteTriggers { termination: true, ..PromoteTriggers::default() });
        let watch = Watch::new(id(1), 9, Scripted::default()).recorder(Recorder::append(&file).unwrap());
        let handle = collector.start(watch, 0).unwrap();
        collector.finish(&handle, EndReason::Completed, None, 100 * MS);
        let (lines, torn) = whole_lines(&file);
        assert_eq!((torn, handle.snapshot().recorder_torn_lines), (torn_lines, torn_lines), "{left:?}");
        assert_eq!(lines.iter().filter(|line| line["seq"].is_u64()).count(), 2);
        assert!(!fs::read_to_string(&file).unwrap().contains("\n\n"));
    }
}

/// On the kernel: a job that burns is ended soon after its budget, nothing of it lives, and its last frame is its account.
#[test]
fn a_burning_job_is_ended_by_its_budget() {
    let Some(scratch) = Scratch::new("a_burning_job_is_ended_by_its_budget") else { return };
    let scope = Arc::new(scope_in(&slice_in(&scratch)));
    let collector: SharedCollector = new_shared_collector(TelemetryPolicy::default()).unwrap();
    let sampler = Sampler::spawn(collector.clone()).unwrap();
    let mut child = placed(&scope, "while :; do :; done & while :; do :; done").spawn().unwrap();
    let subject = ScopeSubject::new(scope.clone()).unwrap();
    let budget = Budget { cpu_ms: Some(50), ..Budget::default() };
    let handle =
        collector.start(Watch::new(scope.id(), child.id(), subject).budget(budget), monotonic_ns()).unwrap();
    eventually("its budget is used up", || handle.ended().is_some());
    assert!(!child.wait().unwrap().success());
    eventually("nothing lives", || !scope.is_populated().unwrap());
    let Some(EndReason::BudgetExhausted(found)) = handle.ended() else { panic!("{:?}", handle.ended()) };
    assert_eq!(found.kind, BudgetKind::CpuMs);
    let last = handle.frames().pop().unwrap();
    assert!(last.cpu_ns >= 50 * MS && last.o11y_flags.terminal);
    assert_eq!(found.overshoot(), last.cpu_ns - 50 * MS);
    let in_the_end = scope.reader().unwrap().read().unwrap().cpu.usage_ns.get().unwrap();
    assert!(in_the_end >= last.cpu_ns, "only dying came after it");
    assert_eq!(handle.snapshot().stats.cpu.usage_ns.source(), MetricSource::Cgroup);
    drop(sampler);
    removed(&scope);
}

fn asleep() -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", "sleep 1000 & sleep 1000 & wait"]).stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().unwrap()
}

/// Without any cgroup: a tree of processes is stopped and killed, whole.
#[test]
fn a_tree_is_ended_by_its_budget() {
    let mut child = asleep();
    let mut members = ProcReader::of_tree(child.id()).unwrap();
    eventually("it has children", || members.read().unwrap().pids.get() == Some(3));
    let collector = new_shared_collector(TelemetryPolicy::default()).unwrap();
    let reader = ProcReader::of_tree(child.id()).unwrap();
    let budget = Budget { processes: Some(2), ..Budget::default() };
    let watch = Watch::new(id(1), child.id(), TreeSubject::new(reader)).budget(budget);
    let handle = collector.start(watch, monotonic_ns()).unwrap();
    let Some(EndReason::BudgetExhausted(found)) = handle.ended() else { panic!("{:?}", handle.ended()) };
    assert_eq!((found.kind, found.overshoot()), (BudgetKind::Processes, 1));
    assert!(!child.wait().unwrap().success());
    eventually("its children have ended", || members.read().unwrap().pids.get() == Some(0));
    assert_eq!(handle.snapshot().not_ended, None);
    let frame = handle.frames().pop().unwrap();
    assert!(frame.o11y_flags.degraded && frame.source == MetricSource::Proc);
}

/// Wall time, by the sampler's clock; and what was there before is not the episode's.
#[test]
fn wall_time_is_a_budget_and_what_was_before_is_not_counted() {
    let mut child = asleep();
    let collector = new_shared_collector(TelemetryPolicy::default()).unwrap();
    let _sampler = Sampler::spawn(collector.clone()).unwrap();
    let reader = ProcReader::of_tree(child.id()).unwrap();
    let budget = Budget { wall_ms: Some(20), ..Budget::default() };
    let watch = Watch::new(id(1), child.id(), TreeSubject::new(reader));
    let watch = watch.budget(budget).baseline(Baseline::FirstSample);
    let handle = collector.start(watch, monotonic_ns()).unwrap();
    assert_eq!(handle.frames()[0].cpu_ns, 0);
    eventually("its time is over", || handle.ended().is_some());
    let Some(EndReason::BudgetExhausted(found)) = handle.ended() else { panic!("{:?}", handle.ended()) };
    assert!(found.kind == BudgetKind::WallMs && found.used >= 20 * MS);
    assert!(!child.wait().unwrap().success());
}

#[test]
fn a_scope_that_is_removed_under_the_collector_ends_the_episode() {
    let Some(scratch) = Scratch::new("a_scope_that_is_removed_under_the_collector_ends_the_episode") else {
        return;
    };
    let scope = Arc::new(scope_in(&slice_in(&scratch)));
    let collector = new_shared_collector(TelemetryPolicy::default()).unwrap();
    let subject = ScopeSubject::new(scope.clone()).unwrap();
    let handle = collector.start(Watch::new(scope.id(), 1, subject), 0).unwrap();
    removed(&scope);
    assert_eq!(collector.poll(100 * MS), None);
    assert_eq!(handle.ended(), Some(EndReason::Lost));
    assert!(matches!(ScopeSubject::new(scope), Err(TelemetryError::Cgroup(CgroupError::Gone { .. }))));
}
