//! A seeded model of a microservice system that emits OTLP *and the truth*.
//!
//! Someone clicks in an online shop; eleven services in several instances answer, over HTTP and gRPC, with PostgreSQL, Redis,
//! Kafka and a bank behind them. They call one another in turn and at the same time, try again, give up, fail, are slow, and
//! process messages long after the click was answered. [`Workload::advance`] yields the export requests their SDKs would send:
//! traces, logs that carry the ids of spans, and metrics that count what spans tell, in the names of OpenTelemetry's semantic
//! conventions (1.40). [`Workload::drain_traces`] and [`Workload::totals`] tell what really happened, so a test of sampling, of
//! trace assembly or of a critical path knows what it should find.
//!
//! ```
//! use aldis_workload::{Settings, Workload};
//!
//! let settings = Settings { seed: 7, ..Settings::default() };
//! let start_ns = settings.start_ns;
//! let mut shop = Workload::new(settings)?;
//! let mut requests = Vec::new();
//! shop.advance(start_ns + 2_000_000_000, &mut requests);
//! shop.finish(&mut requests);
//!
//! let trace = shop.drain_traces().max_by_key(|trace| trace.spans.len()).expect("two seconds hold some");
//! // frontend POST /api/checkout 0.000..178.132 ms
//! //   frontend shop.v1.CheckoutService/PlaceOrder 0.355..177.907 ms
//! //     checkout shop.v1.CheckoutService/PlaceOrder 0.623..177.620 ms
//! //       …
//! println!("{trace}");
//! for (span, ns) in trace.critical_self_times() {
//!     println!("{} {}: {} µs", trace.spans[span].service, trace.spans[span].name, ns / 1_000);
//! }
//! let path: u64 = trace.critical_self_times().iter().map(|(_, ns)| ns).sum();
//! assert_eq!(path, trace.duration_ns());
//! assert_eq!(shop.totals().signals.iter().map(|of| of.requests).sum::<u64>(), requests.len() as u64);
//! # Ok::<(), aldis_workload::SettingsError>(())
//! ```
//!
//! # Time and determinism
//!
//! There is no clock: time is an argument. The same settings yield the same bytes on every machine, in however many steps time is
//! advanced: choices come from [SplitMix64](https://doi.org/10.1145/2714064.2660195), a stream of its own for each trace;
//! durations from tables of quantiles with integers between them; a floating-point number is at most one division away from an
//! integer. [`Settings`] that lose or delay spans change nothing else: the same traces happen.
//!
//! # Exports
//!
//! Every instance has a batch of spans and one of log records. A span goes to its batch when it ends; a batch leaves when it is full
//! or its oldest record has waited for the delay. So a trace comes in many requests, children before their parents, between those
//! of others, the consumers of its messages last. Metrics leave at a fixed interval, cumulative from the start or as differences,
//! with the last measurement of each bucket as exemplar.
//!
//! # What it is not
//!
//! Not a load generator: it opens nothing and waits for nothing. Not a simulation of queues: services are as fast under load as
//! without. It knows nothing of what reads its telemetry.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod fleet;
mod flight;
mod latency;
pub mod limits;
mod list;
mod meter;
mod model;
mod outbox;
mod random;
mod run;
mod settings;
mod shop;
pub mod truth;
mod workload;

pub use settings::{Fault, Incident, Settings, SettingsError};
pub use truth::{PathPiece, SpanKind, SpanTruth, Totals, TraceTruth};
pub use workload::{Request, Workload};
