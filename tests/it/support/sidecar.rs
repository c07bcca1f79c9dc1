//! The product, in this process, between the scripted app and the clients: real sockets, a clock that the test moves.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use tagalong::app::App;
use tagalong::clock::Clock;
use tagalong::config;
use tagalong::config::Config;
use tagalong::config::Listen;
use tagalong::model::mistake::Mistake;
use tagalong::model::time::Timestamp;
use tempfile::TempDir;

use super::Certificate;
use super::Client;
use super::Origin;
use super::client::post;
use super::reply::reply;
use super::soon;

/// Where the manual clock of every sidecar starts.
const START: Timestamp = Timestamp::from_secs(2_000_000_000);

/// The path behind [`Sidecar::inc`], named by no rule: a successful POST also increments the implicit tag of its own URI.
const INC: &str = "/inc";

/// The date that is so many seconds after the start of every sidecar's clock, or before it, as fields spell it.
pub(crate) fn date(seconds: i64) -> String {
    let at = START.as_secs().saturating_add_signed(seconds);
    Timestamp::from_secs(at).to_string()
}

/// App, sidecar with these items of `rules:` or none, and a client.
pub(crate) async fn stage(rules: &str) -> (Origin, Sidecar, Client) {
    let app = Origin::start().await;
    let setup = Setup::new(&app);
    let setup = if rules.is_empty() {
        setup
    } else {
        setup.rules(rules)
    };
    let sidecar = setup.start().await;
    let client = sidecar.client();
    (app, sidecar, client)
}

/// Several in front of one app, set up alike and on the machine's clock. With a store in common they are one cache: the
/// namespace is the same unless `setup` gives each another.
pub(crate) async fn sidecars<const N: usize>(
    origin: &Origin,
    setup: impl Fn(Setup) -> Setup,
) -> [Sidecar; N] {
    let one = |_| setup(Setup::new(origin).real_time()).start();
    let started = join_all(std::array::from_fn::<_, N, _>(one)).await;
    match started.try_into() {
        Ok(sidecars) => sidecars,
        Err(_) => unreachable!("as many were started"),
    }
}

/// A running sidecar. Dropped, it ends with the test's runtime.
pub(crate) struct Sidecar {
    app: App,
    /// Stands still unless the test moves it, or it is the machine's.
    pub(crate) clock: Clock,
    /// Holds the files and unix sockets.
    folder: TempDir,
}

/// What differs from the default setting of the stories.
pub(crate) struct Setup {
    upstream: String,
    /// Items of the list, as YAML.
    listen: Vec<String>,
    config: String,
    /// Fields of `store.redis`, as in a flow mapping.
    redis: Option<String>,
    /// `store.memory.max_bytes`.
    memory: Option<usize>,
    rules: Option<String>,
    clock: Clock,
    folder: TempDir,
}

impl Sidecar {
    /// In front of `origin`, without a rule.
    pub(crate) async fn plain(origin: &Origin) -> Sidecar {
        Setup::new(origin).start().await
    }

    /// In front of `origin`, with these items of `rules:`.
    pub(crate) async fn with_rules(origin: &Origin, rules: &str) -> Sidecar {
        Setup::new(origin).rules(rules).start().await
    }

    /// A client of its first TCP listener.
    pub(crate) fn client(&self) -> Client {
        Client::tcp(self.address())
    }

    /// A client of its admin interface.
    pub(crate) fn admin(&self) -> Client {
        let address = self.admin_address().expect("it has an admin interface");
        Client::tcp(SocketAddr::from(([127, 0, 0, 1], address.port()))).at("localhost")
    }

    /// What it says should be looked at, by code.
    pub(crate) async fn reasons(&self) -> BTreeMap<String, String> {
        let ready = self.admin().get("/readyz").await;
        ready.has_status(200);
        let said: serde_json::Value = serde_json::from_slice(&ready.body).expect("JSON");
        let reasons = said["reasons"].as_array().expect("a list of reasons");
        let text = |reason: &serde_json::Value, field: &str| {
            reason[field].as_str().expect("a text").to_owned()
        };
        reasons
            .iter()
            .map(|reason| (text(reason, "code"), text(reason, "message")))
            .collect()
    }

    /// Where its admin interface listens.
    pub(crate) fn admin_address(&self) -> Option<SocketAddr> {
        self.app.admin_address()
    }

    /// Its first TCP listener.
    pub(crate) fn address(&self) -> SocketAddr {
        let tcp = |listening: &Listen| match listening {
            Listen::Tcp(address) => Some(*address),
            Listen::Tls(..) | Listen::Unix(_) => None,
        };
        let addresses = self.app.addresses();
        addresses.iter().find_map(tcp).expect("it listens on TCP")
    }

    /// Its first TLS listener.
    pub(crate) fn tls_address(&self) -> SocketAddr {
        let tls = |listening: &Listen| match listening {
            Listen::Tls(address, _) => Some(*address),
            Listen::Tcp(_) | Listen::Unix(_) => None,
        };
        let addresses = self.app.addresses();
        addresses.iter().find_map(tls).expect("it listens with TLS")
    }

    /// A client of its first unix socket.
    pub(crate) fn unix_client(&self) -> Client {
        let unix = |listening: &Listen| match listening {
            Listen::Unix(path) => Some(path.clone()),
            Listen::Tcp(_) | Listen::Tls(..) => None,
        };
        let addresses = self.app.addresses();
        Client::unix(
            addresses
                .iter()
                .find_map(unix)
                .expect("it listens on a path"),
        )
    }

    /// `INC X` of the stories: a POST whose answer increments these tags, waited for.
    #[track_caller]
    pub(crate) fn inc(&self, tags: &str) -> impl Future<Output = ()> + use<> {
        let client = self.client();
        let request = post(INC).with("X-Increment", tags);
        async move {
            let answer = client.ask(request).await;
            answer
                .has_status(200)
                .is_method()
                .has_no_field("cache-tag-increment");
        }
    }

    /// Writes one of its files anew, such as `rules/rules.yaml`.
    pub(crate) fn write(&self, name: &str, text: &str) {
        put(&self.folder.path().join(name), text);
    }

    /// Changes one of its files, and has all of them read again.
    pub(crate) fn edit(&self, name: &str, edit: impl FnOnce(&str) -> String) {
        let text = std::fs::read_to_string(self.folder.path().join(name)).expect("it has one");
        self.write(name, &edit(&text));
        self.app.reload();
    }

    /// Lets time pass until what its files say now shows in `seen`.
    pub(crate) async fn until(&self, what: &str, mut seen: impl AsyncFnMut() -> bool) {
        let looks = async {
            while !seen().await {
                self.clock.advance(Duration::from_millis(500));
            }
        };
        soon(what, looks).await;
    }

    /// Lets so many seconds pass.
    pub(crate) fn wait(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Lets so much time pass that a response which could not be stored is no longer expected of the next one (the default of
    /// `hit_for_miss`).
    pub(crate) fn forget_hit_for_miss(&self) {
        self.wait(10);
    }

    /// Comes back when everything sent to the sidecar before has had its turn there: requests of its own go all the way
    /// to the app and back, several times. A barrier for what shows outside in no other way, such as a follower that waits.
    pub(crate) async fn settle(&self) {
        for _ in 0..5 {
            self.inc("settled").await;
        }
    }

    /// Stops it: no new connections, what runs is finished within `drain`.
    pub(crate) async fn shutdown(self) {
        soon("the sidecar to stop", self.app.shutdown()).await;
    }
}

impl Setup {
    /// The default setting of the stories: memory store, port 0, no rule, a clock that stands still.
    pub(crate) fn new(origin: &Origin) -> Setup {
        origin.on(INC, |call| {
            let tags = call.field("x-increment").unwrap_or_default();
            reply("").header("Cache-Tag-Increment", tags)
        });
        Setup::in_front_of(&origin.url())
    }

    /// In front of whatever is, or is not, at this URL.
    pub(crate) fn in_front_of(url: &str) -> Setup {
        Setup {
            upstream: format!("url: \"{url}\""),
            listen: vec!["'127.0.0.1:0'".into()],
            config: String::new(),
            redis: None,
            memory: None,
            rules: None,
            clock: Clock::manual(START),
            folder: tempfile::tempdir().expect("room for a folder"),
        }
    }

    /// Items of `rules:`, in one file.
    pub(crate) fn rules(mut self, rules: &str) -> Setup {
        self.rules = Some(rules.into());
        self
    }

    /// One more file, such as `rules/jwks.json`.
    pub(crate) fn file(self, name: &str, text: &str) -> Setup {
        let path = self.folder.path().join(name);
        let folder = path.parent().expect("it is in a folder");
        std::fs::create_dir_all(folder).expect("room for a folder");
        put(&path, text);
        self
    }

    /// More fields of the configuration, at its top level.
    pub(crate) fn config(mut self, text: &str) -> Setup {
        self.config.push_str(text);
        self.config.push('\n');
        self
    }

    /// Shares the store at this URL; `store:` is then written here, and by no [`Setup::config`].
    pub(crate) fn redis(mut self, url: &str) -> Setup {
        self.redis = Some(format!("url: \"{url}\""));
        self
    }

    /// More fields of `store.redis`, as in a flow mapping.
    #[track_caller]
    pub(crate) fn redis_fields(mut self, fields: &str) -> Setup {
        let redis = self.redis.as_mut().expect("it has a store to share");
        redis.push_str(", ");
        redis.push_str(fields);
        self
    }

    /// On the machine's clock, as whoever shares a store with others must be: the store has no other. A test then waits for
    /// what must happen, never for a time.
    pub(crate) fn real_time(mut self) -> Setup {
        self.clock = Clock::System;
        self
    }

    /// On this clock.
    pub(crate) fn clock(mut self, clock: Clock) -> Setup {
        self.clock = clock;
        self
    }

    /// With so little memory, beside a shared store.
    pub(crate) fn memory(mut self, max_bytes: usize) -> Setup {
        self.memory = Some(max_bytes);
        self
    }

    /// More fields of `upstream:`, as in a flow mapping.
    pub(crate) fn upstream(mut self, fields: &str) -> Setup {
        self.upstream.push_str(", ");
        self.upstream.push_str(fields);
        self
    }

    /// Listens on a unix socket as well.
    pub(crate) fn on_unix_socket(mut self) -> Setup {
        let path = self.folder.path().join("sidecar.sock");
        self.listen.push(format!("'unix:{}'", path.display()));
        self
    }

    /// Listens with TLS as well.
    pub(crate) fn on_tls(self, certificate: &Certificate) -> Setup {
        self.on_tls_with(&certificate.pem, &certificate.key)
    }

    /// As [`Setup::on_tls`], with files of these contents.
    pub(crate) fn on_tls_with(mut self, certificate: &str, key: &str) -> Setup {
        put(&self.folder.path().join("certificate.pem"), certificate);
        put(&self.folder.path().join("key.pem"), key);
        let files = "{ cert_file: certificate.pem, key_file: key.pem }";
        self.listen
            .push(format!("{{ addr: '127.0.0.1:0', tls: {files} }}"));
        self
    }

    /// Reads the files and starts; fails, naming the mistakes, when they are wrong.
    pub(crate) async fn start(self) -> Sidecar {
        let config = match self.load() {
            Ok(config) => config,
            Err(mistakes) => panic!("the files are wrong:\n{}", listed(&mistakes)),
        };
        let started = soon("the start", App::start(config, self.clock.clone())).await;
        let app = match started {
            Ok(app) => app,
            Err(error) => panic!("it did not start: {error}"),
        };
        Sidecar {
            app,
            clock: self.clock,
            folder: self.folder,
        }
    }

    /// Why it does not start.
    pub(crate) async fn fails_to_start(self) -> String {
        let config = match self.load() {
            Ok(config) => config,
            Err(mistakes) => panic!("the files are wrong:\n{}", listed(&mistakes)),
        };
        match soon("the start", App::start(config, self.clock)).await {
            Ok(_) => panic!("it should not start"),
            Err(error) => error.to_string(),
        }
    }

    /// What is wrong with the files, a line per mistake.
    #[track_caller]
    pub(crate) fn mistakes(self) -> String {
        match self.load() {
            Ok(_) => panic!("the files should be wrong"),
            Err(mistakes) => listed(&mistakes),
        }
    }

    fn load(&self) -> Result<Config, Vec<Mistake>> {
        let (config, _) = self.write();
        config::load(&config)
    }

    /// Writes the files; where the configuration is, and where the rules are.
    pub(crate) fn write(&self) -> (PathBuf, PathBuf) {
        let rules = self.folder.path().join("rules");
        let config = self.folder.path().join("tagalong.yaml");
        let mut text = format!("upstream: {{ {} }}\n", self.upstream);
        let listen = self.listen.join(", ");
        text.push_str(&format!("listen: [{listen}]\n{}", self.config));
        if let Some(fields) = &self.redis {
            text.push_str(&format!("store:\n  redis: {{ {fields} }}\n"));
            if let Some(bytes) = self.memory {
                text.push_str(&format!("  memory: {{ max_bytes: {bytes} }}\n"));
            }
        }
        if let Some(items) = &self.rules {
            std::fs::create_dir_all(&rules).expect("room for a folder");
            put(&rules.join("rules.yaml"), &format!("rules:\n{items}"));
            text.push_str(&format!("rules: {:?}\n", rules.display().to_string()));
        }
        put(&config, &text);
        (config, rules)
    }
}

fn put(path: &Path, text: &str) {
    std::fs::write(path, text).expect("room for a file");
}

fn listed(mistakes: &[Mistake]) -> String {
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
