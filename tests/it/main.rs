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
//! And every end of a work, against the ways to make it:
//!
//! | | plain | `with` | `with_reply` |
//! |---|---|---|---|
//! | accepted and run | `assign::work_runs_on_an_actor` | `value::the_closure_receives_the_value` | `reply::the_answer_is_how_the_work_ends` |
//! | error | `failure::an_error_reaches_the_handler_once` | `value::a_failure_reaches_the_handler` | `reply::the_answer_is_how_the_work_ends`, `reply::a_failure_that_nobody_waits_for_is_the_handlers` |
//! | panic | `failure::a_panic_reaches_the_handler_once` | `value::a_panic_drops_the_value_once` | `reply::the_answer_is_how_the_work_ends`, `reply::a_failure_that_nobody_waits_for_is_the_handlers` |
//! | panic in a drop | `failure::a_panic_in_a_captures_drop_makes_the_work_panicked` | `value::a_panic_drops_the_value_once`, `value::a_value_of_a_dropped_work_may_panic_in_its_drop` | `reply::the_answer_is_how_the_work_ends`, `reply::a_panic_in_the_drop_of_a_work_that_is_not_run_is_contained`, `reply::a_value_that_nobody_took_is_dropped_with_the_reply` |
//! | refused | `assign::refused_work_comes_back_unrun` | `value::every_refusal_gives_the_value_back` | `reply::a_dropped_work_says_so`, `reply::a_refusal_leaves_waiting_allowed` |
//! | refused and assigned again | `assign::refused_work_can_be_assigned_again` | `value::a_refused_work_keeps_its_value` | `reply::a_work_may_be_assigned_to_a_second_troupe` |
//! | returned | `shutdown_now::what_has_not_started_comes_back` | `value::shutdown_now_gives_the_values_back` | `reply::a_dropped_work_says_so` |
//! | dropped | `assign::a_refused_works_captures_are_dropped_with_the_error` | `value::value_and_captures_are_dropped_once` | `reply::a_dropped_work_says_so`, `reply::a_dropped_work_without_its_reply_is_silent` |
//! | expired | none: it has no deadline | `value::an_expired_work_gives_its_value_back` | `reply::an_expired_work_says_so`, `reply::an_expired_work_that_nobody_waits_for_goes_to_the_handler` |
//! | cancelled | none: it has no reply, by which it could be cancelled | none: as a plain work | `reply::a_cancelled_work_is_not_run`, `reply::cancel_against_start` |
//! | reassigned | `reassign::a_retry_runs_on_the_same_actor_after_the_handler` | `value::a_retry_may_have_a_value` | `reply::a_retry_may_have_a_reply` |
//! | run by hand | `failure::work_run_by_hand_does_not_reach_the_handler` | `value::the_closure_receives_the_value` | `reply::a_work_that_is_run_by_hand_answers_too`, `reply::by_hand_a_failure_that_nobody_waits_for_is_the_callers` |
//!
//! | | `keyed` | `deadline` | `label` |
//! |---|---|---|---|
//! | accepted and run | `keyed::works_of_one_key_run_in_order`, `keyed::order_and_exclusion_under_chaos` | `deadline::before_its_deadline_a_work_is_like_any_other`, `deadline::deadlines_that_pass_meanwhile` | `label::the_handler_is_told_the_label` |
//! | error | `keyed::every_end_passes_the_key_on` | `deadline::before_its_deadline_a_work_is_like_any_other` | `label::the_handler_is_told_the_label` |
//! | panic | `keyed::every_end_passes_the_key_on` | `deadline::before_its_deadline_a_work_is_like_any_other` | `label::the_handler_is_told_the_label` |
//! | panic in a drop | `keyed::every_end_passes_the_key_on` | `deadline::a_panic_in_the_drop_of_an_expired_work_is_contained` | `label::the_handler_is_told_the_label` |
//! | refused | `keyed::full_is_said_of_the_line_and_of_the_room` | `deadline::a_refused_work_has_not_expired` | `label::debug_of_a_refusal_shows_the_label` |
//! | refused and assigned again | `keyed::a_work_that_comes_back_keeps_its_key` | `deadline::a_work_that_comes_back_keeps_its_deadline` | `label::a_labelled_work_is_like_any_other` |
//! | returned | `keyed::shutdown_now_returns_lines_in_order`, `keyed::shutdown_now_returns_works_at_their_turn` | `deadline::at_the_end_of_a_troupe` | `label::a_labelled_work_is_like_any_other` |
//! | dropped | `keyed::a_work_that_comes_back_keeps_its_key` | `deadline::a_dropped_work_lets_its_captures_go` | `label::a_labelled_work_is_like_any_other` |
//! | expired | `keyed::every_end_passes_the_key_on` | `deadline::an_expired_work_comes_to_the_handler` | `label::an_expired_work_has_its_label` |
//! | cancelled | `keyed::a_cancelled_work_keeps_its_place_in_line` | `deadline::a_cancelled_work_does_not_expire` | `label::a_label_does_not_hide_a_reply` |
//! | reassigned | `keyed::a_retry_has_its_keys_turn`, `keyed::a_retry_with_another_key_stands_in_line_for_it` | `deadline::a_retry_may_have_a_deadline`, `deadline::an_expired_work_can_be_reassigned` | `label::a_label_is_that_of_its_work_alone` |
//! | run by hand | `keyed::by_hand_a_key_does_not_count` | `deadline::by_hand_a_deadline_does_not_count` | `label::a_labelled_work_is_like_any_other` |
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
