//! OTLP over gRPC and HTTP.
//!
//! How one request passes through, by name: the acceptor of a [`Receiver`] hands its connection to the idlest shard, where
//! `connection::drive` serves it. `grpc::answer` or `http::answer` finds the [`Signal`](otlp::Signal) by path
//! (`route`), reads the body into one allocation that was charged to the pipeline's budget first (`intake::Held`), and
//! passes it to `intake::Desk::admit`: decompress, check, offer to the inlet, await the receipt. What comes back is an
//! exact count of rejected records or a [`Refusal`], which both protocols put into their own words.
//! On the other side [`OtlpExporter`] hands the batch's bytes, as received where nothing changed them, to a `channel`
//! and `reply` turns the far side's answer into an [`Outcome`](pipeline::Outcome).
//!
//! The tables of status codes are those of the OTLP specification 1.10, "OTLP/gRPC Response" and "OTLP/HTTP Response".
//!
//! OTLP/JSON is transcoded to wire bytes when it arrives and answered in JSON; an exporter with [`Encoding::Json`] writes it
//! when it sends.
//!
//! Not here: TLS, which is [`crate::tls`]. Who may send is asked of [`crate::auth`] before a body is read.

mod base64;
mod channel;
mod connection;
pub(crate) mod endpoint;
pub mod exporter;
mod frame_lengths;
mod grpc;
mod http;
mod http2;
pub(crate) mod http_channel;
mod intake;
pub mod load;
mod message;
mod open;
pub mod receiver;
pub mod refusal;
pub(crate) mod reply;
mod route;
pub mod settings;
pub mod sink;
mod stamp;
pub mod stats;
pub mod tracing;
mod window;

pub use exporter::{Encoding, OtlpConfig, OtlpExporter, Protocol};
pub use pipeline::Inlets;
pub use receiver::{BindError, Listening, Receiver};
pub use refusal::{Code, Refusal};
pub use route::http_path;
pub use settings::{GrpcSettings, HttpSettings, Keepalive, ReceiverSettings, SettingsError, WindowSettings};
pub use stats::{ReceiverCounts, ReceiverMeter, SignalCounts, Transport};
