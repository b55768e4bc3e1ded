//! `aldis run`.

mod attached;
mod held;
mod sent;
mod terminal;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use self::held::Held;
use crate::process::{aldis, text, wait_until};

/// Runs a script of the shell, with flags.
fn script(flags: &[&str], script: &str) -> Output {
    aldis(&[&["run"], flags, &["--", "sh", "-c", script]].concat())
}

/// The same with `--json`: the frames and the summary.
fn told(flags: &[&str], script_text: &str) -> (Output, Vec<Value>, Value) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("frames.jsonl");
    let output = script(&[&["--json", file.to_str().unwrap()], flags].concat(), script_text);
    let lines = fs::read_to_string(&file).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    let mut lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = lines.pop().unwrap();
    assert_eq!(summary["record"], "summary");
    (output, lines, summary)
}

fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

/// Whether whoever runs the tests has them ignore a signal.
fn is_ignored(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let bits = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    u64::from_str_radix(bits.trim(), 16).unwrap() & (1 << (signal.as_raw() - 1)) != 0
}

/// With and without a cgroup.
const PLACES: [&[&str]; 2] = [&[], &["--no-cgroup"]];

#[test]
fn a_command_is_run_as_if_it_were_alone() {
    for place in PLACES {
        let mut running = Command::new(env!("CARGO_BIN_EXE_aldis"))
            .arg("run")
            .args(place)
            .args(["sh", "-c", "cat; echo \"$0 $1 $X\"; pwd; echo wrong >&2; exit 3", "a b", "--quiet"])
            .env("X", "y")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        running.stdin.take().unwrap().write_all(b"in\n").unwrap();
        let output = running.wait_with_output().unwrap();
        assert_eq!(text(&output.stdout), "in\na b --quiet y\n/\n");
        assert_eq!(output.status.code(), Some(3));
        let said = text(&output.stderr);
        assert!(said.starts_with("wrong\n") && said.contains(": ended with 3\n"), "{said}");
        for name in ["time", "CPU", "memory", "devices", "processes", "measuring"] {
            assert!(said.lines().any(|line| line.trim_start().starts_with(name)), "{name}: {said}");
        }
    }
    assert_eq!(text(&script(&["--quiet"], "echo wrong >&2").stderr), "wrong\n");
}

/// Whoever waits sees a signal that people send as if they had started the command, and is told of others by the exit code.
#[test]
fn a_signal_that_ended_the_command_ends_what_ran_it() {
    for (name, signal, code) in
        [("TERM", Some(15), None), ("INT", Some(2), None), ("KILL", None, Some(128 + 9))]
    {
        // A shell that is told to ignore it would live on.
        let end = match name {
            "KILL" => "kill -KILL $$".to_owned(),
            _ => format!("exec env --default-signal={name} sh -c 'kill -{name} $$'"),
        };
        let output = script(&["-q"], &end);
        assert_eq!((output.status.signal(), output.status.code()), (signal, code), "{output:?}");
        assert!(output.stderr.is_empty());
    }
    let (output, _, summary) = told(&["-q"], "exec env --default-signal=TERM sh -c 'kill -TERM $$'");
    assert_eq!(
        (output.status.signal(), &summary["exit_code"], &summary["signal"]),
        (Some(15), &143.into(), &15.into())
    );
}

/// What no sample saw is told by the kernel in the end, or not at all.
#[test]
fn a_peak_of_memory_is_the_commands_or_is_not_told() {
    for place in PLACES {
        let (_, _, summary) = told(&[&["-q", "--every", "1h"], place].concat(), "exec true");
        let peak = &summary["metrics"]["memory.peak_bytes"]["value"];
        assert!(peak.is_null() || peak.as_u64().unwrap() > 0, "{summary}");
        let short = "head -c 12000000 /dev/zero | tail -c 11900000 > /dev/null";
        let (_, _, summary) = told(&[&["-q", "--every", "1h"], place].concat(), short);
        let peak = summary["metrics"]["memory.peak_bytes"]["value"].as_u64();
        assert!((11_900_000..30_000_000).contains(&peak.unwrap()), "{summary}");
    }
}

#[test]
fn the_most_processes_are_those_of_any_sample() {
    for place in PLACES {
        let ten = "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 1000 & all=\"$all $!\"; done; echo ready; read line; kill $all";
        let mut held = Held::start(&[&["-q", "--every", "10ms"], place].concat(), ten);
        assert_eq!(held.says(), "ready\n");
        // The next may have been begun before.
        let before = held.frames().len();
        wait_until("they are seen", || held.frames().len() > before + 2);
        let (_, _, summary) = held.go_on();
        assert!(summary["processes_seen"].as_u64().unwrap() >= 10, "{summary}");
    }
}

#[test]
fn what_cannot_be_run_is_told_as_a_shell_does() {
    for place in PLACES {
        for (program, code) in [("/nowhere/at-all", 127), ("/etc/passwd", 126)] {
            let output = aldis(&[&["run"], place, &[program]].concat());
            assert_eq!(output.status.code(), Some(code), "{output:?}");
            assert!(text(&output.stderr).contains(&format!("{program}: ")), "{output:?}");
        }
    }
    for (flags, said) in [
        (&["--json", "/nowhere/frames"][..], "/nowhere/frames: "),
        (&["--record", "/nowhere/record"], "/nowhere/record: "),
    ] {
        let output = script(flags, "echo run");
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(125), &[][..]), "{output:?}");
        assert!(text(&output.stderr).contains(said), "{output:?}");
    }
    for flags in [
        &["--every", "0s"][..],
        &["--every", "2h"],
        &["--every", "1500us"],
        &["--budget-memory", "5 apples"],
        &["--limit-processes", "0"],
        &["--json", "-"],
        &["--record", "-"],
    ] {
        assert_eq!(script(flags, "true").status.code(), Some(2), "{flags:?}");
    }
    assert_eq!(aldis(&["run"]).status.code(), Some(2));
}

#[test]
fn every_sample_is_a_line_and_the_last_is_the_summary() {
    for place in PLACES {
        let burn = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; exit 4";
        let (output, frames, summary) = told(&[place, &["--every", "5ms"]].concat(), burn);
        assert_eq!(output.status.code(), Some(4));
        let numbers: Vec<u64> = frames.iter().map(|frame| frame["seq"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (0..frames.len() as u64).collect::<Vec<_>>());
        let flag = |frame: &Value, name: &str| frame["o11y_flags"][name].as_bool().unwrap();
        assert!(flag(&frames[0], "initial") && flag(frames.last().unwrap(), "terminal"));
        assert_eq!(frames.iter().filter(|frame| flag(frame, "terminal")).count(), 1);
        assert_eq!((&summary["exit_code"], &summary["end"]), (&4.into(), &"failed".into()));
        assert_eq!((&summary["samples"], &summary["samples_missed"]), (&frames.len().into(), &0.into()));
        let used = &summary["metrics"]["cpu.usage_ns"];
        assert!(used["value"].as_u64() > Some(0), "{summary}");
        assert_eq!(used["value"], frames.last().unwrap()["cpu_ns"]);
        let has_none = summary["no_cgroup"].is_string();
        assert_eq!(used["source"], if has_none { "proc" } else { "cgroup" }, "{summary}");
        assert!(has_none || place.is_empty());
        assert_eq!(summary["command"][0], "sh");
    }
}

/// What is written is what `docs/formats/episodes.md` says, field by field.
#[test]
fn every_field_is_described() {
    let page = include_str!("../../../../docs/formats/episodes.md");
    let part =
        |name: &str| page.split(&format!("\n## {name}\n")).nth(1).unwrap().split("\n## ").next().unwrap();
    let described = |part: &str| -> Vec<String> {
        let rows = part.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
        let names = rows.flat_map(|row| row.split(", ")).map(|name| name.trim_matches('`').to_owned());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    };
    let keys = |line: &Value| -> Vec<String> {
        let mut keys: Vec<String> = line.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    let (_, frames, summary) = told(&[], "true");
    assert_eq!(keys(&frames[0]), described(part("Frame")));
    assert_eq!(keys(&summary), described(part("Summary")));
    let metrics = part("Summary").lines().find(|line| line.starts_with("| `metrics`")).unwrap();
    for name in keys(&summary["metrics"]) {
        assert!(metrics.contains(&format!("`{name}`")), "{name}");
    }
    for flag in keys(&frames[0]["o11y_flags"]) {
        assert!(part("Frame").contains(&format!("`{flag}`")), "{flag}");
    }
}

#[test]
fn a_budget_that_is_used_up_ends_everything() {
    let burn = "echo $$; while :; do :; done & echo $!; while :; do :; done";
    for place in PLACES {
        for (budget, kind) in [
            (["--budget-cpu", "150ms"], "cpu_ms"),
            (["--budget-wall", "150ms"], "wall_ms"),
            (["--budget-processes", "1"], "processes"),
            (["--budget-memory", "4KiB"], "mem_peak_bytes"),
        ] {
            let (output, frames, summary) = told(&[place, &budget, &["--every", "10ms"]].concat(), burn);
            assert_eq!(output.status.code(), Some(124), "{kind} {}", text(&output.stderr));
            assert_eq!(summary["exhausted"]["budget"], kind, "{summary}");
            assert_eq!((&summary["exit_code"], &summary["end"]), (&124.into(), &"budget_exhausted".into()));
            assert!(frames.last().unwrap()["o11y_flags"]["terminal"].as_bool().unwrap());
            assert!(text(&output.stderr).contains("ended, as its budget is used up: "), "{output:?}");
            wait_until("all have ended", || !text(&output.stdout).lines().any(is_alive));
        }
    }
}

/// How often samples are asked for changes nothing of that.
#[test]
fn a_budget_of_a_level_is_watched_however_rarely_samples_are_wanted() {
    for place in PLACES {
        let flags = [place, &["--every", "1h", "--budget-processes", "2"]].concat();
        let (output, ..) = told(&flags, "sleep 1000 & sleep 1000 & sleep 1000; echo lives");
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(124), &[][..]), "{output:?}");
    }
}

/// What the kernel counts of devices is another's account where a file system has none.
#[test]
fn a_budget_of_bytes_is_one_of_devices() {
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = folder.path().join("file");
    let write = format!("dd if=/dev/zero of={} bs=1M count=64 conv=fsync 2>&1; sleep 1000", file.display());
    let (output, _, summary) =
        told(&["--budget-io", "1MiB", "--budget-wall", "20s", "--every", "10ms"], &write);
    assert_eq!(output.status.code(), Some(124));
    if summary["exhausted"]["budget"] == "wall_ms" {
        eprintln!(
            "skipped: a_budget_of_bytes_is_one_of_devices: this file system counts no bytes of devices"
        );
        return;
    }
    assert_eq!(summary["exhausted"]["budget"], "bytes_io", "{summary}");
}

/// A budget of the measuring ends the measuring.
#[test]
fn a_command_goes_on_when_measuring_it_has_cost_enough() {
    let is_over = |frame: &Value| frame["o11y_flags"]["terminal"] == true;
    let held = Held::start(&["--budget-measuring", "1ms", "--every", "1ms"], "read line; echo done; exit 6");
    wait_until("it is not measured any more", || held.frames().last().is_some_and(is_over));
    let (output, frames, summary) = held.go_on();
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(6), "done\n".to_owned()));
    assert_eq!(summary["exhausted"]["budget"], "sampler_cpu_ms", "{summary}");
    assert!(text(&output.stderr).contains("not measured to its end"), "{output:?}");
    assert!(is_over(frames.last().unwrap()));
}

#[test]
fn signals_are_the_commands() {
    for place in PLACES {
        for (signal, name) in [
            (Signal::TERM, "TERM"),
            (Signal::INT, "INT"),
            (Signal::TSTP, "TSTP"),
            (Signal::USR1, "USR1"),
            (Signal::HUP, "HUP"),
        ] {
            if is_ignored(signal) {
                // As behind `nohup`: then nobody hears it, and no shell may.
                continue;
            }
            let wait = format!(
                "trap 'echo got; exit 9' {name}; echo ready; i=0; while [ $i -lt 30000 ]; do sleep 0.01; i=$((i+1)); done"
            );
            let mut running = Command::new(env!("CARGO_BIN_EXE_aldis"))
                .args(["run", "--quiet"])
                .args(place)
                .args(["sh", "-c", &wait])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut said = BufReader::new(running.stdout.take().unwrap());
            let mut line = String::new();
            said.read_line(&mut line).unwrap();
            assert_eq!(line, "ready\n");
            kill_process(Pid::from_child(&running), signal).unwrap();
            let mut rest = String::new();
            said.read_to_string(&mut rest).unwrap();
            assert_eq!(
                (rest.as_str(), running.wait().unwrap().code()),
                ("got\n", Some(9)),
                "{name} {place:?}"
            );
        }
    }
}

/// What whoever starts it has it ignore, the command ignores, as behind `nohup`.
#[test]
fn what_is_ignored_stays_ignored() {
    let line = "trap '' HUP; exec \"$0\" run --quiet -- sh -c 'kill -HUP $$; echo lives'";
    let output = Command::new("sh").args(["-c", line, env!("CARGO_BIN_EXE_aldis")]).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "lives\n".to_owned()));
}

#[test]
fn limits_are_held_or_told() {
    let flags = ["--limit-memory", "1GiB", "--limit-cpu", "1.5", "--limit-processes", "100"];
    let find = "d=$(grep cgroup2 /proc/mounts | head -1 | cut -d' ' -f2)$(grep ^0:: /proc/self/cgroup | cut -d: -f3); \
                cat $d/memory.max $d/cpu.max $d/pids.max 2>&1";
    let output = script(&flags, find);
    let (held, said) = (text(&output.stdout), text(&output.stderr));
    for (file, value) in [("memory.max", "1073741824"), ("cpu.max", "150000 100000"), ("pids.max", "100")] {
        let is_held = held.lines().any(|line| line == value);
        let is_told = said.contains(&format!("{file} is not there")) || said.contains("no limit is held");
        assert!(is_held != is_told, "{file}: {held} {said}");
    }
    let without = script(&["--limit-memory", "1GiB", "--no-cgroup"], "true");
    assert!(text(&without.stderr).contains("warning: no limit is held"), "{without:?}");
}

#[test]
fn what_went_before_a_bad_end_is_recorded() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("record.jsonl");
    let flags = ["--quiet", "--record", file.to_str().unwrap()];
    script(&flags, "exit 0");
    let words = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| line["record"].as_str().unwrap_or("frame").to_owned()).collect()
    };
    assert_eq!(words(&fs::read_to_string(&file).unwrap()), ["end"], "there is nothing to tell of a good end");
    script(&flags, "exit 1");
    let both = fs::read_to_string(&file).unwrap();
    let found = words(&both);
    assert_eq!((found[1].as_str(), found.last().unwrap().as_str()), ("promotion", "end"), "{both}");
    assert!(found[2..found.len() - 1].iter().all(|word| word == "frame") && found.len() >= 5, "{both}");
    assert!(both.contains(r#""trigger":"abnormal_end""#) && both.contains(r#""reason":"failed""#), "{both}");
}

#[test]
fn processes_that_are_left_behind_are_ended() {
    let (output, _, summary) = told(&["--grace", "10ms"], "setsid sleep 1000 > /dev/null 2>&1 & echo $!");
    if summary["no_cgroup"].is_string() {
        eprintln!("skipped: processes_that_are_left_behind_are_ended: {}", summary["no_cgroup"]);
        return;
    }
    assert_eq!((output.status.code(), &summary["left_over_ended"]), (Some(0), &true.into()));
    wait_until("it has ended", || !is_alive(&text(&output.stdout)));
    assert!(text(&output.stderr).contains("processes that it left behind were ended"), "{output:?}");
}

/// What a command has started and does not wait for comes to its end if it does so soon.
#[test]
fn what_ends_soon_after_the_command_is_not_ended() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("log");
    let tail = format!("(sleep 0.2; echo hello > {}) > /dev/null 2>&1 & exit 0", log.display());
    for place in PLACES {
        let (output, _, summary) = told(&[place, &["--grace", "30s"]].concat(), &tail);
        assert_eq!((output.status.code(), &summary["left_over_ended"]), (Some(0), &false.into()));
        wait_until("it was written", || fs::read_to_string(&log).is_ok_and(|text| text == "hello\n"));
        fs::remove_file(&log).unwrap();
    }
}

/// Whoever waits for what was left behind can be called back, and misses no sample meanwhile.
#[test]
fn a_signal_ends_the_waiting_for_what_was_left_behind() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("frames.jsonl");
    let mut running = Command::new(env!("CARGO_BIN_EXE_aldis"))
        .args(["run", "--grace", "1h", "--every", "4ms", "--json", file.to_str().unwrap(), "--", "sh", "-c"])
        .arg("setsid sleep 1000 > /dev/null 2>&1 & echo $!")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut left = String::new();
    BufReader::new(running.stdout.take().unwrap()).read_line(&mut left).unwrap();
    wait_until("there are more samples than are kept", || {
        running.try_wait().unwrap().is_some()
            || fs::read_to_string(&file).is_ok_and(|text| text.lines().count() > 1000)
    });
    let _ = kill_process(Pid::from_child(&running), Signal::TERM);
    let output = running.wait_with_output().unwrap();
    let summary: Value =
        serde_json::from_str(fs::read_to_string(&file).unwrap().lines().last().unwrap()).unwrap();
    if summary["no_cgroup"].is_string() {
        eprintln!("skipped: a_signal_ends_the_waiting_for_what_was_left_behind: {}", summary["no_cgroup"]);
        let _ = kill_process(Pid::from_raw(left.trim().parse().unwrap()).unwrap(), Signal::KILL);
        return;
    }
    assert_eq!((output.status.code(), &summary["left_over_ended"]), (Some(0), &true.into()), "{output:?}");
    assert_eq!(summary["samples_missed"], 0, "{summary}");
    wait_until("it has ended", || !is_alive(&left));
}

/// A disk that is full costs lines, and tears none that is read.
#[test]
fn a_full_disk_is_told() {
    let output = script(&["--json", "/dev/full"], "exit 3");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(text(&output.stderr).contains("warning: /dev/full: No space left on device"), "{output:?}");
}

/// A caller that ignores its children's ends (`signal(SIGCHLD, SIG_IGN)` in Python) has the command's end told all the same.
#[test]
fn whoever_does_not_wait_for_children_is_told() {
    let line = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])";
    let arguments = ["-c", line, env!("CARGO_BIN_EXE_aldis"), "run", "-q", "--", "sh", "-c", "exit 7"];
    let Ok(output) = Command::new("python3").args(arguments).output() else {
        eprintln!("skipped: whoever_does_not_wait_for_children_is_told: there is no python3");
        return;
    };
    assert_eq!(output.status.code(), Some(7), "{output:?}");
}
