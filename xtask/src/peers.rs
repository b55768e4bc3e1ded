//! The systems that the benchmarks measure against: an OpenTelemetry Collector built by its own builder from Go modules,
//! with only the components that `bench/collector/manifest.yaml` names, at the versions it pins.

use std::path::PathBuf;
use std::process::Command;

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
    let folder = crate::target_dir().join("peers");
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let manifest =
        std::fs::read_to_string(crate::root().join(MANIFEST)).map_err(|e| format!("{MANIFEST}: {e}"))?;
    let version =
        builder_version(&manifest).ok_or_else(|| format!("{MANIFEST}: no version under `dist:`"))?;
    let output = folder.join("otelcol-build");
    let local = folder.join("manifest.yaml");
    let placed = manifest.replacen("dist:\n", &format!("dist:\n  output_path: {}\n", output.display()), 1);
    std::fs::write(&local, placed).map_err(|e| format!("{}: {e}", local.display()))?;
    run(Command::new("go")
        .arg("install")
        .arg(format!("{BUILDER}@v{version}"))
        .env("GOBIN", folder.join("bin")))?;
    run(Command::new(folder.join("bin/builder")).arg("--config").arg(&local).env("CGO_ENABLED", "0"))?;
    std::fs::copy(output.join("otelcol"), binary()).map_err(|e| format!("{}: {e}", output.display()))?;
    println!("built {}", binary().display());
    Ok(true)
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
