//! Sends works: orders as entries of the stream.

use redis::{Cmd, cmd};

use crate::{
    args::ProduceArgs,
    error::Fatal,
    link::Link,
    order::{ALWAYS, Order},
};

/// Entries in one trip.
const BATCH: u64 = 1_000;

/// Sends all, and returns how many. It never trims (`MAXLEN`): that would remove what nobody has
/// done yet. If an answer is lost, it is not known whether the entries are there, and this ends
/// with an error; sending them again may send them twice.
pub(crate) fn run(args: &ProduceArgs) -> Result<u64, Fatal> {
    let mut link = Link::new(&args.server)?;
    let mut sent = 0;
    while sent < args.count {
        let batch = BATCH.min(args.count - sent);
        let first = args.first + sent;
        let commands: Vec<_> = (first..first + batch)
            .map(|number| add(args, number))
            .collect();
        for answer in link.ask(&commands)? {
            answer.extract_error()?;
        }
        sent += batch;
    }
    Ok(sent)
}

fn add(args: &ProduceArgs, number: u64) -> Cmd {
    let mut cmd = cmd("XADD");
    cmd.arg(&args.stream).arg("*");
    for (field, value) in order(args, number).write() {
        cmd.arg(field).arg(value);
    }
    cmd
}

/// The order of that number, the same each time.
pub(crate) fn order(args: &ProduceArgs, number: u64) -> Order {
    // The last of each `every`, so that those of two kinds are not the same.
    let deliveries = |every: u64, offset: u64| {
        if every == 0 || number % every != every.saturating_sub(1 + offset) {
            0
        } else if (number / every).is_multiple_of(2) {
            ALWAYS
        } else {
            1
        }
    };
    Order {
        key: number.checked_rem(args.keys).map_or(0, |key| key + 1),
        wait: args.wait,
        fails: deliveries(args.fail_every, 0),
        panics: deliveries(args.panic_every, 1),
        aborts: deliveries(args.abort_every, 2),
        ..Order::new(number)
    }
}
