//! Certificates and keys out of PEM, with the line of what is wrong.

use std::{
    fmt, fs,
    io::Read,
    path::{Path, PathBuf},
};

use rustls::{
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{Error, PemObject, SectionKind},
    },
    server::ParsedCertificate,
};

use super::{TlsError, certificate::validity};
use crate::{Secret, limits::MAX_PEM_BYTES};

/// PEM as it was read.
pub(super) struct Text {
    /// The setting that named it.
    pub(super) key: &'static str,
    file: Option<PathBuf>,
    pub(super) bytes: Vec<u8>,
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(path) => write!(f, "{}", path.display()),
            None => write!(f, "the text of `{}`", self.key),
        }
    }
}

/// Reads what a pair of settings names: a file or the text itself.
pub(super) fn read(
    (file_key, file): (&'static str, Option<&Path>),
    (pem_key, pem): (&'static str, Option<&Secret>),
) -> Result<Option<Text>, TlsError> {
    match (file, pem) {
        (Some(_), Some(_)) => {
            let message = format!("`{file_key}` and `{pem_key}` are both there");
            Err(TlsError::new(pem_key, message, "keep one of them"))
        }
        (Some(path), None) => read_file(file_key, path).map(Some),
        (None, Some(pem)) => Ok(Some(Text { key: pem_key, file: None, bytes: pem.reveal().into() })),
        (None, None) => Ok(None),
    }
}

pub(super) fn read_file(key: &'static str, path: &Path) -> Result<Text, TlsError> {
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(MAX_PEM_BYTES + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        let message = format!("cannot read {}: {error}", path.display());
        return Err(TlsError::new(key, message, ""));
    }
    if bytes.len() as u64 > MAX_PEM_BYTES {
        let message = format!("{} is longer than {MAX_PEM_BYTES} bytes", path.display());
        return Err(TlsError::new(key, message, "that is more than any list of CAs has"));
    }
    Ok(Text { key, file: Some(path.to_owned()), bytes })
}

/// One `-----BEGIN …-----` and what follows up to the next.
struct Part<'a> {
    /// Counted from 1.
    line: usize,
    label: &'a str,
    text: &'a [u8],
}

impl Text {
    fn parts(&self) -> Vec<Part<'_>> {
        let mut parts: Vec<Part<'_>> = Vec::new();
        let mut at = 0;
        for (i, line) in self.bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let label = std::str::from_utf8(line).ok().and_then(|line| {
                line.trim().strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----"))
            });
            if let Some(label) = label {
                parts.push(Part { line: i + 1, label, text: &[] });
            }
            if let Some(last) = parts.last_mut() {
                let begin = at - last.text.len();
                last.text = &self.bytes[begin..at + line.len()];
            }
            at += line.len();
        }
        parts
    }

    fn wrong(&self, line: usize, what: impl fmt::Display, help: &str) -> TlsError {
        TlsError::new(self.key, format!("{self}, line {line}: {what}"), help)
    }

    fn decode(&self, part: &Part<'_>) -> Result<Option<(SectionKind, Vec<u8>)>, TlsError> {
        match <(SectionKind, Vec<u8>)>::from_pem_slice(part.text) {
            Ok(decoded) => Ok(Some(decoded)),
            // A kind that nothing here asks for.
            Err(Error::NoItemsFound) => Ok(None),
            Err(Error::MissingSectionEnd { .. }) => {
                let what = format!("`-----BEGIN {}-----` has no end", part.label);
                Err(self.wrong(part.line, what, "the file was cut off, or is being written"))
            }
            Err(error) => {
                let what = format!("what follows `-----BEGIN {}-----` cannot be read: {error}", part.label);
                Err(self.wrong(part.line, what, ""))
            }
        }
    }

    /// All certificates, of which there must be one.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let mut found = Vec::new();
        let parts = self.parts();
        for part in &parts {
            if let Some((SectionKind::Certificate, der)) = self.decode(part)? {
                let certificate = CertificateDer::from(der);
                // Those of X.509 version 1 rustls does not read, but trusts.
                if let Err(error) = ParsedCertificate::try_from(&certificate)
                    && validity(&certificate).is_none()
                {
                    return Err(self.wrong(part.line, format!("this is not a certificate: {error}"), ""));
                }
                found.push(certificate);
            }
        }
        if found.is_empty() {
            return Err(self.nothing("certificate", &parts, "-----BEGIN CERTIFICATE-----"));
        }
        Ok(found)
    }

    /// The first private key, which must be there and not be encrypted.
    pub(super) fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let parts = self.parts();
        for part in &parts {
            let is_encrypted = part.label == "ENCRYPTED PRIVATE KEY"
                || part.label.ends_with("PRIVATE KEY")
                    && part.text.windows(9).any(|text| text == b"ENCRYPTED");
            if is_encrypted {
                let help = "write it without one: `openssl pkey -in KEY -out PLAIN`";
                return Err(self.wrong(part.line, "the private key is encrypted with a passphrase", help));
            }
            if let Some((kind, der)) = self.decode(part)?
                && let Some(key) = PrivateKeyDer::from_pem(kind, der)
            {
                return Ok(key);
            }
        }
        Err(self.nothing("private key", &parts, "-----BEGIN PRIVATE KEY-----"))
    }

    fn nothing(&self, wanted: &str, parts: &[Part<'_>], begins: &str) -> TlsError {
        let labels: Vec<&str> = parts.iter().map(|part| part.label).collect();
        let has_key = labels.iter().any(|label| label.ends_with("PRIVATE KEY"));
        let help = match labels.as_slice() {
            // The first byte of every certificate and key in DER.
            [] if self.bytes.first() == Some(&0x30) => {
                "it looks like DER: `openssl x509 -inform der` or `openssl pkey -inform der` makes PEM of it"
                    .to_owned()
            }
            [] => format!("PEM is wanted, which begins with `{begins}`"),
            _ if wanted == "certificate" && has_key => {
                "it has a private key: are the two files exchanged?".to_owned()
            }
            _ if wanted == "private key" && labels.contains(&"CERTIFICATE") => {
                "it has a certificate: are the two files exchanged?".to_owned()
            }
            labels => format!("it has {}", labels.join(", ")),
        };
        TlsError::new(self.key, format!("{self} has no {wanted}"), help)
    }
}
