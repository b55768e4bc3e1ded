//! What a job uses: CPU time, memory, input and output, processes, read from its cgroup (version 2), or from `/proc` where that does not tell.
//!
//! ```
//! use aldis_host::ProcReader;
//!
//! let mut reader = ProcReader::of_tree(std::process::id())?;
//! let used = reader.read()?;
//! println!("{} ns of CPU time, says {}", used.cpu.usage_ns.get().unwrap_or(0), used.cpu.usage_ns.source());
//! # Ok::<(), aldis_host::ProcError>(())
//! ```
//!
//! [`CgroupReader`] has the kernel's own account, in which nothing that ran is missing; [`ProcReader`] adds up what it finds. Which of them a
//! metric came from stands beside it ([`MetricSource`]), as a machine may well have the one for CPU time and not for I/O.
//! [`parse`] reads the files' bytes; nothing there opens anything.
//!
//! [`create_episode_scope`] makes a cgroup for a job, in which [`Placement`] starts its command and [`remove_episode_scope`] ends whatever is left.
//!
//! [`TelemetryCollector`] looks at any number of episodes, a [`Sampler`] being its clock, and keeps the last [`TelemetryFrame`]s of each, until a
//! [`Budget`] is used up: then the job is stopped. [`Attached`] is what runs already. What a step comes to is decided by [`Episode`], a machine without clock or files.
//!
//! [`reviewer`] keeps the life of review runs as lines of JSON.
//!
//! [`stream`] tells the frames of a running episode to whoever asks at a Unix socket, which is the only kind that it opens.
//!
//! Linux only.
#![deny(missing_docs)]
#![deny(unsafe_code)]

mod attach;
mod budget;
mod cgroup;
mod clock;
mod collector;
mod episode;
mod exit;
mod file;
mod frame;
mod handle;
mod id;
pub mod limits;
mod lines;
pub mod parse;
pub mod placement;
mod policy;
mod proc_fallback;
mod recorder;
pub mod reviewer;
mod ring;
mod sampler;
mod stats;
pub mod stream;
mod subject;
mod urgency;

pub use attach::{AttachError, Attached};
pub use budget::{Budget, BudgetKind, BudgetTracker, Exhausted};
pub use cgroup::{
    CgroupError, CgroupReader, EpisodeEntry, EpisodeScope, Fault, Hierarchy, Leftover, MissingController,
    NotAlone, OsResourceLimits, Owner, Slice, UnsetLimit, create_episode_scope, is_cgroup_v2_available,
    list_episodes, remove_episode_scope,
};
pub use clock::monotonic_ns;
pub use collector::{
    SharedCollector, TelemetryCollector, TelemetryError, Watch, WhenExhausted, new_shared_collector,
};
pub use episode::{Baseline, EndReason, Episode, Sample, Step};
pub use exit::ChildrenUsage;
pub use frame::{O11yFlags, TelemetryFrame, TelemetryFrameBuilder};
pub use handle::{TelemetryHandle, TelemetryHandleSnapshot};
pub use id::{EpisodeId, EpisodeIdError};
pub use placement::{Placement, PlacementError, StartError, Started, enter_if_asked};
pub use policy::{PolicyError, PromoteTriggers, TelemetryPolicy, TelemetryPolicyBuilder, Trigger};
pub use proc_fallback::{ProcError, ProcReader, ProcessId};
pub use recorder::Recorder;
pub use sampler::Sampler;
pub use stats::{CpuStats, IoStats, MemoryStats, Metric, MetricSource, PressureStats, ResourceStats};
pub use stream::{StreamError, StreamTelemetry};
pub use subject::{ScopeSubject, Subject, TreeSubject};
