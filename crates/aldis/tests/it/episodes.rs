//! `aldis episodes`.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::process::{aldis, text, wait_until};

/// Those whose owner is this process, as `aldis episodes --json` has them.
fn of(owner: u32) -> Option<Value> {
    listed().into_iter().find(|one| one["owner_pid"] == owner)
}

fn listed() -> Vec<Value> {
    let output = aldis(&["episodes", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    told["episodes"].as_array().unwrap().clone()
}

fn by_id(id: &str) -> Option<Value> {
    listed().into_iter().find(|one| one["id"] == id)
}

/// A command under `aldis run`, and its episode; none where there is no cgroup for it.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn running(test: &str) -> Option<(Child, Value)> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_aldis"))
        .args(["run", "--", "sh", "-c", "echo begun; exec sleep 1000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "begun\n");
    let Some(found) = of(child.id()) else {
        eprintln!("skipped: {test}: no cgroup can be made here");
        child.kill().unwrap();
        child.wait().unwrap();
        return None;
    };
    Some((child, found))
}

#[test]
fn what_runs_is_listed_and_what_was_left_behind_is_cleaned() {
    let Some((mut child, found)) = running("what_runs_is_listed_and_what_was_left_behind_is_cleaned") else {
        return;
    };
    let id = found["id"].as_str().unwrap();
    assert_eq!((&found["state"], &found["processes"]), (&"runs".into(), &1.into()));
    assert!(found["cgroup"].as_str().unwrap().ends_with(&format!("/episode-{id}.scope")));
    let table = text(&aldis(&["episodes"]).stdout);
    let line = table.lines().find(|line| line.starts_with(id)).unwrap();
    assert!(table.starts_with("EPISODE ") && line.contains(&format!("process {}", child.id())), "{table}");

    // Of one that runs nothing is taken away.
    let refused = aldis(&["episodes", "clean", id]);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    assert!(text(&refused.stderr).contains("runs this episode"), "{refused:?}");
    assert_eq!(aldis(&["episodes", "clean"]).status.code(), Some(0));
    assert_eq!(by_id(id).unwrap()["processes"], 1);

    child.kill().unwrap();
    child.wait().unwrap();
    // Another run, of another test, may be cleaning up, or have done so.
    wait_until("nobody owns it", || by_id(id).is_none_or(|left| left["state"] == "left_behind"));
    // Whoever else looks at it just then seems to own it, and it is left alone.
    wait_until("it is gone", || {
        let cleaned = aldis(&["episodes", "clean", "--json"]);
        assert_eq!(cleaned.status.code(), Some(0), "{cleaned:?}");
        by_id(id).is_none()
    });
    let unknown = aldis(&["episodes", "clean", id]);
    assert_eq!(unknown.status.code(), Some(4));
    assert!(text(&unknown.stderr).contains(&format!("there is no episode {id}")), "{unknown:?}");
}

#[test]
fn by_force_what_runs_is_ended() {
    let Some((child, found)) = running("by_force_what_runs_is_ended") else { return };
    let id = found["id"].as_str().unwrap();
    let cleaned = aldis(&["episodes", "clean", "--force", id]);
    assert_eq!((cleaned.status.code(), text(&cleaned.stdout)), (Some(0), format!("{id} removed\n")));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(128 + 9), "{output:?}");
    assert!(by_id(id).is_none());
}

/// Whoever follows gets what `--json` writes, from the first sample to the end; an episode without a cgroup, too.
#[test]
fn what_is_streamed_is_followed_to_its_end() {
    // Where sockets are is for each user: this test has a place of its own.
    let runtime = tempfile::tempdir().unwrap();
    let command = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aldis"));
        command.env("XDG_RUNTIME_DIR", runtime.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let told = |arguments: &[&str]| command().args(arguments).output().unwrap();
    let nothing = told(&["episodes", "follow"]);
    assert_eq!(nothing.status.code(), Some(4), "{nothing:?}");
    for place in ["--grace=2s", "--no-cgroup"] {
        let frames = runtime.path().join("frames.jsonl");
        let mut running = command()
            .args(["run", "--stream", place, "--every", "10ms", "--json", frames.to_str().unwrap()])
            .args(["--", "sh", "-c", "echo begun; read line"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let listed = || -> Vec<Value> {
            let listed: Value = serde_json::from_slice(&told(&["episodes", "--json"]).stdout).unwrap();
            let all = listed["episodes"].as_array().unwrap().iter();
            all.filter(|one| one["stream"].is_string()).cloned().collect()
        };
        wait_until("it is streamed", || listed().len() == 1);
        let id = listed()[0]["id"].as_str().unwrap().to_owned();
        assert!(
            text(&told(&["episodes"]).stdout)
                .lines()
                .any(|line| line.starts_with(&id) && line.contains(" yes "))
        );
        let follow = |arguments: &[&str]| {
            let mut follower = command().args(["episodes", "follow"]).args(arguments).spawn().unwrap();
            let mut lines = BufReader::new(follower.stdout.take().unwrap());
            let mut all = String::new();
            lines.read_line(&mut all).unwrap();
            // A reader that does not keep up misses some.
            let rest = std::thread::spawn(move || {
                lines.read_to_string(&mut all).unwrap();
                all
            });
            (follower, rest)
        };
        let followers = [follow(&[&id]), follow(&[])];
        wait_until("there are samples", || {
            std::fs::read_to_string(&frames).is_ok_and(|text| text.lines().count() > 5)
        });
        drop(running.stdin.take());
        let ended = running.wait_with_output().unwrap();
        assert!(
            text(&ended.stderr).starts_with(&format!("aldis run: streamed at {}/", runtime.path().display()))
        );
        let written = std::fs::read_to_string(&frames).unwrap();
        let (summary, written) =
            written.trim_end().rsplit_once('\n').map(|(lines, last)| (last, lines)).unwrap();
        let summary: Value = serde_json::from_str(summary).unwrap();
        for (follower, lines) in followers {
            let lines = lines.join().unwrap();
            let followed = follower.wait_with_output().unwrap();
            assert_eq!(followed.status.code(), Some(0), "{followed:?}");
            let (end, lines) = lines.trim_end().rsplit_once('\n').map(|(lines, last)| (last, lines)).unwrap();
            assert_eq!(lines, written);
            assert!(end.contains(r#""record":"end""#), "{end}");
        }
        assert!(summary["stream"]["readers"].as_u64() >= Some(2), "{summary}");
        assert_eq!(
            (&summary["stream"]["frames_missed"], &summary["episode_id"]),
            (&0.into(), &id.clone().into())
        );
        assert!(listed().is_empty());
        let gone = told(&["episodes", "follow", &id]);
        assert_eq!(gone.status.code(), Some(4), "{gone:?}");
    }
}

#[test]
fn force_is_for_those_that_are_named() {
    for wrong in [&["episodes", "clean", "--force"][..], &["episodes", "clean", "7"]] {
        assert_eq!(aldis(wrong).status.code(), Some(2), "{wrong:?}");
    }
}
