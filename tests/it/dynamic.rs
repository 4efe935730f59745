//! Dynamic troupes: growth, the bounds, idle timeouts, ids and names.

use crate::support::{Gate, Log, Tally, end, eventually, fill, me, occupy, receive, settle};
use std::collections::HashSet;
use std::sync::mpsc;
use std::time::Duration;
use troupe_pool::{Config, Troupe};

const SOON: Duration = Duration::from_millis(5);

fn dynamic(min: usize, max: usize, mailbox_size: usize) -> Troupe {
    build(Config::dynamic(min, max).mailbox_size(mailbox_size))
}

fn build(config: Config) -> Troupe {
    Troupe::new(config).expect("a valid configuration")
}

/// "Dynamic: starts `initial` (default: `min`) actors", and each of them is idle when `build` returns.
#[test]
fn starts_initial_or_min() {
    for (config, started) in [
        (Config::dynamic(0, 4), 0),
        (Config::dynamic(2, 4), 2),
        (Config::dynamic(4, 4), 4),
        (Config::dynamic(1, 4).initial(1), 1),
        (Config::dynamic(1, 4).initial(3), 3),
        (Config::dynamic(0, 4).initial(4), 4),
    ] {
        let troupe = build(config.mailbox_size(1));
        let stats = troupe.stats();
        assert_eq!(
            (stats.actors, stats.idle, stats.peak, stats.grown),
            (started, started, started, 0)
        );
        assert_eq!(troupe.actors().len(), started);
        end(&troupe);
    }
}

/// "Two works assigned back to back to an empty Dynamic troupe start two actors; neither is refused."
#[test]
fn two_works_back_to_back_start_two_actors() {
    for mailbox_size in [0, 1, 8] {
        for _ in 0..50 {
            let troupe = dynamic(0, 8, mailbox_size);
            let gate = Gate::new();
            troupe.assign(gate.work()).expect("a new actor");
            troupe.assign(gate.work()).expect("another new actor");
            assert_eq!(troupe.stats().actors, 2);
            gate.wait_for(2);
            gate.open();
            end(&troupe);
        }
    }
}

/// "Never more than `max`", whatever is asked of it; and it gets there, one work at a time.
#[test]
fn grows_to_max_and_no_further() {
    let troupe = dynamic(0, 5, 1);
    let gate = Gate::new();
    for actors in 1..=5 {
        troupe.assign(gate.work()).expect("a new actor");
        assert_eq!(troupe.stats().actors, actors);
    }
    assert_eq!(fill(&troupe, &gate), 5);
    let stats = troupe.stats();
    assert_eq!((stats.actors, stats.peak, stats.grown), (5, 5, 5));
    gate.open();
    end(&troupe);
    assert_eq!(troupe.stats().peak, 5);
}

/// A Dynamic troupe holds exactly `max x (mailbox_size + 1)`, from empty and without waiting for anything to begin.
#[test]
fn at_max_it_fills_then_refuses() {
    for (max, mailbox_size) in [(1, 0), (1, 1), (2, 0), (3, 2), (6, 4)] {
        for _ in 0..20 {
            let troupe = dynamic(0, max, mailbox_size);
            let gate = Gate::new();
            assert_eq!(
                fill(&troupe, &gate),
                max * (mailbox_size + 1),
                "{max} x ({mailbox_size} + 1)"
            );
            assert_eq!(troupe.stats().capacity, max * (mailbox_size + 1));
            gate.open();
            end(&troupe);
        }
    }
}

/// A handle grows the troupe as the troupe itself does.
#[test]
fn a_handle_grows_the_troupe() {
    let troupe = dynamic(0, 2, 0);
    let handle = troupe.handle();
    let gate = Gate::new();
    handle.assign(gate.work()).expect("a new actor");
    handle.assign(gate.work()).expect("a new actor");
    assert!(handle.assign(gate.work()).expect_err("at max").is_full());
    assert_eq!(handle.stats().actors, 2);
    gate.open();
    end(&troupe);
}

/// A work may grow its own troupe, and wait for what runs there.
#[test]
fn a_work_grows_its_own_troupe() {
    let troupe = dynamic(0, 2, 4);
    let handle = troupe.handle();
    let (sender, receiver) = mpsc::channel();
    troupe
        .assign(move || {
            let (inner, done) = mpsc::channel();
            assert!(handle.assign(move || Ok(inner.send(me())?)).is_ok());
            let other = receive(&done);
            Ok(sender.send((me(), other))?)
        })
        .expect("a new actor");
    let (outer, inner) = receive(&receiver);
    assert_ne!(outer, inner);
    end(&troupe);
}

/// An actor idle for `idle_timeout` retires, down to `min` and not below; `retired` counts it.
#[test]
fn shrinks_to_min() {
    for min in [0, 1, 2] {
        let troupe = build(Config::dynamic(min, 4).mailbox_size(1).idle_timeout(SOON));
        let gate = occupy(&troupe, 4);
        assert_eq!(troupe.stats().actors, 4);
        gate.open();
        eventually(|| {
            let actors = troupe.stats().actors;
            assert!(actors >= min, "never fewer than min");
            actors == min
        });
        let stats = troupe.stats();
        assert_eq!(stats.retired as usize, 4 - min);
        assert_eq!((stats.peak, stats.idle), (4, min));
        assert_eq!(troupe.actors().len(), min);
        end(&troupe);
    }
}

/// A troupe that has shrunk grows again, and to the same bound.
#[test]
fn grows_again_after_shrinking() {
    let troupe = build(Config::dynamic(0, 3).mailbox_size(2).idle_timeout(SOON));
    for round in 1..=5 {
        let gate = Gate::new();
        assert_eq!(fill(&troupe, &gate), 9, "round {round}");
        gate.open();
        eventually(|| troupe.stats().actors == 0);
        assert_eq!(troupe.stats().grown, 3 * round);
        assert_eq!(troupe.stats().retired, 3 * round);
    }
    assert_eq!(troupe.stats().peak, 3);
    end(&troupe);
}

/// Initial actors above `min` time out as grown ones do.
#[test]
fn initial_actors_above_min_time_out() {
    let troupe = build(
        Config::dynamic(1, 8)
            .initial(6)
            .mailbox_size(1)
            .idle_timeout(SOON),
    );
    eventually(|| troupe.stats().actors == 1);
    assert_eq!((troupe.stats().grown, troupe.stats().retired), (0, 5));
    end(&troupe);
}

/// "So that load packs onto few actors and the others can time out": under a trickle that never lets the troupe rest
/// for an idle timeout, it still comes down to one actor.
#[test]
fn a_trickle_lets_the_others_time_out() {
    for min in [0, 1] {
        let troupe = build(
            Config::dynamic(min, 4)
                .mailbox_size(2)
                .idle_timeout(Duration::from_millis(20)),
        );
        occupy(&troupe, 4).open();
        eventually(|| {
            troupe.assign(|| Ok(())).expect("room");
            settle(&troupe);
            troupe.stats().actors == 1
        });
        end(&troupe);
    }
}

/// A running work is no idleness: its actor outlives any number of timeouts.
#[test]
fn a_busy_actor_does_not_retire() {
    let troupe = build(
        Config::dynamic(0, 3)
            .mailbox_size(1)
            .idle_timeout(Duration::from_millis(1)),
    );
    let (held, rest) = (Gate::new(), Gate::new());
    troupe.assign(held.work()).expect("a new actor");
    troupe.assign(rest.work()).expect("a new actor");
    troupe.assign(rest.work()).expect("a new actor");
    rest.open();
    eventually(|| troupe.stats().actors == 1);
    held.wait_for(1);
    assert_eq!(troupe.stats().running, 1);
    held.open();
    eventually(|| troupe.stats().actors == 0);
    end(&troupe);
}

/// "Fixed: exactly `max` actors from `build` to shutdown": the idle timeout means nothing to it. The sibling troupe,
/// built later with the same timeout, tells when the time is up.
#[test]
fn a_fixed_troupe_never_shrinks() {
    let fixed = build(Config::fixed(3).mailbox_size(1).idle_timeout(SOON));
    occupy(&fixed, 3).open();
    settle(&fixed);
    for _ in 0..3 {
        let sibling = build(Config::dynamic(0, 3).mailbox_size(1).idle_timeout(SOON));
        occupy(&sibling, 3).open();
        eventually(|| sibling.stats().actors == 0);
        end(&sibling);
    }
    let stats = fixed.stats();
    assert_eq!((stats.actors, stats.idle, stats.retired), (3, 3, 0));
    end(&fixed);
}

/// "`Duration::MAX` is never."
#[test]
fn an_idle_timeout_of_max_is_never() {
    let patient = build(
        Config::dynamic(0, 3)
            .mailbox_size(1)
            .idle_timeout(Duration::MAX),
    );
    occupy(&patient, 3).open();
    settle(&patient);
    let sibling = build(Config::dynamic(0, 3).mailbox_size(1).idle_timeout(SOON));
    occupy(&sibling, 3).open();
    eventually(|| sibling.stats().actors == 0);
    end(&sibling);
    assert_eq!((patient.stats().actors, patient.stats().retired), (3, 0));
    let gate = Gate::new();
    assert_eq!(fill(&patient, &gate), 6);
    gate.open();
    end(&patient);
}

/// A timeout of zero is no livelock and loses nothing: the actor leaves as soon as it has nothing to do.
#[test]
fn an_idle_timeout_of_zero_works() {
    let troupe = build(
        Config::dynamic(0, 2)
            .mailbox_size(1)
            .idle_timeout(Duration::ZERO),
    );
    let tally = Tally::new(200);
    for index in 0..200 {
        troupe.assign_wait(tally.work(index)).expect("room");
    }
    eventually(|| troupe.stats().actors == 0);
    tally.assert_each_once();
    end(&troupe);
}

/// "Ids and indexes of retired actors are given again, lowest first": whatever has come and gone, the ids stay below
/// `max`, and the name carries the id.
#[test]
fn ids_are_given_again_lowest_first() {
    let troupe = build(
        Config::dynamic(0, 4)
            .mailbox_size(1)
            .idle_timeout(SOON)
            .thread_name("lowest"),
    );
    for _ in 0..5 {
        let gate = Gate::new();
        for actors in 1..=4 {
            let names = Log::new();
            let (work_gate, log) = (gate.clone(), names.clone());
            troupe
                .assign(move || {
                    log.push(me());
                    work_gate.pass();
                    Ok(())
                })
                .expect("a new actor");
            gate.wait_for(actors);
            assert_eq!(names.entries(), [format!("lowest-{}", actors - 1)]);
            let mut ids: Vec<usize> = troupe.actors().iter().map(|actor| actor.id).collect();
            ids.sort_unstable();
            assert_eq!(ids, (0..actors).collect::<Vec<_>>());
        }
        gate.open();
        eventually(|| troupe.stats().actors == 0);
    }
    end(&troupe);
}

/// A gap in the middle is filled before the end is extended.
#[test]
fn a_gap_is_filled_first() {
    let troupe = build(
        Config::dynamic(0, 8)
            .mailbox_size(1)
            .idle_timeout(SOON)
            .thread_name("gap"),
    );
    let gates: Vec<Gate> = (0..4).map(|_| Gate::new()).collect();
    for gate in &gates {
        troupe.assign(gate.work()).expect("a new actor");
        gate.wait_for(1);
    }
    gates[1].open();
    gates[2].open();
    eventually(|| troupe.stats().actors == 2);
    let names = Log::new();
    let last = Gate::new();
    for started in 1..=3 {
        let (gate, log) = (last.clone(), names.clone());
        troupe
            .assign(move || {
                log.push(me());
                gate.pass();
                Ok(())
            })
            .expect("a new actor");
        last.wait_for(started);
    }
    assert_eq!(names.entries(), ["gap-1", "gap-2", "gap-4"]);
    last.open();
    gates.iter().for_each(Gate::open);
    end(&troupe);
}

/// "Threads are named `{thread_name}-{index}`."
#[test]
fn threads_are_named_after_the_troupe() {
    let troupe = build(Config::fixed(12).mailbox_size(1).thread_name("named"));
    let (sender, receiver) = mpsc::channel();
    let gate = Gate::new();
    for _ in 0..12 {
        let (sender, gate) = (sender.clone(), gate.clone());
        troupe
            .assign(move || {
                sender.send(me())?;
                gate.pass();
                Ok(())
            })
            .expect("an idle actor");
    }
    let names: HashSet<String> = (0..12).map(|_| receive(&receiver)).collect();
    assert_eq!(
        names,
        (0..12).map(|index| format!("named-{index}")).collect()
    );
    gate.open();
    end(&troupe);
}

/// "... the index within Linux's 15 visible bytes", also after a long name, and one whose characters take two bytes.
#[cfg(target_os = "linux")]
#[test]
fn the_index_is_visible_after_a_long_name() {
    for name in [
        "a-name-of-more-than-fifteen-bytes",
        "äöüäöüäöüäöüäöü",
        "exactly15bytes-",
        "fourteen-bytes",
    ] {
        let troupe = build(Config::fixed(11).mailbox_size(1).thread_name(name));
        let (sender, receiver) = mpsc::channel();
        let gate = Gate::new();
        for _ in 0..11 {
            let (sender, gate) = (sender.clone(), gate.clone());
            troupe
                .assign(move || {
                    sender.send(std::fs::read("/proc/thread-self/comm")?)?;
                    gate.pass();
                    Ok(())
                })
                .expect("an idle actor");
        }
        let visible: HashSet<String> = (0..11)
            .map(|_| {
                String::from_utf8(receive(&receiver))
                    .expect("no character is cut")
                    .trim_end()
                    .to_owned()
            })
            .collect();
        assert_eq!(visible.len(), 11, "{visible:?}");
        for index in 0..11 {
            let suffix = format!("-{index}");
            let found = visible.iter().filter(|comm| {
                comm.strip_suffix(&suffix)
                    .is_some_and(|stem| name.starts_with(stem))
            });
            assert_eq!(found.count(), 1, "{suffix} in {visible:?}");
        }
        gate.open();
        end(&troupe);
    }
}

/// "Every snapshot": `actors` within `min..=max` while the troupe grows and shrinks as fast as it can.
#[test]
fn the_bounds_hold_in_every_snapshot() {
    let troupe = build(
        Config::dynamic(1, 3)
            .mailbox_size(1)
            .idle_timeout(Duration::from_micros(200)),
    );
    for _ in 0..300 {
        let gate = Gate::new();
        let accepted = fill(&troupe, &gate);
        assert_eq!(accepted, 6);
        gate.open();
        for _ in 0..50 {
            let stats = troupe.stats();
            assert!((1..=3).contains(&stats.actors), "{stats:?}");
            assert!(
                stats.idle <= stats.actors && stats.running <= stats.actors,
                "{stats:?}"
            );
            assert!(stats.queued + stats.running <= stats.capacity, "{stats:?}");
        }
        settle(&troupe);
    }
    assert_eq!(troupe.stats().peak, 3);
    end(&troupe);
}
