//! One frame at a time: hashed, compressed, encrypted.

use std::sync::Arc;

use zstd::{bulk::Compressor, zstd_safe::compress_bound};

use crate::{
    counters::TelemetryCounters,
    digest::Leaf,
    error::Error,
    frame::{Codec, FRAME_OVERHEAD, HEAD_BYTES, Head, Kind, TAG_BYTES},
    pool::Worker,
    suite::FileKey,
    timers::{Stage, TelemetryTimer},
};

pub(super) struct SealWorker {
    key: Arc<FileKey>,
    compressor: Compressor<'static>,
    pub(super) counters: TelemetryCounters,
    pub(super) timer: TelemetryTimer,
}

/// A frame's plaintext, and a buffer for what becomes of it.
pub(super) struct SealJob {
    pub(super) seq: u32,
    /// Of the plaintext in the stream.
    pub(super) offset: u64,
    pub(super) plain: Vec<u8>,
    pub(super) frame: Vec<u8>,
}

pub(super) struct SealDone {
    pub(super) plain: Vec<u8>,
    /// Head, body and tag; what stands behind them is left from other frames.
    pub(super) frame: Vec<u8>,
    pub(super) sealed: Result<(Head, Leaf), Error>,
}

impl SealWorker {
    pub(super) fn new(key: Arc<FileKey>, level: i32) -> Result<Self, Error> {
        Ok(Self {
            key,
            compressor: Compressor::new(level)?,
            counters: TelemetryCounters::new(),
            timer: TelemetryTimer::new(),
        })
    }

    fn sealed(&mut self, job: &mut SealJob) -> Result<(Head, Leaf), Error> {
        let room = HEAD_BYTES + compress_bound(job.plain.len()) + TAG_BYTES;
        if job.frame.len() < room {
            job.frame.resize(room, 0);
        }
        let body = &mut job.frame[HEAD_BYTES..];
        let (plain, compressor) = (&job.plain, &mut self.compressor);
        let packed = self.timer.measure(Stage::Compress, || compressor.compress_to_buffer(plain, body))?;
        let (codec, body_len) = match packed < plain.len() {
            true => (Codec::Zstd, packed),
            false => {
                body[..plain.len()].copy_from_slice(plain);
                (Codec::Stored, plain.len())
            }
        };
        let head = Head {
            kind: Kind::Data,
            codec,
            seq: job.seq,
            plaintext_len: plain.len() as u32,
            body_len: body_len as u32,
        };
        let (tag, leaf) = self.timer.measure(Stage::Encrypt, || {
            let leaf = Leaf::of(plain, job.offset);
            (self.key.seal(&head, &mut body[..body_len]), leaf)
        });
        body[body_len..body_len + TAG_BYTES].copy_from_slice(&tag?);
        job.frame[..HEAD_BYTES].copy_from_slice(&head.encode());
        self.counters.add_encrypt_data(plain.len() as u64, body_len as u64, FRAME_OVERHEAD);
        Ok((head, leaf))
    }
}

impl Worker for SealWorker {
    type Job = SealJob;
    type Done = SealDone;

    fn run(&mut self, mut job: SealJob) -> SealDone {
        let sealed = self.sealed(&mut job);
        SealDone { plain: job.plain, frame: job.frame, sealed }
    }
}
