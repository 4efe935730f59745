//! The counts of the server, and the system's figures about it.

use std::fs;

use serde::Serialize;
use troupe_pool::Stats;

use crate::{counters::Counts, server::Server};

/// The figures of `/stats`. Each figure is right for an instant of its own.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) pool: &'static str,
    pub(crate) uptime_seconds: f64,
    pub(crate) shutting_down: bool,
    pub(crate) resident_bytes: Option<u64>,
    pub(crate) connections: usize,
    pub(crate) calls: Counts,
    pub(crate) troupe: Works,
}

/// The library's [`Stats`], whose `running` is `busy` here.
#[derive(Debug, Serialize)]
pub(crate) struct Works {
    pub(crate) actors: usize,
    pub(crate) busy: usize,
    pub(crate) idle: usize,
    pub(crate) peak: usize,
    pub(crate) queued: usize,
    pub(crate) capacity: usize,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) panicked: u64,
    pub(crate) returned: u64,
    pub(crate) grown: u64,
    pub(crate) retired: u64,
    pub(crate) shared: u64,
    pub(crate) spawn_failures: u64,
    pub(crate) handler_panics: u64,
}

impl Figures {
    pub(crate) fn now(server: &Server) -> Self {
        // Before the calls: so none is seen whose work is not yet counted as read.
        let stats = server.pool.stats();
        Figures {
            pool: server.pool.name(),
            uptime_seconds: server.start.elapsed().as_secs_f64(),
            shutting_down: server.pool.is_shutdown(),
            resident_bytes: resident_bytes(),
            connections: server.registry.len(),
            calls: server.shared.counters.get(),
            troupe: stats.into(),
        }
    }
}

impl From<Stats> for Works {
    fn from(stats: Stats) -> Self {
        Works {
            actors: stats.actors,
            busy: stats.running,
            idle: stats.idle,
            peak: stats.peak,
            queued: stats.queued,
            capacity: stats.capacity,
            accepted: stats.accepted,
            refused: stats.refused,
            completed: stats.completed,
            failed: stats.failed,
            panicked: stats.panicked,
            returned: stats.returned,
            grown: stats.grown,
            retired: stats.retired,
            shared: stats.shared,
            spawn_failures: stats.spawn_failures,
            handler_panics: stats.handler_panics,
        }
    }
}

/// `None` where there is no such file as Linux has.
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().split(' ').next()?.parse().ok()?;
    Some(kibibytes * 1024)
}
