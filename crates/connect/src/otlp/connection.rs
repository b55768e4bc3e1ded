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
use http::{Request, Response};
use http_body::Body;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{
    GrpcSettings, HttpSettings, Keepalive, WindowSettings,
    grpc::{self, GrpcRules},
    http as http_protocol,
    http2::{self, Http2, Received},
    intake::Desk,
    window::Window,
};
use crate::{
    body::AnswerBody,
    limits::{FIRST_BYTES_TIMEOUT, MAX_CONCURRENT_STREAMS, MAX_HEADER_BYTES},
};

/// What the receiver tells its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Take requests.
    Running,
    /// Finish what is in flight, take nothing new.
    Draining,
    /// End now.
    Ended,
}

/// What a listener speaks.
#[derive(Clone, Debug)]
pub(super) enum Speaks {
    Grpc(Arc<GrpcSettings>),
    Http(Arc<HttpSettings>),
}

/// Requests in flight on one connection, and when the last one ended.
#[derive(Debug, Default)]
struct Activity {
    in_flight: AtomicUsize,
    ended: AtomicUsize,
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
    speaks: Speaks,
    mut phase: watch::Receiver<Phase>,
) {
    // Small answers must not wait for each other; without it they are only later.
    let _ = stream.set_nodelay(true);
    let begun = tokio::time::timeout(FIRST_BYTES_TIMEOUT, begins_http2(&stream));
    let is_http2 = tokio::select! {
        begun = begun => match begun {
            Ok(Some(is_http2)) => is_http2,
            _ => return,
        },
        // A peer that has said nothing yet has nothing in flight.
        _ = phase.changed() => return,
    };
    let activity = Arc::new(Activity::default());
    match speaks {
        Speaks::Grpc(settings) if is_http2 => {
            let keepalive = settings.keepalive.clone();
            let rules = GrpcRules {
                max: settings.max_recv_msg_size_mib << 20,
                include_metadata: settings.include_metadata,
            };
            let (desk_of_each, in_flight) = (desk.clone(), activity.clone());
            let answer = move |request: Request<Received>| {
                let (desk, guard) = (desk_of_each.clone(), InFlight::new(&in_flight));
                async move {
                    let answer = grpc::answer(&desk, rules, request).await;
                    drop(guard);
                    answer
                }
            };
            let http2 = (&settings.windows, settings.max_concurrent_streams);
            let pings = Some((keepalive.time, keepalive.timeout));
            drive_http2(stream, &desk, (http2, pings), answer, (&keepalive, &activity), phase).await;
        }
        // gRPC is HTTP/2; there is no answer that an HTTP/1.1 peer of a gRPC port would expect.
        Speaks::Grpc(_) => {}
        Speaks::Http(settings) => {
            let keepalive = Keepalive { max_connection_idle: settings.idle_timeout, ..Keepalive::default() };
            let (desk_of_each, rules, in_flight) = (desk.clone(), settings.clone(), activity.clone());
            if is_http2 {
                let answer = move |request: Request<Received>| {
                    answer_http(desk_of_each.clone(), rules.clone(), InFlight::new(&in_flight), request)
                };
                let http2 = (&settings.windows, MAX_CONCURRENT_STREAMS);
                drive_http2(stream, &desk, (http2, None), answer, (&keepalive, &activity), phase).await;
                return;
            }
            let service = service_fn(move |request: Request<Incoming>| {
                let guard = InFlight::new(&in_flight);
                let answer = answer_http(desk_of_each.clone(), rules.clone(), guard, request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let mut builder = http1::Builder::new();
            let timeout = Some(settings.read_header_timeout).filter(|timeout| !timeout.is_zero());
            builder.timer(TokioTimer::new()).header_read_timeout(timeout);
            builder.max_header_size(MAX_HEADER_BYTES as usize);
            let connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
            last(connection, &keepalive, &activity, phase).await;
        }
    }
}

async fn answer_http<B>(
    desk: Arc<Desk>,
    settings: Arc<HttpSettings>,
    guard: InFlight,
    request: Request<B>,
) -> Response<AnswerBody>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let answer = http_protocol::answer(&desk, &settings, request).await;
    drop(guard);
    answer
}

/// Where there is no memory for the connection's window it is closed: a window that is not paid for could be filled all the same,
/// and whoever connects tries again.
async fn drive_http2<S, F>(
    stream: TcpStream,
    desk: &Desk,
    (http2, pings): ((&WindowSettings, u32), Option<(Duration, Duration)>),
    answer: S,
    (keepalive, activity): (&Keepalive, &Activity),
    mut phase: watch::Receiver<Phase>,
) where
    S: Fn(Request<Received>) -> F + Unpin,
    F: Future<Output = Response<AnswerBody>> + Send + 'static,
{
    let Some(window) = Window::open(&desk.budget, http2.0, std::time::Instant::now()) else {
        desk.stats.connections_refused.fetch_add(1, Relaxed);
        return;
    };
    let opened = tokio::select! {
        opened = http2::open(stream, http2, window, pings, answer) => opened,
        // It has had no request yet.
        _ = phase.changed() => return,
    };
    if let Some(connection) = opened {
        last(pin!(connection), keepalive, activity, phase).await;
    }
}

/// Whether the peer opens with the preface of HTTP/2 (RFC 9113, section 3.4); no HTTP/1.1 method begins with `PRI`.
/// `None` if it goes away first.
async fn begins_http2(stream: &TcpStream) -> Option<bool> {
    const PREFACE: &[u8] = b"PRI";
    let mut seen = [0; PREFACE.len()];
    loop {
        match stream.peek(&mut seen).await {
            Ok(0) | Err(_) => return None,
            Ok(n) if !PREFACE.starts_with(&seen[..n]) => return Some(false),
            Ok(n) if n == PREFACE.len() => return Some(true),
            // Peeking does not take the bytes, so it would be ready again at once.
            Ok(_) => sleep(Duration::from_millis(5)).await,
        }
    }
}

/// Both kinds of connection end gracefully.
trait Connection: Future {
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
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<S, F> Connection for Http2<S>
where
    S: Fn(Request<Received>) -> F + Unpin,
    F: Future<Output = Response<AnswerBody>> + Send + 'static,
{
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
    let mut seen_ended = 0;
    let mut finishing = *phase.borrow_and_update() != Phase::Running;
    if finishing {
        connection.as_mut().finish();
    }
    loop {
        tokio::select! {
            // Its error is the peer's to notice; what was in flight has been counted as cancelled.
            _ = connection.as_mut() => return,
            changed = phase.changed() => {
                if changed.is_err() || *phase.borrow() == Phase::Ended {
                    return;
                }
                finishing = true;
                connection.as_mut().finish();
            }
            () = expired(&mut age) => {
                if finishing {
                    return;
                }
                finishing = true;
                connection.as_mut().finish();
                age = keepalive.max_connection_age_grace.map(|grace| Box::pin(sleep(grace)));
            }
            () = expired(&mut idle) => {
                let ended = activity.ended.load(Relaxed);
                let is_idle = activity.in_flight.load(Relaxed) == 0 && ended == seen_ended;
                seen_ended = ended;
                if is_idle && !finishing {
                    connection.as_mut().finish();
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
