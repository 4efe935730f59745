//! Work-conserving: no accepted work waits for a running one while an actor is idle.

use crate::support::{Gate, HANG, Log, Tally, end, eventually, fill, me, receive, settle, within};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, mpsc};
use troupe_pool::{BoxError, BuildError, Config, Context, Failure, Handle, Troupe, Work};

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

/// Works that fill one mailbox again and again overtake none in another without end: of those that wait there each is
/// overtaken by what was there before it, and by about a mailbox of later ones. Mailbox by mailbox, since either may be
/// the one that is begun with.
///
/// Fails when an actor stays with a mailbox that is filled behind the last old work.
#[test]
fn a_refilled_mailbox_keeps_no_other_waiting() {
    keep_a_mailbox_filled(false, Troupe::new);
}

/// Nor if each work that keeps the other mailbox filled is retried.
#[test]
fn retries_make_no_mailbox_wait() {
    let retry = |_: Failure<BoxError>, context: &Context<'_>| {
        context.reassign(|| Ok(())).expect("its own place");
    };
    keep_a_mailbox_filled(true, |config| {
        Troupe::builder(config).error_handler(retry).build()
    });
}

/// Others run what waits in the mailbox of an actor that retries one work without end, although it is never found in the
/// same work twice.
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
        let later = chain(&troupe.handle(), &waited, &ran, 10_000, false);
        troupe.assign(later).expect("a mailbox");
    }
    for _ in 0..4 {
        let waited = Arc::clone(&waited);
        let work = move || {
            waited.store(true, SeqCst);
            Ok(())
        };
        troupe.assign(work).expect("the other mailbox");
    }
    gates[1].open();
    eventually(|| troupe.stats().failed > 100);
    gates[0].open();
    eventually(|| waited.load(SeqCst));
    let ran = ran.load(SeqCst);
    assert!(ran <= 8, "{ran} works ran before those behind the retries");
    end(&troupe);
}

/// Of three mailboxes none is passed over, though whoever runs the last of what is in two of them fills both again.
#[test]
fn two_refilled_mailboxes_keep_no_third_waiting() {
    // Twice: with a work in between that shifts the others.
    for is_shifted in [false, true] {
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
            is_shifted,
        });
        for _ in 0..2 {
            troupe.assign(pair.work()).expect("a mailbox");
        }
        let free = usize::from(victim == 0);
        gates[free].open();
        eventually(|| waited.load(SeqCst));
        let ran = pair.ran.load(SeqCst);
        assert!(ran <= 3, "{ran} works overtook one of a busy actor");
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
    is_shifted: bool,
}

impl Pair {
    fn work(self: &Arc<Self>) -> Work {
        let pair = Arc::clone(self);
        Work::new(move || {
            let ran = pair.ran.fetch_add(1, SeqCst);
            let left = pair.queued.fetch_sub(1, SeqCst) - 1;
            let more = match left {
                _ if pair.waited.load(SeqCst) || ran > 10_000 => 0,
                0 => 2,
                _ => usize::from(pair.is_shifted && ran == 0),
            };
            for _ in 0..more {
                pair.queued.fetch_add(1, SeqCst);
                pair.handle.assign(pair.work())?;
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

/// Assigns itself again until `waited` is set, at most `limit` times, and counts how often it ran.
fn chain(
    handle: &Handle,
    waited: &Arc<AtomicBool>,
    ran: &Arc<AtomicUsize>,
    limit: usize,
    fails: bool,
) -> Work {
    let (handle, waited, ran) = (handle.clone(), Arc::clone(waited), Arc::clone(ran));
    Work::new(move || {
        if !waited.load(SeqCst) && ran.fetch_add(1, SeqCst) < limit {
            handle.assign(chain(&handle, &waited, &ran, limit, fails))?;
        }
        if fails {
            Err("once more".into())
        } else {
            Ok(())
        }
    })
}

fn keep_a_mailbox_filled(fails: bool, build: impl Fn(Config) -> Result<Troupe, BuildError>) {
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
                    chain(&handle, &waited, &ran, 10_000, fails)
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
        assert!(ran <= 8, "{ran} works ran before those of a busy actor");
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
