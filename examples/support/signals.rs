//! Requests to stop: Ctrl-C and SIGTERM, for programs that finish something first. For Unix.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
    low_level,
};

/// Signals this soon after a request belong to it.
///
/// One request often comes as two signals: GNU `timeout` signals the program and then its group,
/// which contains the program, and supervisors and shells do the same. A user who is impatient waits
/// longer than a second.
const ONE_REQUEST: Duration = Duration::from_secs(1);

/// Calls `act` at each request to stop, on a separate thread. `act` must not block, because it would
/// delay the next request.
pub(crate) fn on_each(mut act: impl FnMut() + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let watch = move || {
        let mut last: Option<Instant> = None;
        for _ in signals.forever() {
            if last.is_none_or(|last| last.elapsed() >= ONE_REQUEST) {
                act();
                // After `act`: a signal that has come meanwhile belongs to this request, too.
                last = Some(Instant::now());
            }
        }
    };
    // The thread ends with the process, so nobody keeps its handle.
    thread::Builder::new().name("signals".into()).spawn(watch)?;
    Ok(())
}

/// Calls `stop` at the first request to stop. The second ends the program immediately, wherever its
/// other threads wait.
pub(crate) fn on_first(stop: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut stop = Some(stop);
    on_each(move || match stop.take() {
        Some(stop) => stop(),
        None => low_level::exit(130),
    })
}
