//! Scopes of episodes on the real kernel, from their making to their end.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use aldis_host::{
    CgroupError, EpisodeId, EpisodeScope, Leftover, MissingController, OsResourceLimits, Placement,
    PlacementError, Slice, UnsetLimit, create_episode_scope, limits::MAX_CGROUP_PATH_LEN, placement,
    remove_episode_scope,
};

use crate::{processes::eventually, scratch::Scratch};

/// The example, which is prepared to place commands. Cargo builds it with the tests.
pub(crate) fn entry() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built = test.parent().and_then(Path::parent).unwrap().join("examples/episode");
    assert!(built.exists(), "{} is not there: run `cargo test -p aldis-host`", built.display());
    built
}

/// A slice of a test's own.
pub(crate) fn slice_in(scratch: &Scratch) -> Slice {
    Slice::new(scratch.path(), "aldis.slice").unwrap()
}

pub(crate) fn scope_in(slice: &Slice) -> EpisodeScope {
    create_episode_scope(slice, EpisodeId::random().unwrap(), &OsResourceLimits::default()).unwrap()
}

pub(crate) fn placed(scope: &EpisodeScope, script: &str) -> std::process::Command {
    let mut command = Placement::through(&entry(), scope).command("sh");
    command.args(["-c", script]).stdin(Stdio::null());
    command
}

/// Ends it. On a machine that has no time for those who were killed, it is asked for once more.
pub(crate) fn removed(scope: &EpisodeScope) {
    eventually("it is removed", || match remove_episode_scope(scope) {
        Err(CgroupError::Busy { .. }) => false,
        other => other.map(|()| true).unwrap(),
    });
}

fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

#[test]
fn a_scope_is_where_it_is_said_to_be_and_goes() {
    let Some(scratch) = Scratch::new("a_scope_is_where_it_is_said_to_be_and_goes") else { return };
    let slice = Slice::new(scratch.path(), "apm2.slice").unwrap();
    let id: EpisodeId = "018f2d3e-7b1c-4a5b-9c0d-0123456789ab".parse().unwrap();
    let scope = create_episode_scope(&slice, id, &OsResourceLimits::default()).unwrap();
    let expected = scratch.path().join("apm2.slice/episode-018f2d3e-7b1c-4a5b-9c0d-0123456789ab.scope");
    assert_eq!((scope.path(), scope.id()), (expected.as_path(), id));
    assert_eq!(slice.scope_path(id).unwrap(), expected);
    assert!(expected.is_dir() && !scope.is_populated().unwrap());
    let again = create_episode_scope(&slice, id, &OsResourceLimits::default()).unwrap_err();
    assert!(again.to_string().contains("has its scope already"), "{again}");
    remove_episode_scope(&scope).unwrap();
    assert!(!expected.exists() && !slice.path().exists());
    remove_episode_scope(&scope).unwrap();
}

/// The first thing that the command could do shows that it is where it belongs, and so does its account.
#[test]
fn a_command_is_in_its_scope_before_it_executes() {
    let Some(scratch) = Scratch::new("a_command_is_in_its_scope_before_it_executes") else { return };
    let scope = scope_in(&slice_in(&scratch));
    let output =
        Placement::through(&entry(), &scope).command("cat").arg("/proc/self/cgroup").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let name = scope.path().file_name().unwrap().to_str().unwrap();
    assert!(said.lines().any(|line| line.starts_with("0::") && line.ends_with(name)), "{said}");
    assert!(scope.reader().unwrap().read().unwrap().cpu.usage_ns.get() > Some(0));
    let status = placed(&scope, "exit 7").status().unwrap();
    assert_eq!(status.code(), Some(7), "its exit code is its own");
    let output = placed(&scope, "echo $0 $1 $X; pwd; echo no >&2")
        .arg("a b")
        .env("X", "y")
        .current_dir("/")
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "a b y\n/\n");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "no\n");
    removed(&scope);
}

#[test]
fn what_cannot_be_executed_is_told_as_a_shell_does() {
    let Some(scratch) = Scratch::new("what_cannot_be_executed_is_told_as_a_shell_does") else { return };
    let scope = scope_in(&slice_in(&scratch));
    let run = |program: &str| {
        let output = Placement::through(&entry(), &scope).command(program).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = run("/nowhere/at-all");
    assert!(code == placement::EXIT_NOT_FOUND && said.starts_with("/nowhere/at-all: "), "{code} {said}");
    let (code, said) = run("/etc/passwd");
    assert!(code == placement::EXIT_NOT_EXECUTABLE && said.starts_with("/etc/passwd: "), "{code} {said}");
    removed(&scope);
    let (code, said) = run("true");
    assert!(code == placement::EXIT_NOT_PLACED && said.contains("not entered"), "{code} {said}");
}

/// The harness of tests has a `main` of its own.
#[test]
fn a_program_that_is_not_prepared_places_nothing() {
    let Some(scratch) = Scratch::new("a_program_that_is_not_prepared_places_nothing") else { return };
    let scope = scope_in(&slice_in(&scratch));
    assert_eq!(Placement::of(&scope), Err(PlacementError::NotPrepared));
    removed(&scope);
}

#[test]
fn whoever_escapes_its_parents_ends_with_the_scope() {
    let Some(scratch) = Scratch::new("whoever_escapes_its_parents_ends_with_the_scope") else { return };
    let scope = scope_in(&slice_in(&scratch));
    // Double-forked, in a group of its own, deaf to hints.
    let script = "(setsid sh -c 'trap \"\" TERM INT HUP; sleep 1000' & ) ; sleep 1000 & echo $!";
    let output = placed(&scope, script).stdout(Stdio::piped()).spawn().unwrap();
    let members = || fs::read_to_string(scope.path().join("cgroup.procs")).unwrap();
    eventually("two sleep", || {
        let names =
            members().lines().map(|pid| fs::read_to_string(format!("/proc/{pid}/comm"))).collect::<Vec<_>>();
        names.iter().flatten().filter(|name| name.trim() == "sleep").count() == 2
    });
    let pids: Vec<u32> = members().lines().map(|pid| pid.parse().unwrap()).collect();
    // Cgroups that the episode made itself.
    fs::create_dir_all(scope.path().join("inner/most")).unwrap();
    removed(&scope);
    assert!(!scope.path().exists());
    eventually("all have ended", || pids.iter().all(|pid| !is_alive(*pid)));
    drop(output);
}

#[test]
fn what_is_frozen_uses_nothing_until_it_is_thawed() {
    let Some(scratch) = Scratch::new("what_is_frozen_uses_nothing_until_it_is_thawed") else { return };
    let scope = scope_in(&slice_in(&scratch));
    let mut reader = scope.reader().unwrap();
    let mut used = || reader.read().unwrap().cpu.usage_ns.get().unwrap();
    let mut child = placed(&scope, "while :; do :; done").spawn().unwrap();
    eventually("it burns", || used() > 20_000_000);
    eventually("it is frozen", || scope.freeze().unwrap());
    assert!(scope.reader().unwrap().events().unwrap().unwrap().frozen);
    // The kernel may account for the last moment a little later.
    let mut frozen = used();
    eventually("it uses nothing", || {
        std::thread::sleep(std::time::Duration::from_millis(20));
        std::mem::replace(&mut frozen, used()) == frozen
    });
    scope.thaw().unwrap();
    eventually("it burns again", || used() > frozen);
    eventually("it is frozen again", || scope.freeze().unwrap());
    scope.kill().unwrap();
    assert!(!child.wait().unwrap().success(), "what is frozen can be killed");
    removed(&scope);
}

/// Every limit is either in the kernel's file or told as not held.
#[test]
fn limits_are_set_or_told() {
    let Some(scratch) = Scratch::new("limits_are_set_or_told") else { return };
    let limits =
        OsResourceLimits { memory_max_bytes: Some(64 << 20), cpu_millis: Some(500), pids_max: Some(20) };
    let scope = create_episode_scope(&slice_in(&scratch), EpisodeId::random().unwrap(), &limits).unwrap();
    for (file, expected) in [("memory.max", "67108864"), ("cpu.max", "50000 100000"), ("pids.max", "20")] {
        let held = fs::read_to_string(scope.path().join(file)).is_ok_and(|text| text.trim() == expected);
        let told =
            scope.unset_limits().iter().any(|unset| unset.file == file && unset.to_string().contains(file));
        assert!(held != told, "{file}: held {held}, told {told}");
        let controller = file.split('.').next().unwrap();
        let missing = scope.missing_controllers().iter().any(|missing| missing.controller == controller);
        assert_eq!(missing, told, "{file}");
    }
    // Why: a file that is not there, or a kernel that refuses.
    let of_file = |error: &CgroupError| matches!(error, CgroupError::Gone { .. } | CgroupError::Io { .. });
    let unset: &[UnsetLimit] = scope.unset_limits();
    assert!(unset.iter().all(|unset| of_file(&unset.error)), "{unset:?}");
    let of_controller =
        |error: &CgroupError| matches!(error, CgroupError::InvalidPath { .. } | CgroupError::Io { .. });
    let missing: &[MissingController] = scope.missing_controllers();
    assert!(missing.iter().all(|missing| of_controller(&missing.error)), "{missing:?}");
    removed(&scope);
    let wrong = OsResourceLimits { pids_max: Some(0), ..limits };
    let refused = create_episode_scope(&slice_in(&scratch), EpisodeId::random().unwrap(), &wrong);
    assert!(matches!(refused, Err(CgroupError::InvalidLimit { .. })));
}

#[test]
fn leftovers_are_scopes_that_nobody_owns() {
    let Some(scratch) = Scratch::new("leftovers_are_scopes_that_nobody_owns") else { return };
    let slice = slice_in(&scratch);
    assert!(slice.leftovers().unwrap().is_empty(), "there is no slice yet");
    let (kept, dropped) = (scope_in(&slice), scope_in(&slice));
    fs::create_dir(slice.path().join("something else")).unwrap();
    assert!(slice.leftovers().unwrap().is_empty());
    let mut child = placed(&dropped, "sleep 1000").spawn().unwrap();
    eventually("it is in its scope", || dropped.is_populated().unwrap());
    let (id, path) = (dropped.id(), dropped.path().to_path_buf());
    drop(dropped);
    // A child of another test that has not begun its program yet has the lock too.
    let mut left: Vec<Leftover> = Vec::new();
    eventually("nobody owns it", || {
        left = slice.leftovers().unwrap();
        !left.is_empty()
    });
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].scope().id(), left[0].scope().path()), (id, path.as_path()));
    assert!(left[0].scope().is_populated().unwrap());
    assert!(slice.leftovers().unwrap().is_empty(), "somebody has it now");
    left[0].remove().unwrap();
    assert!(!path.exists() && kept.path().exists());
    assert!(!child.wait().unwrap().success());
    removed(&kept);
    assert!(slice.path().exists(), "a slice with something else in it stays");
}

#[test]
fn a_scope_that_somebody_else_removes_is_gone() {
    let Some(scratch) = Scratch::new("a_scope_that_somebody_else_removes_is_gone") else { return };
    let scope = scope_in(&slice_in(&scratch));
    fs::remove_dir(scope.path()).unwrap();
    assert!(matches!(scope.kill(), Err(CgroupError::Gone { .. })));
    assert!(matches!(scope.freeze(), Err(CgroupError::Gone { .. })));
    assert!(matches!(scope.is_populated(), Err(CgroupError::Gone { .. })));
    assert!(matches!(scope.reader(), Err(CgroupError::Gone { .. })));
    remove_episode_scope(&scope).unwrap();
}

/// Slices come and go under those who make scopes in them.
#[test]
fn scopes_are_made_and_removed_side_by_side() {
    let Some(scratch) = Scratch::new("scopes_are_made_and_removed_side_by_side") else { return };
    let slice = slice_in(&scratch);
    // Whoever looks for leftovers may be kept waiting while they hold one: then it stays behind, and another is made.
    let made = || {
        let mut made = None;
        let limits = OsResourceLimits::default();
        eventually("it is made", || {
            match create_episode_scope(&slice, EpisodeId::random().unwrap(), &limits) {
                Err(CgroupError::Busy { .. }) => false,
                other => made.replace(other.unwrap()).is_none(),
            }
        });
        made.unwrap()
    };
    std::thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                for _ in 0..40 {
                    let scope = made();
                    assert!(scope.path().exists());
                    removed(&scope);
                    assert!(!scope.path().exists());
                }
            });
        }
        threads.spawn(|| {
            for _ in 0..40 {
                drop(slice.leftovers().unwrap());
            }
        });
    });
    eventually("the slice went with its last scope", || {
        slice.leftovers().unwrap().iter().for_each(|left| left.remove().unwrap());
        !slice.path().exists()
    });
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let root = Path::new("/sys/fs/cgroup");
    for name in ["", ".", "..", "a/b", "../x", "/x", "a\0", "cgroup.procs", &"n".repeat(256)] {
        assert!(matches!(Slice::new(root, name), Err(CgroupError::InvalidPath { .. })), "{name:?}");
    }
    for root in ["", "a", "/a/../b", "/a/.."] {
        assert!(
            matches!(Slice::new(Path::new(root), "a.slice"), Err(CgroupError::InvalidPath { .. })),
            "{root:?}"
        );
    }
    // Long enough that the scope's name is too much (INV-TL04).
    let deep = PathBuf::from(format!("/{}", vec!["d".repeat(250); 7].join("/")));
    let slice = Slice::new(&deep, &"s".repeat(255)).unwrap();
    assert!(matches!(slice.scope_path(EpisodeId::from_u128(0)), Err(CgroupError::PathTooLong { .. })));
    let refused =
        create_episode_scope(&slice, EpisodeId::from_u128(0), &OsResourceLimits::default()).unwrap_err();
    assert!(
        matches!(refused, CgroupError::PathTooLong { bytes } if bytes > MAX_CGROUP_PATH_LEN),
        "{refused}"
    );
}

#[test]
fn where_no_cgroup_can_be_made_it_is_said() {
    let nowhere = Slice::new(Path::new("/nowhere"), "aldis.slice").unwrap();
    let id = EpisodeId::from_u128(1);
    let refused = create_episode_scope(&nowhere, id, &OsResourceLimits::default()).unwrap_err();
    assert!(matches!(refused, CgroupError::Gone { .. }), "{refused}");
}
