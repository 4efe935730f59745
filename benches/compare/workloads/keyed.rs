//! Works with keys: their cost, the same order made by hand, and works of other keys beside a hot
//! one.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use threadpool::ThreadPool;
use troupe_pool::{Config, Troupe, Work};

use crate::effort::Effort;
use crate::figures::Figures;
use crate::measure::{interleaved, median, quantile, rest};
use crate::mode::Mode;
use crate::no_ops::nanos_each;
use crate::section::{Bar, Section, Table};
use crate::support::{self, MAILBOX, Pool};

/// The threads of the pools, except where the cost alone is measured.
const ACTORS: usize = 8;

/// The works of the hot key, and those beside them.
const HOT_WORKS: usize = 80;
const OTHERS: usize = 40;

/// A process each, so that no threads of another part are about.
pub(super) const PARTS: &[&str] = &["cost", "order", "hot"];

/// The columns of each part.
const COST: [&str; 4] = ["plain", "own key each", "16 keys", "one key"];
const ORDER: [&str; 2] = ["keyed", "queues by hand"];
const HOT: [&str; 3] = ["beside keyed", "beside a mutex", "alone"];

pub(super) fn measure(effort: Effort, part: &str) -> Figures {
    match part {
        "cost" => cost(effort),
        "order" => order(effort),
        "hot" => hot_key(effort),
        other => unreachable!("no part {other}"),
    }
}

fn troupe(actors: usize) -> Troupe {
    let config = Config::fixed(actors).mailbox_size(MAILBOX);
    Troupe::new(config).expect("a troupe")
}

fn cost(effort: Effort) -> Figures {
    let rounds = effort.of(9, 5, 1);
    let works: usize = effort.of(200_000, 50_000, 1_000);
    let mut figures = Figures::default();
    for actors in [2, 16] {
        let troupe = troupe(actors);
        let cells = interleaved(COST.len(), rounds, |index, is_measured| {
            let works = if is_measured { works } else { works / 5 };
            match COST[index] {
                "plain" => nanos_each(&troupe, works, |work, _| work),
                "own key each" => nanos_each(&troupe, works, |work, number| work.keyed(&number)),
                "16 keys" => nanos_each(&troupe, works, |work, number| work.keyed(&(number % 16))),
                "one key" => nanos_each(&troupe, works, |work, _| work.keyed(&0_usize)),
                other => unreachable!("no column {other}"),
            }
        });
        for (column, cell) in COST.into_iter().zip(cells) {
            figures.put(format!("{actors} x 1"), column, median(cell));
        }
    }
    figures
}

/// The keys of the works by their numbers.
type Keys = fn(usize) -> usize;

fn evenly(number: usize) -> usize {
    number % 64
}

/// Half of the works have the key 0, the others are spread over 63.
fn half_are_hot(number: usize) -> usize {
    if number % 2 == 0 {
        0
    } else {
        1 + number / 2 % 63
    }
}

fn order(effort: Effort) -> Figures {
    let rounds = effort.of(9, 5, 1);
    let works: usize = effort.of(200_000, 50_000, 1_000);
    let troupe = troupe(ACTORS);
    let Pool::Threadpool(pool) = Pool::threadpool(ACTORS) else {
        unreachable!("a threadpool");
    };
    let queues = Queues {
        pool,
        queues: Arc::default(),
    };
    let mut figures = Figures::default();
    let rows: [(&str, Keys); 2] = [
        ("64 keys, evenly", evenly),
        ("one of 64 has half", half_are_hot),
    ];
    for (row, key_of) in rows {
        let cells = interleaved(ORDER.len(), rounds, |index, is_measured| {
            let works = if is_measured { works } else { works / 5 };
            let took = support::round(1, works, |count| {
                for number in 0..count {
                    let key = key_of(number);
                    if ORDER[index] == "keyed" {
                        let work = Work::new(move || {
                            support::no_op(number);
                            Ok(())
                        });
                        support::persist(&troupe, work.keyed(&key));
                    } else {
                        queues.execute(key, move || support::no_op(number));
                    }
                }
            });
            took.as_secs_f64() * 1e9 / works as f64
        });
        for (column, cell) in ORDER.into_iter().zip(cells) {
            figures.put(row, column, median(cell));
        }
    }
    figures
}

type Job = Box<dyn FnOnce() + Send>;

/// A queue for each key over threadpool, as users write it. While a key is in the map, a thread
/// of the pool runs the jobs of that key, one by one.
struct Queues {
    pool: ThreadPool,
    queues: Arc<Mutex<HashMap<usize, VecDeque<Job>>>>,
}

impl Queues {
    fn execute(&self, key: usize, job: impl FnOnce() + Send + 'static) {
        match self.queues.lock().entry(key) {
            Entry::Occupied(mut queue) => return queue.get_mut().push_back(Box::new(job)),
            Entry::Vacant(place) => place.insert(VecDeque::new()),
        };
        let queues = Arc::clone(&self.queues);
        let next = move || {
            let mut queues = queues.lock();
            let job = queues.get_mut(&key)?.pop_front();
            if job.is_none() {
                queues.remove(&key);
            }
            job
        };
        self.pool.execute(move || {
            job();
            while let Some(job) = next() {
                job();
            }
        });
    }
}

fn hot_key(effort: Effort) -> Figures {
    let rounds = effort.of(9, 3, 1);
    let hot_key = HotKey {
        troupe: troupe(ACTORS),
        lock: Arc::default(),
    };
    let cells = interleaved(HOT.len(), rounds, |index, is_measured| {
        let others = if is_measured { OTHERS } else { OTHERS / 5 };
        hot_key.others_wait(HOT[index], others)
    });
    let mut figures = Figures::default();
    for (row, share) in [("p50", 0.5), ("max", 1.0)] {
        for (column, rounds) in HOT.into_iter().zip(&cells) {
            let rounds = rounds.iter().map(|waits| quantile(waits.clone(), share));
            figures.put(row, column, median(rounds.collect()));
        }
    }
    figures
}

/// Works of a hot key among others.
struct HotKey {
    troupe: Troupe,
    /// The lock that stands for the key in the column of the mutex.
    lock: Arc<Mutex<()>>,
}

impl HotKey {
    /// Assigns works by turns, and returns how long the others waited until they started, in
    /// milliseconds.
    fn others_wait(&self, column: &str, others: usize) -> Vec<f64> {
        let hot_works = if column == "alone" {
            0
        } else {
            others * HOT_WORKS / OTHERS
        };
        let expected = support::counted() + (others + hot_works) as u64;
        let waited: Arc<[AtomicU64]> = (0..others).map(|_| AtomicU64::new(0)).collect();
        for other in 0..others {
            for _ in 0..hot_works / others {
                support::persist(&self.troupe, self.hot_work(column));
            }
            let waited = Arc::clone(&waited);
            let assigned = Instant::now();
            support::persist(&self.troupe, move || {
                let nanos = u64::try_from(assigned.elapsed().as_nanos()).unwrap_or(u64::MAX);
                waited[other].store(nanos, Ordering::Relaxed);
                support::count();
                Ok(())
            });
        }
        support::wait_until_counted(expected);
        let waited = waited.iter().map(|nanos| nanos.load(Ordering::Relaxed));
        waited.map(|nanos| nanos as f64 / 1e6).collect()
    }

    fn hot_work(&self, column: &str) -> Work {
        const TIME: Duration = Duration::from_millis(2);

        if column == "beside keyed" {
            let work = Work::new(|| {
                rest(TIME);
                support::count();
                Ok(())
            });
            return work.keyed("hot");
        }
        let lock = Arc::clone(&self.lock);
        Work::new(move || {
            let _turn = lock.lock();
            rest(TIME);
            support::count();
            Ok(())
        })
    }
}

pub(super) fn report(figures: &Figures, mode: Mode) -> Section {
    let (cost, order, hot) = (
        figures.of_columns(&COST),
        figures.of_columns(&ORDER),
        figures.of_columns(&HOT),
    );
    let mut bars = Vec::new();
    for row in cost.rows() {
        for (column, bar) in [("own key each", 4.0), ("one key", 3.0)] {
            let ratio = cost.ratio(row, column, "plain");
            let what = format!("{row}: {column} / plain");
            bars.push(Bar::ratio_of_costs(mode, what, ratio, bar));
        }
    }
    let to_queues = |row: &str| order.ratio(row, "keyed", "queues by hand");
    for row in order.rows() {
        let what = format!("{row}: keyed / queues by hand");
        // It depends on what two processors cost that share the lock of a queue.
        bars.push(Bar::times(what, to_queues(row), 0.9));
    }
    for row in hot.rows() {
        let what = |to: &str| format!("others, {row}: beside keyed / {to}");
        let ratio = |to: &str| hot.ratio(row, "beside keyed", to);
        bars.push(Bar::ratio(
            what("beside a mutex"),
            ratio("beside a mutex"),
            0.1,
        ));
        bars.push(ratio("alone").map(|figure| Bar::Shown(what("alone"), figure)));
    }
    Section {
        about: format!(
            "ns per no-op work of one producer, plain and with keys, on the same troupe; mailboxes \
             of 128. An own key each is always free. One key is taken most of the time, and the \
             works stand in line.\n\nThe second table: ns per no-op work by key, {ACTORS} threads, \
             one producer, beside a queue for each key over threadpool, as users write it. That is \
             one map of queues under a lock. A key is in the map while a thread of the pool runs \
             its works, and the queues have no bound.\n\nThe third table: ms from assign to start \
             of {OTHERS} works without a key on {ACTORS} actors, assigned among {HOT_WORKS} works \
             of 2 ms that must not run at the same time. These have one key, or each takes one \
             mutex on its actor. `alone` are the {OTHERS} without the others."
        ),
        tables: vec![
            Table::of(&cost, "actors x producers", 0),
            Table::of(&order, "", 0).with("keyed / queues by hand", to_queues),
            Table::of(&hot, "others", 3),
        ],
        bars: bars.into_iter().flatten().collect(),
    }
}
