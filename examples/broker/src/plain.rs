//! A worker without all this: read, do, acknowledge, in a loop. It is what the bench
//! compares with, and it loses nothing either; but it does one work at a time, gives nothing back,
//! and takes nothing over.

use crate::{
    args::PlainArgs,
    error::Fatal,
    link::Link,
    order::Order,
    stream,
    work::{self, Effects},
};

/// Until no message is new.
pub(crate) fn run(args: &PlainArgs) -> Result<(), Fatal> {
    let mut link = Link::new(&args.server)?;
    match link.ask_one(args.stream.create_group()) {
        Err(error) if !stream::is_group_there(&error) => return Err(error.into()),
        _ => {}
    }
    let effects = Effects::open(None).map_err(Fatal::Effects)?;
    loop {
        let messages = stream::read_messages(link.ask_one(args.stream.read(args.count, None))?)?;
        if messages.is_empty() {
            return Ok(());
        }
        let mut done = Vec::with_capacity(messages.len());
        for message in messages {
            if let Err(why) = work::run(Order::read(&message.fields), 1, &effects) {
                return Err(Fatal::Ended(why.to_string()));
            }
            if args.acknowledges_each {
                link.ask_one(args.stream.acknowledge(&[&message.id]))?;
            } else {
                done.push(message.id);
            }
        }
        if !done.is_empty() {
            let ids: Vec<&str> = done.iter().map(|id| &**id).collect();
            link.ask_one(args.stream.acknowledge(&ids))?;
        }
    }
}
