//! Whether bytes are UTF-8, quickly for the short ASCII strings that telemetry is made of.

/// Whether no byte has its high bit set. Eight bytes at a time, the last eight overlapping.
#[inline(always)]
pub(super) fn is_ascii(text: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    if let Some(last) = text.last_chunk::<8>() {
        let mut high = u64::from_ne_bytes(*last);
        for word in text.as_chunks::<8>().0 {
            high |= u64::from_ne_bytes(*word);
        }
        return high & HIGH == 0;
    }
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        return u64::from(u32::from_ne_bytes(*first) | u32::from_ne_bytes(*last)) & HIGH == 0;
    }
    text.iter().fold(0, |high, byte| high | byte) < 0x80
}

/// Whether it is UTF-8.
#[inline(always)]
pub(super) fn is_utf8(text: &[u8]) -> bool {
    is_ascii(text) || not_ascii_but_utf8(text)
}

#[inline(never)]
fn not_ascii_but_utf8(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_the_standard_library(mut text in prop::collection::vec(0u8..0x80, 0..40), high in any::<u8>(),
                                            at in 0usize..80) {
            if let Some(byte) = text.get_mut(at) {
                *byte = high;
            }
            prop_assert_eq!(is_ascii(&text), text.is_ascii());
            prop_assert_eq!(is_utf8(&text), std::str::from_utf8(&text).is_ok());
        }
    }
}
