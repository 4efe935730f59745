//! The routes, and which status says what.

use std::{
    fmt::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::get,
};
use tower::ServiceExt;

use crate::{
    backend::{Backend, Rejected},
    bridge::RunError,
    pool::{Calls, Pool},
};

/// When a client that was refused may come again, in seconds: the shortest time that the header
/// can say. A full troupe has room again as soon as one work ends.
const RETRY_SECONDS: &str = "1";

/// The state that every request needs.
#[derive(Clone)]
pub struct Service {
    pool: Pool,
    calls: Calls,
    counters: Arc<Counters>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("pool", &self.pool)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

/// The outcomes of the requests for works. Each ends as one of those with a status, or as `gone`.
#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    ok: AtomicU64,
    failed: AtomicU64,
    panicked: AtomicU64,
    refused: AtomicU64,
    /// The client went away first: what some proxies log as status 499.
    gone: AtomicU64,
    /// Calls of the back end that were begun.
    calls: AtomicU64,
}

impl Service {
    /// Puts a pool in front of a back end.
    #[must_use]
    pub fn new(pool: Pool, backend: impl Backend) -> Self {
        let (backend, counters) = (Arc::new(backend), Arc::<Counters>::default());
        let counted = Arc::clone(&counters);
        let calls = pool.serve(move |id| {
            counted.calls.fetch_add(1, Ordering::Relaxed);
            backend.call(id)
        });
        Service {
            pool,
            calls,
            counters,
        }
    }

    /// `/call/{id}`, `/stats`, and `/healthz`.
    pub fn router(self) -> Router {
        Router::new()
            .route("/call/{id}", get(call))
            .route("/stats", get(stats))
            .route("/healthz", get(healthz))
            .with_state(self)
    }

    /// One figure a line: a name, a space, a number.
    #[must_use]
    pub fn stats(&self) -> String {
        let counters = &self.counters;
        let figure = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let mut figures = vec![
            ("answers_200", figure(&counters.ok)),
            ("answers_422", figure(&counters.failed)),
            ("answers_500", figure(&counters.panicked)),
            ("answers_503", figure(&counters.refused)),
            ("gone", figure(&counters.gone)),
            ("calls", figure(&counters.calls)),
            // Last, so that the outcomes are never more.
            ("requests", figure(&counters.requests)),
        ];
        if let Some(troupe) = self.pool.stats() {
            figures.extend([
                ("actors", troupe.actors as u64),
                ("running", troupe.running as u64),
                ("queued", troupe.queued as u64),
                ("capacity", troupe.capacity as u64),
                ("returned", troupe.returned),
                // Since nobody waited for them any more.
                ("not_started", troupe.cancelled),
            ]);
        }
        let mut text = String::new();
        for (name, number) in figures {
            writeln!(text, "{name} {number}").ok(); // A string takes everything.
        }
        text
    }
}

async fn stats(State(service): State<Service>) -> String {
    service.stats()
}

/// Needs no place in the pool: a server that is full is healthy.
async fn healthz(State(service): State<Service>) -> (StatusCode, &'static str) {
    if service.pool.is_shutdown() {
        (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}

async fn call(State(service): State<Service>, Path(id): Path<u64>) -> Response {
    let visit = Visit::begin(&service.counters);
    // If the client goes away, this future is dropped here, and with it the claim to the answer.
    let outcome = service.calls.clone().oneshot(id).await;
    visit.end(outcome)
}

/// From the beginning of a request to its answer; dropped before, it counts the client as gone.
struct Visit<'a>(Option<&'a Counters>);

impl<'a> Visit<'a> {
    fn begin(counters: &'a Counters) -> Self {
        counters.requests.fetch_add(1, Ordering::Relaxed);
        Visit(Some(counters))
    }

    fn end(mut self, outcome: Result<String, RunError<Rejected>>) -> Response {
        let (status, text) = match outcome {
            Ok(text) => (StatusCode::OK, text),
            Err(error) => (status_of(&error), format!("{error}\n")),
        };
        if let Some(counters) = self.0.take() {
            let count = match status {
                StatusCode::OK => &counters.ok,
                StatusCode::UNPROCESSABLE_ENTITY => &counters.failed,
                StatusCode::INTERNAL_SERVER_ERROR => &counters.panicked,
                _ => &counters.refused,
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
        let mut response = (status, text).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = HeaderValue::from_static(RETRY_SECONDS);
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        response
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        if let Some(counters) = self.0 {
            counters.gone.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn status_of<E>(error: &RunError<E>) -> StatusCode {
    match error {
        RunError::Failed(_) => StatusCode::UNPROCESSABLE_ENTITY,
        RunError::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        RunError::Full | RunError::ShuttingDown | RunError::Unavailable(_) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Also where no test over a connection can force it: that the system has no thread.
    #[test]
    fn a_work_that_has_not_run_is_a_503() {
        let refusals: [RunError<Rejected>; 3] = [
            RunError::Full,
            RunError::ShuttingDown,
            RunError::Unavailable("no thread".into()),
        ];
        for error in refusals {
            let counters = Counters::default();
            let response = Visit::begin(&counters).end(Err(error));
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(response.headers()[RETRY_AFTER], RETRY_SECONDS);
            assert_eq!(counters.refused.load(Ordering::Relaxed), 1);
            assert_eq!(counters.gone.load(Ordering::Relaxed), 0);
        }
    }
}
