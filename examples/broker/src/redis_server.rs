//! A private `redis-server`: on a Unix socket in a temporary folder, so that no port is taken and
//! nothing of it is left.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

/// A server that does not answer after this long is broken.
const START: Duration = Duration::from_secs(30);

/// Killed, and its folder removed, at its drop.
#[derive(Debug)]
pub(crate) struct RedisServer {
    folder: PathBuf,
    process: Child,
    is_durable: bool,
}

impl RedisServer {
    /// Starts one. A durable one writes each change to its disk before it answers, so that a kill
    /// loses nothing.
    pub(crate) fn start(is_durable: bool) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("troupe-broker-{}-{count}", process::id()));
        fs::create_dir(&folder)?;
        let process = spawn(&folder, is_durable).inspect_err(|_| {
            fs::remove_dir_all(&folder).ok();
        })?;
        let mut server = RedisServer {
            folder,
            process,
            is_durable,
        };
        server.await_answer()?;
        Ok(server)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", socket(&self.folder).display())
    }

    /// Ends the server as a power failure would.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Starts it again, on what it has on its disk.
    pub(crate) fn start_again(&mut self) -> io::Result<()> {
        self.process = spawn(&self.folder, self.is_durable)?;
        self.await_answer()
    }

    fn await_answer(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        loop {
            let client = redis::Client::open(self.url()).map_err(io::Error::other)?;
            let answer = client
                .get_connection()
                .and_then(|mut connection| redis::cmd("PING").exec(&mut connection));
            let Err(error) = answer else {
                return Ok(());
            };
            if let Some(status) = self.process.try_wait()? {
                return Err(io::Error::other(format!("it ended at once: {status}")));
            }
            if begun.elapsed() > START {
                return Err(io::Error::other(error));
            }
            thread::park_timeout(Duration::from_millis(5));
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
        fs::remove_dir_all(&self.folder).ok();
    }
}

fn spawn(folder: &Path, is_durable: bool) -> io::Result<Child> {
    let durable = if is_durable { "yes" } else { "no" };
    Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--daemonize", "no"])
        .args(["--appendonly", durable, "--appendfsync", "always"])
        .arg("--dir")
        .arg(folder)
        .arg("--unixsocket")
        .arg(socket(folder))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("redis.sock")
}
