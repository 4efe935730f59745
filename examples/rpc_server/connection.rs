//! One client: its stream, and the thread that writes its answers.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::outbox::Outbox;

/// The most that is written or thrown away at once, and that a buffer keeps in quiet times.
const CHUNK: usize = 16 * 1024;

#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// How long a client may take nothing.
    stall: Duration,
    pub(crate) outbox: Arc<Outbox>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, outbox: Outbox, stall: Duration) -> io::Result<Self> {
        stream.set_nonblocking(false)?; // Some systems let it inherit that from the listener.
        stream.set_nodelay(true)?; // An answer is not to wait for the next.
        stream.set_write_timeout(Some(stall))?;
        Ok(Connection {
            stream,
            stall,
            outbox: Arc::new(outbox),
        })
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// The end of the reader's life: throws away what still comes, until the client has closed or
    /// the connection has gone.
    ///
    /// A system that has to close a connection with something unread, or gets something for one
    /// that nobody reads, resets it, and drops the answers that it still holds for the client.
    pub(crate) fn discard(&self) {
        let mut bytes = [0; CHUNK];
        if self.stream.set_read_timeout(None).is_err() {
            return self.cut();
        }
        while !self.outbox.is_gone() {
            match (&self.stream).read(&mut bytes) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.cut(),
            }
        }
    }

    /// Ends everything at once; answers that are not yet written are lost.
    pub(crate) fn cut(&self) {
        self.stream.shutdown(Shutdown::Both).ok();
        self.outbox.close();
    }

    /// The writer's life: writes answers, many at a time if many wait, until all is answered and
    /// no more can come, or the connection has gone. Then it tells the client, who has as long to
    /// close as it may take nothing, from the last answer on.
    pub(crate) fn write_answers(&self) {
        let mut batch = Vec::new();
        let mut last = None;
        while self.outbox.next_batch(&mut batch) {
            if let Err(error) = self.write(&batch) {
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) {
                    self.outbox.shared().counters.cut.add(1);
                }
                return self.cut();
            }
            batch.clear();
            batch.shrink_to(CHUNK);
            last = Some(Instant::now());
            self.outbox.batch_is_written();
        }
        self.stream.shutdown(Shutdown::Write).ok();
        let rest = last.map_or(Duration::ZERO, |last: Instant| {
            self.stall.saturating_sub(last.elapsed())
        });
        if !self.outbox.wait_for_leave(rest) {
            self.cut();
        }
    }

    /// Writes it all. For each chunk the client has the time that it may stall.
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        for mut chunk in bytes.chunks(CHUNK) {
            let start = Instant::now();
            while !chunk.is_empty() {
                match (&self.stream).write(chunk) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(written) => chunk = &chunk[written..],
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
                // A client that takes a little now and then does not get the time anew.
                if !chunk.is_empty() && start.elapsed() > self.stall {
                    return Err(ErrorKind::TimedOut.into());
                }
            }
        }
        Ok(())
    }
}
