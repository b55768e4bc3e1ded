//! Bounds, with their units.

/// Bytes of the value of the `ot` entry in a trace state (OpenTelemetry specification, *TraceState Handling*).
pub const MAX_OT_ENTRY_BYTES: usize = 256;

/// Entries of a trace state (W3C Trace Context level 2, §3.3.1.1).
pub const MAX_TRACE_STATE_MEMBERS: usize = 32;

/// Bytes of a rule's name, which is a label of metrics.
pub const MAX_RULE_NAME_BYTES: usize = 120;

/// Bytes that one compiled pattern may take.
pub const MAX_PATTERN_BYTES: usize = 1 << 20;

/// Services that a summary tells apart; more are counted as one.
pub const SUMMARY_SERVICES_MAX: usize = 256;

/// Operations that a summary tells apart, of all services; more are counted as one.
pub const SUMMARY_OPERATIONS_MAX: usize = 2_048;

/// Bytes of a name or an error's text that a summary keeps.
pub const SUMMARY_TEXT_BYTES_MAX: usize = 160;

/// Errors that a summary remembers, each once.
pub const SUMMARY_FAULTS_MAX: usize = 32;

/// Seconds that a summary's histories go back.
pub const SUMMARY_HISTORY_SECONDS: usize = 60;

/// Seconds over which a summary's rates are averaged.
pub const SUMMARY_RATE_SECONDS: u64 = 5;

/// Nanoseconds: what a summary says of operations is of the last one to two such times.
pub const SUMMARY_SLICE_NS: u64 = 15_000_000_000;

/// Traces whose spans a summary gathers at a time.
pub const SUMMARY_TRACES_MAX: usize = 1_024;

/// Spans that a summary gathers of one trace.
pub const SUMMARY_TRACE_SPANS_MAX: usize = 512;

/// Spans that a summary gathers of all traces.
pub const SUMMARY_SPANS_MAX: usize = 65_536;

/// Nanoseconds without another span after which a summary takes a trace to be complete.
pub const SUMMARY_QUIET_NS: u64 = 2_000_000_000;

/// Nanoseconds: for so long a summary shows a trace, before it shows another.
pub const SUMMARY_SHOWN_NS: u64 = 6_000_000_000;

/// Nanoseconds from one look for complete traces to the next.
pub const SUMMARY_LOOK_NS: u64 = 200_000_000;

/// Threads of collectors whose numbers are remembered, unless told otherwise. Each takes about 800 bytes.
pub const GAP_SENDERS: usize = 4_096;

/// The last numbers of a thread of which it is known exactly which came.
pub const GAP_WINDOW: usize = 4_096;

/// Bytes of a host's name; a longer one is taken for none.
pub const GAP_HOST_BYTES: usize = 255;
