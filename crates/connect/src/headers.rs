//! What exporters send with every request because they are told to.

use http::{HeaderMap, HeaderName, HeaderValue, header::USER_AGENT};

use crate::{otlp::SettingsError, secret::Secret};

/// Configured `headers`, and who sends them unless they say so. What `is_own` says yes of belongs to the protocol.
///
/// # Errors
/// The first that is no header, or is the protocol's.
pub(crate) fn configured(
    headers: &[(String, Secret)],
    is_own: impl Fn(&HeaderName) -> bool,
) -> Result<HeaderMap, SettingsError> {
    let mut all = HeaderMap::new();
    let agent = concat!("aldis/", env!("CARGO_PKG_VERSION"));
    all.insert(USER_AGENT, HeaderValue::from_static(agent));
    for (name, value) in headers {
        let wrong = |what: &str| SettingsError { key: "headers", message: format!("{name:?} {what}") };
        let mut value =
            HeaderValue::try_from(value.reveal()).map_err(|_| wrong("is not a header's value"))?;
        value.set_sensitive(true);
        let key = HeaderName::try_from(name).map_err(|_| wrong("is not a header's name"))?;
        if is_own(&key) {
            return Err(wrong("is a header of the protocol and cannot be set"));
        }
        all.insert(key, value);
    }
    Ok(all)
}
