//! Errors that end a program early: one error type for the examples of this package.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use troupe_pool::{BuildError, JoinError};

use crate::options::refused;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Fatal {
    #[error("{0} (see --help)")]
    Usage(#[from] lexopt::Error),
    /// The library refused a setting, or the system a thread of the troupe.
    #[error("{}", refused(.error, .options))]
    Build {
        error: BuildError,
        /// Each setting, and the option behind it.
        options: &'static [(&'static str, &'static str)],
    },
    /// The system refused something else.
    #[error("{what}: {error}")]
    System { what: String, error: io::Error },
    #[error("standard output: {0}")]
    Output(io::Error),
    #[error(transparent)]
    Join(#[from] JoinError),
}

impl Fatal {
    /// For `map_err`: names a refused setting by the option behind it.
    pub(crate) fn build(
        options: &'static [(&'static str, &'static str)],
    ) -> impl FnOnce(BuildError) -> Self {
        move |error| Fatal::Build { error, options }
    }

    /// For `map_err`: says what the system refused.
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |error| Fatal::System {
            what: what.into(),
            error,
        }
    }

    /// Says on standard error why the program ends, and returns its exit status.
    pub(crate) fn exit(&self, program: &str) -> ExitCode {
        // `eprintln` would panic if standard error is closed.
        writeln!(io::stderr().lock(), "{program}: {self}").ok();
        ExitCode::from(match self {
            Fatal::Usage(_)
            | Fatal::Build {
                error: BuildError::Invalid { .. },
                ..
            } => 2,
            _ => 1,
        })
    }
}
