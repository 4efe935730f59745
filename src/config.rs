//! `Config`, the settings of a troupe as plain data, and the one place that checks them.

use crate::error::BuildError;
use crate::sync::{Duration, processors};

/// The highest number of actors. They are counted in fifteen bits, of which the highest values
/// stand for a count below zero (`pool/counts.rs`).
const MOST_ACTORS: usize = 32_000;

/// The highest number of places in one mailbox. They are allocated up front, at 24
/// bytes each on the usual targets.
const MOST_PLACES: usize = 1 << 20;

/// The highest capacity of a troupe, since 1.5 GiB of places are allocated up front.
const MOST_CAPACITY: usize = 1 << 26;

/// The smallest stack of a thread, in bytes.
const LEAST_STACK: u64 = 1 << 14;
/// The largest stack of a thread, in bytes: the whole address space of a usual
/// process, which the system refuses anyway.
const MOST_STACK: u64 = 1 << 47;

/// The number of bytes of a thread's name that Linux shows.
const VISIBLE_NAME: usize = 15;

/// Whether the number of actors is fixed or changes with the load.
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
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Mode {
    /// The troupe has exactly [`max`](Config::max) actors from build to shutdown.
    Fixed,
    /// The troupe has between [`min`](Config::min) and [`max`](Config::max) actors. It grows
    /// if no actor is idle. An actor that has been idle for
    /// [`idle_timeout`](Config::idle_timeout) retires. Any thread that assigns may start an
    /// actor, which then inherits from that thread; see [`Troupe`](crate::Troupe#threads).
    Dynamic,
}

/// The settings of a troupe.
///
/// The fields are public. Setters of the same names consume the settings and return them
/// changed. No setter blocks, fails or panics: [`Builder::build`](crate::Builder::build) and
/// [`Troupe::new`](crate::Troupe::new) check the settings.
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
///
/// # In files and environment variables
///
/// With the feature `serde`, settings can be read and written in every format that describes
/// itself, such as TOML:
///
/// ```toml
/// mode = "dynamic"
/// max = 8
/// mailbox_size = 32
/// idle_timeout = 2.5
/// thread_name = "resize"
/// ```
///
/// - `mode` is `"fixed"` or `"dynamic"`.
/// - `idle_timeout` is a number of seconds, or `"never"`, which means `Duration::MAX`.
/// - A number may be written as text, as in an environment variable.
/// - A missing setting has the value that it has in [`Config::default`]. An unknown one is an
///   error. A setting that is `None` is not written.
///
/// The format checks nothing but the kind of each value.
/// [`Builder::build`](crate::Builder::build) checks the settings, as always.
///
#[cfg_attr(feature = "serde", doc = "```")]
#[cfg_attr(not(feature = "serde"), doc = "```ignore")]
/// use troupe_pool::{Config, Troupe};
///
/// let config: Config = toml::from_str("mode = \"dynamic\"\nmax = 8\nidle_timeout = \"never\"")?;
/// assert_eq!((config.max, config.mailbox_size), (8, 16));
///
/// let config: Config = toml::from_str("max = 0")?;
/// let error = Troupe::new(config).unwrap_err();
/// assert_eq!(error.to_string(), "invalid max 0: it must be from 1 to 32000");
/// # Ok::<(), troupe_pool::BoxError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
#[must_use = "a config does nothing until a troupe is built from it"]
pub struct Config {
    /// Fixed or Dynamic. The default is Fixed.
    pub mode: Mode,
    /// The smallest number of actors, in Dynamic mode only. The default is 0.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::serde::min"))]
    pub min: usize,
    /// The largest number of actors, from 1 to 32,000. In Fixed mode this is the exact
    /// number.
    ///
    /// The default is the number of threads that can run at once. On one processor that is
    /// a single actor, and work that waits for other work of its troupe then waits for ever.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::serde::max"))]
    pub max: usize,
    /// The initial number of actors, from `min` to `max`, in Dynamic mode only. The default,
    /// `None`, means `min`.
    #[cfg_attr(
        feature = "serde",
        serde(
            deserialize_with = "crate::serde::initial",
            skip_serializing_if = "Option::is_none"
        )
    )]
    pub initial: Option<usize>,
    /// The number of places in the mailbox of each actor. Work waits there, in addition to
    /// the work that the actor runs. The number is at most 1,048,576, and
    /// `max * (mailbox_size + 1)` is at most 67,108,864. The default is 16.
    ///
    /// A mailbox is allocated as a whole, with 24 bytes for each place, when an actor of its
    /// number starts for the first time. The memory is freed once the
    /// [`Troupe`](crate::Troupe) or [`Actor`](crate::Actor) and every
    /// [`Handle`](crate::Handle) to it have been dropped and the threads are gone.
    ///
    /// 0 means hand-off: only an idle or a new actor takes work. An actor becomes idle a
    /// moment *after* its work has sent an answer. A client that asks again immediately can
    /// receive [`Full`](crate::AssignError::Full) in that moment.
    /// [`assign_timeout`](crate::Troupe::assign_timeout) waits for it to pass.
    #[cfg_attr(
        feature = "serde",
        serde(deserialize_with = "crate::serde::mailbox_size")
    )]
    pub mailbox_size: usize,
    /// The number of places in line, for work that waits for its [key](crate::Work::keyed).
    /// All keys share these places, which come in addition to the places in mailboxes. The number
    /// is at most 67,108,864. The default, `None`, means as many places as all mailboxes have
    /// together, `max * mailbox_size`.
    ///
    /// 0 means that a troupe accepts one piece of work of a key at a time. Places in line take no
    /// memory until they are used.
    #[cfg_attr(
        feature = "serde",
        serde(
            deserialize_with = "crate::serde::line_size",
            skip_serializing_if = "Option::is_none"
        )
    )]
    pub line_size: Option<usize>,
    /// The time after which an idle actor above `min` retires, in Dynamic mode only.
    /// `Duration::MAX` means never. The default is 60 seconds.
    ///
    /// When an actor retires, everything tied to its thread ends, such as thread-local
    /// variables and child processes with a parent-death signal.
    #[cfg_attr(
        feature = "serde",
        serde(
            serialize_with = "crate::serde::write_time",
            deserialize_with = "crate::serde::idle_timeout"
        )
    )]
    pub idle_timeout: Duration,
    /// The prefix of the thread names, before `-` and the actor's number. It must not be
    /// empty or contain NUL. A long prefix is cut so that the number is among the 15 bytes
    /// that Linux shows. The default is `troupe`.
    #[cfg_attr(
        feature = "serde",
        serde(deserialize_with = "crate::serde::thread_name")
    )]
    pub thread_name: String,
    /// The stack size of each thread in bytes, from 16 KiB to 128 TiB. The default, `None`,
    /// means the default of [`std::thread::Builder::stack_size`].
    ///
    /// A panic that prints a backtrace overflows a stack of 24 KiB or less, which aborts the
    /// process. 32 KiB are enough for a panic in shallow code.
    #[cfg_attr(
        feature = "serde",
        serde(
            deserialize_with = "crate::serde::stack_size",
            skip_serializing_if = "Option::is_none"
        )
    )]
    pub stack_size: Option<usize>,
}

impl Config {
    /// Creates settings for a Fixed troupe of `max` actors.
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
            line_size: None,
            idle_timeout: Duration::from_secs(60),
            thread_name: "troupe".to_owned(),
            stack_size: None,
        }
    }

    /// Creates settings for a Dynamic troupe of `min` to `max` actors.
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

    /// Sets the smallest number of actors, in Dynamic mode only. The default is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(troupe_pool::Config::dynamic(0, 4).min(2).min, 2);
    /// ```
    pub fn min(self, min: usize) -> Self {
        Self { min, ..self }
    }

    /// Sets the largest number of actors. In Fixed mode this is the exact number. The
    /// default is the number of threads that can run at once.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(troupe_pool::Config::default().max(3).max, 3);
    /// ```
    pub fn max(self, max: usize) -> Self {
        Self { max, ..self }
    }

    /// Sets the initial number of actors, in Dynamic mode only. The default is `min`.
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

    /// Sets the number of places in the mailbox of each actor. The default is 16.
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

    /// Sets the number of places in line, for work that waits for its key. The default is
    /// `max * mailbox_size`.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(troupe_pool::Config::fixed(1).line_size(100).line_size, Some(100));
    /// ```
    pub fn line_size(self, line_size: usize) -> Self {
        Self {
            line_size: Some(line_size),
            ..self
        }
    }

    /// Sets the time after which an idle actor above `min` retires, in Dynamic mode only.
    /// The default is 60 seconds.
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

    /// Sets the prefix of the thread names, before `-` and the actor's number. The default
    /// is `troupe`.
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

    /// Sets the stack size of each thread, in bytes. The default is that of std.
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

    /// Returns an error for the first setting that is out of its range.
    pub(crate) fn validate(&self) -> Result<(), BuildError> {
        // No `..`: a new setting must be thought of here.
        let Self {
            mode,
            min,
            max,
            initial,
            mailbox_size,
            line_size,
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
        if let Some(places) = line_size.filter(|places| *places > MOST_CAPACITY) {
            return Err(invalid("line_size", places, "it must be at most 67108864"));
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

    /// The number of places in line.
    pub(crate) fn places_in_line(&self) -> usize {
        self.line_size.unwrap_or(self.max * self.mailbox_size)
    }

    /// The smallest number of actors that the mode allows.
    pub(crate) fn fewest(&self) -> usize {
        match self.mode {
            Mode::Fixed => self.max,
            Mode::Dynamic => self.min,
        }
    }

    /// The initial number of actors.
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
    /// Returns settings for a Fixed troupe with one actor for each thread that can run
    /// at once. On one processor that is a single actor.
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
