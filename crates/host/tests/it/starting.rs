//! Commands that the kernel makes in their cgroup.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::Path,
    process::Command,
};

use aldis_host::{EpisodeScope, Placement, StartError, Started};
use rustix::io::Errno;
use tempfile::TempDir;

use crate::{
    processes::eventually,
    scopes::{entry, removed, scope_in, slice_in},
    scratch::{Scratch, skipped},
};

fn start(
    scope: &EpisodeScope,
    words: &[&str],
    changes: &[(&str, Option<String>)],
) -> Result<Started, StartError> {
    Placement::through(&entry(), scope).start(words, changes)
}

/// Runs a script, and returns what it wrote into a file, and its exit code.
fn told(
    scope: &EpisodeScope,
    folder: &TempDir,
    script: &str,
    changes: &[(&str, Option<String>)],
) -> (String, Option<i32>) {
    let file = folder.path().join("told");
    let script = format!("exec > {}; {script}", file.display());
    let code = start(scope, &["sh", "-c", &script, "name", "a b"], changes).unwrap().wait().unwrap().code();
    (fs::read_to_string(file).unwrap(), code)
}

/// Written by another process: what is open for writing here a child of another test that has not begun its program yet would hold open, and
/// nobody can execute it meanwhile.
fn executable(path: &Path, text: &str, mode: u32) {
    let mut shell = Command::new("sh");
    assert!(shell.args(["-c", "printf %s \"$1\" > \"$0\""]).arg(path).arg(text).status().unwrap().success());
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_command_begins_in_its_cgroup_with_what_this_process_has() {
    let Some(scratch) = Scratch::new("a_command_begins_in_its_cgroup_with_what_this_process_has") else {
        return;
    };
    let (scope, folder) = (scope_in(&slice_in(&scratch)), TempDir::new().unwrap());
    let changes = [("ALDIS_ADDED", Some("x=y z".to_owned())), ("HOME", None)];
    let script = "grep ^0:: /proc/self/cgroup; pwd; echo \"$0 $1 $ALDIS_ADDED ${HOME-none}\"; exit 7";
    let (said, code) = told(&scope, &folder, script, &changes);
    let lines: Vec<&str> = said.lines().collect();
    assert!(scope.path().ends_with(lines[0].strip_prefix("0::/").unwrap()), "{said}");
    assert_eq!(Path::new(lines[1]), std::env::current_dir().unwrap());
    assert_eq!((lines[2], code), ("name a b x=y z none", Some(7)));
    let (path, _) = told(&scope, &folder, "printf %s \"$PATH\"", &[]);
    assert_eq!(path, std::env::var("PATH").unwrap());
    removed(&scope);
}

/// What the kernel keeps over `execve`: this process ignores broken pipes, as Rust has it, the command does not.
#[test]
fn a_broken_pipe_ends_a_command_and_descriptors_stay_here() {
    let Some(scratch) = Scratch::new("a_broken_pipe_ends_a_command_and_descriptors_stay_here") else {
        return;
    };
    let (scope, folder) = (scope_in(&slice_in(&scratch)), TempDir::new().unwrap());
    let (said, _) = told(&scope, &folder, "kill -PIPE $$; echo lives", &[]);
    assert_eq!(said, "");
    let (opened, _) = told(&scope, &folder, "ls /proc/self/fd | tr '\\n' ' '", &[]);
    let inherited = Command::new("sh").args(["-c", "ls /proc/self/fd | tr '\\n' ' '"]).output().unwrap();
    assert_eq!(opened, String::from_utf8(inherited.stdout).unwrap());
    removed(&scope);
}

#[test]
fn a_command_is_found_as_a_shell_finds_it() {
    let Some(scratch) = Scratch::new("a_command_is_found_as_a_shell_finds_it") else { return };
    let (scope, folder) = (scope_in(&slice_in(&scratch)), TempDir::new().unwrap());
    let path = |name: &str| folder.path().join(name);
    for name in ["a", "b"] {
        fs::create_dir(path(name)).unwrap();
    }
    executable(&path("a/plain"), "echo no", 0o644);
    executable(&path("b/plain"), "echo $0 $1 > \"$TOLD\"", 0o755);
    let folders = format!("/nowhere:{0}/a:{0}/b", folder.path().display());
    let changes = [("PATH", Some(folders)), ("TOLD", Some(path("told").display().to_string()))];
    // It says no interpreter: the shell is one.
    let ended = start(&scope, &["plain", "word"], &changes).unwrap().wait().unwrap();
    assert!(ended.success());
    assert_eq!(fs::read_to_string(path("told")).unwrap(), format!("{} word\n", path("b/plain").display()));
    for (words, errno) in [
        (&["nothing-like-it"][..], Errno::NOENT),
        (&["/nowhere/at-all"], Errno::NOENT),
        (&[""], Errno::NOENT),
        (&["/etc/passwd"], Errno::ACCESS),
        (&["/etc"], Errno::ACCESS),
    ] {
        let refused = start(&scope, words, &changes).unwrap_err();
        let StartError::Unexecuted(error) = &refused else { panic!("{refused}") };
        assert_eq!(error.raw_os_error(), Some(errno.raw_os_error()), "{words:?}");
    }
    let refused = start(&scope, &["a\0b"], &[]).unwrap_err();
    assert!(matches!(&refused, StartError::Unexecuted(_)), "{refused}");
    removed(&scope);
}

#[test]
fn nothing_starts_where_there_is_no_cgroup() {
    let Some(scratch) = Scratch::new("nothing_starts_where_there_is_no_cgroup") else { return };
    let scope = scope_in(&slice_in(&scratch));
    let placement = Placement::through(&entry(), &scope);
    removed(&scope);
    let refused = placement.start(&["true"], &[]).unwrap_err();
    assert!(matches!(&refused, StartError::Unplaced(_)), "{refused}");
}

/// A cgroup beside one of threads takes no process (cgroups(7), "domain invalid").
fn refusing(scratch: &Scratch, scope: &EpisodeScope) -> bool {
    let beside = scope.path().parent().unwrap().join("of_threads");
    fs::create_dir(&beside).unwrap();
    let refuses = fs::write(beside.join("cgroup.type"), "threaded").is_ok();
    if !refuses {
        skipped(&scratch.path().display().to_string(), "this kernel has no cgroups of threads");
    }
    refuses
}

#[test]
fn an_entry_that_is_not_let_in_is_told_by_an_error_and_nothing_runs() {
    let Some(scratch) = Scratch::new("an_entry_that_is_not_let_in_is_told_by_an_error_and_nothing_runs")
    else {
        return;
    };
    let (scope, folder) = (scope_in(&slice_in(&scratch)), TempDir::new().unwrap());
    if !refusing(&scratch, &scope) {
        return;
    }
    let file = folder.path().join("told");
    let script = format!("echo ran > {}", file.display());
    let placement = Placement::through(&entry(), &scope);
    let words = ["sh", "-c", &script];
    for refused in [placement.start(&words, &[]), placement.start_through_entry(&words, &[])] {
        let refused = refused.unwrap_err();
        assert!(matches!(&refused, StartError::Unplaced(_)), "{refused}");
    }
    assert!(!file.exists());
}

#[test]
fn a_command_that_an_entry_becomes_is_known_by_its_end() {
    let Some(scratch) = Scratch::new("a_command_that_an_entry_becomes_is_known_by_its_end") else { return };
    let scope = scope_in(&slice_in(&scratch));
    let placement = Placement::through(&entry(), &scope);
    // Its own 125 is none of the entry's.
    for (words, code) in [
        (&["sh", "-c", "exit 125"][..], 125),
        (&["sh", "-c", "exit 7"], 7),
        (&["nothing-like-it"], 127),
        (&["/etc/passwd"], 126),
    ] {
        let mut started = placement.start_through_entry(words, &[]).unwrap();
        assert_eq!(started.wait().unwrap().code(), Some(code), "{words:?}");
    }
    let mut sleeping = placement.start_through_entry(&["sleep", "1000"], &[]).unwrap();
    let listed = fs::read_to_string(scope.path().join("cgroup.procs")).unwrap();
    assert_eq!(listed.trim(), sleeping.id().to_string(), "it is there when it is said to be started");
    assert!(!sleeping.is_copy(), "the entry has executed before");
    sleeping.kill().unwrap();
    sleeping.wait().unwrap();
    removed(&scope);
}

#[test]
fn an_end_is_told_as_often_as_it_is_asked_for() {
    let Some(scratch) = Scratch::new("an_end_is_told_as_often_as_it_is_asked_for") else { return };
    let scope = scope_in(&slice_in(&scratch));
    let mut sleeping = start(&scope, &["sleep", "1000"], &[]).unwrap();
    eventually("it lives there", || {
        fs::read_to_string(scope.path().join("cgroup.procs")).unwrap().trim() == sleeping.id().to_string()
    });
    sleeping.kill().unwrap();
    for _ in 0..2 {
        assert_eq!(sleeping.wait().unwrap().signal(), Some(9));
    }
    sleeping.kill().unwrap();
    removed(&scope);
}

/// Other threads take memory, and so its locks, in whatever moment a child is made.
#[test]
fn what_other_threads_hold_holds_up_no_child() {
    let Some(scratch) = Scratch::new("what_other_threads_hold_holds_up_no_child") else { return };
    let scope = scope_in(&slice_in(&scratch));
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    std::hint::black_box(vec![std::env::vars_os().count(); 1000]);
                }
            });
        }
        let codes: Vec<_> =
            (0..100).map(|_| start(&scope, &["true"], &[]).unwrap().wait().unwrap().code()).collect();
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(codes.iter().all(|code| *code == Some(0)));
    });
    removed(&scope);
}
