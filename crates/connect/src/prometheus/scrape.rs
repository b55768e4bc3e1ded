//! The endpoint that a Prometheus server scrapes: `GET /metrics` over HTTP/1.1.

use std::{
    convert::Infallible,
    fmt,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use otlp::Codec;
use pipeline::{Charge, Shards, clock::now_ns};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::Instant,
};

use super::{Format, PrometheusExporter, format::accepts_gzip};
use crate::{
    body::AnswerBody,
    codec,
    limits::{
        HEADER_TIMEOUT, MAX_HEADER_BYTES, MAX_SCRAPE_CONNECTIONS, MAX_SCRAPES, SCRAPE_IDLE_TIMEOUT,
        SCRAPE_TIMEOUT,
    },
    otlp::receiver::{BindError, listen},
};

/// How long to wait after a failed accept: without a free file descriptor the next one fails too.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often a connection's age is looked at.
const WATCH_INTERVAL: Duration = Duration::from_secs(5);
/// The only path there is.
const PATH: &str = "/metrics";

/// A scrape endpoint whose socket is bound but not served yet.
#[derive(Debug)]
pub struct Endpoint {
    exporter: PrometheusExporter,
    listener: TcpListener,
    address: SocketAddr,
}

/// A scrape endpoint at work. It ends when this is dropped.
pub struct Serving {
    address: SocketAddr,
    _end: watch::Sender<()>,
    /// The thread it runs on, where that is its own.
    _shards: Option<Shards>,
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Serving {
    /// Where it listens, with the port that the system chose where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Endpoint {
    /// Binds the socket. Scrapers wait in the kernel until [`Endpoint::start`].
    ///
    /// # Errors
    /// An address that the system refuses.
    pub fn bind(exporter: &PrometheusExporter, address: &str) -> Result<Endpoint, BindError> {
        let (listener, bound) = listen(address, None, None)
            .map_err(|source| BindError::Socket { endpoint: address.to_owned(), source })?;
        Ok(Endpoint { exporter: exporter.clone(), listener, address: bound })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers scrapes on one of these shards, until what is returned is dropped.
    pub fn start(self, shards: &Shards, shard: usize) -> Serving {
        let (end, ended) = watch::channel(());
        let address = self.address;
        let desk = Desk {
            exporter: self.exporter,
            scrapes: Arc::new(Semaphore::new(MAX_SCRAPES)),
            connections: Arc::new(Semaphore::new(MAX_SCRAPE_CONNECTIONS)),
        };
        shards.spawn(shard, accept(self.listener, Arc::new(desk), ended));
        Serving { address, _end: end, _shards: None }
    }

    pub(super) fn start_owning(self, shards: Shards) -> Serving {
        let serving = self.start(&shards, 0);
        Serving { _shards: Some(shards), ..serving }
    }
}

struct Desk {
    exporter: PrometheusExporter,
    scrapes: Arc<Semaphore>,
    connections: Arc<Semaphore>,
}

async fn accept(listener: TcpListener, desk: Arc<Desk>, ended: watch::Receiver<()>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let mut over = ended.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = over.changed() => return,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // One more than there may be is closed at once.
        let Ok(place) = desk.connections.clone().try_acquire_owned() else { continue };
        let (desk, ended) = (desk.clone(), ended.clone());
        tokio::spawn(async move {
            let _place = place;
            drive(stream, desk, ended).await;
        });
    }
}

/// When the answer that is being written, or the quiet since the last one, began.
struct Activity {
    answering: bool,
    since: Instant,
}

async fn drive(stream: TcpStream, desk: Arc<Desk>, mut ended: watch::Receiver<()>) {
    // Without it answers are only later.
    let _ = stream.set_nodelay(true);
    let activity = Arc::new(Mutex::new(Activity { answering: false, since: Instant::now() }));
    let seen = activity.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(&desk, &request, &seen);
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder.max_header_size(MAX_HEADER_BYTES as usize);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    loop {
        tokio::select! {
            // Its error is the scraper's to notice.
            _ = connection.as_mut() => return,
            _ = ended.changed() => return,
            () = tokio::time::sleep(WATCH_INTERVAL) => {
                let activity = activity.lock().unwrap_or_else(PoisonError::into_inner);
                let limit = if activity.answering { SCRAPE_TIMEOUT } else { SCRAPE_IDLE_TIMEOUT };
                if activity.since.elapsed() > limit {
                    return;
                }
            }
        }
    }
}

/// An exposition on its way: what it holds is given back when its last byte is gone.
struct Exposition {
    bytes: Bytes,
    activity: Arc<Mutex<Activity>>,
    _charge: Option<Charge>,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Exposition {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Exposition {
    fn drop(&mut self) {
        note(&self.activity, false);
    }
}

fn note(activity: &Mutex<Activity>, answering: bool) {
    *activity.lock().unwrap_or_else(PoisonError::into_inner) = Activity { answering, since: Instant::now() };
}

fn answer(desk: &Desk, request: &Request<Incoming>, activity: &Arc<Mutex<Activity>>) -> Response<AnswerBody> {
    note(activity, false);
    if request.uri().path() != PATH {
        return refusal(StatusCode::NOT_FOUND, "there is only /metrics here\n");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = refusal(StatusCode::METHOD_NOT_ALLOWED, "use GET\n");
        answer.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    let Ok(place) = desk.scrapes.clone().try_acquire_owned() else {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "too many scrapes at once; try again later\n");
    };
    let Some(mut charge) = desk.exporter.charge_exposition() else {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "memory is short; try again later\n");
    };
    let headers = request.headers();
    let format = Format::negotiate(&joined(headers, &header::ACCEPT), desk.exporter.offers_open_metrics());
    let mut bytes = Bytes::from(desk.exporter.render(format, now_ns()));
    let mut response = Response::builder()
        .header(header::CONTENT_TYPE, format.content_type())
        .header(header::VARY, "Accept, Accept-Encoding");
    if accepts_gzip(&joined(headers, &header::ACCEPT_ENCODING))
        && let Ok(packed) = codec::compress(Codec::Gzip, codec::DEFAULT_LEVEL, &bytes)
    {
        bytes = packed;
        response = response.header(header::CONTENT_ENCODING, codec::name(Codec::Gzip));
    }
    if let Some(charge) = &mut charge {
        charge.settle(bytes.len());
    }
    if *request.method() == Method::HEAD {
        response = response.header(header::CONTENT_LENGTH, bytes.len());
        return response.body(AnswerBody::default()).unwrap_or_default();
    }
    note(activity, true);
    let exposition = Exposition { bytes, activity: activity.clone(), _charge: charge, _place: place };
    let data = Some(Bytes::from_owner(exposition));
    response.body(AnswerBody { data, trailers: None }).unwrap_or_default()
}

/// All lines of a header as one.
fn joined(headers: &HeaderMap, name: &header::HeaderName) -> String {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.collect::<Vec<_>>().join(",")
}

fn refusal(status: StatusCode, text: &'static str) -> Response<AnswerBody> {
    let mut answer =
        Response::new(AnswerBody { data: Some(Bytes::from_static(text.as_bytes())), trailers: None });
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}
