//! The side that connects.

use std::{fmt, io, sync::Arc};

use pipeline::Health;
use rustls::{
    ClientConfig,
    client::{ResolvesClientCert, Resumption},
    crypto::{CryptoProvider, ring},
    pki_types::ServerName,
    sign::SingleCertAndKey,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};

use super::{
    Alpn, H2, ReloadCounts, TlsClientSettings, TlsError,
    handshake::advice,
    material::{Material, Sources, Trust},
    names::{self, Allowed},
    reload::Kept,
    verify,
};
use crate::{read_ahead::ReadAhead, transport::Transport};

/// TLS for what connects. Clones are one and the same, and resume what the other began.
///
/// ```no_run
/// use aldis_connect::tls::{Alpn, ClientTls, TlsClientSettings};
///
/// let settings = TlsClientSettings { ca_file: Some("ca.pem".into()), ..TlsClientSettings::default() };
/// let tls = ClientTls::new(&settings, Alpn::Http2)?;
/// # Ok::<(), aldis_connect::tls::TlsError>(())
/// ```
#[derive(Clone)]
pub struct ClientTls {
    kept: Arc<Kept<ClientConfig>>,
    name: Option<ServerName<'static>>,
    alpn: Alpn,
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ClientTls {
    /// Reads the files.
    ///
    /// # Errors
    /// The first setting of which nothing can be made, with the file and the line.
    pub fn new(settings: &TlsClientSettings, alpn: Alpn) -> Result<Self, TlsError> {
        let Allowed { provider, versions } = Allowed::of(&settings.common)?;
        let name = own_name(settings)?;
        let sources = sources(settings, provider.clone());
        let build = move |material: &Material| {
            let unusable = |error: rustls::Error| TlsError::new("cipher_suites", error.to_string(), "");
            let builder = ClientConfig::builder_with_provider(provider.clone());
            let builder = builder.with_protocol_versions(&versions).map_err(unusable)?;
            let verifier = match &material.roots {
                Some(roots) => verify::servers(&roots.value, provider.clone())?,
                None => Arc::new(verify::Anyone(provider.clone())),
            };
            let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
            let mut config = match &material.certificate {
                Some(own) => {
                    let shown = SingleCertAndKey::from(own.value.clone());
                    builder.with_client_cert_resolver(Arc::new(shown) as Arc<dyn ResolvesClientCert>)
                }
                None => builder.with_no_client_auth(),
            };
            config.alpn_protocols = alpn.protocols();
            config.resumption = Resumption::in_memory_sessions(RESUMED_SERVERS);
            Ok(config)
        };
        Ok(Self { kept: Arc::new(Kept::new(sources, false, build)?), name, alpn })
    }

    /// Everything of which [`ClientTls::new`] tells the first. Files are read.
    pub fn faults(settings: &TlsClientSettings, alpn: Alpn) -> Vec<TlsError> {
        let mut faults = names::faults(&settings.common);
        faults.extend(own_name(settings).err());
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

    /// The name that a server of this host must prove to have.
    ///
    /// # Errors
    /// The host is neither a name nor an address.
    pub(crate) fn name(&self, host: &str) -> Result<ServerName<'static>, TlsError> {
        match &self.name {
            Some(name) => Ok(name.clone()),
            None => server_name("server_name_override", host),
        }
    }

    /// Does the handshake. It takes as long as the far side does.
    pub(crate) async fn connect(
        &self,
        stream: TcpStream,
        name: ServerName<'static>,
    ) -> io::Result<Transport> {
        let connector = TlsConnector::from(self.kept.current().await);
        let shaken = connector.connect(name, ReadAhead::new(stream)).await.map_err(|error| {
            let advice = advice(&error);
            let what = if advice.is_empty() { error.to_string() } else { format!("{error} ({advice})") };
            io::Error::new(error.kind(), format!("TLS: {what}"))
        })?;
        if self.alpn == Alpn::Http2 && shaken.get_ref().1.alpn_protocol() != Some(H2) {
            let message =
                "TLS: the far side does not speak HTTP/2 (it did not choose `h2` by ALPN), which gRPC is";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(Transport::Tls(Box::new(TlsStream::Client(shaken))))
    }
}

/// Far sides with which something can be resumed, of one exporter: it has an endpoint for each signal at most.
const RESUMED_SERVERS: usize = 8;

fn own_name(settings: &TlsClientSettings) -> Result<Option<ServerName<'static>>, TlsError> {
    let name = settings.server_name_override.as_deref().filter(|name| !name.is_empty());
    name.map(|name| server_name("server_name_override", name)).transpose()
}

fn sources(settings: &TlsClientSettings, provider: Arc<CryptoProvider>) -> Sources {
    let trust = match (&settings.ca_file, &settings.ca_pem) {
        _ if settings.insecure_skip_verify => Trust::Nobody,
        (None, None) => Trust::System,
        (file, pem) => Trust::Own { file: ("ca_file", file.clone()), pem: ("ca_pem", pem.clone()) },
    };
    Sources { common: settings.common.clone(), provider, trust }
}

fn server_name(key: &'static str, text: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(text.to_owned())
        .map_err(|_| TlsError::new(key, format!("`{text}` is neither a name nor an address"), ""))
}
