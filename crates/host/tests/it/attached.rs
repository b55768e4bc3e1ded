//! Processes that run already, and are watched from now on.

use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use aldis_host::{
    AttachError, Attached, Budget, BudgetKind, EndReason, EpisodeId, Hierarchy, MetricSource, NotAlone,
    ProcReader, Sampler, TelemetryPolicy, WhenExhausted, monotonic_ns, new_shared_collector,
};
use rustix::process::Uid;

use crate::{
    processes::{Job, eventually},
    scratch::{Scratch, skipped},
};

const NOBODY: u32 = 65534;

fn id() -> EpisodeId {
    EpisodeId::random().unwrap()
}

/// Two rounds of work, each after a word.
fn works_twice() -> Job {
    let work = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
    Job::shell(&format!("{work}; read go; {work}; read end <&3"))
}

#[test]
fn what_was_used_before_does_not_count_and_the_end_is_noticed() {
    let mut job = works_twice();
    let mut known = ProcReader::of_tree(job.pid()).unwrap();
    let mut used = || known.read().unwrap().cpu.usage_ns.get().unwrap();
    job.go();
    eventually("it has worked", || used() > 0);
    // Whoever starts a program is told so before the kernel can say its words.
    eventually("its words are there", || Attached::to(job.pid()).unwrap().command().len() > 2);
    let attached = Attached::to(job.pid()).unwrap();
    assert_eq!(attached.process().pid, job.pid());
    assert_eq!(attached.command()[..2], ["sh", "-c"]);
    let collector = new_shared_collector(TelemetryPolicy::default()).unwrap();
    let watch = attached.watch(id(), WhenExhausted::LetGo).unwrap();
    let handle = collector.start(watch, monotonic_ns()).unwrap();
    let before = used();
    assert_eq!(handle.frames()[0].cpu_ns, 0, "nothing yet");
    job.go();
    eventually("it works again", || {
        collector.poll(monotonic_ns());
        handle.frames().last().unwrap().cpu_ns > 0
    });
    assert!(handle.frames().last().unwrap().cpu_ns <= used(), "and {before} is not in it");
    assert!(handle.snapshot().most_processes >= Some(1));
    assert!(!attached.wait(Some(Duration::from_millis(1))).unwrap());
    drop(job);
    assert!(attached.wait(None).unwrap());
    collector.finish(&handle, EndReason::Ended, None, monotonic_ns());
    assert_eq!(handle.ended().map(EndReason::as_str), Some("ended"));
    let last = handle.frames().pop().unwrap();
    assert!(last.o11y_flags.terminal && last.cpu_ns > 0);
    let refused = attached.watch(id(), WhenExhausted::LetGo).err();
    assert!(matches!(refused, Some(AttachError::Ended { .. })), "{refused:?}");
}

/// Its own cgroup tells, where nobody else is in it.
#[test]
fn the_cgroup_is_read_where_it_is_its_own() {
    let Some(scratch) = Scratch::new("the_cgroup_is_read_where_it_is_its_own") else { return };
    let mut job = Job::shell("sh -c 'read forever <&3' & read go; sh -c 'exit 0'; read forever <&3");
    scratch.take(job.pid());
    job.go();
    let mut members = ProcReader::of_tree(job.pid()).unwrap();
    eventually("it has a child", || members.read().unwrap().pids.get() == Some(2));
    let attached = Attached::to(job.pid()).unwrap();
    assert_eq!(attached.cgroup(), Ok(scratch.path()));
    let collector = new_shared_collector(TelemetryPolicy::default()).unwrap();
    let watch = attached.watch(id(), WhenExhausted::LetGo).unwrap();
    let handle = collector.start(watch, monotonic_ns()).unwrap();
    job.go();
    // A process that lives for a moment: no look at `/proc` needs to see it.
    eventually("it has used something", || {
        collector.poll(monotonic_ns());
        handle.frames().last().unwrap().cpu_ns > 0
    });
    let stats = handle.snapshot().stats;
    assert_eq!(stats.cpu.usage_ns.source(), MetricSource::Cgroup);
    let has_file = scratch.path().join("memory.current").exists();
    let expected = if has_file { MetricSource::Cgroup } else { MetricSource::Proc };
    assert_eq!(stats.memory.peak_bytes.source(), expected);
    assert!(stats.memory.peak_bytes.get() > Some(0));
}

/// Moved elsewhere it is followed, by its processes, and it is said.
#[test]
fn a_process_that_leaves_its_cgroup_is_followed() {
    let test = "a_process_that_leaves_its_cgroup_is_followed";
    let (Some(first), Some(second)) = (Scratch::new(test), Scratch::new(test)) else { return };
    let mut job = works_twice();
    first.take(job.pid());
    let collector = new_shared_collector(TelemetryPolicy::default()).unwrap();
    let attached = Attached::to(job.pid()).unwrap();
    assert_eq!(attached.cgroup(), Ok(first.path()));
    let handle =
        collector.start(attached.watch(id(), WhenExhausted::LetGo).unwrap(), monotonic_ns()).unwrap();
    let mut now_ns = monotonic_ns();
    let mut look = || {
        // It is due each time.
        now_ns += 1_000_000_000;
        collector.poll(now_ns);
        let used = handle.snapshot().stats.cpu.usage_ns;
        (handle.frames().last().unwrap().cpu_ns, used.source())
    };
    job.go();
    let mut worked = (0, MetricSource::Unavailable);
    eventually("it works", || {
        worked = look();
        worked.0 > 0
    });
    assert_eq!(worked.1, MetricSource::Cgroup);
    second.take(job.pid());
    let moved = look();
    assert!(moved.0 >= worked.0, "what it used before is not lost: {moved:?} {worked:?}");
    assert_eq!(moved.1, MetricSource::Proc, "and it is said where it comes from");
    assert!(handle.frames().last().unwrap().o11y_flags.degraded);
    job.go();
    eventually("it works elsewhere", || look().0 > moved.0);
    drop(job);
    assert!(attached.wait(None).unwrap());
    collector.finish(&handle, EndReason::Ended, None, monotonic_ns());
    let last = handle.frames().pop().unwrap();
    assert!(last.o11y_flags.terminal && last.cpu_ns > moved.0);
}

#[test]
fn a_cgroup_with_others_in_it_is_not_its_own() {
    let Some(scratch) = Scratch::new("a_cgroup_with_others_in_it_is_not_its_own") else { return };
    let (mut job, other) = (Job::shell("sh -c 'read forever' <&3 & read forever <&3"), Job::shell("true"));
    let outside = Attached::to(other.pid()).unwrap();
    assert!(matches!(outside.cgroup(), Err(NotAlone::Root | NotAlone::Shared { .. })), "{outside:?}");
    // One that is forked before its parent moves stays where it is.
    job.go();
    let mut members = ProcReader::of_tree(job.pid()).unwrap();
    eventually("it has a child", || members.read().unwrap().pids.get() == Some(2));
    scratch.take(job.pid());
    let attached = Attached::to(job.pid()).unwrap();
    let Err(NotAlone::Scattered { cgroup, pid }) = attached.cgroup() else { panic!("{attached:?}") };
    assert!(cgroup == scratch.path() && *pid != job.pid());
    scratch.take(*pid);
    assert_eq!(Attached::to(job.pid()).unwrap().cgroup(), Ok(scratch.path()));
    // In a cgroup below.
    std::fs::create_dir(scratch.path().join("inner")).unwrap();
    std::fs::write(scratch.path().join("inner/cgroup.procs"), other.pid().to_string()).unwrap();
    let attached = Attached::to(job.pid()).unwrap();
    let Err(NotAlone::Shared { with, .. }) = attached.cgroup() else { panic!("{attached:?}") };
    assert_eq!(*with, other.pid());
    let root = Hierarchy::find().unwrap().mount().join("cgroup.procs");
    std::fs::write(root, other.pid().to_string()).unwrap();
    assert_eq!(Attached::to(other.pid()).unwrap().cgroup(), Err(&NotAlone::Root));
}

#[test]
fn who_cannot_be_watched_is_told_why() {
    let mut child = Command::new("true").spawn().unwrap();
    let pid = child.id();
    eventually("it has ended", || matches!(Attached::to(pid), Err(AttachError::Ended { .. })));
    assert!(Attached::to(pid).unwrap_err().to_string().contains("has ended already"));
    child.wait().unwrap();
    // Nobody has these numbers.
    for pid in [0, u32::MAX, i32::MAX as u32] {
        let refused = Attached::to(pid).unwrap_err();
        assert!(matches!(refused, AttachError::Gone { .. }), "{refused:?}");
        assert_eq!(refused.to_string(), format!("there is no process {pid}"));
    }
    assert!(matches!(Attached::to(std::process::id()), Err(AttachError::Itself)));
}

/// What is somebody else's goes on when its budget is used up, unless it is asked to be ended.
#[test]
fn a_used_up_budget_ends_only_what_is_to_be_ended() {
    for (when, goes_on) in [(WhenExhausted::LetGo, true), (WhenExhausted::Kill, false)] {
        let mut job = Job::shell("sh -c 'read forever' <&3 & read forever <&3");
        job.go();
        let mut members = ProcReader::of_tree(job.pid()).unwrap();
        eventually("it has a child", || members.read().unwrap().pids.get() == Some(2));
        let collector = new_shared_collector(TelemetryPolicy::default()).unwrap();
        let _sampler = Sampler::spawn(collector.clone()).unwrap();
        let attached = Attached::to(job.pid()).unwrap();
        let budget = Budget { wall_ms: Some(10), ..Budget::default() };
        let watch = attached.watch(id(), when).unwrap().budget(budget);
        let handle = collector.start(watch, monotonic_ns()).unwrap();
        eventually("its time is over", || handle.ended().is_some());
        let Some(EndReason::BudgetExhausted(found)) = handle.ended() else { panic!("{:?}", handle.ended()) };
        assert_eq!(found.kind, BudgetKind::WallMs);
        let frames = handle.frames();
        assert_eq!(frames.iter().filter(|frame| frame.o11y_flags.terminal).count(), 1);
        if goes_on {
            assert!(job.is_running() && members.read().unwrap().pids.get() == Some(2), "unharmed");
            assert!(!attached.wait(Some(Duration::ZERO)).unwrap());
        } else {
            assert!(attached.wait(None).unwrap());
            job.wait();
            eventually("so has its child", || members.read().unwrap().pids.get() == Some(0));
        }
        assert_eq!(handle.snapshot().not_ended, None);
    }
}

#[test]
fn who_may_not_end_a_process_is_told_before_it_is_watched() {
    let test = "who_may_not_end_a_process_is_told_before_it_is_watched";
    if !rustix::process::geteuid().is_root() {
        return skipped(test, "this is not root");
    }
    let job = Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
    let pid = job.id();
    let asked = std::thread::spawn(move || {
        let nobody = Uid::from_raw(NOBODY);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        let attached = Attached::to(pid).unwrap();
        let watched = attached.watch(id(), WhenExhausted::LetGo).is_ok();
        (watched, attached.watch(id(), WhenExhausted::Kill).err())
    });
    let (watched, refused) = asked.join().unwrap();
    let mut job = job;
    job.kill().unwrap();
    job.wait().unwrap();
    assert!(watched, "to look at it is allowed");
    assert!(matches!(refused, Some(AttachError::NotPermitted { pid: of, .. }) if of == pid), "{refused:?}");
    let said = refused.map(|error| error.to_string());
    assert_eq!(said, Some(format!("process {pid} may not be ended: it is another user's")));
}

/// A cgroup that is closed to whoever watches: its processes tell.
#[test]
fn a_cgroup_that_may_not_be_read_is_not_read() {
    let test = "a_cgroup_that_may_not_be_read_is_not_read";
    let Some(scratch) = Scratch::new(test) else { return };
    if !rustix::process::geteuid().is_root() {
        return skipped(test, "this is not root");
    }
    let job = Job::shell("read forever");
    scratch.take(job.pid());
    std::fs::set_permissions(scratch.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let pid = job.pid();
    let asked = std::thread::spawn(move || {
        let nobody = Uid::from_raw(NOBODY);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        let attached = Attached::to(pid).unwrap();
        let collector = new_shared_collector(TelemetryPolicy::default()).unwrap();
        let watch = attached.watch(id(), WhenExhausted::LetGo).unwrap();
        let handle = collector.start(watch, monotonic_ns()).unwrap();
        (attached.cgroup().map(Path::to_path_buf).map_err(Clone::clone), handle.snapshot().stats)
    });
    let (found, stats) = asked.join().unwrap();
    assert_eq!(found, Err(NotAlone::Unread { cgroup: scratch.path().into() }));
    assert_eq!(stats.cpu.usage_ns.source(), MetricSource::Proc);
}
