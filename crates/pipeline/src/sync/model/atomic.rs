//! loom's atomics, with every access in an order to be tried.
//!
//! Of the loads of an atomic loom remembers the last one only when it looks for orders worth trying: a load hidden by
//! another thread's load, or by that thread's own before its exchange, is never moved behind the write. So each access
//! here first adds nothing to a second atomic, which no two accesses do without an order; being relaxed, it tells
//! neither of them what the other has seen.

use std::fmt;

use loom::sync::atomic;
pub(crate) use loom::sync::atomic::Ordering;

/// Where the accesses of one atomic line up.
#[derive(Default)]
struct Line(atomic::AtomicUsize);

impl Line {
    fn up(&self) {
        self.0.fetch_add(0, Ordering::Relaxed);
    }
}

macro_rules! atomics {
    ($($name:ident of $value:ty;)*) => {$(
        #[derive(Default)]
        pub(crate) struct $name {
            value: atomic::$name,
            line: Line,
        }

        #[allow(dead_code, reason = "not every width is used in every way")]
        impl $name {
            pub(crate) fn new(value: $value) -> Self {
                Self { value: atomic::$name::new(value), line: Line::default() }
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                self.line.up();
                self.value.load(order)
            }

            pub(crate) fn store(&self, value: $value, order: Ordering) {
                self.line.up();
                self.value.store(value, order);
            }

            pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                self.line.up();
                self.value.swap(value, order)
            }

            pub(crate) fn fetch_or(&self, value: $value, order: Ordering) -> $value {
                self.line.up();
                self.value.fetch_or(value, order)
            }

            pub(crate) fn compare_exchange_weak(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.line.up();
                self.value.compare_exchange_weak(current, new, success, failure)
            }

            pub(crate) fn fetch_update(
                &self,
                success: Ordering,
                failure: Ordering,
                mut update: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                let mut value = self.load(failure);
                while let Some(new) = update(value) {
                    match self.compare_exchange_weak(value, new, success, failure) {
                        Ok(before) => return Ok(before),
                        Err(now) => value = now,
                    }
                }
                Err(value)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}

macro_rules! sums {
    ($($name:ident of $value:ty;)*) => {$(
        #[allow(dead_code, reason = "not every width is used in every way")]
        impl $name {
            pub(crate) fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                self.line.up();
                self.value.fetch_add(value, order)
            }

            pub(crate) fn fetch_max(&self, value: $value, order: Ordering) -> $value {
                self.line.up();
                self.value.fetch_max(value, order)
            }

            pub(crate) fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                self.line.up();
                self.value.fetch_sub(value, order)
            }
        }
    )*};
}

atomics! {
    AtomicBool of bool;
    AtomicI64 of i64;
    AtomicU64 of u64;
    AtomicUsize of usize;
}

sums! {
    AtomicI64 of i64;
    AtomicU64 of u64;
    AtomicUsize of usize;
}
