//! Debian's packages, unpacked and not installed: nothing outside the target folder changes.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::sdk;

/// The folder into which a package was unpacked, now or before.
pub(crate) fn unpacked(package: &str) -> Result<PathBuf, String> {
    sdk::require("apt-get", &["--version"])?;
    sdk::require("dpkg-deb", &["--version"])?;
    let folder = sdk::work_dir()?.join(package);
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    sdk::set_up_once(&folder.join("unpacked"), package, || {
        // A machine whose lists are old asks for a version that is gone.
        if download(&folder, package).is_err() {
            sdk::set_up(Command::new("apt-get").args(["update", "--quiet"]))?;
            sdk::again(|| download(&folder, package))?;
        }
        let entries = std::fs::read_dir(&folder).map_err(|e| e.to_string())?.flatten();
        let file =
            entries.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "deb"));
        let file = file.ok_or("apt-get downloaded no package")?;
        sdk::set_up(Command::new("dpkg-deb").arg("-x").arg(file).arg(&folder))
    })?;
    Ok(folder)
}

/// Fetches the package into the folder.
fn download(folder: &Path, package: &str) -> Result<(), String> {
    // `apt-get download` writes to where it runs, and says in vain that it would rather be another user.
    let script = "cd \"$1\" && apt-get download --quiet \"$2\"";
    sdk::set_up_at_once(Command::new("sh").args(["-c", script, "sh"]).arg(folder).arg(package))
}
