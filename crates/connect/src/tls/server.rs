//! The side that listens.

use std::{fmt, io, sync::Arc, time::Duration};

use pipeline::Health;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    sign::SingleCertAndKey,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::{
    Alpn, HandshakeFailure, ReloadCounts, TlsError, TlsServerSettings,
    material::{Material, Sources, Trust},
    names::{self, Allowed},
    reload::Kept,
    verify,
};
use crate::{
    limits::{HANDSHAKE_TIMEOUT, MAX_DISCARDED_BYTES, TLS_WRITE_BYTES},
    read_ahead::ReadAhead,
    transport::Transport,
};

/// TLS for what listens. Clones are one and the same.
///
/// ```no_run
/// use aldis_connect::tls::{Alpn, ServerTls, TlsServerSettings, TlsSettings};
///
/// let common = TlsSettings {
///     cert_file: Some("server.pem".into()),
///     key_file: Some("server-key.pem".into()),
///     ..TlsSettings::default()
/// };
/// let settings = TlsServerSettings { common, client_ca_file: Some("clients.pem".into()), ..Default::default() };
/// let tls = ServerTls::new(&settings, Alpn::Http)?;
/// // … the files were replaced:
/// assert!(tls.reload()?);
/// # Ok::<(), aldis_connect::tls::TlsError>(())
/// ```
#[derive(Clone)]
pub struct ServerTls {
    kept: Arc<Kept<ServerConfig>>,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// The first setting of which nothing can be made, with the file and the line.
    pub fn new(settings: &TlsServerSettings, alpn: Alpn) -> Result<Self, TlsError> {
        let Allowed { provider, versions } = Allowed::of(&settings.common)?;
        let sources = sources(settings, provider.clone());
        let build = move |material: &Material| {
            let unusable = |error: rustls::Error| TlsError::new("cipher_suites", error.to_string(), "");
            let builder = ServerConfig::builder_with_provider(provider.clone());
            let builder = builder.with_protocol_versions(&versions).map_err(unusable)?;
            let builder = match &material.roots {
                Some(roots) => {
                    builder.with_client_cert_verifier(verify::clients(&roots.value, provider.clone())?)
                }
                None => builder.with_no_client_auth(),
            };
            let Some(certificate) = &material.certificate else {
                let message = "a listener with TLS needs a certificate and its key";
                return Err(TlsError::new("cert_file", message, "add `cert_file` and `key_file`"));
            };
            let shown = SingleCertAndKey::from(certificate.value.clone());
            let mut config = builder.with_cert_resolver(Arc::new(shown));
            config.alpn_protocols = alpn.protocols();
            Ok(config)
        };
        Ok(Self { kept: Arc::new(Kept::new(sources, settings.client_ca_file_reload, build)?) })
    }

    /// Everything of which [`ServerTls::new`] tells the first. Files are read.
    pub fn faults(settings: &TlsServerSettings, alpn: Alpn) -> Vec<TlsError> {
        let mut faults = names::faults(&settings.common);
        faults.extend(sources(settings, Arc::new(ring::default_provider())).faults());
        if faults.is_empty() { Self::new(settings, alpn).err().into_iter().collect() } else { faults }
    }

    /// Reads the files again, whatever the interval. Says whether anything had changed. Blocks.
    ///
    /// # Errors
    /// What is wrong with them; then what held before holds on.
    pub fn reload(&self) -> Result<bool, TlsError> {
        self.kept.reload()
    }

    /// Tells from now on, as this component's problem, when the files cannot be used any more.
    pub fn tell(&self, health: Health, component: impl Into<String>) {
        self.kept.tell(health, component.into());
    }

    /// The last Unix second at which the certificate holds that is shown, and those that lead from it to a root; `None` where
    /// there is none.
    pub fn not_after(&self) -> Option<i64> {
        self.kept.not_after()
    }

    /// What came of reading the files again so far.
    pub fn counts(&self) -> ReloadCounts {
        self.kept.counts()
    }

    /// Does the handshake, in limited time.
    pub(crate) async fn accept(&self, stream: TcpStream) -> Result<Transport, HandshakeFailure> {
        match timeout(HANDSHAKE_TIMEOUT, self.shake(stream)).await {
            Ok(shaken) => shaken,
            Err(_) => Err(HandshakeFailure::Timeout),
        }
    }

    async fn shake(&self, stream: TcpStream) -> Result<Transport, HandshakeFailure> {
        let mut first = [0];
        match stream.peek(&mut first).await {
            Ok(1..) if first[0] == HANDSHAKE_RECORD => {}
            Ok(1..) => {
                answer(stream, NEEDS_TLS).await;
                return Err(HandshakeFailure::PlainText);
            }
            Ok(0) | Err(_) => return Err(HandshakeFailure::Gone),
        }
        let acceptor = TlsAcceptor::from(self.kept.current().await);
        let limit = |tls: &mut rustls::ServerConnection| tls.set_buffer_limit(Some(TLS_WRITE_BYTES));
        let shaken = acceptor.accept_with(ReadAhead::new(stream), limit).into_fallible().await;
        match shaken {
            Ok(stream) => Ok(Transport::Tls(Box::new(TlsStream::Server(stream)))),
            Err((error, stream)) => {
                let failure = HandshakeFailure::of(&error);
                if failure != HandshakeFailure::Gone {
                    // A client that is gone hears nothing.
                    let _ = timeout(EXPLAIN_TIMEOUT, part(stream)).await;
                }
                Err(failure)
            }
        }
    }
}

fn sources(settings: &TlsServerSettings, provider: Arc<CryptoProvider>) -> Sources {
    let trust = match &settings.client_ca_file {
        Some(file) => {
            let file = ("client_ca_file", Some(file.clone()));
            Trust::Own { file, pem: ("client_ca_pem", None) }
        }
        None => Trust::Nobody,
    };
    Sources { common: settings.common.clone(), provider, trust }
}

/// The first byte of whoever speaks TLS (RFC 8446, section 5.1).
pub(crate) const HANDSHAKE_RECORD: u8 = 22;
/// How long a client that is told something may take to hear it.
const EXPLAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// What a client without TLS is told in HTTP/1.1.
const NEEDS_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: 26\r\n\r\nthis port speaks TLS only\n";
/// SETTINGS with nothing in it, then GOAWAY for `INADEQUATE_SECURITY` (RFC 9113, sections 6.8 and 7) with a reason.
const NEEDS_TLS_HTTP2: &[u8] =
    b"\0\0\0\x04\0\0\0\0\0\0\0\x21\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0cthis port speaks TLS only";
/// What a client with TLS is told where there is none. Clients know the first bytes of HTTP and say so.
const HAS_NO_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: 28\r\n\r\nthis port does not speak TLS";

/// Tells a client that begins with TLS that there is none on this port.
pub(crate) async fn speaks_plain(stream: TcpStream) {
    answer(stream, HAS_NO_TLS).await;
}

/// Tells a client something and closes. Who speaks HTTP/2 is told so that it needs TLS.
async fn answer(mut stream: TcpStream, what: &'static [u8]) {
    let told = async {
        let mut seen = vec![0; 1024];
        let length = stream.read(&mut seen).await?;
        let what = if seen[..length].starts_with(b"PRI ") { NEEDS_TLS_HTTP2 } else { what };
        stream.write_all(what).await?;
        part(stream).await
    };
    // A client that is gone is told nothing.
    let _ = timeout(EXPLAIN_TIMEOUT, told).await;
}

/// Closes so that the client sees what it was told: a connection that is closed with something unread is reset.
async fn part(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    stream.shutdown().await?;
    let (mut left, mut unread) = (MAX_DISCARDED_BYTES, vec![0; 4096]);
    while left > 0 {
        match stream.read(&mut unread).await? {
            0 => break,
            length => left = left.saturating_sub(length),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_the_length_that_they_say() {
        for (answer, length) in [(NEEDS_TLS, 26), (HAS_NO_TLS, 28)] {
            let (head, body) = answer.split_at(answer.len() - length);
            let says = format!("content-length: {length}\r\n\r\n");
            assert!(head.ends_with(says.as_bytes()) && body.starts_with(b"this port"));
        }
        let go_away = &NEEDS_TLS_HTTP2[9..];
        let length = usize::from(go_away[2]);
        assert_eq!((go_away[3], go_away.len() - 9), (7, length));
        assert_eq!(go_away[16], 0x0c);
    }
}
