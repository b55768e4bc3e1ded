//! Compression, done once for all exporters.

use bytes::Bytes;
use otlp::Codec;

/// Compresses requests on their way into exporter queues. The pipeline knows no codec; whoever builds it brings one.
pub trait Compressor: Send + Sync + 'static {
    /// What it writes.
    fn codec(&self) -> Codec;

    /// The compressed form; `None` leaves the request as it is.
    fn compress(&self, request: &[u8]) -> Option<Bytes>;
}
