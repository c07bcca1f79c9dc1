//! One request and response with the app, and what must happen to each before anyone sees it: its increments are
//! committed (L4); then it is judged; then what is not for clients is taken off.

use std::sync::Arc;

use http::header;
use http::response::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};

use crate::body::Body;
use crate::cache::Aside;
use crate::cache::Keep;
use crate::cache::Stored;
use crate::dialects::Ignored;
use crate::fetch::Fetch;
use crate::fetch::Wrong;
use crate::fetch::ahead;
use crate::fetch::ahead::Begun;
use crate::fetch::trailers;
use crate::model::outcome::Commit;
use crate::model::outcome::Failure;
use crate::model::outcome::NoStore;
use crate::model::request::Head;
use crate::model::tag::Increment;
use crate::policy;
use crate::policy::Declared;
use crate::policy::Signals;
use crate::policy::Times;
use crate::policy::Verdict;
use crate::policy::freshening;
use crate::rules::Matched;
use crate::rules::Picked;
use crate::rules::asks_to_upgrade;
use crate::telemetry::trace::Place;
use crate::telemetry::trace::Step;
use crate::upstream::Turn;
use crate::upstream::UpstreamError;
use crate::upstream::UpstreamErrorKind;

/// The app's answer, after its increments have been committed.
pub(super) struct Exchange {
    /// The app's own status, whatever becomes of the head.
    pub(super) status: StatusCode,
    pub(super) head: Parts,
    body: Body,
    signals: Signals,
    times: Times,
    /// What has become of its increments.
    commit: Commit,
}

/// The app's answer as clients may see it, and what is kept of it, or why nothing is.
pub(super) struct Judged {
    pub(super) response: Response<Body>,
    /// The app's own status.
    pub(super) status: StatusCode,
    pub(super) verdict: Result<Keep, NoStore>,
    /// It says of none of its fields that they are one client's own.
    pub(super) impersonal: bool,
    /// What has become of its increments.
    pub(super) commit: Commit,
}

impl Fetch {
    /// The right to ask the app once, when enough of the request's body is here.
    pub(super) async fn turn(
        &self,
        head: &Head,
        request: &mut Request<Body>,
    ) -> Result<Turn, Failure> {
        // What comes after an upgrade is no body.
        let is_here = request.body().is_here() || asks_to_upgrade(head.headers());
        let turn = match is_here || Box::pin(self.read_ahead(head, request)).await? {
            true => self.0.upstream.turn().await,
            false => self.0.upstream.turn_open().await,
        };
        turn.map_err(|error| self.failure(&error, head))
    }

    /// Waits for the beginning of the request's body: whether it is the whole.
    async fn read_ahead(&self, head: &Head, request: &mut Request<Body>) -> Result<bool, Failure> {
        let body = std::mem::take(request.body_mut());
        let begun = ahead::read(body, &self.0.ahead).await;
        let begun = begun.map_err(|cut| self.failure(&UpstreamError::request_body(&cut), head))?;
        let (body, is_whole) = match begun {
            Begun::Whole(body) => (body, true),
            Begun::Part(body) => (body, false),
        };
        *request.body_mut() = body;
        Ok(is_whole)
    }

    /// What it means that no response came; said in the log.
    pub(super) fn failure(&self, error: &UpstreamError, head: &Head) -> Failure {
        let failure = match error.kind {
            UpstreamErrorKind::Connect => Failure::Unreachable,
            UpstreamErrorKind::Reset => Failure::Closed,
            UpstreamErrorKind::ConnectTimeout | UpstreamErrorKind::Timeout => Failure::TimedOut,
            UpstreamErrorKind::Malformed | UpstreamErrorKind::HeadTooLarge => Failure::Malformed,
            UpstreamErrorKind::Busy => Failure::Overloaded,
            UpstreamErrorKind::RequestBody => Failure::RequestCut,
            UpstreamErrorKind::RequestLate => Failure::RequestLate,
        };
        // As many as there are requests, where the app is down.
        if let Some(unsaid) = self.0.failures.say(failure, self.0.clock.now()) {
            let (method, path) = (head.method(), head.path());
            let said = failure.sentence();
            let not_logged = (unsaid > 0).then_some(unsaid);
            tracing::warn!(%method, path, %error, not_logged, "{said}");
        }
        failure
    }

    /// Every response of the app comes through here, so no path can forget an increment. One that may be put `aside`
    /// does not compete with its own.
    pub(super) async fn exchange(
        &self,
        turn: Turn,
        mut request: Request<Body>,
        head: &Arc<Head>,
        matched: &Matched,
        mut aside: Option<&mut Aside>,
        trace: &Place,
    ) -> Result<Exchange, Failure> {
        let inner = &self.0;
        let mut span = trace.span(Step::Exchange);
        span.asks(head);
        span.pass_on(request.headers_mut());
        let (sent, began) = (inner.clock.now(), inner.clock.anchor());
        let answer = inner.upstream.send(turn, request).await;
        let answer = answer.map_err(|error| self.failure(&error, head));
        let said = answer.as_ref().map(Response::status);
        matched
            .rule
            .count_asked(said.map_err(|failure| *failure), began.elapsed());
        match said {
            Ok(status) => span.answered(status),
            Err(failure) => span.failed(failure.word()),
        }
        drop(span);
        let response = answer?;
        let times = Times {
            sent,
            received: inner.clock.now(),
        };
        let status = response.status();
        let (mut parts, body) = response.into_parts();
        let declared = Declared::of(matched, head, &parts);
        let limits = inner.limits.tags;
        let signals = policy::signals(&inner.dialects, declared, head, &mut parts, limits);
        // What the head says does not wait for the body.
        let mut commit = self
            .commit(&signals.increments, head, aside.as_deref_mut())
            .await;
        if !signals.observed.is_empty() {
            let by = asked_by(head);
            let observed = Box::pin(inner.cache.observe(&signals.observed, &by)).await;
            commit = commit.and(observed);
        }
        let body = match self.watches(&body, &parts, head) {
            true => self.watched(body, &parts, head, matched).await,
            false => body,
        };
        let mut exchange = Exchange {
            status,
            head: parts,
            body,
            signals,
            times,
            commit,
        };
        let increments = self.read(&mut exchange, head, matched).await;
        let read = self.commit(&increments, head, aside).await;
        exchange.commit = exchange.commit.and(read);
        self.warn_of(&exchange.signals, head);
        Ok(exchange)
    }

    /// What nobody can see from outside, and the app's authors want to know.
    fn warn_of(&self, signals: &Signals, head: &Head) {
        let uri = || head.logged_uri();
        let ignored = signals.ignored.iter();
        let ignored = ignored.map(|it| (Wrong::Field(it.field.clone(), it.why), it));
        for (Ignored { field, text, why }, not_logged) in self.all_told(ignored) {
            tracing::warn!(uri = uri(), %field, text, %why, not_logged, "ignored in the app's response");
        }
        let misfits = signals.misfits.iter().map(|it| (Wrong::Change, it));
        for (misfit, not_logged) in self.all_told(misfits) {
            tracing::warn!(
                uri = uri(),
                not_logged,
                "a change was reported, and {misfit}"
            );
        }
        if signals.tags == Err(NoStore::TooManyTags)
            && let Some(not_logged) = self.is_told(Wrong::TooManyTags)
        {
            tracing::warn!(
                uri = uri(),
                not_logged,
                "more tags than `limits`, or `max` of its rule's `tags_from_body`, allow: the response is not stored"
            );
        }
        let skipped = signals.skipped.iter();
        let skipped = skipped.map(|it| (Wrong::Increment(Arc::clone(&it.template)), it));
        for (missing, not_logged) in self.all_told(skipped) {
            tracing::warn!(uri = uri(), %missing, not_logged, "an increment of the rule is skipped");
        }
    }

    /// Of one response each kind is told with all that it has of it, or not at all.
    fn all_told<T>(&self, found: impl Iterator<Item = (Wrong, T)>) -> Vec<(T, Option<u64>)> {
        let mut kinds: Vec<(Wrong, bool)> = Vec::new();
        let told = found.filter_map(|(kind, it)| {
            if let Some((_, is_told)) = kinds.iter().find(|(other, _)| *other == kind) {
                return is_told.then_some((it, None));
            }
            let told = self.is_told(kind.clone());
            kinds.push((kind, told.is_some()));
            told.map(|not_logged| (it, not_logged))
        });
        told.collect()
    }

    /// Whether something that the app says wrong is told, as it may be wrong on every page; and how many like it were not, if there
    /// were any.
    pub(super) fn is_told(&self, wrong: Wrong) -> Option<Option<u64>> {
        let unsaid = self.0.wrongs.say(wrong, self.0.clock.now())?;
        Some((unsaid > 0).then_some(unsaid))
    }

    /// Reads of the body what the rule wants of it; what changes by that is to be committed.
    async fn read(
        &self,
        exchange: &mut Exchange,
        head: &Head,
        matched: &Matched,
    ) -> Vec<Increment> {
        let mut to_store = matched.wanted_to_store(&exchange.head);
        if !to_store.is_empty()
            && !exchange.body.is_empty()
            && let Verdict::Pass(reason) = self.verdict(exchange, head, matched)
        {
            exchange.signals.tags = Err(reason); // whatever tags stand there
            to_store.clear();
        }
        let Exchange {
            head: parts,
            body,
            signals,
            ..
        } = exchange;
        let to_change = matched.wanted_to_change(head, parts);
        if to_change.is_empty() && to_store.is_empty() {
            return Vec::new();
        }
        let wanted = [&to_change[..], &to_store].concat();
        let mut picked = Ok(Picked::default()); // nothing shows no items, and does not say what has changed
        if !body.is_empty() {
            let insists = !to_change.is_empty();
            let whole = std::mem::take(body);
            // Boxed: few rules read bodies.
            (picked, *body) = Box::pin(self.pick(whole, parts, &wanted, insists, head)).await;
        }
        signals.read(matched, head, parts, &picked, self.0.limits.tags)
    }

    /// Whether the response may be stored, and why not.
    fn verdict(&self, exchange: &Exchange, head: &Head, matched: &Matched) -> Verdict {
        let Exchange {
            head: parts,
            signals,
            times,
            ..
        } = exchange;
        let rule = &matched.storing().rule;
        if rule.skips(head, Some(parts)) {
            return Verdict::Pass(NoStore::Skip);
        }
        let targeted = self.0.dialects.targeted();
        policy::judge(&rule.terms, head, parts, signals, *times, targeted)
    }

    /// Before anyone sees the response (L4).
    async fn commit(
        &self,
        increments: &[Increment],
        head: &Head,
        aside: Option<&mut Aside>,
    ) -> Commit {
        if increments.is_empty() {
            return Commit::Done;
        }
        let by = asked_by(head);
        // Boxed: most responses change nothing.
        match aside {
            Some(aside) => Box::pin(aside.increment(increments, &by)).await,
            None => Box::pin(self.0.cache.increment(increments, &by)).await,
        }
    }

    /// Over HTTP/1 no trailers come (design.md §5), but an unsafe exchange goes on to its end all the same. What is here has
    /// ended.
    fn watches(&self, body: &Body, parts: &Parts, head: &Head) -> bool {
        let upgraded = parts.status == StatusCode::SWITCHING_PROTOCOLS;
        let may_matter = parts.version == Version::HTTP_2 || !head.is_safe();
        may_matter && !upgraded && !body.is_here()
    }

    async fn watched(
        &self,
        body: Body,
        parts: &Parts,
        head: &Arc<Head>,
        matched: &Matched,
    ) -> Body {
        let scopes = Arc::clone(&matched.rule.scopes);
        let body = trailers::watched(body, self.clone(), Arc::clone(head), scopes);
        if contentless(head, parts, &body) {
            Box::pin(trailers::drain(body)).await; // nobody downstream looks for what follows no content
            return Body::empty();
        }
        body
    }

    /// Judges the response and takes off what is not for clients.
    pub(super) fn judge(&self, exchange: Exchange, head: &Head, matched: &Matched) -> Judged {
        let verdict = self.verdict(&exchange, head, matched);
        let Exchange {
            status,
            head: mut parts,
            body,
            signals,
            times,
            commit,
        } = exchange;
        let dialects = &self.0.dialects;
        // Asked of errors alone: no other response is for all (`policy::is_for_all`).
        let impersonal = parts.status.is_server_error()
            && policy::is_impersonal(&parts.headers, dialects.targeted());
        if !parts.headers.contains_key(header::DATE)
            && let Ok(date) = HeaderValue::try_from(times.received.to_string())
        {
            parts.headers.insert(header::DATE, date); // RFC 9110 §6.6.1: when it arrived, for its age later on
        }
        let targeted = dialects.take_targeted(&mut parts.headers);
        if parts.status != StatusCode::SWITCHING_PROTOCOLS {
            policy::drop_hop_by_hop(&mut parts.headers);
        }
        parts.version = Version::HTTP_11; // the app's own is its connection's (RFC 9110 §6.2)
        let verdict = match verdict {
            Verdict::Store(mut store) => {
                let terms = &matched.storing().rule.terms;
                store.spread(terms, self.0.clock.chance());
                Ok(Keep {
                    store,
                    targeted,
                    tags: signals.with_implicit(matched.storing().implicit_tags(head)),
                })
            }
            Verdict::Pass(reason) => Err(reason),
        };
        Judged {
            response: Response::from_parts(parts, body),
            status,
            verdict,
            impersonal,
            commit,
        }
    }
}

impl Exchange {
    /// What is stored and its rest, which the app was asked for, as one; the app's answer if that is the whole, or an
    /// error of its own; `None` if they do not fit, or the app refuses the range. The whole depends on what either depends
    /// on, as it has bytes of both.
    pub(super) fn completed(mut self, stored: &Stored) -> Option<Exchange> {
        match self.status {
            status if status.is_client_error() => None,
            StatusCode::PARTIAL_CONTENT => {
                let (mut head, first) = stored.completed(&self.head, self.body.exact_len())?;
                head.extensions.extend(self.head.extensions);
                self.signals.tags = self.signals.tags.map(|tags| stored.tags_with(tags));
                self.signals.cookies = stored.cookies_with(self.signals.cookies);
                Some(Exchange {
                    head,
                    body: Body::joined(first, self.body),
                    ..self
                })
            }
            _ => Some(self),
        }
    }

    /// What is stored, with what a 304 says of it (RFC 9111 §4.3.4).
    pub(super) fn validated(self, stored: &Stored) -> Exchange {
        let mut head = freshening::freshened(&stored.entry, &self.head);
        head.extensions.extend(self.head.extensions.clone());
        Exchange {
            head,
            body: stored.entry.body.clone().into(),
            signals: self.signals_for(stored),
            ..self
        }
    }

    /// The same for a stored response that a HEAD's answer agrees with; the exchange itself is that client's.
    pub(super) fn renewed(&self, stored: &Stored, head: Parts) -> Exchange {
        Exchange {
            status: self.status,
            head,
            body: Body::empty(),
            signals: self.signals_for(stored),
            times: self.times,
            commit: self.commit,
        }
    }

    /// What it says of a response whose content it does not bring: where it names no tags, the old ones are in force.
    fn signals_for(&self, stored: &Stored) -> Signals {
        let mut signals = self.signals.clone();
        signals.cookies = stored.cookies_with(signals.cookies);
        if !signals.named {
            signals.tags = signals.tags.map(|tags| stored.tags_with(tags));
        }
        signals
    }
}

/// More of a path is not remembered, in bytes: clients choose it.
const LONG_PATH: usize = 200;

/// Whether the response has no content, whatever its fields say (RFC 9110 §6.4.1).
fn contentless(head: &Head, parts: &Parts, body: &Body) -> bool {
    *head.method() == Method::HEAD
        || matches!(
            parts.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        )
        || body.exact_len() == Some(0)
}

/// Who asked for a change, as explanations name it.
pub(super) fn asked_by(head: &Head) -> Arc<str> {
    let path = head.path();
    let shown = path
        .get(..path.floor_char_boundary(LONG_PATH))
        .unwrap_or(path);
    format!("{} {shown}", head.method()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_path_only_the_beginning_is_remembered() {
        for (name, path, expected) in [
            ("short", "/a?x=1".to_owned(), "POST /a".to_owned()),
            (
                "long",
                format!("/{}", "a".repeat(8_000)),
                format!("POST /{}", "a".repeat(199)),
            ),
        ] {
            let request = Request::post(path).header("host", "shop.example");
            let parts = request.body(()).unwrap().into_parts().0;
            let head = Head::new(parts, "http").unwrap();
            assert_eq!(&*asked_by(&head), expected, "{name}");
        }
    }
}
