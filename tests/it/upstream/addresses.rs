//! Several addresses of one app: turns, one that dies, one that is ill, one that comes back.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicU16;

use tagalong::upstream::{Health, Target};
use tempfile::TempDir;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::task::{JoinHandle, JoinSet};

use super::*;

/// What an app is asked for when it is checked.
const CHECKED: &str = "/health";
/// An app closes the connection on which it is asked for this.
const DEADLY: &str = "/deadly";
/// In place of a status: no answer at all.
const SILENT: u16 = 0;

/// An app on a socket that answers with its name.
struct App {
    socket: PathBuf,
    state: Arc<State>,
    running: Option<JoinHandle<()>>,
}

struct State {
    name: &'static str,
    /// How it answers when it is checked.
    health: AtomicU16,
    checks: AtomicUsize,
    /// Methods and paths, without the checks.
    seen: Mutex<Vec<String>>,
}

impl App {
    fn start(folder: &TempDir, name: &'static str) -> App {
        let mut app = App {
            socket: folder.path().join(name),
            state: Arc::new(State {
                name,
                health: AtomicU16::new(200),
                checks: AtomicUsize::new(0),
                seen: Mutex::default(),
            }),
            running: None,
        };
        app.revive();
        app
    }

    fn revive(&mut self) {
        let listener = UnixListener::bind(&self.socket).unwrap();
        let state = Arc::clone(&self.state);
        self.running = Some(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, Arc::clone(&state)));
            }
        }));
    }

    /// Closes its connections and its socket; the next to connect is refused.
    async fn die(&mut self) {
        let running = self.running.take().unwrap();
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
        std::fs::remove_file(&self.socket).unwrap();
    }

    fn feels(&self, health: u16) {
        self.state.health.store(health, Ordering::SeqCst);
    }

    fn seen(&self) -> Vec<String> {
        self.state.seen.lock().unwrap().clone()
    }

    /// Waits until it has been checked `times`.
    async fn checked(&self, times: usize) {
        while self.state.checks.load(Ordering::SeqCst) < times {
            tokio::task::yield_now().await;
        }
    }
}

async fn serve(stream: UnixStream, state: Arc<State>) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read);
    while let Some((request, length)) = head(&mut lines).await {
        let mut body = vec![0; length];
        if lines.read_exact(&mut body).await.is_err() {
            return;
        }
        let is_check = request.ends_with(CHECKED);
        let mut status = 200;
        if is_check {
            status = state.health.load(Ordering::SeqCst);
        } else {
            let deadly = request.ends_with(DEADLY);
            state.seen.lock().unwrap().push(request);
            if deadly {
                return;
            }
        }
        if status == SILENT {
            std::future::pending::<()>().await;
        }
        let name = state.name;
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 1\r\n\r\n{name}");
        if write.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        if is_check {
            state.checks.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// The method and path of the next request, and the length of its body.
async fn head(from: &mut (impl AsyncBufRead + Unpin)) -> Option<(String, usize)> {
    let (mut request, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        from.read_line(&mut line).await.ok()?;
        match line.trim_end() {
            "" => return (!request.is_empty()).then_some((request, length)),
            line if request.is_empty() => {
                request = line.trim_end_matches(" HTTP/1.1").to_owned();
            }
            line => {
                if let Some(said) = line.to_lowercase().strip_prefix("content-length: ") {
                    length = said.parse().unwrap();
                }
            }
        }
    }
}

fn at(socket: &Path) -> Target {
    format!("unix:{}", socket.display()).parse().unwrap()
}

/// Checked by path; `interval` is an hour where the first check is to be the only one.
fn upstream(apps: [&App; 2], interval: Duration) -> Upstream {
    let [first, second] = apps.map(|app| at(&app.socket));
    let mut config = Config::new(first);
    config.targets.add(second).unwrap();
    config.connect_timeout = Duration::from_millis(250);
    config.health = Some(Health {
        path: Some(CHECKED.parse().unwrap()),
        interval,
    });
    Upstream::new(config, Clock::System)
}

const OFTEN: Duration = Duration::from_millis(50);
const ONCE: Duration = Duration::from_secs(3600);

async fn who(upstream: &Upstream, request: Request<Body>) -> String {
    text(upstream.ask(request).await.unwrap()).await
}

/// Asks until one of two answers twice running: the other one is left out.
async fn until_alone(upstream: &Upstream) -> String {
    let mut last = String::new();
    loop {
        let name = who(upstream, get("/")).await;
        if name == last {
            return name;
        }
        last = name;
    }
}

/// Asks until both take turns.
async fn until_both(upstream: &Upstream) {
    let mut last = who(upstream, get("/")).await;
    loop {
        let name = who(upstream, get("/")).await;
        if name != last {
            return;
        }
        last = name;
    }
}

#[tokio::test]
async fn requests_go_to_the_addresses_by_turns() {
    bounded(async {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (App::start(&folder, "a"), App::start(&folder, "b"));
        let upstream = upstream([&a, &b], ONCE);
        let mut names = String::new();
        for _ in 0..3 {
            names += &who(&upstream, get("/")).await;
            names += &who(&upstream, request(Method::POST, "/", "body")).await;
        }
        assert_eq!(names, "ababab");
        assert_eq!(a.seen(), ["GET /"; 3]);
        assert_eq!(b.seen(), ["POST /"; 3]);
    })
    .await;
}

#[tokio::test]
async fn without_a_word_about_health_several_addresses_are_checked_by_connecting() {
    bounded(async {
        let (first, second) = (Origin::start().await, Origin::start().await);
        let mut config = first.config();
        let address = second.listener.local_addr().unwrap();
        let second_target = format!("http://{address}").parse().unwrap();
        config.targets.add(second_target).unwrap();
        let _upstream = Upstream::new(config, Clock::System);
        for origin in [&first, &second] {
            assert!(origin.accept().await.closed().await.is_empty());
        }
    })
    .await;
}

#[tokio::test]
async fn an_address_that_dies_is_missed_by_nobody_and_comes_back() {
    bounded(async {
        let folder = tempfile::tempdir().unwrap();
        let (mut a, b) = (App::start(&folder, "a"), App::start(&folder, "b"));
        let upstream = upstream([&a, &b], OFTEN);
        until_both(&upstream).await;
        for _ in 0..2 {
            a.die().await;
            for _ in 0..20 {
                assert_eq!(who(&upstream, get("/")).await, "b");
            }
            assert_eq!(
                who(&upstream, request(Method::POST, "/", "body")).await,
                "b"
            );
            a.revive();
            until_both(&upstream).await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_not_sent_goes_to_the_next_address_whatever_it_is() {
    bounded(async {
        let folder = tempfile::tempdir().unwrap();
        let (mut a, b) = (App::start(&folder, "a"), App::start(&folder, "b"));
        let upstream = upstream([&a, &b], ONCE);
        // Nothing but the request itself tells that it has died.
        a.checked(1).await;
        a.die().await;
        for path in ["/1", "/2"] {
            let post = request(Method::POST, path, "body");
            assert_eq!(who(&upstream, post).await, "b");
        }
        assert_eq!(b.seen(), ["POST /1", "POST /2"]);
    })
    .await;
}

#[tokio::test]
async fn what_was_sent_is_repeated_elsewhere_only_if_that_is_safe() {
    bounded(async {
        for (method, retries, times) in [
            (Method::POST, 1, 1),
            (Method::GET, 1, 2),
            (Method::GET, 0, 1),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let (a, b) = (App::start(&folder, "a"), App::start(&folder, "b"));
            let mut config = Config::new(at(&a.socket));
            config.targets.add(at(&b.socket)).unwrap();
            config.retries = retries;
            let upstream = Upstream::new(config, Clock::System);
            let deadly = request(method.clone(), DEADLY, Body::empty());
            assert_eq!(failed(&upstream, deadly).await, UpstreamErrorKind::Reset);
            let seen = [a.seen(), b.seen()].concat();
            assert_eq!(seen, vec![format!("{method} {DEADLY}"); times]);
            assert_eq!(a.seen().len(), 1, "no address twice");
        }
    })
    .await;
}

#[tokio::test]
async fn an_address_is_left_out_while_its_path_answers_badly() {
    bounded(async {
        for (name, health) in [("broken", 500), ("no such path", 404), ("silent", SILENT)] {
            let folder = tempfile::tempdir().unwrap();
            let (a, b) = (App::start(&folder, "a"), App::start(&folder, "b"));
            let upstream = upstream([&a, &b], OFTEN);
            until_both(&upstream).await;
            a.feels(health);
            assert_eq!(until_alone(&upstream).await, "b", "{name}");
            b.feels(health);
            // None is healthy: better one of them than none.
            until_both(&upstream).await;
            if health != SILENT {
                b.feels(302);
                assert_eq!(until_alone(&upstream).await, "b", "{name}");
                a.feels(204);
                until_both(&upstream).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn when_all_are_dead_nothing_is_reached() {
    bounded(async {
        let folder = tempfile::tempdir().unwrap();
        let (mut a, mut b) = (App::start(&folder, "a"), App::start(&folder, "b"));
        let upstream = upstream([&a, &b], OFTEN);
        a.die().await;
        b.die().await;
        for method in [Method::GET, Method::POST] {
            let request = request(method, "/", Body::empty());
            assert_eq!(failed(&upstream, request).await, UpstreamErrorKind::Connect);
        }
        b.revive();
        assert_eq!(who(&upstream, request(Method::POST, "/", "")).await, "b");
    })
    .await;
}
