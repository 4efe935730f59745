//! A Redis of one test, and workers on it.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, mpsc},
    thread,
};

use parking_lot::Mutex;
use redis::{Connection, FromRedisValue, Value, cmd};

use crate::{
    process::skip,
    programs::{signal, signal_twice},
    proxy::Proxy,
    redis_server::RedisServer,
    support::{HANG, eventually},
};

/// A value of an order that says "in every delivery".
pub(crate) const ALWAYS: u64 = u32::MAX as u64;

const STREAM: &str = "works";
const GROUP: &str = "workers";

pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_broker-example"))
}

/// Whether a test has to be skipped; it is said then.
#[track_caller]
pub(crate) fn is_redis_missing() -> bool {
    let is_missing = Command::new("redis-server")
        .arg("--version")
        .output()
        .is_err();
    if is_missing {
        skip("there is no redis-server");
    }
    is_missing
}

pub(crate) struct Broker {
    server: RedisServer,
    connection: Connection,
    redis_pid: u32,
}

impl Broker {
    /// `None` where there is no Redis.
    #[track_caller]
    pub(crate) fn start() -> Option<Self> {
        if is_redis_missing() {
            return None;
        }
        let server = RedisServer::start(false).unwrap();
        let (connection, redis_pid) = connect(&server);
        Some(Broker {
            server,
            connection,
            redis_pid,
        })
    }

    // --- Programs -------------------------------------------------------------------------------

    pub(crate) fn command(&self, name: &str, more: &[&str]) -> Command {
        let mut command = program();
        command.args([name, "--url", &self.server.url()]).args(more);
        command
    }

    pub(crate) fn worker(&self, name: &str, more: &[&str]) -> Worker {
        let effects = self.server.folder().join(name);
        let mut command = self.command("worker", &["--name", name]);
        Worker::start(command.arg("--effects").arg(effects).args(more))
    }

    /// Loses the answer to the first request with this argument.
    pub(crate) fn proxy(&self, argument: &str) -> Proxy {
        Proxy::start(&self.server.folder().join("redis.sock"), argument)
    }

    /// The numbers of the works that this worker has done.
    pub(crate) fn effects(&self, worker: &str) -> Vec<u64> {
        effects(&self.server.folder().join(worker))
    }

    // --- The state of the broker --------------------------------------------------------------------

    pub(crate) fn pending(&mut self) -> usize {
        self.pending_ones().len()
    }

    /// The number of messages that each worker has.
    pub(crate) fn owners(&mut self) -> Vec<(String, usize)> {
        let mut owners = BTreeMap::new();
        for (_, owner, ..) in self.pending_ones() {
            *owners.entry(owner).or_default() += 1;
        }
        owners.into_iter().collect()
    }

    fn pending_ones(&mut self) -> Vec<(String, String, u64, u64)> {
        let exists: bool = self.ask("EXISTS", &[STREAM]);
        if !exists {
            return Vec::new();
        }
        self.ask("XPENDING", &[STREAM, GROUP, "-", "+", "1000"])
    }

    pub(crate) fn consumers(&mut self) -> Vec<String> {
        let rows: Vec<BTreeMap<String, Value>> = self.ask("XINFO", &["CONSUMERS", STREAM, GROUP]);
        rows.into_iter()
            .map(|row| FromRedisValue::from_redis_value(row["name"].clone()).unwrap())
            .collect()
    }

    /// The dead letters, without their ids.
    pub(crate) fn dead(&mut self) -> Vec<BTreeMap<String, String>> {
        let letters: Vec<(String, BTreeMap<String, String>)> =
            self.ask("XRANGE", &["works:dead", "-", "+"]);
        letters.into_iter().map(|(_, letter)| letter).collect()
    }

    pub(crate) fn tally(&mut self, name: &str) -> u64 {
        let count: Option<u64> = self.ask("HGET", &["works:tally", name]);
        count.unwrap_or(0)
    }

    pub(crate) fn length(&mut self) -> usize {
        self.ask("XLEN", &[STREAM])
    }

    /// Waits until so many more scripts have been run.
    #[track_caller]
    pub(crate) fn await_scripts(&mut self, count: u64) {
        let before = self.scripts_run();
        eventually(|| self.scripts_run() >= before + count);
    }

    fn scripts_run(&mut self) -> u64 {
        let info: String = self.ask("INFO", &["commandstats"]);
        let calls = info.split_once("cmdstat_eval:calls=");
        let calls = calls.and_then(|(_, rest)| rest.split(',').next());
        calls.map_or(0, |calls| calls.parse().unwrap())
    }

    // --- Changes to the broker ---------------------------------------------------------------------

    /// Sends a message, and returns its id.
    pub(crate) fn send(&mut self, fields: &[(&str, u64)]) -> String {
        let mut cmd = cmd("XADD");
        cmd.arg(STREAM).arg("*").arg(fields);
        cmd.query(&mut self.connection).unwrap()
    }

    pub(crate) fn claim(&mut self, consumer: &str, id: &str) {
        let ids: Vec<String> = self.ask("XCLAIM", &[STREAM, GROUP, consumer, "0", id, "JUSTID"]);
        assert_eq!(ids, [id]);
    }

    /// Unlike [`claim`](Broker::claim), this counts as a delivery.
    pub(crate) fn deliver_again_to(&mut self, consumer: &str, id: &str) {
        self.tell("XCLAIM", &[STREAM, GROUP, consumer, "0", id]);
    }

    /// To a consumer that does nothing with it. Returns the first one's id.
    pub(crate) fn deliver_to(&mut self, consumer: &str, count: usize) -> String {
        self.make_group(GROUP);
        let count = count.to_string();
        let args = [
            "GROUP", GROUP, consumer, "COUNT", &count, "STREAMS", STREAM, ">",
        ];
        self.tell("XREADGROUP", &args);
        self.pending_ones().swap_remove(0).0
    }

    pub(crate) fn acknowledge(&mut self, id: &str) {
        let acknowledged: u64 = self.ask("XACK", &[STREAM, GROUP, id]);
        assert_eq!(acknowledged, 1);
    }

    pub(crate) fn delete(&mut self, id: &str) {
        let deleted: u64 = self.ask("XDEL", &[STREAM, id]);
        assert_eq!(deleted, 1);
    }

    pub(crate) fn make_group(&mut self, name: &str) {
        self.tell("XGROUP", &["CREATE", STREAM, name, "0", "MKSTREAM"]);
    }

    pub(crate) fn destroy_group(&mut self, name: &str) {
        let destroyed: u64 = self.ask("XGROUP", &["DESTROY", STREAM, name]);
        assert_eq!(destroyed, 1);
    }

    pub(crate) fn trim_everything(&mut self) {
        self.tell("XTRIM", &[STREAM, "MAXLEN", "0"]);
    }

    pub(crate) fn forget_everything(&mut self) {
        self.tell("FLUSHALL", &[]);
    }

    /// All but this one.
    pub(crate) fn limit_memory(&mut self, bytes: &str) {
        self.tell("CONFIG", &["SET", "maxmemory", bytes]);
    }

    pub(crate) fn cut_connections(&mut self) {
        let cut: u64 = self.ask("CLIENT", &["KILL", "TYPE", "normal", "SKIPME", "yes"]);
        assert!(cut > 0, "nobody was connected");
    }

    pub(crate) fn signal_redis(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.redis_pid);
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    pub(crate) fn kill_redis(&mut self) {
        self.server.kill().unwrap();
    }

    pub(crate) fn start_redis_again(&mut self) {
        self.server.start_again().unwrap();
        (self.connection, self.redis_pid) = connect(&self.server);
    }

    #[track_caller]
    fn tell(&mut self, name: &str, args: &[&str]) {
        cmd(name).arg(args).exec(&mut self.connection).unwrap();
    }

    #[track_caller]
    fn ask<T: FromRedisValue>(&mut self, name: &str, args: &[&str]) -> T {
        cmd(name).arg(args).query(&mut self.connection).unwrap()
    }
}

/// The numbers in a file of effects.
pub(crate) fn effects(file: &Path) -> Vec<u64> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

fn connect(server: &RedisServer) -> (Connection, u32) {
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    let info: String = cmd("INFO").arg("server").query(&mut connection).unwrap();
    let pid = info
        .lines()
        .find_map(|line| line.strip_prefix("process_id:"));
    let pid = pid.unwrap().trim().parse().unwrap();
    (connection, pid)
}

/// A worker process. It is killed at its drop.
pub(crate) struct Worker {
    child: Child,
    said: Said,
    complained: Said,
}

impl Worker {
    pub(crate) fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null());
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Worker {
            said: Said::listen(child.stdout.take().unwrap()),
            complained: Said::listen(child.stderr.take().unwrap()),
            child,
        }
    }

    #[track_caller]
    pub(crate) fn until_it_says(&mut self, words: &str) {
        eventually(|| self.said.contains(words));
    }

    #[track_caller]
    pub(crate) fn until_it_complains(&mut self, words: &str) {
        eventually(|| self.complained.contains(words));
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub(crate) fn signal_twice(&self) {
        signal_twice(&self.child);
    }

    /// Sends SIGTERM, and waits for the end.
    #[track_caller]
    pub(crate) fn stop(self) -> Output {
        signal(&self.child, "TERM");
        self.finish()
    }

    #[track_caller]
    pub(crate) fn finish(mut self) -> Output {
        eventually(|| self.has_ended());
        Output {
            status: self.child.wait().unwrap(),
            stdout: self.said.all(),
            stderr: self.complained.all(),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The output of a pipe, read by a thread so that the pipe never fills.
struct Said {
    bytes: Arc<Mutex<Vec<u8>>>,
    end: mpsc::Receiver<()>,
}

impl Said {
    fn listen(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (ended, end) = mpsc::channel();
        let written = Arc::clone(&bytes);
        let listen = move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                written.lock().extend_from_slice(&buffer[..count]);
            }
            ended.send(()).ok();
        };
        thread::Builder::new()
            .name("listen".into())
            .spawn(listen)
            .unwrap();
        Said { bytes, end }
    }

    fn contains(&self, words: &str) -> bool {
        String::from_utf8_lossy(&self.bytes.lock()).contains(words)
    }

    #[track_caller]
    fn all(&self) -> Vec<u8> {
        self.end.recv_timeout(HANG).expect("hung: the pipe is open");
        self.bytes.lock().clone()
    }
}
