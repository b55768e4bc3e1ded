//! The files of the repository, read once.

use std::path::Path;
use std::process::Command;

/// One file.
#[derive(Debug, Clone)]
pub struct File {
    /// Path from the root, with `/`.
    pub path: String,
    /// Its text; empty for a file that is not UTF-8.
    pub text: String,
}

/// The files of the repository that version control knows or would take.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// Sorted by path.
    pub files: Vec<File>,
}

impl Tree {
    /// Reads the files under `root` that are tracked, or untracked and not ignored.
    ///
    /// # Errors
    /// `git` cannot be run there, or a file cannot be read.
    pub fn read(root: &Path) -> Result<Self, String> {
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .map_err(|e| format!("cannot run git: {e}"))?;
        if !listed.status.success() {
            return Err(format!("git ls-files: {}", String::from_utf8_lossy(&listed.stderr)));
        }
        let paths = String::from_utf8_lossy(&listed.stdout).into_owned();
        let mut files = Vec::new();
        for path in paths.split('\0').filter(|path| !path.is_empty()) {
            // A file that was deleted but not yet committed is still listed.
            let full = root.join(path);
            if full.is_file() {
                let bytes = std::fs::read(&full).map_err(|e| format!("{path}: {e}"))?;
                files.push(File { path: path.into(), text: String::from_utf8(bytes).unwrap_or_default() });
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup_by(|a, b| a.path == b.path);
        Ok(Self { files })
    }

    /// A tree for a test: pairs of path and text.
    pub fn of(files: &[(&str, &str)]) -> Self {
        Self {
            files: files
                .iter()
                .map(|(path, text)| File { path: (*path).into(), text: (*text).into() })
                .collect(),
        }
    }

    /// The text of one file.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    /// Files whose name ends so, for instance `.rs`.
    pub fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.path.ends_with(end))
    }

    /// Whether a file or a folder is at this path.
    pub fn has(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        path.is_empty() || self.files.iter().any(|file| file.path == path || file.path.starts_with(&folder))
    }

    /// The folders that hold a published or unpublished crate: its name (that of the folder) and its manifest.
    pub fn manifests(&self) -> impl Iterator<Item = (&str, &File)> {
        self.files.iter().filter_map(|file| {
            let folder = file.path.strip_suffix("/Cargo.toml")?;
            let name = folder.strip_prefix("crates/").unwrap_or(folder);
            (!name.contains('/') && name != "fuzz").then_some((name, file))
        })
    }
}

impl File {
    /// The folder it is in, without a trailing `/`; empty at the root.
    pub fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// Its name without the folder.
    pub fn name(&self) -> &str {
        self.path.rsplit_once('/').map_or(&self.path, |(_, name)| name)
    }

    /// Whether it is Rust that ships: not a test, an example, a bench or a fuzz target.
    pub fn is_production(&self) -> bool {
        let test = ["tests.rs", "build.rs"].contains(&self.name())
            || self.path.split('/').any(|part| ["tests", "examples", "benches", "fuzz"].contains(&part));
        self.path.ends_with(".rs") && !test
    }

    /// The lines that ship: up to the inline tests.
    pub fn production_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().take_while(|(_, line)| line.trim_end() != "#[cfg(test)]")
    }
}
