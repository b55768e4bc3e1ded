//! tokio's watch channel: one value, and who waits for it to change.

use std::{fmt, sync::Arc};

use super::{Mutex, MutexGuard, Notify};

#[derive(Debug)]
struct Shared<T> {
    value: Mutex<T>,
    changed: Notify,
}

pub(crate) struct Sender<T> {
    shared: Arc<Shared<T>>,
}

pub(crate) struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> Sender<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { shared: Arc::new(Shared { value: Mutex::new(value), changed: Notify::new() }) }
    }

    pub(crate) fn subscribe(&self) -> Receiver<T> {
        Receiver { shared: self.shared.clone() }
    }

    pub(crate) fn borrow(&self) -> MutexGuard<'_, T> {
        self.shared.value.lock().unwrap()
    }

    pub(crate) fn send_replace(&self, value: T) -> T {
        let before = std::mem::replace(&mut *self.borrow(), value);
        self.shared.changed.notify_waiters();
        before
    }

    pub(crate) fn send_modify(&self, modify: impl FnOnce(&mut T)) {
        modify(&mut *self.borrow());
        self.shared.changed.notify_waiters();
    }
}

impl<T> Receiver<T> {
    pub(crate) async fn wait_for(&mut self, is_it: impl Fn(&T) -> bool) {
        loop {
            let changed = self.shared.changed.notified();
            if is_it(&*self.shared.value.lock().unwrap()) {
                return;
            }
            changed.await;
        }
    }
}
