//! The service over real connections: each way a request can end, the end of the server, and what
//! must not be done on a thread of the runtime.

mod bridge;
mod program;
mod runtime_threads;
mod stop;
mod support;
mod ways;
