//! The operations port: health, figures, and the page that draws them.

use std::{
    io::{self, Write},
    net::{Shutdown, SocketAddr},
    sync::Arc,
    thread,
    time::Duration,
};

use troupe_pool::{AssignError, Config, Troupe};

use crate::{
    args::SETTINGS,
    fatal::Fatal,
    figures::Figures,
    http::{self, Request, Response, Timed},
    metrics,
    server::{PAUSE, Server, listen},
    visitors::{Phase, Visitor, Visitors},
};

/// How long a client may take for its request, then for the answer, and then to close.
const PATIENCE: Duration = Duration::from_secs(2);

/// The most connections that are served at once.
const ACTORS: usize = 32;

/// How long an idle actor stays.
const IDLE: Duration = Duration::from_secs(5);

/// How long a new connection waits for a place before another one is closed.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The files that this port needs: the listener, a connection that waits for an actor, and for each
/// actor a connection and the one file that it may read.
pub(crate) const FILES: usize = 2 + 2 * ACTORS;

const PAGE: &str = include_str!("page.html");

#[derive(Debug)]
pub(crate) struct Ops {
    pub(crate) address: SocketAddr,
}

impl Ops {
    /// A separate troupe serves this port, however busy the other is.
    ///
    /// Each connection has an actor, so none waits for another. When the troupe is full, the
    /// connection that has least to lose is closed for the new one, but none before its actor has had
    /// time to read a request. A client that asks as soon as it has connected is therefore answered,
    /// even if any number of others only hold their connections, or ask at the same time.
    pub(crate) fn start(server: &Arc<Server>, address: &str) -> Result<Self, Fatal> {
        let config = Config::dynamic(0, ACTORS)
            .mailbox_size(0)
            .idle_timeout(IDLE)
            .thread_name("ops");
        let troupe = Troupe::<io::Error>::builder(config)
            .build()
            .map_err(Fatal::build(SETTINGS))?;
        let (listener, address) = listen("--ops", address)?;
        let server = Arc::clone(server);
        let visitors = Arc::new(Visitors::default());
        let accept = move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else {
                    server.shared.counters.accept_errors.add(1);
                    server.registry.wait_for_a_leave(PAUSE); // There may be no file left.
                    continue;
                };
                let visitor = visitors.admit(stream);
                let server = Arc::clone(&server);
                let mut assigned = troupe.assign(move || serve(&server, &visitor));
                while let Err(AssignError::Full(work)) = assigned {
                    visitors.make_room();
                    assigned = troupe.assign_timeout(work, LOOK_AGAIN);
                }
                // Any other error means that the system has no thread for even one actor. The
                // connection has been closed, for it went with the work.
            }
        };
        thread::Builder::new()
            .name("ops accept".into())
            .spawn(accept)
            .map_err(Fatal::system("a thread was refused"))?;
        Ok(Ops { address })
    }
}

/// Reads one request and answers it. An error means that the client has gone or is too slow, or that
/// another needs its place.
fn serve(server: &Server, visitor: &Visitor) -> io::Result<()> {
    let stream = visitor.stream();
    visitor.enter(Phase::Asking);
    let request = http::read_request(&mut Timed::new(stream, PATIENCE))?;
    visitor.enter(Phase::Answering);
    let response = match request {
        Ok(request) => respond(server, &request),
        Err(refusal) => refusal,
    };
    Timed::new(stream, PATIENCE).write_all(response.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    // A connection that is closed with something unread is reset, and the answer may be lost.
    visitor.enter(Phase::Leaving);
    io::copy(&mut Timed::new(stream, PATIENCE), &mut io::sink())?;
    Ok(())
}

fn respond(server: &Server, request: &Request) -> Response {
    let response = match request.path.as_str() {
        "/" => Response::new(200, "text/html; charset=utf-8", PAGE),
        "/stats" => Response::json(&Figures::now(server)),
        "/trend" => Response::json(&server.trend.samples()),
        "/metrics" => {
            let metrics = metrics::render(&Figures::now(server));
            Response::rendered("text/plain; version=0.0.4; charset=utf-8", metrics)
        }
        "/healthz" if server.pool.is_shutdown() => Response::text(503, "shutting down\n"),
        "/healthz" => Response::text(200, "ok\n"),
        _ => Response::text(404, "there is nothing here\n"),
    };
    match request.is_head {
        true => response.without_body(),
        false => response,
    }
}
