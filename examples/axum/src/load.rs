//! The same load on a server with each pool, and what became of it.

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use axum_example::{
    client::{Answer, Client, figure},
    process,
};
use tokio::{
    runtime,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};

use crate::{
    args::{Both, Load},
    error::Fatal,
};

/// A request that takes longer is without an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the server's threads are counted. (`spawn_blocking` keeps its threads for 10 s.)
const EVERY: Duration = Duration::from_millis(2);

/// The statuses that may come.
const STATUSES: [u16; 4] = [200, 422, 500, 503];

const HEAD: &str = "\
| pool | 200 | 422 | 500 | 503 | without an answer | clients gone | calls begun | threads at peak | MiB at peak | p99 of the answered, ms |
|---|---|---|---|---|---|---|---|---|---|---|
";

/// Prints a line for each pool. Returns true if every bar is met.
pub(crate) fn run(both: &Both, load: &Load) -> Result<bool, Fatal> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Fatal::Runtime)?;
    let mut complaints = Vec::new();
    let mut table = String::from(HEAD);
    for pool in ["troupe", "limited", "spawn-blocking"] {
        let mut server = Server::start(pool, both)?;
        let row = runtime.block_on(measure(&server, both, load))?;
        if !server.stop()? {
            complaints.push(format!("{pool}: the server did not end well"));
        }
        table += &row.line(pool);
        complaints.extend(row.complaints(pool, load));
        // The actors, the runtime, the thread that waits for both, and the one that waits for signals.
        let bound = (both.max + both.runtime_threads + 2) as u64;
        if pool == "troupe" && row.threads > bound {
            complaints.push(format!("{pool}: {} threads, not {bound}", row.threads));
        }
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(table.as_bytes()).map_err(Fatal::Output)?;
    for complaint in &complaints {
        writeln!(stdout, "{complaint}").map_err(Fatal::Output)?;
    }
    stdout.flush().map_err(Fatal::Output)?;
    Ok(complaints.is_empty())
}

/// A server as a separate process, whose threads and memory nobody else uses.
struct Server {
    child: Child,
    /// Kept open: the server has its report to write.
    _stdout: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Server {
    fn start(pool: &str, both: &Both) -> Result<Self, Fatal> {
        let mut command = Command::new(env::current_exe().map_err(Fatal::Server)?);
        let mut option = |name: &str, value: String| {
            command.args([name, &value]);
        };
        option("--listen", "127.0.0.1:0".into());
        option("--pool", pool.into());
        if pool != "spawn-blocking" {
            option("--max", both.max.to_string());
            option("--mailbox", both.mailbox.to_string());
        }
        option("--runtime-threads", both.runtime_threads.to_string());
        option("--work-ms", (both.work.as_secs_f64() * 1e3).to_string());
        option("--error-every", both.error_every.to_string());
        option("--panic-every", both.panic_every.to_string());
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Fatal::Server)?;
        let mut line = String::new();
        let stdout = child.stdout.take().map(|stdout| {
            let mut stdout = BufReader::new(stdout);
            stdout.read_line(&mut line).map(|_| stdout)
        });
        let stdout = stdout
            .unwrap_or_else(|| Err(io::ErrorKind::BrokenPipe.into()))
            .map_err(Fatal::Server)?;
        let address = line.trim_end().strip_prefix("listening: http://");
        let address = address.and_then(|address| address.parse().ok());
        match address {
            Some(address) => Ok(Server {
                child,
                _stdout: stdout,
                address,
            }),
            None => {
                drop(stdout); // Anything else it prints goes nowhere, so it ends.
                let ended = child.wait().map_err(Fatal::Server)?;
                Err(Fatal::NoAddress {
                    said: line,
                    code: ended.code(),
                })
            }
        }
    }

    /// Asks it to end; true if it then did well.
    fn stop(&mut self) -> Result<bool, Fatal> {
        let kill = format!("kill -TERM {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status();
        let status = status.map_err(Fatal::Server)?;
        let ended = self.child.wait().map_err(Fatal::Server)?;
        Ok(status.success() && ended.success())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok(); // Unless it has ended.
        self.child.wait().ok();
    }
}

/// The outcomes of the requests, and their cost.
#[derive(Debug, Default)]
struct Row {
    /// As the clients count, in the order of [`STATUSES`].
    answers: [usize; 4],
    /// The first answer that is none of these.
    strange: Option<Answer>,
    without: usize,
    /// Of the answers that a work has given.
    latencies: Vec<Duration>,
    threads: u64,
    peak_kib: u64,
    /// `/stats` of the server, at the end.
    stats: String,
}

/// All connections are there before the first request is sent.
async fn measure(server: &Server, both: &Both, load: &Load) -> Result<Row, Fatal> {
    let mut row = Row::default();
    // Those who leave come evenly among the others.
    let stay = (0..load.requests).map(|id| (share(id, load.requests), id, PATIENCE));
    let leave = (0..load.leave).map(|index| {
        let id = load.requests + index;
        (share(index, load.leave), id, both.work / 2)
    });
    let mut askers: Vec<(f64, usize, Duration)> = stay.chain(leave).collect();
    askers.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut clients = Vec::new();
    for _ in &askers {
        let client = Client::connect(server.address).await;
        clients.push(client.map_err(Fatal::Connect)?);
    }

    let start = Instant::now();
    let (mut answers, mut left) = (JoinSet::new(), JoinSet::new());
    for ((share, id, patience), mut client) in askers.into_iter().zip(clients) {
        let due = start + load.over.mul_f64(share);
        let set = match id < load.requests {
            true => &mut answers,
            false => &mut left,
        };
        set.spawn(async move {
            sleep_until(due).await;
            let answer = timeout(patience, client.get(&format!("/call/{id}"))).await;
            // From when it was due: a client that is late does not flatter the server. The drop of
            // the client, just behind, hangs up.
            (answer, due.elapsed())
        });
    }

    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            answer = answers.join_next() => match answer {
                Some(Ok((Ok(Ok(answer)), latency))) => row.add(answer, latency),
                Some(_) => row.without += 1,
                None => break,
            },
            _ = clock.tick() => row.look(server)?,
        }
    }
    while left.join_next().await.is_some() {}
    row.look(server)?;
    row.stats = settled(server.address).await.map_err(Fatal::Figures)?;
    Ok(row)
}

/// How far an index is on the way to a count.
fn share(index: usize, count: usize) -> f64 {
    index as f64 / count as f64
}

/// The server's figures, as soon as no request is under way; or else as they are then.
async fn settled(address: SocketAddr) -> io::Result<String> {
    let begun = Instant::now();
    let mut clock = interval(Duration::from_millis(5));
    loop {
        let stats = Client::connect(address).await?.get("/stats").await?.text;
        if unaccounted(&stats) == 0 || begun.elapsed() > PATIENCE {
            return Ok(stats);
        }
        clock.tick().await;
    }
}

/// The requests of which the server does not say what became of them.
fn unaccounted(stats: &str) -> u64 {
    let count = |name: &str| figure(stats, name).unwrap_or(0);
    let answers = STATUSES.map(|status| count(&format!("answers_{status}")));
    let ended = answers.iter().sum::<u64>() + count("gone");
    count("requests").abs_diff(ended)
}

impl Row {
    fn add(&mut self, answer: Answer, latency: Duration) {
        match STATUSES.iter().position(|status| *status == answer.status) {
            Some(index) => {
                self.answers[index] += 1;
                if answer.status != 503 {
                    self.latencies.push(latency);
                }
            }
            None => {
                self.strange.get_or_insert(answer);
            }
        }
    }

    fn look(&mut self, server: &Server) -> Result<(), Fatal> {
        let id = server.child.id();
        let threads = process::threads(id).map_err(Fatal::Figures)?;
        self.threads = self.threads.max(threads);
        self.peak_kib = process::peak_kib(id).map_err(Fatal::Figures)?;
        Ok(())
    }

    fn line(&self, pool: &str) -> String {
        let [ok, failed, panicked, refused] = self.answers;
        let count = |name: &str| figure(&self.stats, name).unwrap_or(0);
        let (gone, calls) = (count("gone"), count("calls"));
        let mebibytes = self.peak_kib as f64 / 1024.0;
        let p99 = percentile(&self.latencies, 0.99).map_or("-".into(), |latency| {
            format!("{:.0}", latency.as_secs_f64() * 1e3)
        });
        format!(
            "| {pool} | {ok} | {failed} | {panicked} | {refused} | {} | {gone} | {calls} | {} | {mebibytes:.1} | {p99} |\n",
            self.without, self.threads,
        )
    }

    /// The rules that the load has broken.
    fn complaints(&self, pool: &str, load: &Load) -> Vec<String> {
        let mut complaints = Vec::new();
        if self.without > 0 {
            complaints.push(format!("{pool}: {} without an answer", self.without));
        }
        if let Some(strange) = &self.strange {
            complaints.push(format!("{pool}: a strange answer: {strange:?}"));
        }
        let unaccounted = unaccounted(&self.stats);
        if unaccounted > 0 {
            complaints.push(format!("{pool}: {unaccounted} unaccounted for"));
        }
        for (status, here) in STATUSES.into_iter().zip(self.answers) {
            let there = figure(&self.stats, &format!("answers_{status}")).unwrap_or(0);
            // Answers to those who left were sent to nobody.
            let agrees = there == here as u64 || (load.leave > 0 && there > here as u64);
            if !agrees {
                complaints.push(format!("{pool}: {status}: {here} here, {there} there"));
            }
        }
        complaints
    }
}

/// The smallest value that is no less than this share of them.
fn percentile(values: &[Duration], share: f64) -> Option<Duration> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&values, 0.99), Some(Duration::from_millis(198)));
        assert_eq!(percentile(&values, 0.0), Some(Duration::from_millis(1)));
        assert_eq!(percentile(&values[..1], 0.99), Some(values[0]));
        assert_eq!(percentile(&[], 0.99), None);
    }

    #[test]
    fn a_request_without_an_outcome_is_seen() {
        let stats = "answers_200 3\nanswers_422 1\ngone 1\nrequests 6\n";
        assert_eq!(unaccounted(stats), 1);
        assert_eq!(unaccounted(&stats.replace("gone 1", "gone 2")), 0);
    }
}
