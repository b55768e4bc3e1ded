//! A Collector-shaped file made into a running graph.
//!
//! How a file becomes a graph, by function name: [`check`] reads it with `yaml::parse`, puts environment variables in with
//! `yaml::expand`, has `config::read` read every component's settings by its rows in [`components::COMPONENTS`], and
//! `graph::resolve` looks up every name. All of them add to the same [`Diagnostics`]; only a [`Graph`] without errors can be
//! started, so that what `aldis check` finds is what starting finds.
//!
//! ```
//! use aldis_engine::check;
//!
//! let checked = check("receivers: {otlp: {protocols: {grpc: }}}\n", &|_| None);
//! let first = checked.problems.iter().next().expect("it has no pipelines");
//! assert_eq!(first.message, "there is no pipeline");
//! ```
//!
//! It knows nothing of flags and terminals, and it is not a plugin system: what can stand in a file is one table.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod changes;
pub mod components;
pub mod config;
pub mod diagnostic;
pub mod explain;
pub mod graph;
pub mod limits;
pub mod reference;
pub mod run;
pub mod settings;
pub mod telemetry;
pub mod yaml;

pub use changes::Changes;
pub use diagnostic::{Diagnostic, Diagnostics, Place, Rendering, Severity};
pub use graph::Graph;
pub use run::{
    DrainReport, Engine, Loss, Options, ReloadError, Seen, StartError,
    replay::{ReplayError, ReplayReport, ReplaySettings, Route},
};

use yaml::expand::Environment;

/// A configuration, with everything that is wrong with it.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What it describes, as far as it could be read.
    pub graph: Graph,
    /// What is wrong, in the order of the file.
    pub problems: Diagnostics,
}

/// Reads and resolves a configuration file's text, looking environment variables up in `environment`.
pub fn check(text: &str, environment: Environment<'_>) -> Checked {
    let mut problems = Diagnostics::default();
    let config = config::read(text, environment, &mut problems);
    let graph = graph::resolve(&config, &mut problems);
    problems.sort();
    Checked { graph, problems }
}
