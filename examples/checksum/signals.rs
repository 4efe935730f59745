//! Ctrl-C and SIGTERM.

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
use troupe_pool::Troupe;

/// Lets a signal shut the troupe down. A second one ends the program at once.
///
/// The troupe is all that need be told. The feeder and the works in the middle of a file stop at
/// its `is_shutdown`; works that have not started are taken back and dropped, which wakes a feeder
/// that waits for one. (If it waits for standard input or output, it takes the second signal.)
pub(crate) fn stop<E: Send + 'static>(troupe: &Arc<Troupe<E>>) -> io::Result<()> {
    let once = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag unset, and sets it.
        flag::register_conditional_shutdown(signal, 130, Arc::clone(&once))?;
        flag::register(signal, Arc::clone(&once))?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let troupe = Arc::clone(troupe);
    let wait = move || {
        if signals.forever().next().is_some() {
            drop(troupe.shutdown_now());
        }
    };
    // The thread ends with the process, so nobody keeps its handle.
    thread::Builder::new().name("signals".into()).spawn(wait)?;
    Ok(())
}
