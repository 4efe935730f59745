//! The operations port: health, figures, and the page that draws them.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use httparse::Status;
use serde::Serialize;
use troupe_pool::{Config, Troupe};

use crate::{
    args::SETTINGS,
    fatal::Fatal,
    figures::Figures,
    metrics,
    server::{PAUSE, Server, listen},
};

/// How long a client may take for its request, and then for the answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// More than browsers send.
const LONGEST_HEAD: usize = 16 * 1024;

const ACTORS: usize = 4;
const MAILBOX: usize = 16;

/// The files that this port needs: the listener, a connection for each work that the troupe can
/// hold, one that it refuses, and one that each actor may read.
pub(crate) const FILES: usize = 1 + ACTORS * (MAILBOX + 1) + 1 + ACTORS;

const PAGE: &str = include_str!("page.html");

/// The page asks nobody but this server, whatever may have got into it.
const POLICY: &str = "default-src 'none'; img-src data:; connect-src 'self'; \
                      style-src 'unsafe-inline'; script-src 'unsafe-inline'";

#[derive(Debug)]
pub(crate) struct Ops {
    pub(crate) address: SocketAddr,
}

impl Ops {
    /// A troupe of its own serves this port, however busy the other is.
    pub(crate) fn start(server: &Arc<Server>, address: &str) -> Result<Self, Fatal> {
        let config = Config::dynamic(0, ACTORS)
            .mailbox_size(MAILBOX)
            .thread_name("ops");
        let troupe = Troupe::<io::Error>::builder(config)
            .build()
            .map_err(Fatal::build(SETTINGS))?;
        let (listener, address) = listen("--ops", address)?;
        let server = Arc::clone(server);
        let accept = move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else {
                    server.shared.counters.accept_errors.add(1);
                    server.registry.wait_for_a_leave(PAUSE); // There may be no file left.
                    continue;
                };
                let server = Arc::clone(&server);
                // A client that finds no room finds the connection closed: it went with the work.
                troupe.assign(move || answer(&server, &stream)).ok();
            }
        };
        thread::Builder::new()
            .name("ops accept".into())
            .spawn(accept)
            .map_err(Fatal::system("a thread was refused"))?;
        Ok(Ops { address })
    }
}

/// Reads one request and answers it. An error means that the client has gone, or is too slow.
fn answer(server: &Server, mut stream: &TcpStream) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut head = [0; LONGEST_HEAD];
    let mut length = 0;
    let deadline = Instant::now() + PATIENCE;
    let page = loop {
        let rest = deadline.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(rest))?;
        match stream.read(&mut head[length..])? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            read => length += read,
        }
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        break match request.parse(&head[..length]) {
            Ok(Status::Complete(_)) => respond(server, &request),
            Ok(Status::Partial) if length < head.len() => continue,
            Ok(Status::Partial) => Page::text(431, "a shorter request, please\n"),
            Err(error) => Page::text(400, format!("bad request: {error}\n")),
        };
    };
    stream.write_all(page.0.as_bytes())?;
    stream.shutdown(Shutdown::Write)
}

fn respond(server: &Server, request: &httparse::Request<'_, '_>) -> Page {
    let is_head = request.method == Some("HEAD");
    if !is_head && request.method != Some("GET") {
        return Page::text(405, "GET or HEAD, please\n");
    }
    let path = request.path.unwrap_or_default();
    let page = match path.split('?').next().unwrap_or_default() {
        "/" => Page::new(200, "text/html; charset=utf-8", PAGE),
        "/stats" => Page::json(&Figures::now(server)),
        "/trend" => Page::json(&server.trend.samples()),
        "/metrics" => {
            let metrics = metrics::render(&Figures::now(server));
            Page::rendered("text/plain; version=0.0.4; charset=utf-8", metrics)
        }
        "/healthz" if server.pool.is_shutdown() => Page::text(503, "shutting down\n"),
        "/healthz" => Page::text(200, "ok\n"),
        _ => Page::text(404, "there is nothing here\n"),
    };
    if is_head { page.without_body() } else { page }
}

/// A response, as it is sent.
#[derive(Debug)]
struct Page(String);

impl Page {
    fn new(status: u16, kind: &str, body: &str) -> Self {
        let reason = match status {
            200 => "OK",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed\r\nAllow: GET, HEAD",
            431 => "Request Header Fields Too Large",
            503 => "Service Unavailable",
            _ => "Internal Server Error",
        };
        let length = body.len();
        Page(format!(
            "HTTP/1.1 {status} {reason}\r\n\
             Content-Type: {kind}\r\n\
             Content-Length: {length}\r\n\
             Content-Security-Policy: {POLICY}\r\n\
             Cache-Control: no-store\r\n\
             Connection: close\r\n\
             \r\n\
             {body}"
        ))
    }

    fn text(status: u16, body: impl AsRef<str>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body.as_ref())
    }

    fn json(figures: &impl Serialize) -> Self {
        Self::rendered("application/json", serde_json::to_string(figures))
    }

    fn rendered(kind: &str, body: Result<String, impl Display>) -> Self {
        match body {
            Ok(body) => Self::new(200, kind, &body),
            Err(error) => Self::text(500, error.to_string()),
        }
    }

    fn without_body(mut self) -> Self {
        const END: &str = "\r\n\r\n";
        let end = self.0.find(END).map_or(self.0.len(), |end| end + END.len());
        self.0.truncate(end);
        self
    }
}
