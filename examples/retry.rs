//! Retries from the error handler: each error carries what the next attempt needs.
//!
//! Three files are fetched over a bad line, which breaks after every third block. A work that
//! fails returns its transfer inside the error. The handler tries again where the transfer
//! stopped, and gives up after the fourth attempt.
//!
//! ```text
//! cargo run --example retry
//! ```

use std::sync::mpsc::{Sender, channel};

use troupe_pool::{BoxError, Config, Context, Failure, Troupe};

/// Without a bound, a file that cannot be had would occupy an actor for ever.
const MAX_ATTEMPTS: u32 = 4;

/// How many blocks the line carries before it breaks.
const BLOCKS_PER_ATTEMPT: usize = 3;

/// A file on its way. Exactly one owner has it at any time: a work, an error, or the handler.
struct Transfer {
    name: &'static str,
    blocks: usize,
    received: usize,
    attempt: u32,
    outcomes: Sender<String>,
}

impl Transfer {
    /// Ends the transfer, and says how it went.
    fn end(self, outcome: &str) {
        let Transfer {
            name,
            blocks,
            received,
            attempt,
            outcomes,
        } = self;
        let line = format!("{name}: {outcome}, {received} of {blocks} blocks, attempts: {attempt}");
        outcomes.send(line).ok(); // An error means that nobody wants to know any more.
    }
}

/// The `E` of the troupe. The handler gets it by value, so the transfer needs no lock and no clone.
struct LineBroke(Transfer);

/// The work: one attempt.
fn fetch(mut transfer: Transfer) -> Result<(), LineBroke> {
    let missing = transfer.blocks - transfer.received;
    transfer.received += missing.min(BLOCKS_PER_ATTEMPT);
    if missing > BLOCKS_PER_ATTEMPT {
        return Err(LineBroke(transfer));
    }
    transfer.end("complete");
    Ok(())
}

/// The error handler. It runs on the actor whose work failed, and never waits.
fn retry(failure: Failure<LineBroke>, context: &Context<'_, LineBroke>) {
    let Failure::Error(LineBroke(mut transfer)) = failure else {
        return; // A panic brings no transfer back, so there is nothing to try again with.
    };
    if transfer.attempt == MAX_ATTEMPTS {
        return transfer.end("given up");
    }
    transfer.attempt += 1;
    // The retry takes the place of the failed work, so it is never refused for want of room. Only
    // a shutdown refuses it. The error then holds the work, which this program drops.
    if let Err(refused) = context.reassign(move || fetch(transfer)) {
        eprintln!("not tried again: {refused}");
    }
}

fn main() -> Result<(), BoxError> {
    let troupe = Troupe::builder(Config::fixed(2))
        .error_handler(retry)
        .build()?;
    let (outcomes, ended) = channel();
    for (name, blocks) in [("note.txt", 2), ("photo.jpg", 8), ("video.mp4", 99)] {
        let transfer = Transfer {
            name,
            blocks,
            received: 0,
            attempt: 1,
            outcomes: outcomes.clone(),
        };
        troupe.assign(move || fetch(transfer))?;
    }
    drop(outcomes);

    // Retries are covered. A `shutdown` right here would refuse those that are still to come.
    troupe.wait_idle()?;
    troupe.shutdown();
    troupe.join()?;

    // Two actors end their transfers in any order.
    let mut outcomes: Vec<String> = ended.iter().collect();
    outcomes.sort();
    for outcome in outcomes {
        println!("{outcome}");
    }
    // Each attempt is a work: the troupe has accepted 1 + 3 + 4, and the handler has got 2 + 4.
    let stats = troupe.stats();
    println!(
        "accepted: {}, failed: {}, completed: {}",
        stats.accepted, stats.failed, stats.completed
    );
    Ok(())
}
