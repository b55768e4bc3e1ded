//! Versions, suites and groups by name.

use std::sync::Arc;

use rustls::{
    CipherSuite, NamedGroup, SupportedCipherSuite, SupportedProtocolVersion,
    crypto::{CryptoProvider, ring},
    version::{TLS12, TLS13},
};

use super::{TlsError, TlsSettings};

/// What `curve_preferences` may name.
pub const CURVES: [&str; 3] = ["X25519", "P256", "P384"];

/// What `cipher_suites` may name: the names of the IANA registry, which are Go's.
pub fn cipher_suites() -> Vec<String> {
    ring::ALL_CIPHER_SUITES.iter().map(|suite| name(*suite)).collect()
}

/// What is allowed to be negotiated.
pub(super) struct Allowed {
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) versions: Vec<&'static SupportedProtocolVersion>,
}

impl Allowed {
    pub(super) fn of(settings: &TlsSettings) -> Result<Self, TlsError> {
        let least = version("min_version", &settings.min_version)?.unwrap_or(Version::Tls12);
        let most = version("max_version", &settings.max_version)?.unwrap_or(Version::Tls13);
        if least > most {
            let message = format!("is {}, which is above `max_version`", settings.min_version);
            return Err(TlsError::new("min_version", message, "exchange the two, or leave one out"));
        }
        let mut provider = ring::default_provider();
        if !settings.cipher_suites.is_empty() {
            provider.cipher_suites = suites(&settings.cipher_suites)?;
        }
        if !settings.curve_preferences.is_empty() {
            let group = |name: &String| {
                let wanted = curve(name)?;
                let known = ring::ALL_KX_GROUPS.iter().copied().find(|group| group.name() == wanted);
                known.ok_or_else(|| no_curve(name))
            };
            provider.kx_groups = settings.curve_preferences.iter().map(group).collect::<Result<_, _>>()?;
        }
        let versions: Vec<_> = [(Version::Tls12, &TLS12), (Version::Tls13, &TLS13)]
            .into_iter()
            .filter(|(version, _)| (least..=most).contains(version))
            .map(|(_, version)| version)
            .collect();
        let usable = |suite: &SupportedCipherSuite| versions.contains(&suite.version());
        if !provider.cipher_suites.iter().any(usable) {
            let message = "no suite of the list belongs to a version that is allowed";
            return Err(TlsError::new("cipher_suites", message, "name another, or leave the versions out"));
        }
        // A version without a suite cannot be negotiated, and rustls refuses to be configured so.
        let versions = versions
            .into_iter()
            .filter(|version| provider.cipher_suites.iter().any(|suite| suite.version() == *version))
            .collect();
        Ok(Self { provider: Arc::new(provider), versions })
    }
}

/// Everything that is wrong with versions, suites and curves.
pub(super) fn faults(settings: &TlsSettings) -> Vec<TlsError> {
    let TlsSettings { min_version, max_version, cipher_suites, curve_preferences, .. } = settings.clone();
    let alone = [
        TlsSettings { min_version, ..TlsSettings::default() },
        TlsSettings { max_version, ..TlsSettings::default() },
        TlsSettings { cipher_suites, ..TlsSettings::default() },
        TlsSettings { curve_preferences, ..TlsSettings::default() },
    ];
    let faults: Vec<_> = alone.iter().filter_map(|alone| Allowed::of(alone).err()).collect();
    if faults.is_empty() { Allowed::of(settings).err().into_iter().collect() } else { faults }
}

#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Version {
    Tls12,
    Tls13,
}

fn version(key: &'static str, text: &str) -> Result<Option<Version>, TlsError> {
    match text {
        "" => Ok(None),
        "1.2" => Ok(Some(Version::Tls12)),
        "1.3" => Ok(Some(Version::Tls13)),
        "1.0" | "1.1" => {
            let message =
                format!("TLS {text} is not there: it is broken (RFC 8996), and rustls does not have it");
            Err(TlsError::new(key, message, "write \"1.2\" or \"1.3\""))
        }
        other => {
            let message = format!("`{other}` is not a version of TLS");
            Err(TlsError::new(key, message, "write \"1.2\" or \"1.3\""))
        }
    }
}

/// Those of the list, in its order. Where none of TLS 1.3 is named all of them stay.
fn suites(names: &[String]) -> Result<Vec<SupportedCipherSuite>, TlsError> {
    let mut found = Vec::new();
    for wanted in names {
        let known = ring::ALL_CIPHER_SUITES.iter().find(|suite| name(**suite) == *wanted);
        found.push(*known.ok_or_else(|| no_suite(wanted))?);
    }
    if !found.iter().any(|suite| suite.version() == &TLS13) {
        found.extend(ring::ALL_CIPHER_SUITES.iter().filter(|suite| suite.version() == &TLS13));
    }
    Ok(found)
}

fn no_suite(name: &str) -> TlsError {
    let is_weak =
        name.starts_with("TLS_RSA_") || ["_CBC_", "_RC4_", "_3DES_"].iter().any(|weak| name.contains(weak));
    let message = match is_weak {
        true => format!("`{name}` is not there: it has no forward secrecy or no authenticated encryption"),
        false => format!("there is no cipher suite `{name}`"),
    };
    TlsError::new("cipher_suites", message, format!("there are {}", cipher_suites().join(", ")))
}

fn curve(name: &str) -> Result<NamedGroup, TlsError> {
    match name {
        "X25519" => Ok(NamedGroup::X25519),
        "P256" => Ok(NamedGroup::secp256r1),
        "P384" => Ok(NamedGroup::secp384r1),
        _ => Err(no_curve(name)),
    }
}

fn no_curve(name: &str) -> TlsError {
    let message = match name {
        "P521" | "X25519MLKEM768" => {
            format!("`{name}` is not there: the cryptography of `ring` does not have it")
        }
        _ => format!("there is no curve `{name}`"),
    };
    TlsError::new("curve_preferences", message, format!("there are {}", CURVES.join(", ")))
}

fn name(suite: SupportedCipherSuite) -> String {
    let name = match suite.suite() {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => return format!("{other:?}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(change: impl FnOnce(&mut TlsSettings)) -> Result<Allowed, TlsError> {
        let mut settings = TlsSettings::default();
        change(&mut settings);
        Allowed::of(&settings)
    }

    #[test]
    fn names_are_those_of_the_registry() {
        let all = cipher_suites();
        assert_eq!(all.len(), 9);
        assert!(all.contains(&"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256".to_owned()), "{all:?}");
        assert!(all.contains(&"TLS_AES_128_GCM_SHA256".to_owned()), "{all:?}");
        for curve in CURVES {
            assert!(allowed(|settings| settings.curve_preferences = vec![curve.to_owned()]).is_ok());
        }
    }

    #[test]
    fn a_list_restricts_its_own_version_only() {
        let of = |names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            let allowed = allowed(|settings| settings.cipher_suites = names).unwrap();
            (allowed.provider.cipher_suites.len(), allowed.versions.len())
        };
        assert_eq!(of(&[]), (9, 2));
        assert_eq!(of(&["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]), (4, 2));
        assert_eq!(of(&["TLS_AES_128_GCM_SHA256"]), (1, 1));
    }

    #[test]
    fn what_cannot_be_is_refused_with_a_reason() {
        let suites = |name: &str| {
            let names = vec![name.to_owned()];
            allowed(|settings| settings.cipher_suites = names).err().unwrap().to_string()
        };
        assert!(suites("TLS_RSA_WITH_AES_128_CBC_SHA").contains("forward secrecy"));
        assert!(suites("TLS_AES_1").contains("there is no cipher suite `TLS_AES_1`; there are TLS_"));
        let old = allowed(|settings| settings.min_version = "1.1".to_owned()).err().unwrap();
        assert!(old.to_string().starts_with("tls.min_version: TLS 1.1 is not there"), "{old}");
        let mixed = allowed(|settings| {
            settings.max_version = "1.2".to_owned();
            settings.cipher_suites = vec!["TLS_AES_128_GCM_SHA256".to_owned()];
        });
        assert!(mixed.err().unwrap().message.contains("no suite of the list"));
        let crossed = allowed(|settings| {
            settings.min_version = "1.3".to_owned();
            settings.max_version = "1.2".to_owned();
        });
        assert_eq!(crossed.err().unwrap().key, "min_version");
        let all = TlsSettings {
            min_version: "1.0".to_owned(),
            max_version: "2".to_owned(),
            curve_preferences: vec!["P1".to_owned()],
            ..TlsSettings::default()
        };
        let keys: Vec<_> = faults(&all).iter().map(|fault| fault.key).collect();
        assert_eq!(keys, ["min_version", "max_version", "curve_preferences"]);
        let curve = allowed(|settings| settings.curve_preferences = vec!["P521".to_owned()]);
        assert!(curve.err().unwrap().message.contains("`ring` does not have it"));
    }
}
