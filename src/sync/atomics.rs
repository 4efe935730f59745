//! Every memory ordering of the crate.
//!
//! The core needs three kinds of shared number, and each has one rule:
//!
//! - A [`SeqCstWord`] takes part in a handshake of the form "I write mine, then look at yours".
//!   All its operations are sequentially consistent. The other side of the handshake is another
//!   `SeqCstWord`, or a mailbox: crossbeam moves its tail and head by sequentially consistent
//!   read-modify-writes. On x86-64 a sequentially consistent *load* costs no more than a plain
//!   one.
//! - A [`SingleWriter`] is written by one thread at a time and read by others. The store is a
//!   release and the load an acquire, so a thread that reads the number also sees what its
//!   owner did before.
//! - A [`StripedCounter`] is raised by many threads without contention for a cache line, and
//!   is rarely summed up.

use std::ops::Deref;

use crate::sync::{AtomicU64, Ordering, STRIPES, thread_number};

/// A value that shares no cache line with another. It takes 128 bytes, because some processors
/// fetch lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Padded<T>(pub T);

impl<T> Deref for Padded<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

/// A word that takes part in handshakes between threads.
#[derive(Debug, Default)]
pub struct SeqCstWord(AtomicU64);

impl SeqCstWord {
    pub fn new(value: u64) -> Self {
        Self(AtomicU64::new(value))
    }

    #[inline]
    pub fn load(&self) -> u64 {
        // ORDERING: the second half of every handshake in `pool/README.md`.
        self.0.load(Ordering::SeqCst)
    }

    #[inline]
    pub fn store(&self, value: u64) {
        // ORDERING: the first half of a handshake.
        self.0.store(value, Ordering::SeqCst);
    }

    /// Adds, wrapping around. Returns the previous value.
    #[inline]
    pub fn add(&self, value: u64) -> u64 {
        // ORDERING: as `store` and `load` together.
        self.0.fetch_add(value, Ordering::SeqCst)
    }

    /// Sets bits. Returns the previous value.
    #[inline]
    pub fn set_bits(&self, bits: u64) -> u64 {
        // ORDERING: as `add`.
        self.0.fetch_or(bits, Ordering::SeqCst)
    }

    /// Clears bits. Returns the previous value.
    #[inline]
    pub fn clear_bits(&self, bits: u64) -> u64 {
        // ORDERING: as `add`.
        self.0.fetch_and(!bits, Ordering::SeqCst)
    }

    /// Replaces `from` by `to`. Returns `true` if the value was `from`.
    #[inline]
    pub fn replace(&self, from: u64, to: u64) -> bool {
        // ORDERING: as `add`. A failed exchange is a load.
        self.0
            .compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }
}

/// A number that one thread at a time writes and others read.
#[derive(Debug, Default)]
pub struct SingleWriter(AtomicU64);

impl SingleWriter {
    #[inline]
    pub fn get(&self) -> u64 {
        // ORDERING: pairs with the release in `set`.
        self.0.load(Ordering::Acquire)
    }

    /// Sets the number. Only its owner may.
    #[inline]
    pub fn set(&self, value: u64) {
        // ORDERING: a thread that reads this value sees all that its owner did before.
        self.0.store(value, Ordering::Release);
    }

    /// Raises the number by one. Only its owner may.
    #[inline]
    pub fn raise(&self) {
        // ORDERING: the owner reads its own last write. The owner of a slot's numbers changes
        // under the pool's lock.
        let value = self.0.load(Ordering::Relaxed);
        self.set(value + 1);
    }
}

/// The counts of one stripe.
#[derive(Debug, Default)]
struct Stripe {
    /// The number of the thread that owns this stripe, or zero if none does. It stays when
    /// that thread ends.
    owner: AtomicU64,
    /// Counted by the owner.
    own: Tally,
    /// Counted by all other threads whose numbers fall on this stripe.
    shared: Tally,
}

#[derive(Debug, Default)]
struct Tally {
    accepted: AtomicU64,
    refused: AtomicU64,
}

/// Counts accepted and refused works.
///
/// Most senders count without a shared cache line and without a read-modify-write, since the
/// first thread to use a stripe owns it.
#[derive(Debug, Default)]
pub struct StripedCounter([Padded<Stripe>; STRIPES]);

impl StripedCounter {
    #[inline]
    pub fn accept(&self) {
        self.raise(|tally| &tally.accepted);
    }

    #[inline]
    pub fn refuse(&self) {
        self.raise(|tally| &tally.refused);
    }

    pub fn accepted(&self) -> u64 {
        self.sum(|tally| &tally.accepted)
    }

    pub fn refused(&self) -> u64 {
        self.sum(|tally| &tally.refused)
    }

    #[inline(always)]
    fn raise(&self, counter: impl Fn(&Tally) -> &AtomicU64) {
        let me = thread_number();
        let stripe = &self.0[me as usize % STRIPES];
        // ORDERING: no data is published here or below. A reader sees the increments of its own
        // thread, and those that happened before it looked.
        if stripe.owner.load(Ordering::Relaxed) == u64::from(me) {
            let own = counter(&stripe.own);
            own.store(own.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        } else {
            stripe.claim_or_share(me, counter);
        }
    }

    fn sum(&self, counter: impl Fn(&Tally) -> &AtomicU64) -> u64 {
        self.0
            .iter()
            .flat_map(|stripe| [&stripe.own, &stripe.shared])
            // ORDERING: as in `raise`.
            .map(|tally| counter(tally).load(Ordering::Relaxed))
            .sum()
    }
}

impl Stripe {
    #[cold]
    fn claim_or_share(&self, me: u32, counter: impl Fn(&Tally) -> &AtomicU64) {
        // ORDERING: as in `raise`. Only the owner writes to `own`, and it knows that it is the
        // owner.
        let claimed =
            self.owner
                .compare_exchange(0, u64::from(me), Ordering::Relaxed, Ordering::Relaxed);
        let tally = if claimed.is_ok() {
            &self.own
        } else {
            &self.shared
        };
        counter(tally).fetch_add(1, Ordering::Relaxed);
    }
}
