//! The public surface by table: auto traits, errors, `Debug`, sizes, and what closures are inferred to be.

use crate::support::{Gate, end, error, fill, occupy, quiet_panic, receive};
use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::io;
use std::mem::size_of;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use troupe_pool::{
    AcceptError, Actor, ActorConfig, ActorStats, AssignError, BoxError, BuildError, Builder,
    Config, Context, Failure, Handle, JoinError, Mode, Panic, Stats, Troupe, Work,
};

/// An error type that is `Send` and nothing else.
struct Bare(#[expect(dead_code, reason = "it is not Sync because of this")] Cell<u8>);

/// An error type without any auto trait to lean on but what the surface asks for: nothing at all.
struct NotSend(#[expect(dead_code, reason = "it is not Send because of this")] *const u8);

const fn shared<T: Send + Sync + 'static>() {}
const fn unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
const fn an_error<T: Error + Send + Sync + 'static>() {}
const fn debug<T: fmt::Debug>() {}
const fn cloned<T: Clone>() {}
const fn copied<T: Copy + Eq + fmt::Debug>() {}
const fn defaulted<T: Default>() {}

/// "`Troupe`, `Handle`, `Actor`, `Work`, `Builder`, `ActorConfig` are `Send + Sync + 'static` for every `E: Send`, and
/// the first three `UnwindSafe + RefUnwindSafe`". Checked by the compiler.
const _: () = {
    shared::<Troupe>();
    shared::<Handle>();
    shared::<Actor>();
    shared::<Work>();
    shared::<Builder>();
    shared::<ActorConfig>();
    shared::<Troupe<Bare>>();
    shared::<Handle<Bare>>();
    shared::<Actor<Bare>>();
    shared::<Work<Bare>>();
    shared::<Builder<Bare>>();
    shared::<ActorConfig<Bare>>();
    shared::<Config>();
    shared::<Stats>();
    shared::<ActorStats>();
    unwind_safe::<Troupe>();
    unwind_safe::<Handle>();
    unwind_safe::<Actor>();
    unwind_safe::<Troupe<Bare>>();
    unwind_safe::<Handle<Bare>>();
    unwind_safe::<Actor<Bare>>();
};

/// "`Work`: Send + Sync + Debug for every E"; "every error type and `Panic` is `Error + Send + Sync + 'static`" and
/// `AssignError` so "for every E".
const _: () = {
    shared::<Work<NotSend>>();
    debug::<Work<NotSend>>();
    an_error::<AssignError>();
    an_error::<AssignError<Bare>>();
    an_error::<AssignError<NotSend>>();
    an_error::<AcceptError>();
    an_error::<AcceptError<Bare>>();
    an_error::<AcceptError<NotSend>>();
    an_error::<BuildError>();
    an_error::<JoinError>();
    an_error::<Panic>();
    debug::<Troupe<Bare>>();
    debug::<Handle<Bare>>();
    debug::<Actor<Bare>>();
    debug::<Builder<Bare>>();
    debug::<ActorConfig<Bare>>();
    debug::<Context<'static, Bare>>();
    debug::<Failure>();
    debug::<Panic>();
};

/// `Handle`: "Clone for every E"; `ActorConfig`: "Default for every E"; plain data copies.
const _: () = {
    cloned::<Handle<Bare>>();
    cloned::<Handle<NotSend>>();
    cloned::<Config>();
    copied::<Mode>();
    copied::<JoinError>();
    copied::<Stats>();
    copied::<ActorStats>();
    defaulted::<Stats>();
    defaulted::<Config>();
    defaulted::<ActorConfig<Bare>>();
    defaulted::<ActorConfig<NotSend>>();
};

/// No bound on any struct: they can be named, held and dropped for an `E` that no method accepts.
#[expect(dead_code, reason = "it only has to compile")]
struct Holder {
    troupe: Option<Troupe<NotSend>>,
    handle: Option<Handle<NotSend>>,
    actor: Option<Actor<NotSend>>,
    builder: Option<Builder<NotSend>>,
    config: ActorConfig<NotSend>,
    work: Option<Work<NotSend>>,
}

fn work<E>() -> Work<E> {
    Work::new(|| Ok(()))
}

fn refused_spawn<E>() -> AssignError<E> {
    AssignError::Spawn {
        work: work(),
        source: io::Error::from(io::ErrorKind::WouldBlock),
    }
}

/// Predicates, `Display`, `source` and `into_work` of every variant of `AssignError`.
#[test]
fn assign_error_by_table() {
    let table: [(AssignError<NotSend>, &str, bool, bool, bool); 4] = [
        (AssignError::Full(work()), "Full", true, false, false),
        (
            AssignError::ShuttingDown(work()),
            "ShuttingDown",
            false,
            true,
            false,
        ),
        (refused_spawn(), "Spawn", false, false, true),
        (
            AssignError::WouldDeadlock(work()),
            "WouldDeadlock",
            false,
            false,
            false,
        ),
    ];
    let mut texts = Vec::new();
    for (error, name, full, shutting_down, source) in table {
        assert!(format!("{error:?}").starts_with(name), "{error:?}");
        assert_eq!(
            (error.is_full(), error.is_shutting_down()),
            (full, shutting_down),
            "{name}"
        );
        assert_eq!(error.source().is_some(), source, "{name}");
        let text = error.to_string();
        assert!(
            !text.is_empty() && text.is_ascii() && !text.ends_with('.'),
            "{text}"
        );
        texts.push(text);
        assert!(error.into_work().run().is_ok(), "{name}");
    }
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), 4, "each says something of its own: {texts:?}");
}

/// The same of `AcceptError`.
#[test]
fn accept_error_by_table() {
    let table: [(AcceptError<NotSend>, &str, bool, bool); 2] = [
        (AcceptError::Full(work()), "Full", true, false),
        (
            AcceptError::ShuttingDown(work()),
            "ShuttingDown",
            false,
            true,
        ),
    ];
    let mut texts = Vec::new();
    for (error, name, full, shutting_down) in table {
        assert!(format!("{error:?}").starts_with(name), "{error:?}");
        assert_eq!(
            (error.is_full(), error.is_shutting_down()),
            (full, shutting_down),
            "{name}"
        );
        assert!(error.source().is_none());
        texts.push(error.to_string());
        assert!(error.into_work().run().is_ok(), "{name}");
    }
    assert_ne!(texts[0], texts[1]);
    assert!(texts.iter().all(|text| !text.is_empty()));
}

/// `BuildError` and `JoinError`.
#[test]
fn build_and_join_errors_by_table() {
    let invalid = Troupe::new(Config::fixed(0)).expect_err("no actors");
    assert!(invalid.source().is_none());
    assert!(
        invalid.to_string().contains("max") && invalid.to_string().contains('0'),
        "{invalid}"
    );
    assert!(format!("{invalid:?}").starts_with("Invalid"));
    assert_ne!(JoinError::Timeout, JoinError::WouldDeadlock);
    assert_ne!(
        JoinError::Timeout.to_string(),
        JoinError::WouldDeadlock.to_string()
    );
    assert!(JoinError::Timeout.source().is_none());
    // It says what timed out: it may stand alone in a log.
    assert!(JoinError::Timeout.to_string().contains("troupe"));
    assert_eq!(
        format!("{:?} {:?}", JoinError::Timeout, JoinError::WouldDeadlock),
        "Timeout WouldDeadlock"
    );
}

/// `?` takes every error into a `BoxError`, which is what works return.
#[test]
fn every_error_converts_with_a_question_mark() {
    fn all(which: u8) -> Result<(), BoxError> {
        match which {
            0 => Err(AssignError::<Bare>::Full(work()))?,
            1 => Err(AcceptError::<Bare>::Full(work()))?,
            2 => Err(JoinError::Timeout)?,
            _ => drop(Troupe::new(Config::fixed(0))?),
        }
        Ok(())
    }
    for which in 0..4 {
        assert!(all(which).is_err());
    }
    let boxed: BoxError = Box::new(AssignError::<NotSend>::ShuttingDown(work()));
    assert!(
        boxed
            .downcast_ref::<AssignError<NotSend>>()
            .is_some_and(AssignError::is_shutting_down)
    );
}

/// `Failure`: "Display where E: Display", and `Debug`.
#[test]
fn failure_and_panic_by_table() {
    let (sender, receiver) = mpsc::channel();
    let troupe = Troupe::<String>::builder(Config::fixed(1).mailbox_size(4))
        .error_handler(move |failure, context| {
            assert!(!format!("{context:?}").is_empty());
            sender.send(failure).expect("the test listens");
        })
        .build()
        .expect("valid");
    troupe
        .assign(|| Err("went wrong".to_owned()))
        .expect("room");
    troupe.assign(|| quiet_panic("blew up")).expect("room");
    troupe
        .assign(|| std::panic::resume_unwind(Box::new(1_u8)))
        .expect("room");
    let failure = receive(&receiver);
    assert_eq!(failure.to_string(), "went wrong");
    assert!(format!("{failure:?}").starts_with("Error("));
    let failure = receive(&receiver);
    assert!(failure.to_string().contains("blew up"));
    assert!(format!("{failure:?}").starts_with("Panic("));
    match failure {
        Failure::Panic(panic) => {
            assert!(panic.to_string().contains("blew up"));
            assert!(format!("{panic:?}").contains("blew up"));
            assert!(panic.source().is_none());
            assert_eq!(panic.message(), Some("blew up"));
        }
        other => panic!("expected a panic, got {other:?}"),
    }
    let failure = receive(&receiver);
    assert!(
        !failure.to_string().is_empty(),
        "a payload that is no text has a Display, too"
    );
    end(&troupe);
}

/// `Debug` of every type, with an `E` that has none, on a troupe at work and at its end.
#[test]
fn debug_of_every_type() {
    let builder =
        Troupe::<Bare>::builder(Config::fixed(2).mailbox_size(1)).error_handler(|_, _| {});
    assert!(format!("{builder:?}").starts_with("Builder"));
    let troupe = builder.build().expect("valid");
    let gate = occupy(&troupe, 2);
    for at_the_end in [false, true] {
        let shown = [
            (format!("{troupe:?}"), "Troupe"),
            (format!("{:?}", troupe.handle()), "Handle"),
            (format!("{:?}", troupe.stats()), "Stats"),
            (format!("{:?}", troupe.config()), "Config"),
            (format!("{:#?}", troupe), "Troupe"),
        ];
        for (text, name) in shown {
            assert!(text.starts_with(name), "{text}");
        }
        if !at_the_end {
            assert!(format!("{:?}", troupe.actors()[0]).starts_with("ActorStats"));
            gate.open();
            end(&troupe);
        }
    }
    let handle = troupe.handle();
    drop(troupe);
    assert!(format!("{handle:?}").starts_with("Handle"));
    let config = ActorConfig::<Bare>::default().error_handler(|_| {});
    assert!(format!("{config:?}").starts_with("ActorConfig"));
    let actor = Actor::new(config).expect("valid");
    assert!(format!("{actor:?}").starts_with("Actor"));
    actor.shutdown();
    assert!(format!("{:?}", work::<NotSend>()).starts_with("Work"));
    assert_eq!(
        format!("{:?}, {:?}", Mode::Fixed, Mode::Dynamic),
        "Fixed, Dynamic"
    );
}

/// `Debug` takes no lock that a work could hold it up with: it works inside a work, and inside the handler.
#[test]
fn debug_inside_a_work() {
    let troupe: Troupe = Troupe::new(Config::fixed(1).mailbox_size(1)).expect("valid");
    let handle = troupe.handle();
    let (sender, receiver) = mpsc::channel();
    troupe
        .assign(move || Ok(sender.send(format!("{handle:?}"))?))
        .expect("room");
    assert!(receive(&receiver).starts_with("Handle"));
    end(&troupe);
}

/// "`Work` holds a never-locked mutex around the bare box (24 bytes)." An error is no bigger than it must be.
#[test]
#[cfg(target_pointer_width = "64")]
fn sizes() {
    assert_eq!(size_of::<Work>(), 32);
    assert_eq!(size_of::<Work<Bare>>(), 32);
    assert!(
        size_of::<AssignError>() <= 48,
        "{}",
        size_of::<AssignError>()
    );
    assert!(
        size_of::<AcceptError>() <= 40,
        "{}",
        size_of::<AcceptError>()
    );
    assert!(
        size_of::<Handle>() <= 2 * size_of::<usize>(),
        "{}",
        size_of::<Handle>()
    );
    assert_eq!(size_of::<JoinError>(), 1);
}

/// "E is inferred for `|| Ok(())`, `|| { f()?; Ok(()) }`, `|| Err("x".into())`, named functions"; by `From` and `Into`.
#[test]
fn closures_are_inferred() {
    fn step() -> Result<(), io::Error> {
        Ok(())
    }
    fn named() -> Result<(), BoxError> {
        Err("named".into())
    }
    let troupe: Troupe = Troupe::new(Config::fixed(1).mailbox_size(16)).expect("valid");
    let handle = troupe.handle();
    troupe.assign(|| Ok(())).expect("room");
    troupe
        .assign(|| {
            step()?;
            Ok(())
        })
        .expect("room");
    troupe.assign(|| Err("x".into())).expect("room");
    troupe.assign(named).expect("room");
    troupe.assign_wait(|| Ok(())).expect("room");
    troupe.assign_wait(named).expect("room");
    troupe
        .assign_timeout(|| Err("x".into()), Duration::ZERO)
        .expect("room");
    handle.assign(|| Ok(())).expect("room");
    handle.assign_wait(|| Err(error("x"))).expect("room");
    handle
        .assign_timeout(|| Ok(()), Duration::ZERO)
        .expect("room");
    let by_from: Work = Work::from(|| Ok(()));
    let by_into: Work = (|| Err("x".into())).into();
    let custom: Work<u8> = (|| Err(7)).into();
    assert_eq!(custom.run(), Err(7));
    troupe.assign(by_from).expect("room");
    troupe.assign(by_into).expect("room");
    end(&troupe);
    assert_eq!((troupe.stats().completed, troupe.stats().failed), (6, 6));
}

/// "A custom E needs `Troupe::<MyError>::builder(config)` or an annotated handler."
#[test]
fn a_custom_error_is_named_once() {
    #[derive(Debug, PartialEq)]
    enum MyError {
        Odd(u32),
    }
    let troupe = Troupe::<MyError>::builder(Config::fixed(1).mailbox_size(1))
        .build()
        .expect("valid");
    troupe.assign(|| Err(MyError::Odd(1))).expect("room");
    end(&troupe);
    let (sender, receiver) = mpsc::channel();
    let troupe = Troupe::builder(Config::fixed(1).mailbox_size(1))
        .error_handler(move |failure: Failure<MyError>, context| {
            assert_eq!(context.actor_id(), 0);
            assert!(!context.troupe().is_shutdown());
            if let Failure::Error(error) = failure {
                sender.send(error).expect("the test listens");
            }
        })
        .build()
        .expect("valid");
    troupe.assign(|| Err(MyError::Odd(3))).expect("room");
    assert_eq!(receive(&receiver), MyError::Odd(3));
    end(&troupe);
}

/// `Work::run` needs nothing of `E`, and `Work` can be sent and run anywhere.
#[test]
fn work_can_be_run_anywhere() {
    let work: Work<NotSend> = Work::new(|| Err(NotSend(std::ptr::null())));
    let moved = std::thread::scope(|scope| scope.spawn(move || work.run().is_err()).join());
    assert!(moved.expect("no panic"));
}

/// A reference to a troupe is all that a user needs to share it, in an `Arc` or in a scope; it survives a panic of its
/// user (`UnwindSafe`).
#[test]
fn a_troupe_is_shared_by_reference() {
    let troupe: Troupe = Troupe::new(Config::fixed(2).mailbox_size(8)).expect("valid");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| troupe.assign(|| Ok(())).expect("room"));
        }
    });
    let caught = std::panic::catch_unwind(|| {
        troupe.assign(|| Ok(())).expect("room");
        quiet_panic("with the troupe in hand")
    });
    assert!(caught.is_err());
    let gate = Gate::new();
    crate::support::settle(&troupe);
    assert_eq!(fill(&troupe, &gate), 18);
    gate.open();
    end(&troupe);
}

/// Plain data compares and copies.
#[test]
fn snapshots_are_plain_data() {
    let troupe: Troupe = Troupe::new(Config::fixed(1).mailbox_size(1)).expect("valid");
    let stats = troupe.stats();
    let copy = stats;
    assert_eq!(stats, copy);
    assert_ne!(stats, Stats::default());
    let actor: ActorStats = troupe.actors()[0];
    assert_eq!(
        (actor.id, actor.is_busy, actor.queued, actor.finished),
        (0, false, 0, 0)
    );
    let none: Option<Instant> = None;
    assert_eq!((actor.last_accepted, actor.last_finished), (none, none));
    end(&troupe);
}
