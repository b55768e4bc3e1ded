//! Tokens: the Collector's `bearertokenauth`.

use std::{path::PathBuf, sync::Arc, time::Instant};

use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use subtle::ConditionallySelectable;

use super::{
    AuthError, Denied, Identity, after_scheme,
    digest::{Digest, Digests},
    only, sensitive,
    watched::Watched,
};
use crate::{limits::MAX_TOKENS, secret::Secret};

/// Settings of `bearertokenauth`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BearerSettings {
    /// `header`: where the token stands.
    pub header: String,
    /// `scheme`: what stands before it; empty for nothing.
    pub scheme: String,
    /// `token` or `tokens`: those that a server takes; a client sends the first.
    pub tokens: Vec<Secret>,
    /// `filename`: where they stand instead, one per line.
    pub file: Option<PathBuf>,
}

impl Default for BearerSettings {
    fn default() -> Self {
        Self {
            header: "authorization".to_owned(),
            scheme: "Bearer".to_owned(),
            tokens: Vec::new(),
            file: None,
        }
    }
}

impl BearerSettings {
    /// With one more token.
    #[must_use]
    pub fn with_token(mut self, token: impl Into<Secret>) -> Self {
        self.tokens.push(token.into());
        self
    }

    /// Whether an authenticator could be made of them, files aside.
    ///
    /// # Errors
    /// What is wrong.
    pub fn validate(&self) -> Result<(), AuthError> {
        let wrong = |message: &str| Err(AuthError(message.to_owned()));
        self.header_name()?;
        if !self.scheme.bytes().all(is_of_tokens) {
            return wrong("`scheme` has characters that no scheme may have");
        }
        if self.file.is_none() && self.tokens.iter().all(Secret::is_empty) {
            return wrong("there is no token");
        }
        if self.tokens.len() > MAX_TOKENS {
            return Err(AuthError(format!("there are more than {MAX_TOKENS} tokens")));
        }
        self.tokens.iter().try_for_each(|token| sensitive(token.reveal()).map(drop))
    }

    fn header_name(&self) -> Result<HeaderName, AuthError> {
        if self.header.is_empty() {
            return Ok(AUTHORIZATION);
        }
        HeaderName::try_from(self.header.as_str())
            .map_err(|_| AuthError("`header` is not a name of a header".to_owned()))
    }
}

/// RFC 9110, section 5.6.2.
fn is_of_tokens(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// One token per line; empty lines say nothing.
fn lines(text: &str) -> Result<Vec<Secret>, AuthError> {
    let tokens: Vec<Secret> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(Secret::from).collect();
    if tokens.is_empty() || tokens.len() > MAX_TOKENS {
        return Err(AuthError(format!("it has {} tokens, not 1 to {MAX_TOKENS}", tokens.len())));
    }
    Ok(tokens)
}

/// The tokens that a server takes.
#[derive(Debug)]
pub(crate) struct Tokens {
    header: HeaderName,
    scheme: String,
    digests: Arc<Digests>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Fixed(Vec<Known>),
    File(Watched<Vec<Known>>),
}

/// What a token is compared as, and what its sender is called. A name that told the token's place would be another sender's
/// once the list has changed.
type Known = (Digest, Identity);

impl Tokens {
    pub(super) fn open(settings: &BearerSettings) -> Result<Self, AuthError> {
        settings.validate()?;
        let digests = Arc::new(Digests::new()?);
        let source = match &settings.file {
            Some(path) => {
                let digests = digests.clone();
                let watched = Watched::new(path, move |text| Ok(of_all(&digests, &lines(text)?)));
                watched.get(Instant::now())?;
                Source::File(watched)
            }
            None => Source::Fixed(of_all(&digests, &settings.tokens)),
        };
        let (header, scheme) = (settings.header_name()?, settings.scheme.clone());
        Ok(Self { header, scheme, digests, source })
    }

    pub(super) fn header(&self) -> &HeaderName {
        &self.header
    }

    pub(super) fn challenge(&self) -> HeaderValue {
        let scheme = if self.scheme.is_empty() { "Bearer" } else { &self.scheme };
        HeaderValue::try_from(scheme).unwrap_or(HeaderValue::from_static("Bearer"))
    }

    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<Identity, Denied> {
        let value = only(headers, &self.header)?;
        let token = after_scheme(value.as_bytes(), &self.scheme).ok_or(Denied::Wrong)?;
        let said = self.digests.of(&[token]);
        let found = match &self.source {
            Source::Fixed(known) => identity(known, &said),
            Source::File(watched) => {
                // It was read once, so that there always is something in force.
                identity(&watched.get(Instant::now()).map_err(|_| Denied::Wrong)?, &said)
            }
        };
        found.ok_or(Denied::Wrong)
    }
}

fn of_all(digests: &Digests, tokens: &[Secret]) -> Vec<Known> {
    let known = |token: &Secret| {
        let token = token.reveal().as_bytes();
        // A digest of its own: what is shown is nothing of what is compared.
        let name = digests.of(&[b"name", token]).short();
        (digests.of(&[token]), Arc::from(format!("token {name}")))
    };
    tokens.iter().filter(|token| !token.is_empty()).map(known).collect()
}

/// Whose it is. Every one is looked at, whichever it is.
fn identity(known: &[Known], said: &Digest) -> Option<Identity> {
    let mut found = u64::MAX;
    for (i, (digest, _)) in known.iter().enumerate() {
        found.conditional_assign(&(i as u64), digest.same(said));
    }
    known.get(usize::try_from(found).ok()?).map(|(_, identity)| identity.clone())
}

/// The token that a client sends.
#[derive(Debug)]
pub(crate) struct Sent {
    header: HeaderName,
    source: SentSource,
}

#[derive(Debug)]
enum SentSource {
    Fixed(HeaderValue),
    File(Watched<HeaderValue>),
}

impl Sent {
    pub(super) fn new(settings: &BearerSettings) -> Result<Self, AuthError> {
        settings.validate()?;
        let source = match &settings.file {
            Some(path) => {
                let scheme = settings.scheme.clone();
                SentSource::File(Watched::new(path, move |text| first(&scheme, &lines(text)?)))
            }
            None => SentSource::Fixed(first(&settings.scheme, &settings.tokens)?),
        };
        Ok(Self { header: settings.header_name()?, source })
    }

    pub(super) fn header(&self) -> Result<(HeaderName, HeaderValue), AuthError> {
        let value = match &self.source {
            SentSource::Fixed(value) => value.clone(),
            SentSource::File(watched) => HeaderValue::clone(&*watched.get(Instant::now())?),
        };
        Ok((self.header.clone(), value))
    }
}

fn first(scheme: &str, tokens: &[Secret]) -> Result<HeaderValue, AuthError> {
    let token = tokens.iter().find(|token| !token.is_empty());
    let token = token.ok_or_else(|| AuthError("there is no token".to_owned()))?.reveal();
    match scheme {
        "" => sensitive(token),
        scheme => sensitive(&format!("{scheme} {token}")),
    }
}
