//! Programs over the public interface, which are plain data made from bytes.
//!
//! No program deadlocks by its own fault. Gates are opened by one list of
//! operations that never waits, the *controller*. Works that wait for other
//! works are made only if the contract says that both run at once. Then fewer
//! such works wait than the troupe has actors, no thread is refused, and no
//! shutdown begins before they are done.

use std::fmt;

use super::choices::{Bytes, Choices};

/// The number of gates that a program's controller opens.
pub(crate) const GATES: usize = 2;

#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) settings: Settings,
    /// The first list is run by the thread that builds and ends the troupe.
    pub(crate) lists: Vec<Vec<Op>>,
    /// Works are named by their index in this list.
    pub(crate) works: Vec<Work>,
    pub(crate) has_handler: bool,
    pub(crate) ending: Ending,
    /// The ending begins once the other lists are done.
    pub(crate) waits_first: bool,
    /// Each list waits at its end for the replies that it holds. Its gates are open by then.
    pub(crate) waits_for_replies: bool,
    pub(crate) hooks: Hooks,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) is_dynamic: bool,
    pub(crate) min: usize,
    pub(crate) max: usize,
    pub(crate) initial: Option<usize>,
    pub(crate) mailbox: usize,
    pub(crate) idle_timeout: Patience,
    /// The system refuses no thread.
    pub(crate) is_sure: bool,
    /// The number of places in line, if it is not the default.
    pub(crate) line: Option<usize>,
}

impl Settings {
    pub(crate) fn capacity(&self) -> usize {
        self.max * (self.mailbox + 1)
    }

    /// The number of works that may wait for their keys.
    pub(crate) fn places_in_line(&self) -> usize {
        self.line.unwrap_or(self.max * self.mailbox)
    }

    pub(crate) fn first(&self) -> usize {
        if self.is_dynamic {
            self.initial.unwrap_or(self.min)
        } else {
            self.max
        }
    }

    pub(crate) fn fewest(&self) -> usize {
        if self.is_dynamic { self.min } else { self.max }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    Never,
    Zero,
    Some,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    Assign,
    Timeout,
    Wait,
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Yield(usize),
    Assign(Via, usize),
    /// In a handler only.
    Reassign(usize),
    /// In a handler only, as its last operation.
    Panic,
    Stats,
    Actors,
    WaitIdle {
        timed: bool,
    },
    Shutdown,
    ShutdownNow,
    Join {
        timed: bool,
    },
    Open(usize),
    Pass(usize),
    /// Assigns works each of which waits until all of them have begun.
    Meet(Via, usize),
    /// Assigns `holds` works that wait at a new gate, and `works` that do not. Then
    /// waits for the latter, and opens the gate.
    Behind {
        holds: usize,
        begun: bool,
        via: Via,
        works: usize,
    },
    /// Assigns a work that waits at a gate, `before` works that do not, and one
    /// that waits at a second gate. Then each of `waiters` threads assigns a work by
    /// `assign_wait`, and gets its place once the first gate is open. The second
    /// gate opens afterwards.
    Queue {
        before: usize,
        waiters: usize,
    },
    /// Assigns `holds` works that wait at a new gate, then `works` by `assign_wait`,
    /// and opens the gate.
    Reserve {
        holds: usize,
        works: usize,
    },
    /// Does something with the oldest reply that the list holds.
    Reply(Use),
}

/// A use of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Look,
    TryWait,
    Cancel,
    Drop,
    CancelOnDrop,
    /// Not by a controller, which never waits.
    WaitTimeout,
    Wait,
    /// Drives the reply as a future. On threads outside the troupe only.
    Poll(Waking),
}

/// The act of a waker, besides waking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waking {
    Only,
    Panics,
    Assigns,
    EndsAll,
}

/// The acts of the user's functions on the thread of each actor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hooks {
    pub(crate) start: Option<Hook>,
    pub(crate) stop: Option<Hook>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    Yields,
    Panics,
    Assigns,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Work {
    pub(crate) ops: Vec<Op>,
    pub(crate) result: End,
    pub(crate) drop: Drops,
    /// The operations of the handler after a failure of this work.
    pub(crate) answer: Vec<Op>,
    pub(crate) shape: Shape,
    pub(crate) key: Option<u8>,
    pub(crate) has_deadline: bool,
    pub(crate) fate: Fate,
    /// Its reply is cancelled before the work is assigned.
    pub(crate) is_cancelled_first: bool,
    /// Its reply is dropped before the work is assigned.
    pub(crate) is_let_go_first: bool,
}

impl Work {
    /// Returns `true` if any thread may run the work by hand.
    pub(crate) fn is_simple(&self) -> bool {
        self.ops.iter().all(|op| {
            matches!(
                op,
                Op::Yield(_) | Op::Stats | Op::Actors | Op::Assign(Via::Assign, _)
            )
        })
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shape {
    #[default]
    Plain,
    /// The value is the lease.
    Value,
    Reply,
    Cancellable,
}

impl Shape {
    pub(crate) fn has_reply(self) -> bool {
        matches!(self, Self::Reply | Self::Cancellable)
    }
}

/// The fate of a work that comes back, after a refusal, a `shutdown_now`, or its deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    #[default]
    Drop,
    /// Its value is taken, if it has one.
    Value,
    /// It is assigned once more.
    Again,
    /// It is run by hand, if it is simple.
    ByHand,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum End {
    #[default]
    Good,
    Error,
    Panic,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Drops {
    #[default]
    Quietly,
    Looking,
    Panicking,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Join,
    Now,
    /// Fills the troupe once it is idle, and checks its number of places.
    Fill,
    Drop,
    DropOnActor,
    /// A thread joins before the shutdown.
    JoinFirst,
}

/// The kinds of operations that a program may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    /// Shutdowns at any time.
    Ends,
    /// Works that wait for each other.
    Blocks,
    /// Senders that wait for room while the system refuses threads.
    Tight,
    /// Little except assigns, shutdowns and refused threads.
    Scarce,
    /// Senders that wait for the room that is made while no actor goes idle.
    Queue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Sender,
    Controller,
    Work,
    Handler,
}

/// The parts of the interface that a program has besides the oldest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Parts {
    keys: bool,
    replies: bool,
    deadlines: bool,
    values: bool,
    hooks: bool,
}

impl Parts {
    /// Half of the programs have none.
    fn choose(c: &mut Choices<'_>) -> Self {
        let mask = match c.below(32) {
            0..16 => 0,
            16 => 1,
            17 => 2,
            18 => 1 | 2,
            19 => 1 | 4,
            20 => 2 | 4,
            21 => 1 | 2 | 4,
            22 => 1 | 8,
            23 => 16,
            24 => 1 | 2 | 4 | 8,
            25 => 1 | 16,
            26 => 4 | 8,
            _ => 31,
        };
        let has = |bit: u32| mask & bit != 0;
        Self {
            keys: has(1),
            replies: has(2),
            deadlines: has(4),
            values: has(8),
            hooks: has(16),
        }
    }
}

struct Maker<'a> {
    choices: Choices<'a>,
    kind: Kind,
    parts: Parts,
    works: Vec<Work>,
    /// The number of works that may still wait for others.
    blockers: usize,
    /// The number of works that may still be made.
    room: usize,
    may_join: bool,
    has_gates: bool,
    has_handler: bool,
}

/// Writes one line for each part.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}", self.settings)?;
        for (index, list) in self.lists.iter().enumerate() {
            writeln!(f, "list {index}: {list:?}")?;
        }
        for (index, work) in self.works.iter().enumerate() {
            writeln!(f, "work {index}: {work:?}")?;
        }
        let waits = if self.waits_first {
            ", after the lists"
        } else {
            ""
        };
        let handler = if self.has_handler { "a" } else { "no" };
        write!(f, "{handler} handler; ending: {:?}{waits}", self.ending)?;
        if self.waits_for_replies {
            write!(f, "; the lists wait for their replies")?;
        }
        if self.hooks != Hooks::default() {
            write!(f, "; {:?}", self.hooks)?;
        }
        Ok(())
    }
}

impl Program {
    /// Makes a program from bytes. Also returns the ranges of bytes that can be left out.
    pub(crate) fn make(bytes: &Bytes) -> (Self, Vec<std::ops::Range<usize>>) {
        let mut c = Choices::new(bytes);
        let mut kind = c.pick(&[
            Kind::Plain,
            Kind::Blocks,
            Kind::Ends,
            Kind::Tight,
            Kind::Scarce,
            Kind::Ends,
            Kind::Blocks,
            Kind::Scarce,
            Kind::Queue,
        ]);
        let parts = match kind {
            Kind::Queue => Parts::default(),
            _ => Parts::choose(&mut c),
        };
        let mut settings = settings(&mut c, kind);
        if parts.keys {
            settings.line = c.pick(&[None, Some(0), Some(1), Some(1), Some(2)]);
        }
        let ending = match (kind, c.below(12)) {
            (Kind::Scarce, 4..8) => Ending::Now,
            (Kind::Queue, _) => Ending::Join,
            (Kind::Tight | Kind::Blocks, 8..) => Ending::Fill,
            (_, 0..2) => Ending::Join,
            (_, 2..4) => Ending::Now,
            (_, 4..8) => Ending::Fill,
            (_, 8) => Ending::Drop,
            (_, 9) => Ending::DropOnActor,
            (_, 10) => Ending::JoinFirst,
            _ => Ending::Join,
        };
        let is_certain = settings.is_sure || !settings.is_dynamic;
        if kind == Kind::Blocks && !is_certain || kind == Kind::Ends && ending == Ending::Fill {
            kind = Kind::Plain;
        }
        let waits_first = match kind {
            Kind::Blocks | Kind::Tight | Kind::Queue => true,
            _ => c.below(2) == 0 || ending == Ending::Fill,
        };
        let threads = if kind == Kind::Scarce {
            c.pick(&[2, 3, 3, 4])
        } else {
            c.pick(&[1, 2, 2, 3])
        };
        let controller = c.below(threads);
        let waits_for_replies = parts.replies && c.below(2) == 1;
        let hooks = if parts.hooks {
            hooks(&mut c, ending, kind)
        } else {
            Hooks::default()
        };
        let mut maker = Maker {
            kind,
            parts,
            works: Vec::new(),
            blockers: if kind == Kind::Blocks {
                settings.max - 1
            } else {
                0
            },
            room: if kind == Kind::Tight {
                settings.capacity().min(8)
            } else {
                10
            },
            may_join: kind != Kind::Blocks
                && kind != Kind::Tight
                && matches!(ending, Ending::Join | Ending::Now | Ending::JoinFirst),
            has_gates: !matches!(kind, Kind::Tight) && c.below(2) == 1,
            has_handler: c.below(3) != 0,
            choices: c,
        };
        let mut lists = Vec::new();
        if kind == Kind::Queue {
            let mailbox = settings.mailbox;
            let (before, waiters) = (
                maker.choices.below(mailbox),
                1 + maker.choices.below(mailbox),
            );
            lists.push(vec![Op::Queue { before, waiters }]);
        }
        for list in lists.len()..threads {
            if kind == Kind::Queue {
                break;
            }
            let place = if list == controller {
                Place::Controller
            } else {
                Place::Sender
            };
            let mut ops = maker.ops(place, 5, 6, 0);
            if list == controller && maker.has_gates {
                ops.extend((0..GATES).map(Op::Open));
            }
            lists.push(ops);
        }
        let program = Self {
            settings,
            lists,
            has_handler: maker.has_handler,
            works: maker.works,
            ending,
            waits_first,
            waits_for_replies,
            hooks,
        };
        (program, maker.choices.spans)
    }

    /// Returns `true` if a list joins the troupe, and so ends only after a shutdown.
    pub(crate) fn joins(&self, list: usize) -> bool {
        self.lists[list]
            .iter()
            .any(|op| matches!(op, Op::Join { .. }))
    }
}

fn settings(c: &mut Choices<'_>, kind: Kind) -> Settings {
    let max = match kind {
        Kind::Blocks => c.pick(&[2, 2, 2, 3]),
        Kind::Tight => c.pick(&[2, 1, 2]),
        _ => c.pick(&[1, 2, 1, 2, 2, 3]),
    };
    let is_dynamic = c.below(4) != 0 || matches!(kind, Kind::Tight | Kind::Scarce);
    let min = c.pick(&[0, 1, 0, 0]).min(max);
    let initial = c.pick(&[None, Some(max), None, Some(1), None]);
    Settings {
        is_dynamic,
        min,
        max,
        initial: initial.map(|initial| initial.max(min)),
        mailbox: c
            .pick(&[1, 0, 2, 1, 0, 1, 2, 3])
            .max(usize::from(kind == Kind::Queue)),
        idle_timeout: c.pick(&[
            Patience::Zero,
            Patience::Never,
            Patience::Some,
            Patience::Zero,
        ]),
        is_sure: kind == Kind::Queue
            || c.below(3) != 2 && !matches!(kind, Kind::Tight | Kind::Scarce),
        line: None,
    }
}

fn hooks(c: &mut Choices<'_>, ending: Ending, kind: Kind) -> Hooks {
    // An ending without a join does not wait for hooks, and a work of a hook takes room.
    let may_assign = !matches!(ending, Ending::Drop | Ending::DropOnActor | Ending::Fill)
        && !matches!(kind, Kind::Tight | Kind::Blocks);
    let mut hook = || {
        let hook = c.pick(&[
            None,
            Some(Hook::Yields),
            Some(Hook::Assigns),
            Some(Hook::Panics),
        ]);
        hook.filter(|hook| may_assign || *hook != Hook::Assigns)
    };
    Hooks {
        start: hook(),
        stop: hook(),
    }
}

impl Maker<'_> {
    fn ops(&mut self, place: Place, most: usize, more: usize, depth: usize) -> Vec<Op> {
        let mut ops = Vec::new();
        while ops.len() < most {
            let Some(op) = self.next(more, |maker| maker.op(place, depth)) else {
                break;
            };
            let is_last = matches!(op, Op::Panic);
            ops.push(op);
            if is_last {
                break;
            }
        }
        ops
    }

    /// Makes one more element of a list, in `more` of eight cases.
    fn next<T>(&mut self, more: usize, one: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let begin = self.choices.position();
        if self.choices.below(8) < 8 - more {
            return None;
        }
        let element = one(self);
        self.choices.span_from(begin);
        Some(element)
    }

    fn op(&mut self, place: Place, depth: usize) -> Op {
        match (place, self.choices.below(16)) {
            (Place::Sender | Place::Controller, 0) | (_, 1) => Op::Yield(self.pause()),
            (Place::Handler, 0 | 2..6) => self.work(depth).map_or(Op::Yield(1), Op::Reassign),
            (Place::Handler, 6) => Op::Panic,
            (Place::Work, 0) if self.has_gates => Op::Pass(self.choices.below(GATES)),
            (Place::Work, 2) if self.has_gates => Op::Pass(self.choices.below(GATES)),
            (_, 2 | 3 | 14 | 15) if self.parts.replies && place != Place::Handler => {
                Op::Reply(self.reply(place))
            }
            (_, 7) => Op::Stats,
            (_, 8) if self.choices.below(4) == 0 => Op::Actors,
            (Place::Sender | Place::Work, 9) => Op::WaitIdle {
                timed: self.choices.below(3) == 2,
            },
            (Place::Controller, 9 | 10) if self.has_gates => Op::Open(self.choices.below(GATES)),
            (_, 11) if matches!(self.kind, Kind::Ends | Kind::Scarce) => {
                match self.choices.below(5) {
                    0..3 => Op::Shutdown,
                    _ => Op::ShutdownNow,
                }
            }
            (Place::Sender | Place::Work, 12) if self.may_join => Op::Join {
                timed: self.choices.below(2) == 1,
            },
            (Place::Sender | Place::Controller, 10..14) if self.blockers > 0 => {
                self.blocking(place)
            }
            (Place::Sender, 10..14) if self.kind == Kind::Tight => self.reserving(),
            _ => {
                let via = match place {
                    Place::Controller => Via::Assign,
                    Place::Sender => {
                        self.choices
                            .pick(&[Via::Assign, Via::Wait, Via::Timeout, Via::Assign])
                    }
                    _ => self
                        .choices
                        .pick(&[Via::Assign, Via::Assign, Via::Assign, Via::Wait]),
                };
                self.work(depth)
                    .map_or(Op::Yield(1), |work| Op::Assign(via, work))
            }
        }
    }

    fn reply(&mut self, place: Place) -> Use {
        match (place, self.choices.below(12)) {
            (_, 0 | 1) => Use::Look,
            (_, 2) => Use::TryWait,
            (_, 3 | 4) => Use::Cancel,
            (_, 5) => Use::Drop,
            (_, 6) => Use::CancelOnDrop,
            (Place::Controller, _) => Use::TryWait,
            (_, 7) => Use::WaitTimeout,
            (Place::Sender, 10 | 11) => Use::Poll(match self.choices.below(5) {
                2 => Waking::Panics,
                3 if !matches!(self.kind, Kind::Tight | Kind::Blocks) => Waking::Assigns,
                4 if matches!(self.kind, Kind::Ends | Kind::Scarce) => Waking::EndsAll,
                _ => Waking::Only,
            }),
            _ => Use::Wait,
        }
    }

    fn pause(&mut self) -> usize {
        self.choices.pick(&[1, 2, 3, 8, 40])
    }

    fn take_room(&mut self, works: usize) -> bool {
        let has_room = self.room >= works;
        if has_room {
            self.room -= works;
        }
        has_room
    }

    /// Makes an operation with works that wait for others, which the troupe runs all at once.
    fn blocking(&mut self, place: Place) -> Op {
        if place == Place::Controller || self.choices.below(2) == 0 {
            let via = match place {
                Place::Controller => Via::Assign,
                _ => self.choices.pick(&[Via::Assign, Via::Wait]),
            };
            let works = 2 + self.choices.below(self.blockers);
            if !self.take_room(works) {
                return Op::Yield(1);
            }
            self.blockers -= works - 1;
            return Op::Meet(via, works);
        }
        let holds = 1 + self.choices.below(self.blockers);
        let works = 1 + self.choices.below(3);
        if !self.take_room(holds + works) {
            return Op::Yield(1);
        }
        self.blockers -= holds;
        let via = self.choices.pick(&[Via::Assign, Via::Wait, Via::Assign]);
        Op::Behind {
            holds,
            begun: self.choices.below(2) == 1,
            via,
            works,
        }
    }

    fn reserving(&mut self) -> Op {
        let works = 1 + self.choices.below(2);
        let holds = 1;
        if !self.take_room(holds + works) {
            return Op::Yield(1);
        }
        Op::Reserve { holds, works }
    }

    fn work(&mut self, depth: usize) -> Option<usize> {
        if depth > 2 || !self.take_room(1) {
            return None;
        }
        let simple = self.kind == Kind::Scarce && self.choices.below(4) != 3;
        let ops = match self.choices.below(4) {
            _ if simple => Vec::new(),
            0 => Vec::new(),
            1 if self.has_gates => vec![Op::Pass(self.choices.below(GATES))],
            2 => vec![Op::Yield(self.pause())],
            _ => self.ops(Place::Work, 2, 5, depth + 1),
        };
        let result = self.choices.pick(&[
            End::Good,
            End::Good,
            End::Error,
            End::Good,
            End::Error,
            End::Panic,
        ]);
        let drop = match self.choices.below(12) {
            10 => Drops::Looking,
            11 if result == End::Good => Drops::Panicking,
            _ => Drops::Quietly,
        };
        let parts = self.parts;
        let mut shape = Shape::Plain;
        if parts.replies && self.choices.below(2) == 1 {
            shape = self
                .choices
                .pick(&[Shape::Reply, Shape::Reply, Shape::Cancellable]);
        } else if parts.values && self.choices.below(2) == 1 {
            shape = Shape::Value;
        }
        let key = if parts.keys {
            self.choices
                .pick(&[None, Some(0), Some(0), Some(1), Some(0), Some(2)])
        } else {
            None
        };
        let has_deadline = parts.deadlines && self.choices.below(3) == 2;
        let fate = if parts == Parts::default() {
            Fate::Drop
        } else {
            self.choices
                .pick(&[Fate::Drop, Fate::Again, Fate::Value, Fate::ByHand])
        };
        let first = if shape.has_reply() {
            self.choices.below(8)
        } else {
            0
        };
        let fails = result != End::Good || drop == Drops::Panicking || has_deadline;
        let answer = if fails && self.has_handler {
            self.ops(Place::Handler, 2, 5, depth + 1)
        } else {
            Vec::new()
        };
        self.works.push(Work {
            ops,
            result,
            drop,
            answer,
            shape,
            key,
            has_deadline,
            fate,
            is_cancelled_first: first == 7,
            is_let_go_first: first == 6,
        });
        Some(self.works.len() - 1)
    }
}
