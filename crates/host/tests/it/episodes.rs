//! Episodes that live, and those that were left behind.

use std::{fs, os::unix::fs::PermissionsExt, time::SystemTime};

use aldis_host::{CgroupError, EpisodeEntry, Owner, Slice, list_episodes};

use rustix::process::Uid;

use crate::{
    processes::eventually,
    scopes::{placed, removed, scope_in, slice_in},
    scratch::{Scratch, skipped},
};

fn of(slice: &Slice, path: &std::path::Path) -> EpisodeEntry {
    let found = slice.episodes().unwrap();
    found.into_iter().find(|entry| entry.path() == path).expect("it is listed")
}

#[test]
fn episodes_are_listed_with_their_owners_and_processes() {
    let Some(scratch) = Scratch::new("episodes_are_listed_with_their_owners_and_processes") else { return };
    let slice = slice_in(&scratch);
    assert!(slice.episodes().unwrap().is_empty(), "there is no slice yet");
    let before = SystemTime::now() - std::time::Duration::from_secs(1);
    let (kept, dropped) = (scope_in(&slice), scope_in(&slice));
    // One of an episode that ran the other, and something that is none.
    let within = scope_in(&Slice::new(kept.path(), "aldis.slice").unwrap());
    fs::create_dir(slice.path().join("something else")).unwrap();
    let mut children: Vec<_> = (0..2).map(|_| placed(&dropped, "exec sleep 1000").spawn().unwrap()).collect();
    eventually("two live in it", || of(&slice, dropped.path()).processes() == Some(2));
    let path = dropped.path().to_path_buf();
    drop(dropped);
    // A child of another test that has not begun its program yet has the lock too.
    eventually("nobody owns it", || of(&slice, &path).owner() == Owner::Gone);
    assert_eq!(slice.episodes().unwrap().len(), 3);
    let (owned, left) = (of(&slice, kept.path()), of(&slice, &path));
    assert_eq!((owned.id(), owned.processes()), (kept.id(), Some(0)));
    assert_eq!(owned.owner(), Owner::Lives { pid: Some(std::process::id()) });
    assert_eq!((left.owner(), left.processes()), (Owner::Gone, Some(2)));
    assert_eq!(of(&slice, within.path()).id(), within.id());
    let made = left.made().unwrap();
    assert!(made >= before && made <= SystemTime::now(), "{made:?} after {before:?}");
    let everywhere = list_episodes().unwrap();
    for one in [&owned, &left] {
        let found = everywhere.iter().find(|entry| entry.path() == one.path()).unwrap();
        assert_eq!((found.id(), found.made()), (one.id(), one.made()));
    }
    // Whoever lists the episodes of the machine has it for a moment.
    eventually("it is removed", || match left.remove() {
        Err(CgroupError::Owned { .. } | CgroupError::Busy { .. }) => false,
        other => other.map(|()| true).unwrap(),
    });
    assert!(!path.exists() && kept.path().exists());
    assert!(children.iter_mut().all(|child| !child.wait().unwrap().success()), "killed");
    left.remove().unwrap();
    removed(&within);
    removed(&kept);
}

#[test]
fn an_episode_whose_owner_lives_is_removed_by_force_alone() {
    let Some(scratch) = Scratch::new("an_episode_whose_owner_lives_is_removed_by_force_alone") else {
        return;
    };
    let slice = slice_in(&scratch);
    let scope = scope_in(&slice);
    let mut child = placed(&scope, "exec sleep 1000").spawn().unwrap();
    eventually("it is in its scope", || scope.is_populated().unwrap());
    let entry = of(&slice, scope.path());
    let refused = entry.remove().unwrap_err();
    let own = std::process::id();
    assert!(matches!(&refused, CgroupError::Owned { pid, .. } if *pid == Some(own)), "{refused}");
    assert!(refused.to_string().contains(&format!("process {own} runs this episode")), "{refused}");
    assert!(child.try_wait().unwrap().is_none() && scope.path().exists(), "unharmed");
    entry.remove_from_its_owner().unwrap();
    assert!(!child.wait().unwrap().success() && !scope.path().exists());
    entry.remove_from_its_owner().unwrap();
    removed(&scope);
}

/// One that this user may not look into is listed by its name alone, and nobody is said to have left it.
#[test]
fn of_a_scope_that_is_closed_to_others_the_owner_is_unknown() {
    let test = "of_a_scope_that_is_closed_to_others_the_owner_is_unknown";
    let Some(scratch) = Scratch::new(test) else { return };
    if !rustix::process::geteuid().is_root() {
        return skipped(test, "this is not root");
    }
    let slice = slice_in(&scratch);
    let scope = scope_in(&slice);
    fs::set_permissions(scope.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let path = scope.path().to_path_buf();
    let asked = std::thread::spawn(move || {
        let nobody = Uid::from_raw(65534);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        let found = of(&slice, &path);
        (found.remove().is_err(), found)
    });
    let (refused, found) = asked.join().unwrap();
    assert_eq!((found.id(), found.owner()), (scope.id(), Owner::Unknown));
    assert_eq!((found.processes(), found.made()), (None, None));
    assert!(refused && scope.path().exists());
    removed(&scope);
}
