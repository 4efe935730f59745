//! The pools that can be behind the service: a troupe, and tokio's own for comparison.

use tokio::{sync::Semaphore, task};
use tower::{
    BoxError, ServiceBuilder, ServiceExt, load_shed::error::Overloaded, service_fn,
    util::BoxCloneSyncService,
};
use troupe_pool::{Handle, Stats};

use crate::{
    backend::Rejected,
    bridge::{self, RunError},
};

/// The back end behind a pool.
pub type Calls = BoxCloneSyncService<u64, String, RunError<Rejected>>;

/// Where the works of the service go.
#[derive(Clone, Debug)]
pub enum Pool {
    /// Bounded threads, bounded mailboxes; what does not fit is refused. A handle, so that the
    /// runtime owns nothing that would have to be joined.
    Troupe(Handle<Rejected>),
    /// Up to 512 threads, then a queue without a bound; nothing is ever refused, and a work whose
    /// client has gone is still run.
    SpawnBlocking,
    /// The same behind tower's load shed and its limit of so many requests at once. It counts
    /// requests: that of a client that has gone frees its place, though its work still runs.
    Limited(usize),
}

impl Pool {
    /// Puts the pool in front of a blocking call.
    pub fn serve<F>(&self, call: F) -> Calls
    where
        F: Fn(u64) -> Result<String, Rejected> + Clone + Send + Sync + 'static,
    {
        let calls = call.clone();
        let spawn_blocking = service_fn(move |id| {
            let call = calls.clone();
            async move {
                match task::spawn_blocking(move || call(id)).await {
                    Ok(value) => value.map_err(RunError::Failed),
                    Err(error) if error.is_panic() => Err(RunError::Panicked),
                    Err(_) => Err(RunError::ShuttingDown),
                }
            }
        });
        match self {
            Pool::Troupe(handle) => Calls::new(bridge::service(handle.clone(), call)),
            Pool::SpawnBlocking => Calls::new(spawn_blocking),
            Pool::Limited(most) => {
                let limited = ServiceBuilder::new()
                    .load_shed()
                    .concurrency_limit((*most).min(Semaphore::MAX_PERMITS))
                    .service(spawn_blocking);
                Calls::new(limited.map_err(|error: BoxError| match error.downcast() {
                    Ok(error) => *error,
                    Err(error) if error.is::<Overloaded>() => RunError::Full,
                    Err(error) => RunError::Unavailable(error.to_string()),
                }))
            }
        }
    }

    /// Returns `true` once the troupe accepts no more work. The other pools never stop.
    #[must_use]
    pub fn is_shutdown(&self) -> bool {
        match self {
            Pool::Troupe(handle) => handle.is_shutdown(),
            Pool::SpawnBlocking | Pool::Limited(_) => false,
        }
    }

    /// Of the troupe, if there is one.
    #[must_use]
    pub fn stats(&self) -> Option<Stats> {
        match self {
            Pool::Troupe(handle) => Some(handle.stats()),
            Pool::SpawnBlocking | Pool::Limited(_) => None,
        }
    }
}
