//! Ctrl-C and SIGTERM, for examples that stop at the first of them. For Unix.

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

/// Lets the first signal call `stop`, on a thread of its own. The second ends the program.
pub(crate) fn on_first(stop: impl FnOnce() + Send + 'static) -> io::Result<()> {
    end_at_second()?;
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

/// Lets the second signal end the program at once, also where the first cannot reach it: in a wait
/// for standard input or output.
pub(crate) fn end_at_second() -> io::Result<()> {
    let once = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag unset, and sets it.
        flag::register_conditional_shutdown(signal, 130, Arc::clone(&once))?;
        flag::register(signal, Arc::clone(&once))?;
    }
    Ok(())
}
