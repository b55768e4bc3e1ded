//! Where systemd owns the hierarchy.

use std::process::{Command, Output};

use super::example;

/// Runs the example `episode` in a scope of systemd's.
fn in_a_scope_of_systemd(properties: &[&str]) -> Output {
    let mut command = Command::new("systemd-run");
    command.args(["--scope", "--quiet", "--collect"]).args(properties);
    command.arg(example("episode")).arg(example("burden")).args("--cpu 50 --anon 16".split(' '));
    command.output().unwrap()
}

fn source_of(output: &Output, metric: &str) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said.lines().find(|line| line.starts_with(&format!("{metric} ")));
    let line = line.unwrap_or_else(|| panic!("no {metric} in {output:?}"));
    line.rsplit(' ').next().unwrap().to_owned()
}

/// A subtree that systemd leaves to the program: everything is the kernel's account.
#[test]
fn a_delegated_scope_tells_everything() {
    let output = in_a_scope_of_systemd(&["-p", "Delegate=yes"]);
    assert!(output.status.success(), "{output:?}");
    for metric in ["cpu.usage_ns", "memory.rss_bytes", "memory.peak_bytes", "io.write_bytes", "pids"] {
        assert_eq!(source_of(&output, metric), "cgroup", "{metric}: {output:?}");
    }
}

/// A subtree that systemd keeps for itself is not touched beyond a scope for the job: controllers are not enabled there.
#[test]
fn a_scope_that_is_not_delegated_tells_cpu_time() {
    let output = in_a_scope_of_systemd(&[]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(source_of(&output, "cpu.usage_ns"), "cgroup", "{output:?}");
    assert_eq!(source_of(&output, "memory.rss_bytes"), "proc", "{output:?}");
}
