//! Flags for TLS of `aldis load` and `aldis sink`.

use std::{fs::File, path::PathBuf};

use clap::Args;
use connect::tls::{TlsClientSettings, TlsServerSettings, TlsSettings};

/// Of what connects.
#[derive(Debug, Args)]
pub(crate) struct ClientTlsArgs {
    /// Speak TLS where the endpoint has no scheme; the flags below say so too.
    #[arg(long)]
    tls: bool,
    /// PEM file of the CAs that the far side is verified by, instead of the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// PEM file of the certificate to show.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// PEM file of its private key.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Believe any certificate of the far side.
    #[arg(long)]
    insecure_skip_verify: bool,
}

/// Of what listens.
#[derive(Debug, Args)]
pub(crate) struct ServerTlsArgs {
    /// Speak TLS, and show the certificate of this PEM file.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// PEM file of its private key.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// PEM file of CAs: every client must show a certificate that one of them signed.
    #[arg(long, value_name = "FILE", requires = "cert")]
    ca: Option<PathBuf>,
}

impl ClientTlsArgs {
    /// Says which of its files cannot be read.
    pub(crate) fn check_files(&self) -> Result<(), String> {
        check_files([("--ca", &self.ca), ("--cert", &self.cert), ("--key", &self.key)])
    }

    pub(crate) fn settings(&self) -> TlsClientSettings {
        let is_tls = self.tls || self.ca.is_some() || self.cert.is_some() || self.insecure_skip_verify;
        TlsClientSettings {
            common: common(&self.cert, &self.key),
            insecure: !is_tls,
            insecure_skip_verify: self.insecure_skip_verify,
            ca_file: self.ca.clone(),
            ..TlsClientSettings::default()
        }
    }
}

impl ServerTlsArgs {
    /// Says which of its files cannot be read.
    pub(crate) fn check_files(&self) -> Result<(), String> {
        check_files([("--ca", &self.ca), ("--cert", &self.cert), ("--key", &self.key)])
    }

    /// Plain text where no certificate is given.
    pub(crate) fn settings(&self) -> Option<TlsServerSettings> {
        self.cert.as_ref()?;
        Some(TlsServerSettings {
            common: common(&self.cert, &self.key),
            client_ca_file: self.ca.clone(),
            ..TlsServerSettings::default()
        })
    }
}

fn check_files(files: [(&str, &Option<PathBuf>); 3]) -> Result<(), String> {
    for (flag, path) in files {
        if let Some(path) = path {
            File::open(path).map_err(|error| format!("{flag} {}: {error}", path.display()))?;
        }
    }
    Ok(())
}

fn common(cert: &Option<PathBuf>, key: &Option<PathBuf>) -> TlsSettings {
    TlsSettings { cert_file: cert.clone(), key_file: key.clone(), ..TlsSettings::default() }
}
