//! What decides on names and labels, whether series are scraped or written.

use super::naming::TranslationStrategy;

/// The settings that names and labels depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub(super) strategy: TranslationStrategy,
    /// Stands in front of every metric's name.
    pub(super) namespace: &'a str,
    /// Labels of every series.
    pub(super) const_labels: &'a [(String, String)],
    /// Whether attributes of the resource are labels.
    pub(super) resource_labels: bool,
    /// But for those that `job` and `instance` say.
    pub(super) exclude_service_attributes: bool,
    /// Whether series do not say their scope.
    pub(super) without_scope_info: bool,
}
