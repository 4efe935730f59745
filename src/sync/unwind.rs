//! Where a panic stops: the only place that catches one.
//!
//! An actor survives whatever user code does: works, handlers, and the drops
//! of works, errors and panic payloads all run behind one of these two
//! functions.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `code`; a panic comes back as its payload.
///
/// Data that `code` borrows may be seen in the middle of a change afterwards. The
/// callers hand in values that nobody else sees (a work, an error) or closures
/// whose author chose to let a panic out.
pub fn contain<T>(code: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(code))
}

/// Drops `value`; false if its drop panicked.
///
/// The payload of that panic is dropped as well. If that panics in turn, its
/// payload is forgotten: somebody built an endless chain, and an actor must
/// not follow it.
pub fn drop_contained<T>(value: T) -> bool {
    match contain(|| drop(value)) {
        Ok(()) => true,
        Err(payload) => {
            if let Err(endless) = contain(|| drop(payload)) {
                std::mem::forget(endless);
            }
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{contain, drop_contained};

    /// Panics when dropped, with another of its kind `depth` deep.
    struct Bomb(usize);

    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                let depth = self.0;
                if depth > 0 {
                    std::panic::resume_unwind(Box::new(Bomb(depth - 1)));
                }
            }
        }
    }

    #[test]
    fn a_panic_comes_back_as_its_payload() {
        let payload = contain(|| std::panic::resume_unwind(Box::new(7_u8))).unwrap_err();
        assert_eq!(*payload.downcast::<u8>().unwrap(), 7);
    }

    #[test]
    fn drops_that_panic_are_contained_however_deep() {
        assert!(drop_contained(Bomb(0)));
        assert!(!drop_contained(Bomb(1)));
        assert!(!drop_contained(Bomb(2)));
        assert!(!drop_contained(Bomb(9)));
    }
}
