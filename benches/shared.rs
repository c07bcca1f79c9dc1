//! What tags cost that sidecars share: increments per second, how soon others hear of them, what looks at the store take, and
//! how much memory it all needs there. Starts a Redis of its own; through the library's own path, in one process with it all.
//!
//! Prints a table: `make bench-shared`.

#![expect(
    clippy::disallowed_methods,
    reason = "measures the time that really passes"
)]

use std::fmt::Write as _;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use redis::Connection;
use tagalong::clock::Clock;
use tagalong::metrics::{Metrics, Source};
use tagalong::model::tag::{Increment, Tag, Tagged};
use tagalong::shared;
use tagalong::shared::Store;
use tagalong::tags::{News, Sharing, Tags};
use tempfile::TempDir;
use tokio::task::JoinSet;

const NAMESPACE: &str = "bench";
const FOLLOWERS: usize = 50;
/// How long each rate is held.
const WHILE: Duration = Duration::from_secs(4);
const CALLS: usize = 5_000;
const TAGS: usize = 10_000;
const LIFE: Duration = Duration::from_secs(3_600);
/// Nothing is given up here, however busy the machine is: what is late is to show in the times.
const PATIENCE: Duration = Duration::from_secs(20);

/// A Redis that saves nothing, and ends with this.
struct Server {
    child: Child,
    url: String,
    _folder: TempDir,
}

impl Server {
    /// `None`: there is no program.
    fn start() -> Option<Server> {
        let folder = tempfile::tempdir().expect("room for a folder");
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("it is bound").port();
        drop(free);
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--port", &port.to_string(), "--dir"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        let url = format!("redis://127.0.0.1:{port}");
        let server = Server {
            child,
            url,
            _folder: folder,
        };
        let since = Instant::now();
        while server.try_connect().is_err() {
            assert!(since.elapsed() < Duration::from_secs(10), "no answer");
            std::thread::yield_now();
        }
        Some(server)
    }

    fn try_connect(&self) -> redis::RedisResult<Connection> {
        redis::Client::open(self.url.as_str())?.get_connection()
    }

    fn number(&self, command: &[&str]) -> u64 {
        let mut connection = self.try_connect().expect("it runs");
        let mut asked = redis::cmd(command.first().expect("a command"));
        asked.arg(command.get(1..).unwrap_or_default());
        asked.query(&mut connection).expect("a number")
    }

    fn info(&self, section: &str, name: &str) -> String {
        let mut connection = self.try_connect().expect("it runs");
        let text: String = redis::cmd("INFO")
            .arg(section)
            .query(&mut connection)
            .expect("it answers");
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(found, _)| *found == name);
        found.map(|(_, value)| value.to_owned()).expect("it says")
    }

    fn used(&self) -> u64 {
        self.info("memory", "used_memory").parse().expect("bytes")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("the server may still run: {error}");
        }
    }
}

/// As much of a sidecar as knows tags.
struct Sidecar {
    tags: Arc<Tags>,
    _following: JoinSet<()>,
}

/// A sidecar's tags, in touch with the store, for as long as this is kept.
async fn sidecar(server: &Server, tell: impl Fn(News) + Send + Sync + 'static) -> Sidecar {
    let config = shared::Config {
        endpoint: server.url.parse().expect("a URL"),
        timeout: PATIENCE,
    };
    let sharing = Sharing {
        store: Store::new(config, NAMESPACE, false, Clock::System),
        max_lag: PATIENCE,
        outbox: 1_000_000,
        epoch: 1,
        metrics: Metrics::default(),
    };
    let tags = Arc::new(Tags::shared(Clock::System, sharing));
    let followed = Arc::clone(&tags);
    let mut following = JoinSet::new();
    let tell = move |news| {
        tell(news);
        std::future::ready(())
    };
    following.spawn(async move { followed.follow(tell).await });
    tags.in_touch().await;
    Sidecar {
        tags,
        _following: following,
    }
}

fn tag(text: &str) -> Tag {
    Tag::parse(text).expect("a tag")
}

fn by() -> Arc<str> {
    "POST /users/42".into()
}

/// Times, once they are all there.
struct Times(Vec<Duration>);

impl Times {
    fn of(mut times: Vec<Duration>) -> Times {
        times.sort_unstable();
        Times(times)
    }

    fn part(&self, part: f64) -> Duration {
        let at = (self.0.len() as f64 * part) as usize;
        let last = self.0.len().saturating_sub(1);
        self.0.get(at.min(last)).copied().unwrap_or_default()
    }

    fn told(&self) -> String {
        let ms = |part| self.part(part).as_secs_f64() * 1e3;
        format!("{:.2} ms | {:.2} ms", ms(0.5), ms(0.99))
    }
}

/// Increments of so many tags each, by so many at once: a row.
async fn increments(tags: &Arc<Tags>, writers: usize, each: usize) -> String {
    let began = Instant::now();
    let writer = |writer: usize| {
        let tags = Arc::clone(tags);
        tokio::spawn(async move {
            let (mut times, mut deferred, by) = (Vec::new(), 0, by());
            while began.elapsed() < WHILE {
                let n = writer * 1_000 + times.len() % 100;
                let changes: Vec<Increment> = (0..each)
                    .map(|at| tag(&format!("User:{n}.{at}")).into())
                    .collect();
                let asked = Instant::now();
                let stamp = tags.increment(&changes, &by, Source::Response).await;
                deferred += usize::from(stamp.is_none());
                times.push(asked.elapsed());
            }
            (times, deferred)
        })
    };
    let running: Vec<_> = (0..writers).map(writer).collect();
    let (mut times, mut deferred) = (Vec::new(), 0);
    for one in running {
        let (its, not_taken) = one.await.expect("no writer panics");
        times.extend(its);
        deferred += not_taken;
    }
    let rate = times.len() as f64 / began.elapsed().as_secs_f64();
    let late = match deferred {
        0 => String::new(),
        n => format!(" ({n} deferred)"),
    };
    let times = Times::of(times).told();
    format!("| {writers} | {each} | {rate:.0}{late} | {times} |")
}

/// How long increments are on their way to all followers, from the moment the writer asks: a row for each rate.
async fn delivery(server: &Server, rate: u32) -> String {
    let count = (WHILE.as_secs_f64() * f64::from(rate)) as usize;
    let sent: Arc<Vec<OnceLock<Instant>>> = Arc::new((0..count).map(|_| OnceLock::new()).collect());
    let arrived = Arc::new(Mutex::new(Vec::with_capacity(count * FOLLOWERS)));
    let mut followers = Vec::new();
    for _ in 0..FOLLOWERS {
        let (sent, arrived) = (Arc::clone(&sent), Arc::clone(&arrived));
        // One writer, one record each, in order: the nth that is heard is the nth that was sent.
        let heard = AtomicUsize::new(0);
        let tell = move |news| {
            if news == News::Changed {
                let n = heard.fetch_add(1, Ordering::Relaxed);
                let asked = sent.get(n).and_then(OnceLock::get).expect("it was sent");
                let mut arrived = arrived.lock().expect("nobody panics with it");
                arrived.push(asked.elapsed());
            }
        };
        followers.push(sidecar(server, tell).await);
    }
    let writer = sidecar(server, |_| {}).await;
    let mut tick = tokio::time::interval(Duration::from_secs(1) / rate);
    let mut calls = JoinSet::new();
    for (n, asked) in sent.iter().enumerate() {
        tick.tick().await;
        asked.set(Instant::now()).expect("once");
        // In this order: it stands in the outbox when the first poll is over.
        let (writer, by) = (Arc::clone(&writer.tags), by());
        let mut call = Box::pin(async move {
            let change = [Increment::from(tag(&format!("Sent:{}", n % 100)))];
            writer.increment(&change, &by, Source::Response).await
        });
        if futures_util::poll!(&mut call).is_pending() {
            calls.spawn(call);
        }
    }
    while let Some(landed) = calls.join_next().await {
        assert!(landed.expect("no call panics").is_some(), "it was deferred");
    }
    let all = count * FOLLOWERS;
    let since = Instant::now();
    let len = || arrived.lock().expect("nobody panics with it").len();
    while len() < all {
        assert!(since.elapsed() < Duration::from_secs(30), "not all arrived");
        tokio::task::yield_now().await;
    }
    let times = std::mem::take(&mut *arrived.lock().expect("nobody panics with it"));
    let times = Times::of(times);
    let worst = times.part(1.0).as_secs_f64() * 1e3;
    format!("| {rate} | {} | {worst:.2} ms |", times.told())
}

/// A row each: what a lookup of a rule with `consistency: strict` waits for, and what a response does that is stored.
async fn looks(tags: &Tags, each: usize) -> String {
    let carried = |n: usize| -> Vec<Tagged> {
        let name = |at| tag(&format!("Look:{n}.{at}")).into();
        (0..each).map(name).collect()
    };
    let (mut first, mut again, mut strict) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..CALLS {
        let carried = carried(n);
        let asked = Instant::now();
        tags.register(&carried, LIFE).await.expect("it is taken");
        first.push(asked.elapsed());
        let before = tags.snapshot();
        let asked = Instant::now();
        let known = tags.register(&carried, LIFE).await.expect("it is taken");
        again.push(asked.elapsed());
        let seals = tags.seal(&carried, &before, &known).expect("nothing races");
        let asked = Instant::now();
        assert!(tags.catch_up(Some(&seals), None).await, "it is reached");
        strict.push(asked.elapsed());
        assert!(seals.intact(), "nothing was changed");
    }
    let row = |what, times| format!("| {what} | {each} | {} |\n", Times::of(times).told());
    row("a lookup with `consistency: strict`", strict)
        + &row("a response is stored, its tags are known", again)
        + row("… are new", first).trim_end()
}

/// Rows: what the server needs for tags and for records.
async fn memory(server: &Server, tags: &Tags) -> String {
    let per = |before: u64, after: u64| (after.saturating_sub(before)) as f64 / TAGS as f64;
    let before = server.used();
    for n in 0..TAGS {
        let carried = [Tagged::from(tag(&format!("Room:{n:05}")))];
        tags.register(&carried, LIFE).await.expect("it is taken");
    }
    let of_tags = per(before, server.used());
    let key = format!("tagalong:{{{NAMESPACE}}}:tag:Room:00000");
    let one = server.number(&["MEMORY", "USAGE", &key]);
    let mut rows = format!("| a tag's key | {of_tags:.0} | {one} |\n");
    let log = format!("tagalong:{{{NAMESPACE}}}:log");
    for each in [1, 20] {
        let changes: Vec<Increment> = (0..each)
            .map(|at| tag(&format!("Room:{at:05}")).into())
            .collect();
        let whole = || server.number(&["MEMORY", "USAGE", &log, "SAMPLES", "0"]);
        let (before, log_before) = (server.used(), whole());
        for _ in 0..TAGS {
            let landed = tags.increment(&changes, &by(), Source::Response).await;
            assert!(landed.is_some(), "it was deferred");
        }
        let (of_records, of_log) = (per(before, server.used()), per(log_before, whole()));
        let s = if each == 1 { "" } else { "s" };
        let row = format!("| a record of {each} tag{s} | {of_records:.0} | {of_log:.0} |");
        writeln!(rows, "{row}").expect("text takes it");
    }
    rows.trim_end().to_owned()
}

async fn run(server: &Server) {
    println!("Redis {}\n", server.info("server", "redis_version"));
    println!(
        "| what the store holds | bytes, by `used_memory` | by `MEMORY USAGE` |\n|---|---|---|"
    );
    let one = sidecar(server, |_| {}).await;
    println!("{}\n", memory(server, &one.tags).await);
    println!("| waits for the store | tags | p50 | p99 |\n|---|---|---|---|");
    for each in [1, 20] {
        println!("{}", looks(&one.tags, each).await);
    }
    println!("\n| writers | tags each | increments/s | p50 | p99 |\n|---|---|---|---|---|");
    for (writers, each) in [(1, 1), (1, 20), (64, 1), (64, 20)] {
        println!("{}", increments(&one.tags, writers, each).await);
    }
    println!("\n| increments/s | p50 | p99 | most |\n|---|---|---|---|");
    for rate in [10, 100, 500] {
        println!("{}", delivery(server, rate).await);
    }
}

fn main() {
    let Some(server) = Server::start() else {
        println!("skipped: there is no `redis-server`");
        return;
    };
    let runtime = tokio::runtime::Runtime::new().expect("room for a runtime");
    runtime.block_on(run(&server));
}
