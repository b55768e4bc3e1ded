//! Every bound of this crate, by name and unit.

use std::time::Duration;

/// Connections that one receiver holds open at once, over all its listeners. Further ones are closed when accepted.
pub const MAX_CONNECTIONS: usize = 4096;

/// Streams that one HTTP/2 connection may have open at once, where the configuration says nothing.
pub const MAX_CONCURRENT_STREAMS: u32 = 256;

/// Bytes of request headers, decoded.
pub const MAX_HEADER_BYTES: u32 = 32 << 10;

/// Bytes of an HTTP/2 frame that we are willing to take. 1 MiB lets a request of 1000 spans arrive as one frame, which
/// is then used where it lies.
pub const MAX_FRAME_BYTES: u32 = 1 << 20;

/// Bytes that a peer may send on one stream before we have read any. Requests up to this size never wait for a window
/// update.
pub const STREAM_WINDOW_BYTES: u32 = 4 << 20;

/// Bytes that a peer may send on one connection before we have read any, once it has been seen to need that much.
pub const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// Bytes that a peer may send on a new connection before we have read any: what RFC 9113 (section 6.9.2) gives every connection and
/// what no setting makes smaller.
pub const FIRST_WINDOW_BYTES: u32 = 65_535;

/// The windows of all connections together are at most this part of the memory budget: one half. A connection beyond
/// is closed.
pub const WINDOWS_DIVISOR: usize = 2;

/// Windows are widened as long as all together are at most this part of the memory budget: one quarter. The rest of their half
/// is for new connections.
pub const WIDENING_DIVISOR: usize = 4;

/// Bytes that the frames of one connection may fall short of 256 each before they are read: a window counts what frames carry,
/// not what it costs to keep them. 1 MiB is 4096 frames of next to nothing; more end the connection.
pub const MAX_SMALL_FRAME_BYTES: usize = 1 << 20;

/// Streams of one connection that its peer began and took back before we looked at them. One more ends the connection
/// (CVE-2023-44487).
pub const MAX_UNSEEN_RESETS: usize = 20;

/// Streams of one connection that we reset because of the peer's errors. One more ends the connection.
pub const MAX_RESET_STREAMS: usize = 1024;

/// Bytes that are taken from a socket at once where less was asked for: half a dozen requests of 20 spans, or one frame
/// of the size that HTTP/2 has by default.
pub const READ_AHEAD_BYTES: usize = 32 << 10;

/// How long a new connection may take to show which protocol it speaks.
pub const FIRST_BYTES_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the headers of an HTTP/1.1 request may take.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(60);

/// How long the body of a request may take, from its headers to its end.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a refused sender is asked to wait when the pipeline did not say.
pub const OVERLOAD_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The longest wait that we believe a far side that asks for one.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// Bytes of a refused HTTP/1.1 body that are read and forgotten, where the largest body taken is smaller: a sender that
/// is still writing when we close never sees the answer.
pub const MAX_DISCARDED_BYTES: usize = 1 << 20;

/// Bytes of a response body that an exporter reads; a longer one is cut off and judged by its status alone.
pub const MAX_RESPONSE_BYTES: usize = 64 << 10;

/// Bytes of a reason for people that go into a response header or a log line.
pub const MAX_REASON_BYTES: usize = 1024;

/// Frames of zstd or members of gzip in one body. Both formats allow empty ones, which cost time without giving bytes.
pub const MAX_COMPRESSED_PARTS: usize = 1024;

/// Skippable frames in one zstd body. They give no bytes at all; no known OTLP sender writes any.
pub const MAX_SKIPPABLE_FRAMES: usize = 4;

/// Base-two logarithm of the largest zstd window: 8 MiB, which RFC 8878 recommends to support and no more.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Bytes of scratch memory that a thread keeps for the next compression.
pub const MAX_KEPT_SCRATCH_BYTES: usize = 8 << 20;

/// Idle HTTP/1.1 connections that one sender keeps open.
pub const MAX_IDLE_CONNECTIONS: usize = 32;

/// How much longer wire bytes can be than the JSON that says the same: a list of `0,` becomes eight bytes each.
pub const MAX_JSON_GROWTH: usize = 4;

/// A request is counted before it is indexed where its index could take up more than this part of the memory budget: a sixteenth.
pub const COUNTED_DIVISOR: usize = 16;

/// Buckets of one histogram, or quantiles of one summary, that an exporter to Prometheus exposes.
pub const MAX_BUCKETS: usize = 1024;

/// Buckets that an exponential histogram is converted to for formats that have only explicit ones.
pub const MAX_CONVERTED_BUCKETS: usize = 64;

/// Exemplars of one exponential histogram.
pub const MAX_NATIVE_EXEMPLARS: usize = 10;

/// Characters of an exemplar's labels, names and values together (OpenMetrics 1.0, section "Exemplars").
pub const MAX_EXEMPLAR_CHARS: usize = 128;

/// Series that an exporter to Prometheus exposes, where the configuration says nothing.
pub const DEFAULT_MAX_SERIES: usize = 100_000;

/// Bytes that these take up, where the configuration says nothing.
pub const DEFAULT_MAX_SERIES_BYTES: usize = 128 << 20;

/// Connections of scrapers that are open at once.
pub const MAX_SCRAPE_CONNECTIONS: usize = 64;

/// Scrapes whose answers are in memory at once.
pub const MAX_SCRAPES: usize = 4;

/// How long a scraper may take to read its answer.
pub const SCRAPE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a scraper's connection may stay open without a request.
pub const SCRAPE_IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// Bytes of an `Accept` header that are looked at.
pub const MAX_ACCEPT_BYTES: usize = 4096;
