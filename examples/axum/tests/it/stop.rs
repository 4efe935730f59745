//! The end: whoever was there gets an answer, whoever comes later gets no connection.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use axum_example::server::Times;
use troupe_pool::Config;

use crate::support::{HANG, Served, WAITS, eventually};

#[test]
fn whatever_was_accepted_is_answered_and_nobody_else_gets_in() {
    let mut served = Served::start(Config::fixed(2).mailbox_size(2));
    let held: Vec<_> = (0..6)
        .map(|index| served.ask(&format!("/call/{}", WAITS + index)))
        .collect();
    served.backend.gate.wait_for(2);
    served.until("queued", 4);
    served.begin_to_stop();
    eventually(|| TcpStream::connect(served.address).is_err());
    served.backend.gate.open();
    for question in held {
        assert_eq!(question.answer().status, 200);
    }
    let (backend, troupe) = (served.backend.clone(), served.troupe.clone());
    assert!(served.stopped(), "answered in time");
    assert_eq!(backend.calls.lock().len(), 6);
    assert_eq!(troupe.stats().completed, 6);
}

/// The grace counts once: what the answers have taken of it, the works that are left do not get.
/// This failed because `main` waited for these as long again.
#[test]
fn the_grace_is_one_time_for_all() {
    let grace = Duration::from_secs(3_600);
    let mut served = Served::with_grace(Config::fixed(1).mailbox_size(0), grace);
    let running = served.ask(&format!("/call/{WAITS}"));
    served.backend.gate.wait_for(1);
    served.begin_to_stop();
    eventually(|| TcpStream::connect(served.address).is_err());
    let begun = Instant::now();
    running.hang_up(); // So it no longer serves, but its work still runs.
    eventually(|| served.has_stopped());
    let answering = begun.elapsed();
    served.backend.gate.open();
    let ended = served.ended();
    assert!(ended.is_answered);
    let left = ended.left();
    assert!(
        left <= grace - answering,
        "{left:?} after {answering:?} of it"
    );
}

/// No end of time is no deadline, rather than an overflow.
#[test]
fn a_grace_without_an_end_stays_so() {
    let mut served = Served::start(Config::fixed(1));
    served.begin_to_stop();
    assert_eq!(served.ended().left(), Duration::MAX);
}

/// Also to a work that never ends, and to one behind it.
#[test]
fn when_the_grace_is_over_what_has_not_started_is_answered() {
    let config = Config::fixed(1).mailbox_size(1);
    let mut served = Served::with_grace(config, Duration::ZERO);
    let running = served.ask(&format!("/call/{WAITS}"));
    served.backend.gate.wait_for(1);
    let waiting = served.ask("/call/1");
    served.until("queued", 1);
    served.begin_to_stop();
    let answer = waiting.answer();
    assert_eq!(
        (answer.status, answer.text.as_str()),
        (503, "shutting down\n")
    );
    assert_eq!(served.troupe.stats().returned, 1);
    let (gate, backend) = (served.backend.gate.clone(), served.backend.clone());
    // The one that runs holds up the server for no longer than it has said, and is left alone.
    eventually(|| served.has_stopped());
    gate.open();
    assert!(!served.stopped(), "one was not answered in time");
    assert_eq!(backend.calls_of(1), 0);
    running.hang_up();
}

/// Nothing is under way, so nothing is waited for: neither a connection that is kept open, nor one
/// on which nothing was ever said.
#[test]
fn an_idle_server_stops_at_once() {
    let mut served = Served::start(Config::fixed(1));
    let _silent = TcpStream::connect(served.address).unwrap();
    // The later one is served, so the earlier is accepted.
    let mut client = served.connect();
    assert_eq!(served.get_on(&mut client, "/call/1").status, 200);
    served.begin_to_stop();
    assert!(served.stopped());
}

/// Sends a part of a question.
fn half_a_head(served: &Served) -> TcpStream {
    let mut stream = TcpStream::connect(served.address).unwrap();
    stream.set_read_timeout(Some(HANG)).unwrap();
    stream
        .write_all(b"GET /call/1 HTTP/1.1\r\nHost: half")
        .unwrap();
    stream
}

/// Waits until the server has closed a connection, without an answer.
#[track_caller]
fn assert_closed(mut stream: TcpStream) {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    assert_eq!(answer, []);
}

/// This failed because there was no limit for the head of a request.
#[test]
fn half_a_head_is_closed_in_time() {
    let times = Times {
        head: Duration::from_secs(1),
        grace: Duration::MAX,
    };
    let mut served = Served::with_times(Config::fixed(1), times);
    let halves: Vec<_> = (0..20).map(|_| half_a_head(&served)).collect();
    halves.into_iter().for_each(assert_closed);
    assert_eq!(served.work(1).status, 200);
    served.begin_to_stop();
    assert!(served.stopped());
}

/// This failed because half a head was waited for until the grace was over, and counted as a request
/// without an answer.
#[test]
fn half_a_head_holds_the_end_up_for_its_time_only() {
    let times = Times {
        head: Duration::from_secs(1),
        grace: HANG * 2,
    };
    let mut served = Served::with_times(Config::fixed(1).mailbox_size(1), times);
    let halves: Vec<_> = (0..20).map(|_| half_a_head(&served)).collect();
    // These connections are older than the one of this question, so they have been accepted.
    assert_eq!(served.work(1).status, 200);
    let running = served.ask(&format!("/call/{WAITS}"));
    served.backend.gate.wait_for(1);
    served.begin_to_stop();
    halves.into_iter().for_each(assert_closed);
    served.backend.gate.open();
    assert_eq!(running.answer().status, 200);
    assert!(served.stopped(), "every request was answered");
}
