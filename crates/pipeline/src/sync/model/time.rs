//! tokio's timers, in a world where time stands still: what is due now or was due before is due, anything later never.
//!
//! A model of a deadline that passes gives one that has passed to a thread of its own: loom lets it begin at any moment.

use std::{
    future::{pending, poll_fn},
    pin::pin,
    sync::OnceLock,
    task::Poll,
    time::Duration,
};

pub(crate) use tokio::time::Instant;

/// The time was over.
#[derive(Debug)]
pub(crate) struct Elapsed;

pub(crate) fn now() -> Instant {
    static NOW: OnceLock<Instant> = OnceLock::new();
    *NOW.get_or_init(Instant::now)
}

pub(crate) async fn sleep_until(deadline: Instant) {
    if deadline > now() {
        pending::<()>().await;
    }
}

pub(crate) async fn timeout<T>(limit: Duration, future: impl Future<Output = T>) -> Result<T, Elapsed> {
    timeout_at(now() + limit, future).await
}

pub(crate) async fn timeout_at<T>(deadline: Instant, future: impl Future<Output = T>) -> Result<T, Elapsed> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Ok(value)),
        Poll::Pending if deadline <= now() => Poll::Ready(Err(Elapsed)),
        Poll::Pending => Poll::Pending,
    })
    .await
}
