//! Servers on ports of the loopback interface that nobody else uses.

use std::{
    array,
    net::{TcpListener, TcpStream},
    process::Child,
};

use crate::support::eventually;

/// Killed at its drop.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Starts a server on free ports, and waits until it listens on all of them.
///
/// The ports have to be let go before the server can bind them. If somebody else takes one
/// meanwhile, the server ends, and the next one gets other ports.
#[track_caller]
pub(crate) fn on_free_ports<const N: usize>(
    start: impl Fn([u16; N]) -> Child,
) -> (Process, [u16; N]) {
    for _ in 0..5 {
        // Held at the same time, so that they differ.
        let free: [TcpListener; N] = array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = free.each_ref().map(|one| one.local_addr().unwrap().port());
        drop(free);
        let mut server = Process(start(ports));
        let mut has_ended = false;
        eventually(|| {
            has_ended = server.0.try_wait().unwrap().is_some();
            let listens = |port: &u16| TcpStream::connect(("127.0.0.1", *port)).is_ok();
            has_ended || ports.iter().all(listens)
        });
        if !has_ended {
            return (server, ports);
        }
    }
    panic!("the server ended, whatever its ports");
}
