//! Configurations held against what others read in them: `tests/configs/configs.py`.

use std::process::Command;

use super::Tally;
use super::run::watched;
use super::sdk::{self, SetUp, TEST_LIMIT};

pub(super) fn run() -> Tally {
    let tools = match sdk::tools() {
        Ok(tools) => tools,
        Err(SetUp::Missing(reason)) => return Tally::not_run(reason),
        Err(SetUp::Broken) => return Tally::one(false),
    };
    let collector =
        sdk::require("go", &["version"]).and_then(|()| sdk::again(crate::peers::with_all_components));
    let collector = match collector {
        Ok(collector) => collector,
        Err(reason) => return Tally::not_run(reason),
    };
    let root = crate::root();
    let mut driver = Command::new(&tools.python);
    driver
        .arg("-u")
        .arg(root.join("tests/configs/configs.py"))
        .arg("--aldis")
        .arg(&tools.aldis)
        .arg("--collector")
        .arg(&collector)
        .arg(&root);
    let ended = watched(&mut driver, TEST_LIMIT, |_| true);
    let mut tally = sdk::closing_line(&ended.lines).unwrap_or_default();
    if !ended.success && tally.failed == 0 {
        tally.failed = 1;
    }
    tally
}
