//! Bounds, with their units.

/// Bytes of the value of the `ot` entry in a trace state (OpenTelemetry specification, *TraceState Handling*).
pub const MAX_OT_ENTRY_BYTES: usize = 256;

/// Entries of a trace state (W3C Trace Context level 2, §3.3.1.1).
pub const MAX_TRACE_STATE_MEMBERS: usize = 32;
