//! A sender's way with a work that has a key.

use super::place;
use crate::error::AssignError;
use crate::pool::Pool;
use crate::sync::Arc;
use crate::work::Envelope;

/// Finds a place for a work of this key: as for any work if the key is free, else in line.
pub(super) fn place_keyed<E: Send + 'static>(
    pool: &Arc<Pool<E>>,
    envelope: Envelope<E>,
    key: u64,
) -> Result<(), AssignError<E>> {
    let mut line = pool.line(key);
    if line.is_taken() {
        // KEY-2
        if pool.counts.load().is_shutting_down() {
            return Err(AssignError::ShuttingDown(envelope.into_work(0)));
        }
        return line
            .stand(envelope)
            .map_err(|envelope| AssignError::Full(envelope.into_work(0)));
    }
    // KEY-1
    line.take_key();
    let placed = place(pool, envelope);
    if placed.is_err() {
        line.free_key();
    }
    placed
}
