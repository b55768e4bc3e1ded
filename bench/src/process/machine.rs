//! Which machine and which commit a result is from.

use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

/// `bench/results/<date>-<machine>`.
pub(crate) fn results_folder() -> Result<PathBuf, String> {
    let date = answer("date", &["-u", "+%F"]).ok_or("there is no `date`")?;
    let machine = format!("{} {} cores", cpu(), cores());
    Ok(super::root().join("bench/results").join(format!("{date}-{}", slug(&machine))))
}

/// CPU, cores, memory, kernel.
pub(crate) fn describe() -> Value {
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory =
        memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or_default().trim().to_owned();
    json!({ "cpu": cpu(), "cores": cores(), "memory": memory, "kernel": answer("uname", &["-r"]) })
}

/// The commit, with `-dirty` where files differ from it.
pub(crate) fn commit() -> Option<String> {
    answer("git", &["describe", "--always", "--dirty", "--abbrev=12"])
}

fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or("unknown", |(_, name)| name).to_owned()
}

/// How many cores this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn answer(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).current_dir(super::root()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Lower-case words joined by hyphens, without what marks trade.
fn slug(text: &str) -> String {
    let plain = text.to_lowercase().replace("(r)", "").replace("(tm)", "");
    let words: Vec<&str> =
        plain.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
    words.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_a_plain_name() {
        assert_eq!(slug("Intel(R) Xeon(R) CPU @ 2.80GHz 2 cores"), "intel-xeon-cpu-2-80ghz-2-cores");
    }
}
