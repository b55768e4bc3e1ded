//! Machines and users that have less than everything: what is measured there, and what says where it came from.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use aldis_host::{
    Budget, EpisodeId, Hierarchy, MetricSource, ProcError, ProcReader, Subject, TelemetryCollector,
    TelemetryError, TelemetryPolicy, TreeSubject, Watch,
};
use rustix::process::Uid;
use tempfile::TempDir;

use crate::{processes::Job, scopes::entry, scratch::Scratch};

const NOBODY: u32 = 65534;

/// The first folder for temporary files that every user may enter: that of whoever runs the tests may be closed to others.
fn open_folder() -> Option<TempDir> {
    let is_open = |path: &Path| {
        path.ancestors().all(|folder| fs::metadata(folder).is_ok_and(|found| found.mode() & 0o001 != 0))
    };
    let mut places = [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into()].into_iter();
    places.find_map(|place| TempDir::new_in(place.canonicalize().ok().filter(|place| is_open(place))?).ok())
}

/// The example where every user may execute it.
fn for_everybody(test: &str) -> Option<(TempDir, PathBuf)> {
    let Some(folder) = open_folder() else {
        crate::scratch::skipped(test, "no folder for temporary files is open to other users");
        return None;
    };
    let program = folder.path().join("episode");
    // By another process: a child of another test that has not begun its program yet would hold what is open for writing here.
    assert!(Command::new("cp").arg(entry()).arg(&program).status().unwrap().success());
    for path in [folder.path(), &program] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    Some((folder, program))
}

/// Runs a script, or says that a tool it needs is not there.
fn scripted(test: &str, tool: &str, script: &str) -> Option<Output> {
    let output = Command::new("sh").args(["-c", script]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() == Some(127) || said.contains("Operation not permitted") {
        crate::scratch::skipped(test, &format!("`{tool}` cannot be used: {said}"));
        return None;
    }
    Some(output)
}

fn source_of(output: &Output, metric: &str) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said.lines().find(|line| line.starts_with(&format!("{metric} ")));
    let line = line.unwrap_or_else(|| panic!("no {metric} in {output:?}"));
    line.rsplit(' ').next().unwrap().to_owned()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A user who may make no cgroup: everything is from `/proc`, and the command runs all the same.
#[test]
fn without_rights_everything_is_of_proc() {
    if !is_root() {
        return crate::scratch::skipped("without_rights_everything_is_of_proc", "this is not root");
    }
    let Some((_folder, program)) = for_everybody("without_rights_everything_is_of_proc") else { return };
    let script = format!(
        "exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups {} sh -c 'exit 5'",
        program.display()
    );
    let Some(output) = scripted("without_rights_everything_is_of_proc", "setpriv", &script) else { return };
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("no scope ("), "{output:?}");
    for metric in ["cpu.usage_ns", "memory.rss_bytes", "io.read_bytes", "pids"] {
        assert_eq!(source_of(&output, metric), "proc", "{metric}");
    }
}

/// A user to whom a subtree was delegated, as a service manager does: CPU time is the kernel's account.
#[test]
fn in_a_delegated_subtree_a_user_has_scopes() {
    let test = "in_a_delegated_subtree_a_user_has_scopes";
    let Some(scratch) = Scratch::new(test) else { return };
    if !is_root() {
        return crate::scratch::skipped(test, "this is not root");
    }
    for file in ["", "cgroup.procs", "cgroup.subtree_control"] {
        chown(scratch.path().join(file), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let Some((_folder, program)) = for_everybody(test) else { return };
    let script = format!(
        "echo 0 > {}/cgroup.procs && exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups {} sh -c 'exit 6'",
        scratch.path().display(),
        program.display()
    );
    let Some(output) = scripted(test, "setpriv", &script) else { return };
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(6), &[][..]), "{output:?}");
    assert_eq!(source_of(&output, "cpu.usage_ns"), "cgroup");
    let left = fs::read_dir(scratch.path()).unwrap().flatten().filter(|entry| entry.path().is_dir()).count();
    assert_eq!(left, 0, "scope and slice are gone");
}

/// A container: a cgroup namespace, and a hierarchy that is read-only.
#[test]
fn under_a_read_only_hierarchy_everything_is_of_proc() {
    let test = "under_a_read_only_hierarchy_everything_is_of_proc";
    if !is_root() {
        return crate::scratch::skipped(test, "this is not root");
    }
    let Ok(hierarchy) = Hierarchy::find() else {
        return crate::scratch::skipped(test, "no cgroup v2 hierarchy is mounted");
    };
    let script = format!(
        "exec unshare --mount --cgroup sh -c 'mount -o remount,bind,ro {} && exec {} sh -c \"exit 7\"'",
        hierarchy.mount().display(),
        entry().display()
    );
    let Some(output) = scripted(test, "unshare", &script) else { return };
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("Read-only file system"), "{output:?}");
    assert_eq!(source_of(&output, "cpu.usage_ns"), "proc");
}

/// Processes of another user: their I/O cannot be read, their memory can, and that they live on is told.
#[test]
fn processes_of_another_user_are_seen_in_part_and_not_ended() {
    let test = "processes_of_another_user_are_seen_in_part_and_not_ended";
    if !is_root() {
        return crate::scratch::skipped(test, "this is not root");
    }
    let mut job = Job::shell("read forever");
    let pid = job.pid();
    let watched_by_nobody = move || {
        let nobody = Uid::from_raw(NOBODY);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        let refused = TreeSubject::new(ProcReader::of_tree(pid).unwrap()).kill().unwrap_err();
        let is_told =
            matches!(refused, TelemetryError::Proc(ProcError::NotSignalled { pid: of, .. }) if of == pid);
        assert!(is_told, "{refused}");
        let subject = TreeSubject::new(ProcReader::of_tree(pid).unwrap());
        let budget = Budget { processes: Some(0), ..Budget::default() };
        let collector = TelemetryCollector::new(TelemetryPolicy::default()).unwrap();
        collector
            .start(Watch::new(EpisodeId::from_u128(1), pid, subject).budget(budget), 0)
            .unwrap()
            .snapshot()
    };
    let snapshot = std::thread::spawn(watched_by_nobody).join().unwrap();
    let said = snapshot.not_ended.unwrap();
    assert!(said.contains(&format!("process {pid} may not be signalled")), "{said}");
    assert!(job.is_running());
    assert_eq!(snapshot.stats.io.read_bytes.source(), MetricSource::Unavailable);
    assert!(snapshot.stats.memory.rss_bytes.get() > Some(0));
}
