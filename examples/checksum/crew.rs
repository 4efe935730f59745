//! The troupe and what its works share.

use std::{
    io::{self, ErrorKind::NotFound},
    panic::resume_unwind,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    thread,
};

use crossbeam_channel::Receiver;
use troupe_pool::{BuildError, Config, Failure, Troupe};

use crate::{
    error::{FileError, Reason},
    fatal::Fatal,
    hash::{self, is_standard_input},
    ordered::{Failed, Feed, Outcome, ordered},
    report::Report,
    tally::{Hashed, Tally},
};

#[derive(Debug)]
pub(crate) struct Crew {
    pub(crate) troupe: Troupe<Failed<FileError, Hashed>>,
    pub(crate) report: Arc<Report>,
    /// Disconnects at a request to stop.
    stopped: Receiver<()>,
}

impl Crew {
    pub(crate) fn new(
        config: Config,
        report: Report,
        stopped: Receiver<()>,
    ) -> Result<Arc<Self>, BuildError> {
        let report = Arc::new(report);
        let to_user = Arc::clone(&report);
        let troupe = Troupe::builder(config)
            .error_handler(move |failure: Failure<_>, _| to_user.error(failure))
            .build()?;
        Ok(Arc::new(Crew {
            troupe,
            report,
            stopped,
        }))
    }

    /// Hashes the files that some of `items` come with, and hands each item to `settle`, in the order
    /// of `items`, with the outcome. An error of `settle`, which writes the output, ends it at once.
    ///
    /// A separate thread takes the `items`. A request to stop does not wait for it.
    pub(crate) fn hash_all<T: Send + 'static>(
        self: &Arc<Self>,
        items: impl Iterator<Item = (T, Option<PathBuf>)> + Send + 'static,
        ignore_missing: bool,
        mut settle: impl FnMut(T, Option<Outcome<Hashed>>) -> io::Result<()>,
    ) -> Result<Tally, Fatal> {
        let (feed, results) = ordered(&self.troupe, self.stopped.clone());
        let crew = Arc::clone(self);
        let feed = move || {
            for (item, path) in items {
                // A request to stop ends the search.
                let goes_on = !crew.is_stopped() && crew.feed(&feed, item, path, ignore_missing);
                if !goes_on {
                    break;
                }
            }
        };
        let feeder = thread::Builder::new()
            .name("feeder".into())
            .spawn(feed)
            .map_err(Fatal::system("a thread was refused"))?;
        let mut tally = Tally::default();
        for (item, outcome) in results {
            if let Some(outcome) = &outcome {
                tally.add(outcome);
            }
            settle(item, outcome).map_err(Fatal::Output)?;
        }
        if !self.is_stopped() {
            feeder.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
        Ok(tally)
    }

    fn feed<T>(
        &self,
        feed: &Feed<FileError, T, Hashed>,
        item: T,
        path: Option<PathBuf>,
        ignore_missing: bool,
    ) -> bool {
        match path {
            None => feed.item(item),
            Some(path) => {
                // If standard input is named twice, the second job reads what the first has left.
                let key = is_standard_input(&path).then_some("standard input");
                feed.job(item, key, self.job(path, ignore_missing))
            }
        }
    }

    /// The job for one file.
    fn job(
        &self,
        path: PathBuf,
        ignore_missing: bool,
    ) -> impl FnOnce() -> Result<Option<Hashed>, FileError> + Send + 'static {
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
            match result {
                Ok(sum) => Ok(sum.map(Hashed::Sum)),
                Err(Reason::Open(error)) if ignore_missing && error.kind() == NotFound => {
                    Ok(Some(Hashed::Missing))
                }
                Err(reason) => Err(FileError { path, reason }),
            }
        }
    }

    /// The program itself shuts the troupe down only when all is done, so before that it was a
    /// signal.
    pub(crate) fn is_stopped(&self) -> bool {
        self.troupe.is_shutdown()
    }

    /// Shuts down, joins, and says how it went.
    pub(crate) fn finish(&self, result: Result<Tally, Fatal>) -> Result<ExitCode, Fatal> {
        let tally = match result {
            Ok(tally) => tally,
            Err(error) => {
                // Nobody reads the rest, so nobody needs it hashed. A work that waits for a FIFO ends
                // with the process.
                drop(self.troupe.shutdown_now());
                return Err(error);
            }
        };
        let was_stopped = !self.troupe.shutdown();
        if !was_stopped {
            self.troupe.join()?;
        }
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
