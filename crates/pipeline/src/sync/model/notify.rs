//! tokio's `Notify`, by its documentation: `notify_one` wakes the one that waits longest or leaves a permit (one at the
//! most), `notify_waiters` wakes all whose future exists and leaves none, and a waiter that goes away hands on what
//! `notify_one` gave it.

use std::{
    collections::BTreeMap,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use super::{Mutex, MutexGuard};

#[derive(Debug, Default)]
pub struct Notify {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    permit: bool,
    /// Calls of `notify_waiters`.
    all: u64,
    next: u64,
    /// In the order of arrival.
    waiting: BTreeMap<u64, Waiter>,
}

#[derive(Debug)]
struct Waiter {
    waker: Option<Waker>,
    /// By `notify_one`.
    notified: bool,
}

/// Waits to be notified.
#[derive(Debug)]
pub(crate) struct Notified<'a> {
    notify: &'a Notify,
    /// `notify_waiters` calls when it was made.
    all: u64,
    /// Its place in line, once it has been polled or enabled.
    place: Option<u64>,
    done: bool,
}

impl Notify {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn notify_one(&self) {
        let waker = self.state().notify_one();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn notify_waiters(&self) {
        let mut state = self.state();
        state.all += 1;
        let wakers: Vec<Waker> =
            state.waiting.values_mut().filter_map(|waiter| waiter.waker.take()).collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn notified(&self) -> Notified<'_> {
        Notified { notify: self, all: self.state().all, place: None, done: false }
    }
}

impl State {
    fn notify_one(&mut self) -> Option<Waker> {
        match self.waiting.values_mut().find(|waiter| !waiter.notified) {
            Some(waiter) => {
                waiter.notified = true;
                waiter.waker.take()
            }
            None => {
                self.permit = true;
                None
            }
        }
    }
}

impl Notified<'_> {
    pub(crate) fn enable(self: Pin<&mut Self>) -> bool {
        self.get_mut().poll_notified(None).is_ready()
    }

    fn poll_notified(&mut self, waker: Option<&Waker>) -> Poll<()> {
        if self.done {
            return Poll::Ready(());
        }
        let mut state = self.notify.state();
        let notified = self.place.is_some_and(|place| state.waiting[&place].notified);
        if notified || state.all != self.all || (self.place.is_none() && state.permit) {
            if !notified && state.all == self.all {
                state.permit = false;
            }
            if let Some(place) = self.place.take() {
                state.waiting.remove(&place);
            }
            self.done = true;
            return Poll::Ready(());
        }
        let place = *self.place.get_or_insert_with(|| {
            state.next += 1;
            state.next
        });
        let waiter = state.waiting.entry(place).or_insert(Waiter { waker: None, notified: false });
        if let Some(waker) = waker {
            waiter.waker = Some(waker.clone());
        }
        Poll::Pending
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.get_mut().poll_notified(Some(cx.waker()))
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        let Some(place) = self.place.take() else { return };
        let mut state = self.notify.state();
        let notified = state.waiting.remove(&place).is_some_and(|waiter| waiter.notified);
        let waker = if notified { state.notify_one() } else { None };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
