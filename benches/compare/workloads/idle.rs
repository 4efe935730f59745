//! Idle actors do nothing: how often the system switches to or from the
//! threads of pools that have nothing to do.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use crate::effort::Effort;
use crate::figures::Figures;
use crate::measure::rest;
use crate::mode::Mode;
use crate::section::{Bar, Section, Table};
use crate::support::{self, Pool};

const ACTORS: usize = 64;

pub(super) fn measure(effort: Effort, _: &str) -> Figures {
    let time = effort.of(
        Duration::from_secs(10),
        Duration::from_secs(1),
        Duration::from_millis(100),
    );
    let mut known = threads();
    let mut of = |pool: Pool| {
        let all = threads();
        let own: Vec<String> = all.difference(&known).cloned().collect();
        known = all;
        (pool, own)
    };
    let pools = [
        of(Pool::troupe(ACTORS, support::MAILBOX)),
        of(Pool::dynamic(ACTORS, support::MAILBOX)),
        of(Pool::threadpool(ACTORS)),
        of(Pool::rusty_pool(ACTORS)),
        of(Pool::rayon(ACTORS)),
        of(Pool::tokio(ACTORS)),
    ];
    rest(Duration::from_millis(100));
    let count = || pools.each_ref().map(|(_, threads)| switches(threads));
    let before = count();
    rest(time);
    let after = count();
    let mut figures = Figures::default();
    for (index, (pool, threads)) in pools.iter().enumerate() {
        figures.put(pool.name(), "threads", threads.len() as f64);
        let switches = after[index].saturating_sub(before[index]);
        figures.put(pool.name(), "switches", switches as f64);
    }
    figures
}

/// The threads of this process.
fn threads() -> BTreeSet<String> {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten();
    tasks
        .flatten()
        .map(|task| task.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Context switches of those threads so far, voluntary or not.
fn switches(threads: &[String]) -> u64 {
    let of = |thread: &String| -> u64 {
        let status = fs::read_to_string(format!("/proc/self/task/{thread}/status"));
        let status = status.unwrap_or_default();
        let counts = status.lines().filter_map(|line| {
            let (_, count) = line.split_once("voluntary_ctxt_switches:")?;
            count.trim().parse::<u64>().ok()
        });
        counts.sum()
    };
    threads.iter().map(of).sum()
}

pub(super) fn report(figures: &Figures, _: Mode) -> Section {
    let bars = ["troupe", "dynamic"].into_iter().filter_map(|row| {
        let what = format!("{row}: switches");
        Some(Bar::Absolute(what, figures.get(row, "switches")?, 0.0, ""))
    });
    Section {
        about: format!(
            "Context switches, voluntary or not, of {ACTORS} idle actors in 10 s (in a quick run, \
             1 s); beside those of the threads of other pools, idle in the same process."
        ),
        tables: vec![Table::of(figures, "", 0)],
        bars: bars.collect(),
    }
}
