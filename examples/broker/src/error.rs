//! Errors that end the program early, and those that do not.

use std::{io, path::PathBuf};

use redis::RedisError;
use troupe_pool::{BuildError, JoinError};

use crate::{
    options::refused,
    stream::{self, Unreadable},
};

/// The options behind settings of the library.
const SETTINGS: &[(&str, &str)] = &[
    ("max", "--actors"),
    ("mailbox_size", "--mailbox"),
    ("line_size", "--mailbox"),
];

#[derive(Debug, thiserror::Error)]
pub(crate) enum Fatal {
    #[error("{0} (see --help)")]
    Usage(#[from] lexopt::Error),
    #[error("{}", refused(.0, SETTINGS))]
    Build(#[from] BuildError),
    #[error("redis: {0}")]
    Redis(#[from] RedisError),
    #[error("redis: {0}")]
    Unreadable(#[from] Unreadable),
    #[error(
        "--stream: the cluster has the keys {keys:?} in the slots {slots:?}, and a script can use one \
         slot only; a name in braces, as \"{{works}}\", keeps them together"
    )]
    Slots { keys: [String; 3], slots: Vec<u64> },
    #[error("--effects: {0}")]
    Effects(io::Error),
    #[error("signals cannot be watched: {0}")]
    Signals(io::Error),
    #[error("no thread: {0}")]
    Thread(io::Error),
    #[error("the feeder panicked")]
    Feeder,
    #[error("standard output: {0}")]
    Output(io::Error),
    #[error("{path:?}: {error}")]
    File { path: PathBuf, error: io::Error },
    #[error("{name}: {error}")]
    Program {
        name: &'static str,
        error: io::Error,
    },
    #[error("{0}")]
    Ended(String),
    #[error("interrupted")]
    Interrupted,
    #[error(transparent)]
    Join(#[from] JoinError),
}

impl Fatal {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            // The status that a shell reports for a program that SIGPIPE ends.
            Fatal::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 141,
            Fatal::Interrupted => 130,
            _ => 2,
        }
    }
}

/// Why a trip to the broker did not succeed.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It may succeed with the next connection.
    Lost(RedisError),
    /// It never will.
    Fatal(Fatal),
}

impl From<RedisError> for Trouble {
    fn from(error: RedisError) -> Self {
        if stream::is_transient(&error) || stream::is_no_group(&error) {
            Trouble::Lost(error)
        } else {
            Trouble::Fatal(error.into())
        }
    }
}

impl From<Unreadable> for Trouble {
    fn from(error: Unreadable) -> Self {
        Trouble::Fatal(error.into())
    }
}
