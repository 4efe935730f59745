//! Overload and an early end, with an account of every work.
//!
//! A producer has twelve works for a troupe that holds eight. It runs each work that is refused
//! itself (caller-runs), which keeps it from producing more meanwhile. Then the program stops
//! early: `shutdown_now` gives back the works that have not started. In the end each of the twelve
//! has either run or come back.
//!
//! ```text
//! cargo run --example drain
//! ```

use std::{
    collections::BTreeMap,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use troupe_pool::{AssignError, BoxError, Config, Troupe};

const ACTORS: usize = 2;
const MAILBOX: usize = 3;
const WORKS: usize = 12;

/// Travels inside its work, and tells in its drop what became of the work.
///
/// A work drops what it has captured exactly once, whether it runs, panics, is refused, or is
/// given back. So no path can forget its ticket, and the account below is complete.
struct Ticket {
    number: usize,
    fate: &'static str,
    account: Sender<(&'static str, usize)>,
}

impl Ticket {
    /// A method, so that a closure captures the whole ticket. An assignment to the field would
    /// capture the field alone.
    fn note(&mut self, fate: &'static str) {
        self.fate = fate;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // An error means that nobody keeps the account any more.
        self.account.send((self.fate, self.number)).ok();
    }
}

/// A work that notes where it runs. On an actor it then waits for `gate`, as if it took long. That
/// holds the troupe still, so the output of this program is the same each time.
fn work(
    mut ticket: Ticket,
    started: Sender<()>,
    gate: Receiver<()>,
) -> impl FnOnce() -> Result<(), BoxError> {
    move || {
        let is_actor = thread::current().name() != Some("main");
        ticket.note(if is_actor {
            "ran on an actor"
        } else {
            "ran on the producer"
        });
        if is_actor {
            started.send(())?;
            gate.recv().ok(); // Returns an error once `main` has dropped the other end.
        }
        Ok(())
    }
}

fn main() -> Result<(), BoxError> {
    let troupe = Troupe::new(Config::fixed(ACTORS).mailbox_size(MAILBOX))?;
    println!("the troupe holds {} works", troupe.stats().capacity);

    let (account, tickets) = channel();
    let (started, starts) = channel();
    let mut gates = Vec::new();
    for number in 1..=WORKS {
        let (open, gate) = channel();
        gates.push(open);
        let ticket = Ticket {
            number,
            fate: "given back",
            account: account.clone(),
        };
        match troupe.assign(work(ticket, started.clone(), gate)) {
            Ok(()) => {}
            // `Full` hands the work back as it was. While the producer runs it, it produces nothing.
            Err(AssignError::Full(refused)) => refused.run()?,
            Err(error) => return Err(error.into()),
        }
        if number <= ACTORS {
            starts.recv()?; // An actor has begun it. Work accepted from now on waits.
        }
    }

    // Both actors are in the middle of a work. The works that wait have not started: they come back.
    let given_back = troupe.shutdown_now();
    println!("shutdown_now gives back {} works", given_back.len());
    // They could be run here, or written down for the next start. This program drops them, and
    // their tickets say so.
    drop(given_back);

    // Work that has started is finished: nothing is cut off in the middle.
    drop(gates);
    troupe.join()?;

    // After `join` every work has been dropped, and so has every ticket.
    drop(account);
    let mut fates: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (fate, number) in tickets {
        fates.entry(fate).or_default().push(number);
    }
    for (fate, numbers) in &mut fates {
        numbers.sort_unstable();
        println!("{fate}: {numbers:?}");
    }
    let total: usize = fates.values().map(Vec::len).sum();
    println!("accounted for: {total} of {WORKS}");
    let stats = troupe.stats();
    println!(
        "accepted: {}, refused: {}, completed: {}",
        stats.accepted, stats.refused, stats.completed
    );
    Ok(())
}
