//! No-op works with options, from one producer.

use troupe_pool::{Troupe, Work};

use crate::support;

/// Counts one work when it is dropped: a work that expires is dropped, and never run.
struct Counts(usize);

impl Drop for Counts {
    fn drop(&mut self) {
        support::no_op(self.0);
    }
}

/// Assigns this many works and returns the nanoseconds per work. `load` gives a work its options,
/// and knows its number.
pub(crate) fn nanos_each(
    troupe: &Troupe,
    works: usize,
    load: impl Fn(Work, usize) -> Work + Sync,
) -> f64 {
    let took = support::round(1, works, |count| {
        for number in 0..count {
            let counts = Counts(number);
            let work = Work::new(move || {
                drop(counts);
                Ok(())
            });
            support::persist(troupe, load(work, number));
        }
    });
    took.as_secs_f64() * 1e9 / works as f64
}
