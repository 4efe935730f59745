//! One client: its stream, and the thread that writes its answers.

use std::{
    io::{self, ErrorKind, Write},
    net::{Shutdown, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::outbox::Outbox;

/// The most that is written at once, and that a buffer keeps in quiet times.
const CHUNK: usize = 16 * 1024;

#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// How long a client may take nothing.
    stall: Duration,
    pub(crate) outbox: Arc<Outbox>,
    is_read_no_more: AtomicBool,
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
            is_read_no_more: AtomicBool::new(false),
        })
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Lets no more in: what has arrived is still read, and then comes the end of calls.
    pub(crate) fn stop_reading(&self) {
        // In this order: who finds the end knows whether it is the client's.
        self.is_read_no_more.store(true, Ordering::Release);
        self.stream.shutdown(Shutdown::Read).ok(); // An error means that it has gone by itself.
    }

    /// Whether the end of what is read may be this server's doing.
    pub(crate) fn is_read_no_more(&self) -> bool {
        self.is_read_no_more.load(Ordering::Acquire)
    }

    /// Ends everything at once; answers that are not yet written are lost.
    pub(crate) fn cut(&self) {
        self.stream.shutdown(Shutdown::Both).ok();
        self.outbox.close();
    }

    /// The writer's life: writes answers, many at a time if many wait, until all is answered and
    /// no more can come, or the connection has gone.
    pub(crate) fn write_answers(&self) {
        let mut batch = Vec::new();
        while self.outbox.next_batch(&mut batch) {
            if let Err(error) = self.write(&batch) {
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) {
                    self.outbox.shared().counters.cut.add(1);
                }
                return self.cut();
            }
            batch.clear();
            batch.shrink_to(CHUNK);
            self.outbox.batch_is_written();
        }
        self.stream.shutdown(Shutdown::Write).ok();
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
