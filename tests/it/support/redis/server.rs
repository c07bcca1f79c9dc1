//! One Redis server: what a test asks of it, and what a test does to it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::MutexGuard;

use tempfile::TempDir;

use crate::support::Certificate;
use crate::support::soon;

use super::port::Port;
use super::process::Process;
use super::resp::Connection;
use super::resp::Reply;
use super::room::Room;
use super::until;

/// The user by which tests ask a server that has users.
const TESTS: &str = "tests";

/// A server that saves nothing. Dropped, it is killed and its folder removed.
pub(crate) struct Redis {
    port: Port,
    tls: Option<Port>,
    bus: Option<Port>,
    arguments: &'static [&'static str],
    configuration: String,
    has_users: bool,
    /// `None` while it is killed.
    process: Mutex<Option<Process>>,
    folder: TempDir,
    _room: Option<Room>,
}

/// What differs from a server that anybody may use.
#[derive(Default)]
pub(crate) struct RedisSetup {
    /// More lines of its configuration.
    lines: String,
    has_users: bool,
    certificate: Option<(String, String)>,
    socket: bool,
    sentinel: bool,
    cluster: bool,
}

impl Redis {
    pub(crate) fn setup() -> RedisSetup {
        RedisSetup::default()
    }

    pub(crate) async fn start() -> Redis {
        Redis::setup().start().await
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.number
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port())
    }

    /// With a user's name and password.
    pub(crate) fn url_of(&self, name: &str, password: &str) -> String {
        format!("redis://{name}:{password}@127.0.0.1:{}", self.port())
    }

    /// With TLS; its certificate is for this address.
    #[track_caller]
    pub(crate) fn tls_url(&self) -> String {
        let port = self.tls.as_ref().expect("it was set up with TLS");
        format!("rediss://127.0.0.1:{}", port.number)
    }

    /// Where its unix socket is, if it was set up with one.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// A connection of its own, for what needs one, such as MONITOR.
    pub(crate) async fn connect(&self) -> Connection {
        let opened = soon("a connection to Redis", self.open()).await;
        opened.expect("it accepts connections")
    }

    /// What it answers, errors too.
    pub(crate) async fn command<W: AsRef<[u8]>>(&self, command: &[W]) -> Reply {
        let mut connection = self.connect().await;
        let answer = soon("an answer of Redis", connection.ask(command)).await;
        answer.expect("it answers")
    }

    /// What it answers where no error is expected.
    pub(super) async fn ask(&self, command: &[&str]) -> Reply {
        let reply = self.command(command).await;
        assert!(
            !matches!(reply, Reply::Error(_)),
            "{:?}: {reply:?}",
            command.first()
        );
        reply
    }

    /// What it answers if it does: it may be going down or coming up.
    pub(super) async fn try_to_ask(&self, command: &[&str]) -> io::Result<Reply> {
        let answer = async { self.open().await?.ask(command).await };
        soon("an answer of Redis", answer).await
    }

    pub(crate) async fn config_set(&self, name: &str, value: &str) {
        self.ask(&["CONFIG", "SET", name, value]).await;
    }

    pub(crate) async fn flush_all(&self) {
        self.ask(&["FLUSHALL", "SYNC"]).await;
    }

    /// Makes it answer NOSCRIPT to every EVALSHA.
    pub(crate) async fn forget_scripts(&self) {
        self.ask(&["SCRIPT", "FLUSH", "SYNC"]).await;
    }

    /// All keys, in order.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let (mut keys, mut cursor) = (Vec::new(), "0".to_owned());
        loop {
            let reply = self.ask(&["SCAN", &cursor, "COUNT", "1000"]).await;
            let [next, found] = reply.list() else {
                panic!("no cursor and keys: {reply:?}");
            };
            keys.extend(found.texts());
            cursor = next.text();
            if cursor == "0" {
                break;
            }
        }
        keys.sort();
        keys.dedup(); // a scan may name one twice
        keys
    }

    /// The fields of a section of INFO.
    pub(crate) async fn info(&self, section: &str) -> BTreeMap<String, String> {
        fields(&self.ask(&["INFO", section]).await.text())
    }

    /// How often each command was called, the test's own calls too, by names such as `get` and `config|set`.
    pub(crate) async fn command_stats(&self) -> BTreeMap<String, u64> {
        let calls = |(name, stats): (String, String)| {
            let name = name.strip_prefix("cmdstat_")?.to_owned();
            let calls = stats.strip_prefix("calls=")?.split(',').next()?;
            Some((name, calls.parse().ok()?))
        };
        let stats = self.info("commandstats").await;
        stats.into_iter().filter_map(calls).collect()
    }

    /// Stops it where it is: connections stay, nothing is answered.
    #[track_caller]
    pub(crate) fn pause(&self) {
        self.process().as_ref().expect("it runs").pause();
    }

    #[track_caller]
    pub(crate) fn resume(&self) {
        self.process().as_ref().expect("it runs").resume();
    }

    /// Ends it at once. Its port stays its own.
    pub(crate) fn kill(&self) {
        *self.process() = None;
    }

    /// Kills it if it runs, and starts it anew on the same port, with nothing in it.
    pub(crate) async fn restart_empty(&self) {
        self.kill();
        self.run().await;
    }

    async fn open(&self) -> io::Result<Connection> {
        let mut connection = Connection::open(self.port.address()).await?;
        if self.has_users {
            let reply = connection.ask(&["AUTH", TESTS, TESTS]).await?;
            assert_eq!(reply.text(), "OK");
        }
        Ok(connection)
    }

    /// Starts it and waits until it answers.
    async fn run(&self) {
        let path = self.folder.path().join("redis.conf");
        fs::write(&path, &self.configuration).expect("room for a file");
        let path = path.display().to_string();
        let arguments = [&[path.as_str()], self.arguments].concat();
        let started = Process::start(&arguments, &self.folder.path().join("output"));
        let line = format!("process_id:{}\r\n", started.id());
        *self.process() = Some(started);
        let answers = async || {
            if let Some(status) = self.process().as_mut().and_then(Process::ended) {
                panic!(
                    "Redis ended at once ({status}); where it is missing, `scripts/setup.sh test` installs it:\n{}",
                    self.said()
                );
            }
            // Its own answer, not that of another server.
            match self.try_to_ask(&["INFO", "server"]).await {
                Ok(Reply::Text(info)) => info.windows(line.len()).any(|at| at == line.as_bytes()),
                Ok(_) | Err(_) => false, // not yet
            }
        };
        soon(
            "Redis to start",
            until(super::AGREEMENT, "an answer", answers),
        )
        .await;
    }

    /// The end of what it has said, for who reads of a failure.
    fn said(&self) -> String {
        let files = ["output", "redis.log"].map(|name| self.folder.path().join(name));
        let texts = files.map(|file| fs::read_to_string(file).unwrap_or_default());
        let lines: Vec<&str> = texts.iter().flat_map(|text| text.lines()).collect();
        let last = lines.len().saturating_sub(20);
        lines[last..].join("\n")
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().expect("nobody panics holding it")
    }

    /// Where the nodes of a Cluster talk.
    pub(super) fn bus(&self) -> String {
        let bus = self.bus.as_ref().expect("it is one of a Cluster");
        bus.number.to_string()
    }
}

impl RedisSetup {
    /// One more user, with rights as `ACL SETUSER` takes them, such as `~shop:* +@all`. From then on nobody else may do anything.
    pub(crate) fn user(mut self, name: &str, password: &str, rights: &str) -> RedisSetup {
        if !self.has_users {
            self.has_users = true;
            self = self
                .line("user default off")
                .line(&format!("user {TESTS} on >{TESTS} ~* &* +@all"));
        }
        self.line(&format!("user {name} on >{password} {rights}"))
    }

    /// Listens with TLS as well.
    pub(crate) fn tls(mut self, certificate: &Certificate) -> RedisSetup {
        self.certificate = Some((certificate.pem.clone(), certificate.key.clone()));
        self
    }

    /// How many bytes it holds (`4mb`), and what it does about more (`noeviction`, `allkeys-lru`).
    pub(crate) fn max_memory(self, limit: &str, policy: &str) -> RedisSetup {
        self.line(&format!("maxmemory {limit}"))
            .line(&format!("maxmemory-policy {policy}"))
    }

    /// Listens on a unix socket as well.
    pub(crate) fn unix_socket(mut self) -> RedisSetup {
        self.socket = true;
        self
    }

    /// A Sentinel; `line` tells it what to monitor.
    pub(super) fn sentinel(mut self) -> RedisSetup {
        self.sentinel = true;
        self
    }

    /// A node of a Cluster.
    pub(super) fn cluster(mut self) -> RedisSetup {
        self.cluster = true;
        self
    }

    /// One more line of its configuration.
    pub(super) fn line(mut self, line: &str) -> RedisSetup {
        self.lines.push_str(line);
        self.lines.push('\n');
        self
    }

    pub(crate) async fn start(self) -> Redis {
        let room = Room::for_processes(1).await;
        self.start_in(Some(room)).await
    }

    /// As one of several that have found room together.
    pub(super) async fn start_in(self, room: Option<Room>) -> Redis {
        let folder = tempfile::tempdir().expect("room for a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let put = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).expect("room for a file");
        };
        let port = Port::hold();
        let mut configuration = format!(
            "bind 127.0.0.1\nport {}\ndir \"{}\"\nlogfile redis.log\n",
            port.number,
            folder.path().display()
        );
        let mut add = |line: String| {
            configuration.push_str(&line);
            configuration.push('\n');
        };
        if !self.sentinel {
            add("save \"\"\nappendonly no".into());
        }
        let tls = self.certificate.map(|(certificate, key)| {
            let port = Port::hold();
            put("certificate.pem", &certificate);
            put("key.pem", &key);
            add(format!("tls-port {}\ntls-auth-clients no", port.number));
            add(format!("tls-cert-file \"{}\"", path("certificate.pem")));
            add(format!("tls-key-file \"{}\"", path("key.pem")));
            port
        });
        if self.socket {
            add(format!("unixsocket \"{}\"", path("redis.sock")));
        }
        let bus = self.cluster.then(|| {
            let port = Port::hold();
            add(format!("cluster-enabled yes\ncluster-port {}", port.number));
            port
        });
        add(self.lines);
        let redis = Redis {
            port,
            tls,
            bus,
            arguments: if self.sentinel { &["--sentinel"] } else { &[] },
            configuration,
            has_users: self.has_users,
            process: Mutex::new(None),
            folder,
            _room: room,
        };
        redis.run().await;
        redis
    }
}

/// Lines of `name:value`.
pub(super) fn fields(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
