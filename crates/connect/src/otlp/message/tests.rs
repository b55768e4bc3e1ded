//! Against prost as the oracle.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;

use super::{PartialSuccess, Status};

#[derive(Clone, PartialEq, prost::Message)]
struct OracleAny {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct OracleStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<OracleAny>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct OracleDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct OracleRetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<OracleDuration>,
}

#[test]
fn partial_success_is_what_prost_writes_and_reads() {
    for (rejected, message) in [(1, "one"), (7, ""), (300, "ungültig"), (i64::MAX, "all")] {
        let ours = PartialSuccess { rejected: rejected as u64, message: message.into() };
        let partial = ExportTracePartialSuccess { rejected_spans: rejected, error_message: message.into() };
        let theirs = ExportTraceServiceResponse { partial_success: Some(partial) };
        assert_eq!(ours.response(), theirs.encode_to_vec());
        assert_eq!(PartialSuccess::read(&theirs.encode_to_vec()), ours);
    }
    assert!(PartialSuccess::default().response().is_empty());
    assert_eq!(PartialSuccess::read(&[0xff; 20]), PartialSuccess::default());
}

#[test]
fn a_status_with_a_delay_is_what_prost_writes_and_reads() {
    for after in
        [None, Some(Duration::ZERO), Some(Duration::from_millis(1500)), Some(Duration::from_secs(90))]
    {
        let ours = Status { code: 8, message: "full".into(), retry_after: after };
        let details = after.map(|after| {
            let delay =
                OracleDuration { seconds: after.as_secs() as i64, nanos: after.subsec_nanos() as i32 };
            let info = OracleRetryInfo { retry_delay: Some(delay) };
            let type_url = "type.googleapis.com/google.rpc.RetryInfo".into();
            OracleAny { type_url, value: info.encode_to_vec() }
        });
        let theirs = OracleStatus { code: 8, message: "full".into(), details: details.into_iter().collect() };
        assert_eq!(ours.encode(), theirs.encode_to_vec());
        assert_eq!(Status::read(&theirs.encode_to_vec()), ours);
    }
}

#[test]
fn another_detail_is_not_a_delay() {
    let any =
        OracleAny { type_url: "type.googleapis.com/google.rpc.ErrorInfo".into(), value: vec![10, 2, 8, 9] };
    let status = OracleStatus { code: 8, message: String::new(), details: vec![any] };
    assert_eq!(Status::read(&status.encode_to_vec()).retry_after, None);
}
