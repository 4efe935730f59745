//! From a value to a call, or to what is wrong with it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::wire::{Argument, METHOD, Object};

/// An id is sent back, so its length is part of what an answer can cost.
const LONGEST_ID: usize = 64;

/// The longest complaint, in bytes of JSON. A complaint may quote what the client has sent.
const LONGEST_COMPLAINT: usize = 200;

/// The longest work that a call may ask for: none may hold an actor longer.
const LONGEST_WORK_US: u64 = 10_000_000;

/// A value that is no call, and the id to say so.
#[derive(Debug)]
pub(crate) struct Bad {
    pub(crate) id: Box<RawValue>,
    pub(crate) complaint: String,
}

/// The envelope. The parameters are looked at when it is known that the method exists.
#[derive(Debug, Deserialize)]
struct Request<'v> {
    #[serde(borrow, default)]
    method: Cow<'v, str>,
    #[serde(borrow)]
    params: Option<&'v RawValue>,
    #[serde(borrow)]
    id: Option<&'v RawValue>,
}

pub(crate) fn parse(value: &RawValue) -> Result<(Box<RawValue>, Argument), Bad> {
    let Object(request): Object<Request<'_>> = serde_json::from_str(value.get())
        .map_err(|error| Bad::without_id(format!("bad request: {error}")))?;
    let id = request.id.unwrap_or(RawValue::NULL);
    if id.get().len() > LONGEST_ID {
        let complaint = format!("bad request: the id is longer than {LONGEST_ID} bytes");
        return Err(Bad::without_id(complaint));
    }
    let method = request.method;
    if method != METHOD {
        // The messages of Go, word for word.
        let complaint = match method.rsplit_once('.') {
            Some(("Worker", _)) => {
                format!("rpc: can't find method {method}")
            }
            Some(_) => format!("rpc: can't find service {method}"),
            None => format!("rpc: service/method request ill-formed: {method}"),
        };
        return Err(Bad::new(id, complaint));
    }
    let Some(params) = request.params else {
        return Err(Bad::new(id, "jsonrpc: request body missing params"));
    };
    let [Object(argument)]: [Object<Argument>; 1] = serde_json::from_str(params.get())
        .map_err(|error| Bad::new(id, format!("bad request: params: {error}")))?;
    if argument.work_us.is_some_and(|work| work > LONGEST_WORK_US) {
        let complaint = format!("bad request: params: work_us is more than {LONGEST_WORK_US}");
        return Err(Bad::new(id, complaint));
    }
    Ok((id.to_owned(), argument))
}

impl Bad {
    pub(crate) fn without_id(complaint: impl Into<String>) -> Self {
        Self::new(RawValue::NULL, complaint)
    }

    fn new(id: &RawValue, complaint: impl Into<String>) -> Self {
        let mut complaint = complaint.into();
        let mut length = 0;
        let too_long = complaint.char_indices().find(|(_, symbol)| {
            length += length_in_json(*symbol);
            length > LONGEST_COMPLAINT
        });
        if let Some((end, _)) = too_long {
            complaint.truncate(end);
            complaint.push_str(" ...");
        }
        Bad {
            id: id.to_owned(),
            complaint,
        }
    }
}

/// The bytes that a character takes in a string of JSON: `serde_json` escapes what has to be.
fn length_in_json(symbol: char) -> usize {
    match symbol {
        '"' | '\\' | '\u{8}' | '\t' | '\n' | '\u{c}' | '\r' => 2,
        '\0'..='\u{1f}' => 6,
        _ => symbol.len_utf8(),
    }
}
