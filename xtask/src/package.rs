//! `cargo xtask package`: what is shipped, held to what is promised of it: the size of the binary, the unit, the image.
//!
//! Not a test suite: it builds for release, which continuous integration does nowhere.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Most bytes of the installed binary: 15 MiB.
pub const BINARY_BYTES_MAX: u64 = 15 << 20;
/// Most exposure of the unit, in tenths of what `systemd-analyze security` says: 0 is none, 100 is all.
const EXPOSURE_MAX: u32 = 20;
/// Where the packages have the binary.
const INSTALLED: &str = "/usr/bin/aldis";

/// What became of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Well(String),
    Wrong(String),
    /// What it needs is not on this machine.
    NotHere(String),
}

/// Builds, looks at each part, and says what it found. `Ok(false)` when a part is not as promised.
///
/// # Errors
/// The binary does not build.
pub fn command() -> Result<bool, String> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--locked", "--package", "aldis"]).current_dir(crate::root());
    if !cargo.status().is_ok_and(|status| status.success()) {
        return Err("`cargo build --release --package aldis` failed".into());
    }
    let binary = crate::target_dir().join("release/aldis");
    let mut well = true;
    for (part, verdict) in [("binary", size(&binary)), ("unit", unit(&binary)), ("image", image())] {
        let (word, told) = match &verdict {
            Verdict::Well(told) => ("ok", told),
            Verdict::Wrong(told) => ("WRONG", told),
            Verdict::NotHere(told) => ("not looked at", told),
        };
        println!("{part:<8} {word}: {told}");
        well &= !matches!(verdict, Verdict::Wrong(_));
    }
    Ok(well)
}

fn size(binary: &Path) -> Verdict {
    match std::fs::metadata(binary) {
        Ok(file) => sized(file.len()),
        Err(error) => Verdict::Wrong(format!("{}: {error}", binary.display())),
    }
}

fn sized(bytes: u64) -> Verdict {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let told = format!("{:.1} MiB, at most {:.0}", mib(bytes), mib(BINARY_BYTES_MAX));
    if bytes <= BINARY_BYTES_MAX { Verdict::Well(told) } else { Verdict::Wrong(told) }
}

/// What systemd thinks of the unit, whose binary it looks for.
fn unit(binary: &Path) -> Verdict {
    if !answers("systemd-analyze", &["--version"]) {
        return Verdict::NotHere("there is no systemd-analyze".into());
    }
    let copied = copy_of_unit(binary);
    let file = match &copied {
        Ok(file) => file,
        Err(error) => return Verdict::Wrong(error.clone()),
    };
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    let analyses: [&[&str]; 2] = [&["verify", "--man=no"], &["security", "--offline=true", &threshold]];
    for arguments in analyses {
        let output = Command::new("systemd-analyze").args(arguments).arg(file).output();
        match output {
            Ok(output) if output.status.success() => {}
            Ok(output) => {
                let told = [output.stdout, output.stderr].concat();
                return Verdict::Wrong(format!("{}:\n{}", arguments[0], String::from_utf8_lossy(&told)));
            }
            Err(error) => return Verdict::Wrong(error.to_string()),
        }
    }
    Verdict::Well(format!("systemd takes it; exposure at most {:.1} of 10", f64::from(EXPOSURE_MAX) / 10.0))
}

fn copy_of_unit(binary: &Path) -> Result<PathBuf, String> {
    let source = crate::root().join("packaging/aldis.service");
    let unit = std::fs::read_to_string(&source).map_err(|e| format!("{}: {e}", source.display()))?;
    let folder = crate::target_dir().join("package");
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let file = folder.join("aldis.service");
    std::fs::write(&file, unit.replace(INSTALLED, &binary.display().to_string()))
        .map_err(|e| format!("{}: {e}", file.display()))?;
    Ok(file)
}

/// Builds the image where a container engine answers, and asks it for its version.
fn image() -> Verdict {
    const TAG: &str = "aldis:package";
    let Some(engine) = ["docker", "podman"].into_iter().find(|engine| answers(engine, &["info"])) else {
        return Verdict::NotHere("neither docker nor podman answers".into());
    };
    let steps: [&[&str]; 2] =
        [&["build", "--file", "packaging/Dockerfile", "--tag", TAG, "."], &["run", "--rm", TAG, "--version"]];
    for arguments in steps {
        let status = Command::new(engine).args(arguments).current_dir(crate::root()).status();
        if !status.is_ok_and(|status| status.success()) {
            return Verdict::Wrong(format!("`{engine} {}` failed", arguments.join(" ")));
        }
    }
    Verdict::Well(format!("{engine} built {TAG}, and it runs"))
}

fn answers(program: &str, arguments: &[&str]) -> bool {
    let quiet = || Stdio::null();
    let status = Command::new(program).args(arguments).stdout(quiet()).stderr(quiet()).status();
    status.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_may_be_so_large_and_no_larger() {
        assert!(matches!(sized(BINARY_BYTES_MAX), Verdict::Well(_)));
        assert!(matches!(sized(BINARY_BYTES_MAX + 1), Verdict::Wrong(_)));
    }

    #[test]
    fn the_unit_is_copied_with_the_binary_that_was_built() {
        let file = copy_of_unit(Path::new("/there/is/aldis")).unwrap();
        let unit = std::fs::read_to_string(file).unwrap();
        assert!(unit.contains("ExecStart=/there/is/aldis serve") && !unit.contains(INSTALLED));
    }
}
