//! What wakes the thread that streams.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::{
    event::{EventfdFlags, eventfd},
    fd::{AsFd, BorrowedFd, OwnedFd},
};

/// Rung by whoever has taken a frame; one `write(2)` that never waits, and nothing while nobody listens.
#[derive(Debug)]
pub(crate) struct Bell {
    fd: OwnedFd,
    listened_to: AtomicBool,
}

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { fd, listened_to: AtomicBool::new(false) })
    }

    /// Whether readers wait for frames.
    pub(crate) fn listen(&self, is_listened_to: bool) {
        self.listened_to.store(is_listened_to, Ordering::Release);
    }

    /// There is a frame.
    pub(crate) fn ring_for_frame(&self) {
        if self.listened_to.load(Ordering::Acquire) {
            self.ring();
        }
    }

    pub(crate) fn ring(&self) {
        // It fails only where it has been rung four milliards of milliards times.
        let _ = rustix::io::write(&self.fd, &1_u64.to_ne_bytes());
    }

    /// It has been heard.
    pub(crate) fn hush(&self) {
        let _ = rustix::io::read(&self.fd, &mut [0; 8]);
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
