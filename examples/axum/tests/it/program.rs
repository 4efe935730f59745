//! The program as a process: signals, the command line, and the bars of `load`.

use std::{
    fs,
    io::Write,
    net::{SocketAddr, TcpStream},
    process::{Command, Output, Stdio},
};

use tokio::runtime::Runtime;

use crate::serving::Serving;
use crate::support::{Question, eventually, runtime};

/// A server on a free port. Killed at the end, if it has not stopped.
struct Server {
    process: Serving,
    address: SocketAddr,
    runtime: Runtime,
}

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_axum-example"));
    command.args(args).stdin(Stdio::null());
    command
}

impl Server {
    fn start(args: &[&str]) -> Self {
        let args = [&["serve", "--listen", "127.0.0.1:0"], args].concat();
        let mut process = Serving::start(&mut program(&args));
        Server {
            address: process.said("listening: http://", ""),
            process,
            runtime: runtime(),
        }
    }

    fn ask(&self, path: &str) -> Question {
        Question::ask(&self.runtime, self.address, path)
    }

    /// One that runs a work whose client has gone.
    fn running_for_nobody(work_ms: &str) -> Self {
        let server = Server::start(&["--max", "1", "--work-ms", work_ms]);
        let running = server.ask("/call/1");
        server.until("running 1");
        running.hang_up();
        server.until("gone 1");
        server
    }

    fn until(&self, line: &str) {
        let has_line = |text: &str| text.lines().any(|found| found == line);
        eventually(|| has_line(&self.ask("/stats").answer().text));
    }

    fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Signals it until one comes late enough to be another request to stop.
    fn until_a_signal_ends_it(&mut self) {
        eventually(|| {
            self.signal("INT");
            self.process.has_ended()
        });
    }

    /// Until the first signal has arrived.
    fn until_it_listens_no_more(&self) {
        eventually(|| TcpStream::connect(self.address).is_err());
    }

    /// Its threads are told by their names.
    fn until_the_runtime_has_ended(&self) {
        let threads = format!("/proc/{}/task", self.process.id());
        eventually(|| {
            let mut threads = fs::read_dir(&threads).unwrap();
            threads.all(|thread| {
                let name = fs::read_to_string(thread.unwrap().path().join("comm"));
                // Where there is no name any more, there is no thread.
                !name.is_ok_and(|name| name.starts_with("tokio-rt"))
            })
        });
    }

    /// The exit code and the report.
    fn end(&mut self) -> (Option<i32>, String) {
        self.process.end()
    }
}

#[test]
fn a_sigterm_leaves_nothing_unanswered() {
    let sizes = ["--max", "2", "--mailbox", "2", "--work-ms", "300"];
    let mut server = Server::start(&sizes);
    let held: Vec<_> = (1..=6)
        .map(|id| server.ask(&format!("/call/{id}")))
        .collect();
    server.until("requests 6");
    server.signal("TERM");
    for question in held {
        assert_eq!(question.answer().status, 200);
    }
    let (code, report) = server.end();
    assert_eq!(code, Some(0), "{report}");
    assert!(report.starts_with("drained\nanswers_200 6\n"), "{report}");
}

/// This failed because half a head was waited for during the whole grace, and the exit status was 1.
#[test]
fn half_a_head_at_the_end_is_no_failure() {
    let mut server = Server::start(&["--header-timeout", "1", "--grace", "86400"]);
    let mut half = TcpStream::connect(server.address).unwrap();
    half.write_all(b"GET /call/1 HTTP/1.1\r\n").unwrap();
    assert_eq!(server.ask("/healthz").answer().text, "ok\n");
    server.signal("TERM");
    let (code, report) = server.end();
    assert_eq!(code, Some(0), "{report}");
    assert!(report.starts_with("drained\n"), "{report}");
}

/// The client has gone, so the server no longer serves, but the troupe is joined.
#[test]
fn a_work_that_runs_for_nobody_is_waited_for() {
    let mut server = Server::running_for_nobody("300");
    server.signal("INT");
    let (code, report) = server.end();
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains("\nrunning 0\n"), "{report}");
}

#[test]
fn what_outlasts_the_grace_is_left() {
    let sizes = ["--max", "1", "--work-ms", "600000", "--grace", "0"];
    let mut server = Server::start(&sizes);
    let running = server.ask("/call/1");
    server.until("running 1");
    let waiting = server.ask("/call/2");
    server.until("queued 1");
    server.signal("TERM");
    assert_eq!(waiting.answer().status, 503);
    let (code, report) = server.end();
    assert_eq!(code, Some(1), "{report}");
    assert!(report.starts_with("not drained\n"), "{report}");
    running.hang_up();
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut server = Server::start(&["--max", "1", "--work-ms", "600000"]);
    let running = server.ask("/call/1");
    server.until("running 1");
    server.signal("TERM");
    server.until_it_listens_no_more();
    server.until_a_signal_ends_it();
    assert_eq!(server.end(), (Some(130), String::new()));
    running.hang_up();
}

/// As GNU `timeout` sends it: to the process, and to its group. This failed because the second
/// signal ended the server, and the requests had no answer.
#[test]
fn one_stop_that_comes_as_two_signals_leaves_nothing_unanswered() {
    let mut server = Server::start(&["--max", "1", "--work-ms", "300"]);
    let held: Vec<_> = (1..=3)
        .map(|id| server.ask(&format!("/call/{id}")))
        .collect();
    server.until("requests 3");
    server.process.signal_twice();
    for question in held {
        assert_eq!(question.answer().status, 200);
    }
    let (code, report) = server.end();
    assert_eq!(code, Some(0), "{report}");
}

/// This failed because the runtime, which had ended, was the one that heard of signals.
#[test]
fn a_second_signal_ends_it_at_once_also_after_the_runtime() {
    let mut server = Server::running_for_nobody("600000");
    server.signal("TERM");
    server.until_it_listens_no_more();
    server.until_the_runtime_has_ended();
    server.until_a_signal_ends_it();
    assert_eq!(server.end(), (Some(130), String::new()));
}

/// The figures of a line of the table, without the pool and the latency.
fn row(table: &str, pool: &str) -> Vec<f64> {
    let start = format!("| {pool} | ");
    let row = table.lines().find_map(|line| line.strip_prefix(&start));
    let figures = row.expect(table).split(" | ").take(9);
    let figures = figures.map(|figure| figure.parse().expect(table));
    figures.collect()
}

/// The exit status says that nobody is without an answer, that the server's figures agree, and that
/// the threads are bounded; the table says so again, and that the load was one.
#[test]
fn load_finds_every_bar_met() {
    let sizes = ["--max", "3", "--mailbox", "2", "--runtime-threads", "2"];
    let load = ["--requests", "60", "--leave", "10", "--work-ms", "200"];
    let args = [&["load"], &sizes[..], &load].concat();
    let output = program(&args).output().unwrap();
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:#?}");
    for pool in ["troupe", "limited", "spawn-blocking"] {
        let figures = row(&table, pool);
        assert_eq!(figures[..4].iter().sum::<f64>(), 60.0, "{table}");
        assert_eq!(figures[4], 0.0, "{table}");
    }
    let (troupe, other) = (row(&table, "troupe"), row(&table, "spawn-blocking"));
    assert!(troupe[3] > 0.0, "nothing was refused: {table}");
    assert_eq!(troupe[7], 7.0, "actors, runtime, main, signals: {table}");
    assert!(other[7] > 7.0, "it was no load: {table}");
}

#[test]
fn a_wrong_command_line_is_told_what_is_wrong() {
    let cases: &[(&[&str], &str)] = &[
        (&["walk"], "neither serve nor load: \"walk\""),
        (&["--max", "0"], "--max: invalid max 0: "),
        (&["load", "--max", "0"], "--max: invalid max 0: "),
        (&["--mailbox", "x"], "--mailbox: invalid digit"),
        (&["--runtime-threads", "0"], "from 1 to 1024: 0"),
        (&["--work-ms", "-1"], "--work-ms: it must be from 0 to"),
        (
            &["--header-timeout", "0"],
            "--header-timeout: it must be from 0.000001",
        ),
        (&["--pool", "rayon"], "--pool: no such pool: \"rayon\""),
        (
            &["--pool", "spawn-blocking", "--max", "2"],
            "--max: not with --pool spawn-blocking",
        ),
        (&["--requests", "5"], "--requests: only with load"),
        (&["load", "--grace", "5"], "--grace: only with serve"),
        (
            &["load", "--requests", "0"],
            "--requests: it must be at least 1",
        ),
        (
            &["load", "--requests", "99999999999"],
            "--requests: the system allows",
        ),
        (&["load", "--nothing"], "--nothing"),
    ];
    for (args, words) in cases {
        let output: Output = program(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(words), "{args:?}: no {words:?} in {said}");
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
    }
    let output = program(&["--listen", "256.0.0.1:1"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--listen: \"256.0.0.1:1\": "), "{said}");
    assert_eq!(output.status.code(), Some(1), "{said}");
}

#[test]
fn help_is_no_error() {
    let output = program(&["--help"]).output().unwrap();
    assert!(output.status.success());
    let help = String::from_utf8_lossy(&output.stdout);
    assert!(help.contains("usage: axum-example"));
    assert!(help.contains("\n  130  "), "the second signal's: {help}");
}
