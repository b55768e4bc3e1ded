//! The exporter: batches in, requests out.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use otlp::{Batch, Signal};
use pipeline::{Charge, Exporter, Item, Outcome, Progress, Sender, clock::now_ns, exporter::BoxFuture};
use tokio::task::JoinSet;

use super::{
    RemoteWriteConfig, RemoteWriteMessage, RemoteWriteStats,
    answer::Answer,
    negotiation::Negotiation,
    request::{Content, Form, Request, info_request, next_request},
    stats::Counters,
    streams::Streams,
};
use crate::{
    auth::Credentials,
    limits::{INFO_INTERVAL, MAX_INFOS_PER_REQUEST, MAX_REMEMBERED_INFOS},
    otlp::{SettingsError, http_channel::Target},
    prometheus::{labels::Labels, rejection::Rejection},
    tls::ClientTls,
};

const VERSION: HeaderName = HeaderName::from_static("x-prometheus-remote-write-version");

/// Writes metrics to a Prometheus server.
///
/// It takes metrics only. Deltas are refused and counted. Clones are the same exporter, so that one can go into a pipeline and
/// another be asked.
///
/// ```
/// use aldis_connect::prometheus::{RemoteWriteConfig, RemoteWriteExporter};
/// use pipeline::Exporter;
///
/// let config = RemoteWriteConfig::default().with_endpoint("http://prometheus:9090/api/v1/write");
/// let exporter = RemoteWriteExporter::new(config);
/// assert!(exporter.in_order());
/// assert_eq!(exporter.stats().requests, 0);
/// ```
#[derive(Clone)]
pub struct RemoteWriteExporter {
    inner: Arc<Inner>,
}

struct Inner {
    config: RemoteWriteConfig,
    negotiation: Negotiation,
    counters: Counters,
    last_refusal: Mutex<String>,
    /// What all senders share.
    tls: Result<Option<ClientTls>, SettingsError>,
    /// When the last `target_info` of each was observed, Unix milliseconds.
    infos: Mutex<HashMap<Labels, i64>>,
}

impl fmt::Debug for RemoteWriteExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteWriteExporter").field("name", &self.inner.config.name).finish_non_exhaustive()
    }
}

impl RemoteWriteExporter {
    /// An exporter. Whatever it is sent fails for good, with the reason, if the configuration is wrong; where that should be
    /// known at start-up call [`RemoteWriteConfig::validate`].
    pub fn new(config: RemoteWriteConfig) -> Self {
        let inner = Inner {
            negotiation: Negotiation::new(config.message),
            counters: Counters::default(),
            last_refusal: Mutex::default(),
            infos: Mutex::default(),
            tls: config.client_tls(),
            config,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Its TLS, where the endpoint speaks it: to read the certificates again, or to be told when that fails.
    pub fn tls(&self) -> Option<&ClientTls> {
        self.inner.tls.as_ref().ok()?.as_ref()
    }

    /// The requests that the points of a batch of metrics become, before they are compressed; `target_info` aside. Nothing is
    /// sent or counted.
    pub fn requests(&self, batch: &Batch, message: RemoteWriteMessage) -> Vec<Vec<u8>> {
        let config = &self.inner.config;
        let streams = Streams::read(batch, config.rules(), false);
        let form = Form { message, max_bytes: config.max_request_bytes, metadata: config.send_metadata };
        let mut next = 0;
        std::iter::from_fn(|| next_request(&streams, form, &mut next, |_| false))
            .map(|request| request.body)
            .collect()
    }

    /// What it has done.
    pub fn stats(&self) -> RemoteWriteStats {
        let last = self.inner.last_refusal.lock().unwrap_or_else(PoisonError::into_inner);
        RemoteWriteStats { last_refusal: last.clone(), ..self.inner.counters.stats() }
    }
}

impl Exporter for RemoteWriteExporter {
    fn name(&self) -> &str {
        &self.inner.config.name
    }

    fn takes(&self, signal: Signal) -> bool {
        signal == Signal::Metrics
    }

    fn in_order(&self) -> bool {
        true
    }

    fn open(&self) -> Box<dyn Sender> {
        let Inner { config, tls, .. } = &*self.inner;
        let channel = tls.clone().and_then(|tls| Channel::open(config, tls.as_ref())).map(Arc::new);
        Box::new(RemoteWriteSender { inner: self.inner.clone(), channel })
    }
}

/// Connections, and the headers of both messages.
struct Channel {
    target: Target,
    headers: [HeaderMap; 2],
    auth: Option<Credentials>,
    timeout: Duration,
}

impl Channel {
    fn open(config: &RemoteWriteConfig, tls: Option<&ClientTls>) -> Result<Self, SettingsError> {
        let (target, headers) = config.target(tls)?;
        let of = |kind: &'static str, version: &'static str| {
            let mut headers = headers.clone();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            headers.insert(VERSION, HeaderValue::from_static(version));
            headers
        };
        let v1 = of("application/x-protobuf", "0.1.0");
        let v2 = of("application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0");
        Ok(Self { target, headers: [v1, v2], auth: config.credentials()?, timeout: config.timeout })
    }

    /// Sends a request and reads the answer; returns how long its body was too.
    /// What it takes up is charged as long as it is there.
    async fn deliver(&self, request: Request, mut charge: Option<Charge>) -> (Content, usize, Answer) {
        let Request { message, content, body } = request;
        let packed = match snap::raw::Encoder::new().compress_vec(&body) {
            Ok(packed) => packed,
            Err(error) => {
                let (code, reason) = ("unsendable".to_owned(), error.to_string());
                return (content, 0, Answer::Refused { code, reason, written: Default::default() });
            }
        };
        drop(body);
        let bytes = packed.len();
        charge.iter_mut().for_each(|charge| charge.settle(bytes));
        let mut headers = self.headers[message as usize].clone();
        if let Some(Err(error)) = self.auth.as_ref().map(|auth| auth.apply(&mut headers)) {
            let reason = format!("no credentials to send: {error}");
            return (
                content,
                0,
                Answer::Again { after: None, maybe_delivered: false, overloaded: false, reason },
            );
        }
        let answer = match self.target.post(headers, packed.into(), self.timeout).await {
            Ok((status, headers, body)) => {
                Answer::read(message, (status, &headers, &body), SystemTime::now())
            }
            Err(reply) => match reply.outcome {
                Outcome::Retry { after, maybe_delivered, overloaded, reason } => {
                    Answer::Again { after, maybe_delivered, overloaded, reason }
                }
                other => Answer::Again {
                    after: None,
                    maybe_delivered: true,
                    overloaded: false,
                    reason: format!("{other:?}"),
                },
            },
        };
        (content, bytes, answer)
    }
}

struct RemoteWriteSender {
    inner: Arc<Inner>,
    channel: Result<Arc<Channel>, SettingsError>,
}

impl Sender for RemoteWriteSender {
    fn send<'a>(&'a self, item: &'a Item) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { self.write(item, &mut Progress::default()).await })
    }

    fn send_rest<'a>(&'a self, item: &'a Item, progress: &'a mut Progress) -> BoxFuture<'a, Outcome> {
        Box::pin(self.write(item, progress))
    }
}

/// How far one pass over the streams came.
enum Pass {
    /// Everything is settled.
    Through,
    /// The far side does not know the message; what is left must be written anew.
    Unknown,
    /// Something is left.
    Again(Outcome),
}

impl RemoteWriteSender {
    async fn write(&self, item: &Item, progress: &mut Progress) -> Outcome {
        let signal = item.batch.signal();
        let channel = match &self.channel {
            Ok(channel) => channel,
            Err(error) => {
                return Outcome::Permanent { code: "unsendable".into(), reason: error.to_string() };
            }
        };
        if signal != Signal::Metrics {
            let reason = format!("a Prometheus server has no use for {signal}");
            return Outcome::Permanent { code: "unimplemented".into(), reason };
        }
        let config = &self.inner.config;
        let streams = Streams::read(&item.batch, config.rules(), config.target_info);
        let charge = item.context.charges.first();
        let _read = charge.map(|charge| charge.beside(streams.memory_bytes()));
        self.count_unsent(&streams, progress);
        let mut refusal = None;
        loop {
            match self.pass(channel, &streams, charge, progress, &mut refusal).await {
                Pass::Through => break,
                Pass::Unknown => self.fall_back(),
                Pass::Again(outcome) => return outcome,
            }
        }
        self.tell_infos(channel, &streams, charge).await;
        match refusal {
            Some((code, reason)) if progress.delivered() == 0 => {
                Outcome::Permanent { code: code.into(), reason }
            }
            _ => Outcome::Delivered { rejected: progress.rejected() },
        }
    }

    /// Part 0 is what cannot be sent, stream `i` is part `i + 1`.
    fn count_unsent(&self, streams: &Streams, progress: &mut Progress) {
        if progress.is_settled(0) {
            return;
        }
        progress.settle(0);
        for (why, count) in Rejection::ALL.into_iter().zip(streams.rejected) {
            progress.reject_unsent(why.name(), count);
            self.inner.counters.unsent[why as usize].fetch_add(count, Ordering::Relaxed);
        }
    }

    fn form(&self) -> Form {
        let config = &self.inner.config;
        Form {
            message: self.inner.negotiation.message(now_ns()),
            max_bytes: config.max_request_bytes,
            metadata: config.send_metadata,
        }
    }

    fn fall_back(&self) {
        self.inner.negotiation.fall_back(now_ns());
        self.inner.counters.fallbacks.fetch_add(1, Ordering::Relaxed);
    }

    /// Sends what is not settled, several requests at once. After the first that is to be tried again none is begun; those under
    /// way are waited for.
    async fn pass(
        &self,
        channel: &Arc<Channel>,
        streams: &Streams,
        charge: Option<&Charge>,
        progress: &mut Progress,
        refusal: &mut Option<(String, String)>,
    ) -> Pass {
        let form = self.form();
        let mut next = 0;
        let mut under_way = JoinSet::new();
        let mut pass = Pass::Through;
        loop {
            while matches!(pass, Pass::Through) && under_way.len() < self.inner.config.requests_at_once {
                let Some(request) =
                    next_request(streams, form, &mut next, |stream| progress.is_settled(stream + 1))
                else {
                    break;
                };
                let channel = channel.clone();
                // It is beside the batch until it is answered.
                let charge = charge.map(|charge| charge.beside(request.body.len()));
                under_way.spawn(async move { channel.deliver(request, charge).await });
            }
            let Some(joined) = under_way.join_next().await else { return pass };
            let (content, bytes, answer) = match joined {
                Ok(delivered) => delivered,
                Err(error) => {
                    pass = Pass::Again(again(None, true, format!("a send ended early: {error}")));
                    continue;
                }
            };
            self.count(&content, bytes, &answer);
            match answer {
                Answer::Unknown if matches!(pass, Pass::Through) => pass = Pass::Unknown,
                Answer::Unknown => {}
                Answer::Again { after, maybe_delivered, overloaded, reason } => {
                    pass = Pass::Again(Outcome::Retry { after, maybe_delivered, overloaded, reason });
                }
                Answer::Taken(written) => {
                    let missing = written.map_or(0, |written| written.missing_records(&content));
                    settle(&content, "partial_success", missing, progress);
                }
                Answer::Refused { code, reason, written } => {
                    let missing = written.missing_records(&content);
                    settle(&content, code.clone(), missing, progress);
                    self.inner.counters.refused.fetch_add(missing, Ordering::Relaxed);
                    self.inner
                        .last_refusal
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .clone_from(&reason);
                    *refusal = Some((code, reason));
                }
            }
        }
    }

    fn count(&self, content: &Content, bytes: usize, answer: &Answer) {
        let add = |counter: &AtomicU64, n: u64| counter.fetch_add(n, Ordering::Relaxed);
        let counters = &self.inner.counters;
        add(&counters.requests, 1);
        add(&counters.bytes, bytes as u64);
        let (samples, histograms, exemplars) = match answer {
            Answer::Taken(None) => (content.samples, content.histograms, content.exemplars),
            Answer::Taken(Some(written)) | Answer::Refused { written, .. } => {
                (written.samples, written.histograms, written.exemplars)
            }
            Answer::Again { .. } | Answer::Unknown => return,
        };
        add(&counters.samples, samples);
        add(&counters.histograms, histograms);
        add(&counters.exemplars, exemplars);
    }

    /// Says which resources were there, each at most every [`INFO_INTERVAL`] and never going back in time. No data point hangs on
    /// it: where it fails the next batch says it.
    async fn tell_infos(&self, channel: &Channel, streams: &Streams, charge: Option<&Charge>) {
        let due: Vec<(&Labels, i64)> = {
            let known = self.inner.infos.lock().unwrap_or_else(PoisonError::into_inner);
            let is_due = |labels: &Labels, time_ms: i64| {
                known.get(labels).is_none_or(|last| time_ms - last >= INFO_INTERVAL.as_millis() as i64)
            };
            let all = streams.infos.iter().map(|(labels, time_ms)| (labels, *time_ms));
            all.filter(|(labels, time_ms)| is_due(labels, *time_ms)).collect()
        };
        for some in due.chunks(MAX_INFOS_PER_REQUEST) {
            let Some(request) = info_request(some.iter().copied(), self.form()) else { continue };
            let charge = charge.map(|charge| charge.beside(request.body.len()));
            let (content, bytes, answer) = channel.deliver(request, charge).await;
            self.count(&content, bytes, &answer);
            match answer {
                Answer::Taken(_) | Answer::Refused { .. } => self.remember(some),
                Answer::Unknown => self.fall_back(),
                Answer::Again { .. } => return,
            }
        }
    }

    fn remember(&self, infos: &[(&Labels, i64)]) {
        let mut known = self.inner.infos.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() + infos.len() > MAX_REMEMBERED_INFOS {
            known.clear();
        }
        known.extend(infos.iter().map(|(labels, time_ms)| ((*labels).clone(), *time_ms)));
    }
}

fn again(after: Option<Duration>, maybe_delivered: bool, reason: String) -> Outcome {
    Outcome::Retry { after, maybe_delivered, overloaded: false, reason }
}

/// Notes what became of a request.
fn settle(
    content: &Content,
    code: impl Into<std::borrow::Cow<'static, str>>,
    rejected: u64,
    progress: &mut Progress,
) {
    content.streams.iter().for_each(|stream| progress.settle(stream + 1));
    progress.deliver(content.records - rejected.min(content.records));
    progress.reject(code, rejected.min(content.records));
}
