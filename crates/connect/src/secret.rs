//! Text that nobody may read over somebody's shoulder.

use std::fmt;

use subtle::ConstantTimeEq;

/// A token, a password, a header's value: its text is only had by asking for it. Debug output shows that there is one,
/// and comparing two takes the same time wherever they differ.
///
/// ```
/// use aldis_connect::Secret;
///
/// let token = Secret::from("swordfish");
/// assert_eq!(format!("{token:?}"), "[secret]");
/// assert_eq!(token.reveal(), "swordfish");
/// ```
#[derive(Clone, Default)]
pub struct Secret(String);

impl Secret {
    /// The text. Whoever asks keeps it out of logs, errors and metrics.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_is_compared_but_not_shown() {
        let (one, other) = (Secret::from("swordfish"), Secret::from("swordfisk".to_owned()));
        assert_eq!(one, one.clone());
        assert_ne!(one, other);
        assert_ne!(one, Secret::default());
        assert_eq!(
            format!("{one:?} {:?} {:#?}", Some(&other), [Secret::default()]).matches("sword").count(),
            0
        );
    }
}
