//! Names of episodes.

use std::{fmt, str::FromStr};

/// The name of an episode: a UUID, `8-4-4-4-12` hexadecimal digits as text.
///
/// ```
/// use aldis_host::EpisodeId;
///
/// let id: EpisodeId = "018f2d3e-7b1c-4a5b-9c0d-0123456789ab".parse()?;
/// assert_eq!(id.to_string(), "018f2d3e-7b1c-4a5b-9c0d-0123456789ab");
/// # Ok::<(), aldis_host::EpisodeIdError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpisodeId(u128);

/// Text that is no UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpisodeIdError;

impl fmt::Display for EpisodeIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the name of an episode is a UUID: 8-4-4-4-12 hexadecimal digits")
    }
}

impl std::error::Error for EpisodeIdError {}

impl EpisodeId {
    /// A name of 128 bits of the caller's choice.
    #[must_use]
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// A name that nobody else has: version 4 of RFC 9562.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn random() -> Result<Self, std::io::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        let random = u128::from_be_bytes(bytes);
        let version = 0xf << 76;
        let variant = 0x3 << 62;
        Ok(Self((random & !version & !variant) | (4 << 76) | (2 << 62)))
    }

    /// The 128 bits.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl fmt::Display for EpisodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |shift: u32, bits: u32| (self.0 >> shift) & ((1 << bits) - 1);
        let (a, b, c, d, e) = (part(96, 32), part(80, 16), part(64, 16), part(48, 16), part(0, 48));
        write!(f, "{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
    }
}

impl FromStr for EpisodeId {
    type Err = EpisodeIdError;

    fn from_str(text: &str) -> Result<Self, EpisodeIdError> {
        let mut bits = 0;
        let mut parts = text.split('-');
        for length in [8, 4, 4, 4, 12] {
            let part = parts.next().filter(|part| part.len() == length).ok_or(EpisodeIdError)?;
            for digit in part.chars() {
                bits = bits << 4 | u128::from(digit.to_digit(16).ok_or(EpisodeIdError)?);
            }
        }
        if parts.next().is_some() { Err(EpisodeIdError) } else { Ok(Self(bits)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_as_it_is_read() {
        for text in ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"] {
            assert_eq!(text.parse::<EpisodeId>().unwrap().to_string(), text);
        }
        let id = EpisodeId::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        assert_eq!(id.to_string(), "01234567-89ab-cdef-0123-456789abcdef");
        assert_eq!(id.as_u128(), 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        assert_eq!("01234567-89AB-cdef-0123-456789abcdef".parse(), Ok(id));
        for text in [
            "",
            "0123456789abcdef0123456789abcdef",
            "01234567-89ab-cdef-0123-456789abcdef-",
            "01234567-89ab-cdef-0123-456789abcde",
            "0123456-789ab-cdef-0123-456789abcdef",
            "g1234567-89ab-cdef-0123-456789abcdef",
            "+1234567-89ab-cdef-0123-456789abcdef",
            "../../67-89ab-cdef-0123-456789abcdef",
        ] {
            assert_eq!(text.parse::<EpisodeId>(), Err(EpisodeIdError), "{text}");
        }
    }

    #[test]
    fn random_names_differ_and_say_their_version() {
        let (one, other) = (EpisodeId::random().unwrap(), EpisodeId::random().unwrap());
        assert_ne!(one, other);
        assert_eq!(&one.to_string()[14..15], "4");
        assert!("89ab".contains(&one.to_string()[19..20]));
    }
}
