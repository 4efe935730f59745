//! Serves until it is told to stop, and then until every request has its answer.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use axum::{Router, serve::Listener};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::TcpListener,
    pin, select, task,
    time::{sleep, timeout},
};

/// How long the last answers may take on their way, when time is up.
pub const LAST: Duration = Duration::from_secs(1);

/// The time limits of the server.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// How long a client may take for the head of a request, counted from the beginning of the
    /// connection or from the previous answer.
    pub head: Duration,
    /// From the signal to the last answer.
    pub grace: Duration,
}

/// How serving ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Were all requests answered within the grace?
    pub is_answered: bool,
    /// `None` is never.
    deadline: Option<Instant>,
}

impl Ended {
    fn answered(began: Instant, grace: Duration) -> Self {
        Ended {
            is_answered: true,
            deadline: began.checked_add(grace),
        }
    }

    /// The remaining time, in which the rest has to end, too: the grace counts once, from
    /// the signal on, whatever it is spent on.
    pub fn left(&self) -> Duration {
        self.deadline.map_or(Duration::MAX, |deadline| {
            deadline.saturating_duration_since(Instant::now())
        })
    }
}

/// Serves until `stop` resolves. Then it listens no more, and returns when every request that it has
/// begun to read has been answered. A connection from which nothing has been read yet is closed.
///
/// When the grace is over, `give_up` is called once. It may take back what has not started
/// (`shutdown_now`), so that at least this is answered. It must not wait (`join`): nothing else
/// would go on meanwhile, least of all the answers.
///
/// `axum::serve` would do most of this, but lets a client take any time for the head of a request.
pub async fn serve(
    mut listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()>,
    times: Times,
    give_up: impl FnOnce(),
) -> Ended {
    let Times { head, grace } = times;
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head);
    let connections = GracefulShutdown::new();
    pin!(stop);
    loop {
        let (stream, _) = select! {
            biased;
            () = &mut stop => break,
            // Waits a little when the system has no file left, and tries again.
            accepted = Listener::accept(&mut listener) => accepted,
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let connection = connections.watch(connection);
        task::spawn(async {
            connection.await.ok(); // The client has gone, or has taken too long.
        });
    }
    let began = Instant::now();
    drop(listener);
    let answering = connections.shutdown();
    pin!(answering);
    select! {
        () = &mut answering => return Ended::answered(began, grace),
        () = sleep(grace) => give_up(),
    }
    // An answer that is still owed is that of a work that runs, or goes to a client that does not
    // take it, or to one that has not finished its question.
    let deadline = Instant::now().checked_add(LAST);
    timeout(LAST, answering).await.ok();
    Ended {
        is_answered: false,
        deadline,
    }
}
