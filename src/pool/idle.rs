//! The idle stack: the idle actors, with the most recently idle on top.
//!
//! The stack is a list that is linked by actor numbers. An actor is pushed, popped or removed
//! from the middle in a few instructions. That matters when thousands of actors retire, since
//! each is removed under the pool's lock.

use crate::sync::Thread;

/// An actor on the idle stack.
#[derive(Debug)]
pub struct Idle {
    pub id: usize,
    pub thread: Thread,
    /// Whether the actor is searching, or about to.
    pub searching: bool,
}

/// An actor on the stack and its neighbours.
#[derive(Debug)]
struct Link {
    idle: Idle,
    above: Option<usize>,
    below: Option<usize>,
}

/// The idle actors, by number.
#[derive(Debug, Default)]
pub(super) struct IdleStack {
    links: Vec<Option<Link>>,
    top: Option<usize>,
    bottom: Option<usize>,
}

impl IdleStack {
    /// Puts an actor on top. The actor must not be on the stack.
    pub fn push(&mut self, idle: Idle) {
        let id = idle.id;
        if id >= self.links.len() {
            self.links.resize_with(id + 1, || None);
        }
        let below = self.top.replace(id);
        match self.link(below) {
            Some(link) => link.above = Some(id),
            None => self.bottom = Some(id),
        }
        self.links[id] = Some(Link {
            idle,
            above: None,
            below,
        });
    }

    /// Takes the most recently idle actor off the stack.
    pub fn pop(&mut self) -> Option<Idle> {
        self.remove(self.top?)
    }

    /// Takes this actor off the stack, if it is on it.
    pub fn remove(&mut self, id: usize) -> Option<Idle> {
        let Link { idle, above, below } = self.links.get_mut(id)?.take()?;
        match self.link(above) {
            Some(link) => link.below = below,
            None => self.top = below,
        }
        match self.link(below) {
            Some(link) => link.above = above,
            None => self.bottom = above,
        }
        Some(idle)
    }

    /// Returns the most recently idle actor.
    pub fn top(&mut self) -> Option<&mut Idle> {
        let top = self.top;
        self.link(top).map(|link| &mut link.idle)
    }

    /// Returns the least recently idle actor.
    pub fn bottom(&mut self) -> Option<&mut Idle> {
        let bottom = self.bottom;
        self.link(bottom).map(|link| &mut link.idle)
    }

    /// Returns this actor, if it is on the stack.
    pub fn get(&mut self, id: usize) -> Option<&mut Idle> {
        self.link(Some(id)).map(|link| &mut link.idle)
    }

    fn link(&mut self, id: Option<usize>) -> Option<&mut Link> {
        self.links.get_mut(id?)?.as_mut()
    }
}

#[cfg(all(test, not(any(troupe_shuttle, troupe_loom))))]
mod tests {
    use super::{Idle, IdleStack};
    use crate::sync::current;

    fn stack(ids: &[usize]) -> IdleStack {
        let mut stack = IdleStack::default();
        for id in ids {
            stack.push(Idle {
                id: *id,
                thread: current(),
                searching: false,
            });
        }
        stack
    }

    fn pops(mut stack: IdleStack) -> Vec<usize> {
        std::iter::from_fn(|| stack.pop().map(|idle| idle.id)).collect()
    }

    #[test]
    fn the_last_pushed_is_popped_first() {
        assert_eq!(pops(stack(&[3, 0, 2])), [2, 0, 3]);
        assert_eq!(pops(stack(&[])), [0; 0]);
        assert!(stack(&[]).bottom().is_none());
    }

    #[test]
    fn any_actor_can_be_removed_and_pushed_again() {
        for (gone, rest) in [
            (3, [1, 2, 0]),
            (0, [1, 2, 3]),
            (2, [1, 0, 3]),
            (1, [2, 0, 3]),
        ] {
            let mut stack = stack(&[3, 0, 2, 1]);
            let removed = stack.remove(gone).unwrap();
            assert!(stack.remove(gone).is_none() && stack.get(gone).is_none());
            assert_eq!(removed.id, gone);
            stack.push(removed);
            assert_eq!(stack.top().map(|idle| idle.id), Some(gone));
            assert_eq!(stack.bottom().map(|idle| idle.id), Some(rest[2]));
            assert_eq!(stack.get(rest[1]).map(|idle| idle.id), Some(rest[1]));
            assert_eq!(pops(stack)[1..], rest);
        }
    }
}
