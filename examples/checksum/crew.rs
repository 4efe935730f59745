//! The troupe and what its works share.

use std::{
    io, iter,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    thread,
};

use troupe_pool::{BuildError, Config, Failure, Troupe};

use crate::{
    error::FileError,
    fatal::Fatal,
    hash::{self, Sum},
    ordered::Ordered,
    report::Report,
    tally::Tally,
};

#[derive(Debug)]
pub(crate) struct Crew {
    pub(crate) troupe: Arc<Troupe<FileError>>,
    pub(crate) report: Arc<Report>,
}

impl Crew {
    pub(crate) fn new(config: Config, report: Report) -> Result<Self, BuildError> {
        let report = Arc::new(report);
        let to_user = Arc::clone(&report);
        let troupe = Troupe::builder(config)
            .error_handler(move |failure: Failure<FileError>, _| match failure {
                Failure::Error(error) => to_user.error(error),
                other => to_user.error(other),
            })
            .build()?;
        Ok(Crew {
            troupe: Arc::new(troupe),
            report,
        })
    }

    /// Hashes `files` and hands each sum to `settle`, in the order of `files`; `None` for a file
    /// that has none. An error of `settle` ends it at once.
    pub(crate) fn hash_all<T>(
        &self,
        files: impl Iterator<Item = (T, PathBuf)>,
        mut settle: impl FnMut(T, Option<Sum>) -> io::Result<()>,
    ) -> io::Result<Tally> {
        let mut ordered = Ordered::new(&self.troupe);
        let mut tally = Tally::default();
        let mut settle = |(item, sum): (T, Option<Sum>)| {
            tally.add(sum.as_ref());
            settle(item, sum)
        };
        for (item, path) in files {
            while let Some(settled) = ordered.due() {
                settle(settled)?;
            }
            ordered.feed(item, self.job(path));
        }
        while let Some(settled) = ordered.oldest() {
            settle(settled)?;
        }
        Ok(tally)
    }

    /// The job for one file.
    fn job(
        &self,
        path: PathBuf,
    ) -> impl FnOnce() -> Result<Option<Sum>, FileError> + Send + 'static {
        let (report, troupe) = (Arc::clone(&self.report), self.troupe.handle());
        move || {
            let named = NamedInPanic {
                path: &path,
                report: &report,
            };
            let result = hash::hash(named.path, |bytes| {
                report.advance(bytes);
                !troupe.is_shutdown()
            });
            drop(named);
            result.map_err(|reason| FileError { path, reason })
        }
    }

    /// Ends `files` when a signal has come; what it has not yielded by then was never found.
    pub(crate) fn until_stopped<T>(
        &self,
        mut files: impl Iterator<Item = T>,
    ) -> impl Iterator<Item = T> {
        iter::from_fn(move || {
            if self.is_stopped() {
                None
            } else {
                files.next()
            }
        })
    }

    /// The program itself shuts the troupe down only when all is done, so before that it was a
    /// signal.
    pub(crate) fn is_stopped(&self) -> bool {
        self.troupe.is_shutdown()
    }

    /// Shuts down, joins, and says how it went.
    pub(crate) fn finish(&self, result: io::Result<Tally>) -> Result<ExitCode, Fatal> {
        let tally = match result {
            Ok(tally) => tally,
            Err(error) => {
                // Nobody reads the rest, so nobody needs it hashed.
                drop(self.troupe.shutdown_now());
                self.troupe.join()?;
                return Err(Fatal::Output(error));
            }
        };
        let was_stopped = !self.troupe.shutdown();
        self.troupe.join()?;
        let stats = self.troupe.stats();
        if was_stopped {
            let left = tally.left(&stats);
            self.report.error(format_args!(
                "interrupted: {left} of the files found so far are left"
            ));
        }
        self.report.summary(&tally, &stats);
        Ok(ExitCode::from(match tally.errors(&stats) {
            _ if was_stopped => 130,
            0 => 0,
            _ => 1,
        }))
    }
}

/// A [`Failure::Panic`] does not know which work panicked; the work does.
struct NamedInPanic<'a> {
    path: &'a Path,
    report: &'a Report,
}

impl Drop for NamedInPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.report.error(format_args!("{:?}: panicked", self.path));
        }
    }
}
