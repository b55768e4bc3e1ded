//! One accepted connection, from its first bytes to its end.

use std::{
    convert::Infallible,
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::CONNECTION};
use http_body::Body;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use pipeline::Charge;
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{
    GrpcSettings, HttpSettings, Keepalive, WindowSettings,
    grpc::{self, GrpcRules},
    http::{self as http_protocol, HttpRules},
    http2::{self, Http2, Received},
    intake::Desk,
    window::Window,
};
use crate::{
    auth::Guard,
    body::AnswerBody,
    limits::{
        FINISH_GRACE, FIRST_BYTES_TIMEOUT, HTTP1_BUFFER_BYTES, MAX_CONCURRENT_STREAMS, MAX_HEADER_BYTES,
        TLS_CONNECTION_BYTES, WINDOWS_DIVISOR,
    },
    tls::{self, HANDSHAKE_RECORD, ServerTls},
    transport::Transport,
};

/// What the receiver tells its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Take requests.
    Running,
    /// Take requests, but have the peer go somewhere else with its next ones.
    Leaving,
    /// Finish what is in flight, take nothing new.
    Draining,
    /// End now.
    Ended,
}

/// What a listener speaks.
#[derive(Clone, Debug)]
pub(super) enum Speaks {
    Grpc(Arc<GrpcSettings>, Option<Arc<Guard>>),
    Http(Arc<HttpSettings>, Option<Arc<Guard>>),
}

impl Speaks {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Speaks::Grpc(..) => "grpc",
            Speaks::Http(..) => "http",
        }
    }
}

/// Requests in flight on one connection, and when the last one ended.
#[derive(Debug, Default)]
struct Activity {
    in_flight: AtomicUsize,
    ended: AtomicUsize,
}

impl Activity {
    /// Whether there is no request, and none has ended since it was asked last, by which it is known again.
    fn is_idle_since(&self, seen_ended: &mut usize) -> bool {
        let ended = self.ended.load(Relaxed);
        let before = std::mem::replace(seen_ended, ended);
        self.in_flight.load(Relaxed) == 0 && ended == before
    }
}

/// Counts a request in flight for as long as it lives.
struct InFlight(Arc<Activity>);

impl InFlight {
    fn new(activity: &Arc<Activity>) -> Self {
        activity.in_flight.fetch_add(1, Relaxed);
        Self(activity.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Relaxed);
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// Serves one connection until it or the receiver ends. Errors end it and are the peer's to notice: every request on it
/// has been counted.
pub(super) async fn drive(
    stream: TcpStream,
    desk: Arc<Desk>,
    (speaks, tls): (Speaks, Option<ServerTls>),
    mut phase: watch::Receiver<Phase>,
) {
    // Small answers must not wait for each other; without it they are only later.
    let _ = stream.set_nodelay(true);
    let begun = tokio::select! {
        begun = begin(stream, tls.as_ref(), &speaks, &desk) => begun,
        // A peer that has said nothing yet has nothing in flight.
        () = ending(&mut phase) => return,
    };
    let Some(Begun { stream, is_http2, _paid }) = begun else { return };
    let activity = Arc::new(Activity::default());
    match speaks {
        Speaks::Grpc(settings, guard) if is_http2 => {
            let keepalive = settings.keepalive.clone();
            let rules = Arc::new(GrpcRules {
                max: settings.max_recv_msg_size_mib << 20,
                include_metadata: settings.include_metadata,
                guard,
            });
            let (desk_of_each, in_flight) = (desk.clone(), activity.clone());
            let answer = move |request: Request<Received>| {
                let (desk, rules, guard) = (desk_of_each.clone(), rules.clone(), InFlight::new(&in_flight));
                async move {
                    let answer = grpc::answer(&desk, &rules, request).await;
                    drop(guard);
                    answer
                }
            };
            let http2 = (&settings.windows, settings.max_concurrent_streams);
            let pings = Some((keepalive.time, keepalive.timeout));
            drive_http2(stream, &desk, (http2, pings), answer, (&keepalive, &activity), phase).await;
        }
        // gRPC is HTTP/2; there is no answer that an HTTP/1.1 peer of a gRPC port would expect.
        Speaks::Grpc(..) => {}
        Speaks::Http(settings, guard) => {
            let keepalive = Keepalive { max_connection_idle: settings.idle_timeout, ..Keepalive::default() };
            let rules = Arc::new(HttpRules { settings: settings.clone(), guard });
            let (desk_of_each, in_flight) = (desk.clone(), activity.clone());
            if is_http2 {
                let answer = move |request: Request<Received>| {
                    answer_http(desk_of_each.clone(), rules.clone(), InFlight::new(&in_flight), request)
                };
                let http2 = (&settings.windows, MAX_CONCURRENT_STREAMS);
                drive_http2(stream, &desk, (http2, None), answer, (&keepalive, &activity), phase).await;
                return;
            }
            let told = phase.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let guard = InFlight::new(&in_flight);
                let answer = answer_http(desk_of_each.clone(), rules.clone(), guard, request);
                let told = told.clone();
                async move {
                    let mut answer = answer.await;
                    // Whoever hears it before the end sends no request into a connection that is closed.
                    if *told.borrow() != Phase::Running {
                        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                    }
                    Ok::<_, Infallible>(answer)
                }
            });
            let mut builder = http1::Builder::new();
            let timeout = Some(settings.read_header_timeout).filter(|timeout| !timeout.is_zero());
            builder.timer(TokioTimer::new()).header_read_timeout(timeout);
            builder.max_buf_size(HTTP1_BUFFER_BYTES);
            builder.max_header_size(MAX_HEADER_BYTES as usize);
            let connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
            last(connection, &keepalive, &activity, phase).await;
        }
    }
}

async fn answer_http<B>(
    desk: Arc<Desk>,
    rules: Arc<HttpRules>,
    guard: InFlight,
    request: Request<B>,
) -> Response<AnswerBody>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let answer = http_protocol::answer(&desk, &rules, request).await;
    drop(guard);
    answer
}

/// Where there is no memory for the connection's window it is closed: a window that is not paid for could be filled all the same,
/// and whoever connects tries again.
async fn drive_http2<S, F>(
    stream: Transport,
    desk: &Desk,
    (http2, pings): ((&WindowSettings, u32), Option<(Duration, Duration)>),
    answer: S,
    (keepalive, activity): (&Keepalive, &Activity),
    mut phase: watch::Receiver<Phase>,
) where
    S: Fn(Request<Received>) -> F + Unpin,
    F: Future<Output = Response<AnswerBody>> + Send + 'static,
{
    let Some(window) = Window::open(&desk.budget(), http2.0, std::time::Instant::now()) else {
        desk.stats.connections_refused.fetch_add(1, Relaxed);
        return;
    };
    let opened = tokio::select! {
        opened = http2::open(stream, http2, window, pings, answer) => opened,
        // It has had no request yet.
        () = ending(&mut phase) => return,
    };
    if let Some(connection) = opened {
        last(pin!(connection), keepalive, activity, phase).await;
    }
}

/// A connection that can be spoken on.
struct Begun {
    stream: Transport,
    is_http2: bool,
    /// What TLS holds for it.
    _paid: Option<Charge>,
}

/// Does the handshake, or waits for what an unencrypted peer begins with. `None` if there is nothing to go on with, which is counted.
async fn begin(stream: TcpStream, tls: Option<&ServerTls>, speaks: &Speaks, desk: &Desk) -> Option<Begun> {
    let Some(tls) = tls else {
        let first = tokio::time::timeout(FIRST_BYTES_TIMEOUT, first(&stream)).await.ok()??;
        if first == First::Tls {
            desk.stats.tls_to_plain.fetch_add(1, Relaxed);
            tls::speaks_plain(stream).await;
            return None;
        }
        let is_http2 = first == First::Http2;
        return Some(Begun { stream: Transport::Plain(stream), is_http2, _paid: None });
    };
    let Some(paid) = desk.budget().try_reserve(TLS_CONNECTION_BYTES, WINDOWS_DIVISOR) else {
        desk.stats.connections_refused.fetch_add(1, Relaxed);
        return None;
    };
    match tls.accept(stream).await {
        Ok(stream) => {
            // Who agrees upon nothing speaks what the port is there for.
            let is_http2 = stream.agreed_http2().unwrap_or(matches!(speaks, Speaks::Grpc(..)));
            Some(Begun { stream, is_http2, _paid: Some(paid) })
        }
        Err(failure) => {
            desk.stats.handshake_failed(failure);
            None
        }
    }
}

/// What an unencrypted port is spoken to with.
#[derive(PartialEq)]
enum First {
    Http2,
    Other,
    Tls,
}

/// Whether the peer opens with the preface of HTTP/2 (RFC 9113, section 3.4); no HTTP/1.1 method begins with `PRI`.
/// `None` if it goes away first.
async fn first(stream: &TcpStream) -> Option<First> {
    const PREFACE: &[u8] = b"PRI";
    let mut seen = [0; PREFACE.len()];
    loop {
        match stream.peek(&mut seen).await {
            Ok(0) | Err(_) => return None,
            Ok(_) if seen[0] == HANDSHAKE_RECORD => return Some(First::Tls),
            Ok(n) if !PREFACE.starts_with(&seen[..n]) => return Some(First::Other),
            Ok(n) if n == PREFACE.len() => return Some(First::Http2),
            // Peeking does not take the bytes, so it would be ready again at once.
            Ok(_) => sleep(Duration::from_millis(5)).await,
        }
    }
}

/// Waits until nothing new is taken any more.
async fn ending(phase: &mut watch::Receiver<Phase>) {
    // Without a sender it is over.
    let _ = phase.wait_for(|phase| *phase >= Phase::Draining).await;
}

/// Both kinds of connection end gracefully.
trait Connection: Future {
    /// Has the peer go, once it has its answers.
    fn leave(self: Pin<&mut Self>);

    fn finish(self: Pin<&mut Self>);
}

impl<I, B, S> Connection for http1::Connection<I, S>
where
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Its next answer says so.
    fn leave(self: Pin<&mut Self>) {}

    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<S, F> Connection for Http2<S>
where
    S: Fn(Request<Received>) -> F + Unpin,
    F: Future<Output = Response<AnswerBody>> + Send + 'static,
{
    /// The peer is told the last stream that counts only when it has heard of it (RFC 9113, section 6.8): none is lost.
    fn leave(self: Pin<&mut Self>) {
        self.finish();
    }

    fn finish(self: Pin<&mut Self>) {
        Http2::finish(self.get_mut());
    }
}

/// Runs a connection until it ends, is told to, is too old, or idles for too long.
async fn last<C: Connection>(
    mut connection: Pin<&mut C>,
    keepalive: &Keepalive,
    activity: &Activity,
    mut phase: watch::Receiver<Phase>,
) {
    let mut age = keepalive.max_connection_age.map(|age| Box::pin(sleep(age)));
    let mut idle = keepalive.max_connection_idle.map(|idle| Box::pin(sleep(idle)));
    // A peer that takes nothing, or answers nothing, could otherwise keep what it was told to give up.
    let grace = keepalive.max_connection_age_grace.unwrap_or(FINISH_GRACE);
    let mut going = None;
    let (mut seen_ended, mut seen_going) = (0, 0);
    let begun = *phase.borrow_and_update();
    let mut finishing = begun >= Phase::Draining;
    if finishing {
        connection.as_mut().finish();
    } else if begun == Phase::Leaving {
        connection.as_mut().leave();
    }
    loop {
        tokio::select! {
            // Its error is the peer's to notice; what was in flight has been counted as cancelled.
            _ = connection.as_mut() => return,
            changed = phase.changed() => {
                match *phase.borrow_and_update() {
                    _ if changed.is_err() => return,
                    Phase::Ended => return,
                    Phase::Leaving => connection.as_mut().leave(),
                    Phase::Running | Phase::Draining => {
                        finishing = true;
                        connection.as_mut().finish();
                    }
                }
            }
            () = expired(&mut age) => {
                if finishing {
                    return;
                }
                finishing = true;
                connection.as_mut().finish();
                age = keepalive.max_connection_age_grace.map(|grace| Box::pin(sleep(grace)));
                activity.is_idle_since(&mut seen_going);
                going = Some(Box::pin(sleep(grace)));
            }
            () = expired(&mut going) => {
                // Its requests it may have answered, however long they take.
                if activity.is_idle_since(&mut seen_going) {
                    return;
                }
                going = Some(Box::pin(sleep(grace)));
            }
            () = expired(&mut idle) => {
                if activity.is_idle_since(&mut seen_ended) && !finishing {
                    connection.as_mut().finish();
                    if going.is_none() {
                        activity.is_idle_since(&mut seen_going);
                        going = Some(Box::pin(sleep(grace)));
                    }
                }
                // Looked at again, so that a connection closes within twice the time.
                let again = keepalive.max_connection_idle.map(|idle| Instant::now() + idle);
                idle = again.map(|at| Box::pin(sleep_until(at)));
            }
        }
    }
}

/// Ends when the timer does; never, if there is none.
async fn expired(timer: &mut Option<Pin<Box<tokio::time::Sleep>>>) {
    match timer {
        Some(timer) => timer.as_mut().await,
        None => std::future::pending().await,
    }
}
