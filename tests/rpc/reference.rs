//! The server in Go, and its answers.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    process::Command,
    thread,
};

use serde_json::Value;

use crate::{
    programs::Dir,
    server::{connect, run},
    serving::Serving,
};

pub(crate) struct Reference {
    /// Killed at the end.
    _process: Serving,
    calls: SocketAddr,
}

impl Reference {
    /// Starts one for a test, named `test`. `None` if there is no Go.
    pub(crate) fn start(test: &str) -> Option<Self> {
        Command::new("go").arg("version").output().ok()?;
        let dir = Dir::new(test);
        let program = dir.0.join("reference");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rpc/reference.go");
        let output = run("go", &["build", "-o", program.to_str().unwrap(), source]);
        assert!(output.status.success(), "{output:?}");
        let mut process = Serving::start(&mut Command::new(program));
        let calls = process.said("calls: ", "");
        Some(Reference {
            _process: process,
            calls,
        })
    }

    pub(crate) fn answers(&self, pieces: &[&[u8]]) -> Vec<String> {
        answers(self.calls, pieces)
    }
}

/// All that a server answers to a client that sends these pieces and closes, sorted, because works
/// overtake each other. Servers differ in how they put it that parameters are wrong, and only some
/// say why a connection ends.
pub(crate) fn answers(server: SocketAddr, pieces: &[&[u8]]) -> Vec<String> {
    let stream = connect(server);
    stream.set_nodelay(true).unwrap();
    let mut answers = thread::scope(|scope| {
        scope.spawn(|| {
            // An error means that the server has ended the connection.
            let sent = pieces
                .iter()
                .try_for_each(|piece| (&stream).write_all(piece));
            sent.and_then(|()| stream.shutdown(Shutdown::Write)).ok();
        });
        read_all(&stream)
            .lines()
            .filter_map(normal)
            .collect::<Vec<_>>()
    });
    answers.sort_unstable();
    answers
}

/// Up to the end, or a reset: a server that closes with something unread sends one.
fn read_all(mut stream: &TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error}"),
        _ => String::from_utf8(bytes).unwrap(),
    }
}

fn normal(line: &str) -> Option<String> {
    // There are ids that `Value` cannot hold. Such answers are compared as they are.
    let Ok(mut answer) = serde_json::from_str::<Value>(line) else {
        return Some(line.to_owned());
    };
    let error = answer["error"].as_str().unwrap_or_default();
    let is_of_params =
        error.starts_with("json: cannot unmarshal") || error.starts_with("bad request: params: ");
    if answer["id"].is_null() && error.starts_with("bad request: ") {
        return None;
    }
    if is_of_params {
        answer["error"] = "wrong params".into();
        return Some(answer.to_string());
    }
    Some(line.to_owned())
}
