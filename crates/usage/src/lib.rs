//! How often the commands of a command-line tool are run: one counter over OTLP/HTTP, sent with the user's leave, and never in the way.
//!
//! ```
//! use aldis_usage::Tool;
//!
//! fn main() {
//!     aldis_usage::init(Tool::new("trix", env!("CARGO_PKG_VERSION")).directory(Tool::in_home(".tx3/trix")));
//!     // … having read the command line:
//!     aldis_usage::track_command_execution("build");
//! }
//! ```
//!
//! One execution of one command is one [`CommandMetric`], one request of [OTLP/JSON] with the counter `trix_command_invocation`. It is sent
//! at once by a process of its own ([`Delivery::Detached`]), or a thread; nothing is queued, kept, or sent again. The command neither waits nor learns
//! whether it arrived: its output, its exit code and its speed are the same without a network, and without the tool's directory.
//!
//! The user decides ([`Reason`] has the order): nothing is counted until it is enabled and there is an endpoint, unless the tool's
//! [defaults](Tool::defaults) say otherwise; then it tells what it counts on the first terminal that it runs on, and counts from the run
//! after that. What is sent is the command's name, which is part of the program's text, the tool's name and version, and a
//! [`Fingerprint`], which cannot be led back to a host.
//!
//! The process that sends is the running executable started again (`/proc/self/exe`), so that must be the tool itself, and not an
//! interpreter or a loader; while it lives, its file can be replaced but not written over ("Text file busy"). Whatever
//! ends a whole cgroup with the command, a container, a oneshot service of systemd or `KillUserProcesses=yes`, ends its sender too.
//! [`Delivery::Inline`] is for programs that this does not suit. A tool's variable that is set to nothing (`<TOOL>_TELEMETRY=""`) says nothing.
//!
//! It is not an SDK of metrics: there is no other counter, no attribute, no retry.
//!
//! Features, both off: `tls` for endpoints of `https://`, `clap` for the subcommand `telemetry`, `TelemetryCommand`. Unix only.
//!
//! [OTLP/JSON]: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod client;
#[cfg(feature = "clap")]
mod command;
mod config;
mod consent;
mod fingerprint;
mod json;
pub mod limits;
mod management;
mod metric;
mod rights;
mod sender;
mod status;
mod storage;
mod tool;
mod usage;

pub use client::{EndpointError, OtlpClient, SendError};
#[cfg(feature = "clap")]
pub use command::{EnableArgs, StatusArgs, TelemetryCommand};
pub use config::{ConfigError, TelemetryConfig};
pub use consent::{Mode, Reason};
pub use fingerprint::Fingerprint;
pub use management::ManageError;
pub use metric::CommandMetric;
pub use sender::{LastResult, Sending};
pub use status::Status;
pub use tool::{Delivery, Tool};
pub use usage::{Tracked, Usage, init, track_command_execution};
