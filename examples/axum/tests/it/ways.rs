//! Each way a request can end, and that none ends in no way.

use troupe_pool::Config;

use crate::support::{PANICS, REJECTED, Served, WAITS, eventually};

/// One actor, and nothing waits: the next is refused.
fn one_place() -> Config {
    Config::fixed(1).mailbox_size(0)
}

#[test]
fn a_value_is_a_200() {
    let served = Served::start(Config::fixed(2));
    let answer = served.work(7);
    assert_eq!((answer.status, answer.text.as_str()), (200, "done: 7\n"));
    assert_eq!(answer.retry_after, None);
    assert_eq!(served.figure("answers_200"), 1);
}

#[test]
fn the_works_own_error_is_a_422() {
    let served = Served::start(Config::fixed(2));
    let answer = served.work(REJECTED);
    assert_eq!(
        (answer.status, answer.text.as_str()),
        (422, "id 1000 is rejected\n")
    );
    assert_eq!(served.figure("answers_422"), 1);
    served.troupe.wait_idle().unwrap();
    assert_eq!(served.troupe.stats().failed, 1);
}

/// And the only actor survives it.
#[test]
fn a_panic_is_a_500() {
    let served = Served::start(Config::fixed(1));
    let answer = served.work(PANICS);
    assert_eq!(
        (answer.status, answer.text.as_str()),
        (500, "the work panicked\n")
    );
    assert_eq!(served.figure("answers_500"), 1);
    assert_eq!(served.work(1).status, 200);
    assert_eq!(served.troupe.stats().panicked, 1);
}

/// A probe that needs a place would have a busy server killed.
#[test]
fn a_full_server_is_healthy() {
    let served = Served::start(one_place());
    let first = served.ask(&format!("/call/{WAITS}"));
    served.backend.gate.wait_for(1);
    assert_eq!(served.work(1).status, 503);
    let healthz = served.get("/healthz");
    assert_eq!((healthz.status, healthz.text.as_str()), (200, "ok\n"));
    served.troupe.shutdown();
    let healthz = served.get("/healthz");
    assert_eq!(
        (healthz.status, healthz.text.as_str()),
        (503, "shutting down\n")
    );
    served.backend.gate.open();
    assert_eq!(first.answer().status, 200);
}

#[test]
fn what_does_not_fit_is_a_503_with_retry_after_and_has_not_run() {
    let served = Served::start(one_place());
    let first = served.ask(&format!("/call/{WAITS}"));
    served.backend.gate.wait_for(1);
    let answer = served.work(1);
    assert_eq!((answer.status, answer.text.as_str()), (503, "full\n"));
    assert_eq!(answer.retry_after.as_deref(), Some("1"));
    served.backend.gate.open();
    assert_eq!(first.answer().status, 200);
    assert_eq!(served.backend.calls_of(1), 0, "calls of what was refused");
    // And there is room again.
    served.troupe.wait_idle().unwrap();
    assert_eq!(served.work(1).status, 200);
}

#[test]
fn a_work_whose_client_has_gone_does_not_start() {
    let served = Served::start(Config::fixed(1).mailbox_size(1));
    let running = served.ask(&format!("/call/{WAITS}"));
    served.backend.gate.wait_for(1);
    let waiting = served.ask("/call/5");
    served.until("queued", 1);
    waiting.hang_up();
    served.until("gone", 1);
    served.backend.gate.open();
    assert_eq!(running.answer().status, 200);
    served.until("not_started", 1);
    assert_eq!(served.backend.calls_of(5), 0);
    assert_eq!((served.figure("requests"), served.figure("calls")), (2, 1));
    assert_eq!(served.work(6).status, 200);
}

/// A thread cannot be taken out of a blocking call. So the server waits for none of them.
#[test]
fn a_work_whose_client_goes_while_it_runs_ends_as_others_do() {
    let served = Served::start(one_place());
    let running = served.ask(&format!("/call/{WAITS}"));
    served.backend.gate.wait_for(1);
    running.hang_up();
    served.until("gone", 1);
    assert_eq!(served.work(1).status, 503, "the actor is still busy");
    served.backend.gate.open();
    served.troupe.wait_idle().unwrap();
    let stats = served.troupe.stats();
    assert_eq!((stats.completed, stats.failed), (1, 0));
    assert_eq!(served.figure("not_started"), 0);
}

#[test]
fn during_a_shutdown_it_is_a_503() {
    let served = Served::start(Config::fixed(1).mailbox_size(1));
    let running = served.ask(&format!("/call/{WAITS}"));
    served.backend.gate.wait_for(1);
    let waiting = served.ask("/call/1");
    served.until("queued", 1);
    // Returned work is answered as soon as it is dropped.
    drop(served.troupe.shutdown_now());
    for answer in [waiting.answer(), served.work(2)] {
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (503, "shutting down\n")
        );
        assert!(answer.retry_after.is_some());
    }
    served.backend.gate.open();
    assert_eq!(running.answer().status, 200);
    assert_eq!(
        (served.backend.calls_of(1), served.backend.calls_of(2)),
        (0, 0)
    );
}

/// All five ways at once, on a troupe that is too small, from clients some of which hang up.
#[test]
fn no_request_is_without_an_outcome() {
    let served = Served::start(Config::fixed(2).mailbox_size(2));
    // Two run, four wait; of these, one client goes.
    let mut held: Vec<_> = (0..6)
        .map(|index| served.ask(&format!("/call/{}", WAITS + index)))
        .collect();
    served.backend.gate.wait_for(2);
    served.until("queued", 4);
    let asked: Vec<_> = (0..50)
        .map(|index| served.ask(&format!("/call/{index}")))
        .collect();
    for question in asked {
        assert_eq!(question.answer().status, 503);
    }
    let ran = |index: &usize| served.backend.calls_of(WAITS + *index as u64) > 0;
    let gone = (0..6).find(|index| !ran(index)).expect("four wait");
    held.remove(gone).hang_up();
    served.until("gone", 1);
    served.backend.gate.open();
    for question in held {
        assert_eq!(question.answer().status, 200);
    }
    served.until("not_started", 1);
    for id in [REJECTED, PANICS] {
        eventually(|| served.work(id).status != 503);
    }
    let figures = ["answers_200", "answers_422", "answers_500", "answers_503"];
    let counts = figures.map(|name| served.figure(name));
    assert_eq!(counts[..3], [5, 1, 1]);
    assert!(counts[3] >= 50, "{counts:?}");
    let sum = counts.iter().sum::<u64>() + served.figure("gone");
    assert_eq!(sum, served.figure("requests"));
}

#[test]
fn what_is_no_id_never_gets_to_the_troupe() {
    let served = Served::start(Config::fixed(1));
    assert_eq!(served.get("/call/x").status, 400);
    assert_eq!(served.get("/nothing").status, 404);
    assert_eq!(served.figure("requests"), 0);
}
