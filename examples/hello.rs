//! The whole life of a troupe: build, assign, full, an error, a panic, shutdown, join.

use std::{error::Error, sync::mpsc};

use troupe_pool::{AssignError, Config, Failure, Troupe};

fn main() -> Result<(), Box<dyn Error>> {
    // One actor with one place in its mailbox holds two pieces of work: one runs, one waits.
    let troupe = Troupe::builder(Config::fixed(1).mailbox_size(1))
        .error_handler(|failure: Failure<String>, _| match failure {
            Failure::Error(error) => println!("failed: {error}"),
            Failure::Panic(panic) => println!("{panic}"),
            other => println!("{other}"),
        })
        .build()?;

    let (open, gate) = mpsc::channel();
    troupe.assign(move || gate.recv().map_err(|_| "the gate is gone".to_owned()))?;
    troupe.assign(|| Err("out of ink".to_owned()))?;

    // `assign` never blocks and never queues beyond the bound: the work comes back.
    let refused = match troupe.assign(|| panic!("out of paper")) {
        Err(AssignError::Full(work)) => work,
        other => return Ok(other?),
    };
    println!("full: the third work came back");

    open.send(())?; // The first work ends, so there is room for the one that was refused.
    troupe.assign_wait(refused)?;

    troupe.shutdown(); // Accepted work still runs ...
    troupe.join()?; // ... and has finished now, and the thread is gone.
    println!("completed: {}", troupe.stats().completed);
    Ok(())
}
