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
//! Not here: TLS, authentication.

mod base64;
mod channel;
mod connection;
mod endpoint;
pub mod exporter;
mod frame_lengths;
mod grpc;
mod http;
mod http2;
mod http_channel;
mod intake;
pub mod load;
mod message;
pub mod receiver;
pub mod refusal;
mod reply;
mod route;
pub mod settings;
pub mod sink;
mod stamp;
pub mod stats;
mod window;

pub use exporter::{Encoding, OtlpConfig, OtlpExporter, Protocol};
pub use receiver::{BindError, Inlets, Listening, Receiver};
pub use refusal::{Code, Refusal};
pub use settings::{GrpcSettings, HttpSettings, Keepalive, ReceiverSettings, SettingsError, WindowSettings};
pub use stats::{ReceiverCounts, SignalCounts};
