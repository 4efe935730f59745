//! Lines from a client, none longer than a limit, none slower than another.

use std::{
    io::{self, ErrorKind, Read},
    mem,
    net::TcpStream,
    ops::Range,
    time::{Duration, Instant},
};

/// Enough for a hundred ordinary calls.
const BUFFER: usize = 8 * 1024;

/// How long to look whether there is more: the shortest that a system knows.
const GLANCE: Duration = Duration::from_micros(1);

#[derive(Debug)]
pub(crate) struct Frames<'s> {
    stream: &'s TcpStream,
    limit: usize,
    patience: Duration,
    buffer: Vec<u8>,
    /// Bytes that have arrived and are not yet returned are in `buffer[start..end]`.
    start: usize,
    end: usize,
    /// Bytes behind `start` that are known to hold no line break.
    searched: usize,
    /// When the line that has begun must be whole.
    due: Option<Instant>,
    /// The stream has a read timeout.
    is_timed: bool,
    /// The rest of a line that was too long is thrown away.
    is_skipping: bool,
    /// The time at which the bytes read last count as having come. Bytes that already wait behind a read have come
    /// with what that returns; else only the read itself tells.
    arrived: Instant,
    /// The last read filled its buffer: more may have been waiting.
    is_more: bool,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Frame<'f> {
    /// And when its end counts as having come.
    Line(&'f [u8], Instant),
    /// Said once, as soon as it is known.
    TooLong,
    /// A line was begun and not finished in time.
    Late,
    /// The end has come before that of this line.
    Rest(&'f [u8]),
    /// The client has closed, at least for writing, or this server reads no more; or a line that was
    /// too long was not even finished in time.
    End,
    /// The connection has failed.
    Failed,
}

impl<'s> Frames<'s> {
    pub(crate) fn new(stream: &'s TcpStream, limit: usize, patience: Duration) -> Self {
        Frames {
            stream,
            limit,
            patience,
            buffer: vec![0; BUFFER],
            start: 0,
            end: 0,
            searched: 0,
            due: None,
            is_timed: false,
            is_skipping: false,
            arrived: Instant::now(),
            is_more: false,
        }
    }

    /// Waits for the next line that is not blank.
    pub(crate) fn next(&mut self) -> Frame<'_> {
        loop {
            if let Some(line) = self.line_at_hand() {
                self.due = None;
                let was_skipped = mem::take(&mut self.is_skipping);
                if was_skipped || self.buffer[line.clone()].trim_ascii().is_empty() {
                    continue;
                }
                if line.len() > self.limit {
                    return Frame::TooLong;
                }
                return Frame::Line(&self.buffer[line], self.arrived);
            }
            if self.end - self.start > self.limit && !self.is_skipping {
                self.is_skipping = true;
                return Frame::TooLong;
            }
            match self.read() {
                Ok(0) => {
                    let rest = mem::replace(&mut self.start, self.end)..self.end;
                    self.searched = 0;
                    let rest = &self.buffer[rest];
                    return match rest.trim_ascii() {
                        [] => Frame::End,
                        _ if self.is_skipping => Frame::End,
                        _ => Frame::Rest(rest),
                    };
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    return match is_timeout(&error) {
                        // It has been answered already, as too long.
                        true if self.is_skipping => Frame::End,
                        true => Frame::Late,
                        false => Frame::Failed,
                    };
                }
            }
        }
    }

    fn line_at_hand(&mut self) -> Option<Range<usize>> {
        let unsearched = &self.buffer[self.start + self.searched..self.end];
        let Some(length) = unsearched.iter().position(|byte| *byte == b'\n') else {
            self.searched = self.end - self.start;
            return None;
        };
        let start = self.start;
        let line = start..start + self.searched + length;
        (self.start, self.searched) = (line.end + 1, 0);
        Some(line)
    }

    fn read(&mut self) -> io::Result<usize> {
        if self.is_skipping {
            (self.start, self.end, self.searched) = (0, 0, 0);
        }
        self.make_room();
        let has_begun = self.is_skipping || self.start < self.end;
        let now = Instant::now();
        self.due = match self.due {
            _ if !has_begun => None,
            due => due.or(Some(now + self.patience)),
        };
        let mut rest = self.due.map(|due| due.saturating_duration_since(now));
        if rest == Some(Duration::ZERO) {
            return Err(ErrorKind::TimedOut.into());
        }
        if self.is_more {
            rest = Some(GLANCE);
        }
        // Most lines arrive whole: two system calls less for each.
        if rest.is_some() || self.is_timed {
            self.stream.set_read_timeout(rest)?;
            self.is_timed = rest.is_some();
        }
        let mut stream = self.stream;
        let room = &mut self.buffer[self.end..];
        let size = room.len();
        let read = match stream.read(room) {
            Ok(read) => read,
            // There was no more. Bytes that come from now on had not come before.
            Err(error) if self.is_more && is_timeout(&error) => {
                self.is_more = false;
                return Err(ErrorKind::Interrupted.into());
            }
            Err(error) => return Err(error),
        };
        self.end += read;
        if !self.is_more {
            self.arrived = Instant::now();
        }
        self.is_more = read == size;
        Ok(read)
    }

    /// Moves what there is to the front, and lets the buffer grow for a long line only as long as
    /// that is there.
    fn make_room(&mut self) {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.end == self.buffer.len() {
            let longer = (2 * self.end).min(self.limit + 1);
            self.buffer.resize(longer, 0);
        } else if self.end == 0 && self.buffer.len() > BUFFER {
            self.buffer = vec![0; BUFFER];
        }
    }
}

/// Systems differ in what they call it.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
