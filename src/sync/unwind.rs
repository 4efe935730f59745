//! The only place that catches panics.
//!
//! An actor survives every panic of user code. Works, handlers, and the drops of
//! works, errors and panic payloads all run inside one of these functions.

use std::any::Any;
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A panic that has been contained. Its payload has been dropped. With the feature `tracing`,
/// its origin and its message are kept for an event.
#[must_use]
#[derive(Debug)]
pub struct Contained {
    #[cfg(feature = "tracing")]
    culprit: &'static str,
    #[cfg(feature = "tracing")]
    message: Option<Cow<'static, str>>,
}

impl Contained {
    #[cfg(feature = "tracing")]
    fn new(culprit: &'static str, payload: &(dyn Any + Send)) -> Self {
        Self {
            culprit,
            message: message_of(payload),
        }
    }

    #[cfg(not(feature = "tracing"))]
    fn new(_culprit: &'static str, _payload: &(dyn Any + Send)) -> Self {
        Self {}
    }

    /// Returns the name of the code that has panicked.
    #[cfg(feature = "tracing")]
    pub fn culprit(&self) -> &'static str {
        self.culprit
    }

    /// Returns the message of the panic, if it had one.
    #[cfg(feature = "tracing")]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }
}

/// Runs `code`. If it panics, returns the payload.
///
/// A panic can leave data that `code` borrows half changed. The callers pass values that
/// nobody else sees (a work, an error), or closures whose author let the panic out.
pub fn contain<T>(code: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(code))
}

/// Runs `code`. Returns an error if it panicked. `culprit` names the code in words.
///
/// The payload of that panic is dropped as well. If that panics in turn, its
/// payload is forgotten: somebody built an endless chain, and an actor must
/// not follow it.
pub fn run_contained(culprit: &'static str, code: impl FnOnce()) -> Result<(), Contained> {
    contain(code).map_err(|payload| {
        let contained = Contained::new(culprit, &*payload);
        if let Err(endless) = contain(|| drop(payload)) {
            std::mem::forget(endless);
        }
        contained
    })
}

/// Drops `value`. Returns an error if its drop panicked.
pub fn drop_contained<T>(value: T) -> Result<(), Contained> {
    run_contained("a drop", || drop(value))
}

/// Returns the message of a panic, if its payload is one.
pub fn message_of(payload: &(dyn Any + Send)) -> Option<Cow<'static, str>> {
    if let Some(message) = payload.downcast_ref::<&'static str>() {
        return Some(Cow::Borrowed(*message));
    }
    let message = payload.downcast_ref::<String>()?;
    Some(Cow::Owned(message.clone()))
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
        assert!(drop_contained(Bomb(0)).is_ok());
        assert!(drop_contained(Bomb(1)).is_err());
        assert!(drop_contained(Bomb(2)).is_err());
        assert!(drop_contained(Bomb(9)).is_err());
    }
}
