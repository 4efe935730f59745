//! A sender's way to a mailbox, and its steps after the send.

use std::collections::HashSet;

use super::Placed;
use super::grow::grow_for_mailboxes;
use crate::pool::{Counts, Generation, Pool, Slot, Visit};
use crate::sync::{Arc, thread_number};
use crate::work::Envelope;

/// Puts a work into the mailbox at the fill cursor, or into the next mailbox with room.
#[inline(always)]
pub(super) fn place_in_mailbox<E: Send + 'static>(
    pool: &Arc<Pool<E>>,
    envelope: Envelope<E>,
) -> Placed<E> {
    let visit = pool.cursors.fill();
    let Some(slot) = pool.slot(visit.mailbox()) else {
        return Placed::Full(envelope);
    };
    match send(pool, visit, slot, envelope) {
        Placed::Full(envelope) => place_elsewhere(pool, visit, slot, envelope),
        placed => placed,
    }
}

/// Makes sure that the mailbox at the fill cursor is full, and tries the next mailboxes.
#[cold]
fn place_elsewhere<'a, E: Send + 'static>(
    pool: &'a Arc<Pool<E>>,
    mut visit: Visit,
    mut slot: &'a Slot<E>,
    mut envelope: Envelope<E>,
) -> Placed<E> {
    loop {
        let at = visit.mailbox();
        if !pool.room.verify_full(at, slot, &pool.counts) {
            return Placed::Retry(envelope);
        }
        let next = pool.find_room(at).and_then(|id| Some((id, pool.slot(id)?)));
        let Some((next, next_slot)) = next else {
            return Placed::Full(envelope);
        };
        (visit, slot) = (pool.cursors.move_fill(visit, next), next_slot);
        match send(pool, visit, slot, envelope) {
            Placed::Full(back) => envelope = back,
            placed => return placed,
        }
    }
}

/// Sends to a mailbox, and makes sure that the work will be found.
#[inline(always)]
fn send<E: Send + 'static>(
    pool: &Arc<Pool<E>>,
    visit: Visit,
    slot: &Slot<E>,
    mut envelope: Envelope<E>,
) -> Placed<E> {
    let generation = slot.gate.generation();
    if generation.is_vacant() {
        return Placed::Full(envelope);
    }
    let at = visit.mailbox();
    if pool.cursors.drain() == at {
        envelope.header().visit = visit.mark();
    }
    // SEND-1
    if let Err(envelope) = slot.mailbox.put(envelope) {
        return Placed::Full(envelope);
    }
    match after_send(pool, at, slot, generation) {
        None => Placed::Yes,
        Some(envelope) => Placed::Retry(envelope),
    }
}

/// Does SEND-2 to SEND-4 after a send to a slot that had this generation before. Returns the
/// work if the send came too late.
#[inline(always)]
pub(crate) fn after_send<E: Send + 'static>(
    pool: &Arc<Pool<E>>,
    at: usize,
    slot: &Slot<E>,
    generation: Generation,
) -> Option<Envelope<E>> {
    // SEND-2
    pool.set_ready(at);
    // SEND-3
    let now = pool.counts.load();
    if now.is_shutting_down() || slot.gate.generation() != generation {
        return after_late_send(pool, at, slot);
    }
    find_actor(pool, at, now);
    None
}

/// Makes sure that an actor will find what has been put into a mailbox.
#[inline(always)]
fn find_actor<E: Send + 'static>(pool: &Arc<Pool<E>>, at: usize, now: Counts) {
    if now.should_notify() && pool.holds_work(at) {
        pool.lock().notify_if_work();
    }
    // SEND-4
    if now.live() < pool.config.max {
        grow_for_mailboxes(pool);
    }
}

/// Does SEND-2 to SEND-4 for an actor that has put a work among those at their turn. It cannot
/// be late: it looks there itself before it leaves.
#[cold]
pub(crate) fn announce<E: Send + 'static>(pool: &Arc<Pool<E>>, at: usize) {
    pool.set_ready(at);
    find_actor(pool, at, pool.counts.load());
}

/// Takes the work of a late sender back, or does SEND-3 and SEND-4 anew.
#[cold]
fn after_late_send<E: Send + 'static>(
    pool: &Arc<Pool<E>>,
    at: usize,
    slot: &Slot<E>,
) -> Option<Envelope<E>> {
    if let Some(envelope) = reclaim_if_late(pool, at, slot, thread_number()) {
        return Some(envelope);
    }
    pool.lock().notify_if_work();
    grow_for_mailboxes(pool);
    None
}

/// Takes the work of a late sender back, if no actor will ever begin it. The sender has seen
/// another generation of the slot, or the shutdown, after its send.
#[cold]
pub(crate) fn reclaim_if_late<E>(
    pool: &Pool<E>,
    at: usize,
    slot: &Slot<E>,
    sender: u32,
) -> Option<Envelope<E>> {
    let mut locked = pool.lock();
    // The actor of an open slot finds what is in its mailbox before it leaves.
    if pool.is_halted() || slot.gate.generation().is_vacant() {
        // All works there belong to senders that are here or on their way here.
        while let Some(envelope) = slot.mailbox.take() {
            locked.recall().keep(envelope);
        }
        pool.room.on_take(at, &slot.gate, &pool.counts);
        locked.tell_if_idle();
    }
    if let Some(envelope) = locked.recall().claim(sender) {
        return Some(envelope);
    }
    if !pool.is_halted() {
        return None;
    }
    // An actor may have taken the work and be about to give it back.
    let undecided = locked.undecided(&HashSet::new());
    drop(locked);
    pool.wait_until_decided(&undecided);
    pool.lock().recall().claim(sender)
}
