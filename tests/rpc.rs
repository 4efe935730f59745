//! The examples `rpc_server` and `rpc_client`, both as processes; rude clients; the operations port
//! and its page.

#![cfg(target_os = "linux")]

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

#[path = "rpc/browser.rs"]
mod browser;
#[expect(dead_code, reason = "the other functions serve other tests")]
mod process;
#[expect(dead_code, reason = "the other functions serve other tests")]
mod programs;
#[path = "rpc/reference.rs"]
mod reference;
#[path = "rpc/server.rs"]
mod server;
#[path = "programs/serving.rs"]
mod serving;
#[path = "it/support.rs"]
#[expect(dead_code, reason = "the other functions serve other tests")]
mod support;
#[path = "../examples/rpc_server/visitors.rs"]
#[expect(dead_code, reason = "`stream` serves the actors")]
mod visitors;

use browser::Browser;
use process::skip;
use programs::{assert_exit, assert_says, example, text};
use reference::{Reference, answers};
use server::{
    Client, Server, Tally, after, call, connect, finish, number, run, run_by, with_files,
    with_threads,
};
use support::{HANG, eventually, within};
use visitors::{Phase, Visitor, Visitors};

/// Fails unless the figures agree with what the only client of a server has counted.
#[track_caller]
fn assert_agrees(server: &Server, tally: &Tally) {
    // A work ends, and is counted, a moment after its call was answered.
    let accepted = tally.ok + tally.failed;
    server.until(|stats| is_at_rest(stats) && number(stats, "/calls/accepted") == accepted);
    let stats = server.stats();
    let calls = |name: &str| number(&stats, &format!("/calls/{name}"));
    let troupe = |name: &str| number(&stats, &format!("/troupe/{name}"));
    assert_eq!(calls("read"), tally.sent, "{stats}");
    assert_eq!(calls("ok"), tally.ok, "{stats}");
    assert_eq!(calls("panicked"), tally.panicked, "{stats}");
    assert_eq!(calls("failed") + calls("panicked"), tally.failed, "{stats}");
    assert_eq!(calls("overloaded"), tally.overloaded, "{stats}");
    assert_eq!(calls("lost"), 0, "{stats}");
    // Works are attempts.
    assert_eq!(troupe("accepted"), accepted + calls("retried"), "{stats}");
    assert_eq!(troupe("refused"), tally.overloaded, "{stats}");
    assert_eq!(troupe("completed"), tally.ok, "{stats}");
    assert_eq!(troupe("panicked"), tally.panicked, "{stats}");
    assert_eq!(
        troupe("failed"),
        calls("failed") + calls("retried"),
        "{stats}"
    );
    assert_eq!(troupe("handler_panics"), 0, "{stats}");
}

/// No work runs or waits. (Between two works an actor is not busy.)
fn is_at_rest(stats: &Value) -> bool {
    number(stats, "/troupe/busy") + number(stats, "/troupe/queued") == 0
}

// --- Load ---------------------------------------------------------------------------------------

#[test]
fn every_call_is_answered_under_errors_and_panics() {
    let rates = ["--error-rate", "0.3", "--panic-rate", "0.1"];
    let server = Server::start(&[&rates[..], &["--max", "4", "--retries", "1"]].concat());
    let load = ["--connections", "4", "--window", "32", "--duration", "0.5"];
    let tally = Tally::of(&server.client(&load).output().unwrap());
    assert!(tally.ok > 0 && tally.panicked > 0, "{tally:?}");
    assert!(tally.failed > tally.panicked, "{tally:?}");
    assert_agrees(&server, &tally);
    assert!(server.stat("/calls/retried") > 0);
}

#[test]
fn dynamic_troupe_grows_under_load_and_shrinks_after_it() {
    let sizes = ["--mode", "dynamic", "--min", "1", "--max", "6"];
    let server = Server::start(&[&sizes[..], &["--idle-timeout", "0.05"]].concat());
    assert_eq!(server.stat("/troupe/actors"), 1);
    let load = ["--window", "16", "--duration", "0.3", "--work-us", "1000"];
    let tally = Tally::of(&server.client(&load).output().unwrap());
    assert_agrees(&server, &tally);
    assert_eq!(server.stat("/troupe/peak"), 6);
    server.until(|stats| number(stats, "/troupe/actors") == 1);
}

/// One actor without a mailbox, so all but one of the calls that come together.
#[test]
fn what_does_not_fit_is_answered_overloaded_at_once() {
    let server = Server::start(&["--max", "1", "--mailbox", "0"]);
    let mut client = server.connect();
    client.call(0, 10_000_000);
    server.until(|stats| number(stats, "/troupe/busy") == 1);
    for id in 1..=50 {
        client.call(id, 0);
    }
    for id in 1..=50 {
        assert_eq!(client.error(), (json!(id), "overloaded".into()));
    }

    let server = Server::start(&["--max", "1", "--mailbox", "0"]);
    let load = ["--window", "16", "--duration", "0.3", "--work-us", "2000"];
    let tally = Tally::of(&server.client(&load).output().unwrap());
    assert!(tally.ok > 0 && tally.overloaded > 0, "{tally:?}");
}

/// Works of 1 ms, two of which can be inside: the third has to wait for the first.
#[test]
fn with_a_wait_a_call_gets_the_room_that_comes_in_time() {
    let server = Server::start(&["--max", "1", "--mailbox", "1", "--wait", "60000"]);
    let load = ["--window", "16", "--duration", "0.3", "--work-us", "1000"];
    let tally = Tally::of(&server.client(&load).output().unwrap());
    assert_eq!((tally.ok, tally.overloaded), (tally.sent, 0));
    assert_agrees(&server, &tally);
}

/// They have one time to wait for room, not one for each, nor one for each read: these are many
/// times what is read at once. (Should the server be faster than what brings them, some wait anew.
/// That is still far from what each read would take.)
#[test]
fn calls_that_come_together_wait_together() {
    let (server, _occupant) = occupied(&["--wait", "3000"]);
    let mut client = server.connect();
    client.send((0..4_000).map(|id| call(id, 0)).collect::<String>());
    within(HANG, move || {
        for id in 0..4_000 {
            assert_eq!(client.error(), (json!(id), "overloaded".into()));
        }
    });
}

/// They have room in time, and their turn comes too late.
#[test]
fn with_a_wait_a_call_that_does_not_begin_in_time_is_not_begun() {
    let server = Server::start(&["--max", "1", "--mailbox", "4", "--wait", "1000"]);
    let mut client = server.connect();
    client.call(0, 2_000_000);
    server.until(|stats| number(stats, "/troupe/busy") == 1);
    for id in 1..=4 {
        client.call(id, 0);
    }
    server.until(|stats| number(stats, "/calls/accepted") == 5);
    assert_eq!(client.answer().unwrap()["result"]["id"], 0);
    for id in 1..=4 {
        assert_eq!(client.error(), (json!(id), "overloaded".into()));
    }
    server.until(|stats| number(stats, "/troupe/expired") == 4);
}

/// A server without a place left, and the client whose call fails again and again in the only one.
fn occupied(args: &[&str]) -> (Server, Client) {
    let pool = ["--max", "1", "--mailbox", "0"];
    let fails = ["--error-rate", "1", "--retries", "4000000000"];
    let server = Server::start(&[&pool[..], &fails, args].concat());
    let mut client = server.connect();
    client.call(0, 1_000);
    server.until(|stats| number(stats, "/calls/retried") > 0);
    (server, client)
}

#[test]
fn fast_calls_overtake_a_slow_one() {
    let server = Server::start(&["--max", "2"]);
    let mut client = server.connect();
    client.call(1, 10_000_000);
    for id in 2..10 {
        client.succeed(id);
    }
}

#[test]
fn the_other_pool_answers_too() {
    let rates = ["--error-rate", "0.3", "--panic-rate", "0.1"];
    let sizes = ["--pool", "threadpool", "--max", "4", "--retries", "1"];
    let server = Server::start(&[&rates[..], &sizes].concat());
    let client = server.client(&["--duration", "30"]).spawn().unwrap();
    server.until(|stats| number(stats, "/calls/ok") > 100);
    let (code, report) = server.stop();
    assert_eq!(code, Some(0), "{report}");
    let tally = Tally::of(&finish(client));
    assert!(
        tally.failed > tally.panicked && tally.panicked > 0,
        "{tally:?}"
    );
    assert_eq!(after("ok ", &report), tally.ok);
    assert_eq!(tally.overloaded, 0);
}

/// The outcome of a call depends on the seed and its id alone.
#[test]
fn one_seed_gives_the_same_outcomes_again() {
    let outcomes = |seed: &str| {
        let rates = ["--error-rate", "0.3", "--panic-rate", "0.2", "--seed", seed];
        let server = Server::start(&[&rates[..], &["--max", "3", "--mailbox", "100"]].concat());
        let mut client = server.connect();
        for id in 0..100 {
            client.call(id, 0);
        }
        let mut answers: Vec<_> = (0..100).map(|_| client.answer().unwrap()).collect();
        answers.sort_by_key(|answer| number(answer, "/id"));
        answers
    };
    let first = outcomes("7");
    assert_eq!(first, outcomes("7"));
    assert_ne!(first, outcomes("8"));
}

// --- The end ------------------------------------------------------------------------------------

#[test]
fn a_sigterm_in_the_middle_leaves_no_call_unanswered() {
    let rates = ["--error-rate", "0.3", "--panic-rate", "0.1"];
    let server = Server::start(&[&rates[..], &["--max", "4", "--mailbox", "4"]].concat());
    let load = ["--connections", "8", "--window", "16", "--duration", "60"];
    let client = server.client(&load).spawn().unwrap();
    server.until(|stats| {
        let calls = |name: &str| number(stats, &format!("/calls/{name}"));
        calls("ok") > 500 && calls("panicked") > 0 && calls("overloaded") > 0
    });
    let (code, report) = server.stop();
    assert_eq!(code, Some(0), "{report}");
    let tally = Tally::of(&finish(client));
    assert!(tally.shutting_down > 0, "{tally:?}");
    assert_eq!(after("read ", &report), tally.sent);
    assert_eq!(after("ok ", &report), tally.ok);
    assert_eq!(after("overloaded ", &report), tally.overloaded);
    assert_eq!(after("shutting down ", &report), tally.shutting_down);
    assert_eq!(
        after(" failed ", &report) + after("panicked ", &report),
        tally.failed
    );
    assert_eq!(after("lost answers ", &report), 0);
}

#[test]
fn what_was_accepted_is_drained_and_the_rest_is_turned_down() {
    let mut server = Server::start(&["--max", "1", "--mailbox", "2"]);
    assert_eq!(server.get("/healthz"), (200, "ok\n".into()));
    let mut client = server.connect();
    for id in 0..3 {
        client.call(id, 1_000_000);
    }
    server.until(|stats| number(stats, "/calls/accepted") == 3);
    server.signal("INT");
    eventually(|| server.get("/healthz") == (503, "shutting down\n".into()));
    assert_eq!(server.stats()["shutting_down"], true);
    client.call(3, 0);
    assert_eq!(client.error(), (json!(3), "shutting down".into()));
    eventually(|| TcpStream::connect(server.calls).is_err());
    for id in 0..3 {
        assert_eq!(client.answer().unwrap()["result"]["id"], id);
    }
    // This client does not close first; the server does.
    assert_eq!(client.answer(), None);
    drop(client);
    let (code, report) = server.end();
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains("drained in "), "{report}");
}

#[test]
fn calls_that_wait_in_mailboxes_are_run_and_answered_at_the_stop() {
    let mut server = Server::start(&["--max", "2", "--mailbox", "30"]);
    let mut clients: Vec<_> = (0..4).map(|_| server.connect()).collect();
    clients[0].call(0, 3_000_000);
    clients[0].call(1, 3_000_000);
    server.until(|stats| number(stats, "/troupe/busy") == 2);
    for id in 2..62 {
        clients[id as usize % 4].call(id, 100);
    }
    server.until(|stats| number(stats, "/troupe/queued") == 60);
    server.signal("TERM");
    let mut answered = Vec::new();
    for client in &mut clients {
        while let Some(answer) = client.answer() {
            assert_eq!(answer["error"], Value::Null, "{answer}");
            answered.push(number(&answer, "/result/id"));
        }
    }
    answered.sort_unstable();
    assert_eq!(answered, Vec::from_iter(0..62));
    drop(clients);
    let (code, report) = server.end();
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(after("accepted ", &report), 62);
    assert_eq!(after("ok ", &report), 62);
}

/// The system takes connections before the server does.
#[test]
fn connections_that_wait_to_be_accepted_are_answered_at_the_stop() {
    let mut server = Server::start(&["--max", "1", "--mailbox", "100"]);
    server.signal("STOP");
    let mut clients: Vec<_> = (0..100).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.call(1, 0);
    }
    server.signal("TERM");
    server.signal("CONT");
    for client in &mut clients {
        let answer = client.answer().expect("an answer");
        let is_done = answer["error"].is_null();
        assert!(is_done || answer["error"] == "shutting down", "{answer}");
        assert_eq!(client.answer(), None);
    }
    drop(clients);
    let (code, report) = server.end();
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(after("read ", &report), 100);
}

#[test]
fn a_call_that_waits_for_room_is_turned_down_at_the_stop() {
    let (mut server, mut occupant) = occupied(&["--wait", "3600000"]);
    let mut client = server.connect();
    client.call(1, 0);
    server.until(|stats| number(stats, "/calls/read") == 2);
    server.signal("TERM");
    assert_eq!(client.error(), (json!(1), "shutting down".into()));
    assert_eq!(occupant.error(), (json!(0), "shutting down".into()));
    drop((client, occupant));
    assert_eq!(server.end().0, Some(0));
}

/// This failed because the half was answered as if the client had ended with it.
#[test]
fn half_a_call_at_the_stop_is_no_request() {
    let mut server = Server::start(&["--max", "1"]);
    let mut half = server.connect();
    half.succeed(1);
    half.send("{\"method\":\"Wor");
    server.signal("TERM");
    assert_eq!(half.answer(), None);
    drop(half);
    let (code, report) = server.end();
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(after("bad requests ", &report), 0);
}

/// Nor do these clients close when they are told the end. Fails when the server goes on reading: it
/// never sees the last call, or takes some whose answers come too late.
#[test]
fn clients_that_go_on_calling_do_not_hold_up_the_end() {
    let server = Server::start(&["--max", "1", "--stall", "2", "--grace", "86400"]);
    let clients: Vec<_> = (0..6).map(|_| server.connect()).collect();
    // With a field that nobody knows: it takes longer to read than to send.
    let known = r#""method":"Worker.Do","params":[{"id":1,"work_us":0}],"id":1"#;
    let calls = format!("{{{known},\"more\":\"{}\"}}\n", "x".repeat(60_000)).repeat(10);
    thread::scope(|scope| {
        // More than the server can read, and all answers are taken.
        for client in &clients {
            scope.spawn(|| while (&client.stream).write_all(calls.as_bytes()).is_ok() {});
            scope.spawn(|| std::io::copy(&mut &client.stream, &mut std::io::sink()));
        }
        server.until(|stats| number(stats, "/calls/read") > 100);
        let (code, report) = server.stop();
        assert_eq!(code, Some(0), "{report}");
        assert!(after("shutting down ", &report) > 0, "{report}");
        assert_eq!(after("lost answers ", &report), 0, "{report}");
    });
}

/// Answers that a server's system holds for a client that reads late are not lost, though the
/// client calls when nobody reads its calls any more. This failed because the connection was closed,
/// and reset by the calls.
#[test]
fn answers_are_not_lost_to_a_client_that_calls_after_the_end() {
    let limits = ["--in-flight", "100000", "--stall", "60", "--grace", "86400"];
    let mut server = Server::start(&[&["--max", "1", "--mailbox", "5000"][..], &limits].concat());
    let mut client = server.connect();
    // The answers are more than a client's system takes that does not read, and less than the two
    // systems hold together.
    client.send((0..4_000).map(|id| call(id, 0)).collect::<String>());
    server.until(|stats| number(stats, "/calls/ok") == 4_000);
    server.signal("TERM");
    let mut late = 4_000;
    eventually(|| {
        client.call(late, 0);
        late += 1;
        server.has_closed(&client)
    });
    for _ in 0..100 {
        client.call(late, 0);
        late += 1;
    }
    let (mut ok, mut shutting_down) = (0, 0);
    while let Some(answer) = client.answer() {
        match answer["error"].as_str() {
            None => ok += 1,
            Some("shutting down") => shutting_down += 1,
            Some(_) => panic!("{answer}"),
        }
    }
    drop(client);
    let (code, report) = server.end();
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(after("ok ", &report), ok, "{report}");
    assert!(ok >= 4_000, "{report}");
    assert_eq!(after("shutting down ", &report), shutting_down, "{report}");
    assert_eq!(after("lost answers ", &report), 0, "{report}");
}

/// A client that has more answers to come than the system holds for it, and takes none.
fn client_that_takes_nothing(limits: &[&str]) -> (Server, Client, u64) {
    let most = |which: &str| -> u64 {
        let sizes = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{which}")).unwrap();
        let most = sizes.split_whitespace().last();
        most.and_then(|most| most.parse().ok()).expect(&sizes)
    };
    let held = most("tcp_rmem") + most("tcp_wmem");
    let line = request(&"x".repeat(250), "[]", "1") + "\n";
    let answer = 200; // Bytes, and some more.
    let lines = (held / answer).next_multiple_of(1_000) + 1_000;
    let in_flight = (lines + 2).to_string();
    let server = Server::start(&[&["--max", "1", "--in-flight", &in_flight][..], limits].concat());
    let mut client = server.connect();
    let many = line.repeat(1_000);
    for _ in 0..lines / 1_000 {
        // An error means that it has been cut off already.
        client.stream.write_all(many.as_bytes()).ok();
    }
    client.stream.write_all(call(1, 0).as_bytes()).ok();
    server.until(|stats| number(stats, "/calls/ok") + number(stats, "/calls/cut") > 0);
    (server, client, lines)
}

/// This failed because the status was 0.
#[test]
fn answers_that_are_left_when_the_time_is_up_make_it_a_failure() {
    let (server, _client, lines) = client_that_takes_nothing(&["--stall", "86400", "--grace", "3"]);
    let (code, report) = server.stop();
    assert_eq!(code, Some(1), "{report}");
    assert!(report.contains("drained in "), "{report}");
    let left = after("time was up for answers: ", &report);
    assert!((1..=lines + 1).contains(&left), "{report}");
}

#[test]
fn answers_that_a_client_does_not_take_are_its_own_fault() {
    let (server, _client, _) = client_that_takes_nothing(&["--stall", "1", "--grace", "86400"]);
    // A second goes while its call runs.
    let mut other = server.connect();
    other.call(2, 500_000);
    server.until(|stats| number(stats, "/troupe/busy") == 1);
    drop(other);
    let (code, report) = server.stop();
    assert_eq!(code, Some(0), "{report}");
    assert!(!report.contains("time was up"), "{report}");
    assert!(after("lost answers ", &report) > 1, "{report}");
    assert_eq!(after("cut off ", &report), 1, "{report}");
}

#[test]
fn a_second_signal_takes_back_what_has_not_begun() {
    let mut server = Server::start(&["--max", "1", "--mailbox", "4"]);
    let mut client = server.connect();
    for id in 0..5 {
        client.call(id, 4_000_000);
    }
    server
        .until(|stats| number(stats, "/troupe/busy") == 1 && number(stats, "/troupe/queued") == 4);
    server.signal("TERM");
    eventually(|| server.get("/healthz").0 == 503);
    // Until one comes late enough to be another request.
    eventually(|| {
        server.signal("TERM");
        number(&server.stats(), "/troupe/queued") == 0
    });
    let mut ids: Vec<_> = (0..4).map(|_| client.error()).collect();
    ids.sort_by_key(|(id, _)| id.as_u64());
    let turned_down = |id: u64| (json!(id), "shutting down".to_owned());
    assert_eq!(ids, [1, 2, 3, 4].map(turned_down));
    assert_eq!(client.answer().unwrap()["result"]["id"], 0);
    drop(client);
    let (code, report) = server.end();
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(after("returned ", &report), 4);
}

/// As GNU `timeout` sends it: to the process, and to its group. This failed because the second
/// signal took back the calls that waited.
#[test]
fn one_stop_that_comes_as_two_signals_drains() {
    let mut server = Server::start(&["--max", "1", "--mailbox", "4"]);
    let mut client = server.connect();
    for id in 0..5 {
        client.call(id, 300_000);
    }
    server.until(|stats| number(stats, "/calls/accepted") == 5);
    server.signal_twice();
    for id in 0..5 {
        assert_eq!(client.answer().unwrap()["result"]["id"], id);
    }
    drop(client);
    let (code, report) = server.end();
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(after("returned ", &report), 0);
}

/// A call that fails while the troupe drains cannot be tried again.
#[test]
fn a_retry_that_is_refused_is_answered() {
    let rates = ["--error-rate", "1", "--retries", "1000000"];
    let mut server = Server::start(&[&rates[..], &["--max", "1"]].concat());
    let mut client = server.connect();
    client.call(1, 1_000);
    server.until(|stats| number(stats, "/calls/retried") > 2);
    server.signal("TERM");
    assert_eq!(client.error(), (json!(1), "shutting down".into()));
    drop(client);
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn what_outlasts_the_grace_is_left() {
    let mut server = Server::start(&["--max", "1", "--grace", "0.1"]);
    let mut client = server.connect();
    client.call(1, 10_000_000);
    client.call(2, 0);
    server.until(|stats| number(stats, "/calls/accepted") == 2);
    server.signal("TERM");
    assert_eq!(client.error(), (json!(2), "shutting down".into()));
    assert_eq!(client.answer(), None);
    let (code, report) = server.end();
    assert_eq!(code, Some(1), "{report}");
    assert!(
        report.contains("not drained: 1 works still run"),
        "{report}"
    );
}

#[test]
fn a_third_signal_ends_it_at_once() {
    let mut server = Server::start(&["--max", "1"]);
    let mut client = server.connect();
    client.call(1, 10_000_000);
    server.until(|stats| number(stats, "/troupe/busy") == 1);
    // Signals of one kind that come close together are one signal.
    server.signal("INT");
    eventually(|| server.get("/healthz").0 == 503);
    client.call(2, 0);
    assert_eq!(client.error().1, "shutting down");
    eventually(|| {
        server.signal("TERM");
        server.has_ended()
    });
    assert_eq!(server.end().0, Some(1));
}

// --- Frames -------------------------------------------------------------------------------------

/// Nobody tells the server that a call has ended but the call itself.
#[test]
fn a_call_is_answered_as_soon_as_its_last_bracket_is_there() {
    let server = Server::start(&["--max", "2", "--mailbox", "64"]);
    let mut client = server.connect();
    let compact = call(1, 0);
    let compact = compact.trim_end();
    let pretty: Value = serde_json::from_str(compact).unwrap();
    let pretty = serde_json::to_string_pretty(&pretty).unwrap();
    let many = compact.repeat(40);
    for (calls, count) in [(compact, 1), (&pretty, 1), (&many, 40)] {
        client.send(calls);
        for _ in 0..count {
            assert_eq!(client.answer().unwrap()["result"]["id"], 1, "{calls}");
        }
        for byte in calls.as_bytes() {
            client.send([*byte]);
        }
        for _ in 0..count {
            assert_eq!(client.answer().unwrap()["result"]["id"], 1, "{calls}");
        }
    }
    // One segment, and a half in another.
    client.send(format!("{compact}{pretty}\t{}", &compact[..20]));
    for _ in 0..2 {
        assert_eq!(client.answer().unwrap()["result"]["id"], 1);
    }
    client.send(&compact[20..]);
    assert_eq!(client.answer().unwrap()["result"]["id"], 1);
    assert_eq!(server.stat("/calls/bad"), 0);
}

/// This failed because serde reads a struct from an array of its fields, too.
#[test]
fn an_array_of_its_fields_is_no_call_and_no_argument() {
    let server = Server::start(&["--max", "1"]);
    let mut client = server.connect();
    client.send("[\"Worker.Do\",[{\"id\":1}],5]");
    let (id, error) = client.error();
    assert_eq!(id, Value::Null);
    assert!(error.starts_with("bad request: "), "{error}");
    client.send(request("Worker.Do", "[[1,5]]", "6"));
    let (id, error) = client.error();
    assert_eq!(id, 6);
    assert!(error.starts_with("bad request: params: "), "{error}");
    client.succeed(7);
    assert_eq!(server.stat("/calls/read"), 1);
}

/// As little does the client take one for an answer.
#[test]
fn the_client_takes_no_array_for_an_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Command::new(example("rpc_client"))
        .args(["--connect", &listener.local_addr().unwrap().to_string()])
        .args(["--connections", "1", "--window", "3", "--duration", "60"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    // The answers of any JSON-RPC server: pretty-printed, and without a line break.
    let answers = "[0,{\"id\":0,\"attempts\":1},null]\
                   {\"id\":1,\"result\":[1,1],\"error\":null}\
                   {\n \"id\": 2,\n \"result\": {\"id\": 2, \"attempts\": 1},\n \"error\": null\n}\
                   {\"id\":0,\"result\":null,\"error\":\"shutting down\"}";
    let mut calls =
        serde_json::Deserializer::from_reader(stream.try_clone().unwrap()).into_iter::<Value>();
    for id in 0..3 {
        assert_eq!(calls.next().unwrap().unwrap()["id"], id);
    }
    stream.write_all(answers.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let output = finish(client);
    assert_exit(&output, 1);
    let said = text(&output.stdout);
    assert_eq!(after("ok: ", &said), 1, "{said}");
    assert_eq!(after("strange answers: ", &said), 2, "{said}");
    assert_eq!(after("shutting down: ", &said), 1, "{said}");
}

/// The same bytes to this server and to one in Go.
#[test]
fn calls_are_framed_and_answered_as_by_the_server_of_go() {
    let Some(reference) = Reference::start("as-go") else {
        return skip("there is no Go");
    };
    let server = Server::start(&["--max", "1", "--mailbox", "64"]);
    let good = |id: &str| request("Worker.Do", "[{\"id\":1}]", id);
    let whole = good("1");
    let pretty: Value = serde_json::from_str(&whole).unwrap();
    let mut cases = vec![
        whole.clone(),
        whole.clone() + &good("2"),
        format!("{whole} {}\r\n\n\t{}", good("2"), good("3")),
        serde_json::to_string_pretty(&pretty).unwrap(),
        " \n".into(),
        // Not calls, but answered.
        "{}".into(),
        "{\"id\":7}".into(),
        "{\"method\":\"Worker.Do\",\"params\":[{\"id\":1}]}".into(),
        "{\"method\":\"Worker.Do\",\"id\":1}".into(),
        "{\"jsonrpc\":\"2.0\",\"method\":\"Worker.Do\",\"params\":[{\"id\":1,\"x\":[{}]}],\"id\":1}".into(),
        request("Worker.Dance", "[{}]", "1"),
        request("Baker.Do", "[{}]", "1"),
        request("Do", "[{}]", "1"),
        request("Worker.Do", "null", "1"),
        request("Worker.Do", "{\"id\":1}", "1"),
        request("Worker.Do", "5", "1"),
        request("Worker.Do", "[[1,5]]", "1"),
        request("Worker.Do", "[5]", "1"),
        request("Worker.Do", "[{\"id\":1.0}]", "1"),
        request("Worker.Do", "[{\"id\":-1}]", "1"),
        request("Worker.Do", "[{\"id\":18446744073709551616}]", "1"),
        request("Worker.Do", "[{\"id\":\"1\"}]", "1"),
        // Nothing that is JSON.
        "garbage".into(),
        "}".into(),
        whole.replace(']', "}"),
        whole.replace('"', "'"),
        whole.clone() + "\0",
        format!("\u{feff}{whole}"),
        format!("{}:{whole},", whole.len()),
        format!("Content-Length: {}\r\n\r\n{whole}", whole.len()),
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n".into(),
        "\u{16}\u{3}\u{1}".into(),
    ];
    let ids = [
        "null",
        "\"\"",
        "1.5",
        "-0",
        "1e999",
        "true",
        "[]",
        "{}",
        "\"\\ud800\"",
        "\"a\\/b\"",
        "\"\u{e9}\"",
        "123456789012345678901234567890",
        "[[[[[[[[]]]]]]]]",
    ];
    cases.extend(ids.map(good));
    for case in &cases {
        // The last one is answered if the connection has not ended.
        let bytes = format!("{case}\n{}", request("Worker.Dance", "[]", "\"next\""));
        for pieces in [1, bytes.len()] {
            let pieces: Vec<_> = bytes
                .as_bytes()
                .chunks(bytes.len().div_ceil(pieces))
                .collect();
            let expected = reference.answers(&pieces);
            assert_eq!(answers(server.calls, &pieces), expected, "to {case}");
        }
    }
    // Half a value, behind which the client closes.
    for length in [1, 10, whole.len() - 1] {
        let half = format!("{whole}{}", &whole[..length]);
        let expected = reference.answers(&[half.as_bytes()]);
        assert_eq!(answers(server.calls, &[half.as_bytes()]), expected);
    }
}

/// The table in the header of the server.
#[test]
fn where_go_is_lenient_this_server_is_strict() {
    let Some(reference) = Reference::start("stricter-than-go") else {
        return skip("there is no Go");
    };
    let server = Server::start(&["--max", "1"]);
    let next = call(9, 0);
    let done = |id: u64, argument: u64| {
        format!("{{\"id\":{id},\"result\":{{\"id\":{argument},\"attempts\":1}},\"error\":null}}")
    };
    let whole = request("Worker.Do", "[{\"id\":1}]", "1");
    let twice = whole.replacen('{', "{\"id\":5,", 1);
    let cased = whole
        .replace("method", "Method")
        .replace("params", "PARAMS");
    let ill_formed = Some("\"rpc: service/method request ill-formed: \"");
    let wrong = Some("\"wrong params\"");
    // With the complaint of this server, unless its id is null: `answers` leaves those out.
    let lenient = [
        (twice, 1, None),
        (cased, 1, ill_formed),
        (request("Worker.Do", "[{\"ID\":1}]", "1"), 1, wrong),
        (request("Worker.Do", "[{\"id\":1},2]", "1"), 1, wrong),
        (request("Worker.Do", "[]", "1"), 0, wrong),
        (request("Worker.Do", "[{}]", "1"), 0, wrong),
        (request("Worker.Do", "[null]", "1"), 0, wrong),
    ];
    for (case, argument, complaint) in lenient {
        let bytes = format!("{case}{next}");
        let mut expected = [done(1, argument), done(9, 9)];
        expected.sort_unstable();
        assert_eq!(reference.answers(&[bytes.as_bytes()]), expected, "{case}");
        let found = answers(server.calls, &[bytes.as_bytes()]);
        let (good, others): (Vec<_>, Vec<_>) = found.iter().partition(|line| **line == done(9, 9));
        assert_eq!(good.len(), 1, "{case}: {found:?}");
        assert_eq!(others.len(), complaint.iter().count(), "{case}: {found:?}");
        let is_complaint =
            |line: &&String| complaint.is_some_and(|complaint| line.contains(complaint));
        assert!(others.iter().all(is_complaint), "{case}: {found:?}");
    }
    for case in ["[\"Worker.Do\",[{\"id\":1}],1]", "5", "\"x\"", "[]"] {
        let bytes = format!("{case} {next}");
        let none: [String; 0] = [];
        assert_eq!(reference.answers(&[bytes.as_bytes()]), none, "{case}");
        let found = answers(server.calls, &[bytes.as_bytes()]);
        assert_eq!(found, [done(9, 9)], "{case}");
    }
    assert_eq!(server.stat("/calls/bad"), 11);
    assert_eq!(server.stat("/calls/ok"), 11);
}

// --- Rude clients -------------------------------------------------------------------------------

#[test]
fn what_is_no_call_gets_a_defined_answer_and_the_next_is_served() {
    let server = Server::start(&["--max", "2"]);
    let mut client = server.connect();
    let long_id = format!("\"{}\"", "x".repeat(100));
    let long_name = "y".repeat(10_000);
    let cases = [
        ("[1,2,3]".into(), json!(null), "bad request: "),
        ("5".into(), json!(null), "bad request: "),
        ("null".into(), json!(null), "bad request: "),
        (
            "{\"method\":5,\"id\":1}".into(),
            json!(null),
            "bad request: ",
        ),
        (
            "{\"id\":1,\"id\":2}".into(),
            json!(null),
            "bad request: duplicate field",
        ),
        (
            "{}".into(),
            json!(null),
            "rpc: service/method request ill-formed: ",
        ),
        (
            request("Worker.Do", "[]", "1"),
            json!(1),
            "bad request: params: ",
        ),
        (
            request("Worker.Do", "[{\"id\":-1}]", "2"),
            json!(2),
            "bad request: params: ",
        ),
        (
            request("Worker.Do", "[{\"id\":1},{\"id\":2}]", "3"),
            json!(3),
            "bad request: params: ",
        ),
        (
            request("Worker.Do", "null", "4"),
            json!(4),
            "jsonrpc: request body missing params",
        ),
        (
            request("Worker.Do", "[{\"id\":1,\"work_us\":10000001}]", "5"),
            json!(5),
            "bad request: params: work_us is more than 10000000",
        ),
        (
            request("Worker.Do", "[{\"id\":1}]", &long_id),
            json!(null),
            "bad request: the id is longer than 64 bytes",
        ),
        (
            request("Worker.Dance", "[{\"id\":1}]", "\"six\""),
            json!("six"),
            "rpc: can't find method Worker.Dance",
        ),
        (
            request("Baker.Do", "[{\"id\":1}]", "7"),
            json!(7),
            "rpc: can't find service Baker.Do",
        ),
        (
            request("Do", "[{\"id\":1}]", "8"),
            json!(8),
            "rpc: service/method request ill-formed: Do",
        ),
        (
            request(&long_name, "[]", "9"),
            json!(9),
            "rpc: service/method request ill-formed: yyy",
        ),
    ];
    let count = cases.len() as u64;
    for (line, id, error) in cases {
        client.send(format!("{line}\n"));
        let (found_id, found) = client.error();
        assert_eq!(found_id, id, "to {line:?}");
        assert!(found.starts_with(error), "{found:?} to {line:?}");
        assert!(found.len() < 256, "{} bytes to {line:?}", found.len());
    }
    client.send("\n  \r\n\n");
    client.succeed(10);
    // Escapes, blanks, fields in another order, and fields that nobody knows.
    client.send(
        "{ \"id\": \"a\\nb\", \"jsonrpc\": \"1.0\", \"params\": [ {\"id\": 1} ], \"method\": \"W\\u006frker.Do\" }\r\n",
    );
    assert_eq!(client.answer().unwrap()["id"], "a\nb");
    assert_eq!(server.stat("/calls/bad"), count);
    // The last call may lack its line break; then this client closes for writing, and gets the answer.
    client.send(call(11, 0).trim_end());
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.answer().unwrap()["id"], 11);
    assert_eq!(client.answer(), None);
    server.until(|stats| number(stats, "/connections") == 0);
}

fn request(method: &str, params: &str, id: &str) -> String {
    format!("{{\"method\":\"{method}\",\"params\":{params},\"id\":{id}}}")
}

/// Takes the last answers of a connection: that to call 1, and a complaint that has no id. Either may
/// come first. Returns the complaint.
#[track_caller]
fn last_complaint(client: &mut Client) -> String {
    let mut answers: Vec<_> = (0..2).map(|_| client.answer().unwrap()).collect();
    answers.sort_by_key(|answer| answer["id"].as_u64());
    assert_eq!(answers[0]["id"], Value::Null);
    assert_eq!(answers[1]["result"]["id"], 1);
    assert_eq!(client.answer(), None);
    answers[0]["error"].as_str().expect("an error").to_owned()
}

#[test]
fn what_is_no_json_is_answered_once_and_ends_the_connection() {
    let server = Server::start(&["--max", "1"]);
    let broken: [&[u8]; 6] = [
        b"garbage",
        b"\0\x01{{{{[[[",
        b"{\"id\":1,}",
        b"}",
        b"\xff\xfe",
        b"{\"method\":\"\xff\",\"id\":1}",
    ];
    for (count, broken) in (1..).zip(broken) {
        let mut client = server.connect();
        client.call(1, 100_000);
        client.send(broken);
        client.call(2, 0);
        let complaint = last_complaint(&mut client);
        let is_bad = complaint.starts_with("bad request: ");
        assert!(is_bad, "{complaint} to {broken:?}");
        assert_eq!(server.stat("/calls/bad"), count);
    }
}

#[test]
fn a_value_over_the_limit_is_answered_once_and_ends_the_connection() {
    let server = Server::start(&["--max", "1", "--frame", "100"]);
    let complaint = (
        Value::Null,
        "bad request: a value of more than 100 bytes".to_owned(),
    );
    let fill = |length: usize| {
        let known = "{\"method\":\"Worker.Do\",\"params\":[{\"id\":1}],\"id\":1,\"x\":\"\"}";
        let rest = "x".repeat(length - known.len());
        known.replace("\"\"}", &format!("\"{rest}\"}}"))
    };
    for length in [101, 8_000, 3_000_000] {
        let mut client = server.connect();
        // Blanks are no part of a value.
        client.send(" ".repeat(1_000));
        client.send(fill(100));
        assert_eq!(client.answer().unwrap()["result"]["id"], 1);
        // The server reads on, so no reset takes its answer along.
        client.send(fill(length));
        assert_eq!(client.error(), complaint);
        assert_eq!(client.answer(), None);
    }
    assert_eq!(server.stat("/calls/bad"), 3);
}

#[test]
fn half_a_value_is_given_up_in_time() {
    let server = Server::start(&["--max", "1", "--stall", "0.2"]);
    let mut idle = server.connect();
    idle.succeed(1);
    let mut client = server.connect();
    client.call(1, 300_000);
    client.send("{\"method\":\"Wor");
    let complaint = "bad request: a value that was not finished in time";
    assert_eq!(last_complaint(&mut client), complaint);
    // A client that says nothing at all may do that for any time.
    idle.succeed(2);
    // So may one that sends blanks.
    idle.send(" \n");
    server.until(|stats| number(stats, "/connections") == 1);
    idle.succeed(3);
}

/// A byte now and then does not buy time.
#[test]
fn a_value_that_trickles_in_is_given_up_in_time() {
    let server = Server::start(&["--max", "1", "--stall", "0.3", "--frame", "1073741824"]);
    let mut client = server.connect();
    let mut trickle = client.stream.try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            // Until the server has told the end and cut the connection off.
            while trickle.write_all(b"[").is_ok() {}
        });
        let complaint = "bad request: a value that was not finished in time";
        assert_eq!(client.error(), (Value::Null, complaint.into()));
        assert_eq!(client.answer(), None);
    });
}

/// Unlike at the server's own end, it is known then that no more can come.
#[test]
fn half_a_value_before_the_client_closes_is_a_bad_request() {
    let server = Server::start(&["--max", "1"]);
    let mut client = server.connect();
    client.call(1, 100_000);
    client.send("{\"method\":\"Wor");
    client.stream.shutdown(Shutdown::Write).unwrap();
    let complaint = last_complaint(&mut client);
    assert!(complaint.starts_with("bad request: "), "{complaint}");
    // Nothing but blanks is no value.
    let mut client = server.connect();
    client.send("\n \t");
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.answer(), None);
    assert_eq!(server.stat("/calls/bad"), 1);
}

/// This failed because a complaint was cut before it was escaped: a NUL is six bytes then.
#[test]
fn no_answer_is_longer_than_the_header_says() {
    let server = Server::start(&["--max", "1"]);
    let mut client = server.connect();
    let id = format!("\"{}\"", "\\\"".repeat(31));
    assert_eq!(id.len(), 64);
    let mut longest = 0;
    for text in [
        "\\u0000",
        "\\u001f",
        "\\\"",
        "\\\\",
        "\\n",
        "\\b",
        "\u{7f}",
        "x",
        "\u{e9}",
        "\u{1f3ad}",
        "\\ud83c\\udfad",
    ] {
        let text = text.repeat(1_000);
        let params = format!("[{{\"id\":\"{text}\"}}]");
        let ill_formed = "rpc: service/method request ill-formed: ";
        for (method, params, start) in [
            (text.clone(), "[]", ill_formed),
            (format!("Worker.{text}"), "[]", "rpc: can't find method "),
            (
                "Worker.Do".into(),
                &params,
                "bad request: params: invalid type: ",
            ),
        ] {
            client.send(request(&method, params, &id) + "\n");
            let answer = client.line();
            longest = longest.max(answer.len());
            let answer: Value = serde_json::from_str(&answer).expect(&answer);
            let error = answer["error"].as_str().expect("an error");
            assert!(error.starts_with(start), "{error:?}");
            assert!(error.ends_with(" ..."), "{error:?}");
        }
    }
    assert!((250..=320).contains(&longest), "{longest} bytes");
}

/// This failed because calls held their connection's file, and a connection that was reset waited for
/// its calls.
#[test]
fn a_client_that_has_reset_has_no_file_though_its_calls_still_run() {
    let server = Server::start(&["--max", "1", "--mailbox", "20"]);
    let before = server.files();
    let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.call(1, 0);
        // A client that goes with an answer unread resets its connection.
        assert_eq!(client.stream.peek(&mut [0]).unwrap(), 1);
    }
    for client in &mut clients {
        client.call(2, 10_000_000);
    }
    server.until(|stats| number(stats, "/calls/accepted") == 40);
    drop(clients);
    eventually(|| server.stat("/connections") == 0 && server.files() <= before);
    let stats = server.stats();
    assert!(number(&stats, "/troupe/queued") > 0, "{stats}");
}

/// This failed because 64 files were kept for all else: the operations port alone can take more.
#[test]
fn the_system_has_a_file_for_all_that_is_let_in() {
    let output = run_by(with_files(160), &["--connections", "160"]);
    assert_exit(&output, 2);
    let words = "--connections: the system allows 160 open files, so at most ";
    let most = after(words, &text(&output.stderr));
    let server = Server::start_with_files(160, &["--connections", &most.to_string()]);
    // More than the operations port takes at once.
    let halves: Vec<_> = (0..80).map(|_| server.begin_to_ask()).collect();
    let mut clients: Vec<_> = (0..most).map(|_| server.connect()).collect();
    for (id, client) in clients.iter_mut().enumerate() {
        client.succeed(id as u64);
    }
    let error = server.connect().error().1;
    assert_eq!(error, "overloaded: too many connections");
    drop(halves);
    let mut stats = None;
    eventually(|| {
        stats = server.stats_if_answered();
        stats.is_some()
    });
    let stats = stats.unwrap();
    assert_eq!(number(&stats, "/calls/accept_errors"), 0, "{stats}");
    assert_eq!(number(&stats, "/calls/connected"), most, "{stats}");

    let output = run_by(with_files(70), &[]);
    assert_exit(&output, 2);
    assert_says(
        &output,
        "--connections: the system allows 70 open files, so at most 0",
    );
}

/// This failed because a connection whose second thread was refused was counted as served, too.
#[test]
fn a_connection_without_a_thread_is_turned_away_and_counted_once() {
    // An even and an odd number of threads left: each of a connection's two is refused once.
    for threads in [24, 25] {
        let (command, _dir) = match with_threads(threads) {
            Ok(limited) => limited,
            Err(reason) => return skip(&reason),
        };
        let server = Server::start_by(command, &["--max", "1"]);
        let before = server.threads();
        let mut clients = Vec::new();
        loop {
            let mut client = server.connect();
            client.call(1, 0);
            let answer = client.answer().expect("an answer");
            if !answer["error"].is_null() {
                assert_eq!(answer["error"], "overloaded: too many connections");
                break;
            }
            clients.push(client);
            assert!(clients.len() < threads, "the limit binds");
        }
        let served = clients.len() as u64;
        drop(clients);
        // There are threads for the connection by which the server wakes its own, too.
        eventually(|| server.threads() <= before);
        let (code, report) = server.stop();
        assert_eq!(code, Some(0), "{report}");
        assert_eq!(after("connections ", &report), served + 1, "{report}");
        assert_eq!(after("turned away ", &report), 1, "{report}");
    }
}

#[test]
fn a_client_that_stops_reading_is_cut_off() {
    let limits = ["--stall", "0.3", "--in-flight", "50"];
    let server = Server::start(&[&limits[..], &["--max", "1", "--mailbox", "100"]].concat());
    let mut slow = server.connect();
    let calls: String = (0..1_000).map(|id| call(id, 0)).collect();
    slow.stream
        .set_write_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    let mut rest = calls.as_bytes();
    // Until it is cut off, the server stops to read from it, too.
    eventually(|| match slow.stream.write(rest) {
        Ok(written) => {
            rest = &rest[written..];
            if rest.is_empty() {
                rest = calls.as_bytes();
            }
            false
        }
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
    });
    server.until(|stats| number(stats, "/connections") == 0);
    server.until(|stats| number(stats, "/calls/read") == number(stats, "/calls/ok"));
    let stats = server.stats();
    assert_eq!(number(&stats, "/calls/cut"), 1, "{stats}");
    assert!(number(&stats, "/calls/lost") <= 50, "{stats}");
    server.connect().succeed(1);
}

#[test]
fn no_more_calls_are_read_than_may_be_in_flight() {
    let server = Server::start(&["--max", "4", "--in-flight", "3"]);
    let mut client = server.connect();
    for id in 0..3 {
        client.call(id, 10_000_000);
    }
    for id in 3..20 {
        client.call(id, 0);
    }
    server.until(|stats| number(stats, "/troupe/busy") == 3);
    let mut other = server.connect();
    for id in 100..120 {
        other.call(id, 0);
    }
    for _ in 100..120 {
        assert!(number(&other.answer().unwrap(), "/id") >= 100);
    }
    assert_eq!(server.stat("/calls/read"), 3 + 20);
}

#[test]
fn calls_of_a_client_that_has_gone_are_run() {
    let server = Server::start(&["--max", "2", "--mailbox", "20"]);
    let mut client = server.connect();
    for id in 0..20 {
        client.call(id, 20_000);
    }
    server.until(|stats| number(stats, "/calls/accepted") == 20);
    drop(client);
    server.until(|stats| number(stats, "/connections") == 0);
    server.until(|stats| number(stats, "/calls/ok") == 20);
    let stats = server.stats();
    assert!(number(&stats, "/calls/lost") > 0, "{stats}");
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_connection_too_many_is_told_so() {
    let server = Server::start(&["--max", "1", "--connections", "2"]);
    let (mut first, mut second) = (server.connect(), server.connect());
    first.succeed(1);
    second.succeed(2);
    let mut third = server.connect();
    assert_eq!(
        third.error(),
        (Value::Null, "overloaded: too many connections".into())
    );
    assert_eq!(third.answer(), None);
    assert_eq!(server.stat("/calls/turned_away"), 1);
    drop(first);
    server.until(|stats| number(stats, "/connections") == 1);
    server.connect().succeed(3);
    second.succeed(4);
}

/// All at once, beside a load whose every call has to be answered, through a SIGTERM.
#[test]
fn rude_clients_harm_nobody_else() {
    let rates = ["--error-rate", "0.1", "--panic-rate", "0.05"];
    let sizes = ["--max", "4", "--mailbox", "64", "--stall", "1"];
    let server = Server::start(&[&rates[..], &sizes].concat());
    let load = ["--connections", "8", "--window", "16", "--duration", "60"];
    let polite = server.client(&load).spawn().unwrap();

    let mut halves: Vec<_> = (0..50).map(|_| server.connect()).collect();
    for half in &mut halves {
        half.send("{\"method\":\"Worker.Do\",\"params\":[{\"id\"");
    }
    let mut garbage = server.connect();
    garbage.send("[\"\\u0001\"]\n{} ".repeat(500) + "}{\n");
    let mut silent = server.connect();
    for id in 0..200 {
        silent.call(id, 100);
    }
    let mut leaving = server.connect();
    leaving.send((0..100).map(|id| call(id, 1_000)).collect::<String>());
    drop(leaving);
    let many = ["--connections", "1000", "--window", "1", "--duration", "1"];
    let many = server.client(&many).spawn().unwrap();
    server.until(|stats| number(stats, "/calls/connected") > 1_050);

    for _ in 0..500 {
        assert!(garbage.error().1.starts_with("bad request: "));
        assert!(garbage.error().1.starts_with("rpc: "));
    }
    assert!(garbage.error().1.starts_with("bad request: "));
    assert_eq!(garbage.answer(), None);
    for half in &mut halves {
        assert!(half.error().1.starts_with("bad request: "));
        assert_eq!(half.answer(), None);
    }
    let many = Tally::of(&finish(many));
    assert!(many.sent > 0, "{many:?}");
    drop(silent);
    let ok = server.stat("/calls/ok");
    server.until(|stats| number(stats, "/calls/ok") > ok + 100);
    let (code, report) = server.stop();
    assert_eq!(code, Some(0), "{report}");
    let polite = Tally::of(&finish(polite));
    assert!(polite.ok > 0 && polite.shutting_down > 0, "{polite:?}");
    let answered = [
        "ok ",
        " failed ",
        "panicked ",
        "overloaded ",
        "shutting down ",
    ];
    let answered: u64 = answered.iter().map(|word| after(word, &report)).sum();
    assert_eq!(after("read ", &report), answered, "{report}");
}

/// The offered load is many times that which can be served.
#[test]
fn memory_is_flat_under_overload() {
    let server = Server::start(&["--max", "2", "--mailbox", "16"]);
    let overload = |duration: &str| {
        let load = ["--connections", "8", "--window", "200", "--work-us", "2000"];
        let mut client = server.client(&[&load[..], &["--duration", duration]].concat());
        Tally::of(&client.output().unwrap())
    };
    overload("0.5");
    let before = server.stat("/resident_bytes");
    let tally = overload("2");
    assert!(tally.overloaded > 2 * tally.ok, "{tally:?}");
    let after = server.stat("/resident_bytes");
    // A fifth, and what the allocator may keep for a thread more.
    assert!(
        after <= before + before / 5 + (1 << 20),
        "{before} bytes, then {after}"
    );
}

// --- The command line ---------------------------------------------------------------------------

#[test]
fn wrong_settings_are_named() {
    let server: &[(&[&str], &str)] = &[
        (&["--max", "0"], "--max: invalid max 0"),
        (&["--max", "many"], "--max: "),
        (&["--max", "0", "--pool", "threadpool"], "--max: "),
        (
            &["--mailbox", "99999999"],
            "--mailbox: invalid mailbox_size",
        ),
        (
            &["--mode", "dynamic", "--min", "5", "--max", "4"],
            "--min: invalid min 5",
        ),
        (&["--mode", "static"], "--mode: "),
        (&["--min", "1"], "--min: only with --mode dynamic"),
        (
            &["--idle-timeout", "1"],
            "--idle-timeout: only with --mode dynamic",
        ),
        (
            &["--mode", "dynamic", "--idle-timeout", "-1"],
            "--idle-timeout: ",
        ),
        (&["--mode", "dynamic", "--pool", "threadpool"], "--pool: "),
        (&["--pool", "swimming"], "--pool: "),
        (&["--wait", "NaN"], "--wait: "),
        (&["--retries", "-1"], "--retries: "),
        (&["--work-ms", "3"], "--work-ms: it must be MIN..MAX"),
        (&["--work-ms", "3..1"], "--work-ms: MIN must be at most MAX"),
        (&["--work-ms", "1..x"], "--work-ms: "),
        (
            &["--error-rate", "1.5"],
            "--error-rate: it must be from 0 to 1",
        ),
        (&["--error-rate", "NaN"], "--error-rate: "),
        (&["--panic-rate", "-0.1"], "--panic-rate: "),
        (
            &["--error-rate", "0.6", "--panic-rate", "0.6"],
            "--panic-rate: ",
        ),
        (&["--seed", "x"], "--seed: "),
        (
            &["--connections", "0"],
            "--connections: it must be at least 1",
        ),
        (
            &["--connections", "4000000000"],
            "--connections: the system allows ",
        ),
        (&["--in-flight", "0"], "--in-flight: "),
        (&["--frame", "10"], "--frame: "),
        (&["--stall", "0"], "--stall: "),
        (
            &["--stall", "1e10"],
            "--stall: it must be from 0.000001 to 86400",
        ),
        (&["--grace", "x"], "--grace: "),
        (&["--frobnicate"], "--frobnicate"),
        (&["stray"], "stray"),
    ];
    let client: &[(&[&str], &str)] = &[
        (&["--connections", "0"], "--connections: "),
        (&["--window", "0"], "--window: "),
        (&["--rate", "0"], "--rate: "),
        (&["--duration", "0"], "--duration: "),
        (&["--duration", "1e99"], "--duration: "),
        (&["--patience", "x"], "--patience: "),
        (&["--work-us", "x"], "--work-us: "),
        (&["--frobnicate"], "--frobnicate"),
    ];
    for (program, cases) in [("rpc_server", server), ("rpc_client", client)] {
        for (args, words) in cases {
            let output = run(example(program), args);
            assert_exit(&output, 2);
            assert_says(&output, words);
            assert_eq!(text(&output.stdout), "", "{args:?}");
        }
        let output = run(example(program), &["--help"]);
        assert_exit(&output, 0);
        assert!(text(&output.stdout).contains(&format!("usage: {program}")));
    }
}

#[test]
fn addresses_that_cannot_be_had_are_named() {
    let server = Server::start(&["--max", "1"]);
    for option in ["--listen", "--ops"] {
        let other = match option {
            "--listen" => "--ops",
            _ => "--listen",
        };
        let taken = server.calls.to_string();
        let output = run(
            example("rpc_server"),
            &[other, "127.0.0.1:0", option, &taken],
        );
        assert_exit(&output, 1);
        assert_says(&output, &format!("{option}: \"{taken}\": "));
    }
    let gone = server.calls.to_string();
    server.stop();
    let output = run(
        example("rpc_client"),
        &["--connect", &gone, "--duration", "1"],
    );
    assert_exit(&output, 1);
    assert_says(&output, "--connect: ");
}

/// A server that is killed leaves calls unanswered, and the client says how many.
#[test]
fn the_client_counts_what_is_left_unanswered() {
    let server = Server::start(&["--max", "1", "--mailbox", "9"]);
    let load = [
        "--connections",
        "2",
        "--window",
        "5",
        "--work-us",
        "10000000",
    ];
    let client = server.client(&load).spawn().unwrap();
    server.until(|stats| number(stats, "/calls/accepted") == 10);
    server.signal("KILL");
    let output = finish(client);
    assert_exit(&output, 1);
    let said = text(&output.stdout);
    assert_eq!(
        (after("sent: ", &said), after("unanswered: ", &said)),
        (10, 10)
    );
}

#[test]
fn the_client_keeps_its_rate() {
    let server = Server::start(&["--max", "2"]);
    let load = ["--connections", "3", "--rate", "200", "--duration", "1"];
    let tally = Tally::of(&server.client(&load).output().unwrap());
    assert!((100..=201).contains(&tally.sent), "{tally:?}");
}

// --- Operations ---------------------------------------------------------------------------------

#[test]
fn the_operations_port_answers() {
    let server = Server::start(&["--max", "3", "--mailbox", "5"]);
    server.connect().succeed(1);
    let stats = server.stats();
    assert_eq!(number(&stats, "/troupe/capacity"), 18);
    assert_eq!(number(&stats, "/troupe/actors"), 3);
    assert_eq!(stats["pool"], "troupe");
    assert_eq!(stats["shutting_down"], false);
    let (head, _) = server.ask("GET", "/stats");
    assert!(head.contains("Content-Type: application/json"), "{head}");
    assert_eq!(server.get("/nothing").0, 404);
    let (head, _) = server.ask("POST", "/stats");
    assert!(
        head.contains(" 405 ") && head.contains("Allow: GET, HEAD"),
        "{head}"
    );
    let (head, body) = server.ask("HEAD", "/metrics");
    assert!(head.contains(" 200 ") && body.is_empty(), "{head}");
    let trend: Value = serde_json::from_str(&server.get("/trend").1).unwrap();
    assert_eq!(number(&trend, "/0/actors"), 3);

    let (status, page) = server.get("/");
    assert_eq!(status, 200);
    for foreign in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!page.contains(foreign), "the page has {foreign}");
    }
}

/// RFC 9110 and RFC 9112.
#[test]
fn the_operations_port_speaks_http() {
    let server = Server::start(&["--max", "1"]);
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n");
    let with = |fields: &str| format!("GET /healthz HTTP/1.1\r\n{fields}\r\n");
    let headers =
        |count: usize| with(&("Host: test\r\n".to_owned() + &"X: y\r\n".repeat(count - 1)));
    let content = format!(
        "POST /stats HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n{}",
        "x".repeat(1_000_000)
    );
    for (request, status) in [
        (get("/healthz"), 200),
        (get("/healthz?x=1"), 200),
        (get("http://test/healthz"), 200),
        (get("HTTP://test:80/healthz?x=http://y"), 200),
        (get("http://test"), 200),
        (get("http://test?x"), 200),
        (get("/nothing"), 404),
        (get("http://test/nothing"), 404),
        (get("healthz"), 400),
        (get("http:///healthz"), 400),
        (get("ftp://test/healthz"), 400),
        (with("Host: test\r\nConnection: keep-alive\r\n"), 200),
        (with("hOST: [::1]:4489\r\n"), 200),
        (with("Host:\r\n"), 200),
        (with(""), 400),
        (with("Host: test\r\nHost: test\r\n"), 400),
        (with("Host: two words\r\n"), 400),
        (with("Host: test/\r\n"), 400),
        ("GET /healthz HTTP/1.0\r\n\r\n".into(), 200),
        ("\r\nGET /healthz HTTP/1.1\nHost: test\n\n".into(), 200),
        ("nonsense\r\n\r\n".into(), 400),
        ("\u{16}\u{3}\u{1}".into(), 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 505),
        ("OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n".into(), 405),
        ("CONNECT test:80 HTTP/1.1\r\nHost: test\r\n\r\n".into(), 405),
        (headers(64), 200),
        (headers(65), 431),
        (headers(1_000), 431),
        (
            with(&format!("Host: test\r\nX: {}\r\n", "x".repeat(15 * 1024))),
            200,
        ),
        (
            with(&format!("Host: test\r\nX: {}\r\n", "x".repeat(200 * 1024))),
            431,
        ),
        (get(&format!("/{}", "x".repeat(200 * 1024))), 414),
        // The answer comes whole though the content is not read before.
        (content, 405),
        (get("/healthz").repeat(1_000), 200),
    ] {
        let answer = server.say_to_ops(&request);
        let request = request.get(..80).unwrap_or(&request);
        let start = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&start), "{answer} to {request:?}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let length = format!("Content-Length: {}\r\n", body.len());
        assert!(head.contains(&length), "{answer} to {request:?}");
    }
}

/// RFC 9110, section 9.3.2. This failed because complaints came with their text.
#[test]
fn no_answer_to_head_has_a_body() {
    let server = Server::start(&["--max", "1"]);
    let with = |fields: &str| format!("HEAD /healthz HTTP/1.1\r\n{fields}\r\n");
    for (request, status) in [
        (with("Host: test\r\n"), 200),
        (with("Host: test\r\n").replace("healthz", "nothing"), 404),
        (with(""), 400),
        (with(&"X: y\r\n".repeat(65)), 431),
        ("HEAD /heal".into(), 408),
    ] {
        let answer = server.say_to_ops(&request);
        let start = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&start), "{answer} to {request:?}");
        let (head, body) = answer.split_once("\r\n\r\n").expect(&answer);
        assert!(head.contains("\r\nContent-Length: "), "{answer}");
        assert_eq!(body, "", "to {request:?}");
    }
}

#[test]
fn half_a_request_is_given_up_in_time() {
    let server = Server::start(&["--max", "1"]);
    let mut half = server.begin_to_ask();
    let mut answer = String::new();
    half.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    // Bytes that trickle in do not buy time.
    let mut half = server.begin_to_ask();
    let mut trickle = half.try_clone().unwrap();
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let pause = Duration::from_millis(50);
            while is_done.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                trickle.write_all(b"x").ok();
            }
        });
        let mut start = [0; 12];
        half.read_exact(&mut start).unwrap();
        assert_eq!(text(&start), "HTTP/1.1 408");
        drop(done);
    });
}

/// This failed because half requests held all actors and filled all mailboxes.
#[test]
fn half_requests_starve_nobody_on_the_operations_port() {
    let server = Server::start(&["--max", "1"]);
    for count in [40, 200] {
        let halves: Vec<_> = (0..count).map(|_| server.begin_to_ask()).collect();
        assert_is_healthy_at_once(&server);
        // They go on, a byte a second; and each that has been closed comes again.
        let (done, is_done) = mpsc::channel::<()>();
        let second = Duration::from_secs(1);
        thread::scope(|scope| {
            let server = &server;
            scope.spawn(move || {
                let mut halves = halves;
                while is_done.recv_timeout(second) == Err(RecvTimeoutError::Timeout) {
                    for half in &mut halves {
                        if half.write_all(b"x").is_err() {
                            *half = server.begin_to_ask();
                        }
                    }
                }
            });
            let start = Instant::now();
            while start.elapsed() < 3 * second {
                assert_is_healthy_at_once(server);
            }
            drop(done);
        });
    }
    // Those that are answered and do not close hold nobody up either.
    let idle: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = server.begin_to_ask();
            stream.write_all(b"ats HTTP/1.0\r\n\r\n").unwrap();
            stream
        })
        .collect();
    assert_is_healthy_at_once(&server);
    drop(idle);
    assert_eq!(server.stat("/calls/accept_errors"), 0);
}

/// Many more than there are actors.
#[test]
fn requests_that_come_together_are_all_answered_on_the_operations_port() {
    let server = Server::start(&["--max", "1"]);
    server.signal("STOP");
    let clients: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = connect(server.ops);
            stream
                .write_all(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n")
                .unwrap();
            stream
        })
        .collect();
    server.signal("CONT");
    for (index, mut client) in clients.into_iter().enumerate() {
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("\r\n\r\nok\n"), "{answer:?} to {index}");
    }
    assert_eq!(server.stat("/calls/accept_errors"), 0);
}

/// A connection in a phase: the client's end, and the server's.
fn visit(
    visitors: &Arc<Visitors>,
    listener: &TcpListener,
    phase: Option<Phase>,
) -> (TcpStream, Visitor) {
    let client = connect(listener.local_addr().unwrap());
    client.set_nonblocking(true).unwrap();
    let visitor = visitors.admit(listener.accept().unwrap().0);
    if let Some(phase) = phase {
        visitor.enter(phase);
    }
    (client, visitor)
}

/// Whether the server has closed the connection.
fn is_closed(client: &TcpStream) -> bool {
    match client.peek(&mut [0]) {
        Ok(0) => true,
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        other => panic!("{other:?}"),
    }
}

/// One that no actor has taken has had no chance to ask, so it is never closed: not even if it is
/// the oldest, or the only one. This failed because such a connection counted as one that asks.
#[test]
fn the_connection_with_least_to_lose_makes_room() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let visitors = Arc::new(Visitors::default());
    let visit = |phase| visit(&visitors, &listener, phase);
    let (oldest, _oldest) = visit(None);
    let mut others = vec![
        visit(Some(Phase::Answering)),
        visit(Some(Phase::Answering)),
        visit(Some(Phase::Asking)),
        visit(Some(Phase::Asking)),
        visit(Some(Phase::Leaving)),
        visit(Some(Phase::Leaving)),
    ];
    let (newcomer, _newcomer) = visit(None);
    for index in [4, 4, 2, 2, 0, 0] {
        eventually(|| {
            visitors.make_room();
            is_closed(&others[index].0)
        });
        // Its actor has noticed.
        drop(others.remove(index));
        assert!(others.iter().all(|(client, _)| !is_closed(client)));
    }
    visitors.make_room();
    assert!(!is_closed(&oldest) && !is_closed(&newcomer));
}

/// Each time it is answered; at once in one of five times, for the machine may be busy.
#[track_caller]
fn assert_is_healthy_at_once(server: &Server) {
    let mut times = [(); 5].map(|()| {
        let start = Instant::now();
        assert_eq!(server.get("/healthz"), (200, "ok\n".into()));
        start.elapsed()
    });
    times.sort_unstable();
    let [best, .., worst] = times;
    assert!(best < Duration::from_millis(100), "{times:?}");
    // Half of what an actor waits for the rest of a request: none was waited for.
    assert!(worst < Duration::from_secs(1), "{times:?}");
}

#[test]
fn the_metrics_are_what_prometheus_reads() {
    let server = Server::start(&["--max", "3", "--panic-rate", "0.5"]);
    let load = ["--connections", "2", "--duration", "0.2", "--work-us", "0"];
    let tally = Tally::of(&server.client(&load).output().unwrap());
    assert_agrees(&server, &tally);
    let (status, metrics) = server.get("/metrics");
    assert_eq!(status, 200);
    for (name, value) in [
        ("troupe_actors", 3),
        ("troupe_queued", 0),
        ("rpc_calls_total", tally.sent),
        ("rpc_calls_accepted_total", tally.ok + tally.failed),
        ("rpc_answers_total{answer=\"ok\"}", tally.ok),
        ("rpc_answers_total{answer=\"panicked\"}", tally.panicked),
        ("troupe_finished_total{outcome=\"completed\"}", tally.ok),
        ("troupe_finished_total{outcome=\"expired\"}", 0),
    ] {
        let line = format!("\n{name} {value}\n");
        assert!(metrics.contains(&line), "no {line:?} in {metrics}");
    }

    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        return skip("there is no promtool");
    };
    let mut stdin = promtool.stdin.take().unwrap();
    stdin.write_all(metrics.as_bytes()).unwrap();
    drop(stdin);
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stderr), "");
}

/// The number behind the one that the page shows under the name: that may be short.
fn figure(browser: &mut Browser, name: &str) -> Option<u64> {
    let text = browser.value(&format!(
        "document.querySelector('[data-figure=\"{name}\"]')?.title ?? ''"
    ));
    text.as_str()?.replace(',', "").parse().ok()
}

#[test]
fn the_page_lives() {
    let Some(mut browser) = Browser::open("page") else {
        return skip("there is no Chromium");
    };
    let rates = [
        "--error-rate",
        "0.2",
        "--panic-rate",
        "0.1",
        "--retries",
        "1",
    ];
    let server = Server::start(&[&rates[..], &["--max", "5", "--mailbox", "2"]].concat());
    browser.open_page(&format!("http://{}/", server.ops));
    eventually(|| figure(&mut browser, "actors") == Some(5));
    assert_eq!(figure(&mut browser, "accepted"), Some(0));
    assert_eq!(
        browser.value("document.getElementById('state').textContent"),
        "serving"
    );

    let load = ["--connections", "4", "--window", "32", "--duration", "60"];
    let mut client = server.client(&load).spawn().unwrap();
    // The figures move, all of them, and go on moving.
    let mut seen = 0;
    for _ in 0..3 {
        eventually(|| figure(&mut browser, "accepted") > Some(seen));
        seen = figure(&mut browser, "accepted").unwrap();
    }
    for name in ["busy", "queued", "failed", "panicked", "refused", "retried"] {
        eventually(|| figure(&mut browser, name) > Some(0));
    }
    for name in ["completed-rate", "failed-rate", "refused-rate"] {
        eventually(|| figure(&mut browser, name) > Some(0));
    }
    let lines = "document.querySelectorAll('svg path').length";
    assert_eq!(browser.value(lines), 6);
    let drawn =
        "[...document.querySelectorAll('svg path')].every((path) => path.getTotalLength() > 0)";
    assert_eq!(browser.value(drawn), true);

    // At rest it agrees with `/stats`.
    client.kill().unwrap();
    client.wait().unwrap();
    server.until(|stats| number(stats, "/connections") == 0);
    server.until(is_at_rest);
    for (name, pointer) in [
        ("accepted", "/calls/accepted"),
        ("ok", "/calls/ok"),
        ("failed", "/calls/failed"),
        ("panicked", "/calls/panicked"),
        ("retried", "/calls/retried"),
        ("refused", "/troupe/refused"),
        ("busy", "/troupe/busy"),
        ("queued", "/troupe/queued"),
        ("actors", "/troupe/actors"),
        ("capacity", "/troupe/capacity"),
        ("connections", "/connections"),
    ] {
        eventually(|| figure(&mut browser, name) == Some(server.stat(pointer)));
    }

    drop(server);
    let state = "document.getElementById('state').textContent";
    eventually(|| browser.value(state) == "no connection");
}

/// A server that has run for days and refuses a million works a second, on a phone and on a desk. This
/// failed because labels were cut off, numbers took two lines, and one scale served all rates.
#[test]
fn the_page_is_readable_at_a_million_refusals_a_second() {
    let Some(mut browser) = Browser::open("readable") else {
        return skip("there is no Chromium");
    };
    let server = Server::start(&["--max", "1"]);
    browser.prepare(include_str!("rpc/figures.js"));
    browser.open_page(&format!("http://{}/", server.ops));
    eventually(|| figure(&mut browser, "refused-rate") > Some(1_000_000));
    for scheme in ["light", "dark"] {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        browser.order("Emulation.setEmulatedMedia", json!({"features": features}));
        for (width, height) in [(360, 740), (768, 1024), (1440, 900)] {
            let size = json!({
                "width": width, "height": height, "deviceScaleFactor": 2, "mobile": width < 500,
            });
            browser.order("Emulation.setDeviceMetricsOverride", size);
            // Each line ends 4 pixels from the right of its chart once it has been drawn anew.
            let drawn = "[...document.querySelectorAll('svg path')].every((path) => {
                const { x, width } = path.getBBox();
                return Math.abs(path.parentElement.clientWidth - 4 - (x + width)) < 1;
            })";
            eventually(|| browser.value(drawn) == true);
            let faults = browser.value(include_str!("rpc/readable.js"));
            assert_eq!(faults, json!([]), "{scheme}, {width} pixels wide");
        }
        let colour = browser.value("getComputedStyle(document.body).backgroundColor");
        let colour = colour.as_str().unwrap().to_owned();
        let channels = colour.split(|symbol: char| !symbol.is_ascii_digit());
        let brightness: u32 = channels
            .filter_map(|channel| channel.parse::<u32>().ok())
            .sum();
        match scheme {
            "light" => assert!(brightness > 600, "{colour}"),
            _ => assert!(brightness < 150, "{colour}"),
        }
    }
    let shown = |name: &str| format!("document.querySelector('[data-figure={name}]').textContent");
    assert_eq!(browser.value(&shown("refused")), "1.2T");
    assert_eq!(browser.value(&shown("refused-rate")), "1.2M");
    assert_eq!(browser.value(&shown("completed-rate")), "5,000");
    assert_eq!(browser.value(&shown("uptime")), "11 d 13 h");
    assert_eq!(figure(&mut browser, "connections"), Some(2_048));
}

/// An unmodified `net/rpc/jsonrpc`.
#[test]
fn a_client_in_go_can_call_it() {
    if Command::new("go").arg("version").output().is_err() {
        return skip("there is no Go");
    }
    let server = Server::start(&["--max", "2", "--retries", "0", "--panic-rate", "0.5"]);
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rpc/client.go");
    let output = run("go", &["run", program, &server.calls.to_string()]);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(
        said.contains("rpc: can't find method Worker.Dance"),
        "{said}"
    );
    let (ok, panicked) = (after("ok: ", &said), after("panicked: ", &said));
    assert_eq!(ok + panicked, 1_000);
    server.until(|stats| {
        number(stats, "/calls/ok") == ok && number(stats, "/calls/panicked") == panicked
    });
}

/// The same, over streams that frame its calls in other ways.
#[test]
fn a_client_in_go_can_frame_its_calls_as_it_likes() {
    if Command::new("go").arg("version").output().is_err() {
        return skip("there is no Go");
    }
    let server = Server::start(&["--max", "2", "--mailbox", "50"]);
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rpc/framings.go");
    let output = run("go", &["run", program, &server.calls.to_string()]);
    assert!(output.status.success(), "{output:?}");
    let said = text(&output.stdout);
    let mut framings: Vec<_> = said.lines().collect();
    framings.sort_unstable();
    let all = ["bytewise ok", "pretty ok", "together ok", "unbroken ok"];
    assert_eq!(framings, all);
    server.until(|stats| number(stats, "/calls/ok") == 200);
    assert_eq!(server.stat("/calls/bad"), 0);
}
