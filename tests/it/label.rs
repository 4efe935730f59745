//! `Work::label` and `Context::label`: which work was it?

use crate::support::{
    DropCounter, Fate, Fault, Log, Tally, WAYS_BACK, answer, end, ends, failure_in_words, fill,
    in_words, join, listening, occupy, settle,
};
use std::time::Instant;
use troupe_pool::{Actor, ActorConfig, AssignError, Config, Context, Failure, Troupe, Work};

/// A troupe of one whose handler writes down the label and the failure.
fn labelling() -> (Troupe<Fault>, Log<(Option<String>, String)>) {
    let log = Log::new();
    let told = log.clone();
    let troupe = Troupe::builder(Config::fixed(1))
        .error_handler(move |failure, context| {
            let label = context.label().map(str::to_owned);
            told.push((label, failure_in_words(&failure)));
        })
        .build()
        .expect("valid");
    (troupe, log)
}

/// "It is in `Context::label` while the handler runs", be it a literal or made by the way.
#[test]
fn the_handler_is_told_the_label() {
    let (troupe, told) = labelling();
    let drops = DropCounter::new();
    let mut expected = Vec::new();
    for fate in Fate::ALL {
        let work = fate.work(drops.lease()).label("a literal");
        troupe.assign(work).expect("room");
        let work = fate.work(drops.lease()).label(format!("{fate:?}"));
        troupe.assign(work).expect("room");
        let work = fate.work(drops.lease());
        troupe.assign(work).expect("room");
        if let Some(failure) = fate.failure() {
            expected.push((Some("a literal".to_owned()), failure.clone()));
            expected.push((Some(format!("{fate:?}")), failure.clone()));
            expected.push((None, failure));
        }
        settle(&troupe);
    }
    end(&troupe);
    drops.assert_balanced();
    assert_eq!(told.entries(), expected);
    assert_eq!(ends(&troupe.stats()), [3, 3, 6, 0, 0]);
}

/// An expired work has its label, in the context and in itself.
#[test]
fn an_expired_work_has_its_label() {
    let told = Log::new();
    let log = told.clone();
    let troupe = Troupe::<Fault>::builder(Config::fixed(1))
        .error_handler(move |failure, context| {
            let label = context.label().map(str::to_owned);
            if let Failure::Expired(work) = failure {
                log.push((label, format!("{work:?}")));
                // It keeps its label when it is run after all.
                assert!(context.reassign(work).is_ok());
            } else {
                log.push((label, failure_in_words(&failure)));
            }
        })
        .build()
        .expect("valid");
    let work = Work::new(|| Err("late")).label("fetch a");
    let work = work.deadline(Instant::now());
    troupe.assign(work).expect("an idle actor");
    settle(&troupe);
    end(&troupe);
    let label = Some("fetch a".to_owned());
    let shown = "Work { label: \"fetch a\", .. }".to_owned();
    let expected = [(label.clone(), shown), (label, "error late".to_owned())];
    assert_eq!(told.entries(), expected);
}

/// "It is dropped with the work": the retry and the next work have their own, or none.
#[test]
fn a_label_is_that_of_its_work_alone() {
    let told = Log::new();
    let log = told.clone();
    let retry = |failure: Failure<Fault>, context: &Context<'_, Fault>| match failure {
        Failure::Error("first") => {
            let retry = Work::new(|| Err("second")).label("retry");
            assert!(context.reassign(retry).is_ok());
        }
        Failure::Error("second") => assert!(context.reassign(|| Err("third")).is_ok()),
        _ => {}
    };
    let troupe = Troupe::<Fault>::builder(Config::fixed(1))
        .error_handler(move |failure, context| {
            log.push(context.label().map(str::to_owned));
            retry(failure, context);
        })
        .build()
        .expect("valid");
    let work = Work::new(|| Err("first")).label("work");
    troupe.assign(work).expect("an idle actor");
    let work = Work::new(|| Ok(())).label("completes");
    troupe.assign(work).expect("room");
    troupe.assign(|| Err("plain")).expect("room");
    settle(&troupe);
    end(&troupe);
    let labels = told.entries();
    let labels: Vec<Option<&str>> = labels.iter().map(Option::as_deref).collect();
    assert_eq!(labels, [Some("work"), Some("retry"), None, None]);
}

/// The label is there while a retry is being assigned, and after it.
#[test]
fn the_context_keeps_the_label() {
    let told = Log::new();
    let log = told.clone();
    let troupe = Troupe::<Fault>::builder(Config::fixed(1))
        .error_handler(move |_, context| {
            log.push(format!("{context:?}"));
            assert!(context.reassign(|| Ok(())).is_ok());
            log.push(context.label().unwrap_or("none").to_owned());
        })
        .build()
        .expect("valid");
    let work = Work::new(|| Err("once")).label("fetch a");
    troupe.assign(work).expect("an idle actor");
    settle(&troupe);
    end(&troupe);
    let told = told.entries();
    assert!(told[0].contains("fetch a"), "{}", told[0]);
    assert_eq!(told[1..], ["fetch a"]);
}

/// "Debug of Work shows the label: `Work { label: "fetch a", .. }`; `Work(..)` without one."
#[test]
fn debug_shows_the_label() {
    let plain = || Work::<Fault>::new(|| Ok(()));
    assert_eq!(format!("{:?}", plain()), "Work(..)");
    let keyed = plain().keyed("key").deadline(Instant::now());
    assert_eq!(format!("{keyed:?}"), "Work(..)");
    let shown = "Work { label: \"fetch a\", .. }";
    let (replied, _reply) = Work::<Fault>::with_reply(|| Ok(7));
    let works = [
        plain().label("fetch a"),
        plain().label("fetch a".to_owned()),
        plain().label("fetch b").label("fetch a"),
        plain()
            .keyed("key")
            .label("fetch a")
            .deadline(Instant::now()),
        Work::with(7, |_| Ok(())).label("fetch a"),
        replied.label("fetch a"),
    ];
    for work in works {
        assert_eq!(format!("{work:?}"), shown);
    }
    for way_back in WAYS_BACK {
        let work = way_back(plain().label("fetch a"));
        assert_eq!(format!("{work:?}"), shown);
    }
    let quoted = plain().label("a \"b\"\n");
    let expected = "Work { label: \"a \\\"b\\\"\\n\", .. }";
    assert_eq!(format!("{quoted:?}"), expected);
}

/// "... and so of `AssignError`", and of the refusals of an `Actor`.
#[test]
fn debug_of_a_refusal_shows_the_label() {
    let labelled = || Work::<Fault>::new(|| Ok(())).label("fetch a");
    let (troupe, _) = listening(Config::fixed(1).mailbox_size(1));
    let gate = occupy(&troupe, 1);
    fill(&troupe, &gate);
    let refused = troupe.assign(labelled()).expect_err("full");
    let shown = "Full(Work { label: \"fetch a\", .. })";
    assert_eq!(format!("{refused:?}"), shown);
    gate.open();
    end(&troupe);
    let refused = troupe.assign(labelled()).expect_err("it has ended");
    let shown = "ShuttingDown(Work { label: \"fetch a\", .. })";
    assert_eq!(format!("{refused:?}"), shown);
    // A message is for people who have the label already, or must not see it.
    assert!(!refused.to_string().contains("fetch a"));
    let refused = AssignError::WouldDeadlock(labelled());
    let shown = "WouldDeadlock(Work { label: \"fetch a\", .. })";
    assert_eq!(format!("{refused:?}"), shown);

    let actor = Actor::<Fault>::new(ActorConfig::default()).expect("valid");
    actor.shutdown();
    let refused = actor.accept(labelled()).expect_err("it ends");
    let shown = "ShuttingDown(Work { label: \"fetch a\", .. })";
    assert_eq!(format!("{refused:?}"), shown);
    actor.join().expect("it ends");
}

/// A label changes nothing of a work's fate: refused, kept, assigned again, returned, run by hand, or dropped.
#[test]
fn a_labelled_work_is_like_any_other() {
    for way_back in WAYS_BACK {
        let (troupe, told) = labelling();
        let drops = DropCounter::new();
        let work = way_back(Fate::Fails.work(drops.lease()).label("kept"));
        troupe.assign(work).expect("an idle actor");
        end(&troupe);
        let expected = (Some("kept".to_owned()), "error on purpose".to_owned());
        assert_eq!(told.entries(), [expected]);

        let work = way_back(Fate::Fails.work(drops.lease()).label("by hand"));
        assert_eq!(work.run(), Err("on purpose"));
        drops.assert_balanced();

        let work = way_back(Fate::Fails.work(drops.lease()).label("dropped"));
        assert!(!drops.is_balanced());
        drop(work);
        drops.assert_balanced();
    }
}

/// A label does not hide a reply, and a caller that waits is told instead of the handler. Cancelled works have labels,
/// too.
#[test]
fn a_label_does_not_hide_a_reply() {
    for fate in Fate::ALL {
        let (troupe, told) = labelling();
        let drops = DropCounter::new();
        let (work, mut reply) = Work::with_reply(fate.act(drops.lease()));
        troupe.assign(work.label("replied")).expect("room");
        assert_eq!(in_words(answer(&mut reply)), fate.answer());
        let (work, mut reply) = Work::with_reply(fate.act(drops.lease()));
        let work = work.label("cancelled");
        assert!(reply.cancel());
        troupe.assign(work).expect("room");
        assert_eq!(in_words(answer(&mut reply)), "cancelled");
        let (work, reply) = Work::with_reply(fate.act(drops.lease()));
        let work = work.label("let go");
        drop(reply);
        troupe.assign(work).expect("room");
        end(&troupe);
        drops.assert_balanced();
        let failure = fate.failure().into_iter();
        let expected = failure.map(|failure| (Some("let go".to_owned()), failure));
        assert_eq!(told.entries(), Vec::from_iter(expected));
        assert_eq!(troupe.stats().cancelled, 1);
    }
}

/// "Labels may be without number."
#[test]
fn labels_may_be_without_number() {
    let (troupe, told) = labelling();
    let tally = Tally::new(2_000);
    for index in 0..2_000 {
        let mark = tally.clone();
        let work = Work::new(move || {
            mark.mark(index);
            Err("labelled")
        });
        let work = work.label(format!("number {index}"));
        troupe.assign_wait(work).expect("it waits for room");
    }
    troupe.shutdown();
    join(&troupe);
    tally.assert_each_once();
    let labels = told.entries().into_iter().filter_map(|entry| entry.0);
    assert!(labels.eq((0..2_000).map(|index| format!("number {index}"))));
}
