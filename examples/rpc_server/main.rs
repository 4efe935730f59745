//! A server that holds its load within a bound: JSON-RPC 1.0 over TCP, as Go's `net/rpc/jsonrpc`
//! speaks it, each call a work of a troupe.
//!
//! ```text
//! cargo run --release --example rpc_server -- --work-ms 0..5 --error-rate 0.05 --panic-rate 0.01
//! cargo run --release --example rpc_client -- --connections 16 --window 64 --duration 10
//! ```
//!
//! and, while that runs, a browser at <http://127.0.0.1:4489/>. A client in Go needs three lines:
//!
//! ```go
//! client, err := jsonrpc.Dial("tcp", "127.0.0.1:4488")
//! var done struct{ ID uint64; Attempts uint32 }
//! err = client.Call("Worker.Do", map[string]uint64{"id": 1}, &done)
//! ```
//!
//! # Features
//!
//! - **An answer on every path.** A call is a value that owes an answer (`call`). The work takes it
//!   along (`Work::with`), a failed attempt returns it in the error, and a retry takes it again. Out
//!   of a work that is refused, taken back or too late the call comes back (`Work::into_value`), to be
//!   turned down. A panic is caught, answered, and goes on to the troupe, which counts it.
//! - **A handler that decides.** It gets the call inside the typed error, and tries again in the
//!   place of the failed work, by `Context::reassign`, or gives up (`pool`).
//! - **Refusal instead of a queue.** A call that does not fit is answered `overloaded` at once, or when
//!   `--wait` has passed since it was read. Calls that came together count as read together; what
//!   comes while they wait is read after them, and so has waited twice as long at most. With
//!   `--wait` each call has a deadline, too: one that got room, and has not begun by then, is
//!   answered `overloaded` when its turn comes, and costs the back end nothing.
//! - **No actor waits for a client.** An answer goes into the connection's outbox, which always has
//!   room for it, because the reader takes a place there before it takes a call (`outbox`).
//! - **Health under any load.** A separate troupe serves the operations port, with an actor for each
//!   connection. When that troupe is full, it hands the new work back, and the connection that has
//!   least to lose is closed for it: one that only holds its place keeps nobody out (`ops`).
//! - **An end.** The first SIGTERM or SIGINT drains, the second takes back, the third kills
//!   (`stop`). Signals within a second count as one (`signals`).
//!
//! For Unix.
//!
//! # Errors in answers
//!
//! | to | the error begins with |
//! |---|---|
//! | a call that the troupe has no room for, or that does not begin within `--wait` | `overloaded` |
//! | a call that failed, also in its last retry | `failed` |
//! | a call that panicked | `panicked` |
//! | a call during the shutdown, a retry that is refused for it, a work that was taken back | `shutting down` |
//! | a method that there is not | `rpc: can't find`, or `rpc: service/method request ill-formed` if its name has no dot |
//! | a call without parameters | `jsonrpc: request body missing params` |
//! | any other value that is no call | `bad request` |
//! | what is no JSON, or a value longer than `--frame`, or not whole within `--stall` | `bad request` |
//! | half a value, behind which the client closes | `bad request` |
//! | a connection beyond `--connections`, or for which there is no thread | `overloaded` |
//!
//! The id is that of the call, or null if none can be told, as for a connection too many. Half a
//! value that the client had not finished when the server stops to take calls, at its end, is no
//! request and gets no answer. A client that takes nothing for `--stall` is cut off. The calls of a
//! client that has gone are run, and their answers dropped. A client that has closed may wait for
//! answers, so only a reset, or an answer that cannot be written, shows that it has gone.
//!
//! Memory is bounded, whatever the clients send: by the works that the pool can hold, and by
//! `--connections` times (two threads, a few times `--frame` while a value is read, and
//! `--in-flight` answers of at most 320 bytes, or twice that since buffers grow by doubling). So are
//! the open files: one for each connection, and a fixed number for the rest of the server, which
//! `--connections` leaves free.
//!
//! # Frames
//!
//! Calls are values of JSON, and blanks between them are optional, line breaks too. So calls may
//! share a line or a segment, and a call may be printed over several lines. A value ends with its
//! last bracket, and is answered without waiting for what comes next. Nobody can tell where the
//! next value begins behind one that is broken, too long or late: the calls before it are answered,
//! then it is, and the connection ends.
//!
//! The tests compare this server with one in Go. This one is stricter in five cases:
//!
//! | | Go | here |
//! |---|---|---|
//! | before the connection ends for what is no JSON | nothing | `bad request` |
//! | a value that is no object | the connection ends | `bad request`, and the next value is served |
//! | a field twice | the last one counts | `bad request` |
//! | field names in other letter case | the same fields | unknown fields, so the error is that of a missing field |
//! | parameters that are not an array with one object | what is missing is zero, what is too much is ignored | `bad request` |
//!
//! # How it ends
//!
//! With status 0 if, after a signal, all that was accepted was run and every answer written before
//! `--grace` was over; a client that has gone, or has been cut off, is not the server's fault. With
//! status 1 if a work still ran then, or answers that were due when the last work ended were not
//! all written, to a client that had still time to take them; the report says how many.
//!
//! Half a second after the last work the server takes no more calls. A client whose answers are
//! written sees the end behind them, and is waited for until it closes, at most for `--stall` from
//! its last answer, and until `--grace` is over. Meanwhile what it sends is thrown away: a
//! connection that is closed with calls unread is reset, and what the system still holds of its
//! answers is lost. That can happen to a client that goes on calling and has neither taken its
//! answers nor closed when that time is up.
//!
//! # Cost
//!
//! `scripts/rpc-bench` makes these tables: the same server on a troupe, and on the crate
//! `threadpool` (`--pool threadpool`), whose queue has no bound. (24 November 2026, x86-64, two
//! CPUs, rustc 1.95; the first table medians of five runs.)
//!
//! | 16 connections x window 64, works of 0 to 1 ms, 8 actors | troupe | threadpool |
//! |---|---|---|
//! | calls per second | 13,698 | 13,794 |
//! | p50, ms | 75 | 74 |
//! | p99, ms | 83 | 77 |
//!
//! | ten times the load that it can serve, 8 actors | troupe | threadpool |
//! |---|---|---|
//! | MiB in RAM after 10 s | 3.3 | 11.6 |
//! | MiB in RAM after 60 s | 3.3 | 53.1 |
//!
//! The latency is that of a closed loop, 1,024 calls waiting for 8 actors; what is waited for is
//! the other calls. Each mailbox is drained by its own actor while all are busy, so the last
//! hundredth waits a little longer than in one queue.
//!
//! In the second table `--in-flight` is out of reach, so that nothing but the pool itself bounds
//! what waits.

use std::{
    io::{self, Write},
    process::ExitCode,
};

mod args;
mod call;
mod connection;
mod counters;
#[path = "../support/fatal.rs"]
mod fatal;
mod figures;
mod frames;
mod http;
mod metrics;
mod ops;
#[path = "../support/options.rs"]
mod options;
mod outbox;
mod pool;
mod registry;
mod request;
mod server;
#[expect(dead_code, reason = "the other function serves other examples")]
#[path = "../support/signals.rs"]
mod signals;
mod simulation;
mod stop;
mod trend;
mod visitors;
#[path = "../support/wire.rs"]
mod wire;

use crate::{fatal::Fatal, ops::Ops, server::Server, stop::Stop};

fn main() -> ExitCode {
    run().unwrap_or_else(|fatal| fatal.exit("rpc_server"))
}

fn run() -> Result<ExitCode, Fatal> {
    let files = server::FILES + ops::FILES + stop::FILES;
    let Some(args) = args::parse(&mut lexopt::Parser::from_env(), files)? else {
        return options::print_help(args::HELP).map_err(Fatal::Output);
    };
    let signals = Stop::watch().map_err(Fatal::system("signals cannot be watched"))?;
    let server = Server::start(&args)?;
    let ops = Ops::start(&server, &args.ops)?;
    announce(&server, &ops).map_err(Fatal::Output)?;
    Ok(stop::serve_until_stopped(&server, signals))
}

/// Says where it listens: with port 0, nobody knows otherwise.
fn announce(server: &Server, ops: &Ops) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "calls: {}", server.address)?;
    writeln!(stdout, "operations: http://{}/", ops.address)?;
    stdout.flush()
}
