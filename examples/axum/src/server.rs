//! Serves until it is told to stop, and then until every request has its answer.

use std::{future::Future, io, time::Duration};

use axum::Router;
use tokio::{
    net::TcpListener,
    pin, select,
    sync::oneshot,
    time::{sleep, timeout},
};

/// How long the last answers may take on their way, when time is up.
pub const LAST: Duration = Duration::from_secs(1);

/// Serves until `stop` resolves; then listens no more, and returns when the requests that are
/// there have been answered. Returns true if they were, in time.
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
) -> io::Result<bool> {
    let (began, has_begun) = oneshot::channel();
    let stop = async move {
        stop.await;
        began.send(()).ok(); // Nobody listens if the server has failed.
    };
    let serving = axum::serve(listener, router)
        .with_graceful_shutdown(stop)
        .into_future();
    pin!(serving);
    let late = async {
        has_begun.await.ok();
        sleep(grace).await;
    };
    select! {
        ended = &mut serving => return ended.map(|()| true),
        () = late => give_up(),
    }
    // An answer that is still owed is that of a work that runs, or goes to a client that does not
    // take it, or to one that has not finished its question.
    timeout(LAST, serving).await.ok().transpose()?;
    Ok(false)
}
