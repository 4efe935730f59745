//! JSON-RPC 1.0, one value a line, as Go's `net/rpc/jsonrpc` writes it.

use serde::{Deserialize, Serialize};

/// The one method.
pub(crate) const METHOD: &str = "Worker.Do";

/// The request in a call: it is the only one of its parameters.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Argument {
    pub(crate) id: u64,
    /// How long the work takes. If it is absent, the server chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) work_us: Option<u64>,
}

/// The result of a call that succeeded.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Done {
    pub(crate) id: u64,
    pub(crate) attempts: u32,
}

/// The answer of the server to a call: one of `result` and `error` is null.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Answer<I, E> {
    pub(crate) id: I,
    pub(crate) result: Option<Done>,
    pub(crate) error: Option<E>,
}
