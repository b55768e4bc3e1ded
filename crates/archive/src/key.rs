//! What an archive is sealed with.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::Path,
};

use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use crate::{
    error::Error,
    limits::{MAX_PASSWORD_BYTES, MAX_PASSWORD_LANES, MAX_PASSWORD_MEMORY_KIB, MAX_PASSWORD_WORK_KIB},
};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// A key or a password. It is overwritten when it is dropped, and has no text.
///
/// ```
/// use aldis_archive::Key;
///
/// assert!(Key::from_file(b"short").is_err());
/// let key = Key::from_file("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n".as_bytes())?;
/// assert_eq!(format!("{key:?}"), "Key([secret])");
/// # Ok::<(), aldis_archive::Error>(())
/// ```
#[derive(Clone)]
pub struct Key(Secret);

#[derive(Clone)]
enum Secret {
    Key(Zeroizing<[u8; KEY_BYTES]>),
    Password(Zeroizing<Vec<u8>>),
}

/// What it costs to check a password (Argon2id, RFC 9106): what an attacker pays for every guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCost {
    /// KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes, which may be worked at side by side.
    pub lanes: u32,
}

impl Default for PasswordCost {
    /// 64 MiB and 3 passes, as RFC 9106 §4 recommends where memory is scarce, in one lane.
    fn default() -> Self {
        Self { memory_kib: 64 << 10, passes: 3, lanes: 1 }
    }
}

impl PasswordCost {
    /// Whether a reader grants it; a writer must not ask for more.
    pub(crate) fn is_granted(self) -> bool {
        let work = u64::from(self.memory_kib) * u64::from(self.passes);
        (1..=MAX_PASSWORD_LANES).contains(&self.lanes)
            && (self.lanes * 8..=MAX_PASSWORD_MEMORY_KIB).contains(&self.memory_kib)
            && (1..=MAX_PASSWORD_WORK_KIB).contains(&work)
    }
}

impl Key {
    /// A key of 32 random bytes.
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Key(Secret::Key(Zeroizing::new(bytes)))
    }

    /// What a key file holds: 32 bytes, or 64 hexadecimal digits with white space around them.
    ///
    /// # Errors
    /// It holds anything else.
    pub fn from_file(bytes: &[u8]) -> Result<Self, Error> {
        if let Ok(bytes) = bytes.try_into() {
            return Ok(Key::new(bytes));
        }
        let digits = bytes.trim_ascii();
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let is_hex = digits.len() == 2 * KEY_BYTES
            && key.iter_mut().zip(digits.chunks_exact(2)).all(|(byte, pair)| {
                let read = std::str::from_utf8(pair).ok().filter(|_| pair.iter().all(u8::is_ascii_hexdigit));
                read.and_then(|pair| u8::from_str_radix(pair, 16).ok()).map(|read| *byte = read).is_some()
            });
        match is_hex {
            true => Ok(Key(Secret::Key(key))),
            false => Err(Error::Key("a key is 32 bytes, or 64 hexadecimal digits")),
        }
    }

    /// A password; every byte counts.
    ///
    /// # Errors
    /// It is empty, or longer than [`MAX_PASSWORD_BYTES`].
    pub fn password(password: impl AsRef<[u8]>) -> Result<Self, Error> {
        let password = password.as_ref();
        if password.is_empty() {
            return Err(Error::Key("a password is not empty"));
        }
        if password.len() > MAX_PASSWORD_BYTES {
            return Err(Error::Key("a password has at most 4096 bytes"));
        }
        Ok(Key(Secret::Password(Zeroizing::new(password.to_owned()))))
    }

    /// What a password file holds: one line, without its end.
    ///
    /// # Errors
    /// As [`Key::password`], or it has more lines: whether they belong to the password nobody could tell.
    pub fn from_password_file(bytes: &[u8]) -> Result<Self, Error> {
        let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.contains(&b'\n') {
            return Err(Error::Key("a password file has one line"));
        }
        Key::password(line)
    }

    /// Reads a key file; see [`from_file`](Self::from_file).
    ///
    /// # Errors
    /// It cannot be read, or holds no key.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Key::from_file(&contents(path)?)
    }

    /// Reads a password file; see [`from_password_file`](Self::from_password_file).
    ///
    /// # Errors
    /// It cannot be read, or holds no password.
    pub fn read_password(path: &Path) -> Result<Self, Error> {
        Key::from_password_file(&contents(path)?)
    }

    /// Whether it is a password.
    pub fn is_password(&self) -> bool {
        matches!(self.0, Secret::Password(_))
    }

    /// The bytes that the key of a file is derived from. `cost` is the header's, and is asked for a password only.
    pub(crate) fn input(
        &self,
        salt: &[u8],
        cost: Option<PasswordCost>,
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, Error> {
        match (&self.0, cost) {
            (Secret::Key(key), None) => Ok(key.clone()),
            (Secret::Key(_), Some(_)) => Err(Error::NeedsPassword),
            (Secret::Password(_), None) => Err(Error::NeedsKey),
            (Secret::Password(_), Some(cost)) if !cost.is_granted() => Err(Error::TooCostly),
            (Secret::Password(password), Some(cost)) => stretched(password, salt, cost),
        }
    }
}

/// What a file holds, as far as it may be a key or a password.
fn contents(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // Taken at once: a buffer that grew would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * MAX_PASSWORD_BYTES));
    File::open(path)?.take(MAX_PASSWORD_BYTES as u64 + 3).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn stretched(password: &[u8], salt: &[u8], cost: PasswordCost) -> Result<Zeroizing<[u8; KEY_BYTES]>, Error> {
    let mut out = Zeroizing::new([0; KEY_BYTES]);
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(KEY_BYTES));
    let params = params.map_err(|_| Error::Settings("Argon2 does not take this cost"))?;
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    match argon.hash_password_into(password, salt, &mut *out) {
        Ok(()) => Ok(out),
        Err(_) => Err(Error::Settings("Argon2 does not take this password")),
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_password() { "Key(password [secret])" } else { "Key([secret])" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_bytes_or_digits_and_nothing_else() {
        let hex = "ab".repeat(32);
        let is_key = |bytes: &[u8]| match Key::from_file(bytes).map(|key| key.0) {
            Ok(Secret::Key(key)) => Some(*key),
            _ => None,
        };
        assert_eq!(is_key(&[7; 32]), Some([7; 32]));
        for text in [hex.clone(), hex.to_uppercase(), format!(" {hex}\r\n")] {
            assert_eq!(is_key(text.as_bytes()), Some([0xab; 32]), "{text:?}");
        }
        for text in ["", "ab", &hex[1..], &format!("{hex}00"), &"+b".repeat(32), &"é".repeat(32)] {
            assert_eq!(is_key(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(is_key(&[7; 33]), None);
    }

    #[test]
    fn a_password_is_its_line() {
        let of = |bytes: &[u8]| match Key::from_password_file(bytes).map(|key| key.0) {
            Ok(Secret::Password(password)) => Some(password.to_vec()),
            _ => None,
        };
        for text in ["open sesame", "open sesame\n", "open sesame\r\n"] {
            assert_eq!(of(text.as_bytes()).unwrap(), b"open sesame");
        }
        for refused in [&b"a\n\n"[..], b"a\nb", b"\na\n", b"\n", b""] {
            assert_eq!(of(refused), None, "{refused:?}");
        }
        assert_eq!(of(&[b'x'; MAX_PASSWORD_BYTES + 1]), None);
        assert!(!format!("{:?}", Key::password("hidden").unwrap()).contains("hidden"));
    }

    #[test]
    fn what_a_password_may_cost_is_bounded() {
        let cost = |memory_kib, passes, lanes| PasswordCost { memory_kib, passes, lanes };
        assert!(PasswordCost::default().is_granted() && cost(8, 1, 1).is_granted());
        assert!(cost(MAX_PASSWORD_MEMORY_KIB, 4, 16).is_granted());
        for refused in [
            cost(0, 1, 1),
            cost(8, 0, 1),
            cost(8, 1, 0),
            cost(8, 1, 2),
            cost(MAX_PASSWORD_MEMORY_KIB + 1, 1, 1),
            cost(MAX_PASSWORD_MEMORY_KIB, 5, 1),
            cost(u32::MAX, u32::MAX, 16),
            cost(1 << 12, 1, MAX_PASSWORD_LANES + 1),
            cost(1 << 12, 1, u32::MAX),
        ] {
            assert!(!refused.is_granted(), "{refused:?}");
            let key = Key::password("x").unwrap();
            assert!(matches!(key.input(&[0; 32], Some(refused)), Err(Error::TooCostly)));
        }
    }

    /// RFC 9106 has vectors with a secret and associated data only; this one is the reference program's:
    /// `echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 32`.
    #[test]
    fn argon2_is_the_one_of_the_reference() {
        let cost = PasswordCost { memory_kib: 1 << 16, passes: 2, lanes: 1 };
        let out = stretched(b"password", b"somesalt", cost).unwrap();
        let hex: String = out.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7");
    }
}
