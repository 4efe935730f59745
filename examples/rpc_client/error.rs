//! What ends the program before its time.

use std::io;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Fatal {
    #[error("{0} (see --help)")]
    Usage(#[from] lexopt::Error),
    #[error("--connect: {address:?}: {error}")]
    Connect { address: String, error: io::Error },
    #[error("a thread was refused: {0}")]
    Thread(io::Error),
    #[error("standard output: {0}")]
    Output(io::Error),
}

impl Fatal {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Fatal::Usage(_) => 2,
            _ => 1,
        }
    }
}
