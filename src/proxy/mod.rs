//! One request, top to bottom: the side that faces the clients. Names hyper; knows nothing of the app's side.

mod body;
mod debug;
mod fast_path;
mod headers;
mod hooked;
mod listen;
mod respond;
mod shadow;
mod tls;
mod upgrade;
mod wire;

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

pub use debug::DebugConfig;
pub use fast_path::plain_head;
pub use listen::BindError;
pub use listen::Listen;
pub use listen::Listeners;
pub use tls::Certificates;
pub use tls::Life;
pub use tls::PrivateKey;
pub use tls::Tls;
pub use tls::TlsError;

use crate::body::Body;
use crate::cache::Cache;
use crate::cache::Followed;
use crate::cache::Lookup;
use crate::cache::Passing;
use crate::cache::Stored;
use crate::clock::Anchor;
use crate::dialects::Dialects;
use crate::dialects::cache_status;
use crate::fetch::Caller;
use crate::fetch::Fetch;
use crate::fetch::Passed;
use crate::hooks::Events;
use crate::model::outcome::Bypass;
use crate::model::outcome::End;
use crate::model::outcome::Failure;
use crate::model::outcome::Forward;
use crate::model::outcome::Outcome;
use crate::model::outcome::Refusal;
use crate::model::outcome::Stale;
use crate::model::request::Head;
use crate::model::stamp::Stamp;
use crate::policy;
use crate::policy::request::Wishes;
use crate::proxy::body::ToClient;
use crate::proxy::debug::Debugged;
use crate::proxy::hooked::Hooked;
use crate::proxy::respond::Unasked;
use crate::proxy::shadow::Differences;
use crate::proxy::upgrade::Tunnel;
use crate::proxy::wire::Announced;
use crate::proxy::wire::Busy;
use crate::proxy::wire::Line;
use crate::rules::LiveRules;
use crate::rules::Matched;
use crate::rules::Mode;
use crate::rules::Pass;
use crate::rules::Plan;
use crate::rules::Query;
use crate::rules::Rule;
use crate::rules::RuleSet;
use crate::rules::asks_to_upgrade;
use crate::rules::refill::Coalesce;
use crate::rules::refill::OnTimeout;
use crate::telemetry::access;
use crate::telemetry::trace::Place;
use crate::telemetry::trace::Span;
use crate::telemetry::trace::Step;
use crate::telemetry::trace::Traces;

/// What the proxy does with heads and bodies.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whether clients are told what became of their requests.
    pub cache_status: bool,
    /// Whether each request is a line in the log.
    pub access_log: bool,
    /// Who may see keys, tags and versions.
    pub debug: DebugConfig,
    /// Whether hits that need nothing else are answered before hyper sees them.
    pub fast_path: bool,
    /// Who makes spans of requests.
    pub traces: Traces,
    /// When a client may come again that found the app busy.
    pub retry_after: Duration,
    /// The longest head of a request, in bytes.
    pub max_head: usize,
    /// How long a head may take once it has begun, and a TLS handshake.
    pub header_timeout: Duration,
    /// How long a client may pause in its body.
    pub body_timeout: Duration,
    /// How long a client may wait with its next request, or with taking bytes.
    pub idle_timeout: Duration,
}

/// The proxy. Clones share everything.
#[derive(Clone)]
pub struct Proxy(Arc<Inner>);

struct Inner {
    rules: LiveRules,
    cache: Cache,
    fetch: Fetch,
    dialects: Arc<Dialects>,
    differences: Differences,
    events: Events,
    config: Config,
}

/// A client's request, read and checked. Its head is shared with who asks the app, once somebody may.
struct Asked<H = Arc<Head>> {
    head: H,
    body: Body,
    peer: Option<IpAddr>,
    /// Where its spans begin.
    trace: Place,
    /// The connection itself, if the client wants to change protocols.
    upgrade: Option<OnUpgrade>,
    /// Whether the client may see keys, tags and versions.
    debug: bool,
}

impl Asked<Head> {
    fn shared(self) -> Asked {
        let Asked {
            head,
            body,
            peer,
            trace,
            upgrade,
            debug,
        } = self;
        Asked {
            head: Arc::new(head),
            body,
            peer,
            trace,
            upgrade,
            debug,
        }
    }
}

impl Asked {
    /// For whom the app is asked.
    fn caller(&self) -> Caller {
        Caller {
            peer: self.peer,
            trace: self.trace.clone(),
        }
    }
}

/// What is remembered of a request until it has been answered.
struct Begun {
    at: Anchor,
    seen: access::Seen,
    span: Span,
}

/// What every request of a connection shares.
struct Connection {
    proxy: Proxy,
    line: Line,
    scheme: &'static str,
    /// `None` over a unix socket.
    peer: Option<IpAddr>,
}

/// What is sent, and what it came from.
type Answer = (Response<Body>, Outcome);

/// How often a request is looked up: once more if what it waited for was not for it, then it asks by itself (L9).
const LOOKUPS: usize = 2;

impl Proxy {
    /// Requests are planned by `rules`, answered from `cache` or through `fetch`; whom their rules name is told through `events`.
    pub fn new(
        rules: LiveRules,
        cache: Cache,
        fetch: Fetch,
        dialects: Arc<Dialects>,
        events: Events,
        config: Config,
    ) -> Proxy {
        Proxy(Arc::new(Inner {
            rules,
            cache,
            fetch,
            dialects,
            differences: Differences::default(),
            events,
            config,
        }))
    }

    /// One request, top to bottom.
    ///
    /// A hit waits for nothing: what may wait has a box of its own, so that no hit pays for its room and for moving that about.
    async fn handle(&self, mut asked: Asked<Head>) -> Answer {
        let begun = self.begin(&mut asked);
        let Some(plan) = unbroken(self.planned(&mut asked)).await else {
            let (response, outcome) = broken();
            let rules = self.0.rules.peek();
            let outcome = self.end(begun, None, rules.unmatched(), response.status(), outcome);
            return (self.stamp(response, outcome, None), outcome);
        };
        let debug = asked
            .debug
            .then(|| Debugged::of(&plan, &asked.head, &self.0.cache));
        let hooked = Hooked::of(&plan, &asked.head);
        let (rule, (response, outcome)) = self.answer(asked.shared(), plan).await;
        let outcome = self.end(begun, hooked, &rule, response.status(), outcome);
        (self.stamp(response, outcome, debug), outcome)
    }

    fn begin(&self, asked: &mut Asked<Head>) -> Begun {
        let span = self.0.config.traces.request(&asked.head, asked.peer);
        asked.trace = span.place();
        Begun {
            at: self.0.cache.anchor(),
            seen: access::Seen::of(&asked.head, self.0.config.access_log),
            span,
        }
    }

    /// Tells everyone whom it concerns what became of a request, and says it as it is told.
    fn end(
        &self,
        begun: Begun,
        hooked: Option<Hooked>,
        rule: &Rule,
        status: StatusCode,
        outcome: Outcome,
    ) -> Outcome {
        let outcome = outcome.sent_as(status);
        let Begun { at, seen, mut span } = begun;
        let (took, id) = (at.elapsed(), rule.id.as_deref().unwrap_or_default());
        rule.count(outcome, took);
        span.answered(status);
        span.became(id, outcome);
        seen.log(outcome, status, id, took, &span);
        if let Some(hooked) = hooked {
            hooked.tell(&self.0.events, outcome, self.0.cache.now());
        }
        outcome
    }

    async fn planned(&self, asked: &mut Asked<Head>) -> Plan {
        match self.plan_by_head(asked) {
            Ok(plan) => plan,
            Err((rules, most)) => {
                Box::pin(self.read_body(&rules, asked, most)).await;
                self.plan(&rules, asked)
            }
        }
    }

    /// Reads the body, where the key holds something of that: as many bytes as `most`.
    async fn read_body(&self, rules: &RuleSet, asked: &mut Asked<Head>, most: usize) {
        let body = std::mem::take(&mut asked.body);
        let (data, body) = self.0.fetch.read_whole(&asked.head, body, most).await;
        if let Some(data) = data {
            rules.read(&mut asked.head, data);
        }
        asked.body = body;
    }

    /// By the rules in force; or these, and how many bytes of the body they want to see first.
    fn plan_by_head(&self, asked: &mut Asked<Head>) -> Result<Plan, (Arc<RuleSet>, usize)> {
        let rules = self.0.rules.peek();
        match rules.reads(&mut asked.head) {
            None => Ok(self.plan(&rules, asked)),
            Some(most) => Err((Arc::clone(&rules), most)),
        }
    }

    /// The plan keeps its rule, so that the rules in force now hold until the reply.
    fn plan(&self, rules: &RuleSet, asked: &Asked<Head>) -> Plan {
        let _planning = asked.trace.span(Step::Plan);
        match rules.plan(&asked.head, self.0.cache.now()) {
            // Over HTTP/2 a body need not be announced in the head.
            Plan::Lookup(Query { rule, claims, .. })
                if asked.head.read.is_none() && !asked.body.is_empty() =>
            {
                Plan::Pass(Pass {
                    rule,
                    why: Forward::Bypass(Bypass::RequestBody),
                    changes: None,
                    claims: Ok(claims),
                })
            }
            plan @ (Plan::Lookup(_) | Plan::Pass(_)) => plan,
        }
    }

    /// Does what the plan says; with the rule, which the plan has kept until now, so that what breaks is counted by it, too.
    async fn answer(&self, asked: Asked, plan: Plan) -> (Arc<Rule>, Answer) {
        let query = match plan {
            Plan::Lookup(query) => query,
            Plan::Pass(pass) => {
                let rule = Arc::clone(&pass.rule);
                let answer = unbroken(Box::pin(self.passed(asked, pass))).await;
                return (rule, answer.unwrap_or_else(broken));
            }
        };
        if let Mode::Shadow(shadow) = &query.rule.mode {
            let (rule, shadow) = (Arc::clone(&query.rule), shadow.clone());
            let answer = unbroken(Box::pin(self.shadowed(asked, query, &shadow))).await;
            return (rule, answer.unwrap_or_else(broken));
        }
        let Asked { head, trace, .. } = &asked;
        let found = async {
            match self.look_up(&query, head, trace, None).await {
                Lookup::Hit(stored, now) => Ok(respond::hit(head, &stored, None, now)),
                found @ (Lookup::Stale(..)
                | Lookup::Miss(..)
                | Lookup::Join(_)
                | Lookup::Pass(_)
                | Lookup::OnlyIfCached) => Err(found),
            }
        };
        match unbroken(found).await {
            Some(Ok(hit)) => (query.rule, hit),
            Some(Err(found)) => {
                let rule = Arc::clone(&query.rule);
                let answer = unbroken(Box::pin(self.cached(asked, query, found))).await;
                (rule, answer.unwrap_or_else(broken))
            }
            None => (query.rule, broken()),
        }
    }

    async fn look_up(
        &self,
        query: &Query,
        head: &Arc<Head>,
        trace: &Place,
        since: Option<Stamp>,
    ) -> Lookup {
        let _looking = trace.span(Step::Lookup);
        let trust = self.0.cache.trust(query, head).await;
        self.0.cache.lookup(query, head, since, trust)
    }

    /// Answers with what was found, or with what comes of asking the app.
    async fn cached(&self, asked: Asked, query: Query, found: Lookup) -> Answer {
        let (mut since, mut in_vain) = (None, Passing::new(Forward::UriMiss));
        let coalesce = query.rule.refill.coalesce;
        let mut gives_up = None;
        let mut first = Some(found);
        for _ in 0..LOOKUPS {
            let Asked { head, trace, .. } = &asked;
            let found = match first.take() {
                Some(found) => found,
                None => self.look_up(&query, head, trace, since).await,
            };
            let (follower, fill) = match found {
                Lookup::Hit(stored, now) => return respond::hit(head, &stored, None, now),
                Lookup::Stale(stored, now, why, fill) => {
                    if let Some(fill) = fill {
                        self.0.fetch.fill(fill, asked.caller());
                    }
                    return respond::hit(head, &stored, Some(why), now);
                }
                Lookup::Miss(fill, follower) => (follower, Some(fill)),
                Lookup::Join(follower) => (follower, None),
                Lookup::Pass(passing) => {
                    let matched = query.matched(head);
                    let looked_up = !matches!(passing.why, Forward::Bypass(_));
                    return self.pass(asked, matched, passing, looked_up).await;
                }
                Lookup::OnlyIfCached => {
                    return (
                        respond::only_if_cached(),
                        Outcome::Refused(Refusal::OnlyIfCached),
                    );
                }
            };
            let now = self.0.cache.now();
            let left = |it: Coalesce| {
                gives_up
                    .get_or_insert(now + it.wait)
                    .since(now)
                    .min(it.wait)
            };
            let patience = coalesce.map(left);
            let followed = {
                let outcome = pin!(follower.outcome(&self.0.cache, head, patience));
                match fill {
                    Some(fill) => self.0.fetch.fill_for(fill, asked.caller(), outcome).await,
                    None => outcome.await,
                }
            };
            match followed {
                Followed::Response(mut response, outcome) => {
                    let terms = &query.rule.terms;
                    policy::spare_hidden_cookies(terms, head, response.headers_mut());
                    return (respond::fetched(head, response), outcome);
                }
                Followed::Found(stored, passing) => {
                    if let Some(now) = self.0.cache.answers(&query, head, &stored) {
                        return respond::hit(head, &stored, None, now);
                    }
                    in_vain = passing; // something has come between
                }
                Followed::Stale(stored, why) => return self.stale(head, &stored, why),
                Followed::Again(newer, passing) => {
                    since = since.max(newer);
                    in_vain = passing;
                }
                Followed::Alone(passing) => return self.alone(asked, &query, passing).await,
                Followed::Waited(passing) => return self.waited(asked, &query, passing).await,
                Followed::Failed(failure, why) => return self.failed(failure, why),
            }
        }
        self.alone(asked, &query, in_vain).await
    }

    async fn passed(&self, mut asked: Asked, pass: Pass) -> Answer {
        if matches!(pass.why, Forward::Bypass(_))
            && let Some(refused) = refuses(&asked.head, &pass.rule)
        {
            return refused;
        }
        let matched = pass.matched(&asked.head);
        let Some(client) = asked.upgrade.take() else {
            return self
                .pass(asked, matched, Passing::new(pass.why), false)
                .await;
        };
        let (tunnel, from_client) = Tunnel::new(client);
        asked.body = from_client;
        let (mut response, outcome) = self
            .pass(asked, matched, Passing::new(pass.why), false)
            .await;
        tunnel.open(&mut response);
        (response, outcome)
    }

    /// What the rule says for a client that has waited too long for another's response.
    async fn waited(&self, asked: Asked, query: &Query, passing: Passing) -> Answer {
        match query.rule.refill.coalesce.unwrap_or_default().on_timeout {
            OnTimeout::Fetch => {}
            OnTimeout::Stale => {
                let (cache, spare) = (&self.0.cache, passing.spare.as_ref());
                if let Some((stored, why)) = cache.in_place_of_waiting(spare, &asked.head) {
                    return self.stale(&asked.head, &stored, why);
                }
            }
            OnTimeout::Refuse => {
                return (respond::waited(), Outcome::Refused(Refusal::Waited));
            }
        }
        self.alone(asked, query, passing).await
    }

    /// Asks the app for a client whose request was looked up, without a fill; says what keeps the response out of the
    /// store.
    async fn alone(&self, asked: Asked, query: &Query, passing: Passing) -> Answer {
        let matched = query.matched(&asked.head);
        self.pass(asked, matched, passing, true).await
    }

    /// Asks the app for one client. Of a request that was looked up it is said why its response is not stored.
    async fn pass(
        &self,
        asked: Asked,
        matched: Matched,
        passing: Passing,
        looked_up: bool,
    ) -> Answer {
        let caller = asked.caller();
        let Asked { head, body, .. } = asked;
        let Passing {
            why,
            spare,
            freshen,
        } = passing;
        let rule = Arc::clone(&matched.rule);
        let passed = self
            .0
            .fetch
            .pass(Arc::clone(&head), body, caller, matched, freshen);
        let (cache, spare) = (&self.0.cache, spare.as_ref());
        match passed.await {
            Ok(mut passed) => {
                if *head.method() == Method::HEAD {
                    let headers = passed.response.headers_mut();
                    policy::spare_hidden_cookies(&rule.terms, &head, headers);
                }
                if let (End::NotStored(reason), true) = (passed.end, looked_up) {
                    rule.count_not_stored(reason);
                }
                match cache.in_place_of_error(passed.status, spare, &head) {
                    Some((stored, stale)) => self.stale(&head, &stored, stale),
                    None => answered(passed, why, looked_up),
                }
            }
            Err(failure) => match cache.in_place_of(failure, spare, &head) {
                Ok((stored, stale)) => self.stale(&head, &stored, stale),
                Err(failure) => self.failed(failure, why),
            },
        }
    }

    fn failed(&self, failure: Failure, why: Forward) -> Answer {
        let response = respond::failure(failure, self.0.config.retry_after);
        (response, failure.outcome(why))
    }

    fn stale(&self, head: &Head, stored: &Stored, why: Stale) -> Answer {
        respond::hit(head, stored, Some(why), self.0.cache.now())
    }

    fn stamp(
        &self,
        response: Response<Body>,
        outcome: Outcome,
        debug: Option<Debugged>,
    ) -> Response<Body> {
        match debug {
            Some(debug) => {
                respond::stamp(response, debug.cache_status(outcome, self.0.cache.now()))
            }
            None if self.0.config.cache_status => {
                respond::stamp(response, cache_status::render(outcome))
            }
            None => response,
        }
    }

    /// Reads hyper's request, refuses what is not to be looked at, and answers the rest.
    async fn serve(
        &self,
        request: Request<Incoming>,
        connection: &Connection,
    ) -> Response<ToClient> {
        let is_coded = request.headers().contains_key(header::TRANSFER_ENCODING);
        let (busy, had_length) = connection.line.begin(announced(request.body()), is_coded);
        let is_plain = fast_path::is_plain(&request);
        let handled = async {
            let asked = self.read(request, connection, &busy, had_length)?;
            Ok::<Answer, Unasked>(self.handle(asked).await)
        };
        let response = match unbroken(handled).await {
            Some(Ok((response, outcome))) => {
                if is_plain
                    && self.has_fast_path()
                    && matches!(outcome, Outcome::Hit { stale: None, .. })
                {
                    connection.line.want_back(); // the next ones may be like it
                }
                response
            }
            Some(Err(why)) => {
                tracing::debug!(?why, "answered as it is, or refused");
                respond::unasked(why)
            }
            // Before it was known what it asks for, or while it was told what became of it: nothing more can be told.
            None => {
                let (response, outcome) = broken();
                self.stamp(response, outcome, None)
            }
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            busy.upgraded();
        }
        response.map(|body| ToClient::new(body, busy))
    }

    fn read(
        &self,
        mut request: Request<Incoming>,
        connection: &Connection,
        busy: &Busy,
        had_length: bool,
    ) -> Result<Asked<Head>, Unasked> {
        if *request.method() == Method::CONNECT {
            return Err(Unasked::Connect);
        }
        if let Some(coding) = request.headers().get(header::TRANSFER_ENCODING) {
            if had_length {
                return Err(Unasked::Framing);
            }
            if !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
                return Err(Unasked::Coding);
            }
        }
        let bodyless = http_body::Body::is_end_stream(request.body());
        // HTTP/1.0 has no upgrade (RFC 9110 §7.8).
        let upgrades =
            bodyless && request.version() == Version::HTTP_11 && asks_to_upgrade(request.headers());
        let upgrade = upgrades.then(|| hyper::upgrade::on(&mut request));
        let (parts, body) = request.into_parts();
        let (head, debug) = self.read_head(parts, upgrades, connection.scheme)?;
        let silence = self.0.config.body_timeout;
        let body = body::incoming(body, head.parts.version, silence, busy.clone());
        let body = body.map_err(|_| Unasked::Cut)?;
        Ok(Asked {
            head,
            body,
            peer: connection.peer,
            trace: Place::default(),
            upgrade,
            debug,
        })
    }

    /// The head as everything is decided by it, and whether the client may see keys, tags and versions.
    fn read_head(
        &self,
        mut parts: Parts,
        upgrades: bool,
        scheme: &'static str,
    ) -> Result<(Head, bool), Unasked> {
        if parts.uri.authority().is_some() && parts.uri.scheme().is_none() {
            return Err(Unasked::Target);
        }
        headers::keep_end_to_end(&mut parts.headers, upgrades);
        let is_last_hop = headers::is_last_hop(&parts.method, &mut parts.headers);
        let debug = self.0.config.debug.asked_by(&mut parts.headers);
        self.0.dialects.drop_from_client(&mut parts.headers);
        let scheme = headers::scheme(&parts.headers, scheme);
        let head = Head::new(parts, scheme).map_err(Unasked::Host)?;
        match is_last_hop {
            true => Err(Unasked::LastHop(head.method().clone())),
            false => Ok((head, debug)),
        }
    }
}

/// What hyper says of a body that is still to come.
fn announced(body: &Incoming) -> Announced {
    match http_body::Body::is_end_stream(body) {
        true => Announced::None,
        false => match http_body::Body::size_hint(body).exact() {
            Some(len) => Announced::Exactly(len),
            None => Announced::Chunks,
        },
    }
}

/// What comes of it; `None`: a mistake of ours, which is the end of one request. What it was, the panic itself has told.
fn unbroken<T>(doing: impl Future<Output = T>) -> impl Future<Output = Option<T>> {
    AssertUnwindSafe(doing).catch_unwind().map(Result::ok)
}

/// The answer where a mistake of ours has come between.
fn broken() -> Answer {
    (respond::broken(), Outcome::Broken)
}

/// The answer to a client that wanted a stored response or none, where none is looked for.
fn refuses(head: &Head, rule: &Rule) -> Option<Answer> {
    let wishes = Wishes::granted(head.headers(), rule.client_control);
    let outcome = Outcome::Refused(Refusal::OnlyIfCached);
    let refused = || (respond::only_if_cached(), outcome);
    wishes.only_if_cached.then(refused)
}

/// What the app answered one client; why it is not stored is said only of what might have been.
fn answered(passed: Passed, why: Forward, looked_up: bool) -> Answer {
    let Passed {
        response,
        status,
        end,
        commit,
    } = passed;
    let might_be_stored = looked_up || !matches!(end, End::NotStored(_));
    let end = if might_be_stored { end } else { End::Passed };
    let outcome = Outcome::Forwarded {
        why,
        status: Some(status),
        end,
        commit,
    };
    (response, outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of the future that such a function returns.
    fn room<'a, F>(_: fn(&'a Proxy, Request<Incoming>, &'a Connection) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn what_may_wait_takes_no_room_in_a_hit() {
        let room = room(Proxy::serve);
        assert!(room <= 4_096, "{room} bytes, moved with every request");
    }
}
