//! A worker process: one feeder, one troupe. To scale out, start another.

use std::{
    io::{self, Write},
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use troupe_pool::{Config, Failure, Troupe};

use crate::{
    args::WorkerArgs,
    error::Fatal,
    feeder::{End, Feeder},
    inbox::Inbox,
    link::Link,
    say::say,
    signals,
    work::{Effects, Failed},
};

/// Runs until a signal, and then for at most the grace. True if everything is settled.
pub(crate) fn run(args: &WorkerArgs) -> Result<bool, Fatal> {
    let begun = Instant::now();
    let link = Link::new(&args.server)?;
    let config = Config::fixed(args.actors)
        .mailbox_size(args.mailbox)
        // All that the troupe can hold may be of one key.
        .line_size(args.actors.saturating_mul(args.mailbox.saturating_add(1)))
        .thread_name("broker");
    let troupe = Troupe::builder(config)
        .error_handler(|failure: Failure<Failed>, _| {
            // A panic has given its verdict already, when the lease was dropped. The lease of a work
            // that has expired is dropped here, which gives the message back.
            if let Failure::Error(Failed { lease, why }) = failure {
                lease.failed(why.to_string());
            }
        })
        .build()?;
    let troupe = Arc::new(troupe);
    let inbox = Arc::new(Inbox::new(troupe.stats().capacity));
    let (events, event) = mpsc::channel();
    let (stopped, signal, stop) = (Arc::clone(&troupe), Arc::clone(&inbox), events.clone());
    signals::on_first(move || {
        // At once: the feeder may be waiting for the broker.
        drop(stopped.shutdown_now());
        signal.stop();
        stop.send(Event::Stop).ok();
    })
    .map_err(Fatal::Signals)?;

    // After the signals: whoever finds the file may send one.
    let effects = Effects::open(args.effects.as_deref()).map_err(Fatal::Effects)?;
    let feeder = Feeder::new(
        args.plan.clone(),
        link,
        Arc::clone(&troupe),
        inbox,
        Arc::new(effects),
    );
    let feed = move || {
        let end = panic::catch_unwind(AssertUnwindSafe(|| feeder.run()));
        events
            .send(Event::End(end.unwrap_or(Err(Fatal::Feeder))))
            .ok();
    };
    thread::Builder::new()
        .name("feeder".into())
        .spawn(feed)
        .map_err(Fatal::Thread)?;
    let Some(end) = await_end(&event, args.plan.grace)? else {
        say("redis does not answer: what is in flight will be given out again");
        return Ok(false);
    };

    let is_settled = end.left == 0;
    if is_settled {
        // The works have given their verdicts; this is for their last steps.
        troupe.join()?;
    } else {
        say(format_args!(
            "{} works are left: they will be given out again",
            end.left
        ));
    }
    let time = begun.elapsed().as_secs_f64();
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{} seconds {time:.3}", end.counts)
        .and_then(|()| stdout.flush())
        .map_err(Fatal::Output)?;
    Ok(is_settled)
}

/// The events that the main thread waits for.
#[derive(Debug)]
enum Event {
    /// The signal.
    Stop,
    /// Of the feeder.
    End(Result<End, Fatal>),
}

/// Waits for the feeder, which ends itself within the grace; `None` if it cannot, since it waits
/// for an answer that does not come.
fn await_end(event: &Receiver<Event>, grace: Duration) -> Result<Option<End>, Fatal> {
    /// For a feeder that ends at the last moment.
    const SLACK: Duration = Duration::from_millis(500);
    let mut next = event.recv().map_err(|_| Fatal::Feeder)?;
    if matches!(next, Event::Stop) {
        next = match event.recv_timeout(grace.saturating_add(SLACK)) {
            Ok(next) => next,
            Err(RecvTimeoutError::Timeout) => return Ok(None),
            Err(RecvTimeoutError::Disconnected) => return Err(Fatal::Feeder),
        };
    }
    match next {
        Event::End(end) => end.map(Some),
        Event::Stop => Err(Fatal::Feeder),
    }
}
