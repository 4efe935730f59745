//! The integration tests: what the documentation promises, through the public surface alone.
//!
//! # The matrix
//!
//! Every way to hand in a work, against every state of the troupe and of the actor that could take it. A cell names its
//! tests (`module::test`) or says why there is none.
//!
//! | | fixed | growing | at max |
//! |---|---|---|---|
//! | `assign` | `assign::fixed_fills_then_refuses`, `assign::the_bound_is_exact_while_actors_wake` | `dynamic::two_works_back_to_back_start_two_actors`, `assign::growth_comes_before_queueing`, `race::growth_by_two_assigners_below_max` | `dynamic::at_max_it_fills_then_refuses`, `assign::mailboxes_come_before_full` |
//! | `assign_wait` | `waiting::assign_wait_waits_for_room` | `waiting::waiting_calls_grow_first`, `refusal::growth_wakes_a_waiter` | `waiting::assign_wait_waits_at_max` |
//! | `assign_timeout` | `waiting::assign_timeout_waits_for_room`, `waiting::a_timed_out_assign_says_full` | `waiting::waiting_calls_grow_first` | `waiting::assign_timeout_waits_for_room` (a fixed troupe is always at max) |
//! | `reassign` | `reassign::a_retry_is_not_refused_when_the_troupe_is_full` | `reassign::a_retry_does_not_grow_the_troupe` | `reassign::a_retry_is_not_refused_when_the_troupe_is_full` |
//! | a handle | `assign::a_handle_assigns`, `waiting::a_handle_waits_for_room` | `dynamic::a_handle_grows_the_troupe` | `dynamic::a_handle_grows_the_troupe` (its last line) |
//!
//! | | shrinking | shutting down | joined |
//! |---|---|---|---|
//! | `assign` | `race::assign_against_retire`, `race::bursts_against_retire`, `dynamic::grows_again_after_shrinking` | `shutdown::every_way_in_is_refused`, `race::assign_against_shutdown`, `race::assign_against_shutdown_now` | `shutdown::every_way_in_is_refused` |
//! | `assign_wait` | `race::assign_wait_against_retire`, `waiting::assign_wait_while_the_troupe_shrinks` | `shutdown::every_way_in_is_refused`, `waiting::shutdown_wakes_every_waiter`, `race::waiters_against_the_end` | `shutdown::every_way_in_is_refused` |
//! | `assign_timeout` | `race::assign_timeout_against_retire` | `shutdown::every_way_in_is_refused`, `waiting::shutdown_wakes_every_waiter` | `shutdown::every_way_in_is_refused` |
//! | `reassign` | `reassign::a_retry_while_the_troupe_shrinks`, `race::reassign_against_retire` | `reassign::while_draining_a_retry_comes_back`, `race::reassign_against_shutdown_now` | none: a `Context` lives while the handler runs on an actor, and after a join there is none |
//! | a handle | `race::a_handle_against_retire` | `shutdown::every_way_in_is_refused`, `race::handles_against_drop` | `shutdown::every_way_in_is_refused`, `shutdown::a_handle_after_the_end` |
//!
//! And the actor:
//!
//! | | idle | busy | retiring | panicking |
//! |---|---|---|---|---|
//! | `assign` | `assign::the_most_recently_idle_actor_is_taken_first`, `race::going_idle_against_assign` | `assign::mailboxes_come_before_full` | `race::assign_against_retire` | `failure::work_is_accepted_by_an_actor_that_is_panicking` |
//! | `assign_wait` | `waiting::with_room_nobody_waits`, `handoff::a_waiter_gets_the_actor_that_becomes_idle` | `waiting::assign_wait_waits_for_room` | `race::assign_wait_against_retire` | `failure::work_is_accepted_by_an_actor_that_is_panicking` |
//! | `assign_timeout` | `waiting::with_room_nobody_waits` | `waiting::assign_timeout_waits_for_room` | `race::assign_timeout_against_retire` | `failure::work_is_accepted_by_an_actor_that_is_panicking` |
//! | `reassign` | none: the actor in question runs the handler, so it is busy | every test of `reassign` | none: it is busy, and a busy actor does not retire (`dynamic::a_busy_actor_does_not_retire`); its siblings may: `race::reassign_against_retire` | `reassign::a_panic_may_be_reassigned`; of a panicking handler: `reassign::a_retry_survives_a_panic_of_the_handler` |
//! | a handle | `waiting::with_room_nobody_waits` | `assign::a_handle_assigns` | `race::a_handle_against_retire` | `failure::work_is_accepted_by_an_actor_that_is_panicking` |
//!
//! Not to be tested: a work whose captures panic in their drop *while* it unwinds from a panic of its own. Rust aborts
//! the process then, before any library can see it.

mod support;

mod actor;
mod api;
mod assign;
mod build;
mod conservation;
mod deadline;
mod dynamic;
mod failure;
mod handoff;
mod hooks;
mod keyed;
mod label;
mod order;
mod original;
mod peers;
mod race;
mod reassign;
mod refusal;
mod reply;
mod sharing;
mod shutdown;
mod shutdown_now;
mod stats;
mod tidy;
mod value;
mod wait_idle;
mod waiting;
