//! What the one pass over a request remembers: plain columns of offsets, ids and times.

/// A half-open range of byte offsets into the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range32 {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Range32 {
    /// Length in bytes.
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether it covers no byte.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// As a slice index.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// One `ResourceSpans` / `ResourceLogs` / `ResourceMetrics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceEntry {
    /// Offset of the tag that opens it in the request.
    pub start: u32,
    /// Its body, behind tag and length.
    pub body: Range32,
    /// The body of its `Resource` message; empty where there is none.
    pub resource: Range32,
    /// Numbers of its scopes: `first_scope .. first_scope + scopes`.
    pub first_scope: u32,
    /// How many scopes it has.
    pub scopes: u32,
}

/// One `ScopeSpans` / `ScopeLogs` / `ScopeMetrics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScopeEntry {
    /// The number of its resource.
    pub resource: u32,
    /// Offset of the tag that opens it.
    pub start: u32,
    /// Its body, behind tag and length.
    pub body: Range32,
    /// The body of its `InstrumentationScope` message; empty where there is none.
    pub scope: Range32,
    /// Numbers of its records: `first_record .. first_record + records`.
    pub first_record: u32,
    /// How many records it has.
    pub records: u32,
}

/// Columns of records, all of the same length, in wire order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// Offset of the tag that opens the record.
    pub start: Vec<u32>,
    /// The record's body, behind tag and length.
    pub body: Vec<Range32>,
    /// The number of its scope.
    pub scope: Vec<u32>,
    /// Trace id; zero where there is none.
    pub trace_id: Vec<[u8; 16]>,
    /// Span id; zero where there is none.
    pub span_id: Vec<[u8; 8]>,
    /// Spans: start. Logs: `time_unix_nano`, else `observed_time_unix_nano`. Unix nanoseconds.
    pub time_ns: Vec<u64>,
    /// Spans: end, Unix nanoseconds. Empty for other signals.
    pub end_ns: Vec<u64>,
    /// Spans: kind. Logs: severity number. Values outside 0..=255 are stored as 255.
    pub kind: Vec<u8>,
    /// Spans: status code. Empty for other signals.
    pub status: Vec<u8>,
}

/// Where the attributes of records are. Record `i` owns the entries `first[i] .. first[i + 1]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttributeColumns {
    /// One more entry than there are records.
    pub first: Vec<u32>,
    /// The key's bytes.
    pub key: Vec<Range32>,
    /// The body of the `AnyValue`; empty where there is none.
    pub value: Vec<Range32>,
}

/// What was remembered of a request. How much is there depends on the [`crate::Depth`] that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// Resources in wire order. From [`crate::Depth::Records`].
    pub resources: Vec<ResourceEntry>,
    /// Scopes in wire order. From [`crate::Depth::Records`].
    pub scopes: Vec<ScopeEntry>,
    /// Records in wire order. From [`crate::Depth::Records`].
    pub records: Records,
    /// Attributes of records. At [`crate::Depth::Attributes`].
    pub attributes: AttributeColumns,
}
