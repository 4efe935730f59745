//! How to use a troupe well: what the reference leaves to you.
//!
//! | page | the question |
//! |---|---|
//! | [`sizing`] | How many actors, how many places, and what follows from that? |
//! | [`refusal`] | What to do with a work that has no place? |
//! | [`failure`] | What to do with a work that has failed? |
//! | [`stopping`] | How to end, and lose nothing? |
//! | [`waiting`] | How to wait for part of the work, while others feed the troupe? |
//! | [`in_async`] | How to use it from async code? |
//! | [`past_one_process`] | What if one process is not enough? |
//! | [`moving_from`] | What is that call of another pool here? |
//!
//! Every example is compiled and run by `cargo test`. The pages are Markdown,
//! in `src/guide`; these modules exist in the documentation only, so no program
//! can name them.
//!
//! What a call promises is said where it is defined, beginning at
//! [`Troupe`](crate::Troupe).

pub mod sizing {
    //! How many actors, and how many places: what they bound, and what they cost.
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
    //! What to do with a work that has no place: shed, wait, run it yourself, push back.
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
    //! What to do with a work that has failed: the retry rule, and what an error carries.
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
    //! How to end: drain, within a time, and give back the rest.
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
    //! How to wait: for all of the work, or for some of it.
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
    //! How to call what blocks from async code, within a bound.
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
    //! A broker in front, and one troupe in each process.
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
    //! From another pool: what changes with all of them, and a table for each.
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
        //! The crate threadpool, 1.8.
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
        //! The crate rusty_pool, 1.0.
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
        //! `rayon::spawn`, of rayon 1.
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
        //! `spawn_blocking`, of tokio 1.
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
