//! The trace in which a command runs, handed to it in variables of its environment.
//!
//! The form is that of [W3C Trace Context](https://www.w3.org/TR/trace-context-2/#traceparent-header), the variables those of
//! [OpenTelemetry](https://opentelemetry.io/docs/specs/otel/context/env-carriers/): `TRACEPARENT`, and `TRACESTATE` as it is.

use host::EpisodeId;

/// The variable that names the trace and the span below which a process runs.
pub(super) const TRACEPARENT: &str = "TRACEPARENT";
/// What vendors add to it.
pub(super) const TRACESTATE: &str = "TRACESTATE";

/// The trace is recorded.
const SAMPLED: u8 = 1;
/// The lower seven bytes of the trace's id are random (level 2, §3.2.2.5.2), as those of a version 4 UUID are.
const RANDOM: u8 = 2;

/// Where the span of an episode stands in its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TraceContext {
    trace_id: u128,
    span_id: u64,
    parent_span_id: Option<u64>,
    flags: u8,
}

impl TraceContext {
    /// A span below the one that `TRACEPARENT` names; where that is none it begins a trace, whose id is the episode's.
    pub(super) fn new(parent: Option<&str>, episode: EpisodeId, span_id: u64) -> Self {
        match parent.and_then(parse) {
            Some((trace_id, parent_span_id, flags)) => {
                Self { trace_id, span_id, parent_span_id: Some(parent_span_id), flags }
            }
            None => {
                let flags = SAMPLED | RANDOM;
                Self { trace_id: episode.as_u128(), span_id, parent_span_id: None, flags }
            }
        }
    }

    /// For processes below this span.
    pub(super) fn traceparent(&self) -> String {
        format!("00-{}-{}-{:02x}", self.trace_id(), self.span_id(), self.flags)
    }

    pub(super) fn trace_id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }

    pub(super) fn span_id(&self) -> String {
        format!("{:016x}", self.span_id)
    }

    pub(super) fn parent_span_id(&self) -> Option<String> {
        self.parent_span_id.map(|id| format!("{id:016x}"))
    }

    /// Whether spans of this trace are recorded: whoever began it has decided that.
    pub(super) fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }
}

/// Trace, span and flags (§3.2.2). Of a version that is not known yet, what it has in common with this one (§4.3).
fn parse(text: &str) -> Option<(u128, u64, u8)> {
    let mut parts = text.trim().splitn(5, '-');
    let version = hex::<2>(parts.next()?)?;
    let trace_id = hex::<32>(parts.next()?)?;
    let span_id = u64::try_from(hex::<16>(parts.next()?)?).ok()?;
    let flags = u8::try_from(hex::<2>(parts.next()?)?).ok()?;
    let is_known = match version {
        0 => parts.next().is_none(),
        0xff => false,
        _ => true,
    };
    // Flags that this version does not know are not passed on (§3.2.2.5).
    (is_known && trace_id != 0 && span_id != 0).then_some((trace_id, span_id, flags & (SAMPLED | RANDOM)))
}

/// So many hexadecimal digits, in lower case.
fn hex<const DIGITS: usize>(text: &str) -> Option<u128> {
    let is_hex = text.len() == DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn below(parent: &str) -> TraceContext {
        TraceContext::new(Some(parent), EpisodeId::from_u128(7), 9)
    }

    #[test]
    fn a_span_below_another_is_in_its_trace() {
        let context = below(PARENT);
        assert_eq!(context.traceparent(), "00-0af7651916cd43dd8448eb211c80319c-0000000000000009-01");
        assert_eq!(context.parent_span_id().unwrap(), "b7ad6b7169203331");
        assert!(context.is_sampled());
        assert!(!below(&PARENT.replace("-01", "-00")).is_sampled());
    }

    #[test]
    fn a_span_below_none_begins_a_trace() {
        let begun = "00-00000000000000000000000000000007-0000000000000009-03";
        for none in [
            "",
            "hello",
            &PARENT.replace("00-", "ff-"),
            &PARENT.replace("b7ad6b7169203331", "0000000000000000"),
            &PARENT.replace("0af7651916cd43dd8448eb211c80319c", "00000000000000000000000000000000"),
            &PARENT.replace("0af", "0AF"),
            &PARENT.replace("0af", "+af"),
            &PARENT.replace("-01", "-1"),
            &format!("{PARENT}-what"),
            &PARENT[..52],
        ] {
            assert_eq!(below(none).traceparent(), begun, "{none}");
        }
        let context = TraceContext::new(None, EpisodeId::from_u128(7), 9);
        assert_eq!((context.traceparent().as_str(), context.parent_span_id()), (begun, None));
    }

    #[test]
    fn of_a_later_version_what_is_known_is_taken() {
        let later = PARENT.replace("00-", "01-").replace("-01", "-f9-more");
        assert_eq!(below(&later).traceparent(), "00-0af7651916cd43dd8448eb211c80319c-0000000000000009-01");
    }
}
