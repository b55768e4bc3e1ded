//! Who may send, and who we say we are: the Collector's `bearertokenauth` and `basicauth`.
//!
//! A server asks a `Guard` before it reads a request's body; a client has its `Credentials` put the header in. Both are made
//! of plain settings, and read the files that these name again when they change (`watched`).
//!
//! Whatever is compared with what a peer sent is compared as a digest under a key that only this process knows, so that
//! the time it takes says nothing about where two texts differ. A missing and a wrong credential are answered alike and
//! told apart only in counters.

mod basic;
mod bearer;
mod digest;
mod htpasswd;
mod verifier;
mod watched;

use std::{fmt, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};

pub use basic::BasicSettings;
pub use bearer::BearerSettings;
pub use htpasswd::HtpasswdSettings;

/// How a listener knows its senders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAuthSettings {
    /// By a token.
    Bearer(BearerSettings),
    /// By name and password.
    Basic(HtpasswdSettings),
}

/// How an exporter makes itself known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAuthSettings {
    /// By a token.
    Bearer(BearerSettings),
    /// By name and password.
    Basic(BasicSettings),
}

impl ServerAuthSettings {
    /// Whether they can work, files aside.
    ///
    /// # Errors
    /// What is wrong.
    pub fn validate(&self) -> Result<(), AuthError> {
        match self {
            ServerAuthSettings::Bearer(settings) => settings.validate(),
            ServerAuthSettings::Basic(settings) => settings.validate(),
        }
    }
}

/// Why an authenticator cannot work: a file that cannot be read, text that is no header's. It quotes no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthError(pub String);

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AuthError {}

/// Why a sender was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It said nothing about itself.
    Missing,
    /// What it said is not right.
    Wrong,
    /// So many passwords are being checked that this one was not; it may be right.
    Busy,
}

/// A sender that was let in: what batches of different senders are kept apart by, and what `auth.tenant` names.
pub(crate) type Identity = Arc<str>;

/// What stands before a listener. Shared by all shards.
#[derive(Debug)]
pub(crate) enum Guard {
    Bearer(bearer::Tokens),
    Basic(verifier::Verifier),
}

impl Guard {
    pub(crate) fn new(settings: &ServerAuthSettings) -> Result<Self, AuthError> {
        Ok(match settings {
            ServerAuthSettings::Bearer(settings) => Guard::Bearer(bearer::Tokens::open(settings)?),
            ServerAuthSettings::Basic(settings) => Guard::Basic(verifier::Verifier::open(settings)?),
        })
    }

    /// Who sent a request with these headers.
    pub(crate) async fn admit(&self, headers: &HeaderMap) -> Result<Identity, Denied> {
        match self {
            Guard::Bearer(tokens) => tokens.admit(headers),
            Guard::Basic(verifier) => verifier.admit(headers).await,
        }
    }

    /// The header that it reads: a credential does not travel on with the telemetry.
    pub(crate) fn header(&self) -> &HeaderName {
        match self {
            Guard::Bearer(tokens) => tokens.header(),
            Guard::Basic(_) => &AUTHORIZATION,
        }
    }

    /// `WWW-Authenticate` (RFC 9110, section 11.6.1).
    pub(crate) fn challenge(&self) -> HeaderValue {
        match self {
            Guard::Bearer(tokens) => tokens.challenge(),
            Guard::Basic(_) => HeaderValue::from_static("Basic realm=\"aldis\", charset=\"UTF-8\""),
        }
    }
}

/// What an exporter puts into every request.
#[derive(Debug)]
pub(crate) enum Credentials {
    Bearer(bearer::Sent),
    Basic(basic::Sent),
}

impl Credentials {
    /// Settings that can never work are refused; files that are not there yet are not.
    pub(crate) fn new(settings: &ClientAuthSettings) -> Result<Self, AuthError> {
        Ok(match settings {
            ClientAuthSettings::Bearer(settings) => Credentials::Bearer(bearer::Sent::new(settings)?),
            ClientAuthSettings::Basic(settings) => Credentials::Basic(basic::Sent::new(settings)?),
        })
    }

    /// Puts the header in. What fails may work later: a file cannot be read.
    pub(crate) fn apply(&self, headers: &mut HeaderMap) -> Result<(), AuthError> {
        let (name, value) = match self {
            Credentials::Bearer(sent) => sent.header()?,
            Credentials::Basic(sent) => (AUTHORIZATION, sent.header()?),
        };
        headers.insert(name, value);
        Ok(())
    }
}

/// A header's value that neither Debug output nor compression tables show.
fn sensitive(text: &str) -> Result<HeaderValue, AuthError> {
    let mut value = HeaderValue::try_from(text)
        .map_err(|_| AuthError("a credential has characters that no header may have".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The one value of a header: two would mean different things to different readers.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a HeaderValue, Denied> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Err(Denied::Missing),
        (Some(value), None) if !value.is_empty() => Ok(value),
        (Some(_), None) => Err(Denied::Missing),
        (Some(_), Some(_)) => Err(Denied::Wrong),
    }
}

/// What stands behind the scheme and its spaces; schemes are compared without case (RFC 9110, section 11.1).
fn after_scheme<'a>(value: &'a [u8], scheme: &str) -> Option<&'a [u8]> {
    if scheme.is_empty() {
        return Some(value.trim_ascii());
    }
    let (said, rest) = value.split_at_checked(scheme.len())?;
    let named = said.eq_ignore_ascii_case(scheme.as_bytes()) && rest.first() == Some(&b' ');
    named.then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests;
