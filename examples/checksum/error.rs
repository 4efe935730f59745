//! Why a file has no digest: the error type of the works, of the walk, and of the program.

use std::{io, path::PathBuf};

use troupe_pool::{BuildError, JoinError};

use crate::options::refused;

/// One file that could not be hashed.
///
/// This is the `E` of the troupe: a work returns it, and the error handler gets it by value.
/// The name is printed quoted, so that a line break in it cannot pass for another message.
#[derive(Debug, thiserror::Error)]
#[error("{path:?}: {reason}")]
pub(crate) struct FileError {
    pub(crate) path: PathBuf,
    pub(crate) reason: Reason,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Reason {
    #[error("cannot be listed: {0}")]
    List(io::Error),
    #[error("cannot be opened: {0}")]
    Open(io::Error),
    #[error("cannot be read: {0}")]
    Read(io::Error),
    #[error("is not a regular file")]
    NotAFile,
    #[error("changed while it was read: {opened} bytes when opened, {read} bytes read")]
    Changed { opened: u64, read: u64 },
}

/// The options behind settings of the library.
const SETTINGS: &[(&str, &str)] = &[("max", "--actors"), ("mailbox_size", "--mailbox")];

/// What ends the program before its job is done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fatal {
    #[error("{0} (see --help)")]
    Usage(#[from] lexopt::Error),
    #[error("{}", refused(.0, SETTINGS))]
    Build(#[from] BuildError),
    #[error("{path:?}: {error}")]
    List { path: PathBuf, error: io::Error },
    #[error("signals cannot be watched: {0}")]
    Signals(io::Error),
    #[error("standard output: {0}")]
    Output(io::Error),
    #[error(transparent)]
    Join(#[from] JoinError),
}

impl Fatal {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Fatal::Usage(_) | Fatal::Build(BuildError::Invalid { .. }) => 2,
            // What a shell reports for a program that SIGPIPE ends, as it does `sha256sum`.
            Fatal::Output(_) if self.is_closed_output() => 141,
            _ => 1,
        }
    }

    /// Whether the reader has gone, as `head` does: the ordinary end of a pipeline.
    pub(crate) fn is_closed_output(&self) -> bool {
        matches!(self, Fatal::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
