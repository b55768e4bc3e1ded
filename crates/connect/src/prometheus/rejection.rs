//! Why a data point is not exposed.

/// Why a data point is not exposed. It is counted and told to whoever sent it as rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rejection {
    /// Nothing is left of the metric's name in Prometheus' alphabet, or it is one of this exporter's own.
    Name,
    /// A metric of another type has the name already.
    TypeConflict,
    /// A delta that is not monotonic says nothing about where it began; a temporality that is not stated says nothing.
    Temporality,
    /// The point contradicts itself: a counter below zero, bounds that do not rise, a bucket too few.
    Malformed,
    /// More buckets than [`crate::limits::MAX_BUCKETS`], or a scale that cannot be made Prometheus'.
    Resolution,
    /// It does not say when it was observed. Only where points are written, not scraped.
    Time,
    /// Where points are scraped, a metric of another name has the series already; where they are written, another value of the
    /// series has this time.
    Duplicate,
    /// A delta for a time that has been added already.
    OutOfOrder,
    /// There are as many series, or bytes of them, as there may be, and the point is cumulative: it cannot be added to the
    /// overflow series.
    Cardinality,
}

impl Rejection {
    /// Every reason.
    pub const ALL: [Rejection; 9] = [
        Self::Name,
        Self::TypeConflict,
        Self::Temporality,
        Self::Malformed,
        Self::Resolution,
        Self::Time,
        Self::Duplicate,
        Self::OutOfOrder,
        Self::Cardinality,
    ];

    /// Its name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::TypeConflict => "type_conflict",
            Self::Temporality => "temporality",
            Self::Malformed => "malformed",
            Self::Resolution => "resolution",
            Self::Time => "time",
            Self::Duplicate => "duplicate",
            Self::OutOfOrder => "out_of_order",
            Self::Cardinality => "cardinality",
        }
    }
}
