//! `mode: shadow`: the app answers, and what it answers is compared with what would have been served.
//!
//! Nothing that is found out here changes what the client gets, but for one word in `Cache-Status`: for it the head waits
//! until the body is known to be the same or another, and then goes with all of the body that was read meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{iter, unfold};
use http::response::Parts;
use http::{Method, Response, StatusCode};

use crate::body::Body;
use crate::body::Chunk;
use crate::cache::Passing;
use crate::cache::Shadowed;
use crate::cache::Stored;
use crate::fetch::Caller;
use crate::model::outcome::Bypass;
use crate::model::outcome::Commit;
use crate::model::outcome::End;
use crate::model::outcome::Failure;
use crate::model::outcome::Forward;
use crate::model::outcome::Outcome;
use crate::model::request::Head;
use crate::model::time::Timestamp;
use crate::policy;
use crate::policy::ranges;
use crate::policy::ranges::Asked as AskedRanges;
use crate::policy::shadow;
use crate::policy::shadow::Difference;
use crate::policy::validators;
use crate::proxy::Answer;
use crate::proxy::Asked;
use crate::proxy::Proxy;
use crate::proxy::refuses;
use crate::proxy::respond;
use crate::rules::Query;
use crate::rules::Rule;
use crate::rules::Shadow;
use crate::telemetry::trace::Step;

impl Proxy {
    /// A request whose rule only looks on.
    pub(super) async fn shadowed(&self, asked: Asked, query: Query, shadow: &Shadow) -> Answer {
        if let Some(refused) = refuses(&asked.head, &query.rule) {
            return refused;
        }
        let cache = &self.0.cache;
        let looking = asked.trace.span(Step::Lookup);
        let seen = match ranges::asked(asked.head.method(), asked.head.headers()) {
            AskedRanges::Whole => cache.shadow(&query, &asked.head),
            AskedRanges::One | AskedRanges::Several => Err(Forward::Bypass(Bypass::Range)),
        };
        drop(looking);
        let seen = match seen {
            Ok(seen) => seen,
            Err(why) => {
                let matched = query.matched(&asked.head);
                return self.pass(asked, matched, Passing::new(why), false).await;
            }
        };
        let caller = asked.caller();
        let head = asked.head;
        let response = match self.ask(&query, &head, caller, &seen).await {
            Ok(response) => response,
            Err(failure) => {
                let hit = seen.stored.is_some();
                let found = if hit {
                    Bypass::ShadowHit
                } else {
                    Bypass::ShadowMiss
                };
                return self.failed(failure, Forward::Bypass(found));
            }
        };
        let Some(stored) = seen.stored else {
            return forwarded(&query, &head, response, Bypass::ShadowMiss);
        };
        let (response, difference) = compared(&head, response, &stored, shadow).await;
        let found = difference.map_or(Bypass::ShadowHit, |difference| {
            self.tell(&query.rule, &head, &difference);
            Bypass::ShadowDiffers
        });
        forwarded(&query, &head, response, found)
    }

    /// The app's answer; a HEAD's brings nothing to store.
    async fn ask(
        &self,
        query: &Query,
        head: &Arc<Head>,
        caller: Caller,
        seen: &Shadowed,
    ) -> Result<Response<Body>, Failure> {
        let fetch = &self.0.fetch;
        if head.brings_content() {
            let (fill, follower) = self.0.cache.fill_beside(query, head, seen);
            let own = fetch.fill_for(fill, caller, follower.own()).await;
            return own.map(|(response, ..)| response);
        }
        let matched = query.matched(head);
        let passed = fetch.pass(Arc::clone(head), Body::empty(), caller, matched, None);
        passed.await.map(|passed| passed.response)
    }

    /// Counts a difference, and says now and then that there are some.
    fn tell(&self, rule: &Rule, head: &Head, difference: &Difference) {
        rule.count_difference();
        let id = rule.id.clone().unwrap_or_default();
        let counted = self.0.differences.count(&id, self.0.cache.now());
        if let Some(Count { all, unsaid }) = counted {
            let url = head.absolute_uri();
            let not_logged = (unsaid > 0).then_some(unsaid);
            tracing::warn!(rule = &*id, url, %difference, all, not_logged, "the app's answer differs from what is stored");
        }
    }
}

fn forwarded(query: &Query, head: &Head, mut response: Response<Body>, found: Bypass) -> Answer {
    // It was asked for as what is stored is: without the cookies that the rule ignores.
    policy::spare_hidden_cookies(&query.rule.terms, head, response.headers_mut());
    let outcome = Outcome::Forwarded {
        why: Forward::Bypass(found),
        status: Some(response.status()),
        end: End::Passed,
        commit: Commit::Done,
    };
    (respond::fetched(head, response), outcome)
}

/// In what the app's answer differs from what would have been served; and the answer, as if nobody had looked at it.
async fn compared(
    head: &Head,
    response: Response<Body>,
    stored: &Stored,
    shadow: &Shadow,
) -> (Response<Body>, Option<Difference>) {
    let (parts, body) = response.into_parts();
    let difference = of_heads(head, &parts, stored, shadow);
    if difference.is_some() || *head.method() == Method::HEAD {
        return (Response::from_parts(parts, body), difference);
    }
    let (same, body) = is_content(body, &stored.entry.body).await;
    let difference = (!same).then_some(Difference::Body);
    (Response::from_parts(parts, body), difference)
}

/// As the app's heads are compared; the one that a HEAD with a condition got says at least that what is stored is right.
fn of_heads(head: &Head, app: &Parts, stored: &Stored, shadow: &Shadow) -> Option<Difference> {
    let entry = &stored.entry;
    let agrees = || validators::not_modified(head.headers(), entry.status, &entry.headers);
    if app.status == StatusCode::NOT_MODIFIED && agrees() {
        return None;
    }
    shadow::of_heads(shadow, entry, app.status, &app.headers)
}

/// Whether these bytes are the content of a body; and the body, as if nobody had read of it. It is read no further than it
/// takes to tell. One that is cut is another.
async fn is_content(mut body: Body, content: &Bytes) -> (bool, Body) {
    let exact = body.exact_len();
    if exact.is_some_and(|exact| exact != content.len() as u64) {
        return (false, body);
    }
    let (mut read, mut left) = (Vec::new(), &**content);
    let same = loop {
        let Some(piece) = body.next().await else {
            body = Body::empty();
            break left.is_empty();
        };
        let after = match &piece {
            Ok(Chunk::Data(data)) => left.strip_prefix(&**data),
            Ok(Chunk::Trailers(_)) => Some(left),
            Err(_) => None,
        };
        read.push(piece);
        match after {
            Some(after) => left = after,
            None => break false,
        }
    };
    let rest = unfold(body, async |mut rest| Some((rest.next().await?, rest)));
    (same, Body::chunks(iter(read).chain(rest), exact))
}

/// How often the app's answers differed from what would have been served, by rule.
#[derive(Debug, Default)]
pub(super) struct Differences(Mutex<HashMap<Arc<str>, Told>>);

#[derive(Debug)]
struct Told {
    at: Timestamp,
    count: Count,
}

/// How many there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Count {
    /// Since the start.
    all: u64,
    /// Since the last one that was told, without this one.
    unsaid: u64,
}

/// One of a rule is told in this time.
const APART: Duration = Duration::from_secs(1);

impl Differences {
    /// Counts one; how many there are by now, if it is to be told.
    fn count(&self, rule: &Arc<str>, now: Timestamp) -> Option<Count> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = told.get_mut(rule) else {
            let count = Count { all: 1, unsaid: 0 };
            told.insert(Arc::clone(rule), Told { at: now, count });
            return Some(count);
        };
        last.count.all += 1;
        // Not for ever, if the clock was set back.
        if last.at <= now && now.since(last.at) < APART {
            last.count.unsaid += 1;
            return None;
        }
        last.at = now;
        let count = last.count;
        last.count.unsaid = 0;
        Some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Cut;

    #[test]
    fn differences_are_counted_by_rule_and_told_now_and_then() {
        let differences = Differences::default();
        let at = |ms: u64| Timestamp::from_secs(1_000) + Duration::from_millis(ms);
        let (a, b) = (Arc::from("a"), Arc::from("b"));
        let told = |all, unsaid| Some(Count { all, unsaid });
        for (rule, ms, expected) in [
            (&a, 0, told(1, 0)),
            (&a, 1, None),
            (&b, 2, told(1, 0)),
            (&a, 999, None),
            (&a, 1_000, told(4, 2)),
            (&a, 1_999, None),
            (&a, 9_000, told(6, 1)),
        ] {
            assert_eq!(differences.count(rule, at(ms)), expected, "{ms}");
        }
        let back = Timestamp::from_secs(1);
        assert_eq!(
            differences.count(&a, back),
            told(7, 0),
            "the clock was set back"
        );
    }

    #[tokio::test]
    async fn a_body_is_read_as_far_as_it_takes_to_tell_and_passed_on_whole() {
        let data = |text: &'static str| Ok(Chunk::Data(text.into()));
        let cut = || Err(Cut::Short("gone".into()));
        for (name, pieces, expected, passed) in [
            ("the same", vec![data("ab"), data("c")], true, "abc"),
            (
                "with empty pieces",
                vec![data(""), data("abc"), data("")],
                true,
                "abc",
            ),
            (
                "another",
                vec![data("ab"), data("x"), data("y")],
                false,
                "abxy",
            ),
            ("shorter", vec![data("ab")], false, "ab"),
            (
                "longer",
                vec![data("abc"), data("d"), data("e")],
                false,
                "abcde",
            ),
            ("cut", vec![data("ab"), cut()], false, "ab!"),
            ("cut at the end", vec![data("abc"), cut()], false, "abc!"),
            ("empty", vec![], false, ""),
        ] {
            let body = Body::chunks(iter(pieces), None);
            let (same, mut body) = is_content(body, &Bytes::from("abc")).await;
            assert_eq!(same, expected, "{name}");
            let mut read = String::new();
            while let Some(piece) = body.next().await {
                match piece {
                    Ok(Chunk::Data(data)) => read.push_str(std::str::from_utf8(&data).unwrap()),
                    Ok(Chunk::Trailers(_)) => {}
                    Err(_) => read.push('!'),
                }
            }
            assert_eq!(read, passed, "{name}");
        }
    }

    #[tokio::test]
    async fn a_difference_decides_before_the_body_has_ended() {
        let first = iter([Ok(Chunk::Data("x".into()))]);
        let endless = first.chain(futures_util::stream::pending());
        let (same, _) = is_content(Body::chunks(endless, None), &Bytes::from("abc")).await;
        assert!(!same);
        let longer = Body::chunks(futures_util::stream::pending(), Some(4));
        assert!(!is_content(longer, &Bytes::from("abc")).await.0);
    }
}
