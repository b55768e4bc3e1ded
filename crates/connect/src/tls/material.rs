//! What the files say: a certificate with its key, and whom to trust.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::PathBuf,
    sync::Arc,
};

use rustls::{Error, RootCertStore, crypto::CryptoProvider, pki_types::CertificateDer, sign::CertifiedKey};

use super::{
    TlsError, TlsSettings,
    pem::{self, Text},
};
use crate::Secret;

/// Where to read.
pub(super) struct Sources {
    pub(super) common: TlsSettings,
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) trust: Trust,
}

/// By whom the far side is verified.
pub(super) enum Trust {
    /// By nobody: it shows no certificate, or any is believed.
    Nobody,
    /// By the system's roots.
    System,
    /// By these CAs, and the system's roots too where the settings include them.
    Own { file: (&'static str, Option<PathBuf>), pem: (&'static str, Option<Secret>) },
}

/// Something that was read, and by which it is known whether it changed.
pub(super) struct Held<T> {
    pub(super) value: Arc<T>,
    pub(super) hash: u64,
}

impl<T> Clone for Held<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), hash: self.hash }
    }
}

/// Whom to trust.
pub(super) struct Roots {
    pub(super) store: Arc<RootCertStore>,
    /// Those of the configuration itself, which may be the far side's own.
    pub(super) listed: Vec<CertificateDer<'static>>,
}

/// Everything that a configuration of rustls is made of.
#[derive(Clone)]
pub(super) struct Material {
    pub(super) certificate: Option<Held<CertifiedKey>>,
    pub(super) roots: Option<Held<Roots>>,
}

impl Sources {
    pub(super) fn load(&self) -> Result<Material, TlsError> {
        Ok(Material { certificate: self.certificate()?, roots: self.roots()? })
    }

    /// Everything that is wrong with the files.
    pub(super) fn faults(&self) -> Vec<TlsError> {
        let all = [self.certificate().err(), self.roots().err()];
        all.into_iter().flatten().collect()
    }

    pub(super) fn certificate(&self) -> Result<Option<Held<CertifiedKey>>, TlsError> {
        let TlsSettings { cert_file, cert_pem, key_file, key_pem, .. } = &self.common;
        let certificate = pem::read(("cert_file", cert_file.as_deref()), ("cert_pem", cert_pem.as_ref()))?;
        let key = pem::read(("key_file", key_file.as_deref()), ("key_pem", key_pem.as_ref()))?;
        let (certificate, key) = match (certificate, key) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => (certificate, key),
            (Some(certificate), None) => {
                let message = "there is a certificate, but no key for it";
                return Err(TlsError::new(certificate.key, message, "add `key_file` or `key_pem`"));
            }
            (None, Some(key)) => {
                let message = "there is a key, but no certificate for it";
                return Err(TlsError::new(key.key, message, "add `cert_file` or `cert_pem`"));
            }
        };
        let hash = hash(&[&certificate.bytes, &key.bytes]);
        Ok(Some(Held { value: Arc::new(self.pair(&certificate, &key)?), hash }))
    }

    fn pair(&self, certificate: &Text, key: &Text) -> Result<CertifiedKey, TlsError> {
        let chain = certificate.certificates()?;
        let private = key.private_key()?;
        let pair = |chain: Vec<_>| CertifiedKey::from_der(chain, private.clone_key(), &self.provider);
        pair(chain.clone()).map_err(|error| match error {
            Error::InconsistentKeys(_) => {
                let message =
                    format!("the key of {key} is not that of the first certificate of {certificate}");
                let help = match chain.iter().skip(1).any(|other| pair(vec![other.clone()]).is_ok()) {
                    true => {
                        "it is that of a later one: put the own certificate first, then those that signed it"
                    }
                    false => "write both anew from the same request",
                };
                TlsError::new(key.key, message, help)
            }
            Error::InvalidCertificate(error) => {
                let message = format!("rustls does not read the first certificate of {certificate}: {error}");
                let help = "issue it as X.509 version 3: with an extension, such as `subjectAltName`";
                TlsError::new(certificate.key, message, help)
            }
            error => {
                let message = format!("the key of {key} cannot be used: {error}");
                TlsError::new(key.key, message, "RSA of 2048 bits or more, P-256, P-384 and Ed25519 can be")
            }
        })
    }

    pub(super) fn roots(&self) -> Result<Option<Held<Roots>>, TlsError> {
        let (mut store, mut listed, mut hashed) = (RootCertStore::empty(), Vec::new(), 0);
        if let Trust::Own { file, pem } = &self.trust {
            let text = pem::read((file.0, file.1.as_deref()), (pem.0, pem.1.as_ref()))?;
            let text = text.ok_or_else(|| TlsError::new(file.0, "is not there", ""))?;
            listed = text.certificates()?;
            for (i, certificate) in listed.iter().enumerate() {
                let unusable = |error| {
                    let message = format!("certificate {} of {text} cannot be a CA: {error}", i + 1);
                    TlsError::new(text.key, message, "")
                };
                store.add(certificate.clone()).map_err(unusable)?;
            }
            hashed = hash(&[&text.bytes]);
        }
        match self.trust {
            Trust::Nobody => return Ok(None),
            Trust::Own { .. } if !self.common.include_system_ca_certs_pool => {}
            Trust::System | Trust::Own { .. } => add_system(&mut store)?,
        }
        Ok(Some(Held { value: Arc::new(Roots { store: Arc::new(store), listed }), hash: hashed }))
    }
}

/// The roots of the system rather than a list inside the program: they are what its administrator trusts, an added or
/// removed CA is heeded, and the Collector uses the same.
fn add_system(store: &mut RootCertStore) -> Result<(), TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let (usable, _) = store.add_parsable_certificates(found.certs);
    if usable > 0 {
        return Ok(());
    }
    let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
    let message = format!("this system has no certificates of CAs{why}");
    Err(TlsError::new("ca_file", message, "install them (`ca-certificates`), or name a `ca_file`"))
}

fn hash(texts: &[&[u8]]) -> u64 {
    let mut hasher = DefaultHasher::new();
    texts.hash(&mut hasher);
    hasher.finish()
}
