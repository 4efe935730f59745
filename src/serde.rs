//! The feature `serde`: settings as people write them in files and environment variables.

use std::fmt;

use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::ser::Serializer;

use crate::sync::Duration;

/// The word for a time that never ends.
const NEVER: &str = "never";

/// The longest time that is written as a number, in seconds. A clock overflows at any longer
/// one, so that never ends. More would not fit into a TOML file, either.
const LONGEST: u64 = i64::MAX as u64;

/// Defines a reader for each setting, with the name of the setting. An error names both the
/// setting and the value then, which not every format does by itself. The formats are asked for
/// any value, so that a number may also be text: an environment variable is nothing else.
macro_rules! readers {
    ($($setting:ident: $visitor:ident -> $value:ty;)*) => {$(
        pub(crate) fn $setting<'de, D>(deserializer: D) -> Result<$value, D::Error>
        where
            D: Deserializer<'de>,
        {
            deserializer.deserialize_any($visitor(stringify!($setting)))
        }
    )*};
}

readers! {
    min: Number -> usize;
    max: Number -> usize;
    initial: OptionalNumber -> Option<usize>;
    mailbox_size: Number -> usize;
    line_size: OptionalNumber -> Option<usize>;
    idle_timeout: Time -> Duration;
    thread_name: Text -> String;
    stack_size: OptionalNumber -> Option<usize>;
}

/// Reads a whole number.
struct Number(&'static str);

impl Visitor<'_> for Number {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number of at least 0 for `{}`", self.0)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<usize, E> {
        let unexpected = Unexpected::Unsigned(number);
        usize::try_from(number).map_err(|_| E::invalid_value(unexpected, &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<usize, E> {
        let unexpected = Unexpected::Signed(number);
        usize::try_from(number).map_err(|_| E::invalid_value(unexpected, &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<usize, E> {
        let number = text.trim().parse();
        number.map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// Reads a whole number, or a word of the format for none.
struct OptionalNumber(&'static str);

impl<'de> Visitor<'de> for OptionalNumber {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Number(self.0).expecting(f)
    }

    fn visit_unit<E: Error>(self) -> Result<Option<usize>, E> {
        Ok(None)
    }

    fn visit_none<E: Error>(self) -> Result<Option<usize>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Option<usize>, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Option<usize>, E> {
        Number(self.0).visit_u64(number).map(Some)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Option<usize>, E> {
        Number(self.0).visit_i64(number).map(Some)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<usize>, E> {
        Number(self.0).visit_str(text).map(Some)
    }
}

/// Reads text.
struct Text(&'static str);

impl Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "text for `{}`", self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
}

/// Reads what `write_time` writes.
struct Time(&'static str);

impl Visitor<'_> for Time {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number of seconds or \"{NEVER}\" for `{}`", self.0)
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<Duration, E> {
        Ok(Duration::from_secs(seconds))
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<Duration, E> {
        let unexpected = Unexpected::Signed(seconds);
        let seconds = u64::try_from(seconds);
        let seconds = seconds.map_err(|_| E::invalid_value(unexpected, &self))?;
        Ok(Duration::from_secs(seconds))
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<Duration, E> {
        let unexpected = Unexpected::Float(seconds);
        Duration::try_from_secs_f64(seconds).map_err(|_| E::invalid_value(unexpected, &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
        let word = text.trim();
        if word == NEVER {
            return Ok(Duration::MAX);
        }
        if let Ok(seconds) = word.parse() {
            return Ok(Duration::from_secs(seconds));
        }
        let seconds = word.parse().ok();
        let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        time.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// Writes a time as a number of seconds, or as the word for a time that never ends.
pub(crate) fn write_time<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    if time.as_secs() > LONGEST {
        serializer.serialize_str(NEVER)
    } else if time.subsec_nanos() == 0 {
        serializer.serialize_u64(time.as_secs())
    } else {
        serializer.serialize_f64(time.as_secs_f64())
    }
}
