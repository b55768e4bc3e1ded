//! One frame at a time: verified and decrypted, decompressed, hashed.

use std::{mem, sync::Arc};

use zstd::bulk::Decompressor;

use crate::{
    counters::TelemetryCounters,
    digest::Leaf,
    error::Error,
    frame::{Codec, FRAME_OVERHEAD, Head, TAG_BYTES},
    pool::Worker,
    suite::FileKey,
    timers::{Stage, TelemetryTimer},
};

pub(crate) struct OpenWorker {
    key: Arc<FileKey>,
    decompressor: Decompressor<'static>,
    pub(crate) counters: TelemetryCounters,
    pub(crate) timer: TelemetryTimer,
}

/// A data frame as it was read, and a buffer for its plaintext.
pub(crate) struct OpenJob {
    pub(crate) head: Head,
    /// Where the frame begins in the file.
    pub(crate) at: u64,
    /// Of the plaintext in the stream.
    pub(crate) offset: u64,
    /// Body and tag.
    pub(crate) body: Vec<u8>,
    pub(crate) plain: Vec<u8>,
}

pub(crate) struct OpenDone {
    pub(crate) body: Vec<u8>,
    /// Plaintext, if the frame is authentic; else nothing.
    pub(crate) plain: Vec<u8>,
    pub(crate) opened: Result<Leaf, Error>,
}

impl OpenWorker {
    pub(crate) fn new(key: Arc<FileKey>) -> Result<Self, Error> {
        Ok(Self {
            key,
            decompressor: Decompressor::new()?,
            counters: TelemetryCounters::new(),
            timer: TelemetryTimer::new(),
        })
    }

    fn opened(&mut self, job: &mut OpenJob) -> Result<Leaf, Error> {
        let head = job.head;
        self.body(&head, job.at, &mut job.body, &mut job.plain)?;
        let leaf = self.timer.measure(Stage::Decrypt, || Leaf::of(&job.plain, job.offset));
        self.counters.add_decrypt_data(job.plain.len() as u64, u64::from(head.body_len), FRAME_OVERHEAD);
        Ok(leaf)
    }

    /// Verifies and decrypts a body, and makes what it holds: exactly as long as the head says, or nothing.
    pub(crate) fn body(
        &mut self,
        head: &Head,
        at: u64,
        body: &mut Vec<u8>,
        plain: &mut Vec<u8>,
    ) -> Result<(), Error> {
        plain.clear();
        let (key, timer) = (&self.key, &mut self.timer);
        let is_authentic = timer.measure(Stage::Decrypt, || key.open(head, body).is_some());
        if !is_authentic {
            let frame = u64::from(head.seq);
            return Err(Error::Corrupt { frame, offset: at, what: "its tag does not verify" });
        }
        body.truncate(body.len() - TAG_BYTES);
        if head.codec == Codec::Stored {
            mem::swap(plain, body);
            return Ok(());
        }
        // One call over all of the output: zstd takes no window, whatever the frame asks for. It writes no more than there is room, which is not
        // cleared before.
        let len = head.plaintext_len as usize;
        plain.reserve_exact(len);
        let decompressor = &mut self.decompressor;
        let got = timer.measure(Stage::Decompress, || decompressor.decompress_to_buffer(body, plain));
        match got {
            Ok(got) if got == len => Ok(()),
            _ => {
                plain.clear();
                Err(Error::Inconsistent("a frame does not decompress to the length that it has"))
            }
        }
    }
}

impl Worker for OpenWorker {
    type Job = OpenJob;
    type Done = OpenDone;

    fn run(&mut self, mut job: OpenJob) -> OpenDone {
        let opened = self.opened(&mut job);
        OpenDone { body: job.body, plain: job.plain, opened }
    }
}
