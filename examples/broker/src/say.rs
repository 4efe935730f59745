//! Messages to the user.

use std::{
    fmt,
    io::{self, Write},
};

/// To standard error, in one piece, since other workers may write there too. `eprintln` would panic
/// if it is closed.
pub(crate) fn say(message: impl fmt::Display) {
    let line = format!("broker: {message}\n");
    io::stderr().lock().write_all(line.as_bytes()).ok();
}
