//! Bounds, with their units.

/// Bytes of the value of the `ot` entry in a trace state (OpenTelemetry specification, *TraceState Handling*).
pub const MAX_OT_ENTRY_BYTES: usize = 256;

/// Entries of a trace state (W3C Trace Context level 2, §3.3.1.1).
pub const MAX_TRACE_STATE_MEMBERS: usize = 32;

/// Bytes of a rule's name, which is a label of metrics.
pub const MAX_RULE_NAME_BYTES: usize = 120;

/// Bytes that one compiled pattern may take.
pub const MAX_PATTERN_BYTES: usize = 1 << 20;
