//! Work-conserving: no accepted work waits for a running one while an actor is idle.

use crate::support::{Gate, HANG, Log, Tally, end, eventually, fill, me, receive, settle, within};
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, mpsc};
use std::time::{Duration, Instant};
use troupe_pool::{BoxError, BuildError, Config, Context, Failure, Handle, Troupe, Work};

/// What a work takes that an actor finds long.
const LONG: Duration = Duration::from_micros(200);

fn fixed(actors: usize, mailbox_size: usize) -> Troupe {
    Troupe::new(Config::fixed(actors).mailbox_size(mailbox_size)).expect("valid")
}

/// "An actor that runs out of its own work takes waiting work from a busy sibling before it goes idle": one free actor
/// runs everything that waits behind the others.
#[test]
fn an_actor_takes_waiting_work_from_busy_siblings() {
    let troupe = fixed(3, 4);
    let (held, free) = (Gate::new(), Gate::new());
    troupe.assign(held.work()).expect("an idle actor");
    troupe.assign(held.work()).expect("an idle actor");
    troupe.assign(free.work()).expect("an idle actor");
    held.wait_for(2);
    free.wait_for(1);
    let names = Log::new();
    let tally = Tally::new(12);
    for index in 0..12 {
        let (names, tally) = (names.clone(), tally.clone());
        let work = move || {
            names.push(me());
            tally.mark(index);
            Ok(())
        };
        troupe.assign(work).expect("a mailbox with room");
    }
    assert!(
        troupe
            .assign(|| Ok(()))
            .expect_err("every mailbox is full")
            .is_full()
    );
    free.open();
    eventually(|| tally.total() == 12);
    tally.assert_each_once();
    eventually(|| troupe.stats().idle == 1);
    assert_eq!(troupe.stats().running, 2);
    let names = names.entries();
    assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
    assert!(troupe.stats().shared >= 8, "{:?}", troupe.stats());
    held.open();
    end(&troupe);
}

/// A work that waits for one that it assigned itself does not wait for ever while an actor is idle.
#[test]
fn a_work_may_wait_for_one_that_an_idle_actor_can_take() {
    let troupe = fixed(2, 4);
    let handle = troupe.handle();
    for _ in 0..500 {
        let handle = handle.clone();
        let (sender, receiver) = mpsc::channel();
        troupe
            .assign(move || {
                let (inner, done) = mpsc::channel();
                assert!(handle.assign(move || Ok(inner.send(())?)).is_ok());
                receive(&done);
                Ok(sender.send(())?)
            })
            .expect("room");
        receive(&receiver);
    }
    end(&troupe);
}

/// As many works as actors run at once, whatever mailbox they were accepted into: they meet at a barrier that only all
/// of them together pass.
#[test]
fn as_many_works_as_actors_run_together() {
    within(HANG, || {
        for (actors, mailbox_size) in [(2, 1), (2, 8), (3, 4), (4, 2), (4, 0)] {
            let troupe = fixed(actors, mailbox_size);
            for _ in 0..400 {
                let barrier = Arc::new(Barrier::new(actors));
                for _ in 0..actors {
                    let barrier = Arc::clone(&barrier);
                    let work = move || {
                        barrier.wait();
                        Ok(())
                    };
                    troupe.assign(work).expect("room");
                }
                settle(&troupe);
            }
            end(&troupe);
        }
    });
}

/// One slow work does not hold up those behind it: the rest is done while it still runs.
#[test]
fn one_slow_work_holds_up_nothing() {
    let troupe = fixed(2, 64);
    let slow = Gate::new();
    troupe.assign(slow.work()).expect("room");
    slow.wait_for(1);
    let tally = Tally::new(1_000);
    for index in 0..1_000 {
        troupe
            .assign_wait(tally.work(index))
            .expect("it waits for room");
    }
    eventually(|| tally.total() == 1_000);
    tally.assert_each_once();
    slow.wait_for(1);
    slow.open();
    end(&troupe);
}

/// After 64 looks at most an actor goes "to the next mailbox that holds work, so that none waits for ever whose own actor
/// is busy", not even while the works of another mailbox keep filling it. Mailbox by mailbox, since either may be the one
/// that is begun with.
#[test]
fn no_mailbox_waits_for_ever_whose_actor_is_busy() {
    keep_one_mailbox_filled(Duration::ZERO);
}

/// After "20 us of works" an actor looks for a mailbox whose actor is held up: of works that take longer it takes every
/// second one from there.
#[test]
fn no_mailbox_waits_long_for_long_works() {
    keep_one_mailbox_filled(LONG);
}

/// And of works of 5 us every fourth.
#[test]
fn no_mailbox_waits_long_for_works_of_microseconds() {
    keep_one_mailbox_filled(Duration::from_micros(5));
}

/// Also if each work that keeps the other mailbox filled is retried.
///
/// Fails when retries are counted as looks for work: with an even number of both no turn comes.
#[test]
fn retries_make_no_mailbox_wait() {
    for takes in [Duration::ZERO, LONG] {
        let retry = |_: Failure<BoxError>, context: &Context<'_>| {
            context.reassign(|| Ok(())).expect("its own place");
        };
        keep_a_mailbox_filled(true, takes, |config| {
            Troupe::builder(config).error_handler(retry).build()
        });
    }
}

/// Nor does a mailbox wait for ever whose actor is never found in the same work twice, since it retries one without end.
///
/// Fails when only mailboxes are visited whose actor is held up in one work.
#[test]
fn endless_retries_make_no_mailbox_wait() {
    let waited = Arc::new(AtomicBool::new(false));
    let is_over = Arc::clone(&waited);
    let retry = move |_: Failure<BoxError>, context: &Context<'_>| {
        if !is_over.load(SeqCst) {
            let again = || Err("once more".into());
            context.reassign(again).expect("its own place");
        }
    };
    let config = Config::fixed(2).mailbox_size(4);
    let troupe = Troupe::builder(config).error_handler(retry).build();
    let troupe: Troupe = troupe.expect("valid");
    let gates = hold_both(&troupe, |actor| match actor {
        1 => Err("the first time".into()),
        _ => Ok(()),
    });
    let ran = Arc::default();
    for _ in 0..4 {
        let later = chain(
            &troupe.handle(),
            &waited,
            &ran,
            10_000,
            Duration::ZERO,
            false,
        );
        troupe.assign(later).expect("the first mailbox");
    }
    for _ in 0..4 {
        let waited = Arc::clone(&waited);
        let work = move || {
            waited.store(true, SeqCst);
            Ok(())
        };
        troupe.assign(work).expect("the second mailbox");
    }
    gates[1].open();
    eventually(|| troupe.stats().failed > 100);
    gates[0].open();
    eventually(|| waited.load(SeqCst));
    let ran = ran.load(SeqCst);
    assert!(ran <= 300, "{ran} works overtook those behind the retries");
    end(&troupe);
}

/// An actor that runs a sibling's works comes "home, if there is work": what is in its own mailbox is not overtaken for
/// long by what comes later to the sibling's.
#[test]
fn an_actor_comes_home() {
    let troupe: Arc<Troupe> = Arc::new(fixed(2, 4));
    let gates = hold_both(&troupe, |_| Ok(()));
    let (abroad, waited, ran) = (Gate::new(), Arc::default(), Arc::default());
    troupe.assign(abroad.work()).expect("the first mailbox");
    gates[1].open();
    abroad.wait_for(1); // the second actor runs what was in the first mailbox
    for _ in 0..4 {
        let later = chain(&troupe.handle(), &waited, &ran, 10_000, LONG, false);
        troupe.assign(later).expect("the first mailbox");
    }
    let home = {
        let waited = Arc::clone(&waited);
        move || {
            waited.store(true, SeqCst);
            Ok(())
        }
    };
    troupe.assign(home).expect("the second mailbox");
    abroad.open();
    eventually(|| waited.load(SeqCst));
    let ran = ran.load(SeqCst);
    assert!(ran <= 8, "{ran} works overtook one in the own mailbox");
    gates[0].open();
    end(&troupe);
    assert_eq!(troupe.stats().failed, 0);
}

/// Nor if the actor that is free is away at each of its turns and has work at home: whoever runs the last of what is in
/// the two mailboxes that it goes between fills them again.
///
/// Fails when an actor that is to turn looks at home first, and when what it looked for meanwhile is then not counted.
#[test]
fn an_actor_that_is_always_called_home_leaves_no_mailbox() {
    // At which of two looks it turns depends on what it has done before.
    for is_even in [false, true] {
        let troupe: Arc<Troupe> = Arc::new(fixed(3, 1));
        let gates = [(); 3].map(|()| Gate::new());
        for _ in 0..3 {
            let gates = gates.clone();
            let work = move || {
                let actor = (0..3).find(|actor| me().ends_with(&format!("-{actor}")));
                gates[actor.expect("three actors")].pass();
                Ok(())
            };
            troupe.assign(work).expect("an idle actor");
        }
        gates.iter().for_each(|gate| gate.wait_for(1));
        let waited = Arc::new(AtomicBool::new(false));
        let held_up = {
            let waited = Arc::clone(&waited);
            move || {
                waited.store(true, SeqCst);
                Ok(())
            }
        };
        troupe.assign(held_up).expect("a mailbox");
        let queued = || troupe.actors().into_iter().map(|actor| actor.queued);
        let victim = queued().position(|queued| queued == 1).expect("it waits");
        let pair = Arc::new(Pair {
            handle: troupe.handle(),
            waited: Arc::clone(&waited),
            queued: AtomicUsize::new(2),
            ran: AtomicUsize::new(0),
            is_even,
        });
        for _ in 0..2 {
            troupe.assign(pair.work()).expect("a mailbox");
        }
        let free = usize::from(victim == 0);
        gates[free].open();
        eventually(|| waited.load(SeqCst));
        let ran = pair.ran.load(SeqCst);
        assert!(ran <= 40, "{ran} works overtook one of a busy actor");
        gates.iter().for_each(Gate::open);
        end(&troupe);
        assert_eq!(troupe.stats().failed, 0);
    }
}

/// Works of which two wait, and then none, and then two again.
struct Pair {
    handle: Handle,
    waited: Arc<AtomicBool>,
    queued: AtomicUsize,
    ran: AtomicUsize,
    /// Does one that is not needed come in between, once?
    is_even: bool,
}

impl Pair {
    fn work(self: &Arc<Self>) -> Work {
        let pair = Arc::clone(self);
        Work::new(move || {
            let begun = Instant::now();
            let ran = pair.ran.fetch_add(1, SeqCst);
            let left = pair.queued.fetch_sub(1, SeqCst) - 1;
            let more = match left {
                _ if pair.waited.load(SeqCst) || ran > 10_000 => 0,
                0 => 2,
                _ => usize::from(pair.is_even && ran == 0),
            };
            for _ in 0..more {
                pair.queued.fetch_add(1, SeqCst);
                pair.handle.assign(pair.work())?;
            }
            while begun.elapsed() < Duration::from_micros(50) {
                spin_loop();
            }
            Ok(())
        })
    }
}

/// Gives each of two idle actors a work that waits at the gate of that actor's number, and ends as `outcome` says.
fn hold_both(troupe: &Troupe, outcome: fn(usize) -> Result<(), BoxError>) -> [Gate; 2] {
    let gates = [Gate::new(), Gate::new()];
    for _ in 0..2 {
        let gates = gates.clone();
        let work = move || {
            let actor = usize::from(me().ends_with("-1"));
            gates[actor].pass();
            outcome(actor)
        };
        troupe.assign(work).expect("an idle actor");
    }
    gates.iter().for_each(|gate| gate.wait_for(1));
    gates
}

/// Assigns itself again until `waited` is set, at most `limit` times, counts how often it ran, and takes so long.
fn chain(
    handle: &Handle,
    waited: &Arc<AtomicBool>,
    ran: &Arc<AtomicUsize>,
    limit: usize,
    takes: Duration,
    fails: bool,
) -> Work {
    let (handle, waited, ran) = (handle.clone(), Arc::clone(waited), Arc::clone(ran));
    Work::new(move || {
        let begun = Instant::now();
        if !waited.load(SeqCst) && ran.fetch_add(1, SeqCst) < limit {
            handle.assign(chain(&handle, &waited, &ran, limit, takes, fails))?;
        }
        while begun.elapsed() < takes {
            spin_loop();
        }
        if fails {
            Err("once more".into())
        } else {
            Ok(())
        }
    })
}

fn keep_one_mailbox_filled(takes: Duration) {
    keep_a_mailbox_filled(false, takes, Troupe::new);
}

fn keep_a_mailbox_filled(
    fails: bool,
    takes: Duration,
    build: impl Fn(Config) -> Result<Troupe, BuildError>,
) {
    for busy in [0, 1] {
        let troupe: Troupe = build(Config::fixed(2).mailbox_size(4)).expect("valid");
        // Not the first works of its life, which are few.
        for _ in 0..5 {
            let both = Arc::new(Barrier::new(2));
            for _ in 0..2 {
                let both = Arc::clone(&both);
                let work = move || {
                    both.wait();
                    Ok(())
                };
                troupe.assign(work).expect("an idle actor");
            }
            settle(&troupe);
        }
        let gates = hold_both(&troupe, |_| Ok(()));
        let waited = Arc::new(AtomicBool::new(false));
        let ran = Arc::new(AtomicUsize::new(0));
        let handle = troupe.handle();
        for mailbox in 0..2 {
            for _ in 0..4 {
                let work = if mailbox == busy {
                    let waited = Arc::clone(&waited);
                    Work::new(move || {
                        waited.store(true, SeqCst);
                        Ok(())
                    })
                } else {
                    chain(&handle, &waited, &ran, 10_000, takes, fails)
                };
                troupe.assign(work).expect("room");
            }
        }
        let queued = || {
            troupe
                .actors()
                .iter()
                .map(|actor| actor.queued)
                .sum::<usize>()
        };
        assert_eq!(queued(), 8);
        gates[1 - busy].open();
        eventually(|| queued() == 0);
        let ran = ran.load(SeqCst);
        let limit = if takes.is_zero() { 300 } else { 40 };
        assert!(ran <= limit, "{ran} works overtook those of a busy actor");
        gates[busy].open();
        end(&troupe);
        assert_eq!(troupe.stats().failed > 0, fails);
    }
}

/// In a Dynamic troupe at `max` too, and with a place for every work that was shared.
#[test]
fn sharing_frees_the_place_it_takes_from() {
    let troupe: Troupe = Troupe::new(Config::dynamic(0, 2).mailbox_size(2)).expect("valid");
    let (held, free) = (Gate::new(), Gate::new());
    troupe.assign(held.work()).expect("a new actor");
    troupe.assign(free.work()).expect("a new actor");
    let rest = Gate::new();
    assert_eq!(fill(&troupe, &rest), 4);
    free.open();
    rest.wait_for(1);
    assert_eq!(fill(&troupe, &rest), 1);
    rest.open(); // the free actor runs all of them, its sibling's too
    eventually(|| troupe.stats().completed == 6);
    // The held work keeps one place, the other five are free again: one idle actor and four in mailboxes.
    eventually(|| troupe.stats().idle == 1);
    let last = Gate::new();
    assert_eq!(fill(&troupe, &last), 5);
    held.open();
    last.open();
    end(&troupe);
}
