//! A bounded `spawn_blocking` that can refuse: an axum service in front of a blocking back end.
//!
//! `bridge` is the piece to copy. The others make a service of it, and measure it.

pub mod backend;
pub mod bridge;
pub mod client;
pub mod pool;
pub mod process;
pub mod server;
pub mod service;
