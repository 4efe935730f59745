//! Serves until it is told to stop, and then until every request has its answer.

use std::{
    future::Future,
    io,
    time::{Duration, Instant},
};

use axum::Router;
use tokio::{
    net::TcpListener,
    pin, select,
    sync::oneshot,
    time::{sleep, timeout},
};

/// How long the last answers may take on their way, when time is up.
pub const LAST: Duration = Duration::from_secs(1);

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

/// Serves until `stop` resolves; then listens no more, and returns when the requests that are
/// there have been answered.
///
/// When `grace` is over, `give_up` is called once. It may take back what has not started
/// (`shutdown_now`), so that at least this is answered. It must not wait (`join`): nothing else
/// would go on meanwhile, least of all the answers.
///
/// # Errors
///
/// As `axum::serve`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
    grace: Duration,
    give_up: impl FnOnce(),
) -> io::Result<Ended> {
    let (began, has_begun) = oneshot::channel();
    let stop = async move {
        stop.await;
        began.send(Instant::now()).ok(); // Nobody listens if the server has failed.
    };
    let serving = axum::serve(listener, router)
        .with_graceful_shutdown(stop)
        .into_future();
    pin!(serving);
    let began = select! {
        biased;
        began = has_begun => began.unwrap_or_else(|_| Instant::now()),
        // Before it was told to: it has failed.
        ended = &mut serving => return ended.map(|()| Ended::answered(Instant::now(), grace)),
    };
    select! {
        ended = &mut serving => return ended.map(|()| Ended::answered(began, grace)),
        () = sleep(grace.saturating_sub(began.elapsed())) => give_up(),
    }
    // An answer that is still owed is that of a work that runs, or goes to a client that does not
    // take it, or to one that has not finished its question.
    let deadline = Instant::now().checked_add(LAST);
    timeout(LAST, serving).await.ok().transpose()?;
    Ok(Ended {
        is_answered: false,
        deadline,
    })
}
