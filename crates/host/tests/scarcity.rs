//! What is said where the system has no more to give: no descriptors, no threads.
//!
//! A binary of its own with a single test, because limits are those of the whole process.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::{
    fs::File,
    os::fd::AsRawFd,
    process::{Command, Stdio},
};

use aldis_host::{
    AttachError, Attached, ProcError, Sampler, TelemetryError, TelemetryPolicy, new_shared_collector,
};
use rustix::process::{Resource, Rlimit, Uid, geteuid, getrlimit, setrlimit};

/// Asks with at most so much of something.
fn with_at_most<T>(most: u64, of: Resource, asked: impl FnOnce() -> T) -> T {
    let before = getrlimit(of);
    setrlimit(of, Rlimit { current: Some(most), maximum: before.maximum }).unwrap();
    let answer = asked();
    setrlimit(of, before).unwrap();
    answer
}

#[test]
fn what_the_system_does_not_give_is_said() {
    let mut child = Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
    let pid = child.id();
    // None for the process, then none for `/proc`.
    let next = u64::try_from(File::open("/dev/null").unwrap().as_raw_fd()).unwrap();
    let refused = with_at_most(next, Resource::Nofile, || Attached::to(pid).unwrap_err());
    assert!(matches!(refused, AttachError::Kernel { pid: of, .. } if of == pid), "{refused:?}");
    let refused = with_at_most(next + 1, Resource::Nofile, || Attached::to(pid).unwrap_err());
    assert!(matches!(refused, AttachError::Proc(ProcError::Unavailable { .. })), "{refused:?}");
    assert!(refused.to_string().contains("Too many open files"), "{refused}");
    assert_eq!(Attached::to(pid).unwrap().process().pid, pid);
    child.kill().unwrap();
    child.wait().unwrap();

    let refused = std::thread::spawn(|| {
        if geteuid().is_root() {
            // The limit is none for root. A thread has a user of its own.
            let nobody = Uid::from_raw(65534);
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        }
        let collector = new_shared_collector(TelemetryPolicy::default()).unwrap();
        with_at_most(0, Resource::Nproc, || Sampler::spawn(collector).err())
    });
    let refused = refused.join().unwrap();
    assert!(matches!(refused, Some(TelemetryError::Thread(_))), "{refused:?}");
}
