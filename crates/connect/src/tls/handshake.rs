//! How a handshake fails, and what to say about it.

use std::{fmt, io};

use rustls::{AlertDescription, CertificateError, Error};

/// Why a connection to a listener with TLS did not come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HandshakeFailure {
    /// The client did not do its part in time.
    Timeout,
    /// The client went away in the middle of it.
    Gone,
    /// The client speaks no TLS at all.
    PlainText,
    /// What the client sent is no handshake.
    Malformed,
    /// The client has no version, suite or protocol that is allowed here.
    Incompatible,
    /// A certificate is required, and the client showed none.
    NoCertificate,
    /// The certificate that the client showed is not to be believed.
    Untrusted,
    /// The client refused: it does not believe the certificate of this side, say.
    Refused,
}

impl HandshakeFailure {
    /// All of them.
    pub const ALL: [HandshakeFailure; 8] = [
        HandshakeFailure::Timeout,
        HandshakeFailure::Gone,
        HandshakeFailure::PlainText,
        HandshakeFailure::Malformed,
        HandshakeFailure::Incompatible,
        HandshakeFailure::NoCertificate,
        HandshakeFailure::Untrusted,
        HandshakeFailure::Refused,
    ];

    /// A word for metrics: `no_certificate`.
    pub const fn name(self) -> &'static str {
        match self {
            HandshakeFailure::Timeout => "timeout",
            HandshakeFailure::Gone => "gone",
            HandshakeFailure::PlainText => "plain_text",
            HandshakeFailure::Malformed => "malformed",
            HandshakeFailure::Incompatible => "incompatible",
            HandshakeFailure::NoCertificate => "no_certificate",
            HandshakeFailure::Untrusted => "untrusted",
            HandshakeFailure::Refused => "refused",
        }
    }

    pub(super) fn of(error: &io::Error) -> Self {
        match cause(error) {
            None => HandshakeFailure::Gone,
            Some(Error::PeerIncompatible(_) | Error::NoApplicationProtocol) => HandshakeFailure::Incompatible,
            Some(Error::NoCertificatesPresented) => HandshakeFailure::NoCertificate,
            Some(Error::InvalidCertificate(_)) => HandshakeFailure::Untrusted,
            Some(Error::AlertReceived(_)) => HandshakeFailure::Refused,
            Some(_) => HandshakeFailure::Malformed,
        }
    }
}

impl fmt::Display for HandshakeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What rustls said, where it is the reason of an error.
fn cause(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// What to do about a connection that the far side ended by an alert of TLS, of which `error` is a consequence. In TLS 1.3 a client
/// learns by its first read whether its certificate was believed; what it wrote until then was never looked at.
pub(crate) fn alerted(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(Error::AlertReceived(alert)) = error.downcast_ref().and_then(cause) {
            return Some(advice_on(*alert));
        }
        // HTTP/2 keeps an error's text only.
        if let Some(io) = error.downcast_ref::<h2::Error>().and_then(h2::Error::get_io) {
            return told_in(&io.to_string()).map(advice_on);
        }
        if let Some(alert) = error.downcast_ref::<io::Error>().and_then(|io| told_in(&io.to_string())) {
            return Some(advice_on(alert));
        }
        next = error.source();
    }
    None
}

/// The alert of an error that was kept as text.
fn told_in(text: &str) -> Option<AlertDescription> {
    const OF_CERTIFICATES: [AlertDescription; 9] = [
        AlertDescription::CertificateRequired,
        AlertDescription::UnknownCA,
        AlertDescription::BadCertificate,
        AlertDescription::UnsupportedCertificate,
        AlertDescription::CertificateRevoked,
        AlertDescription::CertificateExpired,
        AlertDescription::CertificateUnknown,
        AlertDescription::DecryptError,
        AlertDescription::AccessDenied,
    ];
    OF_CERTIFICATES.into_iter().find(|alert| text.contains(&Error::AlertReceived(*alert).to_string()))
}

/// What a client's user can do about a handshake that failed.
pub(super) fn advice(error: &io::Error) -> &'static str {
    let Some(cause) = cause(error) else {
        return "the far side ended the handshake: does it speak TLS?";
    };
    match cause {
        Error::InvalidCertificate(certificate) => match certificate {
            // A CA that was made anew under its old name has other keys.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "name its CA in `tls.ca_file`"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "connect by a name of the certificate, or set `tls.server_name_override`"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "it needs a new certificate, or a clock is wrong"
            }
            _ => "it needs another certificate",
        },
        Error::AlertReceived(alert) => advice_on(*alert),
        Error::InvalidMessage(_) => "the far side does not speak TLS: use `http://` or `tls.insecure: true`",
        Error::PeerIncompatible(_) => "the two sides have no version or cipher suite in common",
        _ => "",
    }
}

fn advice_on(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::CertificateRequired => {
            "it wants a certificate of this client: set `tls.cert_file` and `tls.key_file`"
        }
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::DecryptError
        | AlertDescription::AccessDenied => "it does not believe the certificate of `tls.cert_file`",
        AlertDescription::ProtocolVersion => "it has no version of TLS that `tls` allows",
        AlertDescription::NoApplicationProtocol => "it does not speak this protocol on this port",
        _ => "it refused the handshake",
    }
}
