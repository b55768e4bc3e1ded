//! TLS with the roots of the system.

use std::sync::Arc;

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::ring, pki_types::ServerName,
};

use super::{SendError, stream::Timed};

/// A connection over which the far side is to show a certificate of this name. Nothing is said before it has.
pub(super) fn client(
    mut stream: Timed,
    host: &str,
) -> Result<StreamOwned<ClientConnection, Timed>, SendError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| SendError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|_| SendError::Tls)?;
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(|_| SendError::Tls)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(connection, stream))
}
