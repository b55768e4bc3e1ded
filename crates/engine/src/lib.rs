//! A Collector-shaped file made into a running graph.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod diagnostic;
pub mod limits;
pub mod settings;
pub mod yaml;
