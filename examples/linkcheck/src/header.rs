//! `--header` and `--user-agent`: the headers of each request.

use std::str::FromStr;

use ureq::http::{HeaderName, HeaderValue};

pub(crate) const USER_AGENT: HeaderValue =
    HeaderValue::from_static("linkcheck (example of troupe-pool)");

/// A line such as `Accept-Language: en`.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) name: HeaderName,
    pub(crate) value: HeaderValue,
}

impl FromStr for Header {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let (name, value) = line.split_once(':').ok_or("no colon after the name")?;
        Ok(Header {
            name: name.trim().parse().map_err(explain)?,
            value: value.trim().parse().map_err(explain)?,
        })
    }
}

fn explain(error: impl ToString) -> String {
    error.to_string()
}
