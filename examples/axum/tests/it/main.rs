//! The service over real connections: each way a request can end, the end of the server, and what
//! must not be done on a thread of the runtime.

mod bridge;
mod program;
#[expect(dead_code, reason = "the other functions serve other tests")]
#[path = "../../../../tests/programs/mod.rs"]
mod programs;
mod runtime_threads;
#[path = "../../../../tests/programs/serving.rs"]
mod serving;
mod stop;
mod support;
mod ways;
