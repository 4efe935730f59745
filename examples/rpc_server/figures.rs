//! The counts of the server, and the system's figures about it.

use std::fs;

use serde::Serialize;
use troupe_pool::Stats;

use crate::{counters::Counters, server::Server};

/// The figures of `/stats`. Each figure is right for a different instant.
#[derive(Debug, Serialize)]
pub(crate) struct Figures<'s> {
    pub(crate) pool: &'static str,
    pub(crate) uptime_seconds: f64,
    pub(crate) shutting_down: bool,
    pub(crate) resident_bytes: Option<u64>,
    pub(crate) connections: usize,
    pub(crate) calls: &'s Counters,
    #[serde(with = "Works")]
    pub(crate) troupe: Stats,
}

/// The part that is shown of the library's [`Stats`], whose `running` is `busy` here.
#[derive(Serialize)]
#[serde(remote = "Stats")]
struct Works {
    actors: usize,
    #[serde(rename = "busy")]
    running: usize,
    idle: usize,
    peak: usize,
    queued: usize,
    capacity: usize,
    accepted: u64,
    refused: u64,
    completed: u64,
    failed: u64,
    panicked: u64,
    expired: u64,
    returned: u64,
    grown: u64,
    retired: u64,
    shared: u64,
    spawn_failures: u64,
    handler_panics: u64,
}

impl<'s> Figures<'s> {
    pub(crate) fn now(server: &'s Server) -> Self {
        // Before the calls: so none is seen whose work is not yet counted as read.
        let stats = server.pool.stats();
        Figures {
            pool: server.pool.name(),
            uptime_seconds: server.start.elapsed().as_secs_f64(),
            shutting_down: server.pool.is_shutdown(),
            resident_bytes: resident_bytes(),
            connections: server.registry.len(),
            calls: &server.shared.counters,
            troupe: stats,
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
