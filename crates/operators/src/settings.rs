//! What is wrong with a processor's settings.

use std::fmt;

/// One fault in settings that were read from a file: fix it there. All faults are reported at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    /// The setting, from the processor's section on: `actions[2].pattern`, `include.services[0]`.
    pub path: String,
    /// What is wrong and what to do about it.
    pub message: String,
    /// Bytes at fault within the setting's text, where it is an expression or a pattern.
    pub at: Option<std::ops::Range<usize>>,
}

impl SettingError {
    /// A fault of a whole setting.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), at: None }
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Some(at) => write!(f, "{}, byte {}: {}", self.path, at.start, self.message),
            None => write!(f, "{}: {}", self.path, self.message),
        }
    }
}

impl std::error::Error for SettingError {}
