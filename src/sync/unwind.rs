//! The only place that catches panics.
//!
//! An actor survives every panic of user code. Works, handlers, and the drops of
//! works, errors and panic payloads all run inside one of these two functions.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `code`. If it panics, returns the payload.
///
/// A panic can leave data that `code` borrows half changed. The callers pass values that
/// nobody else sees (a work, an error), or closures whose author let the panic out.
pub fn contain<T>(code: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(code))
}

/// Runs `code`. Returns `false` if it panicked.
///
/// The payload of that panic is dropped as well. If that panics in turn, its
/// payload is forgotten: somebody built an endless chain, and an actor must
/// not follow it.
pub fn run_contained(code: impl FnOnce()) -> bool {
    match contain(code) {
        Ok(()) => true,
        Err(payload) => {
            if let Err(endless) = contain(|| drop(payload)) {
                std::mem::forget(endless);
            }
            false
        }
    }
}

/// Drops `value`. Returns `false` if its drop panicked.
pub fn drop_contained<T>(value: T) -> bool {
    run_contained(|| drop(value))
}

#[cfg(test)]
mod tests {
    use super::{contain, drop_contained};

    /// Panics when dropped, unless `depth` is zero, with a payload of one less.
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
