//! The guide: how to use a troupe well.
//!
//! | page | topic |
//! |---|---|
//! | [`sizing`] | the number of actors, the size of the mailboxes, and what follows from them; deadlines |
//! | [`refusal`] | work that the troupe refuses |
//! | [`results`] | values, errors and panics of single pieces of work; cancelling |
//! | [`failure`] | work that fails |
//! | [`first_failure`] | a batch that ends when one part of it fails |
//! | [`stopping`] | stopping without losing work |
//! | [`waiting`] | waiting for part of the work, while other threads feed the troupe |
//! | [`keys`] | work that must run in order, and one piece at a time |
//! | [`state`] | a connection or a buffer for each actor |
//! | [`measuring`] | figures, for the troupe and for each kind of work |
//! | [`in_async`] | using a troupe from async code |
//! | [`past_one_process`] | using more than one process |
//! | [`moving_from`] | replacing another pool, or one that you have made yourself |
//!
//! All examples are compiled and run by `cargo test`. The pages are Markdown files in
//! `src/guide`. These modules exist only in the documentation, so no program can name
//! them.
//!
//! The reference documentation says what each call promises. It begins at
//! [`Troupe`](crate::Troupe).

pub mod sizing {
    //! The number of actors and the size of their mailboxes: what they bound and cost.
    //! Deadlines.
    //!
    #![doc = include_str!("guide/sizing.md")]
    //!
    //! See also: [`max`](crate::Config::max),
    //! [`mailbox_size`](crate::Config::mailbox_size), [`min`](crate::Config::min),
    //! [`initial`](crate::Config::initial), [`line_size`](crate::Config::line_size),
    //! [`stack_size`](crate::Config::stack_size),
    //! [`Config::default`](crate::Config::default),
    //! [`deadline`](crate::Work::deadline), [`Expired`](crate::Failure::Expired),
    //! [`into_value`](crate::Work::into_value), [`shutdown`](crate::Troupe::shutdown),
    //! [`Actor`](crate::Actor), [`Stats`](crate::Stats),
    //! [`Stats::capacity`](crate::Stats::capacity),
    //! [Refusal and back-pressure](crate::guide::refusal),
    //! [Getting results](crate::guide::results), [Order per key](crate::guide::keys).
}

pub mod refusal {
    //! Refused work: shed it, wait, run it yourself, or push back.
    //!
    #![doc = include_str!("guide/refusal.md")]
    //!
    //! See also: [`assign`](crate::Troupe::assign),
    //! [`assign_timeout`](crate::Troupe::assign_timeout),
    //! [`assign_wait`](crate::Troupe::assign_wait), [`Work::run`](crate::Work::run),
    //! [`Work::with`](crate::Work::with), [`into_value`](crate::Work::into_value),
    //! [`Full`](crate::AssignError::Full),
    //! [`ShuttingDown`](crate::AssignError::ShuttingDown),
    //! [`WouldDeadlock`](crate::AssignError::WouldDeadlock),
    //! [`shutdown_now`](crate::Troupe::shutdown_now),
    //! [Stopping without losing work](crate::guide::stopping),
    //! [Getting results](crate::guide::results),
    //! [Failure and retry](crate::guide::failure).
}

pub mod results {
    //! Values back from work, and cancelling work.
    //!
    #![doc = include_str!("guide/results.md")]
    //!
    //! See also: [`Work::with_reply`](crate::Work::with_reply),
    //! [`Work::cancellable`](crate::Work::cancellable), [`Reply`](crate::Reply),
    //! [`ReplyError`](crate::ReplyError), [`CancelToken`](crate::CancelToken),
    //! [`cancel`](crate::Reply::cancel),
    //! [`cancel_on_drop`](crate::Reply::cancel_on_drop), [`Stats`](crate::Stats),
    //! [Failure and retry](crate::guide::failure),
    //! [Waiting for some of the work](crate::guide::waiting),
    //! [Inside async](crate::guide::in_async), [Sizing](crate::guide::sizing).
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
    //! [`Context::label`](crate::Context::label), [`Stats`](crate::Stats),
    //! [Getting results](crate::guide::results),
    //! [Stop at the first failure](crate::guide::first_failure).
}

pub mod first_failure {
    //! A batch that stops at the first failure, and returns the cause.
    //!
    #![doc = include_str!("guide/first_failure.md")]
    //!
    //! See also: [`error_handler`](crate::Builder::error_handler),
    //! [`Handle::shutdown_now`](crate::Handle::shutdown_now),
    //! [`shutdown`](crate::Troupe::shutdown),
    //! [`assign_wait`](crate::Troupe::assign_wait), [`join`](crate::Troupe::join),
    //! [`ShuttingDown`](crate::AssignError::ShuttingDown), [`Failure`](crate::Failure),
    //! [Failure and retry](crate::guide::failure),
    //! [Stopping without losing work](crate::guide::stopping).
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
    //! [`Reply`](crate::Reply), [`Work::with_reply`](crate::Work::with_reply),
    //! [`Handle`](crate::Handle), [`assign_wait`](crate::Troupe::assign_wait),
    //! [`shutdown_now`](crate::Troupe::shutdown_now),
    //! [`mailbox_size`](crate::Config::mailbox_size),
    //! [`WouldDeadlock`](crate::JoinError::WouldDeadlock),
    //! [Getting results](crate::guide::results),
    //! [Refusal and back-pressure](crate::guide::refusal),
    //! [Failure and retry](crate::guide::failure).
}

pub mod keys {
    //! Work of one key: in order, and one piece at a time.
    //!
    #![doc = include_str!("guide/keys.md")]
    //!
    //! See also: [`Work::keyed`](crate::Work::keyed),
    //! [`line_size`](crate::Config::line_size), [`Full`](crate::AssignError::Full),
    //! [`in_line`](crate::Stats::in_line), [`assign`](crate::Troupe::assign),
    //! [`Context::reassign`](crate::Context::reassign),
    //! [`shutdown_now`](crate::Troupe::shutdown_now), [`Actor`](crate::Actor),
    //! [Sizing](crate::guide::sizing), [Failure and retry](crate::guide::failure).
}

pub mod state {
    //! State that belongs to an actor: a thread-local variable.
    //!
    #![doc = include_str!("guide/state.md")]
    //!
    //! See also: [`on_start`](crate::Builder::on_start),
    //! [`on_stop`](crate::Builder::on_stop),
    //! [`idle_timeout`](crate::Config::idle_timeout), [`max`](crate::Config::max),
    //! [`handler_panics`](crate::Stats::handler_panics), [`Actor`](crate::Actor),
    //! [threads of a troupe](crate::Troupe#threads),
    //! [Order per key](crate::guide::keys).
}

pub mod measuring {
    //! Figures of the troupe, and of each kind of work.
    //!
    #![doc = include_str!("guide/measuring.md")]
    //!
    //! See also: [`Stats`](crate::Stats), [`stats`](crate::Troupe::stats),
    //! [`actors`](crate::Troupe::actors), [`ActorStats`](crate::ActorStats),
    //! [`label`](crate::Work::label), [`Context::label`](crate::Context::label),
    //! [Sizing](crate::guide::sizing), [Getting results](crate::guide::results).
}

pub mod in_async {
    //! Bounded blocking calls from async code.
    //!
    #![doc = include_str!("guide/in_async.md")]
    //!
    //! See also: [`Reply`](crate::Reply), [`Work::with_reply`](crate::Work::with_reply),
    //! [`cancel_on_drop`](crate::Reply::cancel_on_drop),
    //! [`Work::cancellable`](crate::Work::cancellable),
    //! [`deadline`](crate::Work::deadline), [`assign`](crate::Troupe::assign),
    //! [`assign_timeout`](crate::Troupe::assign_timeout),
    //! [`assign_wait`](crate::Troupe::assign_wait),
    //! [`shutdown`](crate::Troupe::shutdown),
    //! [`shutdown_now`](crate::Troupe::shutdown_now), [`join`](crate::Troupe::join),
    //! [`wait_idle`](crate::Troupe::wait_idle), [`stats`](crate::Troupe::stats),
    //! [`Work::run`](crate::Work::run), [`Full`](crate::AssignError::Full),
    //! [`mailbox_size`](crate::Config::mailbox_size),
    //! [Getting results](crate::guide::results).
}

pub mod past_one_process {
    //! A message broker, and one troupe in each process.
    //!
    #![doc = include_str!("guide/past_one_process.md")]
    //!
    //! See also: [`shutdown`](crate::Troupe::shutdown),
    //! [`shutdown_now`](crate::Troupe::shutdown_now), [`join`](crate::Troupe::join),
    //! [`join_timeout`](crate::Troupe::join_timeout),
    //! [`Context::reassign`](crate::Context::reassign), [`keyed`](crate::Work::keyed),
    //! [`deadline`](crate::Work::deadline), [Sizing](crate::guide::sizing),
    //! [Order per key](crate::guide::keys),
    //! [Stopping without losing work](crate::guide::stopping).
}

pub mod moving_from {
    //! Replacing another pool: the common differences, and a table for each pool.
    //!
    #![doc = include_str!("guide/moving_from.md")]
    //!
    //! See also: [`assign`](crate::Troupe::assign),
    //! [`assign_wait`](crate::Troupe::assign_wait), [`Full`](crate::AssignError::Full),
    //! [`Work::with_reply`](crate::Work::with_reply), [`Reply`](crate::Reply),
    //! [`error_handler`](crate::Builder::error_handler),
    //! [`AssignError::WouldDeadlock`](crate::AssignError::WouldDeadlock),
    //! [`shutdown`](crate::Troupe::shutdown), [`join`](crate::Troupe::join),
    //! [Refusal and back-pressure](crate::guide::refusal),
    //! [Getting results](crate::guide::results),
    //! [Inside async](crate::guide::in_async).

    pub mod hand_made {
        //! Threads that take closures from one channel.
        //!
        #![doc = include_str!("guide/moving_from/hand_made.md")]
        //!
        //! See also: [`Config`](crate::Config),
        //! [`mailbox_size`](crate::Config::mailbox_size),
        //! [`assign_timeout`](crate::Troupe::assign_timeout),
        //! [`assign_wait`](crate::Troupe::assign_wait),
        //! [`Work::with`](crate::Work::with),
        //! [`Work::with_reply`](crate::Work::with_reply),
        //! [`shutdown`](crate::Troupe::shutdown),
        //! [`join_timeout`](crate::Troupe::join_timeout),
        //! [`shutdown_now`](crate::Troupe::shutdown_now),
        //! [`Panic::into_payload`](crate::Panic::into_payload),
        //! [`ReplyError`](crate::ReplyError), [`Handle`](crate::Handle),
        //! [Order per key](crate::guide::keys), [State per actor](crate::guide::state),
        //! [Getting results](crate::guide::results).
    }

    pub mod threadpool {
        //! The crate `threadpool`, version 1.8.
        //!
        #![doc = include_str!("guide/moving_from/threadpool.md")]
        //!
        //! See also: [`Config::dynamic`](crate::Config::dynamic),
        //! [`Config`](crate::Config), [`mailbox_size`](crate::Config::mailbox_size),
        //! [`assign`](crate::Troupe::assign),
        //! [`assign_wait`](crate::Troupe::assign_wait),
        //! [`Work::with_reply`](crate::Work::with_reply),
        //! [`shutdown`](crate::Troupe::shutdown), [`join`](crate::Troupe::join),
        //! [`wait_idle`](crate::Troupe::wait_idle), [`handle`](crate::Troupe::handle),
        //! [`config`](crate::Troupe::config), [`Stats`](crate::Stats),
        //! [Sizing](crate::guide::sizing).
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
        //! [`Work::with_reply`](crate::Work::with_reply), [`Reply`](crate::Reply),
        //! [`ReplyError`](crate::ReplyError), [`on_start`](crate::Builder::on_start),
        //! [`on_stop`](crate::Builder::on_stop),
        //! [Getting results](crate::guide::results).
    }

    pub mod rayon {
        //! `rayon::spawn`, version 1.
        //!
        #![doc = include_str!("guide/moving_from/rayon.md")]
        //!
        //! See also: [`Config`](crate::Config), [`assign`](crate::Troupe::assign),
        //! [`assign_wait`](crate::Troupe::assign_wait),
        //! [`shutdown`](crate::Troupe::shutdown), [`join`](crate::Troupe::join),
        //! [`error_handler`](crate::Builder::error_handler),
        //! [`on_start`](crate::Builder::on_start), [`on_stop`](crate::Builder::on_stop),
        //! [`Work::with_reply`](crate::Work::with_reply), [`Handle`](crate::Handle),
        //! [`Actor`](crate::Actor), [Getting results](crate::guide::results).
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
        //! [`Work::with_reply`](crate::Work::with_reply), [`Reply`](crate::Reply),
        //! [`ReplyError`](crate::ReplyError), [`cancel`](crate::Reply::cancel),
        //! [`cancel_on_drop`](crate::Reply::cancel_on_drop),
        //! [`CancelToken`](crate::CancelToken), [`deadline`](crate::Work::deadline),
        //! [Inside async](crate::guide::in_async).
    }

    pub mod go {
        //! The Go library of the same name, and the channels around it.
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
        //! [`Context::reassign`](crate::Context::reassign), [`Config`](crate::Config),
        //! [`Work::with_reply`](crate::Work::with_reply), [`Reply`](crate::Reply),
        //! [`deadline`](crate::Work::deadline),
        //! [`CancelToken`](crate::CancelToken), [`keyed`](crate::Work::keyed),
        //! [Waiting for some of the work](crate::guide::waiting),
        //! [Stop at the first failure](crate::guide::first_failure),
        //! [From a hand-made pool](crate::guide::moving_from::hand_made).
    }

    pub mod java {
        //! `ThreadPoolExecutor` and `CompletableFuture` of `java.util.concurrent`.
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
        //! [`Work::with_reply`](crate::Work::with_reply), [`Reply`](crate::Reply),
        //! [`ReplyError`](crate::ReplyError), [`deadline`](crate::Work::deadline),
        //! [`Work::cancellable`](crate::Work::cancellable),
        //! [`on_start`](crate::Builder::on_start), [Sizing](crate::guide::sizing),
        //! [Waiting for some of the work](crate::guide::waiting),
        //! [Measuring](crate::guide::measuring).
    }
}
