//! The certificates of the rows that speak TLS: one authority, and one certificate for the loopback interface, made anew
//! for each run.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::path::{Path, PathBuf};

/// Files that systems, generator and sink read.
#[derive(Debug, Clone)]
pub(crate) struct Certificates {
    /// The authority that everybody believes.
    pub(crate) ca: PathBuf,
    /// What every server shows.
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// Writes them below `folder`: keys on the curve P-256, as the Collector's TLS takes them, too.
pub(crate) fn write(folder: &Path) -> Result<Certificates, String> {
    let told = |error: rcgen::Error| format!("certificates: {error}");
    let mut authority = CertificateParams::new(Vec::new()).map_err(told)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().map_err(told)?;
    let ca_pem = authority.self_signed(&authority_key).map_err(told)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().map_err(told)?;
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let cert = CertificateParams::new(names).map_err(told)?.signed_by(&key, &issuer).map_err(told)?;
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok::<PathBuf, String>(path)
    };
    Ok(Certificates {
        ca: write("ca.pem", ca_pem)?,
        cert: write("cert.pem", cert.pem())?,
        key: write("key.pem", key.serialize_pem())?,
    })
}
