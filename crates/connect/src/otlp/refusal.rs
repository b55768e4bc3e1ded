//! Why a request was not admitted, and the one table that says so in gRPC and HTTP.

use std::{borrow::Cow, fmt, time::Duration};

use http::StatusCode;

/// A gRPC status code, used to count refusals of both protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names and numbers are those of gRPC")]
pub enum Code {
    Cancelled = 1,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

impl Code {
    /// Every code that a receiver may answer.
    pub const ALL: [Code; 9] = [
        Code::Cancelled,
        Code::InvalidArgument,
        Code::DeadlineExceeded,
        Code::PermissionDenied,
        Code::ResourceExhausted,
        Code::Unimplemented,
        Code::Internal,
        Code::Unavailable,
        Code::Unauthenticated,
    ];

    /// The name used as a metric attribute: `INVALID_ARGUMENT`, …
    pub const fn name(self) -> &'static str {
        match self {
            Code::Cancelled => "CANCELLED",
            Code::InvalidArgument => "INVALID_ARGUMENT",
            Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Code::PermissionDenied => "PERMISSION_DENIED",
            Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Code::Unimplemented => "UNIMPLEMENTED",
            Code::Internal => "INTERNAL",
            Code::Unavailable => "UNAVAILABLE",
            Code::Unauthenticated => "UNAUTHENTICATED",
        }
    }
}

/// Why a request was not admitted. Senders may try again after exactly those for which [`Refusal::is_retryable`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The bytes are not the request they should be.
    Malformed(String),
    /// The gRPC message is cut off or does not decompress, which gRPC calls an internal error.
    Undecodable(String),
    /// Larger than the configured maximum, compressed or not.
    TooLarge {
        /// The maximum, in bytes.
        max: usize,
    },
    /// It takes up more memory than there is for all telemetry.
    TooMuchMemory {
        /// All there is, in bytes.
        limit: usize,
    },
    /// There is no room for it now: no memory, or a full queue.
    Overloaded {
        /// How long to wait. OTLP lets a client try again after `RESOURCE_EXHAUSTED` only where it is told when.
        after: Duration,
        /// What is full.
        reason: Cow<'static, str>,
    },
    /// The pipeline could not take or deliver it, not for want of room; it may later.
    Unavailable {
        /// How long to wait, where that is known.
        after: Option<Duration>,
        /// The pipeline's reason.
        reason: String,
    },
    /// The pipeline could not deliver it and never will.
    Permanent(String),
    /// The sender's own deadline passed before the pipeline answered.
    DeadlineExceeded,
    /// The body took longer than [`crate::limits::BODY_TIMEOUT`] to arrive.
    SlowBody,
    /// The sender went away.
    Cancelled,
    /// No such service, method or path, or no pipeline takes this signal.
    NoSuchPath(String),
    /// Not a POST.
    WrongMethod,
    /// A `Content-Type` that is not spoken here.
    WrongContentType(String),
    /// A compression that is not spoken here.
    WrongEncoding(String),
    /// The listener wants credentials, and none or wrong ones came. The answer does not say which.
    Unauthenticated,
    /// A web page of another origin than those that the configuration allows.
    Forbidden,
    /// More than one message where the method takes one.
    ManyMessages,
}

impl Refusal {
    /// The gRPC status. gRPC itself fixes those for compression, message size and cardinality.
    pub fn code(&self) -> Code {
        match self {
            Refusal::Malformed(_) => Code::InvalidArgument,
            Refusal::Undecodable(_) | Refusal::Permanent(_) => Code::Internal,
            Refusal::TooLarge { .. } | Refusal::TooMuchMemory { .. } | Refusal::Overloaded { .. } => {
                Code::ResourceExhausted
            }
            Refusal::Unavailable { .. } => Code::Unavailable,
            Refusal::Unauthenticated => Code::Unauthenticated,
            Refusal::Forbidden => Code::PermissionDenied,
            Refusal::DeadlineExceeded | Refusal::SlowBody => Code::DeadlineExceeded,
            Refusal::Cancelled => Code::Cancelled,
            Refusal::NoSuchPath(_)
            | Refusal::WrongMethod
            | Refusal::WrongContentType(_)
            | Refusal::WrongEncoding(_)
            | Refusal::ManyMessages => Code::Unimplemented,
        }
    }

    /// The HTTP status.
    pub fn http_status(&self) -> StatusCode {
        match self {
            Refusal::Malformed(_) | Refusal::Undecodable(_) | Refusal::ManyMessages | Refusal::Cancelled => {
                StatusCode::BAD_REQUEST
            }
            Refusal::TooLarge { .. } | Refusal::TooMuchMemory { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Overloaded { .. } => StatusCode::TOO_MANY_REQUESTS,
            Refusal::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Permanent(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Refusal::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
            Refusal::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Refusal::Unauthenticated => StatusCode::UNAUTHORIZED,
            Refusal::Forbidden => StatusCode::FORBIDDEN,
            Refusal::NoSuchPath(_) => StatusCode::NOT_FOUND,
            Refusal::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::WrongContentType(_) | Refusal::WrongEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    /// How long the sender should wait, where it may try again and that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Refusal::Overloaded { after, .. } => Some(*after),
            Refusal::Unavailable { after, .. } => *after,
            _ => None,
        }
    }

    /// Whether the sender may try again by the rules of OTLP.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Refusal::Overloaded { .. }
                | Refusal::Unavailable { .. }
                | Refusal::DeadlineExceeded
                | Refusal::Cancelled
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Malformed(why) | Refusal::Undecodable(why) | Refusal::Permanent(why) => f.write_str(why),
            Refusal::TooLarge { max } => {
                write!(
                    f,
                    "the request is larger than {max} bytes; send smaller batches or raise the receiver's limit"
                )
            }
            Refusal::TooMuchMemory { limit } => write!(
                f,
                "the request takes up more than the {limit} bytes of memory that there are for telemetry; send smaller batches \
                 or raise the memory limiter's limit"
            ),
            Refusal::Overloaded { reason, .. } => f.write_str(reason),
            Refusal::Unavailable { reason, .. } => f.write_str(reason),
            Refusal::DeadlineExceeded => {
                f.write_str("the pipeline did not answer before the request's deadline")
            }
            Refusal::SlowBody => f.write_str("the body did not arrive in time"),
            Refusal::Cancelled => f.write_str("the request was cancelled"),
            Refusal::NoSuchPath(path) => {
                write!(f, "nothing is exported to {path}: no such path, or no pipeline for its signal")
            }
            Refusal::WrongMethod => f.write_str("only POST is understood here"),
            Refusal::WrongContentType(why) => f.write_str(why),
            Refusal::WrongEncoding(name) => {
                write!(f, "compression {name:?} is not understood; use gzip, zstd or none")
            }
            Refusal::Unauthenticated => f.write_str("the right credentials are needed here"),
            Refusal::Forbidden => {
                f.write_str("web pages of this origin may not send here; list it in `cors.allowed_origins`")
            }
            Refusal::ManyMessages => f.write_str("Export takes exactly one message"),
        }
    }
}
