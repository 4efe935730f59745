//! The last minutes, a sample a second, for the page.

use std::{collections::VecDeque, time::Duration};

use parking_lot::Mutex;
use serde::Serialize;
use troupe_pool::Stats;

pub(crate) const EVERY: Duration = Duration::from_secs(1);

/// Five minutes.
const SAMPLES: usize = 300;

#[derive(Debug, Default)]
pub(crate) struct Trend(Mutex<VecDeque<Sample>>);

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Sample {
    uptime_seconds: f64,
    actors: usize,
    busy: usize,
    queued: usize,
    completed: u64,
    failed: u64,
    refused: u64,
}

impl Trend {
    pub(crate) fn add(&self, uptime: Duration, stats: &Stats) {
        let mut samples = self.0.lock();
        if samples.len() == SAMPLES {
            samples.pop_front();
        }
        samples.push_back(Sample {
            uptime_seconds: uptime.as_secs_f64(),
            actors: stats.actors,
            busy: stats.running,
            queued: stats.queued,
            completed: stats.completed,
            failed: stats.failed + stats.panicked,
            refused: stats.refused,
        });
    }

    pub(crate) fn samples(&self) -> Vec<Sample> {
        self.0.lock().iter().copied().collect()
    }
}
