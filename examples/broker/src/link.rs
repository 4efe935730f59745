//! The feeder's connection: many commands in one trip, and a new connection when one is lost.
//!
//! The client's synchronous connection does not recover from an error, so its owner has to reopen it.
//!
//! In a cluster, all keys of a stream are in one slot, so one connection is enough, to the node that
//! has the slot. The client's own cluster connection would not do: it sends a command again whose
//! answer was lost, and it does not follow a redirect of a command in a pipeline.

use std::{fmt, time::Duration};

use redis::{Client, Cmd, Connection, ConnectionInfo, RedisError, Value, cmd};

use crate::{
    backoff::Backoff,
    error::Fatal,
    nodes::{Nodes, Redirect, Server},
};

/// How long an answer may take, and a new connection.
const ANSWER: Duration = Duration::from_secs(10);

/// The most redirects that a trip follows. While a cluster changes, its nodes may refer to each
/// other.
const MOST_REDIRECTS: usize = 5;

pub(crate) struct Link {
    nodes: Nodes,
    connection: Option<Connection>,
    /// The node that the slot is moving to, by its address.
    next: Option<(String, Connection)>,
    backoff: Backoff,
}

impl Link {
    pub(crate) fn new(server: &Server) -> Result<Self, Fatal> {
        Ok(Link {
            nodes: Nodes::new(server)?,
            connection: None,
            next: None,
            backoff: Backoff::new(),
        })
    }

    pub(crate) fn is_open(&self) -> bool {
        self.connection.is_some()
    }

    /// How long to wait before the next attempt. Zero if there is a connection.
    pub(crate) fn pause(&self) -> Duration {
        if self.is_open() {
            return Duration::ZERO;
        }
        self.backoff.pause()
    }

    /// Connects, unless that is done.
    pub(crate) fn open(&mut self) -> Result<(), RedisError> {
        if self.connection.is_none() {
            let mut slots = cmd("CLUSTER");
            slots.arg("SLOTS");
            let mut connection = connect(self.nodes.current())?;
            let answers = exchange(&mut connection, &[&slots])?;
            answers.iter().for_each(|answer| self.nodes.learn(answer));
            self.connection = Some(connection);
        }
        Ok(())
    }

    /// Gives the connection up: what follows may be the answer to something else. The next attempt
    /// goes to another node, since this one may be loading or cut off, and still accept connections.
    pub(crate) fn lose(&mut self) {
        self.nodes.advance();
        self.connection = None;
        self.next = None;
        self.backoff.fail();
    }

    /// Whether the last attempt was a success.
    pub(crate) fn is_well(&self) -> bool {
        self.backoff.is_well()
    }

    /// Records a success.
    pub(crate) fn succeed(&mut self) {
        self.backoff.succeed();
    }

    /// Sends all commands at once, and reads the answer to each. An answer can be the server's
    /// refusal of that command; an `Err` means that the connection has to be given up.
    pub(crate) fn ask(&mut self, commands: &[Cmd]) -> Result<Vec<Value>, RedisError> {
        let mut answers = self.ask_current(&commands.iter().collect::<Vec<_>>())?;
        for _ in 0..MOST_REDIRECTS {
            let Some(redirect) = answers.iter().find_map(Redirect::read) else {
                break;
            };
            // Those that were not redirected have been done, and must not be sent again.
            let is_redirected = |answer: &Value| Redirect::read(answer).as_ref() == Some(&redirect);
            let redirected = answers.iter_mut().zip(commands);
            let (old, again): (Vec<_>, Vec<_>) = redirected
                .filter(|(answer, _)| is_redirected(answer))
                .unzip();
            let new = match &redirect {
                Redirect::Moved(address) => {
                    self.nodes.go_to(address);
                    self.connection = None;
                    self.next = None;
                    self.ask_current(&again)?
                }
                Redirect::Ask(address) => self.ask_next(address, &again)?,
            };
            old.into_iter().zip(new).for_each(|(old, new)| *old = new);
        }
        Ok(answers)
    }

    fn ask_current(&mut self, commands: &[&Cmd]) -> Result<Vec<Value>, RedisError> {
        self.open()?;
        match &mut self.connection {
            Some(connection) => exchange(connection, commands),
            None => Ok(Vec::new()),
        }
    }

    /// Asks the node that the slot is moving to. It serves a command only right after `ASKING`.
    fn ask_next(&mut self, address: &str, commands: &[&Cmd]) -> Result<Vec<Value>, RedisError> {
        if self.next.as_ref().is_none_or(|(at, _)| at != address) {
            let node = self.nodes.at(address);
            let connection = connect(node.as_ref().unwrap_or(self.nodes.current()))?;
            self.next = Some((address.to_owned(), connection));
        }
        let Some((_, connection)) = &mut self.next else {
            return Ok(Vec::new());
        };
        let asking = cmd("ASKING");
        let pairs = commands.iter().flat_map(|command| [&asking, command]);
        let answers = exchange(connection, &pairs.collect::<Vec<_>>())?;
        Ok(answers.into_iter().skip(1).step_by(2).collect())
    }

    /// Sends one command. A refusal is an error here.
    pub(crate) fn ask_one(&mut self, command: Cmd) -> Result<Value, RedisError> {
        let mut answers = self.ask(&[command])?;
        answers.pop().unwrap_or(Value::Nil).extract_error()
    }
}

fn connect(node: &ConnectionInfo) -> Result<Connection, RedisError> {
    let connection = Client::open(node.clone())?.get_connection_with_timeout(ANSWER)?;
    // A silent peer is a lost one.
    connection.set_read_timeout(Some(ANSWER))?;
    connection.set_write_timeout(Some(ANSWER))?;
    Ok(connection)
}

/// One trip.
fn exchange(connection: &mut Connection, commands: &[&Cmd]) -> Result<Vec<Value>, RedisError> {
    let mut bytes = Vec::new();
    for command in commands {
        command.write_packed_command(&mut bytes);
    }
    connection.send_packed_command(&bytes)?;
    let answers = commands.iter().map(|_| connection.recv_response());
    answers.collect()
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("is_open", &self.is_open())
            .field("backoff", &self.backoff)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node that is loading accepts connections, and serves nobody. This failed because only a
    /// refused connection led to another node.
    #[test]
    fn after_a_loss_it_is_the_turn_of_another_node() {
        let mut link = Link::new(&"redis://a:1".to_owned().into()).unwrap();
        link.nodes.go_to("b:2");
        let mut tried = Vec::new();
        for _ in 0..3 {
            tried.push(link.nodes.current().addr().to_string());
            link.lose();
        }
        assert_eq!(tried, ["b:2", "a:1", "b:2"]);
    }
}
