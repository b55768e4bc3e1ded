//! Names and passwords as `htpasswd` writes them (<https://httpd.apache.org/docs/2.4/misc/password_encryptions.html>).
//!
//! The forms are those that the Collector's library takes: bcrypt, Apache's MD5, SHA-1 with and without salt, and text that is none
//! of them, which is the password itself. Where a form is another one of `crypt(3)`, the line is refused instead of
//! taken for a password.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::{Digest as _, Md5};
use sha1::Sha1;
use subtle::ConstantTimeEq as _;

use super::AuthError;
use crate::{
    limits::{MAX_BCRYPT_COST, MAX_USERS},
    secret::Secret,
};

/// Settings of `basicauth` for a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HtpasswdSettings {
    /// `htpasswd.file`: the file.
    pub file: Option<PathBuf>,
    /// `htpasswd.inline`: lines, which win over those of the file.
    pub inline: Secret,
}

impl HtpasswdSettings {
    /// Whether an authenticator could be made of them, the file aside.
    ///
    /// # Errors
    /// The first line that is wrong, by its number.
    pub fn validate(&self) -> Result<(), AuthError> {
        let users = Users::parse(self.inline.reveal())?;
        if self.file.is_none() && users.stored.is_empty() {
            return Err(AuthError("there is no user".to_owned()));
        }
        Ok(())
    }

    /// Names of users whose passwords are written in a form from which they can be had back in no time.
    pub fn weak(&self) -> Vec<String> {
        let users = Users::parse(self.inline.reveal()).map(|users| users.stored).unwrap_or_default();
        let weak = |stored: &Stored| matches!(stored, Stored::Plain(_) | Stored::Sha { .. });
        let mut names: Vec<String> =
            users.into_iter().filter(|(_, stored)| weak(stored)).map(|(name, _)| name).collect();
        names.sort();
        names
    }
}

/// Who may come in.
#[derive(Clone, Debug, Default)]
pub(super) struct Users {
    pub(super) stored: HashMap<String, Stored>,
    forms: Arc<[Slow]>,
}

/// A form that takes long to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slow {
    Apr1,
    /// With its cost.
    Bcrypt(u32),
}

/// A password as it is stored.
#[derive(Clone, Debug)]
pub(super) enum Stored {
    Bcrypt(Secret),
    /// `$apr1$salt$digest`, whole.
    Apr1(Secret),
    /// SHA-1 of the password and the salt, which may be empty.
    Sha {
        digest: [u8; 20],
        salt: Vec<u8>,
    },
    Plain(Secret),
}

impl Users {
    /// Reads lines of `name:password`. Errors name lines by their numbers and quote nothing.
    pub(super) fn parse(text: &str) -> Result<Self, AuthError> {
        let mut users = Self::default();
        for (i, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let wrong = |what: &str| AuthError(format!("line {} of the users {what}", i + 1));
            let (name, password) = line.split_once(':').ok_or_else(|| wrong("has no colon"))?;
            let stored = Stored::parse(password).map_err(wrong)?;
            users.stored.insert(name.to_owned(), stored);
        }
        if users.stored.len() > MAX_USERS {
            return Err(AuthError(format!("there are more than {MAX_USERS} users")));
        }
        users.find_forms();
        Ok(users)
    }

    /// With those of another list, which win.
    pub(super) fn and(mut self, others: &Users) -> Self {
        self.stored.extend(others.stored.iter().map(|(name, stored)| (name.clone(), stored.clone())));
        self.find_forms();
        self
    }

    /// The slow forms among them, each once. A wrong password is checked in each of them, so that how long it takes says
    /// nothing about the name.
    pub(super) fn forms(&self) -> Arc<[Slow]> {
        self.forms.clone()
    }

    fn find_forms(&mut self) {
        let mut forms: Vec<Slow> = self.stored.values().filter_map(Stored::slow).collect();
        forms.sort_unstable();
        forms.dedup();
        self.forms = forms.into();
    }
}

/// What is left to do of these behind a password that was wrong, or that nobody has.
pub(super) fn left(forms: &[Slow], checked: Option<&Stored>) -> impl Iterator<Item = Slow> {
    let checked = checked.and_then(Stored::slow);
    forms.iter().copied().filter(move |form| Some(*form) != checked)
}

impl Stored {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if ["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|prefix| text.starts_with(prefix)) {
            let good = text.parse::<bcrypt::HashParts>().is_ok();
            return match cost(text) {
                Some(cost) if good && cost <= MAX_BCRYPT_COST => Ok(Stored::Bcrypt(text.into())),
                Some(_) if good => Err("has a bcrypt cost above 14, which takes too long"),
                _ => Err("is not whole: a bcrypt password has 60 characters"),
            };
        }
        if let Some(rest) = text.strip_prefix(APR1) {
            return match rest.split_once('$') {
                Some((salt, digest)) if salt.len() <= 8 && digest.len() == 22 => {
                    Ok(Stored::Apr1(text.into()))
                }
                _ => Err("is not whole: `$apr1$` needs a salt and 22 characters"),
            };
        }
        if let Some(encoded) = text.strip_prefix("{SHA}").or_else(|| text.strip_prefix("{SSHA}")) {
            let bytes = STANDARD.decode(encoded).map_err(|_| "is not base64 behind its braces")?;
            let (digest, salt) = bytes.split_first_chunk::<20>().ok_or("is too short for SHA-1")?;
            return match (text.starts_with("{SSHA}"), salt.is_empty()) {
                (true, false) | (false, true) => Ok(Stored::Sha { digest: *digest, salt: salt.to_vec() }),
                _ => Err("has another length than its form"),
            };
        }
        if text.starts_with('$') && text[1..].contains('$') {
            return Err("has a form that is not read here; write it with `htpasswd -B`");
        }
        if text.is_empty() { Err("has no password") } else { Ok(Stored::Plain(text.into())) }
    }

    fn slow(&self) -> Option<Slow> {
        match self {
            Stored::Bcrypt(text) => cost(text.reveal()).map(Slow::Bcrypt),
            Stored::Apr1(_) => Some(Slow::Apr1),
            Stored::Sha { .. } | Stored::Plain(_) => None,
        }
    }

    /// Whether this is the password. As slow as its form is meant to be.
    pub(super) fn is(&self, password: &[u8]) -> bool {
        match self {
            Stored::Bcrypt(text) => bcrypt::verify(password, text.reveal()).unwrap_or(false),
            Stored::Apr1(text) => {
                let salt = text.reveal()[APR1.len()..].split('$').next().unwrap_or_default();
                apr1(password, salt.as_bytes()).as_bytes().ct_eq(text.reveal().as_bytes()).into()
            }
            Stored::Sha { digest, salt } => {
                let own = Sha1::new_with_prefix(password).chain_update(salt).finalize();
                own.as_slice().ct_eq(digest).into()
            }
            Stored::Plain(text) => password.ct_eq(text.reveal().as_bytes()).into(),
        }
    }
}

impl Slow {
    /// Takes as long as a password of this form does.
    pub(super) fn pretend(self, password: &[u8]) {
        // There is nothing to learn from it.
        match self {
            Slow::Apr1 => drop(std::hint::black_box(apr1(password, &[b'.'; 8]))),
            Slow::Bcrypt(cost) => drop(bcrypt::hash_with_salt(password, cost, [0; 16])),
        }
    }
}

fn cost(text: &str) -> Option<u32> {
    text.split('$').nth(2)?.parse().ok()
}

const APR1: &str = "$apr1$";

/// Apache's MD5 (`apr_md5_encode`): a thousand rounds over what depends on the round.
fn apr1(password: &[u8], salt: &[u8]) -> String {
    let inner = Md5::new_with_prefix(password).chain_update(salt).chain_update(password).finalize();
    let mut first = Md5::new_with_prefix(password).chain_update(APR1).chain_update(salt);
    let mut left = password.len();
    while left > 0 {
        first.update(&inner[..left.min(16)]);
        left = left.saturating_sub(16);
    }
    let mut length = password.len();
    while length > 0 {
        first.update(if length & 1 == 1 { &[0] } else { password.get(..1).unwrap_or_default() });
        length >>= 1;
    }
    let mut digest = first.finalize();
    for round in 0..1000 {
        let mut next = Md5::new();
        let (odd, third, seventh) = (round & 1 == 1, round % 3 != 0, round % 7 != 0);
        next.update(if odd { password } else { digest.as_slice() });
        if third {
            next.update(salt);
        }
        if seventh {
            next.update(password);
        }
        next.update(if odd { digest.as_slice() } else { password });
        digest = next.finalize();
    }
    let mut text = format!("{APR1}{}$", String::from_utf8_lossy(salt));
    // The order of bytes, and the alphabet, are crypt(3)'s.
    for [a, b, c] in [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]] {
        let bits = u32::from(digest[a]) << 16 | u32::from(digest[b]) << 8 | u32::from(digest[c]);
        push_sixes(&mut text, bits, 4);
    }
    push_sixes(&mut text, u32::from(digest[11]), 2);
    text
}

fn push_sixes(text: &mut String, mut bits: u32, count: usize) {
    const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for _ in 0..count {
        text.push(char::from(ALPHABET[(bits & 63) as usize]));
        bits >>= 6;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by `openssl passwd -apr1`, `htpasswd -B`, and by hand.
    const LINES: &str = "
        anna:$apr1$abcdefgh$FBwExRW4dCc8aL.OvjpIE1
        bert:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=
        carl:plain text: with a colon
    ";

    #[test]
    fn every_form_knows_its_password_and_no_other() {
        let bcrypt = bcrypt::hash("password", 4).expect("hashed");
        let mut salted = Sha1::new_with_prefix("password").chain_update(b"pepper").finalize().to_vec();
        salted.extend_from_slice(b"pepper");
        let more = format!("dora:{bcrypt}\nemil:{{SSHA}}{}", STANDARD.encode(salted));
        let users = Users::parse(LINES).expect("read").and(&Users::parse(&more).expect("read"));
        for name in ["anna", "bert", "dora", "emil"] {
            assert!(users.stored[name].is(b"password"), "{name}");
            assert!(!users.stored[name].is(b"Password") && !users.stored[name].is(b""), "{name}");
        }
        assert!(users.stored["carl"].is(b"plain text: with a colon"));
    }

    #[test]
    fn a_wrong_password_takes_every_form_once_whoever_has_the_name() {
        let hash = |cost| bcrypt::hash("password", cost).expect("hashed");
        let more = format!("dora:{}\nemil:{}\nfred:{}", hash(4), hash(5), hash(4));
        let users = Users::parse(LINES).expect("read").and(&Users::parse(&more).expect("read"));
        let all = [Slow::Apr1, Slow::Bcrypt(4), Slow::Bcrypt(5)];
        assert_eq!(left(&users.forms(), None).collect::<Vec<_>>(), all, "a name that nobody has");
        for (name, stored) in &users.stored {
            let mut taken: Vec<Slow> = left(&users.forms(), Some(stored)).chain(stored.slow()).collect();
            taken.sort_unstable();
            assert_eq!(taken, all, "{name}");
        }
    }

    #[test]
    fn what_is_no_line_is_named_by_its_number_and_not_quoted() {
        for (line, says) in [
            ("sesame", "no colon"),
            ("a:", "no password"),
            ("a:$2y$10$sesame", "60 characters"),
            ("a:$2y$31$abcdefghijklmnopqrstuuWZ2lVOKXg1O1m7qVYQkpAFLzV1H3WJO", "cost above 14"),
            ("a:$apr1$sesame", "$apr1$"),
            ("a:{SHA}sesame!", "base64"),
            ("a:{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "length"),
            ("a:$6$sesame$sesame", "htpasswd -B"),
        ] {
            let error = Users::parse(&format!("\n{line}\n")).expect_err(line).0;
            assert!(error.contains("line 2") && error.contains(says), "{line}: {error}");
            assert!(!error.contains("sesame"), "{error}");
        }
    }
}
