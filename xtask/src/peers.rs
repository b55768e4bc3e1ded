//! The systems that the benchmarks measure against: an OpenTelemetry Collector built by its own builder from Go modules,
//! with only the components that `bench/collector/manifest.yaml` names, at the versions it pins.

use std::path::PathBuf;
use std::process::{Command, Stdio};

const MANIFEST: &str = "bench/collector/manifest.yaml";
const BUILDER: &str = "go.opentelemetry.io/collector/cmd/builder";

/// Where the built Collector is: `<target>/peers/otelcol`.
pub fn binary() -> PathBuf {
    crate::target_dir().join("peers/otelcol")
}

/// `cargo xtask peers`.
///
/// # Errors
/// There is no Go toolchain, a module cannot be fetched, or the manifest has no builder version.
pub fn command() -> Result<bool, String> {
    build(MANIFEST, "otelcol")?;
    println!("built {}", binary().display());
    Ok(true)
}

/// `cargo xtask peers otel-arrow`: the dataflow engine of the OpenTelemetry Arrow project, from its published crates, as
/// `<target>/peers/otel-arrow`. Nothing but one row of the benchmarks asks for it.
///
/// # Errors
/// A crate cannot be fetched, or it does not build.
pub fn otel_arrow() -> Result<bool, String> {
    let folder = crate::target_dir().join("peers");
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let built = folder.join("otel-arrow-build");
    run(Command::new("cargo")
        .args(["build", "--release", "--locked", "--target-dir"])
        .arg(&built)
        .current_dir(crate::root().join("bench/otel-arrow")))?;
    let (from, to) = (built.join("release/otel-arrow"), folder.join("otel-arrow"));
    std::fs::copy(&from, &to).map_err(|e| format!("{}: {e}", from.display()))?;
    println!("built {}", to.display());
    Ok(true)
}

/// `cargo xtask peers episodes`: programs that tell what a command has used, as `<target>/peers/episodes/bin/NAME`, and psutil in
/// `<target>/peers/episodes/venv`. What cannot be had is told, and left out of the measurement.
///
/// # Errors
/// A folder cannot be made.
pub fn episodes() -> Result<bool, String> {
    const REQUIREMENTS: &str = "bench/src/episodes/requirements.txt";
    let folder = crate::target_dir().join("peers/episodes");
    let programs = folder.join("bin");
    std::fs::create_dir_all(&programs).map_err(|e| format!("{}: {e}", programs.display()))?;
    let mut complete = true;
    let mut tell = |name: &str, outcome: Result<(), String>| match outcome {
        Ok(()) => println!("there: {name}"),
        Err(reason) => {
            complete = false;
            println!("cannot be had: {name}: {reason}");
        }
    };
    for (package, name) in [("time", "time"), ("hyperfine", "hyperfine"), ("linux-perf", "perf")] {
        let fetched = || {
            let from = crate::suites::debian::unpacked(package)?.join("usr/bin").join(name);
            std::fs::copy(&from, programs.join(name)).map_err(|e| format!("{}: {e}", from.display()))?;
            // One that lacks libraries of its own package's needs says so here.
            run(Command::new(programs.join(name)).arg("--version").stdout(Stdio::null()))
        };
        tell(name, fetched().inspect_err(|_| drop(std::fs::remove_file(programs.join(name)))));
    }
    let venv = folder.join("venv");
    let psutil = || {
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        let mut pip = Command::new(venv.join("bin/python"));
        run(pip.args(["-m", "pip", "install", "--quiet", "-r"]).arg(crate::root().join(REQUIREMENTS)))
    };
    tell("psutil", psutil());
    Ok(complete)
}

/// A Collector with every component that Aldis has too, as `tests/configs/collector.yaml` says; built unless it is there.
///
/// # Errors
/// As [`command`].
pub fn with_all_components() -> Result<PathBuf, String> {
    const ALL: &str = "tests/configs/collector.yaml";
    let folder = crate::target_dir().join("peers");
    let (binary, stamp) = (folder.join("otelcol-all"), folder.join("otelcol-all.manifest"));
    let manifest = read(ALL)?;
    if !binary.exists() || std::fs::read_to_string(&stamp).ok().as_ref() != Some(&manifest) {
        build(ALL, "otelcol-all")?;
        std::fs::write(&stamp, manifest).map_err(|e| format!("{}: {e}", stamp.display()))?;
    }
    Ok(binary)
}

fn read(manifest: &str) -> Result<String, String> {
    std::fs::read_to_string(crate::root().join(manifest)).map_err(|e| format!("{manifest}: {e}"))
}

/// Builds the Collector of a manifest into `<target>/peers` under this name.
fn build(manifest: &str, name: &str) -> Result<(), String> {
    let folder = crate::target_dir().join("peers");
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let text = read(manifest)?;
    let version = builder_version(&text).ok_or_else(|| format!("{manifest}: no version under `dist:`"))?;
    let output = folder.join(format!("{name}-build"));
    let local = folder.join(format!("{name}.yaml"));
    let placed = text.replacen("dist:\n", &format!("dist:\n  output_path: {}\n", output.display()), 1);
    std::fs::write(&local, placed).map_err(|e| format!("{}: {e}", local.display()))?;
    run(Command::new("go")
        .arg("install")
        .arg(format!("{BUILDER}@v{version}"))
        .env("GOBIN", folder.join("bin")))?;
    run(Command::new(folder.join("bin/builder")).arg("--config").arg(&local).env("CGO_ENABLED", "0"))?;
    std::fs::copy(output.join("otelcol"), folder.join(name))
        .map_err(|e| format!("{}: {e}", output.display()))?;
    Ok(())
}

/// The builder has the version of the distribution: the Collector releases both together.
fn builder_version(manifest: &str) -> Option<&str> {
    let dist = manifest.lines().skip_while(|line| line.trim_end() != "dist:").skip(1);
    let mut dist = dist.take_while(|line| line.starts_with(' '));
    dist.find_map(|line| line.trim().strip_prefix("version: ")).map(str::trim)
}

fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|e| format!("{command:?}: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_pins_the_builder() {
        assert_eq!(builder_version("x: 1\ndist:\n  name: a\n  version: 1.2.3\nreceivers:\n"), Some("1.2.3"));
        assert_eq!(builder_version("dist:\n  name: a\nother:\n  version: 1.2.3\n"), None);
        let ours = std::fs::read_to_string(crate::root().join(MANIFEST)).unwrap();
        assert!(builder_version(&ours).is_some());
    }
}
