//! What ends the program before its time.

use std::io;

use troupe_pool::BuildError;

use crate::options::refused;

/// The options behind settings of the library.
const SETTINGS: &[(&str, &str)] = &[
    ("max", "--max"),
    ("min", "--min"),
    ("mailbox_size", "--mailbox"),
];

#[derive(Debug, thiserror::Error)]
pub(crate) enum Fatal {
    #[error("{0} (see --help)")]
    Usage(#[from] lexopt::Error),
    #[error("{}", refused(.0, SETTINGS))]
    Build(#[from] BuildError),
    #[error("{option}: {address:?}: {error}")]
    Listen {
        option: &'static str,
        address: String,
        error: io::Error,
    },
    #[error("a thread was refused: {0}")]
    Thread(io::Error),
    #[error("signals cannot be watched: {0}")]
    Signals(io::Error),
    #[error("standard output: {0}")]
    Output(io::Error),
}

impl Fatal {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Fatal::Usage(_) | Fatal::Build(BuildError::Invalid { .. }) => 2,
            _ => 1,
        }
    }
}
