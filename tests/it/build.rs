//! Configurations: defaults, setters, every invalid one, and the system that refuses a thread.

use crate::support::{DropCounter, HANG, OnDrop, Tally, end, join, occupy, refused_stack, within};
use std::error::Error;
use std::thread;
use std::time::Duration;
use troupe_pool::{Actor, ActorConfig, AssignError, BuildError, Config, JoinError, Mode, Troupe};

/// The message of `build` about the configuration.
#[track_caller]
fn refusal(config: Config) -> (&'static str, String, &'static str) {
    let error = match Troupe::<u8>::builder(config.clone()).build() {
        Err(error) => error,
        Ok(troupe) => {
            end(&troupe);
            panic!("accepted: {config:?}");
        }
    };
    let text = error.to_string();
    match error {
        BuildError::Invalid {
            setting,
            value,
            reason,
        } => {
            for part in [setting, value.as_str(), reason] {
                assert!(
                    !part.is_empty() && text.contains(part),
                    "{part:?} in {text:?}"
                );
            }
            (setting, value, reason)
        }
        other => panic!("expected Invalid, got {other:?}"),
    }
}

/// The setting that is at fault, and its value.
#[track_caller]
fn assert_invalid(config: Config, setting: &str, value: &str) {
    let (found, said, reason) = refusal(config);
    assert_eq!((found, said.as_str()), (setting, value), "{reason}");
}

#[test]
fn defaults() {
    let config = Config::default();
    assert_eq!(config.mode, Mode::Fixed);
    assert_eq!(
        config.max,
        thread::available_parallelism().expect("known here").get()
    );
    assert_eq!(config.idle_timeout, Duration::from_secs(60));
    assert_eq!(config.thread_name, "troupe");
    assert_eq!((config.initial, config.stack_size), (None, None));
    assert_eq!(Config::fixed(3), Config::fixed(3));
    let dynamic = Config::dynamic(1, 3);
    assert_eq!(
        (dynamic.mode, dynamic.min, dynamic.max, dynamic.initial),
        (Mode::Dynamic, 1, 3, None)
    );
    assert_eq!(dynamic.idle_timeout, Duration::from_secs(60));
    let troupe: Troupe = Troupe::new(Config::default()).expect("the default is valid");
    end(&troupe);
}

/// "Consuming setters of the same names build it", and the troupe tells what it was built from.
#[test]
fn setters_set_what_they_say() {
    let config = Config::dynamic(0, 1)
        .min(1)
        .max(4)
        .initial(2)
        .mailbox_size(3)
        .idle_timeout(Duration::from_secs(5))
        .thread_name(String::from("named"))
        .stack_size(256 * 1024);
    assert_eq!(
        (config.min, config.max, config.initial, config.mailbox_size),
        (1, 4, Some(2), 3)
    );
    assert_eq!(
        (config.idle_timeout, config.stack_size),
        (Duration::from_secs(5), Some(256 * 1024))
    );
    assert_eq!(config.thread_name, "named");
    let mut changed = config.clone();
    assert_eq!(changed, config);
    changed.max = 5;
    assert_ne!(changed, config);
    let troupe: Troupe = Troupe::new(config.clone()).expect("valid");
    assert_eq!(troupe.config(), config);
    end(&troupe);
    assert_eq!(troupe.config(), config);
}

#[test]
fn max_zero_or_absurd() {
    for max in [0, 1 << 20, usize::MAX] {
        assert_invalid(Config::fixed(max).mailbox_size(0), "max", &max.to_string());
        assert_invalid(
            Config::dynamic(0, max).mailbox_size(0),
            "max",
            &max.to_string(),
        );
    }
}

#[test]
fn min_above_max() {
    assert_invalid(Config::dynamic(3, 2), "min", "3");
    assert_invalid(
        Config::dynamic(usize::MAX, 2),
        "min",
        &usize::MAX.to_string(),
    );
    assert_invalid(Config::dynamic(1, 5).min(6), "min", "6");
}

#[test]
fn initial_outside_min_to_max() {
    assert_invalid(Config::dynamic(2, 4).initial(1), "initial", "1");
    assert_invalid(Config::dynamic(2, 4).initial(5), "initial", "5");
    assert_invalid(
        Config::dynamic(0, 4).initial(usize::MAX),
        "initial",
        &usize::MAX.to_string(),
    );
}

/// "Fixed: ... `min` and `initial` are ignored and not validated."
#[test]
fn fixed_ignores_min_and_initial() {
    let troupe: Troupe =
        Troupe::new(Config::fixed(2).min(9).initial(7).mailbox_size(1)).expect("neither counts");
    assert_eq!((troupe.stats().actors, troupe.stats().capacity), (2, 4));
    end(&troupe);
    let mut config = Config::dynamic(usize::MAX, 1).initial(usize::MAX);
    config.mode = Mode::Fixed;
    end(&Troupe::new(config).expect("neither counts"));
}

#[test]
fn mailbox_size_absurd() {
    for mailbox_size in [1 << 40, isize::MAX as usize, usize::MAX] {
        assert_invalid(
            Config::fixed(1).mailbox_size(mailbox_size),
            "mailbox_size",
            &mailbox_size.to_string(),
        );
        assert_invalid(
            Config::dynamic(0, 1).mailbox_size(mailbox_size),
            "mailbox_size",
            &mailbox_size.to_string(),
        );
    }
}

/// The slots are allocated up front, so what many mailboxes take together is bounded too; before a single thread starts.
#[test]
fn mailboxes_absurd_together() {
    let (setting, ..) = refusal(Config::dynamic(0, 30_000).mailbox_size(1 << 20));
    assert!(setting == "mailbox_size" || setting == "max", "{setting}");
}

/// "It must be at most 1048576", and "`max * (mailbox_size + 1)` must be at most 67108864": these are allowed still. No
/// mailbox is made before its actor is.
#[test]
fn the_largest_mailboxes_are_allowed() {
    for (max, mailbox_size) in [(1, 1 << 20), (64, (1 << 20) - 1), (32_000, 2_096)] {
        let config = Config::dynamic(0, max).mailbox_size(mailbox_size);
        let troupe: Troupe = Troupe::new(config).expect("valid");
        assert_eq!(troupe.stats().capacity, max * (mailbox_size + 1));
        end(&troupe);
    }
    for (max, mailbox_size) in [(1, (1 << 20) + 1), (64, 1 << 20), (32_000, 2_097)] {
        let (setting, ..) = refusal(Config::dynamic(0, max).mailbox_size(mailbox_size));
        assert_eq!(setting, "mailbox_size");
    }
}

#[test]
fn thread_name_empty_or_with_nul() {
    for name in ["", "\0", "a\0b", "trailing\0"] {
        let (setting, ..) = refusal(Config::fixed(1).thread_name(name));
        assert_eq!(setting, "thread_name", "{name:?}");
    }
}

/// Zero or everything: either is refused as what it is, or works; nothing panics.
#[test]
fn stack_size_absurd() {
    assert_invalid(
        Config::fixed(1).stack_size(usize::MAX),
        "stack_size",
        &usize::MAX.to_string(),
    );
    for bytes in [0, 1, usize::MAX / 2, 1 << 62, 1 << 47, 1 << 40] {
        match Troupe::<u8>::builder(Config::fixed(2).stack_size(bytes)).build() {
            Ok(troupe) => end(&troupe),
            Err(BuildError::Invalid { setting, value, .. }) => {
                assert_eq!((setting, value), ("stack_size", bytes.to_string()));
            }
            Err(BuildError::Spawn { .. }) => {}
            Err(other) => panic!("unexpected: {other:?}"),
        }
    }
}

/// "It must be from 16384 to 140737488355328".
#[test]
fn stack_size_at_its_bounds() {
    for bytes in [0, (1 << 14) - 1, (1 << 47) + 1] {
        let config = Config::dynamic(0, 1).stack_size(bytes);
        assert_invalid(config, "stack_size", &bytes.to_string());
    }
    for bytes in [1 << 14, 1 << 47] {
        let config = Config::dynamic(0, 1).stack_size(bytes);
        let troupe: Troupe = Troupe::new(config).expect("valid");
        end(&troupe);
    }
}

/// A stack that was asked for is there: a work uses more than the default would leave it in a small one.
#[test]
fn stack_size_is_used() {
    fn deep(left: u32) -> u32 {
        let page = std::hint::black_box([left as u8; 4096]);
        if left == 0 {
            u32::from(page[0])
        } else {
            deep(left - 1) + u32::from(page[17]) / 256
        }
    }
    // 6 MB of frames and more: too much for the 2 MB that a thread gets unasked.
    let troupe: Troupe =
        Troupe::new(Config::fixed(1).mailbox_size(1).stack_size(32 << 20)).expect("valid");
    troupe
        .assign(|| {
            std::hint::black_box(deep(1_500));
            Ok(())
        })
        .expect("room");
    end(&troupe);
    assert_eq!(troupe.stats().completed, 1);
}

/// The first invalid setting is named, and only invalid ones: several at once are one error, not a panic.
#[test]
fn several_faults_are_one_error() {
    let config = Config::dynamic(9, 0)
        .initial(70)
        .mailbox_size(usize::MAX)
        .thread_name("\0")
        .stack_size(usize::MAX);
    let (setting, ..) = refusal(config);
    assert!(
        [
            "max",
            "min",
            "initial",
            "mailbox_size",
            "thread_name",
            "stack_size"
        ]
        .contains(&setting)
    );
}

/// The bounds themselves are valid.
#[test]
fn the_smallest_of_everything_is_valid() {
    for config in [
        Config::fixed(1).mailbox_size(0).thread_name("x"),
        Config::dynamic(0, 1)
            .mailbox_size(0)
            .idle_timeout(Duration::ZERO),
        Config::dynamic(1, 1).initial(1).idle_timeout(Duration::MAX),
        Config::dynamic(0, 30_000).initial(0).mailbox_size(1),
    ] {
        end(&Troupe::new(config).expect("valid"));
    }
}

/// A handler that was given to a build that failed is dropped with it.
#[test]
fn a_failed_build_drops_the_handler() {
    let drops = DropCounter::new();
    for config in [
        Config::fixed(0),
        Config::fixed(2).mailbox_size(1).stack_size(refused_stack()),
    ] {
        let lease = drops.lease();
        let builder = Troupe::<u8>::builder(config).error_handler(move |_, _| {
            let _held = &lease;
        });
        assert!(builder.build().is_err());
    }
    drops.assert_balanced();
}

/// Also if what it has captured panics when it is dropped: the build returns its error, and does not panic.
#[test]
fn a_failed_build_contains_the_drop_of_the_handler() {
    for config in [
        Config::fixed(0),
        Config::fixed(2).mailbox_size(1).stack_size(refused_stack()),
    ] {
        let capture = OnDrop::new(|| panic!("when it is dropped"));
        let builder = Troupe::<u8>::builder(config).error_handler(move |_, _| {
            let _held = &capture;
        });
        assert!(builder.build().is_err());
    }
}

/// "A refused spawn is an ordinary event: `build` returns an error", which names the thread and carries the reason.
#[test]
fn a_refused_thread_fails_the_build() {
    for config in [
        Config::fixed(2),
        Config::dynamic(1, 4),
        Config::dynamic(0, 4).initial(2),
    ] {
        let config = config
            .mailbox_size(1)
            .thread_name("refused")
            .stack_size(refused_stack());
        match Troupe::new(config) {
            Err(error @ BuildError::Spawn { .. }) => {
                assert!(error.source().is_some());
                assert!(error.to_string().contains("refused"), "{error}");
                match error {
                    BuildError::Spawn { thread, source } => {
                        assert!(thread.starts_with("refused-"), "{thread}");
                        assert!(source.raw_os_error().is_some());
                    }
                    other => panic!("unexpected: {other:?}"),
                }
            }
            other => panic!("expected Spawn, got {other:?}"),
        }
    }
}

/// "With no actor at all every assign tries, and the work comes back in `AssignError::Spawn`, from `assign_wait` too."
#[test]
fn with_no_actor_at_all_the_work_comes_back() {
    within(HANG, || {
        let config = Config::dynamic(0, 4)
            .mailbox_size(2)
            .stack_size(refused_stack());
        let troupe: Troupe = Troupe::new(config).expect("it starts no thread");
        let handle = troupe.handle();
        let drops = DropCounter::new();
        let tally = Tally::new(12);
        for round in 0..2 {
            let works = (0..6).map(|call| {
                let (lease, tally) = (drops.lease(), tally.clone());
                troupe_pool::Work::new(move || {
                    tally.mark(round * 6 + call);
                    drop(lease);
                    Ok(())
                })
            });
            let mut works = works;
            let mut next = || works.next().expect("six");
            let answers = [
                troupe.assign(next()),
                troupe.assign_wait(next()),
                troupe.assign_timeout(next(), HANG),
                handle.assign(next()),
                handle.assign_wait(next()),
                handle.assign_timeout(next(), Duration::MAX),
            ];
            for (call, answer) in answers.into_iter().enumerate() {
                let refused = answer.expect_err("no thread, no actor");
                assert!(
                    refused.source().is_some() && !refused.is_full() && !refused.is_shutting_down()
                );
                match refused {
                    AssignError::Spawn { work, source } => {
                        assert!(source.raw_os_error().is_some());
                        assert_eq!(tally.count(round * 6 + call), 0);
                        work.run().expect("it succeeds");
                    }
                    other => panic!("expected Spawn, got {other:?}"),
                }
            }
        }
        tally.assert_each_once();
        drops.assert_balanced();
        let stats = troupe.stats();
        assert_eq!(
            (stats.spawn_failures, stats.refused, stats.accepted),
            (12, 12, 0)
        );
        assert_eq!(
            (
                stats.actors,
                stats.peak,
                stats.grown,
                stats.queued,
                stats.running
            ),
            (0, 0, 0, 0, 0)
        );
        assert_eq!(troupe.wait_idle(), Ok(()));
        // It has no actor, and yet it has not ended.
        assert_eq!(
            troupe.join_timeout(Duration::from_millis(1)),
            Err(JoinError::Timeout)
        );
        end(&troupe);
        assert!(
            troupe
                .assign(|| Ok(()))
                .expect_err("refused")
                .is_shutting_down()
        );
    });
}

/// The same through `Actor`.
#[test]
fn a_refused_thread_fails_an_actor() {
    let config = ActorConfig::<u8>::default()
        .mailbox_size(1)
        .stack_size(refused_stack());
    assert!(matches!(Actor::new(config), Err(BuildError::Spawn { .. })));
}

/// A build that failed has left nothing behind that disturbs the next.
#[test]
fn after_a_failed_build_the_next_works() {
    assert!(Troupe::new(Config::fixed(2).stack_size(refused_stack())).is_err());
    let troupe: Troupe = Troupe::new(Config::fixed(2).mailbox_size(1)).expect("valid");
    occupy(&troupe, 2).open();
    troupe.shutdown();
    join(&troupe);
}
