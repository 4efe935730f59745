//! The guide: how to use a troupe well.
//!
//! | page | topic |
//! |---|---|
//! | [`sizing`] | the number of actors, the size of the mailboxes, and what follows from them |
//! | [`refusal`] | work that the troupe refuses |
//! | [`failure`] | work that fails |
//! | [`stopping`] | stopping without losing work |
//! | [`waiting`] | waiting for part of the work, while other threads feed the troupe |
//! | [`in_async`] | using a troupe from async code |
//! | [`past_one_process`] | using more than one process |
//! | [`moving_from`] | replacing another pool |
//!
//! All examples are compiled and run by `cargo test`. The pages are Markdown files in
//! `src/guide`. These modules exist only in the documentation, so no program can name
//! them.
//!
//! The reference documentation says what each call promises. It begins at
//! [`Troupe`](crate::Troupe).

pub mod sizing {
    //! The number of actors and the size of their mailboxes: what they bound and cost.
    //!
    #![doc = include_str!("guide/sizing.md")]
    //!
    //! See also: [`max`](crate::Config::max),
    //! [`mailbox_size`](crate::Config::mailbox_size), [`min`](crate::Config::min),
    //! [`initial`](crate::Config::initial), [`stack_size`](crate::Config::stack_size),
    //! [`Config::default`](crate::Config::default),
    //! [`shutdown`](crate::Troupe::shutdown), [`Actor`](crate::Actor),
    //! [`Stats`](crate::Stats), [`Stats::capacity`](crate::Stats::capacity),
    //! [Refusal and back-pressure](crate::guide::refusal).
}

pub mod refusal {
    //! Refused work: shed it, wait, run it yourself, or push back.
    //!
    #![doc = include_str!("guide/refusal.md")]
    //!
    //! See also: [`assign`](crate::Troupe::assign),
    //! [`assign_timeout`](crate::Troupe::assign_timeout),
    //! [`assign_wait`](crate::Troupe::assign_wait), [`Work::run`](crate::Work::run),
    //! [`Full`](crate::AssignError::Full),
    //! [`ShuttingDown`](crate::AssignError::ShuttingDown),
    //! [`WouldDeadlock`](crate::AssignError::WouldDeadlock),
    //! [`shutdown_now`](crate::Troupe::shutdown_now),
    //! [Stopping without losing work](crate::guide::stopping),
    //! [Failure and retry](crate::guide::failure).
}

pub mod failure {
    //! Failed work: retries, and errors that carry context.
    //!
    #![doc = include_str!("guide/failure.md")]
    //!
    //! See also: [`shutdown`](crate::Troupe::shutdown),
    //! [`shutdown_now`](crate::Troupe::shutdown_now),
    //! [`ShuttingDown`](crate::AssignError::ShuttingDown), [`Failure`](crate::Failure),
    //! [`Panic`](crate::Panic), [`Context::reassign`](crate::Context::reassign),
    //! [`Stats`](crate::Stats).
}

pub mod stopping {
    //! Shutting down: drain for a limited time, and give back the rest.
    //!
    #![doc = include_str!("guide/stopping.md")]
    //!
    //! See also: [`Troupe`](crate::Troupe), [`shutdown`](crate::Troupe::shutdown),
    //! [`shutdown_now`](crate::Troupe::shutdown_now), [`join`](crate::Troupe::join),
    //! [`join_timeout`](crate::Troupe::join_timeout),
    //! [`wait_idle`](crate::Troupe::wait_idle), [`Handle`](crate::Handle),
    //! [`Handle::is_shutdown`](crate::Handle::is_shutdown),
    //! [`ShuttingDown`](crate::AssignError::ShuttingDown),
    //! [Sizing](crate::guide::sizing),
    //! [Waiting for some of the work](crate::guide::waiting).
}

pub mod waiting {
    //! Waiting for all of the work, or for part of it.
    //!
    #![doc = include_str!("guide/waiting.md")]
    //!
    //! See also: [`wait_idle`](crate::Troupe::wait_idle),
    //! [`wait_idle_timeout`](crate::Troupe::wait_idle_timeout),
    //! [`Handle`](crate::Handle), [`assign_wait`](crate::Troupe::assign_wait),
    //! [`shutdown_now`](crate::Troupe::shutdown_now),
    //! [`mailbox_size`](crate::Config::mailbox_size),
    //! [`WouldDeadlock`](crate::JoinError::WouldDeadlock),
    //! [Refusal and back-pressure](crate::guide::refusal),
    //! [Failure and retry](crate::guide::failure).
}

pub mod in_async {
    //! Bounded blocking calls from async code.
    //!
    #![doc = include_str!("guide/in_async.md")]
    //!
    //! See also: [`Troupe`](crate::Troupe), [`assign`](crate::Troupe::assign),
    //! [`assign_timeout`](crate::Troupe::assign_timeout),
    //! [`assign_wait`](crate::Troupe::assign_wait),
    //! [`shutdown`](crate::Troupe::shutdown),
    //! [`shutdown_now`](crate::Troupe::shutdown_now), [`join`](crate::Troupe::join),
    //! [`wait_idle`](crate::Troupe::wait_idle), [`stats`](crate::Troupe::stats),
    //! [`Work::run`](crate::Work::run), [`Full`](crate::AssignError::Full),
    //! [`mailbox_size`](crate::Config::mailbox_size),
    //! [Failure and retry](crate::guide::failure).
}

pub mod past_one_process {
    //! A message broker, and one troupe in each process.
    //!
    #![doc = include_str!("guide/past_one_process.md")]
    //!
    //! See also: [`shutdown`](crate::Troupe::shutdown),
    //! [`shutdown_now`](crate::Troupe::shutdown_now), [`join`](crate::Troupe::join),
    //! [`join_timeout`](crate::Troupe::join_timeout),
    //! [`Context::reassign`](crate::Context::reassign), [Sizing](crate::guide::sizing),
    //! [Stopping without losing work](crate::guide::stopping).
}

pub mod moving_from {
    //! Replacing another pool: the common differences, and a table for each pool.
    //!
    #![doc = include_str!("guide/moving_from.md")]
    //!
    //! See also: [`assign`](crate::Troupe::assign),
    //! [`assign_wait`](crate::Troupe::assign_wait), [`Full`](crate::AssignError::Full),
    //! [`error_handler`](crate::Builder::error_handler),
    //! [`AssignError::WouldDeadlock`](crate::AssignError::WouldDeadlock),
    //! [Refusal and back-pressure](crate::guide::refusal),
    //! [Inside async](crate::guide::in_async).

    pub mod threadpool {
        //! The crate `threadpool`, version 1.8.
        //!
        #![doc = include_str!("guide/moving_from/threadpool.md")]
        //!
        //! See also: [`Config::dynamic`](crate::Config::dynamic),
        //! [`Config`](crate::Config), [`assign`](crate::Troupe::assign),
        //! [`assign_wait`](crate::Troupe::assign_wait),
        //! [`shutdown`](crate::Troupe::shutdown), [`join`](crate::Troupe::join),
        //! [`wait_idle`](crate::Troupe::wait_idle), [`handle`](crate::Troupe::handle),
        //! [`config`](crate::Troupe::config), [`Stats`](crate::Stats).
    }

    pub mod rusty_pool {
        //! The crate `rusty_pool`, version 1.0.
        //!
        #![doc = include_str!("guide/moving_from/rusty_pool.md")]
        //!
        //! See also: [`initial`](crate::Config::initial),
        //! [`assign`](crate::Troupe::assign),
        //! [`assign_wait`](crate::Troupe::assign_wait),
        //! [`shutdown`](crate::Troupe::shutdown), [`join`](crate::Troupe::join),
        //! [`wait_idle`](crate::Troupe::wait_idle),
        //! [`wait_idle_timeout`](crate::Troupe::wait_idle_timeout),
        //! [Moving from](crate::guide::moving_from).
    }

    pub mod rayon {
        //! `rayon::spawn`, version 1.
        //!
        #![doc = include_str!("guide/moving_from/rayon.md")]
        //!
        //! See also: [`Config`](crate::Config), [`assign`](crate::Troupe::assign),
        //! [`assign_wait`](crate::Troupe::assign_wait),
        //! [`shutdown`](crate::Troupe::shutdown), [`join`](crate::Troupe::join),
        //! [`error_handler`](crate::Builder::error_handler), [`Handle`](crate::Handle),
        //! [`Actor`](crate::Actor).
    }

    pub mod spawn_blocking {
        //! `tokio::task::spawn_blocking`, version 1.
        //!
        #![doc = include_str!("guide/moving_from/spawn_blocking.md")]
        //!
        //! See also: [`max`](crate::Config::max),
        //! [`mailbox_size`](crate::Config::mailbox_size),
        //! [`idle_timeout`](crate::Config::idle_timeout),
        //! [`assign`](crate::Troupe::assign), [`shutdown`](crate::Troupe::shutdown),
        //! [`shutdown_now`](crate::Troupe::shutdown_now),
        //! [`join_timeout`](crate::Troupe::join_timeout),
        //! [`error_handler`](crate::Builder::error_handler),
        //! [`Full`](crate::AssignError::Full), [`join`](crate::Troupe::join),
        //! [Inside async](crate::guide::in_async).
    }

    pub mod go {
        //! The Go library of the same name.
        //!
        #![doc = include_str!("guide/moving_from/go.md")]
        //!
        //! See also: [`assign`](crate::Troupe::assign),
        //! [`shutdown`](crate::Troupe::shutdown),
        //! [`shutdown_now`](crate::Troupe::shutdown_now),
        //! [`join`](crate::Troupe::join),
        //! [`error_handler`](crate::Builder::error_handler),
        //! [`Full`](crate::AssignError::Full),
        //! [`ShuttingDown`](crate::AssignError::ShuttingDown),
        //! [`Context::reassign`](crate::Context::reassign), [`Config`](crate::Config).
    }

    pub mod java {
        //! `java.util.concurrent.ThreadPoolExecutor`.
        //!
        #![doc = include_str!("guide/moving_from/java.md")]
        //!
        //! See also: [`max`](crate::Config::max),
        //! [`mailbox_size`](crate::Config::mailbox_size), [`min`](crate::Config::min),
        //! [`initial`](crate::Config::initial),
        //! [`idle_timeout`](crate::Config::idle_timeout),
        //! [`assign`](crate::Troupe::assign), [`shutdown`](crate::Troupe::shutdown),
        //! [`shutdown_now`](crate::Troupe::shutdown_now),
        //! [`join_timeout`](crate::Troupe::join_timeout),
        //! [`error_handler`](crate::Builder::error_handler),
        //! [`Handle::is_shutdown`](crate::Handle::is_shutdown),
        //! [`Stats`](crate::Stats), [`join`](crate::Troupe::join),
        //! [Sizing](crate::guide::sizing), [Moving from](crate::guide::moving_from).
    }
}
