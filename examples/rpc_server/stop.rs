//! From the first signal to the last report.

use std::{
    io::{self, Write},
    process::{self, ExitCode},
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{server::Server, signals, trend};

/// The files that this needs: both ends of the pipe through which a signal comes.
pub(crate) const FILES: usize = 2;

/// How long a client may go on calling when the last work has ended. A call that comes meanwhile is
/// answered `shutting down`, so that a client that stops then finds none unanswered.
const LINGER: Duration = Duration::from_millis(500);

/// How long the last threads have to leave when their connections have been cut off.
const LAST: Duration = Duration::from_secs(1);

/// The first two requests to stop; the third ends the process.
#[derive(Debug)]
pub(crate) struct Stop(Receiver<()>);

impl Stop {
    pub(crate) fn watch() -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let mut count = 0;
        signals::on_each(move || {
            count += 1;
            if count == 3 {
                process::exit(1);
            }
            sender.send(()).ok(); // Nobody listens in the last moments.
        })?;
        Ok(Stop(receiver))
    }
}

/// Samples the figures until the first signal comes, and then brings everything to its end.
pub(crate) fn serve_until_stopped(server: &Arc<Server>, stop: Stop) -> ExitCode {
    loop {
        server
            .trend
            .add(server.start.elapsed(), &server.pool.stats());
        match stop.0.recv_timeout(trend::EVERY) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
        }
    }

    let start = Instant::now();
    let deadline = start + server.limits.grace;
    server.shared.begin_to_stop();
    server.pool.shutdown();
    let taking_back = Arc::clone(server);
    let take_back = move || {
        if stop.0.recv().is_ok() {
            taking_back.pool.shutdown_now();
        }
    };
    // Should the system have no thread left, the calls are still drained, if not taken back.
    thread::Builder::new()
        .name("second signal".into())
        .spawn(take_back)
        .ok();
    server.stop_listening(deadline);

    let is_drained = server.pool.join_timeout(rest_until(deadline));
    if !is_drained {
        server.pool.shutdown_now(); // At least these calls get an answer.
    }
    let drained = start.elapsed();
    let cut = close_all(server, deadline);
    report(server, is_drained, drained, &cut).ok(); // Standard output may be closed.
    ExitCode::from(u8::from(!is_drained || cut.owed > 0))
}

fn rest_until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// Connections that did not end by themselves.
#[derive(Debug, Default)]
struct Cut {
    connections: u64,
    /// Answers that they had still to get.
    owed: u64,
}

/// Every call is answered now, though not every answer written. (Where time was up, works may still
/// run, and their connections have to be cut off.)
fn close_all(server: &Server, deadline: Instant) -> Cut {
    let registry = &server.registry;
    let mut cut = Cut::default();
    registry.for_each(|connection| connection.outbox.note_what_is_owed());
    if registry.wait_until_empty(Instant::now() + LINGER) {
        return cut;
    }
    registry.for_each(|connection| connection.outbox.end_of_calls());
    if registry.wait_until_empty(deadline.max(Instant::now() + LAST)) {
        return cut;
    }
    registry.for_each(|connection| {
        cut.connections += 1;
        cut.owed += connection.outbox.owed() as u64;
        connection.cut();
    });
    registry.wait_until_empty(Instant::now() + LAST);
    cut
}

fn report(server: &Server, is_drained: bool, drained: Duration, cut: &Cut) -> io::Result<()> {
    let (calls, pool) = (&server.shared.counters, server.pool.stats());
    let mut out = io::stdout().lock();
    match is_drained {
        true => writeln!(out, "drained in {:.3} s", drained.as_secs_f64())?,
        false => writeln!(out, "not drained: {} works still run", pool.running)?,
    }
    if cut.owed > 0 {
        writeln!(out, "time was up for answers: {}", cut.owed)?;
    }
    writeln!(
        out,
        "calls: read {}, accepted {}, retried {}; \
         ok {}, failed {}, panicked {}, overloaded {}, shutting down {}",
        calls.read.get(),
        calls.accepted.get(),
        calls.retried.get(),
        calls.ok.get(),
        calls.failed.get(),
        calls.panicked.get(),
        calls.overloaded.get(),
        calls.shutting_down.get(),
    )?;
    writeln!(
        out,
        "clients: connections {}, turned away {}, cut off {}; bad requests {}, lost answers {}",
        calls.connected.get(),
        calls.turned_away.get(),
        calls.cut.get() + cut.connections,
        calls.bad.get(),
        calls.lost.get(),
    )?;
    writeln!(
        out,
        "pool: {}, actors at most {}, grown {}, retired {}, returned {}",
        server.pool.name(),
        pool.peak,
        pool.grown,
        pool.retired,
        pool.returned,
    )?;
    out.flush()
}
