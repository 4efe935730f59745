//! Whose thread the calling thread is.
//!
//! Each troupe of a process has a number that is never used again, and its actors' threads keep
//! it in a thread-local. A call that would wait for the troupe finds it there, and returns
//! `WouldDeadlock`. Dropping a `Troupe` is `shutdown`, which waits for nobody, so a troupe may be
//! dropped on one of its own threads.
//!
//! Attacked by `shuttle::drop_on_an_actor`, `it::waiting`.

use std::cell::Cell;

use crate::sync::thread_local;

thread_local! {
    /// The number of the troupe that this thread is an actor of. Zero if none.
    static MEMBER_OF: Cell<u64> = const { Cell::new(0) };
}

/// Marks the calling thread as one of the troupe of this number.
pub(crate) fn adopt(troupe: u64) {
    MEMBER_OF.with(|member| member.set(troupe));
}

/// Returns `true` if the calling thread is one of the troupe of this number. Zero is no
/// troupe's number.
pub(crate) fn is_of(troupe: u64) -> bool {
    troupe != 0 && MEMBER_OF.with(Cell::get) == troupe
}
