//! Values of JSON from a client, none longer than a limit, none slower than another.
//!
//! A value ends with its last bracket, as for the decoder of Go: calls may share a line, or take
//! several. `serde_json` finds that end: at once in the bytes that have come together, or else byte by
//! byte as they come. So a byte is looked at twice at most, in however many pieces a value comes.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Read},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::{Deserializer, value::RawValue};

/// Enough for a hundred ordinary calls.
const BUFFER: usize = 8 * 1024;

/// How long to look whether there is more: the shortest that a system knows.
const GLANCE: Duration = Duration::from_micros(1);

#[derive(Debug)]
pub(crate) struct Frames<'s>(Source<'s>);

#[derive(Debug)]
pub(crate) enum Frame {
    /// A value, and the time at which its end counts as having arrived.
    Value(Box<RawValue>, Instant),
    /// The bytes are not JSON, too long or too late, for this reason. The next value cannot be found.
    Broken(String),
    /// The client has closed, at least for writing, or this server reads no more.
    End,
    /// The connection has failed.
    Failed,
}

impl<'s> Frames<'s> {
    pub(crate) fn new(stream: &'s TcpStream, limit: usize, patience: Duration) -> Self {
        Frames(Source {
            stream,
            limit,
            patience,
            buffer: Box::new([0; BUFFER]),
            start: 0,
            end: 0,
            taken: 0,
            due: None,
            is_timed: false,
            arrived: Instant::now(),
            is_more: false,
        })
    }

    /// Waits for the next value.
    pub(crate) fn next(&mut self) -> Frame {
        let source = &mut self.0;
        source.begin();
        match source.skip_blanks() {
            Ok(true) => {}
            Ok(false) => return Frame::End,
            Err(_) => return Frame::Failed,
        }
        if let Some(value) = source.take_whole() {
            return Frame::Value(value, source.arrived);
        }
        let mut values = Deserializer::from_reader(&mut *source).into_iter::<Box<RawValue>>();
        let value = values.next();
        let used = values.byte_offset();
        match value {
            None => Frame::End,
            Some(Ok(value)) => {
                source.give_back(used);
                Frame::Value(value, source.arrived)
            }
            Some(Err(error)) => match error.io_error_kind() {
                None => Frame::broken(error),
                Some(ErrorKind::FileTooLarge) => {
                    Frame::broken(format_args!("a value of more than {} bytes", source.limit))
                }
                Some(ErrorKind::TimedOut) => Frame::broken("a value that was not finished in time"),
                Some(_) => Frame::Failed,
            },
        }
    }
}

impl Frame {
    fn broken(reason: impl Display) -> Self {
        Frame::Broken(format!("bad request: {reason}"))
    }
}

/// The bytes of a client, one at a time. It fails with [`ErrorKind::FileTooLarge`] in a value that
/// is too long, and with [`ErrorKind::TimedOut`] in one that is too slow.
#[derive(Debug)]
struct Source<'s> {
    stream: &'s TcpStream,
    limit: usize,
    patience: Duration,
    /// Bytes that have arrived and are not yet taken are in `buffer[start..end]`.
    buffer: Box<[u8; BUFFER]>,
    start: usize,
    end: usize,
    /// Bytes taken for this value. It has begun if this is not 0.
    taken: usize,
    /// When the value that has begun must be whole.
    due: Option<Instant>,
    /// The stream has a read timeout.
    is_timed: bool,
    /// The time at which the bytes of the last read count as having arrived. Bytes that were already
    /// waiting behind a read share its time.
    arrived: Instant,
    /// The last read filled its buffer: more may have been waiting.
    is_more: bool,
}

impl Source<'_> {
    /// A value that has come whole, as most do. That is much cheaper than byte by byte.
    fn take_whole(&mut self) -> Option<Box<RawValue>> {
        let bytes = &self.buffer[self.start..self.end];
        let mut values = Deserializer::from_slice(bytes).into_iter::<&RawValue>();
        let value = values.next()?.ok()?;
        // Only a bracket says that no more of it can come.
        if !value.get().ends_with('}') || value.get().len() > self.limit {
            return None;
        }
        let value = value.to_owned();
        self.start += values.byte_offset();
        Some(value)
    }

    fn begin(&mut self) {
        (self.taken, self.due) = (0, None);
    }

    /// Waits for the first byte of a value. `false` at the end.
    fn skip_blanks(&mut self) -> io::Result<bool> {
        loop {
            let bytes = &self.buffer[self.start..self.end];
            let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
            if let Some(blanks) = bytes.iter().position(|byte| !is_blank(byte)) {
                self.start += blanks;
                return Ok(true);
            }
            match self.fill() {
                Ok(()) if self.end == 0 => return Ok(false),
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {} // After a glance.
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes back the byte behind a number, which was read only to see that the number had ended.
    fn give_back(&mut self, used: usize) {
        self.start -= self.taken - used;
    }

    fn fill(&mut self) -> io::Result<()> {
        let now = Instant::now();
        if self.taken > 0 {
            self.due = self.due.or(Some(now + self.patience));
        }
        let mut rest = self.due.map(|due| due.saturating_duration_since(now));
        if rest == Some(Duration::ZERO) {
            return Err(ErrorKind::TimedOut.into());
        }
        if self.is_more {
            rest = Some(GLANCE);
        }
        // Most values arrive whole: two system calls less for each.
        if rest.is_some() || self.is_timed {
            self.stream.set_read_timeout(rest)?;
            self.is_timed = rest.is_some();
        }
        let read = match (&*self.stream).read(&mut *self.buffer) {
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                // Systems differ in the error. No more was there at the glance, so later bytes get a
                // later time.
                let kind = match self.is_more {
                    true => ErrorKind::Interrupted,
                    false => ErrorKind::TimedOut,
                };
                self.is_more = false;
                return Err(kind.into());
            }
            Err(error) => return Err(error),
        };
        (self.start, self.end) = (0, read);
        if !self.is_more {
            self.arrived = Instant::now();
        }
        self.is_more = read == BUFFER;
        Ok(())
    }
}

impl Read for Source<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let Some(room) = room.first_mut() else {
            return Ok(0);
        };
        if self.start == self.end {
            self.fill()?;
            if self.end == 0 {
                return Ok(0);
            }
        }
        if self.taken == self.limit {
            return Err(ErrorKind::FileTooLarge.into());
        }
        *room = self.buffer[self.start];
        self.start += 1;
        self.taken += 1;
        Ok(1)
    }
}
