//! The endpoint that a Prometheus server scrapes: `GET /metrics` over HTTP/1.1.

use std::{net::SocketAddr, sync::Arc};

use pipeline::{Exporter as _, Shards, clock::now_ns};

use super::{Format, PrometheusExporter};
use crate::{
    otlp::receiver::BindError,
    page::{self, Page, PageRequest, PageSettings, Pages, Serving},
    sockets::Sockets,
};

/// The only path there is.
const PATH: &str = "/metrics";

/// A scrape endpoint whose socket is bound but not served yet.
#[derive(Debug)]
pub struct Endpoint(page::Endpoint);

impl Endpoint {
    /// Binds the socket. Scrapers wait in the kernel until [`Endpoint::start`].
    ///
    /// # Errors
    /// An address that the system refuses.
    pub fn bind(exporter: &PrometheusExporter, address: &str) -> Result<Endpoint, BindError> {
        Self::bind_over(exporter, &PageSettings::at(address), &mut Sockets::default())
    }

    /// As [`Endpoint::bind`], with TLS and credentials as they are set, on the socket that another listens on if it has the address
    /// that is wanted.
    ///
    /// # Errors
    /// An address that the system refuses, files that TLS cannot use.
    pub fn bind_over(
        exporter: &PrometheusExporter,
        settings: &PageSettings,
        sockets: &mut Sockets,
    ) -> Result<Endpoint, BindError> {
        let owner = exporter.name();
        page::Endpoint::bind_over(Arc::new(exporter.clone()), owner, settings, sockets).map(Self)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Answers scrapes on one of these shards, until what is returned is dropped.
    pub fn start(self, shards: &Shards, shard: usize) -> Serving {
        self.0.start(shards, shard)
    }

    pub(super) fn start_owning(self, shards: Shards) -> Serving {
        self.0.start_owning(shards)
    }
}

impl Pages for PrometheusExporter {
    fn missing(&self, path: &str) -> Option<&'static str> {
        (path != PATH).then_some("there is only /metrics here\n")
    }

    fn page(&self, request: &PageRequest<'_>) -> Page {
        let Some(charge) = self.charge_exposition() else {
            return Page::text(503, "memory is short; try again later\n");
        };
        let format = Format::negotiate(&request.accept(), self.offers_open_metrics());
        let body = self.render(format, now_ns()).into();
        Page { status: 200, content_type: format.content_type(), body, varies: true, charge }
    }
}
