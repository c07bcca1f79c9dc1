//! The sidecar without its listeners, and a client of it: a request goes through all of `proxy`, hyper's part too, over a stream
//! in memory. No kernel, one thread, nobody else: the same request takes the same steps each time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tagalong::cache::{self, Cache};
use tagalong::clock::Clock;
use tagalong::config::Config;
use tagalong::dialects::Dialects;
use tagalong::fetch::{self, Fetch};
use tagalong::hooks::Hooks;
use tagalong::metrics::Metrics;
use tagalong::proxy::{self, Proxy};
use tagalong::rules::{Context, LiveRules, RuleSet};
use tagalong::telemetry::trace::Traces;
use tagalong::upstream::Upstream;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::{Builder, Runtime};

/// The bytes that may be on their way in each direction: more than a request or an answer here has.
const ROOM: usize = 64 << 10;

/// A client asks nothing while other steps are measured, by the minute.
const IDLE: Duration = Duration::from_secs(24 * 3_600);

/// A sidecar that clients talk to.
pub(crate) struct Sidecar {
    proxy: Proxy,
    /// Dropped, it would tell nobody of anything.
    _hooks: Hooks,
}

impl Sidecar {
    /// In front of this app, by these rules (the text of a rule file; empty: none), set up as with no other file; with
    /// what it finds responses by. In a runtime.
    pub(crate) fn new(app: SocketAddr, rules: &str) -> (Sidecar, Cache, LiveRules) {
        let target = format!("http://{app}").parse().expect("an address");
        let config = Config::default_for(target);
        let (clock, metrics, limits) = (Clock::System, Metrics::default(), config.limits);
        let rules = match rules {
            "" => config.rules,
            text => {
                let files = [("rules.yaml".to_owned(), text.to_owned())];
                RuleSet::compile(&files, &Context::new(&config.namespace)).expect("rules")
            }
        };
        let rules = LiveRules::new(rules.counted(&metrics));
        let sizes = cache::Config {
            max_bytes: config.store.max_bytes,
            max_object: limits.max_object,
            max_variants: limits.max_variants,
        };
        let others = cache::Others {
            metrics,
            ..cache::Others::default()
        };
        let cache = Cache::among(sizes, clock.clone(), others);
        let dialects = Arc::new(Dialects::new(config.dialects));
        let storable = fetch::Limits {
            max_object: limits.max_object,
            tags: limits.tags,
            picked: limits.max_object,
            ahead: limits.max_object,
        };
        let retry_after = config.upstream.queue_timeout;
        let upstream = Upstream::new(config.upstream, clock.clone());
        let of_fetch = Arc::clone(&dialects);
        let fetch = Fetch::new(upstream, cache.clone(), of_fetch, clock.clone(), storable);
        let hooks = Hooks::start(&config.namespace, Vec::new(), &clock);
        let faced = proxy::Config {
            cache_status: config.cache_status,
            access_log: config.log.access,
            fast_path: config.fast_path,
            debug: config.debug,
            traces: Traces::default(),
            retry_after,
            max_head: limits.max_head,
            header_timeout: limits.client_header_timeout,
            body_timeout: limits.client_body_timeout,
            idle_timeout: IDLE,
        };
        let (faces, events) = (cache.clone(), hooks.events());
        let sidecar = Sidecar {
            proxy: Proxy::new(rules.clone(), faces, fetch, dialects, events, faced),
            _hooks: hooks,
        };
        (sidecar, cache, rules)
    }

    /// A client with a connection of its own. In a runtime.
    pub(crate) fn client(&self) -> Client {
        let (stream, served) = tokio::io::duplex(ROOM);
        tokio::spawn(self.proxy.clone().converse(served));
        Client {
            stream,
            buffer: vec![0; ROOM],
        }
    }
}

/// A runtime of this thread alone.
pub(crate) fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime")
}

/// Sends requests, one after the other. It allocates nothing once it is there.
pub(crate) struct Client {
    stream: DuplexStream,
    buffer: Vec<u8>,
}

/// A request whose answer is known: it may be asked again and again.
pub(crate) struct Question {
    request: Vec<u8>,
    /// How the answer begins.
    status: &'static str,
    /// The answer's length in bytes, head and body.
    answer: usize,
}

impl Client {
    /// Asks for the first time, with these further lines of the head, and again until `settled` finds this word in the answer's
    /// `Cache-Status`: from then on the answer has the same length each time.
    ///
    /// Panics where the status is not this one (`304 Not Modified`), or the word does not come.
    pub(crate) async fn learn(
        &mut self,
        path: &str,
        lines: &str,
        status: &'static str,
        settled: &str,
    ) -> Question {
        let request = format!("GET {path} HTTP/1.1\r\nhost: shop.example\r\n{lines}\r\n");
        for _ in 0..3 {
            let answer = self.whole(request.as_bytes()).await;
            let text = String::from_utf8_lossy(&answer);
            let begins = text.strip_prefix("HTTP/1.1 ").unwrap_or_default();
            assert!(begins.starts_with(status), "{text}");
            let mut fields = text.lines();
            let told = fields.find_map(|line| line.strip_prefix("cache-status: tagalong; "));
            if told.is_some_and(|told| told.starts_with(settled)) {
                return Question {
                    request: request.into_bytes(),
                    status,
                    answer: answer.len(),
                };
            }
        }
        unreachable!("`{settled}` never came for {path}");
    }

    /// Asks, and waits for the whole answer.
    pub(crate) async fn ask(&mut self, question: &Question) {
        let sent = self.stream.write_all(&question.request).await;
        sent.expect("the sidecar reads");
        let answer = self.buffer.get_mut(..question.answer).expect("room for it");
        let read = self.stream.read_exact(answer).await;
        read.expect("the sidecar answers");
        let status = answer.strip_prefix(b"HTTP/1.1 ").unwrap_or_default();
        assert!(
            status.starts_with(question.status.as_bytes()),
            "another answer"
        );
    }

    /// Asks for what nothing is known of yet.
    async fn whole(&mut self, request: &[u8]) -> Vec<u8> {
        let sent = self.stream.write_all(request).await;
        sent.expect("the sidecar reads");
        let mut answer = Vec::new();
        loop {
            let read = self.stream.read_buf(&mut answer).await;
            assert!(read.expect("the sidecar answers") > 0, "it hung up");
            let text = String::from_utf8_lossy(&answer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let mut lines = head.lines();
            let length = lines.find_map(|line| line.strip_prefix("content-length: "));
            let length = length.map_or(0, |length| length.parse().expect("a number"));
            if body.len() >= length || head.starts_with("HTTP/1.1 304") {
                return answer;
            }
        }
    }
}
