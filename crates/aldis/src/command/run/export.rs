//! An episode as OTLP: every sample as points of metrics, the whole as one span.

use std::{
    ffi::OsString,
    path::Path,
    process::ExitStatus,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, SystemTime},
};

use clap::Args;
use connect::otlp::{OtlpConfig, OtlpExporter, Protocol};
use engine::settings::duration;
use host::{
    EndReason, EpisodeId, Metric as Reading, ResourceStats, TelemetryFrame, TelemetryHandleSnapshot,
    monotonic_ns,
};
use otlp::{
    AttributeValue, SpanStatus,
    event::{Metric, MetricData, Number, SERVICE_NAME, Span, Temporality},
};
use pipeline::TelemetryPipeline;

use super::{
    super::load::{ProtocolArg, header},
    trace_context::TraceContext,
};

/// How often it is looked whether a signal came meanwhile.
const PATIENCE: Duration = Duration::from_millis(20);

/// The port of OTLP over HTTP.
const HTTP_PORT: &str = ":4318";

/// Where an episode is sent to.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Send every sample as metrics, and the whole as a span, to this OTLP endpoint: host:port or a URL. The command finds the span in
    /// TRACEPARENT, so that its own traces join.
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
    /// The transport [default: http where the port is 4318, else grpc].
    #[arg(long, value_enum, requires = "otlp")]
    otlp_protocol: Option<ProtocolArg>,
    /// A header sent with every request; may be given more than once.
    #[arg(long = "otlp-header", value_name = "NAME=VALUE", value_parser = header, requires = "otlp")]
    otlp_headers: Vec<(String, String)>,
    /// The service whose telemetry this is [default: OTEL_SERVICE_NAME, else the command's name].
    #[arg(long, value_name = "NAME", requires = "otlp")]
    service: Option<String>,
    /// How long what is not delivered yet may take once the command has ended; then it is given up, and told.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration::parse, requires = "otlp")]
    otlp_grace: Duration,
}

/// How an episode ended.
pub(super) struct Ended<'a> {
    pub(super) snapshot: &'a TelemetryHandleSnapshot,
    /// Where that is known.
    pub(super) status: Option<ExitStatus>,
    pub(super) wall_ns: u64,
    /// The most processes that a sample saw.
    pub(super) processes: Option<u64>,
}

/// Sends an episode.
pub(super) struct Export {
    pipeline: TelemetryPipeline,
    grace: Duration,
    /// To wait on for what is as good as always ready at once.
    runtime: tokio::runtime::Runtime,
    context: TraceContext,
    /// Of every point and of the span.
    common: Vec<(String, AttributeValue)>,
    program: String,
    /// Unix nanoseconds when the monotonic clock stood at zero: what is between two points does not depend on a clock that is set.
    epoch_ns: u64,
    begun_ns: u64,
}

impl Export {
    /// `None` where nothing is to be sent. Nobody is asked whether they are there: a command does not wait for that.
    pub(super) fn open(
        args: &ExportArgs,
        command: &[OsString],
        id: EpisodeId,
    ) -> Result<Option<Self>, String> {
        let Some(endpoint) = &args.otlp else { return Ok(None) };
        let program = command.first().map_or_else(String::new, |word| {
            Path::new(word).file_name().unwrap_or(word).to_string_lossy().into_owned()
        });
        let address = endpoint.split_once("://").map_or(endpoint.as_str(), |(_, rest)| rest);
        let is_http = address.split('/').next().is_some_and(|address| address.ends_with(HTTP_PORT));
        let protocol = match args.otlp_protocol {
            Some(ProtocolArg::Http) => Protocol::Http,
            None if is_http => Protocol::Http,
            Some(ProtocolArg::Grpc) | None => Protocol::Grpc,
        };
        let headers = args.otlp_headers.iter().cloned().map(|(name, value)| (name, value.into())).collect();
        let config = OtlpConfig { name: "--otlp".to_owned(), protocol, headers, ..OtlpConfig::default() }
            .with_endpoint(endpoint);
        let exporter = OtlpExporter::try_new(config).map_err(|error| format!("--otlp: {error}"))?;
        let built = TelemetryPipeline::builder().with_exporter(Arc::new(exporter)).with_shards(1).build();
        let pipeline = built.map_err(|error| format!("--otlp: {error}"))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(|error| format!("--otlp: {error}"))?;

        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let service =
            args.service.clone().or_else(|| set("OTEL_SERVICE_NAME")).unwrap_or_else(|| program.clone());
        let random = EpisodeId::random().map_err(|error| format!("--otlp: {error}"))?;
        let context =
            TraceContext::new(set(super::trace_context::TRACEPARENT).as_deref(), id, random.as_u128() as u64);
        let unix_ns =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
        let text = |key: &str, value: String| (key.to_owned(), AttributeValue::String(value));
        let common = vec![
            text(SERVICE_NAME, service),
            text("aldis.episode.id", id.to_string()),
            text("process.executable.name", program.clone()),
        ];
        let epoch_ns = unix_ns.saturating_sub(monotonic_ns());
        let grace = args.otlp_grace;
        Ok(Some(Self { pipeline, grace, runtime, context, common, program, epoch_ns, begun_ns: 0 }))
    }

    /// Variables for the command. One that has no value is taken away: it would be of another trace.
    pub(super) fn variables(&self) -> Vec<(&'static str, Option<String>)> {
        let mut variables = vec![(super::trace_context::TRACEPARENT, Some(self.context.traceparent()))];
        if self.context.parent_span_id().is_none() {
            variables.push((super::trace_context::TRACESTATE, None));
        }
        variables
    }

    pub(super) fn context(&self) -> &TraceContext {
        &self.context
    }

    /// When the episode began, by the monotonic clock.
    pub(super) fn begin(&mut self, begun_ns: u64, pid: u32) {
        self.begun_ns = begun_ns;
        self.common.push(("process.pid".to_owned(), AttributeValue::Int(i64::from(pid))));
    }

    /// Sends a sample. What is not measured is not sent.
    pub(super) fn frame(&self, frame: &TelemetryFrame, stats: &ResourceStats) {
        for (name, unit, attribute, value, reading) in [
            (
                "process.cpu.time",
                "s",
                Some(("cpu.mode", "user")),
                seconds(frame.cpu_user_ns),
                stats.cpu.user_ns,
            ),
            (
                "process.cpu.time",
                "s",
                Some(("cpu.mode", "system")),
                seconds(frame.cpu_system_ns),
                stats.cpu.system_ns,
            ),
            ("process.memory.usage", "By", None, whole(frame.mem_rss_bytes), stats.memory.rss_bytes),
            (PEAK, "By", None, whole(frame.mem_peak_bytes), stats.memory.peak_bytes),
            (
                "process.disk.io",
                "By",
                Some(("disk.io.direction", "read")),
                whole(frame.io_read_bytes),
                stats.io.read_bytes,
            ),
            (
                "process.disk.io",
                "By",
                Some(("disk.io.direction", "write")),
                whole(frame.io_write_bytes),
                stats.io.write_bytes,
            ),
        ] {
            if reading.get().is_some() {
                let point = self.point(name, unit, attribute, value, frame.ts_mono);
                // Where there is no room, or no more, that is counted, and told in the end.
                let _ = self.runtime.block_on(self.pipeline.record_metric(point));
            }
        }
    }

    fn point(
        &self,
        name: &str,
        unit: &str,
        attribute: Option<(&str, &str)>,
        value: Number,
        now_ns: u64,
    ) -> Metric {
        let mut attributes = self.common.clone();
        attributes
            .extend(attribute.map(|(key, value)| (key.to_owned(), AttributeValue::String(value.to_owned()))));
        let temporality = Temporality::Cumulative;
        // The kinds that the conventions give them; the peak is nobody's convention.
        let (data, begun_ns) = match name {
            PEAK => (MetricData::Gauge(value), 0),
            _ => {
                let monotonic = name != "process.memory.usage";
                (MetricData::Sum { value, monotonic, temporality }, self.unix_ns(self.begun_ns))
            }
        };
        let (name, unit, time_ns) = (name.to_owned(), unit.to_owned(), self.unix_ns(now_ns));
        Metric { name, unit, data, attributes, start_time_ns: begun_ns, time_ns, ..Metric::default() }
    }

    /// Sends the span, and waits a while for whatever is on its way. What was lost of it all.
    pub(super) fn end(self, ended: &Ended<'_>, is_called_back: &dyn Fn() -> bool) -> Option<String> {
        if self.context.is_sampled() {
            let _ = self.runtime.block_on(self.pipeline.record_span(self.span(ended)));
        }
        let pipeline = Arc::new(self.pipeline);
        let (tell, told) = mpsc::sync_channel(1);
        let (drained, grace) = (pipeline.clone(), self.grace);
        let drain = thread::Builder::new().name("aldis-drain".into()).spawn(move || {
            // Whoever was called back does not listen any more.
            let _ = tell.send(drained.shutdown(grace));
        });
        if let Err(error) = drain {
            return Some(format!("--otlp: nothing could be waited for: {error}"));
        }
        let report = loop {
            match told.recv_timeout(PATIENCE) {
                Ok(report) => break report,
                Err(_) if is_called_back() => {
                    let pending = pipeline.stats().events_pending;
                    return Some(format!("--otlp: {pending} records were left behind, as a signal came"));
                }
                Err(_) => {}
            }
        };
        let stats = pipeline.stats();
        let lost = stats.events_dropped + stats.events_rejected + stats.events_pending;
        // A thread that is slow to end keeps nothing of it; one that is blocked could not tell what it left.
        let has_left = stats.events_pending > 0 || !report.exporters.is_empty() || report.unsent > 0;
        if lost == 0 && !has_left {
            return None;
        }
        let why = if !has_left {
            "it did not take them; is that its protocol? --otlp-protocol says another".to_owned()
        } else {
            report.to_string()
        };
        Some(format!("--otlp: {lost} of {} records were not delivered: {why}", stats.events_received))
    }

    fn span(&self, ended: &Ended<'_>) -> Span {
        let snapshot = ended.snapshot;
        let mut attributes = self.common.clone();
        let mut say = |key: &str, value: AttributeValue| attributes.push((key.to_owned(), value));
        let code = ended.status.and_then(|status| status.code());
        if let Some(code) = code {
            say("process.exit.code", AttributeValue::Int(i64::from(code)));
        }
        let signal = ended.status.and_then(|status| std::os::unix::process::ExitStatusExt::signal(&status));
        if let Some(signal) = signal {
            say("aldis.episode.signal", AttributeValue::Int(i64::from(signal)));
        }
        let end = snapshot.ended.map_or("running", EndReason::as_str);
        say("aldis.episode.end", AttributeValue::String(end.to_owned()));
        let error = match snapshot.ended {
            Some(EndReason::BudgetExhausted(exhausted)) => {
                Some(format!("budget_{}", exhausted.kind.as_str()))
            }
            _ => match (signal, code) {
                (Some(signal), _) => Some(format!("signal_{signal}")),
                (None, Some(code)) if code != 0 => Some(format!("exit_{code}")),
                _ => None,
            },
        };
        if let Some(error) = &error {
            say("error.type", AttributeValue::String(error.clone()));
        }
        let stats = &snapshot.stats;
        let ns = |reading: Reading| reading.get().map(|ns| AttributeValue::Double(ns as f64 / 1e9));
        let count = |reading: Reading| {
            reading.get().map(|n| AttributeValue::Int(i64::try_from(n).unwrap_or(i64::MAX)))
        };
        for (key, value) in [
            ("aldis.episode.cpu.user", ns(stats.cpu.user_ns)),
            ("aldis.episode.cpu.system", ns(stats.cpu.system_ns)),
            (PEAK, count(stats.memory.peak_bytes)),
            ("aldis.episode.disk.read", count(stats.io.read_bytes)),
            ("aldis.episode.disk.write", count(stats.io.write_bytes)),
            ("aldis.episode.processes.peak", ended.processes.map(|most| AttributeValue::Int(most as i64))),
        ] {
            if let Some(value) = value {
                say(key, value);
            }
        }
        let source = snapshot.last_frame.map_or("unavailable", |frame| frame.source.as_str());
        say("aldis.episode.source", AttributeValue::String(source.to_owned()));
        let start_time_ns = self.unix_ns(self.begun_ns);
        Span {
            name: self.program.clone(),
            trace_id: self.context.trace_id(),
            span_id: self.context.span_id(),
            parent_span_id: self.context.parent_span_id(),
            attributes,
            status: if error.is_some() { SpanStatus::Error } else { SpanStatus::Unset },
            start_time_ns,
            end_time_ns: start_time_ns.saturating_add(ended.wall_ns),
            ..Span::default()
        }
    }

    fn unix_ns(&self, monotonic_ns: u64) -> u64 {
        self.epoch_ns.saturating_add(monotonic_ns)
    }
}

/// The most memory at once.
const PEAK: &str = "aldis.episode.memory.peak";

fn seconds(ns: u64) -> Number {
    Number::Double(ns as f64 / 1e9)
}

fn whole(bytes: u64) -> Number {
    Number::Int(i64::try_from(bytes).unwrap_or(i64::MAX))
}
