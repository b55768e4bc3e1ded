//! Calls of what a user wrote, which may panic.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs it. `None`: it panicked. What it panicked with ends here, and may panic at its end as well.
pub(crate) fn isolated<T>(run: impl FnOnce() -> T) -> Option<T> {
    let payload = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(done) => return Some(done),
        Err(payload) => payload,
    };
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // There is no end to this: what came of that is left alone.
        std::mem::forget(another);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bomb(u32);

    impl Drop for Bomb {
        fn drop(&mut self) {
            if let Some(left) = self.0.checked_sub(1) {
                std::panic::panic_any(Bomb(left));
            }
        }
    }

    #[test]
    fn what_a_panic_leaves_may_panic_again_and_again() {
        for bombs in 0..4 {
            assert_eq!(
                isolated(|| if bombs > 0 {
                    std::panic::panic_any(Bomb(bombs))
                }),
                (bombs == 0).then_some(())
            );
        }
    }
}
