//! Ctrl-C and SIGTERM, for every example that stops in an orderly way. For Unix.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
    thread,
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
    iterator::Signals,
};

/// Lets the first signal call `stop`, on a thread of its own. A second one ends the program at
/// once.
///
/// What `stop` calls is [`shutdown_now`](troupe_pool::Troupe::shutdown_now), and the troupe is all
/// that need be told. The feeder and the works in the middle of something stop at its
/// `is_shutdown`; works that have not started are taken back and dropped, which wakes a feeder
/// that waits for one. (If it waits for standard input or output, it takes the second signal.)
pub(crate) fn on_first(stop: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let once = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag unset, and sets it.
        flag::register_conditional_shutdown(signal, 130, Arc::clone(&once))?;
        flag::register(signal, Arc::clone(&once))?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let wait = move || {
        if signals.forever().next().is_some() {
            stop();
        }
    };
    // The thread ends with the process, so nobody keeps its handle.
    thread::Builder::new().name("signals".into()).spawn(wait)?;
    Ok(())
}
