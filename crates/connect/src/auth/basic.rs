//! Name and password: the Collector's `basicauth`, as a client sends them.

use std::{path::PathBuf, time::Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;

use super::{AuthError, sensitive, watched::Watched};
use crate::secret::Secret;

/// Settings of `basicauth` for a client: `client_auth`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BasicSettings {
    /// `username`.
    pub username: String,
    /// `username_file`: a file that says it instead.
    pub username_file: Option<PathBuf>,
    /// `password`.
    pub password: Secret,
    /// `password_file`: a file that says it instead.
    pub password_file: Option<PathBuf>,
}

impl BasicSettings {
    /// Whether they can be sent, files aside.
    ///
    /// # Errors
    /// What is wrong.
    pub fn validate(&self) -> Result<(), AuthError> {
        if self.username.is_empty() && self.username_file.is_none() {
            return Err(AuthError("there is no name".to_owned()));
        }
        header(&self.username, &self.password).map(drop)
    }
}

/// What a client sends.
#[derive(Debug)]
pub(crate) struct Sent {
    settings: BasicSettings,
    username: Option<Watched<String>>,
    password: Option<Watched<Secret>>,
}

impl Sent {
    pub(super) fn new(settings: &BasicSettings) -> Result<Self, AuthError> {
        settings.validate()?;
        let username = settings.username_file.as_deref();
        let password = settings.password_file.as_deref();
        Ok(Self {
            settings: settings.clone(),
            username: username.map(|path| Watched::new(path, |text| Ok(line(text)?.to_owned()))),
            password: password.map(|path| Watched::new(path, |text| Ok(Secret::from(line(text)?)))),
        })
    }

    pub(super) fn header(&self) -> Result<HeaderValue, AuthError> {
        let now = Instant::now();
        let username = self.username.as_ref().map(|watched| watched.get(now)).transpose()?;
        let password = self.password.as_ref().map(|watched| watched.get(now)).transpose()?;
        header(
            username.as_deref().unwrap_or(&self.settings.username),
            password.as_deref().unwrap_or(&self.settings.password),
        )
    }
}

/// What a file of one line says.
fn line(text: &str) -> Result<&str, AuthError> {
    let text = text.trim();
    if text.is_empty() { Err(AuthError("it is empty".to_owned())) } else { Ok(text) }
}

/// RFC 7617, section 2.
fn header(username: &str, password: &Secret) -> Result<HeaderValue, AuthError> {
    if username.contains(':') {
        return Err(AuthError("a name has no colon in it".to_owned()));
    }
    sensitive(&format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.reveal()))))
}
