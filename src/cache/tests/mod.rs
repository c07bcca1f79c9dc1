mod churn;
mod inspect;
mod operated;

use futures_util::FutureExt;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use http::HeaderMap;
use http::Response;
use http::StatusCode;
use http::header;
use http::response::Parts;

use super::*;
use crate::body::Body;
use crate::body::Chunk;
use crate::body::Cut;
use crate::cache::spool::CHUNK_OVERHEAD;
use crate::cache::stored::REMEMBERED;
use crate::cache::stored::REVALIDATED;
use crate::model::entry::Conditions;
use crate::model::entry::StaleUse;
use crate::model::outcome::End;
use crate::model::outcome::Failure;
use crate::model::outcome::NoStore;
use crate::model::outcome::Outcome;
use crate::model::tag::Increment;
use crate::model::tag::Tagged;
use crate::policy::Store;
use crate::policy::vary;
use crate::rules::Context;
use crate::rules::Plan;
use crate::rules::RuleSet;

/// An empty cache, and the clock it goes by.
fn cache() -> (Cache, Clock) {
    let clock = Clock::manual(Timestamp::from_secs(1_000_000));
    let config = Config {
        max_bytes: 1 << 20,
        max_object: 1 << 10,
        max_variants: 4,
    };
    (Cache::new(config, clock.clone()), clock)
}

fn head(path: &str) -> Arc<Head> {
    let request = http::Request::get(path).header("host", "shop.example");
    Arc::new(Head::new(request.body(()).unwrap().into_parts().0, "http").unwrap())
}

fn query(head: &Head) -> Query {
    match RuleSet::none(&Context::new("test")).plan(head, Timestamp::from_secs(1_000_000)) {
        Plan::Lookup(query) => query,
        Plan::Pass(pass) => panic!("passed: {:?}", pass.why),
    }
}

/// The same under a rule that lets what was invalidated be served for so long.
fn served_invalidated(head: &Head, max_stale: &str) -> Query {
    let on = format!("{{ mode: stale, max_stale: {max_stale} }}");
    let rules = format!("rules:\n  - {{ match: {{ path: '/.*' }}, on_invalidate: {on} }}\n");
    let rules = [("rules.yaml".to_owned(), rules)];
    let rules = RuleSet::compile(&rules, &Context::new("test")).unwrap();
    match rules.plan(head, Timestamp::from_secs(1_000_000)) {
        Plan::Lookup(query) => query,
        Plan::Pass(pass) => panic!("passed: {:?}", pass.why),
    }
}

fn lookup(cache: &Cache, path: &str) -> Lookup {
    let head = head(path);
    cache.lookup(&query(&head), &head, None, Trust::Full)
}

/// The fill of a path, and the share of the client that asked for it.
fn miss(cache: &Cache, path: &str) -> (Box<Fill>, Follower) {
    let found = lookup(cache, path);
    let Lookup::Miss(fill, follower) = found else {
        panic!("{found:?}");
    };
    (fill, follower)
}

/// The share of a client that came while the fill ran.
fn join(cache: &Cache, path: &str) -> Follower {
    let found = lookup(cache, path);
    let Lookup::Join(follower) = found else {
        panic!("{found:?}");
    };
    follower
}

/// What a follower reads.
async fn body_of(cache: &Cache, follower: Follower) -> Body {
    let followed = soon(follower.outcome(cache, &head("/a"), None)).await;
    let Followed::Response(response, _) = followed else {
        panic!("{followed:?}");
    };
    response.into_body()
}

fn is_hit(cache: &Cache, path: &str) -> bool {
    matches!(lookup(cache, path), Lookup::Hit(..))
}

fn meta(cache: &Cache, lifetime: u64) -> EntryMeta {
    EntryMeta {
        received: cache.now(),
        born: cache.now(),
        lifetime: Duration::from_secs(lifetime),
        soft_until: None,
        conditions: Conditions {
            stale: StaleUse::default(),
            shareable: true,
            vary: [].into(),
        }
        .into(),
    }
}

fn keep(cache: &Cache, lifetime: u64) -> Keep {
    Keep {
        store: Store {
            meta: meta(cache, lifetime),
            without: Vec::new(),
        },
        targeted: HeaderMap::new(),
        tags: Vec::new(),
    }
}

/// Stores a response under a path and a tag.
async fn store(cache: &Cache, path: &str, lifetime: u64, tag: &str) {
    let (fill, _follower) = miss(cache, path);
    let keep = Keep {
        tags: vec![Tag::parse(tag).unwrap().into()],
        ..keep(cache, lifetime)
    };
    let response = Response::new(Body::from("x"));
    fill.store(response, StatusCode::OK, keep).await;
    assert!(is_hit(cache, path), "{path}");
}

#[tokio::test]
async fn l10_conditions_that_an_app_makes_up_count() {
    let (cache, _) = cache();
    let mut weights = Vec::new();
    for n in 0..300 {
        let (fill, _follower) = miss(&cache, &format!("/{n:03}"));
        let mut keep = keep(&cache, 60);
        keep.store.meta.stale.if_error = Duration::from_secs(n);
        let before = cache.0.store.bytes();
        fill.store(Response::new(Body::from("x")), StatusCode::OK, keep)
            .await;
        weights.push(cache.0.store.bytes() - before);
    }
    let (shared, own) = (weights[1], weights[299]);
    assert!(
        own >= shared + size_of::<Conditions>() as u64,
        "{weights:?}"
    );
}

/// A failure instead of a test that hangs.
async fn soon<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), event)
        .await
        .expect("it happens at once")
}

/// A request that `Vary: Accept-Language` tells from others.
fn in_language(path: &str, language: &str) -> Arc<Head> {
    let mut head = Head::clone(&head(path));
    let language = language.parse().unwrap();
    head.parts.headers.insert(header::ACCEPT_LANGUAGE, language);
    head.into()
}

/// Fetches the variant of a language, which is fresh for a minute; what is said of storing it.
async fn fetch_language(cache: &Cache, language: &str) -> End {
    let head = in_language("/a", language);
    let found = cache.lookup(&query(&head), &head, None, Trust::Full);
    let Lookup::Miss(fill, follower) = found else {
        panic!("{found:?}");
    };
    let mut keep = keep(cache, 60);
    keep.store.meta.vary = [header::ACCEPT_LANGUAGE.into()].into();
    let response = Response::new(Body::from("x"));
    fill.store(response, StatusCode::OK, keep).await;
    let Followed::Response(_, Outcome::Forwarded { end, .. }) =
        follower.outcome(cache, &head, None).await
    else {
        panic!("it is its client's own");
    };
    end
}

fn has_language(cache: &Cache, language: &str) -> bool {
    let head = in_language("/a", language);
    matches!(
        cache.lookup(&query(&head), &head, None, Trust::Full),
        Lookup::Hit(..)
    )
}

#[tokio::test]
async fn variants_of_one_key_come_to_an_end_and_those_that_are_over_make_room() {
    let (cache, clock) = cache();
    let refused = End::NotStored(NoStore::TooManyVariants);
    for language in ["a0", "a1", "a2", "a3"] {
        assert_eq!(fetch_language(&cache, language).await, End::Stored);
    }
    let full = cache.0.store.len();
    for n in 0..100 {
        assert_eq!(fetch_language(&cache, &format!("b{n}")).await, refused);
    }
    assert_eq!(cache.0.store.len(), full, "nothing is left of them");
    assert!(has_language(&cache, "a0") && has_language(&cache, "a3"));

    // One that has left the store, by size or by hand.
    let gone = in_language("/a", "a1");
    let fields = vary::selecting(&[header::ACCEPT_LANGUAGE.into()], gone.headers());
    cache.0.store.remove(&query(&gone).base.variant(&fields));
    assert_eq!(fetch_language(&cache, "c0").await, End::Stored);
    assert_eq!(fetch_language(&cache, "c1").await, refused);

    // Those that are over.
    clock.advance(Duration::from_secs(60));
    for language in ["d0", "d1", "d2", "d3"] {
        assert_eq!(fetch_language(&cache, language).await, End::Stored);
        assert!(has_language(&cache, language));
    }
    assert_eq!(cache.0.store.len(), full, "they are gone");
}

#[tokio::test]
async fn variants_that_are_fetched_at_once_do_not_get_past_the_end_together() {
    let (cache, _) = cache();
    fetch_language(&cache, "a").await; // from now on others are other fetches
    let (release, _) = tokio::sync::broadcast::channel::<()>(1);
    let mut running = Vec::new();
    for n in 0..20 {
        let head = in_language("/a", &format!("l{n}"));
        let (fill, follower) = fill_for(&cache, &head);
        let mut keep = keep(&cache, 60);
        keep.store.meta.vary = [header::ACCEPT_LANGUAGE.into()].into();
        let mut released = release.subscribe();
        let content = stream::once(Box::pin(async move {
            released.recv().await.ok();
            Ok(Chunk::Data(Bytes::from("x")))
        }));
        let response = Response::new(Body::chunks(content, None));
        let task = tokio::spawn(fill.store(response, StatusCode::OK, keep));
        let followed = follower.outcome(&cache, &head, None).await;
        assert!(
            matches!(followed, Followed::Response(..)),
            "the head is there"
        );
        running.push((task, followed));
    }
    release.send(()).unwrap();
    for (task, _) in running {
        soon(task).await.unwrap();
    }
    let stored = (0..20).filter(|n| has_language(&cache, &format!("l{n}")));
    assert_eq!(stored.count(), 3, "and the one before them");
}

#[tokio::test]
async fn what_led_to_a_response_and_left_while_it_came_is_noted_anew() {
    let (cache, _) = cache();
    let german = in_language("/a", "de");
    let (fill, follower) = fill_for(&cache, &german);
    let mut keep = keep(&cache, 60);
    keep.store.meta.vary = [header::ACCEPT_LANGUAGE.into()].into();
    let (release, released) = tokio::sync::oneshot::channel::<()>();
    let content = stream::once(Box::pin(async move {
        released.await.ok();
        Ok(Chunk::Data(Bytes::from("x")))
    }));
    let response = Response::new(Body::chunks(content, None));
    let task = tokio::spawn(fill.store(response, StatusCode::OK, keep));
    let followed = follower.outcome(&cache, &german, None).await;
    assert!(
        matches!(followed, Followed::Response(..)),
        "the head is there"
    );
    cache.0.store.remove(&query(&german).base.only_variant());
    release.send(()).unwrap();
    soon(task).await.unwrap();
    assert!(has_language(&cache, "de"));
}

#[tokio::test]
async fn l10_what_is_never_stored_leaves_no_note_of_its_language() {
    let (cache, _) = cache();
    for n in 0..10 {
        let head = in_language("/a", &format!("l{n}"));
        let (fill, _follower) = fill_for(&cache, &head);
        let mut keep = keep(&cache, 60);
        keep.store.meta.vary = [header::ACCEPT_LANGUAGE.into()].into();
        let cut = stream::iter([Err(Cut::Short("it broke".into()))]);
        let response = Response::builder().header("content-language", format!("l{n}"));
        let response = response.body(Body::chunks(cut, None)).unwrap();
        fill.store(response, StatusCode::OK, keep).await;
    }
    assert_eq!(cache.0.store.len(), 1, "what selects them");
}

#[tokio::test]
async fn l10_a_sweep_drops_what_answers_nobody_and_nothing_else() {
    let (cache, clock) = cache();
    store(&cache, "/lasting", 86_400, "Lasting").await;
    store(&cache, "/brief", 60, "Brief").await;
    store(&cache, "/changed", 86_400, "Changed").await;
    cache.sweep();
    assert_eq!(cache.0.store.len(), 3, "all can answer");

    let changed = Tag::parse("Changed").unwrap();
    let _ = cache
        .increment(&[changed.into()], &"POST /x".into())
        .now_or_never();
    clock.advance(REMEMBERED - Duration::from_secs(1));
    cache.sweep();
    assert_eq!(cache.0.store.len(), 3, "why they cannot is still told");

    clock.advance(Duration::from_secs(2));
    cache.sweep();
    assert_eq!(cache.0.store.len(), 2, "the invalidated one is forgotten");
    assert!(is_hit(&cache, "/lasting"));

    clock.advance(Duration::from_secs(60));
    cache.sweep();
    assert_eq!(cache.0.store.len(), 1, "the expired one is forgotten");
    assert!(is_hit(&cache, "/lasting"));
}

#[tokio::test]
async fn l10_a_sweep_drops_what_may_be_used_stale_only_after_that() {
    let window = Duration::from_secs(100_000);
    let not_named = StaleUse::default();
    for (name, stale, vary, kept) in [
        ("no window", not_named, None, REMEMBERED),
        (
            "while revalidate",
            StaleUse {
                while_revalidate: window,
                ..not_named
            },
            None,
            window,
        ),
        (
            "if error",
            StaleUse {
                if_error: window,
                ..not_named
            },
            None,
            window,
        ),
        (
            "if disconnected",
            StaleUse {
                if_disconnected: window,
                ..not_named
            },
            None,
            window,
        ),
        (
            "a variant",
            StaleUse {
                if_error: window,
                ..not_named
            },
            Some(header::ACCEPT),
            window,
        ),
    ] {
        let (cache, clock) = cache();
        let (fill, _follower) = miss(&cache, "/a");
        let mut keep = keep(&cache, 60);
        keep.store.meta.stale = stale;
        keep.store.meta.vary = vary.into_iter().map(Into::into).collect();
        fill.store(Response::new(Body::from("x")), StatusCode::OK, keep)
            .await;
        clock.advance(Duration::from_secs(60) + kept);
        cache.sweep();
        let head = head("/a");
        let found = cache.find(query(&head).base, &head);
        assert!(matches!(found, Found::Stored(..)), "{name}: at the end");
        clock.advance(REVALIDATED);
        cache.sweep();
        assert_eq!(cache.0.store.len(), 0, "{name}: after it");
    }
}

#[tokio::test]
async fn l10_a_sweep_keeps_what_its_rule_lets_be_served_after_an_increment() {
    let (cache, clock) = cache();
    let head = head("/a");
    let query = served_invalidated(&head, "1000s");
    let Lookup::Miss(fill, _follower) = cache.lookup(&query, &head, None, Trust::Full) else {
        panic!("it is missing");
    };
    let tag = Tag::parse("A").unwrap();
    let keep = Keep {
        tags: vec![tag.clone().into()],
        ..keep(&cache, 86_400)
    };
    fill.store(Response::new(Body::from("x")), StatusCode::OK, keep)
        .await;
    let _ = cache
        .increment(&[tag.into()], &"POST /x".into())
        .now_or_never();
    cache.sweep();
    clock.advance(Duration::from_secs(1_000));
    cache.sweep();
    assert_eq!(cache.0.store.len(), 1, "at the end");
    clock.advance(Duration::from_secs(1));
    cache.sweep();
    assert_eq!(cache.0.store.len(), 0, "after it");
}

#[tokio::test]
async fn l10_a_sweep_forgets_what_could_not_be_stored() {
    let (cache, clock) = cache();
    let (fill, _follower) = miss(&cache, "/a");
    let response = Response::new(Body::from("x"));
    fill.hand_over(response, StatusCode::OK, NoStore::Private);
    cache.sweep();
    assert_eq!(cache.0.store.len(), 1, "nobody waits for the next one");
    clock.advance(Duration::from_secs(11)); // the default of `hit_for_miss` is over
    cache.sweep();
    assert_eq!(cache.0.store.len(), 0);
}

#[tokio::test]
async fn what_has_expired_and_was_invalidated_has_been_over_since_the_first_of_both() {
    for (name, lifetime, invalidated, now, expected) in [
        ("fresh", 60, None, 10, 50),
        ("invalidated", 60, Some(10), 15, -5),
        ("invalidated, then expired", 60, Some(10), 100, -90),
        ("expired, then invalidated", 5, Some(50), 60, -55),
    ] {
        let (cache, clock) = cache();
        store(&cache, "/a", lifetime, "A").await;
        let at = invalidated.unwrap_or(now);
        clock.advance(Duration::from_secs(at));
        if invalidated.is_some() {
            let tag = Tag::parse("A").unwrap();
            let _ = cache
                .increment(&[tag.into()], &"POST /x".into())
                .now_or_never();
        }
        clock.advance(Duration::from_secs(now - at));
        let (_, stored) = stored(&cache, &head("/a"));
        assert_eq!(stored.ttl(cache.now()), expected, "{name}");
    }
}

#[test]
fn l06_an_increment_that_has_no_room_to_wait_is_repeated_early() {
    let (cache, _) = cache();
    let by = "POST /x".into();
    let again = |name: &str, after| Increment {
        again: Some(Duration::from_secs(after)),
        ..Tag::parse(name).unwrap().into()
    };
    let _ = cache.increment(&[again("A", 1)], &by).now_or_never();
    let first = cache.0.tags.version("A");
    let many = (0..10_000).map(|n| again(&format!("T:{n}"), 60));
    let _ = cache
        .increment(&many.collect::<Vec<_>>(), &by)
        .now_or_never();
    assert!(cache.0.tags.version("A") > first);
}

#[tokio::test]
async fn l09_a_fill_that_ends_while_a_stale_hit_looks_for_it_is_not_run_again() {
    let (cache, clock) = cache();
    let (fill, _follower) = miss(&cache, "/a");
    let mut stale = keep(&cache, 60);
    stale.store.meta.stale.while_revalidate = Duration::from_secs(60);
    fill.store(Response::new(Body::from("x")), StatusCode::OK, stale)
        .await;
    clock.advance(Duration::from_secs(70));
    let (head, now) = (head("/a"), cache.now());
    let query = query(&head);
    let Found::Stored(variant, stored) = cache.find(query.base, &head) else {
        panic!("it is stored");
    };
    let stale = || {
        let stored = Arc::clone(&stored);
        let found = cache.stale(
            &query,
            &head,
            (variant, stored),
            &Wishes::default(),
            now,
            Stale::WhileRevalidate,
        );
        let Lookup::Stale(_, _, _, fill) = found else {
            panic!("{found:?}");
        };
        fill
    };
    let fill = stale().expect("nobody runs it");
    assert!(stale().is_none(), "somebody runs it");
    let tag = Tag::parse("A").unwrap();
    let tagged = || Keep {
        tags: vec![tag.clone().into()],
        ..keep(&cache, 60)
    };
    let response = Response::new(Body::from("y"));
    fill.store(response, StatusCode::OK, tagged()).await;
    assert!(stale().is_none(), "it has just ended");

    // What it brought is no reason any more.
    let _ = cache
        .increment(&[tag.clone().into()], &"POST /x".into())
        .now_or_never();
    let fill = stale().expect("it has been invalidated");
    let response = Response::new(Body::from("z"));
    fill.store(response, StatusCode::OK, tagged()).await;
    assert!(stale().is_none());
    clock.advance(Duration::from_secs(60));
    stale().expect("it has expired");
}

#[tokio::test]
async fn l09_a_fill_that_ends_while_a_miss_looks_for_it_is_not_run_again() {
    let (cache, _) = cache();
    let head = head("/a");
    let query = query(&head);
    let Found::Nothing(variant) = cache.find(query.base, &head) else {
        panic!("nothing is stored");
    };
    store(&cache, "/a", 60, "A").await;
    let miss = |no_cache| {
        let wishes = Wishes {
            no_cache,
            ..Wishes::default()
        };
        Miss::of(wishes, None, None)
    };
    let errand = || Errand {
        variant,
        why: Forward::UriMiss,
        aim: Aim::Whole,
        stored: None,
        spare: None,
        shadowed: None,
    };
    let late = cache.begin_or_join(&query, &head, errand(), miss(false));
    assert!(matches!(late, Lookup::Hit(..)), "{late:?}");
    let late = cache.begin_or_join(&query, &head, errand(), miss(true));
    assert!(matches!(late, Lookup::Miss(..)), "{late:?}");
}

#[tokio::test]
async fn l09_a_fill_that_dies_before_the_head_tells_everyone_at_once() {
    let (cache, _) = cache();
    let (fill, first) = miss(&cache, "/a");
    let second = join(&cache, "/a");
    drop(fill);
    for follower in [first, second] {
        let outcome = soon(follower.outcome(&cache, &head("/a"), None)).await;
        assert!(
            matches!(outcome, Followed::Failed(Failure::Abandoned, _)),
            "{outcome:?}"
        );
    }
    miss(&cache, "/a"); // nobody joins the dead one
}

#[tokio::test]
async fn l09_nobody_joins_a_fill_that_is_given_up_because_nobody_waits() {
    let (cache, _) = cache();
    let (fill, first) = miss(&cache, "/a");
    let second = join(&cache, "/a");
    drop(first);
    let mut turn = Box::pin(fill.unless_deserted(std::future::pending::<()>()));
    assert!(futures_util::poll!(&mut turn).is_pending(), "one waits");
    drop(second);
    assert_eq!(soon(turn).await, None);
    let (next, _follower) = miss(&cache, "/a");
    drop(fill);
    join(&cache, "/a"); // the next one, which is still under way
    assert_eq!(soon(next.unless_deserted(async { 1 })).await, Some(1));
}

#[tokio::test]
async fn l01_a_fill_may_be_joined_after_any_change_until_it_has_set_out() {
    let (cache, _) = cache();
    let (mut fill, _first) = miss(&cache, "/a");
    let uri = || {
        query(&head("/a"))
            .matched(&head("/a"))
            .implicit_tags(&head("/a"))
    };
    let change = || {
        let tags = uri().into_iter().map(Increment::from);
        let _ = cache
            .increment(&tags.collect::<Vec<_>>(), &"POST /a".into())
            .now_or_never();
    };
    change();
    join(&cache, "/a");
    fill.set_out();
    join(&cache, "/a");
    change();
    miss(&cache, "/a");
}

#[tokio::test]
async fn l09_a_fill_that_dies_in_the_body_cuts_it_for_everyone() {
    let (cache, _) = cache();
    let (fill, first) = miss(&cache, "/a");
    let second = join(&cache, "/a");
    let half = Ok(Chunk::Data(Bytes::from("half")));
    let body = Body::chunks(stream::iter([half]).chain(stream::pending()), None);
    let keep = keep(&cache, 60);
    let running = tokio::spawn(fill.store(Response::new(body), StatusCode::OK, keep));

    let mut bodies = Vec::new();
    for follower in [first, second] {
        bodies.push(body_of(&cache, follower).await);
    }
    for body in &mut bodies {
        assert!(matches!(soon(body.next()).await, Some(Ok(Chunk::Data(_)))));
    }
    running.abort();
    for body in &mut bodies {
        assert!(matches!(soon(body.next()).await, Some(Err(_))));
    }
    assert!(running.await.is_err());
    miss(&cache, "/a");
}

#[tokio::test]
async fn who_has_read_all_finds_it_stored() {
    for content in ["half", ""] {
        let (cache, _) = cache();
        let (fill, follower) = miss(&cache, "/a");
        let (ends, end) = tokio::sync::oneshot::channel::<()>();
        let piece = (!content.is_empty()).then(|| Ok(Chunk::Data(Bytes::from(content))));
        let rest = stream::once(end).filter_map(async |_| None);
        let body = Body::chunks(
            Box::pin(stream::iter(piece).chain(rest)),
            Some(content.len() as u64),
        );
        let keep = keep(&cache, 60);
        let running = tokio::spawn(fill.store(Response::new(body), StatusCode::OK, keep));
        let head = head("/a");
        let mut reading = Box::pin(async {
            let followed = follower.outcome(&cache, &head, None).await;
            let Followed::Response(response, _) = followed else {
                panic!("{followed:?}");
            };
            let mut body = response.into_body();
            if body.exact_len() == Some(0) {
                return None; // its head is all
            }
            body.next().await
        });
        for _ in 0..10 {
            assert!(futures_util::poll!(&mut reading).is_pending(), "{content}");
            tokio::task::yield_now().await;
        }
        ends.send(()).unwrap();
        let chunk = soon(reading).await;
        assert_eq!(chunk.is_some(), !content.is_empty());
        assert!(is_hit(&cache, "/a"), "{content}");
        soon(running).await.unwrap();
    }
}

#[tokio::test]
async fn nobody_waits_after_a_reason_that_will_hold_for_the_next_one_too() {
    for (reason, waits) in [
        (NoStore::Private, false),
        (NoStore::AlreadyExpired, false),
        (NoStore::VaryAny, false),
        (NoStore::VaryUnknown, false),
        (NoStore::TooManyTags, false),
        (NoStore::BadTag, false),
        (NoStore::TooLarge, false),
        (NoStore::MissingTagValue, true),
        (NoStore::UnreadableBody, false),
        (NoStore::Partial, true),
        (NoStore::Raced, true),
        (NoStore::OldVersion, true),
        (NoStore::UpstreamFailed, true),
    ] {
        let (cache, _) = cache();
        let (fill, _follower) = miss(&cache, "/a");
        let response = Response::new(Body::from("x"));
        fill.hand_over(response, StatusCode::OK, reason);
        let (_next, _first) = miss(&cache, "/a");
        let found = lookup(&cache, "/a");
        let joins = matches!(found, Lookup::Join(_));
        assert_eq!(joins, waits, "{reason:?}: {found:?}");
    }
}

#[tokio::test]
async fn a_fill_that_is_not_for_the_store_ends_when_nobody_reads_or_waits_for_it() {
    let (cache, _) = cache();
    let (fill, first) = miss(&cache, "/a");
    let waits = join(&cache, "/a");
    let half = Ok(Chunk::Data(Bytes::from("half")));
    let body = Body::chunks(stream::iter([half]).chain(stream::pending()), None);
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    let running = tokio::spawn(fill.share_unstored(response, NoStore::NoFreshness));
    let go_on = async || {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        !running.is_finished()
    };

    drop(body_of(&cache, first).await);
    assert!(go_on().await, "the second waits");
    let mut reads = body_of(&cache, waits).await;
    assert!(go_on().await, "the second reads");
    assert!(matches!(reads.next().await, Some(Ok(Chunk::Data(_)))));
    let late = join(&cache, "/a");
    drop(reads);
    assert!(go_on().await, "a third waits");
    drop(late);
    soon(running).await.unwrap();
    miss(&cache, "/a"); // nobody joins it any more
}

#[tokio::test]
async fn a_body_that_does_not_end_as_it_should_is_neither_stored_nor_whole() {
    let data = |text: &'static str| Ok(Chunk::Data(Bytes::from(text)));
    let cut = || Err(Cut::Short("reset".into()));
    for (name, chunks, exact) in [
        ("cut before anything", vec![cut()], None),
        ("cut on the way", vec![data("ha"), cut()], None),
        ("short of its length", vec![data("ha"), cut()], Some(4)),
        (
            "cut after its last byte",
            vec![data("ha"), data("lf"), cut()],
            Some(4),
        ),
        (
            "longer than its length",
            vec![data("half"), data("more")],
            Some(4),
        ),
    ] {
        let (cache, _) = cache();
        let (fill, follower) = miss(&cache, "/a");
        let body = Body::chunks(stream::iter(chunks), exact);
        fill.store(Response::new(body), StatusCode::OK, keep(&cache, 60))
            .await;
        let mut body = body_of(&cache, follower).await;
        let end = soon(async {
            loop {
                match body.next().await {
                    Some(Ok(_)) => {}
                    end => return end,
                }
            }
        });
        assert!(matches!(end.await, Some(Err(_))), "{name}");
        assert_eq!(cache.0.store.len(), 0, "{name}");
        miss(&cache, "/a");
    }
}

#[tokio::test]
async fn l10_a_body_that_outgrows_the_store_reaches_everyone_and_holds_nothing() {
    let (cache, _) = cache();
    let (fill, first) = miss(&cache, "/a");
    let second = join(&cache, "/a");
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let chunks = stream::unfold(receiver, async |mut receiver| {
        let chunk = receiver.recv().await?;
        Some((Ok(Chunk::Data(chunk)), receiver))
    });
    let response = Response::new(Body::chunks(chunks, None));
    let running = tokio::spawn(fill.store(response, StatusCode::OK, keep(&cache, 60)));
    let send = async |n: u8| {
        let piece = Bytes::from(vec![n; 512]);
        assert!(soon(sender.send(piece)).await.is_ok());
    };
    send(0).await;
    let mut bodies = [body_of(&cache, first).await, body_of(&cache, second).await];
    for n in 1..4 {
        send(n).await;
    }
    for body in &mut bodies {
        for expected in 0..4 {
            let Some(Ok(Chunk::Data(chunk))) = soon(body.next()).await else {
                panic!("piece {expected} is missing");
            };
            assert_eq!(chunk, vec![expected; 512]);
        }
    }

    // It goes on, and what changes meanwhile is none of its business.
    for n in 0..100_000 {
        let tag = Tag::parse(&format!("gone:{n}")).unwrap();
        let _ = cache
            .increment(&[tag.into()], &"POST /x".into())
            .now_or_never();
    }
    let tags = cache.0.tags.len();
    assert!(tags < 40_000, "{tags} tags are remembered");
    let _next = miss(&cache, "/a"); // nobody joins it any more
    miss(&cache, "/a"); // nor waits for the next one, which will hardly be smaller

    drop(sender);
    for body in &mut bodies {
        assert!(soon(body.next()).await.is_none(), "whole");
    }
    soon(running).await.unwrap();
    assert!(
        cache.0.store.bytes() < 1_000,
        "the note that it is too large"
    );
}

#[tokio::test]
async fn who_waited_for_a_body_that_only_passes_by_now_asks_for_itself() {
    let (cache, _) = cache();
    let (fill, _first) = miss(&cache, "/a");
    let second = join(&cache, "/a");
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let chunks = stream::unfold(receiver, async |mut receiver| {
        let chunk = receiver.recv().await?;
        Some((Ok(Chunk::Data(chunk)), receiver))
    });
    let response = Response::new(Body::chunks(chunks, None));
    let running = tokio::spawn(fill.store(response, StatusCode::OK, keep(&cache, 60)));
    for n in 0..5 {
        let piece = Bytes::from(vec![n; 512]);
        assert!(soon(sender.send(piece)).await.is_ok()); // the last but one has been taken
    }
    // No chunk has left: its first client has read nothing.
    let followed = soon(second.outcome(&cache, &head("/a"), None)).await;
    assert!(matches!(followed, Followed::Alone(_)), "{followed:?}");
    running.abort();
}

#[tokio::test]
async fn l10_all_fills_together_hold_no_more_than_their_share() {
    const SIZE: usize = 1_000;
    let (cache, _) = cache();
    let share = cache.0.fills.held.most / (SIZE + CHUNK_OVERHEAD);
    let mut running = Vec::new();
    let mut held = 0;
    for n in 0..2 * share {
        let path = format!("/{n}");
        let (fill, follower) = miss(&cache, &path);
        let piece = Ok(Chunk::Data(Bytes::from(vec![0; SIZE])));
        let body = Body::chunks(stream::iter([piece]).chain(stream::pending()), None);
        let response = Response::new(body);
        running.push(tokio::spawn(fill.store(
            response,
            StatusCode::OK,
            keep(&cache, 60),
        )));
        let mut body = body_of(&cache, follower).await;
        assert!(matches!(soon(body.next()).await, Some(Ok(Chunk::Data(_)))));
        // What is held can be joined. That there was no room says nothing of the next one.
        if let Lookup::Join(_) = lookup(&cache, &path) {
            held += 1;
        } else {
            let (_next, _follower) = miss(&cache, &path);
            join(&cache, &path);
        }
    }
    assert_eq!(held, share);
    for fill in running {
        fill.abort();
        drop(fill.await);
    }
    store(&cache, "/a", 60, "A").await; // what they held is free again
}

#[tokio::test]
async fn l10_a_body_that_somebody_still_reads_counts_after_its_fill_has_ended() {
    let (cache, _) = cache();
    let free = |bytes| cache.0.fills.held.take(bytes);
    let (fill, follower) = miss(&cache, "/a");
    let body = Body::from(Bytes::from(vec![0; 1_000]));
    fill.store(Response::new(body), StatusCode::OK, keep(&cache, 60))
        .await;
    let reader = body_of(&cache, follower).await;
    assert!(
        !free(cache.0.fills.held.most),
        "the reader has taken nothing yet"
    );
    drop(reader);
    assert!(free(cache.0.fills.held.most));
}

/// Stores a response with this tag of its own.
async fn store_tagged(cache: &Cache, path: &str, keep: Keep) {
    let (fill, _follower) = miss(cache, path);
    let response = Response::builder().header("etag", "\"1\"");
    let response = response.body(Body::from("old")).unwrap();
    fill.store(response, StatusCode::OK, keep).await;
}

/// The same for this request, under its rule.
async fn store_tagged_under(cache: &Cache, query: &Query, head: &Arc<Head>, keep: Keep) {
    let found = cache.lookup(query, head, None, Trust::Full);
    let Lookup::Miss(fill, _follower) = found else {
        panic!("{found:?}");
    };
    fill.store(Response::new(Body::from("x")), StatusCode::OK, keep)
        .await;
}

fn with(path: &str, name: &'static str, value: &str) -> Arc<Head> {
    let mut head = Head::clone(&head(path));
    head.parts.headers.insert(name, value.parse().unwrap());
    head.into()
}

fn fill_for(cache: &Cache, head: &Arc<Head>) -> (Box<Fill>, Follower) {
    let found = cache.lookup(&query(head), head, None, Trust::Full);
    let Lookup::Miss(fill, follower) = found else {
        panic!("{found:?}");
    };
    (fill, follower)
}

#[tokio::test]
async fn l01_what_changes_between_lookup_and_snapshot_is_not_asked_about() {
    let (cache, clock) = cache();
    let tag = Tag::parse("A").unwrap();
    let tagged = Keep {
        tags: vec![tag.clone().into()],
        ..keep(&cache, 60)
    };
    store_tagged(&cache, "/a", tagged).await;
    clock.advance(Duration::from_secs(61));
    let head = head("/a");
    let query = query(&head);
    let Found::Stored(variant, stored) = cache.find(query.base, &head) else {
        panic!("it is stored");
    };
    // Intact for the lookup; then another client's write; then the snapshot.
    assert!(stored.seals.intact());
    let _ = cache
        .increment(&[tag.into()], &"POST /x".into())
        .now_or_never();
    assert!(Freshen::of(&cache, &query, variant, Arc::clone(&stored)).is_none());
    let errand = Errand {
        variant,
        why: Forward::Expired,
        aim: Aim::Validate,
        stored: Some(stored),
        spare: None,
        shadowed: None,
    };
    let miss = Miss::of(Wishes::default(), None, errand.stored.as_deref());
    let found = cache.begin_or_join(&query, &head, errand, miss);
    let Lookup::Miss(fill, follower) = found else {
        panic!("{found:?}");
    };
    assert!(fill.validates().is_none(), "a 304 would renew old content");
    assert!(fill.conditions().is_empty());
    assert_eq!(follower.why, Forward::Invalidated);
}

#[tokio::test]
async fn l01_what_changes_while_a_fill_waits_for_its_turn_is_not_asked_about() {
    let (cache, clock) = cache();
    let tag = Tag::parse("A").unwrap();
    let tagged = Keep {
        tags: vec![tag.clone().into()],
        ..keep(&cache, 60)
    };
    store_tagged(&cache, "/a", tagged).await;
    clock.advance(Duration::from_secs(61));
    let (mut fill, _follower) = miss(&cache, "/a");
    assert!(fill.validates().is_some(), "as things are");
    let _ = cache
        .increment(&[tag.into()], &"POST /x".into())
        .now_or_never();
    fill.set_out();
    assert!(fill.validates().is_none(), "a 304 would renew old content");
    assert!(fill.conditions().is_empty());
}

#[tokio::test]
async fn who_asks_for_a_part_asks_for_that_whatever_changes_meanwhile() {
    let (cache, clock) = cache();
    store(&cache, "/a", 60, "A").await;
    clock.advance(Duration::from_secs(61));
    let (mut fill, _follower) = fill_for(&cache, &with("/a", "range", "bytes=0-0"));
    let range = [(header::RANGE, "bytes=0-0".parse().unwrap())];
    assert_eq!(fill.conditions(), range);
    let tag = Tag::parse("A").unwrap();
    let _ = cache
        .increment(&[tag.into()], &"POST /x".into())
        .now_or_never();
    fill.set_out();
    assert_eq!(fill.conditions(), range);
}

#[tokio::test]
async fn what_was_begun_first_but_asked_for_last_is_the_newer() {
    let (cache, clock) = cache();
    let (mut waits, _first) = miss(&cache, "/a");
    clock.advance(Duration::from_secs(1));
    let (overtakes, _second) = fill_for(&cache, &with("/a", "cache-control", "no-cache"));
    let response = Response::new(Body::from("old"));
    overtakes
        .store(response, StatusCode::OK, keep(&cache, 60))
        .await;
    clock.advance(Duration::from_secs(1));
    waits.set_out();
    let response = Response::new(Body::from("new"));
    waits
        .store(response, StatusCode::OK, keep(&cache, 60))
        .await;
    assert_eq!(stored(&cache, &head("/a")).1.entry.body, "new");
}

#[tokio::test]
async fn what_a_304_makes_fresh_needs_no_room() {
    let (cache, clock) = cache();
    store_tagged(&cache, "/a", keep(&cache, 60)).await;
    clock.advance(Duration::from_secs(61));
    let (fill, _follower) = miss(&cache, "/a");
    assert!(cache.0.fills.held.take(cache.0.fills.held.most));
    let body = fill.validates().map(|stored| stored.entry.body.clone());
    let response = Response::new(Body::from(body.expect("the app was asked about it")));
    fill.store(response, StatusCode::NOT_MODIFIED, keep(&cache, 60))
        .await;
    assert!(is_hit(&cache, "/a"));
}

#[tokio::test]
async fn who_waits_gets_only_what_the_store_could_give_it() {
    for (name, lifetime, age, window, wish, shared) in [
        ("fresh", 60, 0, 0, "", true),
        ("arrived stale", 60, 100, 0, "", false),
        ("too old for this client", 60, 20, 0, "max-age=10", false),
        ("young enough for it", 60, 5, 0, "max-age=10", true),
        ("stale, within its window", 0, 0, 60, "", true),
        ("asked each time", 0, 0, 0, "", false),
    ] {
        let (cache, _) = cache();
        let (fill, _first) = miss(&cache, "/a");
        let second = join(&cache, "/a");
        let mut keep = keep(&cache, lifetime);
        keep.store.meta.born = cache.now() - Duration::from_secs(age);
        keep.store.meta.stale.while_revalidate = Duration::from_secs(window);
        fill.store(Response::new(Body::from("x")), StatusCode::OK, keep)
            .await;
        let followed = soon(second.outcome(&cache, &with("/a", "cache-control", wish), None)).await;
        let got = matches!(followed, Followed::Response(..));
        assert_eq!(got, shared, "{name}: {followed:?}");
        assert!(got || matches!(followed, Followed::Alone(_)), "{name}");
    }
}

#[tokio::test]
async fn l09_those_for_whom_what_arrives_is_too_old_are_one_call() {
    let (cache, _) = cache();
    let (fill, first) = miss(&cache, "/a");
    let mut keep = keep(&cache, 60);
    keep.store.meta.born = cache.now() - Duration::from_secs(20);
    let half = Ok(Chunk::Data(Bytes::from("half")));
    let body = Body::chunks(stream::iter([half]).chain(stream::pending()), None);
    let running = tokio::spawn(fill.store(Response::new(body), StatusCode::OK, keep));
    body_of(&cache, first).await;
    let head = with("/a", "cache-control", "max-age=10");
    let (_fill, _follower) = fill_for(&cache, &head);
    let found = cache.lookup(&query(&head), &head, None, Trust::Full);
    assert!(matches!(found, Lookup::Join(_)), "{found:?}");
    running.abort();
}

#[tokio::test]
async fn a_part_asked_for_later_does_not_keep_the_whole_out() {
    for (name, part_tag, kept) in [
        ("a part of it", Some("\"1\""), true),
        ("of who knows what", None, true),
        ("of another", Some("\"2\""), false),
    ] {
        let (cache, clock) = cache();
        let (whole, _first) = miss(&cache, "/a");
        clock.advance(Duration::from_secs(1));
        let (part, _second) = fill_for(&cache, &with("/a", "range", "bytes=0-0"));
        let mut response = Response::builder().status(206);
        if let Some(tag) = part_tag {
            response = response.header("etag", tag);
        }
        let response = response.header("content-range", "bytes 0-0/4");
        let response = response.body(Body::from("w")).unwrap();
        part.store(response, StatusCode::PARTIAL_CONTENT, keep(&cache, 60))
            .await;
        let response = Response::builder().header("etag", "\"1\"");
        let response = response.body(Body::from("whol")).unwrap();
        whole
            .store(response, StatusCode::OK, keep(&cache, 60))
            .await;
        assert_eq!(is_hit(&cache, "/a"), kept, "{name}");
    }
}

#[tokio::test]
async fn a_part_that_cannot_be_stored_is_no_reason_for_the_whole() {
    let (cache, _) = cache();
    let (part, _follower) = fill_for(&cache, &with("/a", "range", "bytes=0-0"));
    let status = StatusCode::PARTIAL_CONTENT;
    part.hand_over(Response::new(Body::from("w")), status, NoStore::NoStore);
    let (_whole, _first) = miss(&cache, "/a");
    join(&cache, "/a");
}

#[tokio::test]
async fn what_cannot_be_stored_ends_what_was_served_until_then_and_nothing_newer() {
    for replaced in [false, true] {
        let (cache, _) = cache();
        let head = head("/a");
        let query = served_invalidated(&head, "60s");
        let tag = Tag::parse("A").unwrap();
        let tagged = Keep {
            tags: vec![tag.clone().into()],
            ..keep(&cache, 60)
        };
        store_tagged_under(&cache, &query, &head, tagged).await;
        let _ = cache
            .increment(&[tag.into()], &"POST /x".into())
            .now_or_never();
        let Lookup::Stale(_, _, _, Some(fill)) = cache.lookup(&query, &head, None, Trust::Full)
        else {
            panic!("it is served, and fetched again");
        };
        if replaced {
            let again = with("/a", "cache-control", "no-cache");
            store_tagged_under(&cache, &query, &again, keep(&cache, 60)).await;
        }
        let response = Response::new(Body::from("private"));
        fill.hand_over(response, StatusCode::OK, NoStore::Private);
        let found = cache.find(query.base, &head);
        let is_there = matches!(found, Found::Stored(..));
        assert_eq!(is_there, replaced);
    }
}

#[tokio::test]
async fn l09_a_fill_that_finds_its_variant_taken_leaves_it_to_who_asked_later() {
    for set_out in [false, true] {
        let (cache, _) = cache();
        let german = with("/a", "accept-language", "de");
        let vary = || {
            let mut keep = keep(&cache, 60);
            keep.store.meta.vary = [header::ACCEPT_LANGUAGE.into()].into();
            keep
        };
        let (mut early, first) = fill_for(&cache, &german);
        early.set_out();
        // From another's response it is known meanwhile what varies.
        let mut french = with("/a", "accept-language", "fr");
        let no_cache = "no-cache".parse().unwrap();
        let head = Arc::make_mut(&mut french);
        head.parts.headers.insert("cache-control", no_cache);
        let (fill, _follower) = fill_for(&cache, &french);
        let response = Response::new(Body::from("fr"));
        fill.store(response, StatusCode::OK, vary()).await;
        let other = Tag::parse("Other").unwrap();
        let _ = cache
            .increment(&[other.into()], &"POST /x".into())
            .now_or_never();
        let (mut late, _second) = fill_for(&cache, &german);
        if set_out {
            late.set_out();
        }

        let body = Body::chunks(stream::pending(), None);
        let running = tokio::spawn(early.store(Response::new(body), StatusCode::OK, vary()));
        body_of(&cache, first).await;
        running.abort();
        assert!(running.await.is_err());
        let found = cache.lookup(&query(&german), &german, None, Trust::Full);
        assert!(matches!(found, Lookup::Join(_)), "{set_out}: {found:?}");
    }
}

#[tokio::test]
async fn another_language_by_now_is_not_the_wanted_one() {
    let (cache, _) = cache();
    let mut asking = with("/a", "accept-language", "de, fr;q=0.5");
    for lang in ["de", "fr"] {
        let (fill, _follower) = fill_for(&cache, &asking);
        let mut keep = keep(&cache, 60);
        keep.store.meta.vary = [header::ACCEPT_LANGUAGE.into()].into();
        let response = Response::builder().header("content-language", lang);
        let response = response.body(Body::from(lang)).unwrap();
        fill.store(response, StatusCode::OK, keep).await;
        let wants = with("/a", "accept-language", "de");
        let found = cache.lookup(&query(&wants), &wants, None, Trust::Full);
        assert_eq!(matches!(found, Lookup::Hit(..)), lang == "de", "{found:?}");
        drop(found);
        let no_cache = "no-cache".parse().unwrap();
        let head = Arc::make_mut(&mut asking);
        head.parts.headers.insert("cache-control", no_cache);
    }
}

#[tokio::test]
async fn l09_a_page_that_a_head_outdated_is_fetched_once() {
    for age in [0, 1] {
        let (cache, clock) = cache();
        store(&cache, "/a", 60, "A").await;
        clock.advance(Duration::from_secs(age));
        freshen(&cache, &head("/a")).outdated();
        let (_fill, _first) = miss(&cache, "/a");
        join(&cache, "/a");
    }
}

#[tokio::test]
async fn l09_the_version_that_a_response_itself_tells_of_does_not_outdate_it() {
    let version = |version| Tagged {
        tag: Tag::parse("N").unwrap(),
        version: Some(version),
    };
    for (name, told, incremented, joins) in [
        ("of the version it carries", 2, false, true),
        ("of a later version", 3, false, false),
        ("of an increment", 2, true, false),
    ] {
        let (cache, _) = cache();
        let (mut fill, _first) = miss(&cache, "/a");
        fill.set_out();
        let early = join(&cache, "/a");
        let by = "GET /a".into();
        let _ = cache.observe(&[version(2)], &by).now_or_never();
        let keep = Keep {
            tags: vec![version(2)],
            ..keep(&cache, 60)
        };
        let piece = Ok(Chunk::Data(Bytes::from("x")));
        let body = Body::chunks(stream::iter([piece]).chain(stream::pending()), None);
        let running = tokio::spawn(fill.store(Response::new(body), StatusCode::OK, keep));
        body_of(&cache, early).await;
        let _ = cache.observe(&[version(told)], &by).now_or_never();
        if incremented {
            let _ = cache
                .increment(&[version(2).tag.into()], &by)
                .now_or_never();
        }

        let found = lookup(&cache, "/a");
        assert_eq!(matches!(found, Lookup::Join(_)), joins, "{name}: {found:?}");
        if let Lookup::Join(late) = found {
            body_of(&cache, late).await; // and does not refuse it either
        }
        running.abort();
    }
}

#[tokio::test]
async fn rfc5861_4_each_who_waits_has_a_stand_in_of_its_own() {
    let stale = |cache: &Cache| {
        let mut keep = keep(cache, 60);
        keep.store.meta.stale.if_error = Duration::from_secs(600);
        keep.store.meta.shareable = false;
        keep
    };
    for (name, first, second, spared) in [
        ("plain", ("x", "1"), ("x", "1"), true),
        (
            "after a reload",
            ("cache-control", "no-cache"),
            ("x", "1"),
            true,
        ),
        (
            "after one with a cookie",
            ("cookie", "a=1"),
            ("x", "1"),
            true,
        ),
        ("with a cookie", ("x", "1"), ("cookie", "a=1"), false),
        (
            "with a wish",
            ("x", "1"),
            ("cache-control", "max-age=9"),
            false,
        ),
    ] {
        for way in ["no answer", "an error for one", "an error for all"] {
            let (cache, clock) = cache();
            store_tagged(&cache, "/a", stale(&cache)).await;
            clock.advance(Duration::from_secs(70));
            let (fill, _leader) = fill_for(&cache, &with("/a", first.0, first.1));
            let head = with("/a", second.0, second.1);
            let found = cache.lookup(&query(&head), &head, None, Trust::Full);
            let Lookup::Join(follower) = found else {
                panic!("{name}: {found:?}");
            };
            let unavailable = StatusCode::SERVICE_UNAVAILABLE;
            let response = Response::builder().status(unavailable);
            let response = response.body(Body::from("down")).unwrap();
            let reason = NoStore::NoFreshness;
            if way == "no answer" {
                fill.fail(Failure::Unreachable);
            } else if way == "an error for one" {
                fill.hand_over(response, unavailable, reason);
            } else {
                fill.share_unstored(response, reason).await;
            }
            let followed = soon(follower.outcome(&cache, &head, None)).await;
            let got = matches!(followed, Followed::Stale(_, Stale::IfError));
            assert_eq!(got, spared, "{name}, {way}: {followed:?}");
        }
    }
}

#[tokio::test]
async fn rfc5861_4_a_fill_that_was_given_up_is_no_error_of_the_app() {
    let (cache, clock) = cache();
    let mut keep = keep(&cache, 60);
    keep.store.meta.stale.if_error = Duration::from_secs(600);
    store_tagged(&cache, "/a", keep).await;
    clock.advance(Duration::from_secs(70));
    let (fill, follower) = miss(&cache, "/a");
    drop(fill);
    let followed = soon(follower.outcome(&cache, &head("/a"), None)).await;
    let given_up = matches!(followed, Followed::Failed(Failure::Abandoned, _));
    assert!(given_up, "{followed:?}");
}

#[tokio::test]
async fn l12_what_stands_in_is_for_this_client() {
    for (name, shareable, cookie, stands_in) in [
        ("for all, without a cookie", true, false, true),
        ("for all, with a cookie", true, true, true),
        ("for some, without a cookie", false, false, true),
        ("for some, with a cookie", false, true, false),
    ] {
        let (cache, clock) = cache();
        let mut keep = keep(&cache, 60);
        keep.store.meta.stale.if_error = Duration::from_secs(600);
        keep.store.meta.shareable = shareable;
        store_tagged(&cache, "/a", keep).await;
        let spare = Spare::of(&query(&head("/a")).rule, stored(&cache, &head("/a")).1);
        clock.advance(Duration::from_secs(70));
        let field = if cookie { "cookie" } else { "x" };
        let status = StatusCode::BAD_GATEWAY;
        let found = cache.in_place_of_error(status, Some(&spare), &with("/a", field, "1"));
        assert_eq!(found.is_some(), stands_in, "{name}");
    }
}

#[tokio::test]
async fn rfc9111_5_2_1_who_wants_it_of_its_own_time_joins_nobody() {
    for (wish, joins) in [
        ("", true),
        ("no-cache", false),
        ("max-age=0", false),
        ("max-age=1", true),
    ] {
        let (cache, _) = cache();
        let (_fill, _first) = miss(&cache, "/a");
        let head = with("/a", "cache-control", wish);
        let found = cache.lookup(&query(&head), &head, None, Trust::Full);
        assert_eq!(matches!(found, Lookup::Join(_)), joins, "{wish}: {found:?}");
    }
}

#[tokio::test]
async fn for_what_is_asked_about_each_time_nobody_waits() {
    let (cache, _) = cache();
    store_tagged(&cache, "/a", keep(&cache, 0)).await;
    let (_fill, _first) = miss(&cache, "/a");
    miss(&cache, "/a");
}

#[tokio::test]
async fn l09_what_was_asked_about_each_time_is_fetched_once_when_invalidated() {
    let (cache, _) = cache();
    let tag = Tag::parse("A").unwrap();
    let tagged = Keep {
        tags: vec![tag.clone().into()],
        ..keep(&cache, 0)
    };
    store_tagged(&cache, "/a", tagged).await;
    let _ = cache
        .increment(&[tag.into()], &"POST /x".into())
        .now_or_never();
    let (_fill, _first) = miss(&cache, "/a");
    join(&cache, "/a");
}

/// What is stored for a request, and the right to renew it.
fn freshen(cache: &Cache, head: &Head) -> Freshen {
    let (variant, stored) = stored(cache, head);
    Freshen::of(cache, &query(head), variant, stored).unwrap()
}

fn stored(cache: &Cache, head: &Head) -> (Variant, Arc<Stored>) {
    let Found::Stored(variant, stored) = cache.find(query(head).base, head) else {
        panic!("it is stored");
    };
    (variant, stored)
}

/// The head of what [`store_tagged`] stores.
fn same() -> Parts {
    let response = Response::builder().header("etag", "\"1\"");
    response.body(()).unwrap().into_parts().0
}

#[tokio::test]
async fn rfc9111_4_3_5_a_head_does_not_touch_what_came_meanwhile() {
    for agrees in [false, true] {
        let (cache, _) = cache();
        store_tagged(&cache, "/a", keep(&cache, 60)).await;
        let freshen = freshen(&cache, &head("/a"));
        let (fill, _follower) = fill_for(&cache, &with("/a", "cache-control", "no-cache"));
        let response = Response::new(Body::from("new"));
        fill.store(response, StatusCode::OK, keep(&cache, 60)).await;
        if agrees {
            let renewed = freshen.renew(&head("/a"), &same(), &keep(&cache, 60)).await;
            assert_eq!(renewed, Ok(()));
        } else {
            freshen.outdated();
        }
        let found = lookup(&cache, "/a");
        let Lookup::Hit(stored, _) = found else {
            panic!("agrees {agrees}: {found:?}");
        };
        assert_eq!(stored.entry.body, "new", "agrees {agrees}");
    }
}

#[tokio::test]
async fn rfc9111_4_3_5_a_renewed_variant_is_found_as_long_as_it_lives() {
    let (cache, clock) = cache();
    let head = with("/a", "accept-language", "de");
    let varying = |lifetime| {
        let mut keep = keep(&cache, lifetime);
        keep.store.meta.vary = [header::ACCEPT_LANGUAGE.into()].into();
        keep
    };
    let (fill, _follower) = fill_for(&cache, &head);
    let response = Response::new(Body::from("x"));
    fill.store(response, StatusCode::OK, varying(60)).await;
    let renewed = freshen(&cache, &head)
        .renew(&head, &same(), &varying(10_000))
        .await;
    assert_eq!(renewed, Ok(()));
    clock.advance(Duration::from_secs(9_000));
    cache.sweep();
    let found = cache.lookup(&query(&head), &head, None, Trust::Full);
    assert!(matches!(found, Lookup::Hit(..)), "{found:?}");
}

#[tokio::test]
async fn a_clock_set_back_does_not_stop_storing() {
    let (cache, clock) = cache();
    store(&cache, "/a", 60, "A").await;
    clock.set(Timestamp::from_secs(1_000_000 - 3_600));
    let (fill, _follower) = fill_for(&cache, &with("/a", "cache-control", "no-cache"));
    let response = Response::new(Body::from("new"));
    fill.store(response, StatusCode::OK, keep(&cache, 60)).await;
    let found = lookup(&cache, "/a");
    let Lookup::Hit(stored, _) = found else {
        panic!("{found:?}");
    };
    assert_eq!(stored.entry.body, "new");
}

/// Stores what a fill for a part brought.
async fn store_part(fill: Box<Fill>, range: &str, body: impl Into<Body>, keep: Keep) {
    let response = Response::builder().status(206).header("etag", "\"1\"");
    let response = response.header("content-range", range);
    let response = response.body(body.into()).unwrap();
    fill.store(response, StatusCode::PARTIAL_CONTENT, keep)
        .await;
}

#[tokio::test]
async fn parts_fetched_beside_each_other_become_one_in_any_order() {
    for later_first in [false, true] {
        let (cache, clock) = cache();
        let (one, _a) = fill_for(&cache, &with("/a", "range", "bytes=0-1"));
        clock.advance(Duration::from_secs(1));
        let (two, _b) = fill_for(&cache, &with("/a", "range", "bytes=2-3"));
        if later_first {
            store_part(two, "bytes 2-3/4", "le", keep(&cache, 60)).await;
            store_part(one, "bytes 0-1/4", "wh", keep(&cache, 60)).await;
        } else {
            store_part(one, "bytes 0-1/4", "wh", keep(&cache, 60)).await;
            store_part(two, "bytes 2-3/4", "le", keep(&cache, 60)).await;
        }
        assert!(is_hit(&cache, "/a"), "later first: {later_first}");
    }
}

#[tokio::test]
async fn rfc9111_3_4_what_is_joined_is_used_stale_only_as_far_as_both() {
    let (cache, _) = cache();
    let (one, _a) = fill_for(&cache, &with("/a", "range", "bytes=0-1"));
    let mut lax = keep(&cache, 10);
    lax.store.meta.stale.if_error = Duration::from_secs(600);
    store_part(one, "bytes 0-1/4", "wh", lax).await;
    let (two, _b) = fill_for(&cache, &with("/a", "range", "bytes=2-3"));
    let mut strict = keep(&cache, 60);
    strict.store.meta.stale.forbidden = true;
    store_part(two, "bytes 2-3/4", "le", strict).await;
    let meta = stored(&cache, &head("/a")).1.entry.meta.clone();
    assert!(meta.stale.forbidden);
    assert_eq!(meta.stale.if_error, Duration::ZERO);
    assert_eq!(meta.lifetime, Duration::from_secs(10));
}

#[tokio::test]
async fn of_parts_too_long_to_be_one_the_longer_stays() {
    let (cache, _) = cache();
    let (one, _a) = fill_for(&cache, &with("/a", "range", "bytes=0-999"));
    store_part(one, "bytes 0-999/2000", "x".repeat(1_000), keep(&cache, 60)).await;
    let (two, _b) = fill_for(&cache, &with("/a", "range", "bytes=1000-1099"));
    store_part(
        two,
        "bytes 1000-1099/2000",
        "x".repeat(100),
        keep(&cache, 60),
    )
    .await;
    assert_eq!(stored(&cache, &head("/a")).1.entry.body.len(), 1_000);
}

fn ruled(head: &Head, refill: &str) -> Query {
    let rules = format!("rules:\n  - {{ match: {{ path: '/.*' }}, {refill} }}\n");
    let rules = [("rules.yaml".to_owned(), rules)];
    let rules = RuleSet::compile(&rules, &Context::new("test")).unwrap();
    match rules.plan(head, Timestamp::from_secs(1_000_000)) {
        Plan::Lookup(query) => query,
        Plan::Pass(pass) => panic!("passed: {:?}", pass.why),
    }
}

fn soft(cache: &Cache) -> Keep {
    let mut keep = keep(cache, 3_600);
    keep.store.meta.soft_until = Some(cache.now() + Duration::from_secs(60));
    keep
}

#[tokio::test]
async fn a_part_that_is_fetched_again_begins_a_new_soft_life() {
    for (refill, later) in [
        ("soft_ttl: 60s, revalidate: sync", 61),
        ("soft_ttl: 60s", 3_601),
    ] {
        let (cache, clock) = cache();
        let ranged = with("/a", "range", "bytes=0-1");
        let query = ruled(&ranged, refill);
        for round in 0..3 {
            let found = cache.lookup(&query, &ranged, None, Trust::Full);
            let Lookup::Miss(fill, _follower) = found else {
                panic!("{refill}, {round}: {found:?}");
            };
            store_part(fill, "bytes 0-1/4", "wh", soft(&cache)).await;
            let found = cache.lookup(&query, &ranged, None, Trust::Full);
            assert!(
                matches!(found, Lookup::Hit(..)),
                "{refill}, {round}: {found:?}"
            );
            clock.advance(Duration::from_secs(later));
        }
    }
}

#[tokio::test]
async fn behind_a_stale_part_a_part_is_asked_for_and_what_is_there_stays() {
    let (cache, clock) = cache();
    let ranged = with("/a", "range", "bytes=0-1");
    let query = ruled(&ranged, "soft_ttl: 60s");
    let Lookup::Miss(fill, _follower) = cache.lookup(&query, &ranged, None, Trust::Full) else {
        panic!("nothing is stored");
    };
    store_part(fill, "bytes 0-1/400000", "wh", soft(&cache)).await;
    clock.advance(Duration::from_secs(61));
    let Lookup::Stale(_, _, _, Some(fill)) = cache.lookup(&query, &ranged, None, Trust::Full)
    else {
        panic!("it is fetched again behind a stale answer");
    };
    let range = [(header::RANGE, "bytes=0-1".parse().unwrap())];
    assert_eq!(fill.conditions(), range);
    let whole = Response::new(Body::from("x"));
    fill.hand_over(whole, StatusCode::OK, NoStore::TooLarge);
    let found = cache.lookup(&query, &ranged, None, Trust::Full);
    assert!(matches!(found, Lookup::Stale(..)), "{found:?}");
}

#[tokio::test]
async fn a_remembered_failure_does_not_stand_in_for_the_next_one() {
    let (cache, clock) = cache();
    let mut failed = Response::new(Body::from("down"));
    *failed.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let mut keep = keep(&cache, 10);
    keep.store.meta.stale.if_error = Duration::from_secs(300);
    let (fill, _follower) = miss(&cache, "/a");
    fill.store(failed, StatusCode::SERVICE_UNAVAILABLE, keep)
        .await;
    clock.advance(Duration::from_secs(11));
    let (fill, _follower) = miss(&cache, "/a");
    assert!(!fill.has_spare());
}

#[tokio::test]
async fn nobody_asks_alone_for_longer_because_the_clock_was_set_back() {
    let (cache, clock) = cache();
    let (fill, _follower) = miss(&cache, "/a");
    fill.hand_over(
        Response::new(Body::from("x")),
        StatusCode::OK,
        NoStore::Private,
    );
    let (_fill, follower) = miss(&cache, "/a");
    assert!(follower.hit_for_miss);
    clock.set(cache.now() - Duration::from_secs(3_600));
    let (_fill, follower) = miss(&cache, "/a");
    assert!(!follower.hit_for_miss);
}
