//! Faults of a link, and errors that end the program early.

use std::{io, path::PathBuf, time::Duration};

use troupe_pool::{BoxError, BuildError, JoinError};
use ureq::http::StatusCode;

use crate::options::refused;

/// A fault of a link.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    #[error("HTTP {0}{reason}", reason = reason_of(*.0))]
    Status(u16),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("no such host")]
    Dns,
    #[error("TLS: {0}")]
    Tls(String),
    #[error("connection refused")]
    Refused,
    #[error("connection failed: {0}")]
    Connection(String),
    #[error("more than {0} redirects")]
    TooManyRedirects(usize),
    #[error("redirects in a circle")]
    RedirectLoop,
    #[error("redirects to {0:?}")]
    Location(String),
    #[error("no such file")]
    Missing,
    #[error("cannot be read: {0}")]
    Unreadable(String),
    #[error("no anchor {0:?}")]
    Anchor(String),
    #[error("not a URL: {0}")]
    Malformed(String),
    #[error("the check panicked")]
    Panicked,
}

impl Broken {
    /// Whether it may be better a moment later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Broken::Status(status) => matches!(status, 408 | 429 | 500 | 502 | 503 | 504),
            Broken::Timeout(_) | Broken::Connection(_) => true,
            _ => false,
        }
    }

    /// One word, for programs.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Broken::Status(_) => "status",
            Broken::Timeout(_) => "timeout",
            Broken::Dns => "dns",
            Broken::Tls(_) => "tls",
            Broken::Refused => "refused",
            Broken::Connection(_) => "connection",
            Broken::TooManyRedirects(_) => "too-many-redirects",
            Broken::RedirectLoop => "redirect-loop",
            Broken::Location(_) => "location",
            Broken::Missing => "missing",
            Broken::Unreadable(_) => "unreadable",
            Broken::Anchor(_) => "anchor",
            Broken::Malformed(_) => "malformed",
            Broken::Panicked => "panicked",
        }
    }
}

fn reason_of(status: u16) -> String {
    StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .map(|reason| format!(" {reason}"))
        .unwrap_or_default()
}

/// The options behind settings of the library.
const SETTINGS: &[(&str, &str)] = &[
    ("min", "--min"),
    ("max", "--max"),
    ("mailbox_size", "--mailbox"),
];

/// An error that ends the program early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fatal {
    #[error("{0} (see --help)")]
    Usage(#[from] lexopt::Error),
    #[error("{}", refused(.0, SETTINGS))]
    Build(#[from] BuildError),
    #[error("{option}{path:?}: {error}")]
    File {
        /// The option that names it, if one does.
        option: &'static str,
        path: PathBuf,
        error: io::Error,
    },
    #[error("no thread: {0}")]
    Thread(io::Error),
    #[error("signals cannot be watched: {0}")]
    Signals(io::Error),
    #[error("the demo cannot be served: {0}")]
    Demo(BoxError),
    #[error("standard output: {0}")]
    Output(io::Error),
    #[error("--svg: {path:?}: {error}")]
    Picture { path: PathBuf, error: String },
    #[error(transparent)]
    Join(#[from] JoinError),
}

impl Fatal {
    pub(crate) fn exit_code(&self) -> u8 {
        // The status that a shell reports for a program that SIGPIPE ends.
        if self.is_closed_output() { 141 } else { 2 }
    }

    /// Whether the reader has gone, as `head` does: the ordinary end of a pipeline.
    pub(crate) fn is_closed_output(&self) -> bool {
        matches!(self, Fatal::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
