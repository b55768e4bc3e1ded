//! Certificates that are made for a test, and the settings that name them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aldis_connect::tls::{TlsClientSettings, TlsServerSettings, TlsSettings};
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;

/// A CA, and the directory where what it signs is put.
pub(crate) struct Authority {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
}

/// Files of a certificate and of its key.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "a CA of a test");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a CA");
        Self {
            directory: TempDir::new().expect("a directory"),
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Its own certificate.
    pub(crate) fn file(&self) -> PathBuf {
        let path = self.path("ca.pem");
        fs::write(&path, self.certificate.pem()).expect("written");
        path
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate for these names.
    pub(crate) fn issue(&self, name: &str, names: &[&str]) -> Pair {
        self.issue_with(name, names, |_| {})
    }

    pub(crate) fn expired(&self, name: &str, names: &[&str]) -> Pair {
        self.issue_with(name, names, |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        })
    }

    pub(crate) fn issue_with(
        &self,
        name: &str,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        self.write(name, &certificate.pem(), &key.serialize_pem())
    }

    /// One that signed itself.
    pub(crate) fn self_signed(&self, name: &str, names: &[&str], is_ca: bool) -> Pair {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        if is_ca {
            // As `openssl req -x509` makes them.
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        self.write(name, &certificate.pem(), &key.serialize_pem())
    }

    fn write(&self, name: &str, certificate: &str, key: &str) -> Pair {
        let pair = Pair {
            certificate: self.path(&format!("{name}.pem")),
            key: self.path(&format!("{name}-key.pem")),
        };
        fs::write(&pair.certificate, certificate).expect("written");
        fs::write(&pair.key, key).expect("written");
        pair
    }
}

impl Pair {
    pub(crate) fn common(&self) -> TlsSettings {
        TlsSettings {
            cert_file: Some(self.certificate.clone()),
            key_file: Some(self.key.clone()),
            ..TlsSettings::default()
        }
    }

    /// A listener that shows it.
    pub(crate) fn server(&self) -> TlsServerSettings {
        TlsServerSettings { common: self.common(), ..TlsServerSettings::default() }
    }

    /// A listener that shows it and asks for certificates of this CA.
    pub(crate) fn mutual(&self, clients: &Path) -> TlsServerSettings {
        TlsServerSettings { client_ca_file: Some(clients.to_owned()), ..self.server() }
    }

    /// A client that shows it.
    pub(crate) fn client(&self, ca: &Path) -> TlsClientSettings {
        TlsClientSettings { common: self.common(), ..trusting(ca) }
    }
}

/// A client that verifies by this CA.
pub(crate) fn trusting(ca: &Path) -> TlsClientSettings {
    TlsClientSettings { ca_file: Some(ca.to_owned()), ..TlsClientSettings::default() }
}
