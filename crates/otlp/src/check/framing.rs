//! Counting by frames: resources, scopes and records, and nothing inside them.

use crate::error::{WireError, WireErrorKind};
use crate::index::{AttributeAt, MetricEntry, Records, ResourceEntry, ScopeEntry};
use crate::{Counts, Depth, Signal, wire};

/// What is in a request, by its frames alone.
pub(super) fn count(signal: Signal, request: &[u8]) -> Result<Counts, WireError> {
    let mut counts = Counts::default();
    let walk = Walk { request };
    walk.members(request, "request", is::<1>, |resource| {
        counts.resources += 1;
        walk.members(resource, "resource", is::<2>, |scope| {
            counts.scopes += 1;
            walk.members(scope, "scope", is::<2>, |member| {
                if signal != Signal::Metrics {
                    counts.records += 1;
                    return Ok(());
                }
                walk.members(member, "Metric", is_data, |data| {
                    walk.members(data, "data points", is::<1>, |_| {
                        counts.records += 1;
                        Ok(())
                    })
                })
            })
        })
    })?;
    Ok(counts)
}

/// Bytes that the index of a request takes, by the frames of its levels and, where they are indexed, of its records'
/// attributes. Never less than what a check makes of it; more only where a metric says its data twice.
pub(super) fn index_bytes(signal: Signal, depth: Depth, request: &[u8]) -> Result<usize, WireError> {
    if depth == Depth::Counts {
        return Ok(0);
    }
    let with_attributes = depth == Depth::Attributes;
    let walk = Walk { request };
    let (mut bytes, mut records, mut attributes) = (0, 0, 0);
    let mut record = |body, number| {
        records += 1;
        if !with_attributes {
            return Ok(());
        }
        walk.members(
            body,
            "record",
            |field| field == number,
            |_| {
                attributes += 1;
                Ok(())
            },
        )
    };
    walk.members(request, "request", is::<1>, |resource| {
        bytes += size_of::<ResourceEntry>();
        walk.members(resource, "resource", is::<2>, |scope| {
            bytes += size_of::<ScopeEntry>();
            walk.members(scope, "scope", is::<2>, |member| match signal {
                Signal::Traces => record(member, 9),
                Signal::Logs => record(member, 6),
                Signal::Profiles => Ok(()),
                Signal::Metrics => {
                    bytes += size_of::<MetricEntry>();
                    // Of an exponential histogram's points the attributes have the number 1.
                    walk.members(member, "Metric", is::<10>, |data| {
                        walk.members(data, "data points", is::<1>, |point| record(point, 1))
                    })?;
                    walk.members(member, "Metric", is::<9>, |data| {
                        walk.members(data, "data points", is::<1>, |point| record(point, 9))
                    })?;
                    walk.members(
                        member,
                        "Metric",
                        |number| matches!(number, 5 | 7 | 11),
                        |data| walk.members(data, "data points", is::<1>, |point| record(point, 7)),
                    )
                }
            })
        })
    })?;
    bytes += records * Records::row_bytes(signal);
    if with_attributes {
        bytes += (records + 1) * size_of::<u32>() + attributes * size_of::<AttributeAt>();
    }
    Ok(bytes)
}

#[inline(always)]
fn is<const NUMBER: u32>(number: u32) -> bool {
    number == NUMBER
}

/// `Metric.data`: gauge, sum, histogram, exponential histogram, summary.
#[inline(always)]
fn is_data(number: u32) -> bool {
    matches!(number, 5 | 7 | 9 | 10 | 11)
}

struct Walk<'a> {
    request: &'a [u8],
}

impl<'a> Walk<'a> {
    /// Calls `each` with the body of every field of `message` whose number is a `member`.
    #[inline(always)]
    fn members(
        &self,
        message: &'a [u8],
        within: &'static str,
        member: impl Fn(u32) -> bool,
        mut each: impl FnMut(&'a [u8]) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        let mut ahead = message;
        while !ahead.is_empty() {
            let Some((key, rest)) = wire::varint(ahead) else {
                return Err(self.refuse(ahead, within, WireErrorKind::Truncated));
            };
            let Ok(key) = u32::try_from(key) else {
                return Err(self.refuse(ahead, within, WireErrorKind::BadTag));
            };
            if member(key >> 3) {
                if key & 7 != wire::LEN {
                    return Err(self.refuse(ahead, within, WireErrorKind::WrongWireType));
                }
                let Some((body, rest)) = wire::delimited(rest) else {
                    return Err(self.refuse(rest, within, WireErrorKind::Truncated));
                };
                each(body)?;
                ahead = rest;
            } else {
                let Some(rest) = wire::skip(key, rest) else {
                    return Err(self.refuse(rest, within, WireErrorKind::Truncated));
                };
                ahead = rest;
            }
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn refuse(&self, at: &[u8], within: &'static str, kind: WireErrorKind) -> WireError {
        WireError { offset: at.as_ptr().addr() - self.request.as_ptr().addr(), within, kind }
    }
}
