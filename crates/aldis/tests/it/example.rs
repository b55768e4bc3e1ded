//! The examples run.

use std::process::Command;

use crate::process::text;

#[test]
fn basic_usage_sends_one_span() {
    let cargo = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--package", "aldis", "--example", "basic_usage"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(cargo.status.success(), "{}", text(&cargo.stderr));
    let stdout = text(&cargo.stdout);
    assert!(stdout.contains("Events: 1, Dropped: 0"), "{stdout}");
    assert!(stdout.contains("Arrived: 1 span in 1 request; left behind: false"), "{stdout}");
}
