//! An embeddable, thread-based actor pool with bounded mailboxes.
//!
//! A [`Troupe`] has a number of actors. Each actor is one named thread with a
//! bounded mailbox, and runs one piece of work at a time. Work is a closure that
//! returns `Result<(), E>`. [`assign`](Troupe::assign) never blocks. It gives the
//! work to an actor, starts another actor for it, or returns the work to the
//! caller with the reason. Errors and panics go to one error handler, or to the
//! caller that waits for the result.
//!
//! Troupe is made for synchronous services and tools, such as RPC servers, queue
//! consumers, crawlers and batch jobs, and for the blocking part of async
//! services. It bounds the load, gives back work that exceeds the bound, reports
//! every failure, and stops without losing accepted work.
//!
//! This page is an overview. The [guide] covers the decisions that it leaves open:
//!
//! - [Sizing](guide::sizing)
//! - [Refusal and back-pressure](guide::refusal)
//! - [Getting results](guide::results)
//! - [Failure and retry](guide::failure)
//! - [Stop at the first failure](guide::first_failure)
//! - [Stopping without losing work](guide::stopping)
//! - [Waiting for some of the work](guide::waiting)
//! - [Order per key](guide::keys)
//! - [State per actor](guide::state)
//! - [Measuring](guide::measuring)
//! - [Inside async](guide::in_async)
//! - [Past one process](guide::past_one_process)
//! - [Moving from another pool](guide::moving_from)
//!
//! # A first example
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
//! # Assigning work
//!
//! A troupe holds at most `max * (mailbox_size + 1)` pieces of accepted,
//! unfinished work. Each actor runs one, and its mailbox holds up to
//! `mailbox_size` others. (Work that waits for its
//! [key](#replies-keys-deadlines-and-labels) stands in a line, which has a separate
//! bound.) Anything beyond that is refused immediately with
//! [`AssignError::Full`]. `Full` is exact: it is returned only if, at some instant
//! during the call, every place was taken. The error contains the work, which has
//! not been run. The caller decides what to do with it:
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
//!     // Wait for room,
//!     troupe.assign_wait(work)?;
//!     // or wait for a limited time: `troupe.assign_timeout(work, Duration::from_millis(50))`,
//!     // or run the work on this thread: `work.run()`,
//!     // or drop it, and tell the client that the service is overloaded.
//! }
//! # troupe.shutdown();
//! # troupe.join()?;
//! # Ok::<(), troupe_pool::BoxError>(())
//! ```
//!
//! [`assign_wait`](Troupe::assign_wait) holds the thread that feeds the troupe to
//! the pace of the actors, so memory stays flat however much there is to do. With a
//! [`mailbox_size`](Config::mailbox_size) of 0 no work waits inside the troupe: it
//! is handed to an idle or a new actor, or refused.
//!
//! # Replies, keys, deadlines and labels
//!
//! - [`Work::with_reply`] returns work and a [`Reply`], which receives the value. A
//!   thread waits for it, or a task awaits it. It resolves on every path, and says
//!   why there is no value. Its caller can [cancel](Reply::cancel) work that has not
//!   started. See [Getting results](guide::results).
//! - [`Work::with`] keeps a value apart from the closure, so that it can be taken back
//!   from refused work.
//! - [`Work::keyed`] gives work a key. Work of one key runs in the order of acceptance
//!   and one piece at a time, on any actor. It holds up no other work. See
//!   [Order per key](guide::keys).
//! - [`Work::deadline`] sets a time from which the work is not started any more. It
//!   expires instead.
//! - [`Work::label`] gives work a name, for the error handler and for logs.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use troupe_pool::{Config, Troupe, Work};
//!
//! let troupe = Troupe::new(Config::fixed(4))?;
//! let (work, reply) = Work::with_reply(|| Ok("7".parse::<u32>()?));
//! let soon = Instant::now() + Duration::from_secs(60);
//! troupe.assign(work.keyed("customer 7").deadline(soon).label("parse"))?;
//! assert_eq!(reply.wait()?, 7);
//! # troupe.shutdown();
//! # troupe.join()?;
//! # Ok::<(), troupe_pool::BoxError>(())
//! ```
//!
//! # Fixed and Dynamic
//!
//! [`Config::fixed`] keeps exactly `max` actors. [`Config::dynamic`] keeps between
//! `min` and `max` actors:
//!
//! - If no actor is idle, an assign starts another one before it queues anything.
//! - An actor above `min` that has been idle for
//!   [`idle_timeout`](Config::idle_timeout) retires.
//! - Work goes to the most recently idle actor, so the others can time out.
//!
//! The system may refuse to start a thread. A troupe that has an actor then carries
//! on with what it has, and does not ask again for 100 ms. A troupe without an
//! actor returns the work in [`AssignError::Spawn`], and asks again at the next
//! assign.
//!
//! [`Builder::on_start`] and [`Builder::on_stop`] set what the thread of each actor
//! runs first and last. See [State per actor](guide::state).
//!
//! # Failures and panics
//!
//! If work returns an error, panics, or expires, the error handler receives a
//! [`Failure`], by value and exactly once, on the actor's thread. If a caller waits
//! for a [`Reply`], the caller receives it instead. The actor survives. It also
//! survives panics of the handler, and panics in the drops of captures, errors and
//! panic payloads. Without a handler, failures are only counted in [`Stats`].
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
//! The error type can be any `Send + 'static` type, so an error can carry what the
//! handler needs. [`Context::reassign`] retries immediately. The retry takes the
//! place of the failed work, so it is never refused with `Full`. A retry that has
//! to wait first belongs to the thread that feeds the troupe:
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
//! let failed = backlog.recv()?;
//! // This thread may wait here without keeping an actor from its work.
//! troupe.assign_wait(move || fetch(failed.url, failed.attempt + 1))?;
//! # troupe.shutdown();
//! # troupe.join()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Everything that a closure captures is dropped exactly once, whether the work
//! ran, panicked, or was given back and dropped. [`join`](Troupe::join) returns only
//! after the captures of all work that the troupe has run have been dropped. So a
//! captured *lease*, whose drop returns a message to its broker unless the work has
//! settled it, covers every way in which work can end.
//!
//! There is one exception, which a bug of the compiler causes even without a
//! troupe. If a closure has computed `Err(error)` and a capture then panics in its
//! drop, `error` is leaked, with any lease that was moved into it. The work counts
//! as panicked. See
//! [rust-lang/rust#47949](https://github.com/rust-lang/rust/issues/47949).
//!
//! # Stopping
//!
//! - [`shutdown`](Troupe::shutdown) stops accepting work. Everything accepted
//!   before is still run.
//! - [`shutdown_now`](Troupe::shutdown_now) also takes back work that has not
//!   started, and returns it.
//! - [`join`](Troupe::join) waits until all work has finished, its captures and the
//!   handler have been dropped, and the threads are gone.
//! - Dropping a troupe is `shutdown`. It does not wait.
//! - [`wait_idle`](Troupe::wait_idle) waits until the troupe is idle, and ends
//!   nothing. One call covers work that is assigned by other work, and retries. The
//!   guide shows how to wait for [part of the work](guide::waiting).
//!
//! Work for which an assign returned `Ok` is run exactly once, or returned exactly
//! once by `shutdown_now`. If you have given it a deadline or cancelled it, it may
//! expire or be cancelled instead, exactly once. This holds no matter what the calls
//! race with.
//!
//! # Order
//!
//! With a `max` of 1, work runs in the order of acceptance, except that a retry
//! runs first. Otherwise work starts in nearly that order: mailboxes are filled one
//! after the other, and all actors drain them in the same order. A piece of work is
//! overtaken by at most about `mailbox_size` others for each actor. No work waits
//! behind running work while an actor is idle, and none waits for ever. Work
//! with a [key](Work::keyed) also waits for the earlier work of its key.
//!
//! # When to use something else
//!
//! | for | use |
//! |---|---|
//! | data parallelism, closures that borrow from the stack | rayon |
//! | async tasks | an async runtime |
//! | typed messages, supervision, actors with identities | kameo, ractor, actix |
//! | one thread with an unbounded queue | a thread and a channel |
//! | more than one process | a message broker, and one troupe in each process |
//!
//! # Features
//!
//! Both are off by default.
//!
//! - `serde`: [`Config`] and [`Mode`] can be read and written, for example
//!   [as TOML](Config#in-files-and-environment-variables), and [`Stats`] can be written.
//! - `tracing`: the troupe emits events, and work can carry the current span along
//!   (`Work::in_current_span`). Other work that succeeds causes no event and no span.
//!
//! The events have the target `troupe_pool`. Their field `troupe` is the
//! [`thread_name`](Config::thread_name).
//!
//! | level | event | other fields |
//! |---|---|---|
//! | debug | an actor starts, or leaves | `actor` |
//! | debug | the troupe is shutting down, or has ended | |
//! | warn | the system refused a thread | `actor`, `error` |
//! | warn | a panic was contained: of the error handler, a hook, a waker, a drop or the subscriber | `actor`, if it is known |
//! | warn | work panicked, and there is neither an error handler nor a caller | `actor`, `label` |
//!
//! The message of a panic is part of the message of its event. A subscriber may use the
//! troupe, as a hook may. Its panics are contained, and counted in
//! [`handler_panics`](Stats::handler_panics).
//!
//! # Minimum Rust version
//!
//! 1.85. Raising it is a minor release.

#![cfg_attr(docsrs, feature(doc_cfg))]
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

mod events;
mod member;
mod panic;
mod work;

mod options;
mod reply;

#[cfg(feature = "serde")]
mod serde;

mod config;
mod error;
mod failure;
mod stats;

#[expect(
    unreachable_pub,
    reason = "what is `pub` in a private module is for the crate"
)]
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
pub use crate::failure::Failure;
pub use crate::handle::Handle;
pub use crate::panic::Panic;
pub use crate::reply::{CancelToken, Reply, ReplyError};
pub use crate::stats::{ActorStats, Stats};
pub use crate::troupe::Troupe;
pub use crate::work::{BoxError, Work};

/// Models under the model checkers, each of which has a cfg.
#[cfg(test)]
mod tests {
    #[cfg(troupe_loom)]
    mod loom;

    #[cfg(troupe_shuttle)]
    mod fuzz;
    #[cfg(troupe_shuttle)]
    mod random;
    #[cfg(troupe_shuttle)]
    mod schedule;
    #[cfg(troupe_shuttle)]
    mod shuttle;
}

/// Compiles and runs the examples of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
