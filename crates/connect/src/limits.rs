//! Every bound of this crate, by name and unit.

use std::time::Duration;

/// Connections that one receiver holds open at once, over all its listeners. Further ones are closed when accepted.
pub const MAX_CONNECTIONS: usize = 4096;

/// Bytes of the largest buffer that a connection over HTTP/1.1 reads into.
pub const HTTP1_BUFFER_BYTES: usize = 416 << 10;

/// Bytes of the smallest body over HTTP/1.1 that is used where it lies in that buffer, half of it: it keeps the whole buffer, so
/// that at most as much is kept without a charge as is charged. Smaller ones are copied.
pub const MIN_LENT_HTTP1_BYTES: usize = HTTP1_BUFFER_BYTES / 2;

/// Bytes of the smallest body over HTTP/2 that is used where it lies. Frames share the buffer that they were read into, which is of
/// 64 KiB or of the largest frame in it.
pub const MIN_LENT_HTTP2_BYTES: usize = 16 << 10;

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

/// How long a connection that was told to go because it idles, or is too old, may go on without a request before it is ended,
/// where the configuration says nothing: its peer need not answer.
pub const FINISH_GRACE: Duration = Duration::from_secs(10);

/// How long the handshake of TLS may take, from the first byte to the last.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes that one connection with TLS may hold in rustls, encrypted and not, besides what flow control grants: two records
/// that arrive (RFC 8446, section 5.1), [`TLS_WRITE_BYTES`] that leave, and its keys. It is charged from the first byte on; an idle one
/// takes 8 KiB, one in the middle of a handshake 20 KiB with all that belongs to a connection (2000 of each, Linux, x86-64).
pub const TLS_CONNECTION_BYTES: usize = 64 << 10;

/// Bytes of answers that wait in rustls for the socket, of one connection; answers are small.
pub const TLS_WRITE_BYTES: usize = 16 << 10;

/// Bytes of a file of certificates or of a key. All roots of the web are 200 KiB.
pub const MAX_PEM_BYTES: u64 = 4 << 20;

/// How often a file of CAs is read again that is to be heeded when it changes.
pub const CLIENT_CA_INTERVAL: Duration = Duration::from_secs(1);

/// How soon files are read again that could not be used: they may have been read while one of them was being replaced.
pub const RELOAD_RETRY: Duration = Duration::from_secs(10);

/// How long the headers of an HTTP/1.1 request may take.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(60);

/// How long the body of a request may take, from its headers to its end.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a refused sender is asked to wait when the pipeline did not say.
pub const OVERLOAD_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The longest wait that we believe a far side that asks for one.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// Bytes of a refused body over HTTP that are read and forgotten, over HTTP/1.1 where the largest body taken is smaller: a sender
/// that is still writing when its connection or stream is closed may not see the answer.
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

/// How much longer wire bytes can be than the JSON that says the same: a list of `0,` becomes eight bytes each. What has few numbers in
/// lists is known to stay below that (`otlp::json::most_wire_bytes`).
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

/// Bytes of a request to a Prometheus server, uncompressed, where the configuration says nothing: as the Collector.
pub const DEFAULT_WRITE_REQUEST_BYTES: usize = 3_000_000;

/// The most bytes of such a request that a configuration may ask for.
pub const MAX_WRITE_REQUEST_BYTES: usize = 1 << 30;

/// Requests of one batch to a Prometheus server that are under way at once, where the configuration says nothing.
pub const DEFAULT_WRITE_REQUESTS: usize = 5;

/// How long a Prometheus server that did not understand remote write 2.0 is sent 1.0 before it is asked again.
pub const WRITE_PROBE_INTERVAL: Duration = Duration::from_secs(600);

/// How long after its last `target_info` a resource has another. Queries look back five minutes.
pub const INFO_INTERVAL: Duration = Duration::from_secs(60);

/// Resources in one request of `target_info`.
pub const MAX_INFOS_PER_REQUEST: usize = 1000;

/// Resources whose `target_info` an exporter remembers to have sent, so that it never goes back in time.
pub const MAX_REMEMBERED_INFOS: usize = 10_000;

/// Connections of readers of pages (scrapers among them) that are open at once, for each server.
pub const MAX_PAGE_CONNECTIONS: usize = 64;

/// Pages in memory at once, for each server.
pub const MAX_PAGES_AT_ONCE: usize = 4;

/// How long a reader may take to read its page.
pub const PAGE_READ_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a reader's connection may stay open without a request.
pub const PAGE_IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// How long a page on its way may still be read once its server ends.
pub const PAGE_END_GRACE: Duration = Duration::from_secs(1);

/// How long a server of pages that ends waits for the first request of a connection.
pub const PAGE_FIRST_GRACE: Duration = Duration::from_millis(500);

/// Bytes of an `Accept` header that are looked at.
pub const MAX_ACCEPT_BYTES: usize = 4096;

/// Tokens that one authenticator knows.
pub const MAX_TOKENS: usize = 256;

/// Bytes of a file of tokens or passwords.
pub const MAX_CREDENTIALS_BYTES: usize = 1 << 20;

/// Users of one authenticator.
pub const MAX_USERS: usize = 4096;

/// How often a file of credentials that is in use is looked at.
pub const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Passwords that wait to be checked by one authenticator. Whoever comes then is told to come again.
pub const MAX_WAITING_PASSWORDS: usize = 32;

/// How much longer than the check of a wrong password took nothing more is checked: three times, so that wrong ones take up at
/// most a quarter of one CPU.
pub const WRONG_PASSWORD_PAUSE: u32 = 3;

/// Digests of right, and as many of wrong, names and passwords that one authenticator remembers.
pub const MAX_REMEMBERED_PASSWORDS: usize = 8192;

/// Base-two logarithm of the most rounds of bcrypt that are computed: 2^14 take about a second.
pub const MAX_BCRYPT_COST: u32 = 14;

/// Bytes of a name and password together; what is longer is wrong.
pub const MAX_LOGIN_BYTES: usize = 1024;

/// Bytes of the longest request in a file: a length above would begin as text or as a compressed file does.
pub const MAX_FRAME_LENGTH: usize = (0x1f << 24) - 1;

/// Bytes that are read from a file at once.
pub const FILE_READ_BYTES: usize = 256 << 10;

/// Bytes of all requests of a corpus: they are held in memory.
pub const MAX_CORPUS_BYTES: u64 = 4 << 30;

/// Requests that wait for the thread that writes a file.
pub const FILE_WRITES_WAITING: usize = 256;

/// Bytes that are written to a file by one call, where several requests wait.
pub const FILE_WRITE_BYTES: usize = 1 << 20;

/// How long a file's last write may take when its exporter ends.
pub const FILE_CLOSE_GRACE: Duration = Duration::from_secs(5);

/// How long files that were rotated away may be sealed when their exporter ends; the next start goes on. Less than
/// [`FILE_CLOSE_GRACE`], which includes it.
pub const FILE_SEAL_GRACE: Duration = Duration::from_secs(3);

/// How long the sealing of a file is waited for once it is to stop.
pub const FILE_SEAL_ABORT: Duration = Duration::from_secs(1);

/// How long a file that cannot be sealed waits for another attempt, if none is rotated away meanwhile.
pub const FILE_SEAL_RETRY: Duration = Duration::from_secs(60);

/// Attempts in succession to seal a file that end in a panic, after which it is told as something that will not pass.
pub const FILE_SEAL_PANICS: u32 = 3;

/// Sends in flight to one file.
pub const FILE_SENDS: usize = 16;

/// How long one write to a file may take.
pub const FILE_TIMEOUT: Duration = Duration::from_secs(60);

/// Files that a receiver keeps open at once.
pub const MAX_FOLLOWED_FILES: usize = 1024;

/// Requests of one receiver of files that are in its pipelines at once.
pub const FILE_REQUESTS_IN_FLIGHT: usize = 32;

/// How long a receiver of files waits before it offers again what was refused for now.
pub const FILE_RETRY_AFTER: Duration = Duration::from_millis(200);

/// Bytes of a request in a file that a receiver reads, where the configuration says nothing.
pub const FILE_REQUEST_BYTES: usize = 64 << 20;

/// Batches that wait to be printed.
pub const DEBUG_BATCHES: usize = 64;

/// Bytes of the batches that wait to be printed; one may always wait.
pub const DEBUG_BYTES: usize = 16 << 20;

/// How long the sender of a batch waits until it is printed.
pub const DEBUG_PATIENCE: Duration = Duration::from_secs(1);

/// How long the last batches may take to be printed when their exporter ends.
pub const DEBUG_CLOSE_GRACE: Duration = Duration::from_secs(1);

/// Bytes of text about one record.
pub const DEBUG_RECORD_BYTES: usize = 16 << 10;

/// Bytes of text about one batch, but for its last record.
pub const DEBUG_BATCH_BYTES: usize = 1 << 20;

/// Characters of one text of a record that are printed.
pub const DEBUG_TEXT_CHARS: usize = 1024;

/// Attributes, events, links, buckets, or items of a list, that are printed of each.
pub const DEBUG_ITEMS: usize = 64;

/// Levels of lists in lists that are printed.
pub const DEBUG_DEPTH: usize = 8;

/// Requests that a receiver reads from one file before it is another's turn.
pub const FILE_TURN_REQUESTS: usize = 64;

/// How often a receiver of files looks whether it is to stop.
pub const FILE_STOP_POLL: Duration = Duration::from_millis(20);

/// How long a fault in a file is shown.
pub const FILE_FAULT_SHOWN: Duration = Duration::from_secs(60);

/// Bytes before the place up to which a file was read by which it is known again, besides its first.
pub const FILE_TAIL_BYTES: usize = 256;

/// Files that were replaced or are not there now of which is known how far they were read.
pub const MAX_DEPARTED_FILES: usize = 256;
