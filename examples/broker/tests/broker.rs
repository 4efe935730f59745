//! The workers as processes, and a Redis for each test.

#![cfg(target_os = "linux")]

use std::{
    collections::BTreeMap,
    process::Output,
    time::{Duration, Instant},
};

#[path = "broker/cluster.rs"]
mod cluster;
#[path = "broker/fixture.rs"]
mod fixture;
#[path = "broker/ports.rs"]
mod ports;
#[expect(dead_code, reason = "the other functions serve other tests")]
#[path = "../../../tests/process/mod.rs"]
mod process;
#[expect(dead_code, reason = "the other functions serve other tests")]
#[path = "../../../tests/programs/mod.rs"]
mod programs;
#[path = "broker/proxy.rs"]
mod proxy;
#[path = "../src/redis_server.rs"]
mod redis_server;
#[expect(dead_code, reason = "the other functions serve other tests")]
#[path = "../../../tests/it/support.rs"]
mod support;
#[path = "broker/tls.rs"]
mod tls;

use cluster::{Cluster, STREAM};
use fixture::{ALWAYS, Broker, Worker, effects, is_redis_missing, program};
use programs::{assert_exit, assert_says, text};
use support::eventually;
use tls::TlsRedis;

/// The figures at the end of a worker.
fn last_line(output: &Output) -> String {
    let said = text(&output.stdout);
    said.lines().last().unwrap_or_default().to_owned()
}

// --- Everything at once -------------------------------------------------------------------------

/// Runs the demo, and checks its figures against each other.
#[track_caller]
fn demo(more: &[&str]) {
    let size = ["demo", "--count", "3000", "--wait-us", "4000"];
    let output = program().args(size).args(more).output().unwrap();
    assert_exit(&output, 0);
    let said = text(&output.stdout);
    let rows: BTreeMap<&str, f64> = said
        .lines()
        .map(|line| line.split_once(' ').expect("a name and a value"))
        .map(|(name, value)| (name, value.parse().expect("a number")))
        .collect();
    // In 3,000, one in a hundred fails and one in a thousand panics; every other for good: those
    // with the numbers 99, 299 and so on, and 998 and 2998.
    assert_eq!((rows["sent"], rows["dead_lettered"]), (3_000.0, 15.0 + 2.0));
    assert_eq!(rows["done"], rows["sent"] - rows["dead_lettered"], "{said}");
    assert_eq!((rows["lost"], rows["left"]), (0.0, 0.0), "{said}");
    assert_eq!(rows["dead_lettered_wrongly"], 0.0, "{said}");
    // Only what the killed worker had done without having said so.
    assert_eq!(rows["done_twice_unexplained"], 0.0, "{said}");
    assert!(rows["done_twice"] <= rows["done_twice_at_most"], "{said}");
    // Each failure but the last is a way back, and so is what the stopped worker had not begun.
    assert!(rows["given_back"] >= 2.0 * rows["dead_lettered"], "{said}");
    // It was in the middle.
    assert!(rows["done_at_sigkill"] < rows["done_at_sigterm"], "{said}");
    assert!(rows["done_at_sigterm"] < rows["done"], "{said}");
}

#[test]
fn nothing_is_lost_when_workers_are_killed() {
    if !is_redis_missing() {
        demo(&[]);
    }
}

#[test]
fn nothing_is_lost_when_redis_is_killed_too() {
    if !is_redis_missing() {
        demo(&["--restart"]);
    }
}

/// The exit status says that only those are out of order that were delivered again. Without
/// `--key-field`, many more are.
#[test]
fn works_of_a_key_stay_in_order_while_workers_are_killed() {
    if !is_redis_missing() {
        demo(&["--keys", "5"]);
    }
}

#[test]
fn the_bench_prints_its_table() {
    if is_redis_missing() {
        return;
    }
    let size = [
        "bench",
        "--count",
        "2000",
        "--rounds",
        "1",
        "--workers",
        "2",
    ];
    let output = program().args(size).output().unwrap();
    assert_exit(&output, 0);
    let said = text(&output.stdout);
    let rows = said.lines().filter(|line| line.contains("works "));
    let rows: Vec<_> = rows.filter(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len(), 2, "{said}");
    for row in rows {
        let figures = row.trim_matches('|').split(" | ").skip(1);
        let figures: Vec<f64> = figures.map(|f| f.trim().parse().unwrap()).collect();
        assert!(
            figures.len() == 5 && figures.iter().all(|f| *f > 0.0),
            "{said}"
        );
    }
}

// --- Verdicts -----------------------------------------------------------------------------------

#[test]
fn a_failure_is_tried_again_until_it_is_a_dead_letter() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    broker.send(&[("number", 1), ("fails", 1)]);
    broker.send(&[("number", 2), ("fails", 2)]);
    broker.send(&[("number", 3), ("fails", ALWAYS)]);
    broker.send(&[("number", 4), ("panics", 1)]);
    broker.send(&[("number", 5), ("panics", ALWAYS)]);
    broker.send(&[("number", 6)]);
    let worker = broker.worker("a", &["--claim-every", "0.02", "--max-deliveries", "3"]);
    eventually(|| broker.dead().len() == 2 && broker.effects("a").len() == 4);
    let output = worker.stop();
    assert_exit(&output, 0);
    let mut done = broker.effects("a");
    done.sort_unstable();
    assert_eq!(done, [1, 2, 4, 6]);
    let mut dead = broker.dead();
    dead.sort_by_key(|letter| letter["number"].clone());
    let letter = |index: usize, name: &str| dead[index][name].as_str();
    assert_eq!((letter(0, "number"), letter(1, "number")), ("3", "5"));
    assert_eq!(letter(0, "reason"), "the simulated failure");
    assert_eq!(letter(1, "reason"), "panicked");
    assert_eq!(
        (letter(0, "deliveries"), letter(1, "deliveries")),
        ("3", "3")
    );
    assert_eq!(letter(0, "fails"), ALWAYS.to_string());
    assert_eq!(
        (broker.tally("given_back"), broker.tally("dead_lettered")),
        (8, 2)
    );
    assert_eq!(broker.pending(), 0);
}

/// It rests among the others' leases, and is not due before.
#[test]
fn a_failure_rests_before_it_is_tried_again() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    let begun = Instant::now();
    broker.send(&[("number", 1), ("fails", 1)]);
    let rest = [
        "--min-idle",
        "60",
        "--retry-after",
        "0.5",
        "--claim-every",
        "0.02",
    ];
    let worker = broker.worker("a", &rest);
    eventually(|| broker.effects("a") == [1]);
    // Half a second, by the broker's clock, after it had failed.
    assert!(begun.elapsed() >= Duration::from_millis(490));
    assert_eq!(broker.tally("given_back"), 1);
    assert_exit(&worker.stop(), 0);
}

#[test]
fn what_is_no_order_is_buried_with_the_reason() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    broker.send(&[("number", 1), ("colour", 7)]);
    let worker = broker.worker("a", &["--max-deliveries", "1"]);
    eventually(|| broker.dead().len() == 1);
    assert_exit(&worker.stop(), 0);
    assert_eq!(
        broker.dead()[0]["reason"],
        "no order: an unknown field \"colour\""
    );
    assert_eq!(broker.dead()[0]["colour"], "7");
}

/// A script can hand over no more than some 8,000 values. This ended every worker that came across
/// such a message, one after the other.
#[test]
fn a_message_of_thousands_of_fields_is_buried_whole() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    let names: Vec<String> = (0..5_000).map(|number| format!("field-{number}")).collect();
    let fields: Vec<(&str, u64)> = names.iter().map(|name| (&**name, 7)).collect();
    broker.send(&fields);
    broker.send(&[("number", 1)]);
    let worker = broker.worker("a", &["--max-deliveries", "1"]);
    eventually(|| broker.dead().len() == 1 && broker.effects("a") == [1]);
    assert_exit(&worker.stop(), 0);
    let letter = broker.dead().remove(0);
    let all = letter["fields"].as_str();
    assert!(all.starts_with(r#"["field-0","7","field-1","#), "{all:.60}");
    assert!(all.ends_with(r#","field-4999","7"]"#));
}

/// Nobody gives a verdict on it: the process is gone. So whoever takes it over has to count.
#[test]
fn a_message_that_ends_its_worker_is_buried() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    broker.send(&[("number", 1), ("aborts", ALWAYS)]);
    broker.send(&[("number", 2)]);
    let lease = [
        "--min-idle",
        "0.2",
        "--work-timeout",
        "0.1",
        "--mailbox",
        "0",
    ];
    let more = [
        "--actors",
        "1",
        "--claim-every",
        "0.02",
        "--max-deliveries",
        "2",
    ];
    let args = [&lease[..], &more].concat();
    for name in ["a", "b"] {
        let mut worker = broker.worker(name, &args);
        eventually(|| worker.has_ended());
        assert_eq!(broker.dead().len(), 0);
    }
    let worker = broker.worker("c", &args);
    eventually(|| broker.dead().len() == 1);
    eventually(|| {
        ["a", "b", "c"]
            .iter()
            .any(|name| broker.effects(name) == [2])
    });
    assert_exit(&worker.stop(), 0);
    let letter = &broker.dead()[0];
    assert_eq!(letter["reason"], "delivered 2 times without a verdict");
    assert_eq!(letter["number"], "1");
}

/// Another worker may be at it: it must neither be given out again nor be buried.
#[test]
fn a_message_that_was_taken_over_is_left_to_the_other() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    let id = broker.send(&[("number", 1), ("wait_us", 1_000_000), ("fails", ALWAYS)]);
    let mut worker = broker.worker("a", &["--max-deliveries", "1", "--stats", "0.01"]);
    worker.until_it_says("running 1");
    broker.claim("other", &id);
    worker.until_it_says("overtaken 1");
    assert_exit(&worker.stop(), 0);
    assert_eq!(broker.dead().len(), 0);
    assert_eq!(broker.owners(), [("other".into(), 1)]);
}

/// The broker gives the message back, and its answer is lost. By the time that the worker tells the
/// verdict again, the message has been delivered to it once more.
#[test]
fn a_verdict_that_is_told_again_leaves_a_newer_delivery_alone() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    let id = broker.send(&[("number", 1), ("fails", ALWAYS)]);
    let proxy = broker.proxy("failed");
    let options = ["--url", &proxy.url(), "--stats", "0.01"];
    // A worker that claims in the trip of the verdict would have the message again at once.
    let rarely = ["--claim-every", "60"];
    let mut worker = broker.worker("a", &[&options[..], &rarely].concat());
    proxy.await_loss();
    assert_eq!(broker.owners(), [("given-back".into(), 1)]);
    broker.deliver_again_to("a", &id);
    proxy.open();
    worker.until_it_says("overtaken 1");
    assert_eq!(broker.owners(), [("a".into(), 1)]);
    assert_eq!(broker.tally("given_back"), 1);
    assert_exit(&worker.stop(), 0);
}

// --- Room ---------------------------------------------------------------------------------------

#[test]
fn a_worker_takes_no_more_than_it_has_room_for() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    for number in 1..=10 {
        broker.send(&[("number", number), ("wait_us", 60_000_000)]);
    }
    let small = ["--actors", "1", "--mailbox", "2", "--stats", "0.01"];
    let mut full = broker.worker("a", &small);
    full.until_it_says("running 1 queued 2");
    // The rest is for another worker: to scale out, start one.
    let mut other = broker.worker("b", &["--stats", "0.01"]);
    other.until_it_says("running 7");
    assert_eq!(broker.owners(), [("a".into(), 3), ("b".into(), 7)]);
}

/// Three places of four are taken, so there is little room; but a feeder that waited for a verdict
/// then would let the fourth actor idle.
#[test]
fn long_works_keep_no_message_from_an_idle_actor() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    for _ in 0..3 {
        broker.send(&[("number", 0), ("wait_us", 60_000_000)]);
    }
    let none_waits = ["--actors", "4", "--mailbox", "0", "--stats", "0.01"];
    let mut worker = broker.worker("a", &none_waits);
    worker.until_it_says("running 3");
    for number in 1..=20 {
        broker.send(&[("number", number)]);
        eventually(|| broker.effects("a").len() as u64 == number);
    }
    eventually(|| broker.pending() == 3);
}

/// Those that come later take less time, so that they would overtake the others.
#[test]
fn messages_of_one_key_are_done_in_order_and_others_beside_them() {
    let done = |more: &[&str]| {
        let mut broker = Broker::start()?;
        for number in 1..=60 {
            let wait = ("wait_us", (60 - number) * 500);
            broker.send(&[("number", number), ("key", number % 3), wait]);
        }
        let worker = broker.worker("a", &[&["--until-empty"], more].concat());
        assert_exit(&worker.finish(), 0);
        Some(broker.effects("a"))
    };
    let is_in_order = |done: &[u64]| {
        let of_key = |key: u64| done.iter().filter(move |number| *number % 3 == key);
        (0..3).all(|key| of_key(key).is_sorted())
    };
    let (Some(keyed), Some(plain)) = (done(&["--key-field", "key"]), done(&[])) else {
        return;
    };
    assert_eq!((keyed.len(), plain.len()), (60, 60));
    assert!(is_in_order(&keyed), "{keyed:?}");
    assert!(!keyed.is_sorted(), "one after the other: {keyed:?}");
    assert!(!is_in_order(&plain), "nothing to keep in order: {plain:?}");
}

/// They may be begun for 1 s, and wait for 2 s; with `--max-deliveries 1`, since that is no attempt.
#[test]
fn a_message_whose_lease_may_run_out_is_not_begun() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    broker.send(&[("number", 1), ("wait_us", 2_000_000)]);
    broker.send(&[("number", 2)]);
    broker.send(&[("number", 3)]);
    let lease = ["--min-idle", "3", "--work-timeout", "2"];
    let small = ["--actors", "1", "--mailbox", "2", "--max-deliveries", "1"];
    let more = ["--claim-every", "0.02"];
    let worker = broker.worker("a", &[&lease[..], &small, &more].concat());
    eventually(|| broker.effects("a").len() == 3 && broker.pending() == 0);
    assert_exit(&worker.stop(), 0);
    assert_eq!(broker.tally("given_back"), 2);
    assert_eq!(broker.dead().len(), 0);
}

/// They wait behind a long work of the only actor.
#[test]
fn a_message_that_somebody_else_settles_is_not_begun() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    broker.send(&[("number", 1), ("wait_us", 8_000_000)]);
    let [acknowledged, deleted, claimed] =
        [2, 3, 4].map(|number| broker.send(&[("number", number)]));
    let small = ["--actors", "1", "--mailbox", "4", "--stats", "0.01"];
    let mut worker = broker.worker("a", &small);
    worker.until_it_says("running 1 queued 3");
    broker.acknowledge(&acknowledged);
    broker.delete(&deleted);
    broker.claim("other", &claimed);
    worker.until_it_says("overtaken 2 late 0 trimmed 1 ");
    broker.send(&[("number", 5)]);
    eventually(|| broker.effects("a").contains(&5) && broker.pending() == 1);
    let output = worker.stop();
    assert_exit(&output, 0);
    assert_eq!(broker.effects("a"), [1, 5]);
    assert_eq!(broker.owners(), [("other".into(), 1)]);
    assert_says(&output, &format!("{deleted}: was deleted from the stream"));
    // Nothing is said twice: that a lease came back is no verdict.
    let end = last_line(&output);
    assert!(end.contains("done 2 given_back 0 "), "{end}");
    assert!(end.contains("overtaken 2 late 0 trimmed 1 "), "{end}");
    assert_eq!(broker.tally("trimmed"), 1);
}

// --- The end ------------------------------------------------------------------------------------

/// With `--max-deliveries 1`: a release is no attempt.
#[test]
fn a_sigterm_gives_back_what_has_not_begun() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    for number in 1..=4 {
        broker.send(&[("number", number), ("wait_us", 500_000)]);
    }
    let small = ["--actors", "1", "--mailbox", "3", "--max-deliveries", "1"];
    let mut worker = broker.worker("a", &[&small[..], &["--stats", "0.01"]].concat());
    worker.until_it_says("running 1 queued 3");
    assert_exit(&worker.stop(), 0);
    assert_eq!(broker.effects("a"), [1]);
    // Nobody has them, and nobody was lost with the name of the worker that left.
    assert_eq!(broker.owners(), [("given-back".into(), 3)]);
    assert_eq!(broker.consumers(), ["given-back"]);
    assert_eq!(broker.tally("given_back"), 3);

    let more = ["--claim-every", "0.02"];
    let worker = broker.worker("b", &[&small[..], &more].concat());
    eventually(|| broker.effects("b").len() == 3 && broker.pending() == 0);
    assert_exit(&worker.stop(), 0);
    assert_eq!(broker.dead().len(), 0);
}

/// As GNU `timeout` sends it: to the process, and to its group. This failed because the second
/// signal ended the worker, and the running work was done again later.
#[test]
fn one_stop_that_comes_as_two_signals_settles_what_runs() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    broker.send(&[("number", 1), ("wait_us", 500_000)]);
    let mut worker = broker.worker("a", &["--stats", "0.01"]);
    worker.until_it_says("running 1");
    worker.signal_twice();
    assert_exit(&worker.finish(), 0);
    assert_eq!(broker.effects("a"), [1]);
    assert_eq!(broker.pending(), 0);
}

/// The failed messages rest for a while, so there are moments at which none is new and none is due.
#[test]
fn until_empty_waits_for_what_was_given_back() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    broker.send(&[("number", 1), ("fails", 2)]);
    broker.send(&[("number", 2), ("panics", ALWAYS)]);
    broker.send(&[("number", 3)]);
    let more = ["--retry-after", "0.4", "--claim-every", "0.02"];
    let worker = broker.worker("a", &[&["--until-empty"], &more[..]].concat());
    assert_exit(&worker.finish(), 0);
    assert_eq!(broker.effects("a"), [3, 1]);
    assert_eq!((broker.dead().len(), broker.pending()), (1, 0));
}

/// One is with a worker that stops in the middle, and gives another one back then. One is with a
/// worker that died.
#[test]
fn until_empty_waits_for_what_others_have() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    broker.send(&[("number", 1)]);
    broker.deliver_to("dead", 1);
    broker.send(&[("number", 2), ("wait_us", 2_000_000)]);
    broker.send(&[("number", 3)]);
    let lease = ["--min-idle", "4", "--work-timeout", "3", "--stats", "0.01"];
    let small = ["--actors", "1", "--mailbox", "1", "--claim-every", "60"];
    let mut other = broker.worker("a", &[&lease[..], &small].concat());
    other.until_it_says("running 1 queued 1");
    let more = ["--until-empty", "--claim-every", "0.02"];
    let mut worker = broker.worker("b", &[&lease[..], &more].concat());
    worker.until_it_says("idle");
    assert_exit(&other.stop(), 0);
    assert_exit(&worker.finish(), 0);
    assert_eq!(broker.effects("a"), [2]);
    let mut done = broker.effects("b");
    done.sort_unstable();
    assert_eq!(done, [1, 3]);
    assert_eq!(broker.pending(), 0);
}

#[test]
fn what_outlasts_the_grace_is_left_to_others() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    broker.send(&[("number", 1), ("wait_us", 60_000_000)]);
    let mut worker = broker.worker("a", &["--grace", "0.1", "--stats", "0.01"]);
    worker.until_it_says("running 1");
    let output = worker.stop();
    assert_exit(&output, 1);
    assert_says(&output, "1 works are left: they will be given out again");
    assert_eq!(broker.owners(), [("a".into(), 1)]);
}

/// The verdict is given, and cannot be told. The end comes all the same.
#[test]
fn a_redis_that_hangs_does_not_hold_up_the_end() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    broker.send(&[("number", 1), ("wait_us", 300_000)]);
    let mut worker = broker.worker("a", &["--grace", "0.3", "--stats", "0.01"]);
    worker.until_it_says("running 1");
    broker.signal_redis("STOP");
    eventually(|| broker.effects("a") == [1]);
    let output = worker.stop();
    broker.signal_redis("CONT");
    assert_exit(&output, 1);
    assert_says(&output, "redis does not answer");
    assert_eq!(broker.pending(), 1);
}

// --- Trouble with the broker --------------------------------------------------------------------

#[test]
fn a_verdict_outlives_its_connection() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    broker.send(&[("number", 1), ("wait_us", 300_000)]);
    let mut worker = broker.worker("a", &["--stats", "0.01"]);
    worker.until_it_says("running 1");
    broker.cut_connections();
    eventually(|| broker.pending() == 0 && broker.effects("a") == [1]);
    broker.send(&[("number", 2)]);
    eventually(|| broker.effects("a") == [1, 2]);
    let output = worker.stop();
    assert_exit(&output, 0);
    assert_says(&output, "trying again");
    assert_says(&output, "all is well again");
}

/// A dead letter takes memory, which Redis has not; an acknowledgement takes none.
#[test]
fn a_verdict_that_is_refused_holds_up_no_other() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    broker.send(&[("number", 1), ("wait_us", 300_000), ("fails", ALWAYS)]);
    broker.send(&[("number", 2), ("wait_us", 300_000)]);
    let options = ["--stats", "0.01", "--max-deliveries", "1"];
    let mut worker = broker.worker("a", &options);
    worker.until_it_says("running 2");
    broker.limit_memory("1");
    worker.until_it_complains("OOM");
    eventually(|| broker.pending() == 1);
    assert_eq!(broker.effects("a"), [2]);
    broker.limit_memory("0");
    eventually(|| broker.dead().len() == 1 && broker.pending() == 0);
    let output = worker.stop();
    assert_exit(&output, 0);
    let said = text(&output.stdout);
    assert!(
        said.contains("done 1 given_back 0 dead_lettered 1 overtaken 0"),
        "{said}"
    );
}

/// The others come one by one, since the worker has a single place. None of them waits for the
/// verdict that is refused all the time, and the connection stays.
#[test]
fn messages_go_on_while_a_verdict_is_refused() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    broker.send(&[("number", 1), ("wait_us", 1_000_000), ("fails", ALWAYS)]);
    for number in 2..=30 {
        broker.send(&[("number", number)]);
    }
    let small = ["--actors", "1", "--mailbox", "0", "--max-deliveries", "1"];
    let mut worker = broker.worker("a", &[&small[..], &["--stats", "0.01"]].concat());
    worker.until_it_says("running 1");
    broker.limit_memory("1");
    worker.until_it_complains("OOM");
    eventually(|| broker.effects("a").len() == 29 && broker.pending() == 1);
    assert_eq!(broker.dead().len(), 0);
    broker.limit_memory("0");
    eventually(|| broker.dead().len() == 1 && broker.pending() == 0);
    let output = worker.stop();
    assert_exit(&output, 0);
    assert_says(&output, "no verdict is refused any more");
    let end = last_line(&output);
    assert!(end.contains("lost_connections 0 "), "{end}");
}

/// The worker takes the message over from itself then. It has been tried, so it is not begun again,
/// and the dead letter has the reason.
#[test]
fn a_verdict_that_is_refused_outlives_its_lease() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    broker.send(&[("number", 1), ("wait_us", 2_000_000), ("fails", ALWAYS)]);
    let lease = ["--min-idle", "4", "--work-timeout", "3"];
    let more = ["--claim-every", "0.02", "--stats", "0.01"];
    let rule = ["--max-deliveries", "1"];
    let mut worker = broker.worker("a", &[&lease[..], &more, &rule].concat());
    worker.until_it_says("running 1");
    broker.limit_memory("1");
    worker.until_it_says("claimed 2");
    broker.limit_memory("0");
    eventually(|| broker.dead().len() == 1 && broker.pending() == 0);
    let output = worker.stop();
    assert_exit(&output, 0);
    let end = last_line(&output);
    assert!(end.contains("dead_lettered 1 overtaken 0 "), "{end}");
    assert_eq!(broker.dead()[0]["reason"], "the simulated failure");
}

#[test]
fn a_worker_waits_for_a_broker_that_is_not_there() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    broker.kill_redis();
    let (mut idle, mut worker) = (broker.worker("a", &[]), broker.worker("b", &[]));
    idle.until_it_complains("trying again");
    worker.until_it_complains("trying again");
    assert_exit(&idle.stop(), 0);
    broker.start_redis_again();
    broker.send(&[("number", 1)]);
    eventually(|| broker.effects("b") == [1]);
    assert_exit(&worker.stop(), 0);
}

/// As after a restart of a Redis that keeps nothing.
#[test]
fn a_group_that_is_gone_is_made_again() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    broker.send(&[("number", 1)]);
    let worker = broker.worker("a", &[]);
    eventually(|| broker.effects("a") == [1] && broker.pending() == 0);
    broker.forget_everything();
    broker.send(&[("number", 2)]);
    eventually(|| broker.effects("a") == [1, 2]);
    let output = worker.stop();
    assert_exit(&output, 0);
    assert_says(&output, "making it again");
}

#[test]
fn what_was_trimmed_is_said_to_be_lost() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    // Two that a dead worker has, and one that fails while this worker has it.
    for number in 1..=2 {
        broker.send(&[("number", number)]);
    }
    broker.deliver_to("dead", 2);
    broker.send(&[("number", 3), ("wait_us", 500_000), ("fails", 1)]);
    let lease = [
        "--min-idle",
        "0.2",
        "--work-timeout",
        "0.1",
        "--mailbox",
        "0",
    ];
    let more = ["--claim-every", "60", "--stats", "0.01"];
    let mut worker = broker.worker("a", &[&lease[..], &more].concat());
    worker.until_it_says("running 1");
    broker.trim_everything();
    worker.until_it_says("trimmed 1");
    assert_exit(&worker.stop(), 0);

    let more = ["--claim-every", "0.02", "--stats", "0.01"];
    let mut worker = broker.worker("b", &[&lease[..], &more].concat());
    worker.until_it_says("trimmed 2");
    let output = worker.stop();
    assert_exit(&output, 0);
    assert_says(&output, "was pending, and has been trimmed: it is lost");
    assert_eq!((broker.pending(), broker.tally("given_back")), (0, 0));
}

#[test]
fn only_what_every_group_has_settled_is_trimmed() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    broker.make_group("auditors");
    for number in 1..=20 {
        broker.send(&[("number", number)]);
    }
    let slow = broker.deliver_to("slow", 1);
    let worker = broker.worker("a", &["--trim", "0.02"]);
    eventually(|| broker.effects("a").len() == 19 && broker.pending() == 1);
    // The other group has read nothing: nothing may go, however often it is tried.
    broker.await_scripts(3);
    assert_eq!(broker.length(), 20);
    // Nor while a message is pending, of those behind it.
    broker.destroy_group("auditors");
    broker.await_scripts(3);
    assert_eq!(broker.length(), 20);
    // Then all but the last one that was delivered.
    broker.acknowledge(&slow);
    eventually(|| broker.length() == 1);
    broker.send(&[("number", 21)]);
    eventually(|| broker.effects("a").len() == 20);
    assert_exit(&worker.stop(), 0);
}

// --- A cluster ----------------------------------------------------------------------------------

/// A worker that is told of this node, and writes its effects to a file in the cluster's folder.
fn worker_in(cluster: &Cluster, node: usize, more: &[&str]) -> Worker {
    let mut command = program();
    command.args(["worker", "--url", &cluster.nodes[node].url()]);
    command.args(["--stream", STREAM, "--stats", "0.01", "--effects"]);
    Worker::start(command.arg(cluster.dir.0.join("effects")).args(more))
}

#[test]
fn a_cluster_leads_to_the_node_that_has_the_stream() {
    let Some(mut cluster) = Cluster::start("leads") else {
        return;
    };
    // Both are told of the node that does not have it.
    let url = cluster.nodes[1].url();
    let orders = ["--stream", STREAM, "--count", "500", "--fail-every", "100"];
    let mut produce = program();
    let produce = produce.args(["produce", "--url", &url]).args(orders);
    let output = produce.output().unwrap();
    assert_exit(&output, 0);
    let rule = ["--until-empty", "--claim-every", "0.02"];
    let output = worker_in(&cluster, 1, &rule).finish();
    assert_exit(&output, 0);
    // Of the five that fail, three fail in each delivery.
    assert_eq!(effects(&cluster.dir.0.join("effects")).len(), 497);
    assert_eq!(
        (cluster.nodes[0].dead(), cluster.nodes[0].pending()),
        (3, 0)
    );
    let end = last_line(&output);
    assert!(end.contains("lost_connections 0 "), "{end}");
}

/// First the slot is on its way, with the stream still here; then the stream is there, and the first
/// node refers to the second with ASK; then the slot is there, too, and it refers with MOVED.
#[test]
fn a_stream_that_moves_to_another_node_is_followed() {
    let Some(mut cluster) = Cluster::start("moves") else {
        return;
    };
    let file = cluster.dir.0.join("effects");
    let worker = worker_in(&cluster, 1, &["--claim-every", "0.02", "--actors", "1"]);
    cluster.nodes[0].send(&[("number", 1)]);
    eventually(|| effects(&file) == [1] && cluster.nodes[0].pending() == 0);

    cluster.begin_to_move();
    cluster.nodes[0].send(&[("number", 2)]);
    eventually(|| effects(&file) == [1, 2] && cluster.nodes[0].pending() == 0);

    cluster.move_stream();
    // The others wait for it for so long that the worker asks about them.
    cluster.nodes[1].send(&[("number", 3), ("wait_us", 1_000_000)]);
    // That a message failed can be told only when all three keys are in one place.
    cluster.nodes[1].send(&[("number", 4), ("fails", 1)]);
    cluster.nodes[1].send(&[("number", 5)]);
    eventually(|| effects(&file) == [1, 2, 3, 5] && cluster.nodes[1].pending() == 1);

    cluster.end_to_move();
    eventually(|| effects(&file) == [1, 2, 3, 5, 4] && cluster.nodes[1].pending() == 0);
    cluster.nodes[1].send(&[("number", 6)]);
    eventually(|| effects(&file).contains(&6) && cluster.nodes[1].pending() == 0);
    let output = worker.stop();
    assert_exit(&output, 0);
    // Nothing was done twice, and nothing was a lost connection.
    assert_eq!(effects(&file), [1, 2, 3, 5, 4, 6]);
    let end = last_line(&output);
    assert!(end.contains("lost_connections 0 "), "{end}");
}

/// The only node that the worker was told of.
#[test]
fn a_node_that_is_gone_is_replaced_by_its_replica() {
    let Some(mut cluster) = Cluster::start("failover") else {
        return;
    };
    let replica = cluster.add_replica();
    let file = cluster.dir.0.join("effects");
    let mut worker = worker_in(&cluster, 0, &["--claim-every", "0.02"]);
    cluster.nodes[0].send(&[("number", 1)]);
    eventually(|| effects(&file) == [1] && cluster.nodes[0].pending() == 0);
    let replicas: u64 = cluster.nodes[0].ask("WAIT", &["1", "0"]);
    assert_eq!(replicas, 1);

    cluster.nodes[0].kill();
    worker.until_it_complains("trying again");
    cluster.nodes[replica].cluster::<String>("FAILOVER", &["TAKEOVER"]);
    cluster.nodes[replica].send(&[("number", 2)]);
    eventually(|| effects(&file) == [1, 2] && cluster.nodes[replica].pending() == 0);
    assert_exit(&worker.stop(), 0);
}

/// With one key in each half of the slots, it would otherwise end when the first work fails.
#[test]
fn keys_in_several_slots_of_a_cluster_are_refused_at_the_start() {
    let Some(cluster) = Cluster::start("slots") else {
        return;
    };
    let output = worker_in(&cluster, 0, &["--stream", "works"]).finish();
    assert_exit(&output, 2);
    assert_says(
        &output,
        r#"["works", "works:dead", "works:tally"] in the slots ["#,
    );
    assert_says(
        &output,
        r#"a name in braces, as "{works}", keeps them together"#,
    );
}

// --- TLS ----------------------------------------------------------------------------------------

#[test]
fn messages_are_sent_and_done_over_tls() {
    let Some(redis) = TlsRedis::start("over") else {
        return;
    };
    let certificates = redis.certificates();
    let output = redis.produce(2_500, &certificates).output().unwrap();
    assert_exit(&output, 0);
    let file = redis.dir.0.join("effects");
    let mut worker = program();
    worker.args([
        "worker",
        "--until-empty",
        "--url",
        &redis.url(),
        "--effects",
    ]);
    let output = Worker::start(worker.arg(&file).args(&certificates)).finish();
    assert_exit(&output, 0);
    let mut done = effects(&file);
    done.sort_unstable();
    assert_eq!(done, (0..2_500).collect::<Vec<_>>());
}

#[test]
fn neither_side_of_tls_trusts_a_stranger() {
    let Some(redis) = TlsRedis::start("trust") else {
        return;
    };
    let trusted = redis.certificates();
    let [authority, own] = [&trusted[..2], &trusted[2..]].map(<[String]>::to_vec);
    let stranger = ["--cacert".to_owned(), redis.path("stranger.crt")];
    let cases = [
        // The certificates of the system, and one that signed nothing.
        (own.clone(), "invalid peer certificate: UnknownIssuer"),
        ([&stranger[..], &own].concat(), "invalid peer certificate: "),
        (authority, "CertificateRequired"),
    ];
    for (options, complaint) in cases {
        let output = redis.produce(1, &options).output().unwrap();
        assert_exit(&output, 2);
        assert_says(&output, complaint);
        // A worker goes on trying, as if the server were not there.
        let mut worker = program();
        worker
            .args(["worker", "--url", &redis.url()])
            .args(&options);
        let mut worker = Worker::start(&mut worker);
        worker.until_it_complains(complaint);
        assert_exit(&worker.stop(), 0);
    }
}

// --- Command lines ------------------------------------------------------------------------------

#[test]
fn what_is_wrong_with_a_command_line_is_said() {
    let cases: [(&[&str], &str); 15] = [
        (&[], "no command given"),
        (&["dance"], "no such command: \"dance\""),
        (&["worker", "--actors", "0"], "--actors: "),
        (
            &["worker", "--actors", "x"],
            "--actors: invalid digit found in string: \"x\"",
        ),
        (
            &["worker", "--max-deliveries", "0"],
            "--max-deliveries: it must be at least 1: 0",
        ),
        (
            &["worker", "--min-idle", "60", "--retry-after", "61"],
            "--retry-after: it must be at most --min-idle 60s: 61s",
        ),
        (
            &["worker", "--min-idle", "30", "--work-timeout", "30"],
            "--min-idle: it must be more than --work-timeout 30s: 30s",
        ),
        (&["worker", "--url", "http://localhost"], "redis: "),
        (
            &["demo", "--workers", "2"],
            "--workers: it must be at least 3: 2",
        ),
        (&["produce", "works"], "unexpected argument"),
        (
            &["produce", "--first", "18446744073709551615"],
            "--first: it must be at most 2^64 - 1 less --count 1000: 18446744073709551615",
        ),
        (
            &["worker", "--cert", "own.crt"],
            "--cert, --key: each needs the other",
        ),
        (
            &[
                "worker",
                "--url",
                "rediss://localhost",
                "--cacert",
                "nowhere.crt",
            ],
            "\"nowhere.crt\": No such file",
        ),
        (
            &["worker", "--cacert", "/dev/null"],
            "requires a URL with the `rediss://` scheme",
        ),
        (
            &["worker", "--name", "given-back"],
            "--name: it must be another: what was given back is there: given-back",
        ),
    ];
    for (args, message) in cases {
        let output = program().args(args).output().unwrap();
        assert_exit(&output, 2);
        assert_says(&output, message);
    }
    let output = program().arg("--help").output().unwrap();
    assert_exit(&output, 0);
    assert!(text(&output.stdout).starts_with("Works from a Redis stream"));
}

#[test]
fn what_produce_sends_a_worker_does() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let mut produce = broker.command("produce", &["--count", "2500", "--first", "7"]);
    let output = produce.output().unwrap();
    assert_exit(&output, 0);
    assert_eq!(text(&output.stdout), "sent 2500\n");
    let worker = broker.worker("a", &["--until-empty"]);
    let output = worker.finish();
    assert_exit(&output, 0);
    assert!(text(&output.stdout).starts_with("fetched 2500 claimed 0 done 2500 given_back 0 "));
    let mut done = broker.effects("a");
    done.sort_unstable();
    assert_eq!(done, (7..2_507).collect::<Vec<_>>());
}
