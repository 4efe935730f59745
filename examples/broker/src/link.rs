//! The feeder's connection: many commands in one trip, and a new connection when one is lost.
//!
//! The client's synchronous connection stays broken once it is, so whoever owns it has to reopen it.

use std::{fmt, time::Duration};

use redis::{Client, Cmd, Connection, RedisError, Value};

use crate::backoff::Backoff;

/// How long an answer may take, and a new connection.
const ANSWER: Duration = Duration::from_secs(10);

pub(crate) struct Link {
    client: Client,
    connection: Option<Connection>,
    backoff: Backoff,
}

impl Link {
    pub(crate) fn new(url: &str) -> Result<Self, RedisError> {
        Ok(Link {
            client: Client::open(url)?,
            connection: None,
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
            let connection = self.client.get_connection_with_timeout(ANSWER)?;
            // A silent peer is a lost one.
            connection.set_read_timeout(Some(ANSWER))?;
            connection.set_write_timeout(Some(ANSWER))?;
            self.connection = Some(connection);
        }
        Ok(())
    }

    /// Gives the connection up: what follows may be the answer to something else.
    pub(crate) fn lose(&mut self) {
        self.connection = None;
        self.backoff.fail();
    }

    /// Whether the last attempt was a success.
    pub(crate) fn is_well(&self) -> bool {
        self.backoff.is_well()
    }

    /// All is well again.
    pub(crate) fn succeed(&mut self) {
        self.backoff.succeed();
    }

    /// Sends all commands at once, and reads the answer to each. An answer can be the server's
    /// refusal of that command; an `Err` means that the connection has to be given up.
    pub(crate) fn ask(&mut self, commands: &[Cmd]) -> Result<Vec<Value>, RedisError> {
        self.open()?;
        let Some(connection) = &mut self.connection else {
            return Ok(Vec::new());
        };
        let mut bytes = Vec::new();
        for command in commands {
            command.write_packed_command(&mut bytes);
        }
        connection.send_packed_command(&bytes)?;
        let mut answers = Vec::with_capacity(commands.len());
        for _ in commands {
            answers.push(connection.recv_response()?);
        }
        Ok(answers)
    }

    /// Sends one command. A refusal is an error here.
    pub(crate) fn ask_one(&mut self, command: Cmd) -> Result<Value, RedisError> {
        let mut answers = self.ask(&[command])?;
        answers.pop().unwrap_or(Value::Nil).extract_error()
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("is_open", &self.is_open())
            .field("backoff", &self.backoff)
            .finish_non_exhaustive()
    }
}
