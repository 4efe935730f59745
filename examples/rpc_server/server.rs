//! Accepts connections, and reads each one's calls.

use std::{
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde_json::value::RawValue;

use crate::{
    args::{Args, Limits, SETTINGS},
    call::Call,
    connection::Connection,
    fatal::Fatal,
    frames::{Frame, Frames},
    outbox::{Outbox, Shared},
    pool::Pool,
    registry::Registry,
    request::{self, Bad},
    trend::Trend,
    wire::{Answer, Done},
};

/// A reader and a writer do little; a thousand connections have two thousand of them.
const STACK: usize = 128 * 1024;

/// The files that this needs besides one for each connection: the listener, a connection that is
/// turned away, and the one that wakes the thread that accepts.
pub(crate) const FILES: usize = 3;

/// How long to do without when the system has no file or thread left.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);

/// Opens a port, and says which it is.
pub(crate) fn listen(
    option: &'static str,
    address: &str,
) -> Result<(TcpListener, SocketAddr), Fatal> {
    let open = || {
        let listener = TcpListener::bind(address)?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    open().map_err(Fatal::system(format!("{option}: {address:?}")))
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pool: Pool,
    pub(crate) registry: Arc<Registry>,
    pub(crate) limits: Limits,
    pub(crate) trend: Trend,
    pub(crate) start: Instant,
    pub(crate) address: SocketAddr,
    /// Disconnected once nobody is accepted any more.
    accepting: Mutex<Receiver<()>>,
}

impl Server {
    /// Builds the pool, opens the port for calls and starts the thread that accepts.
    pub(crate) fn start(args: &Args) -> Result<Arc<Self>, Fatal> {
        let shared = Arc::new(Shared::default());
        let pool = Pool::new(args, &shared).map_err(Fatal::build(SETTINGS))?;
        let (listener, address) = listen("--listen", &args.listen)?;
        let (ends, accepting) = mpsc::channel();
        let server = Arc::new(Server {
            shared,
            accepting: Mutex::new(accepting),
            pool,
            registry: Arc::new(Registry::default()),
            limits: args.limits,
            trend: Trend::default(),
            start: Instant::now(),
            address,
        });
        let acceptor = Arc::clone(&server);
        let accept = move || {
            acceptor.accept_all(&listener);
            drop(listener); // The port is closed before anybody is told so.
            drop(ends);
        };
        thread::Builder::new()
            .name("accept".into())
            .spawn(accept)
            .map_err(Fatal::system("a thread was refused"))?;
        Ok(server)
    }

    /// Wakes the thread that accepts, by a connection that ends at once and is served like any
    /// other; waits until it has taken those who have come before and closed the port, at most
    /// until the deadline.
    pub(crate) fn stop_listening(&self, deadline: Instant) {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(match address.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        let accepting = self.accepting.lock();
        loop {
            // An error means that the thread is not waiting for connections just now.
            TcpStream::connect_timeout(&address, PAUSE).ok();
            let has_ended = accepting.recv_timeout(PAUSE) == Err(RecvTimeoutError::Disconnected);
            if has_ended || Instant::now() >= deadline {
                return;
            }
        }
    }

    fn accept_all(self: Arc<Self>, listener: &TcpListener) {
        loop {
            let accepted = listener.accept();
            if self.shared.is_stopping() && listener.set_nonblocking(true).is_err() {
                return;
            }
            match accepted {
                Ok((stream, _)) => self.admit(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                // Most likely there is no file left. One that leaves gives one back.
                Err(_) => {
                    self.shared.counters.accept_errors.add(1);
                    self.registry.wait_for_a_leave(PAUSE);
                }
            }
        }
    }

    fn admit(self: &Arc<Self>, stream: TcpStream) {
        if self.registry.len() >= self.limits.connections {
            return self.turn_away(&stream);
        }
        let Limits {
            in_flight, stall, ..
        } = self.limits;
        let outbox = Outbox::new(Arc::clone(&self.shared), in_flight);
        let Ok(connection) = Connection::new(stream, outbox, stall) else {
            return; // The client has gone already.
        };
        let connection = Arc::new(connection);
        let entry = self.registry.enter(&connection);
        let (server, served) = (Arc::clone(self), Arc::clone(&connection));
        let serve = move || {
            server.serve(&served);
            drop(served); // Its file is closed before its place is free.
            drop(entry);
        };
        if thread("read", serve).is_err() {
            self.turn_away(connection.stream());
        }
    }

    /// Says why, as far as that is possible without waiting, and closes.
    fn turn_away(&self, mut stream: &TcpStream) {
        self.shared.counters.turned_away.add(1);
        let line = br#"{"id":null,"result":null,"error":"overloaded: too many connections"}"#;
        // A new stream has room for a line. If it has none, the end says enough.
        stream.set_nonblocking(true).ok();
        stream.write_all(&[line.as_slice(), b"\n"].concat()).ok();
    }

    /// A connection's life, on the thread that reads it.
    fn serve(&self, connection: &Arc<Connection>) {
        let writes = Arc::clone(connection);
        match thread("write", move || writes.write_answers()) {
            Ok(writer) => {
                self.shared.counters.connected.add(1);
                self.read_calls(connection);
                connection.outbox.end_of_calls();
                connection.discard();
                connection.outbox.leave();
                writer.join().ok(); // It does not panic.
            }
            Err(_) => self.turn_away(connection.stream()),
        }
    }

    fn read_calls(&self, connection: &Connection) {
        let Limits { frame, stall, .. } = self.limits;
        let outbox = &connection.outbox;
        let mut frames = Frames::new(connection.stream(), frame, stall);
        while outbox.wait_for_place() {
            match frames.next() {
                Frame::End => return,
                Frame::Failed => return connection.cut(),
                // The end of calls came while this one did.
                _ if !outbox.take_place() => return,
                Frame::Value(value, arrived) => self.call(&value, arrived, outbox),
                Frame::Broken(complaint) => {
                    return self.complain(Bad::without_id(complaint), outbox);
                }
            }
        }
    }

    fn call(&self, value: &RawValue, arrived: Instant, outbox: &Arc<Outbox>) {
        match request::parse(value) {
            Ok((id, argument)) => {
                let call = Call::new(id, argument, Arc::clone(outbox));
                if self.pool.assign(call, arrived) {
                    self.shared.counters.accepted.add(1);
                }
            }
            Err(bad) => self.complain(bad, outbox),
        }
    }

    fn complain(&self, bad: Bad, outbox: &Outbox) {
        self.shared.counters.bad.add(1);
        outbox.answer(&Answer {
            id: bad.id,
            result: None::<Done>,
            error: Some(bad.complaint),
        });
    }
}

fn thread(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new()
        .name(name.into())
        .stack_size(STACK)
        .spawn(body)
}
