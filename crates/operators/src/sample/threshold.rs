//! The arithmetic of consistent probability sampling.
//!
//! OpenTelemetry specification, *TraceState: Probability Sampling*: a trace carries 56 random bits R, a sampler has a
//! rejection threshold T, and a record is kept if and only if R ≥ T. Every sampler of a trace looks at the same R, so
//! whatever survives probability p also survives every larger one.

use std::fmt;

/// 2^56: how many values [`Randomness`] has, and the largest adjusted count.
pub const MAX_ADJUSTED_COUNT: u64 = 1 << 56;

/// Hexadecimal digits of a full threshold or randomness.
pub const HEX_DIGITS: u32 = 14;

/// Significant digits that thresholds are written with unless more are asked for, as the specification recommends.
pub const DEFAULT_PRECISION: u32 = 4;

/// A chance of being kept, in [2⁻⁵⁶, 1]. "Never" is not one.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Probability(f64);

/// A number that is no sampling probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProbabilityError(pub f64);

/// How many of 2^56 values are rejected: the `th` of a trace state. Greater means fewer are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Threshold(u64);

/// The 56 random bits of a trace: the `rv` of its trace state, else the last seven bytes of its trace id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Randomness(u64);

impl Probability {
    /// Certainty.
    pub const ONE: Probability = Probability(1.0);
    /// The least one that can be written, 2⁻⁵⁶.
    pub const MIN: Probability = Probability(1.0 / MAX_ADJUSTED_COUNT as f64);

    /// Takes a number in [2⁻⁵⁶, 1].
    ///
    /// # Errors
    /// When it is outside, or not a number.
    pub fn new(p: f64) -> Result<Self, ProbabilityError> {
        if (Self::MIN.0..=1.0).contains(&p) { Ok(Self(p)) } else { Err(ProbabilityError(p)) }
    }

    /// As a number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for ProbabilityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is no sampling probability: it must be at least 2^-56 and at most 1", self.0)
    }
}

impl std::error::Error for ProbabilityError {}

impl Threshold {
    /// Keeps everything.
    pub const ALWAYS: Threshold = Threshold(0);

    /// From an integer below 2^56.
    pub fn from_bits(bits: u64) -> Option<Self> {
        (bits < MAX_ADJUSTED_COUNT).then_some(Self(bits))
    }

    /// The nearest threshold, to the last of 14 digits.
    pub fn exact(p: Probability) -> Self {
        // The product is exact: a multiplication by a power of two.
        let accepted = (p.0 * MAX_ADJUSTED_COUNT as f64).round() as u64;
        Self(MAX_ADJUSTED_COUNT - accepted)
    }

    /// The nearest threshold that needs at most `precision` significant hexadecimal digits.
    ///
    /// Leading `f` digits carry no precision for small probabilities, nor do leading `0` digits for those near 1: digits
    /// are counted behind them, so that the relative error stays below 16⁻ᵖʳᵉᶜⁱˢⁱᵒⁿ of either.
    ///
    /// ```
    /// use aldis_operators::sample::{Probability, Threshold};
    ///
    /// let one_percent = Threshold::new(Probability::new(0.01)?, 4);
    /// assert_eq!(one_percent.to_string(), "fd70a");
    /// assert!((one_percent.adjusted_count() - 100.0).abs() < 0.01);
    /// # Ok::<(), aldis_operators::sample::ProbabilityError>(())
    /// ```
    pub fn new(p: Probability, precision: u32) -> Self {
        let exact = Self::exact(p).0;
        let spared = leading_zero_digits(exact).max(leading_zero_digits(MAX_ADJUSTED_COUNT - 1 - exact));
        let digits = precision.max(1).saturating_add(spared);
        if digits >= HEX_DIGITS {
            return Self(exact);
        }
        let shift = 4 * (HEX_DIGITS - digits);
        let rounded = (exact + (1 << (shift - 1))) >> shift << shift;
        // Behind the leading `f`s stands a digit below `f`, so rounding up never reaches 2^56.
        Self(rounded)
    }

    /// Reads the digits of a `th`: 1 to 14 lower-case hexadecimal digits, to be padded with zeros on the *right*.
    pub fn parse(digits: &str) -> Option<Self> {
        let (bits, count) = parse_hex(digits)?;
        Some(Self(bits << (4 * (HEX_DIGITS - count))))
    }

    /// As an integer below 2^56.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Whether a record of this randomness is kept.
    pub fn keeps(self, randomness: Randomness) -> bool {
        randomness.0 >= self.0
    }

    /// The chance of being kept.
    pub fn probability(self) -> Probability {
        Probability((MAX_ADJUSTED_COUNT - self.0) as f64 / MAX_ADJUSTED_COUNT as f64)
    }

    /// How many records each record kept stands for: the inverse of the probability.
    pub fn adjusted_count(self) -> f64 {
        MAX_ADJUSTED_COUNT as f64 / (MAX_ADJUSTED_COUNT - self.0) as f64
    }
}

/// The digits of a `th`: without trailing zeros but with *leading* ones, since digits count from the left (a threshold
/// of 2^48 is `01`; `1` would be 2^52).
impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0");
        }
        let zeros = self.0.trailing_zeros() / 4;
        write!(f, "{:0width$x}", self.0 >> (4 * zeros), width = (HEX_DIGITS - zeros) as usize)
    }
}

impl Randomness {
    /// From an integer below 2^56.
    pub fn from_bits(bits: u64) -> Option<Self> {
        (bits < MAX_ADJUSTED_COUNT).then_some(Self(bits))
    }

    /// The last seven bytes of a trace id (W3C Trace Context, level 2).
    pub fn of_trace_id(id: [u8; 16]) -> Self {
        let mut low = [0; 8];
        low[1..].copy_from_slice(&id[9..]);
        Self(u64::from_be_bytes(low))
    }

    /// What stands in for a record that has neither trace id nor `rv`: a hash of its bytes, so that the same record is
    /// judged alike wherever it goes. Unlike a trace's randomness it is worth nothing to any other record.
    ///
    /// The hash is not keyed: whoever writes records could write such as are always kept.
    pub fn of_parts<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Self {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut hash: u64 = 0;
        for part in parts {
            let (words, rest) = part.as_chunks::<8>();
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            for word in words.iter().chain([&last]) {
                hash = (hash.rotate_left(23) ^ u64::from_le_bytes(*word)).wrapping_mul(ODD);
            }
            hash = hash.wrapping_add(part.len() as u64);
        }
        // The finaliser of MurmurHash3 spreads every bit over all 64.
        for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
            hash = (hash ^ (hash >> 33)).wrapping_mul(factor);
        }
        Self((hash ^ (hash >> 33)) >> 8)
    }

    /// The same of bytes in one piece.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self::of_parts(std::iter::once(bytes))
    }

    /// Reads the digits of an `rv`: exactly 14 lower-case hexadecimal digits.
    pub fn parse(digits: &str) -> Option<Self> {
        match parse_hex(digits)? {
            (bits, HEX_DIGITS) => Some(Self(bits)),
            _ => None,
        }
    }

    /// As an integer below 2^56.
    pub fn bits(self) -> u64 {
        self.0
    }
}

/// The 14 digits of an `rv`.
impl fmt::Display for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:014x}", self.0)
    }
}

/// How many of the 14 digits are zero before the first that is not.
fn leading_zero_digits(bits: u64) -> u32 {
    (bits.leading_zeros() - (u64::BITS - 4 * HEX_DIGITS)) / 4
}

/// Reads 1 to 14 lower-case hexadecimal digits, and says how many there are.
fn parse_hex(digits: &str) -> Option<(u64, u32)> {
    if digits.is_empty() || digits.len() > HEX_DIGITS as usize {
        return None;
    }
    let mut bits = 0;
    for byte in digits.bytes() {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        bits = bits << 4 | u64::from(digit);
    }
    Some((bits, digits.len() as u32))
}
