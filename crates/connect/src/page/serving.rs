//! Connections of readers, from the handshake to the end.

use std::{
    convert::Infallible,
    net::TcpListener,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, header::CONNECTION};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use pipeline::Charge;
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::Instant,
};

use super::{Pages, answer::answer, hosts::Hosts};
use crate::{
    auth::Guard,
    limits::{
        HEADER_TIMEOUT, MAX_HEADER_BYTES, MAX_PAGE_CONNECTIONS, MAX_PAGES_AT_ONCE, PAGE_END_GRACE,
        PAGE_FIRST_GRACE, PAGE_IDLE_TIMEOUT, PAGE_READ_TIMEOUT,
    },
    tls::ServerTls,
    transport::Transport,
};

/// How long to wait after a failed accept: without a free file descriptor the next one fails too.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often a connection's age is looked at.
const WATCH_INTERVAL: Duration = Duration::from_secs(5);

/// What all connections of a listener have in common.
pub(super) struct Desk {
    pub(super) pages: Arc<dyn Pages>,
    pub(super) guard: Option<Guard>,
    pub(super) hosts: Hosts,
    pub(super) answers: Arc<Semaphore>,
    tls: Option<ServerTls>,
    connections: Arc<Semaphore>,
}

impl Desk {
    pub(super) fn new(
        pages: Arc<dyn Pages>,
        tls: Option<ServerTls>,
        guard: Option<Guard>,
        hosts: Hosts,
    ) -> Self {
        let answers = Arc::new(Semaphore::new(MAX_PAGES_AT_ONCE));
        let connections = Arc::new(Semaphore::new(MAX_PAGE_CONNECTIONS));
        Self { pages, guard, hosts, answers, tls, connections }
    }
}

pub(super) async fn accept(listener: TcpListener, desk: Arc<Desk>, ended: watch::Receiver<bool>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let mut over = ended.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = over.changed() => break,
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
    // This task is what its thread waits for: it is there until every connection is over.
    let all = desk.connections.acquire_many(MAX_PAGE_CONNECTIONS as u32);
    let _ = tokio::time::timeout(PAGE_END_GRACE, all).await;
}

/// When the answer that is being written, or the quiet since the last one, began.
pub(super) struct Activity {
    /// Whether there was a request.
    asked: bool,
    answering: bool,
    since: Instant,
}

async fn drive(stream: TcpStream, desk: Arc<Desk>, mut ended: watch::Receiver<bool>) {
    // Without it answers are only later.
    let _ = stream.set_nodelay(true);
    let begun = tokio::select! {
        begun = begin(stream, desk.tls.as_ref()) => begun,
        () = over(&mut ended) => return,
    };
    let Some(stream) = begun else { return };
    let activity = Arc::new(Mutex::new(Activity { asked: false, answering: false, since: Instant::now() }));
    let (seen, told) = (activity.clone(), ended.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let (desk, seen, told) = (desk.clone(), seen.clone(), told.clone());
        async move {
            let mut answer = answer(&desk, &request, &seen).await;
            if *told.borrow() {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder.max_header_size(MAX_HEADER_BYTES as usize);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    loop {
        tokio::select! {
            // Its error is the reader's to notice.
            _ = connection.as_mut() => return,
            () = end(&mut ended) => {
                let has_asked = || activity.lock().unwrap_or_else(PoisonError::into_inner).asked;
                if !has_asked() {
                    // Who has just come, perhaps to whoever takes our place on the socket, has its answer from here.
                    let first = tokio::time::timeout(PAGE_FIRST_GRACE, connection.as_mut()).await;
                    if first.is_ok() || !has_asked() {
                        return;
                    }
                }
                connection.as_mut().graceful_shutdown();
                // Whoever has not read its answer by then is cut off.
                let _ = tokio::time::timeout(PAGE_END_GRACE, connection.as_mut()).await;
                return;
            }
            () = tokio::time::sleep(WATCH_INTERVAL) => {
                let activity = activity.lock().unwrap_or_else(PoisonError::into_inner);
                let limit = if activity.answering { PAGE_READ_TIMEOUT } else { PAGE_IDLE_TIMEOUT };
                if activity.since.elapsed() > limit {
                    return;
                }
            }
        }
    }
}

/// Waits until the server ends.
async fn end(ended: &mut watch::Receiver<bool>) {
    // Without a sender it has.
    let _ = ended.wait_for(|ended| *ended).await;
}

/// Waits until the server has ended for so long that nobody is waited for any more.
async fn over(ended: &mut watch::Receiver<bool>) {
    end(ended).await;
    tokio::time::sleep(PAGE_END_GRACE).await;
}

/// Does the handshake, where there is one to do.
async fn begin(stream: TcpStream, tls: Option<&ServerTls>) -> Option<Transport> {
    match tls {
        None => Some(Transport::Plain(stream)),
        // Whoever fails is told why, as far as TLS does that.
        Some(tls) => tls.accept(stream).await.ok(),
    }
}

/// A page on its way: what it holds is given back when its last byte is gone.
pub(super) struct Sent {
    pub(super) bytes: Bytes,
    pub(super) activity: Arc<Mutex<Activity>>,
    pub(super) _charge: Option<Charge>,
    pub(super) _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        note(&self.activity, false);
    }
}

pub(super) fn note(activity: &Mutex<Activity>, answering: bool) {
    *activity.lock().unwrap_or_else(PoisonError::into_inner) =
        Activity { asked: true, answering, since: Instant::now() };
}
