//! 4,000 idle actors time out together while another thread assigns a no-op
//! work every 200 us. Each of those assigns is timed by itself.
//!
//! The control: 4,000 bare threads that each wait with the same timeout, then
//! take one shared mutex once and exit, while another thread takes that mutex
//! every 200 us and wakes one more thread, which sleeps again. (An assign to an
//! idle troupe has to wake an actor. Without that wake the control would take
//! its uncontended mutex in a fraction of a microsecond.) Thousands of threads
//! that become runnable at once delay every other thread; a troupe may multiply
//! that by a small factor only.
//!
//! Both begin alike: all threads stand before one gate, the gate opens, and
//! from then on each waits for its timeout. A round is over when all but a few
//! threads have ended. The system tells how many there are: asking the troupe
//! would disturb it.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use troupe_pool::{Config, Troupe};

use crate::effort::Effort;
use crate::figures::Figures;
use crate::gate::Gate;
use crate::measure::{interleaved, median, nanos, quantile, rest};
use crate::mode::Mode;
use crate::section::{Bar, Section, Table};

/// Long enough that all are idle when the first one's is over.
const IDLE_TIMEOUT: Duration = Duration::from_millis(300);

const INTERVAL: Duration = Duration::from_micros(200);

/// The system has refused a thread.
struct Refused;

pub(super) fn measure(effort: Effort, _: &str) -> Figures {
    let rounds = effort.of(9, 1, 1);
    let actors: u32 = effort.of(4_000, 1_000, 50);
    let cells = interleaved(2, rounds, |index, _| match index {
        0 => troupe(actors),
        _ => bare_threads(actors),
    });
    let mut figures = Figures::default();
    for (name, rounds) in ["troupe", "bare threads"].into_iter().zip(cells) {
        let Ok(rounds) = rounds.into_iter().collect::<Result<Vec<_>, Refused>>() else {
            eprintln!("storm: this system does not start {actors} threads");
            return Figures::default();
        };
        let worst = rounds.iter().map(|round| quantile(round.clone(), 1.0));
        figures.put("worst", name, median(worst.collect()));
        let all = rounds.concat();
        figures.put("p99.9", name, quantile(all.clone(), 0.999));
        figures.put("p50", name, median(all));
    }
    figures
}

/// The durations of the assigns to a troupe whose actors time out.
fn troupe(actors: u32) -> Result<Vec<f64>, Refused> {
    let before = threads();
    let config = Config::dynamic(0, actors as usize)
        .mailbox_size(1)
        .idle_timeout(IDLE_TIMEOUT);
    let troupe = Troupe::new(config).map_err(|_| Refused)?;
    let gate = Arc::new(Gate::default());
    let is_accepted = (0..actors).all(|_| {
        let gate = Arc::clone(&gate);
        let work = move || {
            gate.pass();
            Ok(())
        };
        troupe.assign(work).is_ok()
    });
    // A work may have been accepted by a mailbox because no thread started.
    let outcome = if is_accepted && troupe.stats().actors == actors as usize {
        gate.wait_until_came(actors.into());
        gate.open();
        Ok(through_the_storm(before, || {
            troupe.assign(|| Ok(())).expect("there are idle actors");
        }))
    } else {
        gate.open();
        Err(Refused)
    };
    troupe.shutdown();
    troupe.join().expect("this is no actor's thread");
    wait_until_ended(before, 0);
    outcome
}

/// The same with one mutex instead of a troupe.
fn bare_threads(number: u32) -> Result<Vec<f64>, Refused> {
    let before = threads();
    let gate = Arc::new(Gate::default());
    let list = Arc::new(Mutex::new(Vec::with_capacity(number as usize)));
    let body = |index: u32| {
        let (gate, list) = (Arc::clone(&gate), Arc::clone(&list));
        move || {
            gate.pass();
            let deadline = Instant::now() + IDLE_TIMEOUT;
            while let Some(left) = deadline.checked_duration_since(Instant::now()) {
                thread::park_timeout(left);
            }
            list.lock().push(index);
        }
    };
    let spawn = |index| thread::Builder::new().spawn(body(index));
    let threads: Vec<JoinHandle<()>> = (0..number).map_while(|index| spawn(index).ok()).collect();
    let outcome = if threads.len() == number as usize {
        gate.wait_until_came(number.into());
        gate.open();
        let helper = Helper::start();
        Ok(through_the_storm(before, || {
            drop(list.lock());
            helper.wake();
        }))
    } else {
        gate.open();
        Err(Refused)
    };
    for thread in threads {
        thread.join().expect("it only waits");
    }
    wait_until_ended(before, 0);
    outcome
}

/// A thread that does nothing each time it is woken.
struct Helper {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Helper {
    fn start() -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let park = {
            let is_over = Arc::clone(&is_over);
            move || {
                while !is_over.load(Ordering::Acquire) {
                    thread::park();
                }
            }
        };
        Self {
            is_over,
            thread: Some(thread::Builder::new().spawn(park).expect("a thread")),
        }
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        self.wake();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it only parks");
        }
    }
}

/// Calls `step` every 200 us until all but a few threads have ended. Returns how
/// long each call took that ended after the first timeout, in microseconds.
fn through_the_storm(threads_before: usize, step: impl Fn() + Sync) -> Vec<f64> {
    /// The thread that steps, the one that it wakes, and others that the works
    /// of a troupe keep alive.
    const FEW: usize = 8;
    /// By how much it begins too early: once the storm is there, a new thread
    /// may not run until it is over.
    const EARLY: Duration = Duration::from_millis(50);
    let opened = Instant::now();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let stepping = scope.spawn(|| {
            rest(IDLE_TIMEOUT - EARLY);
            let mut took = Vec::new();
            let mut due = opened.elapsed();
            loop {
                let was_over = is_over.load(Ordering::Relaxed);
                let nanos = nanos(&step);
                if opened.elapsed() >= IDLE_TIMEOUT {
                    took.push(nanos / 1e3);
                }
                if was_over {
                    return took;
                }
                // A step that is late is not made up for.
                due = (due + INTERVAL).max(opened.elapsed());
                rest(due.saturating_sub(opened.elapsed()));
            }
        });
        wait_until_ended(threads_before, FEW);
        is_over.store(true, Ordering::Relaxed);
        stepping.join().expect("it only steps")
    })
}

/// Waits until the process has only a few more threads than before.
fn wait_until_ended(before: usize, more: usize) {
    while threads() > before + more {
        rest(Duration::from_millis(2));
    }
}

/// The threads of this process. The system counts them, so this lists nothing.
fn threads() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    let threads = lines.find_map(|line| line.strip_prefix("Threads:"));
    threads
        .and_then(|threads| threads.trim().parse().ok())
        .unwrap_or(0)
}

pub(super) fn report(figures: &Figures, _: Mode) -> Section {
    let ratio = |row: &str| figures.ratio(row, "troupe", "bare threads");
    let bars = [
        // A few threads more or less that wake first decide it: no quick pass fails by it.
        Bar::times("worst, troupe / bare threads", ratio("worst"), 5.0),
        figures
            .get("worst", "troupe")
            .map(|worst| Bar::Absolute("worst assign".to_owned(), worst / 1e3, 1.0, "ms")),
        ratio("p99.9").map(|figure| Bar::Shown("p99.9, troupe / bare threads".to_owned(), figure)),
    ];
    let lack = if figures.rows().is_empty() {
        " **This system did not start as many threads, so there are no figures.**"
    } else {
        ""
    };
    Section {
        about: format!(
            "us per assign of a no-op work, one every {INTERVAL:?}, while 4,000 idle actors time \
             out together (in a quick run, 1,000). Beside it the time to take a mutex and to wake a \
             thread, while as many bare threads take that mutex once each, after the same \
             timeout.{lack}"
        ),
        tables: vec![Table::of(figures, "", 1).with("troupe / bare threads", ratio)],
        bars: bars.into_iter().flatten().collect(),
    }
}
