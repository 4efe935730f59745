//! The two programs as processes, and the ways to speak to a server.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

use crate::programs::{Dir, assert_exit, example, text};
use crate::serving::Serving;
use crate::support::{HANG, eventually};

/// A server on free ports of loopback. Killed at the end, if it has not stopped.
pub(crate) struct Server {
    process: Serving,
    pub(crate) calls: SocketAddr,
    pub(crate) ops: SocketAddr,
}

impl Server {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_by(Command::new(example("rpc_server")), args)
    }

    /// One that may have so many open files, and was handed some that it has no use for.
    pub(crate) fn start_with_files(files: u64, args: &[&str]) -> Self {
        Self::start_by(with_files(files), args)
    }

    /// By a command that runs the program, behind which its arguments come.
    pub(crate) fn start_by(mut command: Command, args: &[&str]) -> Self {
        let mut process = Serving::start(
            command
                .args(["--listen", "127.0.0.1:0", "--ops", "127.0.0.1:0"])
                .args(args),
        );
        Server {
            calls: process.said("calls: ", ""),
            ops: process.said("operations: http://", "/"),
            process,
        }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::new(self.calls)
    }

    /// A client that is about to be started.
    pub(crate) fn client(&self, args: &[&str]) -> Command {
        let mut command = Command::new(example("rpc_client"));
        command
            .args(["--connect", &self.calls.to_string()])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Status and body.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let (head, body) = self.ask("GET", path);
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
    }

    /// Head and body.
    pub(crate) fn ask(&self, method: &str, path: &str) -> (String, String) {
        let answer = self.say_to_ops(&format!("{method} {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
        let (head, body) = answer.split_once("\r\n\r\n").expect(&answer);
        (head.to_owned(), body.to_owned())
    }

    /// The answer to whatever is said.
    pub(crate) fn say_to_ops(&self, request: &str) -> String {
        let mut stream = connect(self.ops);
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// A request that is never finished.
    pub(crate) fn begin_to_ask(&self) -> TcpStream {
        let mut stream = connect(self.ops);
        stream.write_all(b"GET /st").unwrap();
        stream
    }

    pub(crate) fn stats(&self) -> Value {
        let (status, body) = self.get("/stats");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// `None` if the port turned the question down.
    pub(crate) fn stats_if_answered(&self) -> Option<Value> {
        let mut stream = connect(self.ops);
        let request = b"GET /stats HTTP/1.1\r\nHost: test\r\n\r\n";
        let mut answer = String::new();
        stream.write_all(request).ok()?;
        stream.read_to_string(&mut answer).ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        Some(serde_json::from_str(body).expect(body))
    }

    /// A number in `/stats`, by its JSON pointer.
    pub(crate) fn stat(&self, pointer: &str) -> u64 {
        number(&self.stats(), pointer)
    }

    #[track_caller]
    pub(crate) fn until(&self, condition: impl Fn(&Value) -> bool) {
        eventually(|| condition(&self.stats()));
    }

    /// The files that it has open.
    pub(crate) fn files(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.process.id());
        fs::read_dir(folder).unwrap().count()
    }

    pub(crate) fn threads(&self) -> usize {
        let folder = format!("/proc/{}/task", self.process.id());
        fs::read_dir(folder).unwrap().count()
    }

    /// Whether it has said to a client that no more answers come, though the client may not have
    /// got that far.
    pub(crate) fn has_closed(&self, client: &Client) -> bool {
        let client = client.stream.local_addr().unwrap();
        // Its end of the connection, in state 1: established.
        let open = format!(
            ":{:04X} 0100007F:{:04X} 01",
            self.calls.port(),
            client.port()
        );
        !fs::read_to_string("/proc/net/tcp").unwrap().contains(&open)
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.has_ended()
    }

    pub(crate) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    pub(crate) fn signal_twice(&self) {
        self.process.signal_twice();
    }

    /// Sends SIGTERM, and waits for the end: the exit code and the report.
    #[track_caller]
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        self.signal("TERM");
        self.end()
    }

    /// The exit code and the report.
    #[track_caller]
    pub(crate) fn end(&mut self) -> (Option<i32>, String) {
        self.process.end()
    }
}

pub(crate) fn number(value: &Value, pointer: &str) -> u64 {
    let found = value.pointer(pointer).and_then(Value::as_u64);
    found.unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

/// Waits for a client's end.
#[track_caller]
pub(crate) fn finish(mut child: Child) -> Output {
    eventually(|| child.try_wait().unwrap().is_some());
    child.wait_with_output().unwrap()
}

/// The counts of the client.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) sent: u64,
    pub(crate) ok: u64,
    pub(crate) failed: u64,
    pub(crate) panicked: u64,
    pub(crate) overloaded: u64,
    pub(crate) shutting_down: u64,
}

impl Tally {
    /// Of a client to which every call was answered.
    #[track_caller]
    pub(crate) fn of(output: &Output) -> Self {
        let said = text(&output.stdout);
        assert_exit(output, 0);
        let tally = Tally {
            sent: after("sent: ", &said),
            ok: after("ok: ", &said),
            failed: after("failed: ", &said),
            panicked: after("panicked: ", &said),
            overloaded: after("overloaded: ", &said),
            shutting_down: after("shutting down: ", &said),
        };
        assert_eq!(after("unanswered: ", &said), 0);
        assert!(!said.contains("strange"), "{said}");
        let answered = tally.ok + tally.failed + tally.overloaded + tally.shutting_down;
        assert_eq!(tally.sent, answered, "{said}");
        tally
    }
}

/// The number that follows a word.
#[track_caller]
pub(crate) fn after(word: &str, text: &str) -> u64 {
    let (_, rest) = text.split_once(word).expect(text);
    let digits = rest.find(|symbol: char| !symbol.is_ascii_digit());
    rest[..digits.unwrap_or(rest.len())].parse().expect(text)
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(HANG)).unwrap();
    stream.set_write_timeout(Some(HANG)).unwrap();
    stream
}

/// A connection that says what a test wants it to say.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    lines: BufReader<TcpStream>,
}

impl Client {
    fn new(address: SocketAddr) -> Self {
        let stream = connect(address);
        let lines = BufReader::new(stream.try_clone().unwrap());
        Client { stream, lines }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// A call whose id and argument's id are the same.
    pub(crate) fn call(&mut self, id: u64, work_us: u64) {
        self.send(call(id, work_us));
    }

    /// The next answer; `None` at the end.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Option<Value> {
        let line = self.line();
        (!line.is_empty()).then(|| serde_json::from_str(&line).expect(&line))
    }

    /// The next answer as it was sent; empty at the end.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }

    /// The next answer's id and error.
    #[track_caller]
    pub(crate) fn error(&mut self) -> (Value, String) {
        let answer = self.answer().expect("an answer");
        assert_eq!(answer["result"], Value::Null, "{answer}");
        let error = answer["error"].as_str().expect("an error");
        (answer["id"].clone(), error.to_owned())
    }

    /// Makes a call that has to succeed at once.
    #[track_caller]
    pub(crate) fn succeed(&mut self, id: u64) {
        self.call(id, 0);
        assert_eq!(
            self.answer().expect("an answer"),
            serde_json::json!({"id": id, "result": {"id": id, "attempts": 1}, "error": null})
        );
    }
}

pub(crate) fn call(id: u64, work_us: u64) -> String {
    format!(
        "{{\"method\":\"Worker.Do\",\"params\":[{{\"id\":{id},\"work_us\":{work_us}}}],\"id\":{id}}}\n"
    )
}

/// The server with a limit of open files, four of which are taken when it starts: the fourth was
/// handed to it. (A shell can set the limit; a file would be closed by `Command`.)
pub(crate) fn with_files(files: u64) -> Command {
    let mut command = Command::new("sh");
    let script = format!("ulimit -n {files} && exec \"$0\" \"$@\" 7</dev/null");
    command.args(["-c", &script]).arg(example("rpc_server"));
    command
}

/// The server as a separate user who may have so many threads; and where it lies, for anybody to
/// execute. An error says why that cannot be had.
pub(crate) fn with_threads(threads: usize) -> Result<(Command, Dir), String> {
    let dir = Dir::new(&format!("threads-{threads}"));
    let copy = dir.0.join("rpc_server");
    fs::copy(example("rpc_server"), &copy).unwrap();
    for path in [&dir.0, &copy] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    // The limit is one of the user id.
    let user = 65_100 + (std::process::id() + threads as u32) % 400;
    let limited = |program: &Path| {
        let mut command = Command::new("setpriv");
        command
            .args([format!("--reuid={user}").as_str(), "--clear-groups"])
            .args(["prlimit", &format!("--nproc={threads}:{threads}")])
            .arg(program)
            .current_dir("/");
        command
    };
    let output = limited(&copy).arg("--help").output();
    match output {
        Ok(output) if output.status.success() => Ok((limited(&copy), dir)),
        Ok(output) => Err(format!(
            "threads cannot be limited: {}",
            text(&output.stderr)
        )),
        Err(error) => Err(format!("there is no setpriv: {error}")),
    }
}

/// Runs a program with arguments, without a word on standard input.
pub(crate) fn run(program: impl AsRef<OsStr>, args: &[&str]) -> Output {
    run_by(Command::new(program), args)
}

pub(crate) fn run_by(mut command: Command, args: &[&str]) -> Output {
    command.args(args).stdin(Stdio::null()).output().unwrap()
}
