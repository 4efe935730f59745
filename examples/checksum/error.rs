//! Why a file has no digest: the error type of the works and of the walk.

use std::{io, path::PathBuf};

/// One file that could not be hashed.
///
/// A work returns it, and the error handler of the troupe gets it by value.
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
    #[error("changed while it was read: {opened} bytes when opened, {read} bytes read")]
    Changed { opened: u64, read: u64 },
}
