//! The settings of a troupe as plain data, and the one place that checks them.

use crate::error::BuildError;
use crate::sync::{Duration, processors};

/// The most actors that a troupe may have: they are counted in fifteen bits,
/// and one value is kept apart (`state.rs`).
const MOST_ACTORS: usize = 32_000;

/// The most places that one mailbox may have. They are allocated up front, at
/// 24 bytes each on the usual targets.
const MOST_PLACES: usize = 1 << 20;

/// The most works that a troupe may hold, for the same reason: 1.5 GiB of
/// places.
const MOST_CAPACITY: usize = 1 << 26;

/// The least and the most stack that a thread may ask for. The most is the
/// whole address space of a usual process, which the system refuses anyway.
const LEAST_STACK: u64 = 1 << 14;
const MOST_STACK: u64 = 1 << 47;

/// How many bytes of a thread's name Linux shows.
const VISIBLE_NAME: usize = 15;

/// How a troupe sizes itself.
///
/// # Examples
///
/// ```
/// use troupe_pool::{Config, Mode};
///
/// assert_eq!(Config::fixed(4).mode, Mode::Fixed);
/// assert_eq!(Config::dynamic(0, 4).mode, Mode::Dynamic);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Exactly [`max`](Config::max) actors, from build to shutdown.
    Fixed,
    /// Between [`min`](Config::min) and [`max`](Config::max) actors: it grows
    /// when no actor is idle, and an actor that has been idle for
    /// [`idle_timeout`](Config::idle_timeout) retires. Any thread that assigns may
    /// start an actor, and the actor's thread inherits from that thread: see
    /// [`Troupe`](crate::Troupe#threads).
    Dynamic,
}

/// The settings of a troupe.
///
/// Plain data: the fields are the getters, consuming setters of the same names
/// build it, and [`Builder::build`](crate::Builder::build) or
/// [`Troupe::new`](crate::Troupe::new) checks it. No setter fails or panics.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use troupe_pool::Config;
///
/// let config = Config::dynamic(1, 8)
///     .mailbox_size(16)
///     .idle_timeout(Duration::from_secs(5))
///     .thread_name("resize");
/// assert_eq!(config.max, 8);
/// assert_eq!(config.mailbox_size, 16);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "a config does nothing until a troupe is built from it"]
pub struct Config {
    /// Fixed or Dynamic. The default is Fixed.
    pub mode: Mode,
    /// The fewest actors; Dynamic only. The default is 0.
    pub min: usize,
    /// The most actors, from 1 to 32,000; in Fixed mode the exact number. The
    /// default is the number of threads that can run at once. On one processor
    /// that is a single actor: work that waits for other work of its troupe then
    /// waits for ever.
    pub max: usize,
    /// The actors to begin with, from `min` to `max`; Dynamic only. The
    /// default, `None`, is `min`.
    pub initial: Option<usize>,
    /// How many works wait in one actor's mailbox, besides the one that it
    /// runs: up to 1,048,576, and `max * (mailbox_size + 1)` up to
    /// 67,108,864. The default is 16.
    ///
    /// A mailbox is allocated as a whole, with 24 bytes for each place, when an
    /// actor of its number starts for the first time. The memory is freed once the
    /// [`Troupe`](crate::Troupe) or [`Actor`](crate::Actor) and every
    /// [`Handle`](crate::Handle) to it have been dropped and the threads are gone.
    ///
    /// 0 means hand-off: only an idle or a new actor takes work. An actor is idle a
    /// moment *after* its work has sent an answer. A client that asks again at once
    /// can meet [`Full`](crate::AssignError::Full) in that moment;
    /// [`assign_timeout`](crate::Troupe::assign_timeout) waits for it to pass.
    pub mailbox_size: usize,
    /// How long an actor above `min` may be idle before it retires; Dynamic
    /// only. `Duration::MAX` is never. The default is 60 seconds.
    ///
    /// When an actor retires, everything tied to its thread ends, such as
    /// thread-local variables and child processes with a parent-death signal.
    pub idle_timeout: Duration,
    /// Prefix of the thread names, before `-` and the actor's number. Must not be
    /// empty or contain NUL. A long prefix is cut so that the number is among the
    /// 15 bytes that Linux shows. The default is `troupe`.
    pub thread_name: String,
    /// The stack of each thread in bytes, from 16 KiB to 128 TiB. The default,
    /// `None`, is what [`std::thread::Builder::stack_size`] says.
    ///
    /// A panic that prints a backtrace overflows a stack of 24 KiB or less, which
    /// aborts the process. 32 KiB are enough for a panic in shallow code.
    pub stack_size: Option<usize>,
}

impl Config {
    /// Settings for a Fixed troupe of `max` actors.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(troupe_pool::Config::fixed(4).max, 4);
    /// ```
    pub fn fixed(max: usize) -> Self {
        Self {
            mode: Mode::Fixed,
            min: 0,
            max,
            initial: None,
            mailbox_size: 16,
            idle_timeout: Duration::from_secs(60),
            thread_name: "troupe".to_owned(),
            stack_size: None,
        }
    }

    /// Settings for a Dynamic troupe of `min` to `max` actors.
    ///
    /// # Examples
    ///
    /// ```
    /// let config = troupe_pool::Config::dynamic(1, 4);
    /// assert_eq!((config.min, config.max, config.initial), (1, 4, None));
    /// ```
    pub fn dynamic(min: usize, max: usize) -> Self {
        Self {
            mode: Mode::Dynamic,
            min,
            ..Self::fixed(max)
        }
    }

    /// Sets the fewest actors; Dynamic only. The default is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(troupe_pool::Config::dynamic(0, 4).min(2).min, 2);
    /// ```
    pub fn min(self, min: usize) -> Self {
        Self { min, ..self }
    }

    /// Sets the most actors; in Fixed mode the exact number. The default is the
    /// number of threads that can run at once.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(troupe_pool::Config::default().max(3).max, 3);
    /// ```
    pub fn max(self, max: usize) -> Self {
        Self { max, ..self }
    }

    /// Sets the actors to begin with; Dynamic only. The default is `min`.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(troupe_pool::Config::dynamic(0, 4).initial(2).initial, Some(2));
    /// ```
    pub fn initial(self, initial: usize) -> Self {
        Self {
            initial: Some(initial),
            ..self
        }
    }

    /// Sets how many works wait in one actor's mailbox. The default is 16.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(troupe_pool::Config::fixed(1).mailbox_size(0).mailbox_size, 0);
    /// ```
    pub fn mailbox_size(self, mailbox_size: usize) -> Self {
        Self {
            mailbox_size,
            ..self
        }
    }

    /// Sets how long an actor above `min` may be idle before it retires;
    /// Dynamic only. The default is 60 seconds.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// let never = troupe_pool::Config::dynamic(0, 4).idle_timeout(Duration::MAX);
    /// assert_eq!(never.idle_timeout, Duration::MAX);
    /// ```
    pub fn idle_timeout(self, idle_timeout: Duration) -> Self {
        Self {
            idle_timeout,
            ..self
        }
    }

    /// Sets what threads are called, before `-` and the actor's number. The
    /// default is `troupe`.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(troupe_pool::Config::fixed(1).thread_name("resize").thread_name, "resize");
    /// ```
    pub fn thread_name(self, thread_name: impl Into<String>) -> Self {
        Self {
            thread_name: thread_name.into(),
            ..self
        }
    }

    /// Sets the stack of each thread, in bytes. The default is std's.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(troupe_pool::Config::fixed(1).stack_size(1 << 20).stack_size, Some(1 << 20));
    /// ```
    pub fn stack_size(self, stack_size: usize) -> Self {
        Self {
            stack_size: Some(stack_size),
            ..self
        }
    }

    /// Says which setting is out of its range, if one is.
    pub(crate) fn validate(&self) -> Result<(), BuildError> {
        // No `..`: a new setting must be thought of here.
        let Self {
            mode,
            min,
            max,
            initial,
            mailbox_size,
            idle_timeout: _,
            thread_name,
            stack_size,
        } = self;
        if !(1..=MOST_ACTORS).contains(max) {
            return Err(invalid("max", max, "it must be from 1 to 32000"));
        }
        if *mode == Mode::Dynamic {
            if min > max {
                return Err(invalid("min", min, "it must be at most max"));
            }
            if let Some(initial) = initial.filter(|initial| !(min..=max).contains(&initial)) {
                return Err(invalid("initial", initial, "it must be from min to max"));
            }
        }
        if *mailbox_size > MOST_PLACES {
            return Err(invalid(
                "mailbox_size",
                mailbox_size,
                "it must be at most 1048576",
            ));
        }
        if max.saturating_mul(mailbox_size + 1) > MOST_CAPACITY {
            let reason = "max * (mailbox_size + 1) must be at most 67108864";
            return Err(invalid("mailbox_size", mailbox_size, reason));
        }
        if thread_name.is_empty() {
            return Err(invalid(
                "thread_name",
                format!("{thread_name:?}"),
                "it must not be empty",
            ));
        }
        if thread_name.contains('\0') {
            return Err(invalid(
                "thread_name",
                format!("{thread_name:?}"),
                "it must not contain NUL",
            ));
        }
        let is_absurd = |bytes: &usize| !(LEAST_STACK..=MOST_STACK).contains(&(*bytes as u64));
        if let Some(bytes) = stack_size.filter(is_absurd) {
            return Err(invalid(
                "stack_size",
                bytes,
                "it must be from 16384 to 140737488355328",
            ));
        }
        Ok(())
    }

    /// The fewest actors that the mode allows.
    pub(crate) fn fewest(&self) -> usize {
        match self.mode {
            Mode::Fixed => self.max,
            Mode::Dynamic => self.min,
        }
    }

    /// The actors to begin with.
    pub(crate) fn to_begin_with(&self) -> usize {
        match self.mode {
            Mode::Fixed => self.max,
            Mode::Dynamic => self.initial.unwrap_or(self.min),
        }
    }

    /// The name of the thread of the actor `id`.
    pub(crate) fn name_of(&self, id: usize) -> String {
        let suffix = format!("-{id}");
        let mut end = self.thread_name.len().min(VISIBLE_NAME - suffix.len());
        while !self.thread_name.is_char_boundary(end) {
            end -= 1;
        }
        format!("{}{suffix}", &self.thread_name[..end])
    }
}

impl Default for Config {
    /// Returns settings for a Fixed troupe, with one actor for each thread that can
    /// run at once: a single one on one processor.
    fn default() -> Self {
        Self::fixed(processors().min(MOST_ACTORS))
    }
}

fn invalid(setting: &'static str, value: impl ToString, reason: &'static str) -> BuildError {
    BuildError::Invalid {
        setting,
        value: value.to_string(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn the_number_stays_among_the_bytes_that_linux_shows() {
        let name = |thread_name: &str, id| Config::fixed(1).thread_name(thread_name).name_of(id);
        assert_eq!(name("troupe", 0), "troupe-0");
        assert_eq!(name("troupe-thumbnails", 12), "troupe-thumb-12");
        assert_eq!(name("twelve bytes", 31_999), "twelve by-31999");
        assert_eq!(name("ääääääää", 7), "ääääää-7");
    }
}
