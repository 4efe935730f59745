//! Values of options. Each message names the option: a bare "invalid digit" helps nobody, and nor
//! does the name of a setting that one cannot give.

use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
    str::FromStr,
    time::Duration,
};

use lexopt::{Error, Parser, ValueExt};
use troupe_pool::BuildError;

/// Prints the help, if that is all that is wanted.
pub(crate) fn print_help(text: &str) -> io::Result<ExitCode> {
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// A value of any type that can be parsed.
pub(crate) fn value<T>(option: &str, parser: &mut Parser) -> Result<T, Error>
where
    T: FromStr,
    T::Err: Display,
{
    let text = parser.value()?.string()?;
    text.parse()
        .map_err(|error| format!("{option}: {error}: {text:?}").into())
}

/// A value that passes a check, which is told in words.
pub(crate) fn checked<T>(
    option: &str,
    parser: &mut Parser,
    is_fine: impl FnOnce(&T) -> bool,
    demand: &str,
) -> Result<T, Error>
where
    T: FromStr + Display,
    T::Err: Display,
{
    let value = value(option, parser)?;
    if is_fine(&value) {
        Ok(value)
    } else {
        Err(format!("{option}: it must be {demand}: {value}").into())
    }
}

pub(crate) fn at_least_1(option: &str, parser: &mut Parser) -> Result<usize, Error> {
    checked(option, parser, |number| *number >= 1, "at least 1")
}

/// A duration, given as seconds with or without a fraction.
pub(crate) fn seconds(option: &str, parser: &mut Parser) -> Result<Duration, Error> {
    duration(option, value(option, parser)?, 1.0)
}

/// Seconds, but not none: a socket takes no timeout of 0. More than a day is a mistake.
pub(crate) fn some_seconds(option: &str, parser: &mut Parser) -> Result<Duration, Error> {
    let is_fine = |seconds: &f64| (1e-6..=86_400.0).contains(seconds);
    checked(option, parser, is_fine, "from 0.000001 to 86400").map(Duration::from_secs_f64)
}

/// `number` times `unit` seconds: from nothing to thirty years, so that a sum of such times and of
/// the present can be counted on.
pub(crate) fn duration(option: &str, number: f64, unit: f64) -> Result<Duration, Error> {
    const MOST: f64 = 1e9;
    let seconds = number * unit;
    if !(0.0..=MOST).contains(&seconds) {
        return Err(format!("{option}: it must be from 0 to {}: {number}", MOST / unit).into());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// A setting that the library refused, by the option behind it. `options` has pairs of both.
pub(crate) fn refused(error: &BuildError, options: &[(&str, &str)]) -> String {
    let BuildError::Invalid { setting, .. } = error else {
        return error.to_string();
    };
    match options.iter().find(|(name, _)| name == setting) {
        Some((_, option)) => format!("{option}: {error}"),
        None => error.to_string(),
    }
}
