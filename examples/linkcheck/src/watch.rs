//! Looks at the troupe from time to time: for the progress line, and for the picture.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use troupe_pool::Handle;

use crate::{lease::Failed, report::Report, sample::Sample};

/// More than these in a picture nobody can see.
const MAX_SAMPLES: usize = 1200;

/// Figures that only the feeder knows.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    found: AtomicU64,
    settled: AtomicU64,
    broken: AtomicUsize,
    retrying: AtomicUsize,
}

impl Gauges {
    pub(crate) fn set(&self, found: u64, settled: u64, broken: usize, retrying: usize) {
        self.found.store(found, Relaxed);
        self.settled.store(settled, Relaxed);
        self.broken.store(broken, Relaxed);
        self.retrying.store(retrying, Relaxed);
    }
}

/// A thread that samples until it is told that the work is done.
#[derive(Debug)]
pub(crate) struct Watch {
    done: Sender<Rest>,
    thread: JoinHandle<Vec<Sample>>,
}

/// How long to go on when the work is done.
#[derive(Debug)]
struct Rest {
    /// Until there are no more actors than these,
    actors: usize,
    /// or it has taken this long.
    at_most: Duration,
}

impl Watch {
    /// The samples are kept if there is to be a `picture`.
    pub(crate) fn start(
        troupe: Handle<Failed>,
        gauges: Arc<Gauges>,
        report: Arc<Report>,
        picture: bool,
    ) -> io::Result<Self> {
        let (done, rest) = mpsc::channel();
        let watch = move || watch(&troupe, &gauges, &report, picture, &rest);
        let thread = thread::Builder::new().name("watch".into()).spawn(watch)?;
        Ok(Watch { done, thread })
    }

    /// Ends it when the troupe has shrunk to so many actors, but in a while at most.
    pub(crate) fn finish(self, actors: usize, at_most: Duration) -> Vec<Sample> {
        let Watch { done, thread } = self;
        done.send(Rest { actors, at_most }).ok();
        let samples = thread.join().unwrap_or_default();
        // Only now: without a sender it would end at once, as when the program fails.
        drop(done);
        samples
    }
}

fn watch(
    troupe: &Handle<Failed>,
    gauges: &Gauges,
    report: &Report,
    picture: bool,
    done: &Receiver<Rest>,
) -> Vec<Sample> {
    let start = Instant::now();
    // Often enough that the picture shows every actor that comes and goes; a reader of the progress
    // line needs less.
    let mut interval = Duration::from_millis(if picture { 10 } else { 100 });
    let mut samples = Vec::new();
    let mut rest: Option<(Rest, Instant)> = None;
    loop {
        let sample = take(troupe, gauges, start.elapsed());
        report.progress(
            gauges.settled.load(Relaxed),
            gauges.found.load(Relaxed),
            gauges.broken.load(Relaxed),
            &sample,
        );
        if picture {
            samples.push(sample);
        }
        if samples.len() > MAX_SAMPLES {
            thin(&mut samples);
            interval *= 2;
        }
        if let Some((rest, since)) = &rest
            && (!picture || sample.actors <= rest.actors || since.elapsed() >= rest.at_most)
        {
            return samples;
        }
        match done.recv_timeout(interval) {
            Ok(until) => rest = Some((until, Instant::now())),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return samples,
        }
    }
}

fn take(troupe: &Handle<Failed>, gauges: &Gauges, at: Duration) -> Sample {
    let stats = troupe.stats();
    Sample {
        at,
        actors: stats.actors,
        busy: stats.running,
        queued: stats.queued,
        retrying: gauges.retrying.load(Relaxed),
    }
}

/// Every second sample, and the last.
fn thin(samples: &mut Vec<Sample>) {
    let last = samples.len() - 1;
    let mut index = 0;
    samples.retain(|_| {
        let is_kept = index % 2 == 0 || index == last;
        index += 1;
        is_kept
    });
}
