//! Counting by frames: resources, scopes and records, and nothing inside them.

use crate::error::{WireError, WireErrorKind};
use crate::{Counts, Signal, wire};

/// What is in a request, by its frames alone.
pub(super) fn count(signal: Signal, request: &[u8]) -> Result<Counts, WireError> {
    let mut counts = Counts::default();
    let walk = Walk { request };
    walk.members(request, "request", &[1], |resource| {
        counts.resources += 1;
        walk.members(resource, "resource", &[2], |scope| {
            counts.scopes += 1;
            walk.members(scope, "scope", &[2], |member| {
                if signal != Signal::Metrics {
                    counts.records += 1;
                    return Ok(());
                }
                walk.members(member, "Metric", &[5, 7, 9, 10, 11], |data| {
                    walk.members(data, "data points", &[1], |_| {
                        counts.records += 1;
                        Ok(())
                    })
                })
            })
        })
    })?;
    Ok(counts)
}

struct Walk<'a> {
    request: &'a [u8],
}

impl<'a> Walk<'a> {
    /// Calls `each` with the body of every field of `message` that has one of these numbers.
    #[inline(always)]
    fn members(
        &self,
        message: &'a [u8],
        within: &'static str,
        numbers: &[u32],
        mut each: impl FnMut(&'a [u8]) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        let mut walk = wire::fields(message);
        let mut ahead = message;
        for field in walk.by_ref() {
            if numbers.contains(&field.number) {
                let wire::Payload::Bytes(body) = field.payload else {
                    return Err(self.refuse(ahead, within, WireErrorKind::WrongWireType));
                };
                each(body)?;
            }
            ahead = &ahead[field.raw.len()..];
        }
        if ahead.is_empty() { Ok(()) } else { Err(self.refuse(ahead, within, WireErrorKind::Truncated)) }
    }

    #[cold]
    fn refuse(&self, at: &[u8], within: &'static str, kind: WireErrorKind) -> WireError {
        WireError { offset: at.as_ptr().addr() - self.request.as_ptr().addr(), within, kind }
    }
}
