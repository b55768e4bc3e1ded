//! Changing attributes: the Collector's `attributes` and `resource` processors.
//!
//! Settings become an [`EditPlan`]: which records it is for, and a program of [`otlp::edit`]. Plans behind one another are
//! fused, so that a batch is copied once however many there are.

pub mod action;
pub mod plan;
pub mod select;

pub use action::ActionSettings;
pub use plan::{AttributesSettings, EditPlan, ResourceSettings};
pub use select::{AttributeMatch, LibraryMatch, MatchSettings, MatchType, SelectSettings, SeverityMatch};
