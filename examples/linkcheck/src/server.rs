//! A small HTTP server on loopback, on a troupe of its own. For the demo and for tests.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use troupe_pool::{BoxError, Config, Troupe};

/// A request has to fit in here, and to arrive within [`PATIENCE`].
const MAX_REQUEST: u64 = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(10);

/// How a client begins that takes this for a server of `https`.
const TLS_HANDSHAKE: u8 = 0x16;

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn html(body: impl Into<String>) -> Self {
        let html = ("Content-Type", "text/html; charset=utf-8".to_owned());
        Response {
            headers: vec![html],
            body: body.into(),
            ..Response::status(200)
        }
    }

    pub(crate) fn status(status: u16) -> Self {
        Response {
            status,
            headers: Vec::new(),
            body: String::new(),
        }
    }

    pub(crate) fn redirect(to: impl Into<String>) -> Self {
        Response::status(302).with("Location", to)
    }

    pub(crate) fn with(mut self, header: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((header, value.into()));
        self
    }
}

#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    troupe: Arc<Troupe>,
    listening: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers what `handler` says; where it says nothing, hangs up. Speaks over what `wrap` makes
    /// of each connection: `Ok` for plain HTTP.
    pub(crate) fn start<S, W, H>(
        listener: TcpListener,
        wrap: W,
        handler: H,
    ) -> Result<Self, BoxError>
    where
        S: Read + Write,
        W: Fn(TcpStream) -> io::Result<S> + Send + Sync + 'static,
        H: Fn(&Request) -> Option<Response> + Send + Sync + 'static,
    {
        let address = listener.local_addr()?;
        // Hand-off: a connection is served at once, or waits in the system's own queue.
        let config = Config::dynamic(0, 64).mailbox_size(0).thread_name("server");
        let troupe = Arc::new(Troupe::new(config)?);
        let (actors, wrap, handler) = (Arc::clone(&troupe), Arc::new(wrap), Arc::new(handler));
        let listen = move || {
            for stream in listener.incoming() {
                let (wrap, handler) = (Arc::clone(&wrap), Arc::clone(&handler));
                let serve = move || {
                    let stream = stream?;
                    stream.set_read_timeout(Some(PATIENCE))?;
                    stream.set_write_timeout(Some(PATIENCE))?;
                    Ok(serve(wrap(stream)?, &*handler)?)
                };
                match actors.assign_wait(serve) {
                    Err(error) if error.is_shutting_down() => return,
                    // No thread for it: the client is hung up on, and may come again.
                    accepted_or_not => drop(accepted_or_not),
                }
            }
        };
        let listening = thread::Builder::new().name("listen".into()).spawn(listen)?;
        Ok(Server {
            address,
            troupe,
            listening: Some(listening),
        })
    }

    /// Without a slash at the end.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    /// Answers what has been accepted, and joins its threads.
    fn drop(&mut self) {
        self.troupe.shutdown();
        // The thread that listens is woken by a connection.
        TcpStream::connect(self.address).ok();
        if let Some(listening) = self.listening.take() {
            listening.join().ok();
        }
        self.troupe.join().ok();
    }
}

/// One request for each connection.
fn serve(
    mut stream: impl Read + Write,
    handler: &impl Fn(&Request) -> Option<Response>,
) -> io::Result<()> {
    let mut input = BufReader::new(&mut stream).take(MAX_REQUEST);
    if input.fill_buf()?.first() == Some(&TLS_HANDSHAKE) {
        return stream.write_all(b"HTTP/1.1 400 \r\nConnection: close\r\n\r\n");
    }
    let mut lines = input.lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let mut words = first.split(' ').map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Ok(()); // Nothing was asked.
    };
    let request = Request { method, path };
    let Some(response) = handler(&request) else {
        return Ok(());
    };
    let mut text = format!("HTTP/1.1 {} \r\nConnection: close\r\n", response.status);
    for (name, value) in &response.headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += &format!("Content-Length: {}\r\n\r\n", response.body.len());
    if request.method != "HEAD" {
        text += &response.body;
    }
    stream.write_all(text.as_bytes())?;
    stream.flush()
}
