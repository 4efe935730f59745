//! An embeddable, thread-based actor pool: bounded, refusable, accountable.

#![warn(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::print_stdout,
    clippy::print_stderr
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod sync;

mod atomics;
mod unwind;
mod work;

mod config;
mod error;
mod failure;
mod stats;

mod gate;
mod hints;
mod mailbox;
mod round;
mod slot;
mod state;

mod board;
mod waiters;

mod stage;

mod actor_loop;
mod ending;

mod assign;
mod growth;

mod context;
mod handle;

mod actor;
mod builder;
mod troupe;

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

/// README's example compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
