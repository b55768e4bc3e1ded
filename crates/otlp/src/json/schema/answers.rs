//! What a receiver answers: the responses of the collector services, and `google.rpc.Status`.

use super::{
    Kind::{Int32, Int64, Message as Msg, String},
    Message, one,
};
use crate::Signal;

/// The response message of a signal.
pub(in crate::json) fn response(signal: Signal) -> &'static Message {
    match signal {
        Signal::Traces => &TRACE_RESPONSE,
        Signal::Logs => &LOGS_RESPONSE,
        Signal::Metrics => &METRICS_RESPONSE,
        Signal::Profiles => &PROFILES_RESPONSE,
    }
}

static TRACE_RESPONSE: Message =
    Message { name: "ExportTraceServiceResponse", fields: &[one(1, "partialSuccess", Msg(&TRACE_PARTIAL))] };
static TRACE_PARTIAL: Message = Message {
    name: "ExportTracePartialSuccess",
    fields: &[one(1, "rejectedSpans", Int64), one(2, "errorMessage", String)],
};
static LOGS_RESPONSE: Message =
    Message { name: "ExportLogsServiceResponse", fields: &[one(1, "partialSuccess", Msg(&LOGS_PARTIAL))] };
static LOGS_PARTIAL: Message = Message {
    name: "ExportLogsPartialSuccess",
    fields: &[one(1, "rejectedLogRecords", Int64), one(2, "errorMessage", String)],
};
static METRICS_RESPONSE: Message = Message {
    name: "ExportMetricsServiceResponse",
    fields: &[one(1, "partialSuccess", Msg(&METRICS_PARTIAL))],
};
static METRICS_PARTIAL: Message = Message {
    name: "ExportMetricsPartialSuccess",
    fields: &[one(1, "rejectedDataPoints", Int64), one(2, "errorMessage", String)],
};
static PROFILES_RESPONSE: Message = Message {
    name: "ExportProfilesServiceResponse",
    fields: &[one(1, "partialSuccess", Msg(&PROFILES_PARTIAL))],
};
static PROFILES_PARTIAL: Message = Message {
    name: "ExportProfilesPartialSuccess",
    fields: &[one(1, "rejectedProfiles", Int64), one(2, "errorMessage", String)],
};

/// Its details are of any type, each with a JSON form of its own, and are passed over.
pub(in crate::json) static STATUS: Message =
    Message { name: "Status", fields: &[one(1, "code", Int32), one(2, "message", String)] };
