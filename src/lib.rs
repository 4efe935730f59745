//! An embeddable, thread-based actor pool: work is bounded, can be refused, is
//! accounted for, and never lost.
//!
//! A [`Troupe`] has a number of actors. Each is one named thread that has a bounded
//! mailbox and runs one work at a time. A work is a closure that
//! returns `Result<(), E>`. [`assign`](Troupe::assign) never blocks: it finds
//! an actor for the work, lets the troupe grow, or hands the work back with the
//! reason. What fails, by error or by panic, goes to one error handler.
//!
//! It is for synchronous services and tools (RPC servers, queue consumers,
//! crawlers, batch jobs), and for the blocking part of async services, that
//! have to hold load within a bound, refuse or push back what exceeds it, know
//! what failed, and stop without losing work.
//!
//! This page is an overview. The [guide] has the decisions that it leaves open:
//! [sizing](guide::sizing), [refusal](guide::refusal),
//! [failure and retry](guide::failure), [stopping](guide::stopping),
//! [waiting for part of the work](guide::waiting), [async](guide::in_async),
//! [more than one process](guide::past_one_process), and
//! [coming from another pool](guide::moving_from).
//!
//! # Hello, troupe
//!
//! ```
//! use troupe_pool::{Config, Failure, Troupe};
//!
//! let troupe = Troupe::builder(Config::fixed(4))
//!     .error_handler(|failure: Failure, context| {
//!         eprintln!("actor {}: {failure}", context.actor_id());
//!     })
//!     .build()?;
//!
//! for path in ["/etc/hostname", "/no/such/file"] {
//!     troupe.assign(move || {
//!         let text = std::fs::read_to_string(path)?;
//!         assert!(text.len() < 1 << 20);
//!         Ok(())
//!     })?;
//! }
//!
//! troupe.shutdown();
//! troupe.join()?;
//! # Ok::<(), troupe_pool::BoxError>(())
//! ```
//!
//! # Assigning, and being refused
//!
//! A troupe holds at most `max * (mailbox_size + 1)` accepted and unfinished
//! works: one that runs and `mailbox_size` that wait, for each actor. Anything
//! beyond that is refused immediately with [`AssignError::Full`]. `Full` is exact:
//! it is returned only if, at some instant during the call, every place was taken.
//! The work is inside the error and has not been run. The caller chooses what to
//! do with it:
//!
//! ```
//! use std::time::Duration;
//! use troupe_pool::{AssignError, Config, Troupe};
//!
//! let troupe = Troupe::new(Config::fixed(2).mailbox_size(8))?;
//! let refused = match troupe.assign(|| Ok(())) {
//!     Ok(()) => None,
//!     Err(AssignError::Full(work)) => Some(work),
//!     Err(error) => return Err(error.into()),
//! };
//! if let Some(work) = refused {
//!     // One of: wait for room,
//!     troupe.assign_wait(work)?;
//!     // or `troupe.assign_timeout(work, Duration::from_millis(50))`,
//!     // or `work.run()`, on this thread,
//!     // or `drop(work)`, and tell whoever asked that we are overloaded.
//! }
//! # troupe.shutdown();
//! # troupe.join()?;
//! # Ok::<(), troupe_pool::BoxError>(())
//! ```
//!
//! A feeder that uses [`assign_wait`](Troupe::assign_wait) is held to the pace
//! of the actors, so memory stays flat however much there is to do. With a
//! [`mailbox_size`](Config::mailbox_size) of 0 nothing waits inside the troupe:
//! a work is handed to an idle actor, or refused.
//!
//! # Fixed and Dynamic
//!
//! [`Config::fixed`] keeps `max` actors. [`Config::dynamic`] keeps between `min`
//! and `max`: a work that finds nobody idle starts an actor before it queues
//! behind another, and an actor above `min` that has had nothing to do for
//! [`idle_timeout`](Config::idle_timeout) retires. Load is packed onto the most
//! recently idle actors, so that the others can time out. If the system refuses
//! a thread, a troupe that has an actor carries on with it and does not ask again
//! for 100 ms; one that has none gives the work back in [`AssignError::Spawn`],
//! and asks again at the next assign.
//!
//! # Failures and panics
//!
//! An `Err` and a panic go to the error handler as a [`Failure`], by value and
//! exactly once, on the actor's thread. The actor survives both, and also
//! panics in the handler, in drops of captures, errors and panic payloads. Without
//! a handler, failures are counted in [`Stats`].
//!
//! No library can catch the following, and each ends the process:
//!
//! - a panic in a program that is built with `panic = "abort"`;
//! - a capture that panics when it is dropped *while* a panic unwinds;
//! - a thread-local variable that panics when it is dropped, which happens when
//!   its actor retires or the troupe ends;
//! - a stack overflow. A panic that prints a backtrace needs a
//!   [`stack_size`](Config::stack_size) of at least 32 KiB. A large error should be
//!   boxed.
//!
//! The error is any `Send + 'static` type, so it can carry what is needed to
//! act on it. [`Context::reassign`] tries again in the place of the failed
//! work, where it cannot be refused for want of room. A retry that has to wait
//! first is sent to the feeder:
//!
//! ```
//! use std::sync::mpsc;
//! use troupe_pool::{Config, Failure, Troupe};
//!
//! struct Failed {
//!     url: String,
//!     attempt: u32,
//! }
//!
//! fn fetch(url: String, attempt: u32) -> Result<(), Failed> {
//!     if attempt < 2 { Err(Failed { url, attempt }) } else { Ok(()) }
//! }
//!
//! let (later, backlog) = mpsc::channel();
//! let troupe = Troupe::builder(Config::fixed(2))
//!     .error_handler(move |failure: Failure<Failed>, _context| {
//!         if let Failure::Error(failed) = failure {
//!             let _ = later.send(failed);
//!         }
//!     })
//!     .build()?;
//!
//! troupe.assign(|| fetch("http://[::1]/".into(), 1))?;
//! let failed = backlog.recv()?; // and here the feeder may wait before
//! troupe.assign_wait(move || fetch(failed.url, failed.attempt + 1))?;
//! # troupe.shutdown();
//! # troupe.join()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Whatever a closure captures is dropped exactly once, whether the work ran,
//! panicked, or was given back and dropped; [`join`](Troupe::join) returns after
//! the drop of all that the troupe ran. So a *lease*, a captured value whose drop
//! without a verdict gives a message back to its broker, covers every way a work
//! can end. (One gap is the compiler's, with or without a troupe: if a closure
//! has computed its `Err(error)` and a capture then panics in its drop, `error`
//! is forgotten, and with it a lease that was moved into it; see
//! [rust-lang/rust#47949](https://github.com/rust-lang/rust/issues/47949). The
//! work counts as panicked.)
//!
//! # Stopping
//!
//! [`shutdown`](Troupe::shutdown) stops accepting; what has been accepted is
//! run. [`shutdown_now`](Troupe::shutdown_now) also takes back what has not
//! started. [`join`](Troupe::join) waits for the end: works, captures, handler
//! and threads. Dropping a troupe is `shutdown` and never waits.
//! [`wait_idle`](Troupe::wait_idle) waits until the troupe is idle, without ending
//! anything. One call covers work that is assigned by other work, and retries. The
//! guide shows how to wait for [part of the work](guide::waiting).
//!
//! Every work for which an assign returned `Ok` is run exactly once, or
//! returned exactly once by `shutdown_now`, whatever races.
//!
//! # What runs in what order
//!
//! With `max` 1, works run in the order of acceptance, a retry first. Otherwise
//! works start in nearly that order: mailboxes are filled one after the other, and
//! all actors drain them in the same order. A work is overtaken by at most about
//! `mailbox_size` others for each actor. No work waits behind a running one while
//! an actor is idle, and none waits for ever.
//!
//! # Choosing something else
//!
//! | for | use |
//! |---|---|
//! | data parallelism, borrowing from the stack | rayon |
//! | async tasks | an async runtime |
//! | typed messages, supervision, actor identities | kameo, ractor, actix |
//! | one thread with one queue, unbounded | a thread and a channel |
//! | more than one process | a broker, and one troupe in each process |
//!
//! # Minimum Rust version
//!
//! 1.85. A higher one is a minor release.

#![warn(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod sync;

mod work;

mod config;
mod error;
mod failure;
mod stats;

mod pool;

mod actor_loop;

mod assign;

mod shutdown;

mod context;
mod handle;

mod actor;
mod builder;
mod troupe;

#[cfg(any(doc, doctest))]
pub mod guide;

pub use crate::actor::{Actor, ActorConfig};
pub use crate::builder::Builder;
pub use crate::config::{Config, Mode};
pub use crate::context::Context;
pub use crate::error::{AcceptError, AssignError, BuildError, JoinError};
pub use crate::failure::{Failure, Panic};
pub use crate::handle::Handle;
pub use crate::stats::{ActorStats, Stats};
pub use crate::troupe::Troupe;
pub use crate::work::{BoxError, Work};

/// Models of the small state machines, with weak memory.
#[cfg(all(test, troupe_loom))]
mod tests {
    mod loom;
}

/// README's example compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
