//! Errors that end the program early.

use std::io;

use troupe_pool::BuildError;

use crate::options::refused;

/// The options behind settings of the library.
const SETTINGS: &[(&str, &str)] = &[("max", "--max"), ("mailbox_size", "--mailbox")];

#[derive(Debug, thiserror::Error)]
pub(crate) enum Fatal {
    #[error("{0} (see --help)")]
    Usage(#[from] lexopt::Error),
    #[error("{}", refused(.0, SETTINGS))]
    Build(#[from] BuildError),
    #[error("--listen: {address:?}: {error}")]
    Listen { address: String, error: io::Error },
    #[error("the limit of open files: {0}")]
    OpenFiles(io::Error),
    #[error("the runtime: {0}")]
    Runtime(io::Error),
    #[error("signals cannot be watched: {0}")]
    Signals(io::Error),
    #[error("standard output: {0}")]
    Output(io::Error),
    #[error("the server's process: {0}")]
    Server(io::Error),
    /// It has said on standard error why.
    #[error("the server did not say where it listens, but {said:?}")]
    NoAddress { said: String, code: Option<i32> },
    #[error("a connection to the server: {0}")]
    Connect(io::Error),
    #[error("the server's figures: {0}")]
    Figures(io::Error),
}

impl Fatal {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Fatal::Usage(_)
            | Fatal::Build(BuildError::Invalid { .. })
            | Fatal::NoAddress { code: Some(2), .. } => 2,
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A refusal of the system is no fault of the command line.
    #[test]
    fn only_a_wrong_command_line_is_status_2() {
        let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
        for fatal in [
            Fatal::OpenFiles(denied()),
            Fatal::Runtime(denied()),
            Fatal::Output(denied()),
        ] {
            assert_eq!(fatal.exit_code(), 1, "{fatal}");
            assert!(!fatal.to_string().contains("--help"), "{fatal}");
        }
        assert_eq!(Fatal::Usage("--max: x".into()).exit_code(), 2);
    }
}
