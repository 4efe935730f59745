//! The feature `serde`: settings as people write them in files and environment variables.

use std::fmt;

use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::ser::Serializer;

use crate::sync::Duration;

/// The word for a time that never ends.
const NEVER: &str = "never";

/// Reads a whole number, which may be written as text.
pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    deserializer.deserialize_any(Number)
}

/// Reads a whole number that may be missing.
pub(crate) fn some_number<'de, D>(deserializer: D) -> Result<Option<usize>, D::Error>
where
    D: Deserializer<'de>,
{
    number(deserializer).map(Some)
}

struct Number;

impl Visitor<'_> for Number {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
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

/// Writes a time as a number of seconds, or as the word for a time that never ends.
pub(crate) fn write_time<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    if *time == Duration::MAX {
        serializer.serialize_str(NEVER)
    } else if time.subsec_nanos() == 0 {
        serializer.serialize_u64(time.as_secs())
    } else {
        serializer.serialize_f64(time.as_secs_f64())
    }
}

/// Reads what `write_time` writes. The number may be written as text.
pub(crate) fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_any(Time)
}

struct Time;

impl Visitor<'_> for Time {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number of seconds, or \"{NEVER}\"")
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
        let text = text.trim();
        if text == NEVER {
            return Ok(Duration::MAX);
        }
        if let Ok(seconds) = text.parse() {
            return Ok(Duration::from_secs(seconds));
        }
        let seconds = text.parse().ok();
        let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        time.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}
