//! What belongs to one process and is not inherited by the children it forks.
//!
//! In a child only the thread that forked exists. What other threads had locked stays locked forever, what was buffered is the
//! parent's to deliver, and threads are gone. So a child touches none of it: it makes everything anew when first used.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

use once_cell::race::OnceBox;

/// A value of which every process has its own: a forked child makes one when it first asks for it, and neither touches nor drops that of
/// its parent. For storages that are to work in children: what a lock protects, a connection, an open file.
///
/// ```
/// use std::sync::Mutex;
/// use aldis_collect::PerProcess;
///
/// let connection = PerProcess::new(Mutex::new("opened by the parent"));
/// // In a child this would be "opened by the child", whatever the parent's threads did with the lock when it was forked.
/// let opened = connection.get(|_| Mutex::new("opened by the child"));
/// assert_eq!(*opened.lock().unwrap(), "opened by the parent");
/// ```
pub struct PerProcess<T> {
    guard: forkguard::Guard,
    value: Arc<T>,
    /// The child that this process turned out to be.
    child: Child<T>,
}

/// The place of a child's value. Nobody waits for whoever fills it: that may be a thread of a child which is not there in its own child.
type Child<T> = OnceBox<InChild<T>>;

/// It is there before the value is: a grandchild may be forked while another thread of the child makes that, which nobody then ends.
struct InChild<T> {
    guard: forkguard::Guard,
    value: OnceLock<Arc<T>>,
    child: Child<T>,
}

impl<T> PerProcess<T> {
    /// A value of this process.
    pub fn new(value: T) -> Self {
        Self { guard: forkguard::new(), value: Arc::new(value), child: Child::new() }
    }

    /// The value of this process. A child's is made of its parent's, which `make` must not wait for, when it is first asked for; of one
    /// before that, where the parent had not yet made its own.
    ///
    /// Where nobody forked it costs a relaxed load and a comparison.
    #[inline]
    pub fn get(&self, make: impl FnOnce(&T) -> T) -> &Arc<T> {
        if self.is_own() { &self.value } else { self.of_child(make) }
    }

    /// The value of this process if there is one.
    pub fn existing(&self) -> Option<&Arc<T>> {
        if self.is_own() {
            return Some(&self.value);
        }
        let mut child = self.child.get()?;
        while !is_own(&child.guard) {
            child = child.child.get()?;
        }
        child.value.get()
    }

    #[inline]
    fn is_own(&self) -> bool {
        is_own(&self.guard)
    }

    #[cold]
    fn of_child(&self, make: impl FnOnce(&T) -> T) -> &Arc<T> {
        let (mut parent, mut place) = (&self.value, &self.child);
        loop {
            let child = place.get_or_init(|| {
                Box::new(InChild { guard: forkguard::new(), value: OnceLock::new(), child: Child::new() })
            });
            if is_own(&child.guard) {
                return child.value.get_or_init(|| Arc::new(make(parent)));
            }
            // The child of a child: pass by what its parents made.
            (parent, place) = (child.value.get().unwrap_or(parent), &child.child);
        }
    }
}

#[inline]
fn is_own(guard: &forkguard::Guard) -> bool {
    !guard.clone().detected_fork()
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        if !self.is_own() {
            std::mem::forget(self.value.clone());
        }
    }
}

impl<T> Drop for InChild<T> {
    fn drop(&mut self) {
        if !is_own(&self.guard) {
            std::mem::forget(self.value.get().cloned());
        }
    }
}

/// A value that a child takes over from its parent, whatever the parent's threads were doing with it when the child was forked.
pub(crate) struct Inherited<T>(PerProcess<Replicas<T>>);

/// The value, and for children two copies, which only those who hold the lock of the value lock, one after the other: one of the copies is
/// not being changed, ever.
struct Replicas<T> {
    value: Mutex<T>,
    copies: [Mutex<T>; 2],
}

impl<T: Clone> Replicas<T> {
    fn new(value: T) -> Self {
        Self { copies: [value.clone(), value.clone()].map(Mutex::new), value: Mutex::new(value) }
    }
}

impl<T: Clone + Default> Inherited<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(PerProcess::new(Replicas::new(value)))
    }

    pub(crate) fn get(&self) -> T {
        lock(&self.replicas().value).clone()
    }

    /// Changes it, and the copies in the same way: says what came of the first.
    pub(crate) fn change<R>(&self, change: impl Fn(&mut T) -> R) -> R {
        let replicas = self.replicas();
        let mut value = lock(&replicas.value);
        let changed = change(&mut value);
        for copy in &replicas.copies {
            change(&mut lock(copy));
        }
        drop(value);
        changed
    }

    fn replicas(&self) -> &Replicas<T> {
        self.0.get(|parent| {
            let unlocked = |copy: &Mutex<T>| match copy.try_lock() {
                Ok(value) => Some(value.clone()),
                Err(TryLockError::Poisoned(value)) => Some(value.into_inner().clone()),
                Err(TryLockError::WouldBlock) => None,
            };
            Replicas::new(parent.copies.iter().find_map(unlocked).unwrap_or_default())
        })
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
