//! The start of a connection: it checks that the keys go together, and makes the group.

use crate::{
    error::{Fatal, Trouble},
    link::Link,
    stream::{self, Stream},
};

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) link: Link,
    /// Whether the keys are known to go together.
    has_checked_keys: bool,
}

impl Session {
    pub(crate) fn new(link: Link) -> Self {
        Session {
            link,
            has_checked_keys: false,
        }
    }

    /// Connects, checks the keys unless that is done, and makes the group for the first connection.
    pub(crate) fn open(&mut self, stream: &Stream, is_first: bool) -> Result<(), Trouble> {
        self.link.open()?;
        if !self.has_checked_keys {
            self.check_keys(stream)?;
            self.has_checked_keys = true;
        }
        if is_first {
            // Later only if it is gone: to ask for it takes memory, which Redis may not have.
            self.make_group(stream)?;
        }
        Ok(())
    }

    /// In a cluster, a script can use keys of one slot only. Without this check, the worker would learn
    /// that when the first work fails.
    fn check_keys(&mut self, stream: &Stream) -> Result<(), Trouble> {
        let mut slots = Vec::<u64>::new();
        for answer in self.link.ask(&stream.slots())? {
            match answer.extract_error() {
                Ok(slot) => slots.push(stream::read(slot)?),
                Err(error) if stream::is_transient(&error) => return Err(error.into()),
                // A server that is in no cluster refuses the question.
                Err(_) => {}
            }
        }
        if slots.iter().all(|slot| Some(slot) == slots.first()) {
            return Ok(());
        }
        Err(Trouble::Fatal(Fatal::Slots {
            keys: [stream.name.clone(), stream.dead(), stream.tally()],
            slots,
        }))
    }

    /// Makes the group, unless it is there.
    pub(crate) fn make_group(&mut self, stream: &Stream) -> Result<(), Trouble> {
        match self.link.ask_one(stream.create_group()) {
            Err(error) if !stream::is_group_there(&error) => Err(error.into()),
            _ => Ok(()),
        }
    }
}
