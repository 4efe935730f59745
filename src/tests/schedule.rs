//! The schedulers. Each is made from a seed, and the same seed makes the same schedule.
//!
//! A parked thread may wake spuriously. Such a wake-up hides a lost one, so only one schedule
//! in sixteen offers them.

use std::fmt;

use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};

use super::random::Random;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Runs any task next.
    Random,
    /// Runs the task with the highest priority, and changes a few priorities on the way
    /// (probabilistic concurrency testing).
    Pct,
    /// Mostly goes on with the current task.
    Sticky,
    /// Like `Sticky`, but holds up the current task for long, one to four times.
    Hold,
    /// Like `Random`, but holds up the current task for long, one to four times.
    Lame,
}

pub(crate) const KINDS: [Kind; 5] = [
    Kind::Hold,
    Kind::Sticky,
    Kind::Pct,
    Kind::Random,
    Kind::Lame,
];

/// One schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) seed: u64,
    /// The approximate number of steps that the program takes.
    pub(crate) horizon: usize,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:{:x}:{}", self.kind, self.seed, self.horizon)
    }
}

impl Plan {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let name = parts.next()?;
        let kind = KINDS.into_iter().find(|kind| format!("{kind:?}") == name)?;
        let seed = u64::from_str_radix(parts.next()?, 16).ok()?;
        let horizon = parts.next()?.parse().ok()?;
        Some(Self {
            kind,
            seed,
            horizon,
        })
    }
}

/// The state of one schedule, and the source of the next.
pub(crate) struct Driver<F> {
    next: F,
    plan: Plan,
    random: Random,
    /// The source of the model's coin tosses.
    coins: Random,
    steps: usize,
    spurious: bool,
    /// One time in this number, the current task does not go on.
    stickiness: usize,
    /// The steps at which something changes.
    points: [usize; 4],
    /// The task that is held up, and until when.
    held: Option<(usize, usize)>,
    priorities: Vec<u64>,
    lowest: u64,
}

impl<F: FnMut(usize) -> Option<Plan>> Driver<F> {
    /// Makes a driver. `next` receives the number of steps of the last execution.
    pub(crate) fn new(next: F) -> Self {
        Self {
            next,
            plan: Plan {
                kind: Kind::Random,
                seed: 0,
                horizon: 1,
            },
            random: Random::new(0),
            coins: Random::new(0),
            steps: 0,
            spurious: false,
            stickiness: 1,
            points: [0; 4],
            held: None,
            priorities: Vec::new(),
            lowest: 0,
        }
    }

    fn begin(&mut self, plan: Plan) {
        self.plan = plan;
        self.random = Random::new(plan.seed);
        self.coins = Random::new(!plan.seed);
        self.steps = 0;
        self.held = None;
        self.priorities.clear();
        self.lowest = u64::MAX >> 1;
        self.spurious = self.random.below(16) == 0;
        self.stickiness = 2 << self.random.below(6);
        let points = match plan.kind {
            Kind::Random | Kind::Sticky => 0,
            Kind::Pct | Kind::Hold | Kind::Lame => 1 + self.random.below(4),
        };
        for (index, point) in self.points.iter_mut().enumerate() {
            *point = if index < points {
                1 + self.random.below(plan.horizon)
            } else {
                usize::MAX
            };
        }
    }

    fn priority(&mut self, task: usize) -> u64 {
        while self.priorities.len() <= task {
            self.priorities.push(self.random.next() >> 2);
        }
        self.priorities[task]
    }

    /// Returns any of the tasks, but not `not` or the held one if there is another.
    fn any(&mut self, tasks: &[&Task], not: Option<TaskId>) -> TaskId {
        let spurious = self.spurious;
        let held = self.held.map(|(task, _)| task);
        let may_run = |task: &&&Task| task.runnable() || spurious;
        let is_free = |task: &&&Task| {
            may_run(task) && Some(usize::from(task.id())) != held && Some(task.id()) != not
        };
        let free = tasks.iter().filter(is_free).count();
        if free > 0 {
            let chosen = self.random.below(free);
            return tasks
                .iter()
                .filter(is_free)
                .nth(chosen)
                .expect("it was counted")
                .id();
        }
        // Only a task that is held up, or that yields, is left.
        self.held = None;
        let left = tasks.iter().filter(may_run).count();
        let chosen = self.random.below(left);
        tasks
            .iter()
            .filter(may_run)
            .nth(chosen)
            .expect("it was counted")
            .id()
    }

    fn hold_at_points(&mut self, current: Option<TaskId>) {
        if self.held.is_some_and(|(_, until)| until < self.steps) {
            self.held = None;
        }
        if let (true, Some(current)) = (self.points.contains(&self.steps), current) {
            let long = 4 << self.random.below(10);
            self.held = Some((usize::from(current), self.steps + long));
        }
    }

    fn stick(&mut self, tasks: &[&Task], current: Option<TaskId>, yields: bool) -> TaskId {
        let not = current.filter(|_| yields);
        let held = self.held.map(|(task, _)| task);
        if let Some(current) =
            current.filter(|current| !yields && Some(usize::from(*current)) != held)
        {
            let can_run = tasks
                .iter()
                .any(|task| task.id() == current && task.runnable());
            if can_run && self.random.below(self.stickiness) != 0 {
                return current;
            }
        }
        self.any(tasks, not)
    }

    fn by_priority(&mut self, tasks: &[&Task], current: Option<TaskId>, yields: bool) -> TaskId {
        if let Some(current) = current.filter(|_| yields || self.points.contains(&self.steps)) {
            self.priority(usize::from(current));
            self.lowest += 1;
            self.priorities[usize::from(current)] = self.lowest;
        }
        let mut best = None;
        for task in tasks.iter().filter(|task| task.runnable() || self.spurious) {
            let rank = {
                let id = usize::from(task.id());
                while self.priorities.len() <= id {
                    let rank = self.random.next() >> 2;
                    self.priorities.push(rank);
                }
                self.priorities[id]
            };
            if best.is_none_or(|(other, _)| rank < other) {
                best = Some((rank, task.id()));
            }
        }
        best.expect("a task can run").1
    }
}

impl<F: FnMut(usize) -> Option<Plan>> Scheduler for Driver<F> {
    fn new_execution(&mut self) -> Option<Schedule> {
        let plan = (self.next)(self.steps)?;
        self.begin(plan);
        Some(Schedule::new(self.plan.seed))
    }

    fn next_task(
        &mut self,
        tasks: &[&Task],
        current: Option<TaskId>,
        yields: bool,
    ) -> Option<TaskId> {
        if let [only] = tasks {
            return Some(only.id());
        }
        self.steps += 1;
        Some(match self.plan.kind {
            Kind::Random => self.any(tasks, None),
            Kind::Pct => self.by_priority(tasks, current, yields),
            Kind::Sticky => self.stick(tasks, current, yields),
            Kind::Hold => {
                self.hold_at_points(current);
                self.stick(tasks, current, yields)
            }
            Kind::Lame => {
                self.hold_at_points(current);
                self.any(tasks, None)
            }
        })
    }

    fn next_u64(&mut self) -> u64 {
        self.coins.next()
    }
}
