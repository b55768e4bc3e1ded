//! What a kernel of today does not show: killing where there is no file for it.

use std::process::{Child, Command, Stdio};

use super::*;

fn burning(cgroup: &Path) -> Child {
    // It enters by itself, so that what it forks is inside.
    let script = "echo 0 > \"$0/cgroup.procs\" && { sleep 1000 & sleep 1000 & wait; }";
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(cgroup).stdin(Stdio::null()).spawn().unwrap()
}

/// Kernels before 5.14.
#[test]
fn without_a_file_to_kill_by_processes_are_killed_one_by_one() {
    let name = format!("aldis-host-unit-{}.slice", std::process::id());
    let made = Hierarchy::find().and_then(|found| {
        let slice = Slice::new(found.mount(), &name)?;
        create_episode_scope(&slice, EpisodeId::from_u128(1), &OsResourceLimits::default())
    });
    let Ok(scope) = made else {
        // No hierarchy, or no right to it: other tests say so.
        return;
    };
    let inner = scope.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let mut children = [burning(scope.path()), burning(&inner)];
    let mut listed = Vec::new();
    let until = Instant::now() + Duration::from_secs(30);
    while listed.len() < 6 {
        assert!(Instant::now() < until, "{listed:?}");
        listed.clear();
        crate::cgroup::alone::list(scope.path(), 0, &mut listed).unwrap();
    }
    while scope.is_populated().unwrap() {
        assert!(Instant::now() < until, "they live");
        scope.kill_by("no such file").unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(children.iter_mut().all(|child| !child.wait().unwrap().success()));
    remove_episode_scope(&scope).unwrap();
    assert!(matches!(scope.kill_by("no such file"), Err(CgroupError::Gone { .. })));
}

/// Somebody has the lock of a scope that was just made, and keeps it.
#[test]
fn who_does_not_get_a_scope_is_told_that_it_is_busy() {
    let folder = tempfile::tempdir().unwrap();
    let other = slice::owned(folder.path()).unwrap().unwrap();
    let refused = own(folder.path());
    assert!(matches!(&refused, Err(CgroupError::Busy { path }) if path == folder.path()), "{refused:?}");
    // A child of another test that has not begun its program yet would hold on to what is closed only.
    rustix::fs::flock(&other, rustix::fs::FlockOperation::Unlock).unwrap();
    assert!(own(folder.path()).unwrap().is_some());
}

#[test]
fn what_is_lived_in_is_busy_when_the_time_is_over() {
    let name = format!("aldis-host-busy-{}.slice", std::process::id());
    let made = Hierarchy::find().and_then(|found| {
        let slice = Slice::new(found.mount(), &name)?;
        create_episode_scope(&slice, EpisodeId::from_u128(2), &OsResourceLimits::default())
    });
    let Ok(scope) = made else {
        // No hierarchy, or no right to it: other tests say so.
        return;
    };
    let mut child = burning(scope.path());
    let until = Instant::now() + Duration::from_secs(30);
    while !scope.is_populated().unwrap() {
        assert!(Instant::now() < until, "it does not enter");
    }
    let refused = remove_tree(scope.path(), Instant::now(), 0);
    assert!(matches!(&refused, Err(CgroupError::Busy { path }) if path == scope.path()), "{refused:?}");
    assert!(child.try_wait().unwrap().is_none() && scope.path().exists(), "unharmed");
    remove_episode_scope(&scope).unwrap();
    assert!(!child.wait().unwrap().success());
}
