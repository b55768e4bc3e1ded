//! What `cargo xtask` does: [`tidy`] holds the house to its rules, [`suites`] runs every test suite and says which were
//! skipped, [`package`] looks at what is shipped, [`peers`] builds the systems that the benchmarks measure against.
//!
//! It is not published and knows nothing of how the engine works; it reads files and starts programs.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to a terminal")]

pub mod package;
pub mod peers;
pub mod suites;
pub mod tidy;

use std::path::{Path, PathBuf};

/// The root of the workspace.
///
/// # Panics
/// Never: this crate sits one folder below the root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask sits below the root").to_path_buf()
}

/// Where cargo builds: `CARGO_TARGET_DIR`, else `target` below the root.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}
