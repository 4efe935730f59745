//! Conservation at scale: works by the million through troupe after troupe, under chaos, and at the end not a work, not a
//! capture, not a thread is missing or left over.
//!
//! `tests/it/conservation.rs` shakes one kind of troupe; here everything varies, and everything is watched: fixed and
//! dynamic troupes, idle timeouts of none to some hundred microseconds, errors, panics, drops that panic, retries, works
//! that assign works or shut their troupe down, works that change hands between assigners, five ways to an end, and a next
//! troupe that takes over what the last one returned.
//!
//! `TROUPE_SOAK` is the number of works: a short form without it, hours with enough of it. `TROUPE_SEED` shifts all that
//! is random, and `TROUPE_SOAK_FIRST` begins with that generation, so that a failure can be looked at alone:
//!
//! ```text
//! TROUPE_SOAK=100000000 cargo test --release --test soak -- --nocapture
//! ```
//!
//! `scripts/soak` runs it undisturbed, on one processor, and beside a busy loop.

#[expect(dead_code, reason = "the other functions serve other tests")]
mod process;
#[path = "it/support.rs"]
#[expect(dead_code, reason = "the other functions serve other tests")]
mod support;

use parking_lot::Mutex;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::cell::Cell;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};
use support::{
    DropCounter, HANG, Lease, OnDrop, Rng, eventually, join, quiet_panic, settle, within,
};
use troupe_pool::{AssignError, Config, Context, Failure, Handle, Mode, Stats, Troupe, Work};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Longer than most of the idle timeouts.
const IDLE_LONG_ENOUGH: Duration = Duration::from_millis(1);

/// How often a work may be tried again, or assign another.
const ATTEMPTS: u32 = 3;

fn add(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, SeqCst) + 1
}

fn of(counter: &AtomicU64) -> u64 {
    counter.load(SeqCst)
}

/// A heap of works, known by their number and by the sum of their names: one missing and another twice do not make up for
/// each other.
#[derive(Default)]
struct Heap {
    number: AtomicU64,
    names: AtomicU64,
}

impl Heap {
    fn put(&self, name: u64) {
        add(&self.number);
        self.names.fetch_add(name, SeqCst);
    }

    fn weigh(&self) -> (u64, u64) {
        (of(&self.number), of(&self.names))
    }
}

/// The counts of works, handlers and assigners. One for all troupes of a generation.
#[derive(Default)]
struct Ledger {
    /// Calls of an assign method, counted before the call.
    tried: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
    begun: AtomicU64,
    completed: AtomicU64,
    failed: AtomicU64,
    panicked: AtomicU64,
    handled: AtomicU64,
    /// Handlers that panicked, and errors and payloads whose drop did.
    handler_panics: AtomicU64,
    /// Works handed back by `shutdown_now`.
    returned: AtomicU64,
    running: AtomicU64,
    most_running: AtomicU64,
    /// Every work that was made; those that were dropped after their run; those that were dropped without one.
    made: Heap,
    run: Heap,
    unrun: Heap,
    /// Of errors and of handlers.
    leases: DropCounter,
    names: AtomicU64,
    /// Faults found where a panic would be caught, and counted as that of a work.
    complaints: Mutex<Vec<String>>,
    /// The troupe of the moment, for works that assign: they may run in a later one than they were made for.
    troupe: Mutex<Option<Handle<Fault>>>,
    /// Works on their way from one assigner to another, or from one troupe to the next.
    passed_on: Mutex<Vec<Work<Fault>>>,
}

impl Ledger {
    /// Enters the outcome of an assign. A refused work comes back.
    fn enter(&self, outcome: Result<(), AssignError<Fault>>) -> Option<Work<Fault>> {
        match outcome {
            Ok(()) => {
                add(&self.accepted);
                None
            }
            Err(refused) => {
                add(&self.refused);
                Some(refused.into_work())
            }
        }
    }

    fn check(&self, holds: bool, what: &str, seen: &dyn Debug) {
        if !holds {
            let mut complaints = self.complaints.lock();
            if complaints.len() < 20 {
                complaints.push(format!("{what}: {seen:?}"));
            }
        }
    }
}

/// In the captures of each work: says, when it is dropped, whether the work has run.
struct Token {
    ledger: Arc<Ledger>,
    name: u64,
    has_begun: Cell<bool>,
    lane: Option<Arc<AtomicU64>>,
}

impl Drop for Token {
    fn drop(&mut self) {
        if self.has_begun.get() {
            self.ledger.run.put(self.name);
        } else {
            self.ledger.unrun.put(self.name);
        }
        if let Some(done) = &self.lane {
            add(done);
        }
    }
}

/// Panics when it is dropped, if it is armed.
struct Bomb(Cell<bool>);

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0.get() {
            quiet_panic("in a drop");
        }
    }
}

/// The error of a work.
struct Fault {
    attempts: u32,
    bomb: Bomb,
    _lease: Lease,
}

#[derive(Clone, Copy)]
enum Fate {
    Completes,
    Fails { with_a_bomb: bool },
    Panics { with_a_bomb: bool },
    Explodes,
    Assigns,
    ShutsDown,
}

/// How many of a thousand works come to grief, and how long they take.
#[derive(Clone, Copy, Debug)]
struct Weather {
    storm: u64,
    mutiny: bool,
    longest: u64,
}

impl Weather {
    fn any(rng: &mut Rng) -> Self {
        Self {
            storm: [0, 2, 10, 40][rng.below(4) as usize],
            mutiny: rng.chance(5),
            longest: [0, 5, 40, 200][rng.below(4) as usize],
        }
    }

    fn fate(self, rng: &mut Rng) -> Fate {
        let storm = self.storm;
        let roll = rng.below(1_000);
        let with_a_bomb = rng.below(8) == 0;
        match roll {
            _ if roll < storm => Fate::Explodes,
            _ if roll < 2 * storm => Fate::Panics { with_a_bomb },
            _ if roll < 6 * storm => Fate::Fails { with_a_bomb },
            _ if roll < 8 * storm => Fate::Assigns,
            999 if self.mutiny && rng.chance(10) => Fate::ShutsDown,
            _ => Fate::Completes,
        }
    }
}

/// A work with a random fate. `lane` counts when it is dropped.
fn chaotic(
    ledger: &Arc<Ledger>,
    rng: &mut Rng,
    weather: Weather,
    attempts: u32,
    lane: Option<&Arc<AtomicU64>>,
) -> Work<Fault> {
    let fate = weather.fate(rng);
    let factor = if rng.below(64) == 0 { 20 } else { 1 };
    let length = factor * rng.below(weather.longest + 1);
    let salt = rng.next();
    // Names are spread over all of `u64`, so that their sums tell heaps apart.
    let name = add(&ledger.names).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ledger.made.put(name);
    let token = Token {
        ledger: Arc::clone(ledger),
        name,
        has_begun: Cell::new(false),
        lane: lane.cloned(),
    };
    let bomb = Bomb(Cell::new(false));
    Work::new(move || {
        let (token, bomb) = (&token, &bomb);
        let ledger = &token.ledger;
        ledger.check(!token.has_begun.replace(true), "begun twice", &token.name);
        add(&ledger.begun);
        ledger.most_running.fetch_max(add(&ledger.running), SeqCst);
        let _running = OnDrop::new(|| {
            ledger.running.fetch_sub(1, SeqCst);
        });
        for _ in 0..length {
            std::hint::spin_loop();
        }
        match fate {
            Fate::Completes => {}
            Fate::Fails { with_a_bomb } => {
                add(&ledger.failed);
                if with_a_bomb {
                    add(&ledger.handler_panics);
                }
                return Err(Fault {
                    attempts,
                    bomb: Bomb(Cell::new(with_a_bomb)),
                    _lease: ledger.leases.lease(),
                });
            }
            Fate::Panics { with_a_bomb } => {
                add(&ledger.panicked);
                if with_a_bomb {
                    add(&ledger.handler_panics);
                    std::panic::resume_unwind(Box::new(Bomb(Cell::new(true))));
                }
                quiet_panic("in a work");
            }
            Fate::Explodes => {
                add(&ledger.panicked);
                bomb.0.set(true); // in the drop of the captures, whatever is returned
                return Ok(());
            }
            Fate::Assigns => {
                let troupe = ledger.troupe.lock().clone();
                if let Some(troupe) = troupe.filter(|_| attempts > 0) {
                    let mut rng = Rng::new(salt);
                    let work = chaotic(ledger, &mut rng, weather, attempts - 1, None);
                    add(&ledger.tried);
                    let outcome = if rng.chance(50) {
                        troupe.assign(work)
                    } else {
                        troupe.assign_wait(work) // or `WouldDeadlock`
                    };
                    drop(ledger.enter(outcome));
                }
            }
            Fate::ShutsDown => {
                if let Some(troupe) = &*ledger.troupe.lock() {
                    troupe.shutdown();
                }
            }
        }
        add(&ledger.completed);
        Ok(())
    })
}

/// Retries in the failed work's place, and once more elsewhere, or panics, as it comes.
fn on_failure(
    ledger: &Arc<Ledger>,
    salts: &AtomicU64,
    weather: Weather,
    failure: Failure<Fault>,
    context: &Context<'_, Fault>,
) {
    add(&ledger.handled);
    let mut rng = Rng::new(add(salts));
    let (attempts, has_bomb) = match &failure {
        Failure::Error(fault) => (fault.attempts, fault.bomb.0.get()),
        Failure::Panic(panic) => (0, panic.message().is_none()),
        _ => {
            ledger.check(false, "an unknown failure", &context);
            (0, false)
        }
    };
    let mut retries = 0;
    while attempts > 0 && retries < 2 && rng.chance(40) {
        retries += 1; // the second is an ordinary assign
        let retry = chaotic(ledger, &mut rng, weather, attempts - 1, None);
        add(&ledger.tried);
        drop(ledger.enter(context.reassign(retry)));
    }
    if rng.chance(5) {
        let stats = context.troupe().stats();
        ledger.check(
            stats.running >= 1 && stats.failed + stats.panicked < stats.accepted,
            "a failure is no longer running, or already counted, while its handler runs",
            &stats,
        );
    }
    // One panic at a time: a second one, while the first unwinds, would abort.
    drop(failure);
    if !has_bomb && rng.chance(5) {
        add(&ledger.handler_panics);
        quiet_panic("in the handler");
    }
}

/// The way a troupe ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Drain,
    Drop,
    Shutdown,
    ShutdownNow,
    /// `shutdown`, and while it drains `shutdown_now`.
    Both,
}

/// How an assigner goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// As fast as it can.
    Steady,
    /// With rests now and then.
    Uneven,
    /// Each work is done, and then some time over, before the next: nobody comes by who could rescue one that is stranded.
    Trickle,
}

/// One troupe, from build to end, and what its snapshots are held against.
struct Life {
    config: Config,
    weather: Weather,
    end: End,
    has_handler: bool,
    feeders: u64,
    works: u64,
    pace: Pace,
}

impl Life {
    fn any(rng: &mut Rng, is_large: bool) -> Self {
        let max = 1 + rng.below(6) as usize;
        let timeout = [
            Duration::ZERO,
            Duration::from_micros(20),
            Duration::from_micros(150),
            Duration::from_micros(700),
            Duration::MAX,
        ][rng.below(5) as usize];
        let min = [0, 0, 1, max / 2][rng.below(4) as usize];
        let config = match rng.below(10) {
            0..=3 => Config::fixed(max),
            4..=5 => Config::dynamic(min, max).initial(max),
            _ => Config::dynamic(min, max),
        };
        let ends = [
            End::Drain,
            End::Drop,
            End::Shutdown,
            End::ShutdownNow,
            End::Both,
        ];
        let pace = match rng.below(8) {
            _ if is_large => Pace::Steady,
            0..=3 => Pace::Steady,
            4..=6 => Pace::Uneven,
            _ => Pace::Trickle,
        };
        Self {
            config: config
                .idle_timeout(timeout)
                .mailbox_size([0, 1, 2, 7, 64][rng.below(5) as usize])
                .thread_name("soak"),
            weather: Weather::any(rng),
            end: ends[rng.below(5) as usize],
            has_handler: rng.chance(80),
            feeders: 1 + rng.below(4),
            works: match pace {
                _ if is_large => 100_000,
                Pace::Steady | Pace::Uneven => 200 + rng.below(4_000),
                Pace::Trickle => 500,
            },
            pace,
        }
    }

    fn describe(&self) -> String {
        let Self {
            config,
            weather,
            end,
            has_handler,
            feeders,
            works,
            pace,
        } = self;
        format!(
            "{config:?}, {weather:?}, {end:?}, handler: {has_handler}, {feeders} feeders, {works} works, {pace:?}"
        )
    }

    fn build(&self, ledger: &Arc<Ledger>, seed: u64) -> Troupe<Fault> {
        let builder = Troupe::<Fault>::builder(self.config.clone());
        if !self.has_handler {
            return builder.build().expect("valid");
        }
        let (weather, in_handler) = (self.weather, Arc::clone(ledger));
        let (salts, lease) = (AtomicU64::new(seed << 24), ledger.leases.lease());
        builder
            .error_handler(move |failure, context| {
                let _held = &lease;
                on_failure(&in_handler, &salts, weather, failure, context);
            })
            .build()
            .expect("valid")
    }

    /// Builds, feeds, ends, and balances the books.
    fn live(&self, ledger: &Arc<Ledger>, seed: u64) {
        let before = Books::of(ledger);
        ledger.most_running.store(0, SeqCst);
        let troupe = self.build(ledger, seed);
        *ledger.troupe.lock() = Some(troupe.handle());
        let watch = Watch {
            life: self,
            ledger,
            before: &before,
            last: Mutex::new(Stats::default()),
        };
        watch.look(&troupe);

        let mut returned = Vec::new();
        let mut begun_at_halt = None;
        thread::scope(|scope| {
            let feeders: Vec<_> = (0..self.feeders)
                .map(|feeder| {
                    let (troupe, watch) = (&troupe, &watch);
                    let seed = seed * 100 + feeder;
                    scope.spawn(move || watch.feed(troupe, self.works / self.feeders, seed))
                })
                .collect();
            if seed % 4 == 0 && !matches!(self.end, End::Drain | End::Drop) {
                scope.spawn(|| join(&troupe)); // before the end, and during it
            }
            // The end comes while they feed.
            let middle = before.tried + self.works / 2;
            let is_at_middle =
                || of(&ledger.tried) >= middle || feeders.iter().all(|feeder| feeder.is_finished());
            match self.end {
                End::Drain | End::Drop => {}
                End::Shutdown => {
                    eventually(is_at_middle);
                    troupe.shutdown();
                }
                End::ShutdownNow => {
                    eventually(is_at_middle);
                    returned = troupe.shutdown_now();
                }
                End::Both => {
                    eventually(is_at_middle);
                    troupe.shutdown();
                    returned = troupe.shutdown_now();
                }
            }
            if matches!(self.end, End::ShutdownNow | End::Both) {
                begun_at_halt = Some(of(&ledger.begun));
                assert!(troupe.shutdown_now().is_empty(), "returned once");
            }
            let results: Vec<_> = feeders.into_iter().map(|feeder| feeder.join()).collect();
            for result in results {
                result.unwrap_or_else(|payload| std::panic::resume_unwind(payload));
            }
        });
        watch.look(&troupe);

        let handle = troupe.handle();
        if self.end == End::Drop {
            drop(troupe);
            // Nobody joins it: its last thread lets go of what it holds a moment later.
            eventually(|| handle.stats().actors == 0);
            eventually(|| before.is_quiet(ledger));
        } else {
            if self.end == End::Drain {
                settle(&troupe);
                troupe.shutdown();
            }
            join(&troupe);
            assert!(handle.is_shutdown());
        }
        *ledger.troupe.lock() = None;
        if let Some(begun) = begun_at_halt {
            // "Once shutdown_now has returned, no work starts": only what had been started, one on each actor, still had to
            // say so.
            let late = of(&ledger.begun) - begun;
            assert!(late <= self.config.max as u64, "{late} works began");
        }
        ledger.returned.fetch_add(returned.len() as u64, SeqCst);
        watch.balance(&handle.stats(), returned.len() as u64);
        // For the next troupe, or for the end of the generation.
        ledger.passed_on.lock().extend(returned);
    }
}

/// The state of the ledger when a troupe was built.
struct Books {
    tried: u64,
    accepted: u64,
    refused: u64,
    begun: u64,
    completed: u64,
    failed: u64,
    panicked: u64,
    handled: u64,
    handler_panics: u64,
    returned: u64,
}

impl Books {
    fn of(ledger: &Ledger) -> Self {
        Self {
            tried: of(&ledger.tried),
            accepted: of(&ledger.accepted),
            refused: of(&ledger.refused),
            begun: of(&ledger.begun),
            completed: of(&ledger.completed),
            failed: of(&ledger.failed),
            panicked: of(&ledger.panicked),
            handled: of(&ledger.handled),
            handler_panics: of(&ledger.handler_panics),
            returned: of(&ledger.returned),
        }
    }

    /// Has all that was accepted since been run and dropped, and the handler with it?
    fn is_quiet(&self, ledger: &Ledger) -> bool {
        of(&ledger.accepted) - self.accepted == of(&ledger.begun) - self.begun
            && of(&ledger.run.number) == of(&ledger.begun)
            && ledger.leases.is_balanced()
    }
}

/// Holds a troupe's snapshots against each other and against the ledger.
struct Watch<'a> {
    life: &'a Life,
    ledger: &'a Arc<Ledger>,
    before: &'a Books,
    last: Mutex<Stats>,
}

impl Watch<'_> {
    fn feed(&self, troupe: &Troupe<Fault>, works: u64, seed: u64) {
        let ledger = self.ledger;
        let mut rng = Rng::new(seed);
        let handle = troupe.handle();
        let done = Arc::new(AtomicU64::new(0));
        let (mut made, mut given_away) = (0, 0);
        let rest = IDLE_LONG_ENOUGH.min(2 * self.life.config.idle_timeout.min(IDLE_LONG_ENOUGH));
        for _ in 0..works {
            let passed_on = if rng.below(16) == 0 {
                ledger.passed_on.lock().pop()
            } else {
                None
            };
            let is_own = passed_on.is_none();
            let work = passed_on.unwrap_or_else(|| {
                made += 1;
                chaotic(ledger, &mut rng, self.life.weather, ATTEMPTS, Some(&done))
            });
            add(&ledger.tried);
            let outcome = match rng.below(10) {
                0 => troupe.assign_wait(work),
                1 => troupe.assign_timeout(work, Duration::from_micros(rng.below(300))),
                2 => handle.assign_wait(work),
                3 => handle.assign_timeout(work, Duration::ZERO),
                4..=5 => handle.assign(work),
                _ => troupe.assign(work),
            };
            if let Some(refused) = ledger.enter(outcome) {
                if rng.chance(30) {
                    given_away += u64::from(is_own);
                    ledger.passed_on.lock().push(refused);
                }
                thread::yield_now();
                if troupe.is_shutdown() && rng.chance(2) {
                    break;
                }
            }
            match self.life.pace {
                Pace::Uneven if rng.below(300) == 0 => rng.pause(IDLE_LONG_ENOUGH),
                Pace::Trickle => {
                    eventually(|| of(&done) + given_away >= made || troupe.is_shutdown());
                    rng.pause(rest);
                }
                Pace::Uneven | Pace::Steady => {}
            }
            if rng.below(64) == 0 {
                self.look(troupe);
            }
            if rng.below(1_000) == 0 {
                settle(troupe);
                // Nothing is returned while nobody has shut it down.
                if !troupe.is_shutdown() {
                    let done = of(&done);
                    assert!(
                        done + given_away >= made,
                        "of {made} works {done} were done and {given_away} given away"
                    );
                }
            }
        }
    }

    /// "Counters only grow", "in every snapshot the finished never exceed the accepted and queued + running never exceeds
    /// capacity", and what we know of our own.
    fn look(&self, troupe: &Troupe<Fault>) {
        // One at a time: then the snapshots have an order.
        let Some(mut last) = self.last.try_lock() else {
            return;
        };
        let config = &self.life.config;
        let (accepted, refused) = (of(&self.ledger.accepted), of(&self.ledger.refused));
        let begun = of(&self.ledger.begun);
        let now = troupe.stats();
        let tried = of(&self.ledger.tried) - self.before.tried;
        let is_shutdown = troupe.is_shutdown();
        let counters = |stats: &Stats| {
            [
                stats.accepted,
                stats.refused,
                stats.completed,
                stats.failed,
                stats.panicked,
                stats.returned,
                stats.grown,
                stats.retired,
                stats.shared,
                stats.spawn_failures,
                stats.handler_panics,
                stats.peak as u64,
            ]
        };
        let pairs = counters(&last).into_iter().zip(counters(&now));
        assert!(
            pairs.into_iter().all(|(before, after)| before <= after),
            "a counter went back: {last:?}, then {now:?}"
        );
        *last = now;
        drop(last);
        let finished = now.completed + now.failed + now.panicked + now.returned;
        let capacity = config.max * (config.mailbox_size + 1);
        let (fewest, initial) = match config.mode {
            Mode::Fixed => (config.max, config.max),
            Mode::Dynamic => (config.min, config.initial.unwrap_or(config.min)),
        };
        assert!(finished <= now.accepted, "{now:?}");
        assert_eq!(now.capacity, capacity);
        assert!(now.queued + now.running <= capacity, "{now:?}");
        assert!(
            now.running <= now.actors && now.idle <= now.actors,
            "{now:?}"
        );
        assert!(now.actors <= now.peak && now.peak <= config.max, "{now:?}");
        assert!(is_shutdown || now.actors >= fewest, "{now:?}");
        assert!(now.retired <= now.grown + initial as u64, "{now:?}");
        assert_eq!(now.spawn_failures, 0);
        // A call is counted by us before it is made, and after it has returned.
        assert!(now.accepted + now.refused <= tried, "{tried}: {now:?}");
        assert!(now.accepted >= accepted - self.before.accepted, "{now:?}");
        assert!(now.refused >= refused - self.before.refused, "{now:?}");
        // Counted first what was accepted, then what had begun: so many wait at least.
        let waiting = (accepted - self.before.accepted).saturating_sub(begun - self.before.begun);
        assert!(
            is_shutdown || waiting <= capacity as u64,
            "{waiting} works wait where there is room for {capacity}"
        );
    }

    /// Every count of ours against every count of the troupe's, when it has ended.
    fn balance(&self, stats: &Stats, returned: u64) {
        let (ledger, before) = (self.ledger, self.before);
        let now = Books::of(ledger);
        let complaints = std::mem::take(&mut *ledger.complaints.lock());
        assert!(complaints.is_empty(), "{complaints:#?}");
        let accepted = now.accepted - before.accepted;
        let begun = now.begun - before.begun;
        let (completed, failed) = (now.completed - before.completed, now.failed - before.failed);
        let panicked = now.panicked - before.panicked;
        assert_eq!(begun + returned, accepted, "run or returned: {stats:?}");
        assert_eq!(begun, completed + failed + panicked);
        assert_eq!(now.returned - before.returned, returned);
        assert_eq!(stats.accepted, accepted, "{stats:?}");
        assert_eq!(stats.refused, now.refused - before.refused, "{stats:?}");
        assert_eq!(stats.completed, completed, "{stats:?}");
        assert_eq!(stats.failed, failed, "{stats:?}");
        assert_eq!(stats.panicked, panicked, "{stats:?}");
        assert_eq!(stats.returned, returned, "{stats:?}");
        assert_eq!(
            stats.handler_panics,
            now.handler_panics - before.handler_panics,
            "{stats:?}"
        );
        let handled = now.handled - before.handled;
        let expected = if self.life.has_handler {
            failed + panicked
        } else {
            0
        };
        assert_eq!(handled, expected, "each failure reached the handler once");
        assert_eq!(
            (stats.queued, stats.running, stats.idle, stats.actors),
            (0, 0, 0, 0)
        );
        assert_eq!(of(&ledger.running), 0);
        let most = of(&ledger.most_running);
        let max = self.life.config.max;
        assert!(
            most <= max as u64,
            "{most} works ran at once on {max} actors"
        );
        assert_eq!(
            of(&ledger.run.number),
            now.begun,
            "the captures of each work that ran are dropped by now"
        );
        ledger.leases.assert_balanced();
    }
}

/// One to three troupes, each with what the one before handed back. How many works they accepted.
fn generation(number: u64) -> u64 {
    let mut rng = Rng::new(number);
    let ledger = Arc::new(Ledger::default());
    let is_large = number % 64 == 63;
    for life in 0..1 + rng.below(3) {
        let seed = number * 10 + life;
        let life = Life::any(&mut rng, is_large);
        let _said = OnDrop::new(|| {
            if thread::panicking() {
                eprintln!("in generation {number}: {}", life.describe());
            }
        });
        life.live(&ledger, seed);
    }
    drop(std::mem::take(&mut *ledger.passed_on.lock()));
    let (made, made_names) = ledger.made.weigh();
    let ((run, run_names), (unrun, unrun_names)) = (ledger.run.weigh(), ledger.unrun.weigh());
    assert_eq!(
        (run + unrun, run_names.wrapping_add(unrun_names)),
        (made, made_names),
        "each work was dropped once, {run} after their run, {unrun} without one"
    );
    of(&ledger.accepted)
}

/// The resources that the process holds between two generations.
struct Footprint {
    threads: usize,
    /// Bytes that have been allocated and not freed.
    heap: usize,
    /// The system's count, which includes memory that the allocator keeps for later.
    resident_kib: usize,
}

impl Footprint {
    fn now() -> Self {
        let stats = ALLOCATOR.stats();
        let (threads, resident_kib) = if cfg!(target_os = "linux") {
            (process::threads(), process::resident_kib())
        } else {
            (0, 0)
        };
        Self {
            threads,
            heap: stats.bytes_allocated - stats.bytes_deallocated,
            resident_kib,
        }
    }
}

/// Claim ("exactly once", "nothing is leaked", "the bound", "counting"): all of it, for as long as you like.
#[test]
fn nothing_is_lost_however_long_it_runs() {
    let total = process::size("TROUPE_SOAK", 1_000_000);
    let first = process::size("TROUPE_SOAK_FIRST", 1);
    let seed = process::size("TROUPE_SEED", 0x9E37_79B9); // what `Rng` has without one
    println!("seed {seed}, from generation {first} on, {total} works");
    let begun = Instant::now();
    let (mut works, mut number, mut said) = (0, first, 0);
    let Footprint { threads, .. } = Footprint::now();
    let mut early = None;
    while works < total {
        let _said = OnDrop::new(move || {
            if thread::panicking() {
                eprintln!("again by: TROUPE_SEED={seed} TROUPE_SOAK_FIRST={number} TROUPE_SOAK=1");
            }
        });
        works += within(4 * HANG, move || generation(number));
        number += 1;
        if cfg!(target_os = "linux") {
            process::until_threads_are(threads);
        }
        // A sixteenth of the way, all caches of the allocator's and of the system's are filled.
        if early.is_none() && works >= total / 16 {
            early = Some(Footprint::now());
        }
        if works * 20 / total > said {
            said = works * 20 / total;
            let now = Footprint::now();
            println!(
                "{:6.1} s: generation {number}, {works} works, {} threads, {} bytes live, {} KiB resident",
                begun.elapsed().as_secs_f64(),
                now.threads,
                now.heap,
                now.resident_kib,
            );
        }
    }
    let (before, after) = (early.expect("works >= total / 16"), Footprint::now());
    assert!(
        after.heap <= before.heap + 64 * 1_024, // parking_lot's table of threads may have grown
        "live: {} bytes, then {}",
        before.heap,
        after.heap
    );
    assert!(
        after.resident_kib <= before.resident_kib + 32 * 1_024,
        "resident: {} KiB, then {}",
        before.resident_kib,
        after.resident_kib
    );
}
