//! What operators do to single responses.

use super::*;
use crate::model::key::ComposedKey;

async fn only(cache: &Cache) -> Listed {
    let page = cache.list(&Filter::default(), None, 10).await.unwrap();
    page.entries.into_iter().next().expect("it is stored")
}

async fn key_of(cache: &Cache, path: &str) -> ComposedKey {
    let head = head(path);
    let explained = cache.explain(&query(&head), &head);
    explained.expect("it is stored").entry.key
}

/// Alone, and where no rule shortens it.
async fn set_life(cache: &Cache, key: &ComposedKey, life: Duration) -> Option<Listed> {
    let rules = RuleSet::none(&Context::new("test"));
    let listed = cache.set_life(&rules, key, life).await;
    listed.expect("nobody else need be told")
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[tokio::test]
async fn s10_a_response_with_another_life_expires_then_and_its_sibling_as_before() {
    for (name, life, hits, misses) in [
        ("longer", 3_600, 3_599, 1),
        ("shorter", 10, 9, 1),
        ("none", 0, 0, 1),
    ] {
        let (cache, clock) = cache();
        store(&cache, "/a", 60, "A").await;
        store(&cache, "/b", 60, "A").await;
        clock.advance(secs(30));
        let key = key_of(&cache, "/a").await;
        let listed = set_life(&cache, &key, secs(life)).await;
        let listed = listed.expect("it is stored");
        assert_eq!((listed.key, listed.state), (key, State::Fresh), "{name}");
        assert!(is_hit(&cache, "/b"), "{name}");
        if hits > 0 {
            clock.advance(secs(hits));
            assert!(is_hit(&cache, "/a"), "{name}");
            assert_eq!(is_hit(&cache, "/b"), 30 + hits < 60, "{name}");
        }
        clock.advance(secs(misses));
        assert!(!is_hit(&cache, "/a"), "{name}");
    }
}

#[tokio::test]
async fn l10_no_life_is_longer_than_a_week_or_than_its_rule_allows() {
    let rules = "rules:\n  - { match: { path: /a }, max_ttl: 2h }\n";
    let rules = [("rules.yaml".to_owned(), rules.to_owned())];
    let rules = RuleSet::compile(&rules, &Context::new("test")).unwrap();
    let week = 7 * 86_400;
    for (path, longest) in [("/a", 7_200), ("/b", week)] {
        let (cache, _) = cache();
        let head = head(path);
        let Plan::Lookup(query) = rules.plan(&head, cache.now()) else {
            panic!("it is looked up");
        };
        let found = cache.lookup(&query, &head, None, Trust::Full);
        let Lookup::Miss(fill, _follower) = found else {
            panic!("{found:?}");
        };
        let keep = keep(&cache, 60);
        fill.store(Response::new(Body::from("x")), StatusCode::OK, keep)
            .await;
        let key = only(&cache).await.key;
        let listed = cache.set_life(&rules, &key, Duration::MAX).await;
        let listed = listed.unwrap().unwrap();
        assert_eq!(listed.fresh_until, cache.now() + secs(longest), "{path}");
    }
}

#[tokio::test]
async fn l05_what_was_invalidated_has_no_other_life() {
    let (cache, _) = cache();
    store(&cache, "/a", 60, "A").await;
    let key = key_of(&cache, "/a").await;
    let tag = Tag::parse("A").unwrap();
    let by = "POST /x".into();
    let _ = cache.increment(&[tag.into()], &by).now_or_never();
    assert!(set_life(&cache, &key, secs(60)).await.is_none());
    assert!(!is_hit(&cache, "/a"));
    let absent = ComposedKey::from_bytes([7; 16]);
    assert!(set_life(&cache, &absent, secs(60)).await.is_none());
}

#[tokio::test]
async fn a_variant_with_a_longer_life_is_found_to_its_end() {
    let (cache, clock) = cache();
    fetch_language(&cache, "de").await;
    let key = only(&cache).await.key;
    let listed = set_life(&cache, &key, secs(86_400)).await;
    assert!(listed.is_some(), "it is stored");
    clock.advance(secs(86_399));
    cache.sweep();
    assert!(has_language(&cache, "de"));
}

#[tokio::test]
async fn another_life_is_no_use_and_leaves_the_soft_one_that_is_to_come() {
    for (soft, is_left) in [(20, true), (40, false)] {
        let (cache, clock) = cache();
        let (fill, _follower) = miss(&cache, "/a");
        let mut keep = keep(&cache, 3_600);
        keep.store.meta.soft_until = Some(cache.now() + secs(30));
        fill.store(Response::new(Body::from("x")), StatusCode::OK, keep)
            .await;
        assert!(is_hit(&cache, "/a"));
        clock.advance(secs(soft));
        let key = key_of(&cache, "/a").await;
        let listed = set_life(&cache, &key, secs(600)).await.unwrap();
        assert_eq!(listed.hits, 1);
        clock.advance(secs(30));
        assert_eq!(is_hit(&cache, "/a"), !is_left, "soft at {soft}");
    }
}

#[tokio::test]
async fn s09_one_response_is_purged_and_others_under_its_key_stay() {
    let (cache, _) = cache();
    fetch_language(&cache, "de").await;
    let german = only(&cache).await.key;
    fetch_language(&cache, "en").await;
    store(&cache, "/b", 60, "A").await;
    let by = "DELETE /v1/entries".into();
    assert_eq!(cache.purge_entry(&german, &by).await, Some(1));
    assert!(has_language(&cache, "en") && is_hit(&cache, "/b"));
    assert!(!has_language(&cache, "de"));
    assert_eq!(cache.purge_entry(&german, &by).await, Some(0), "once more");
    assert!(has_language(&cache, "en"));
}

#[tokio::test]
async fn what_was_being_fetched_when_its_like_was_purged_is_not_stored() {
    let (cache, clock) = cache();
    store(&cache, "/a", 60, "A").await;
    let key = key_of(&cache, "/a").await;
    clock.advance(secs(60));
    let (mut before, _follower) = miss(&cache, "/a");
    let (mut sibling, _its) = miss(&cache, "/b");
    before.set_out();
    sibling.set_out();
    let by = "DELETE /v1/entries".into();
    assert_eq!(cache.purge_entry(&key, &by).await, Some(1));
    let (after, _new) = miss(&cache, "/a"); // it waits for nothing older
    let fetched = async |fill: Box<Fill>| {
        let keep = keep(&cache, 60);
        fill.store(Response::new(Body::from("x")), StatusCode::OK, keep)
            .await;
    };
    fetched(before).await;
    assert!(!is_hit(&cache, "/a"));
    fetched(sibling).await;
    assert!(is_hit(&cache, "/b"));
    fetched(after).await;
    assert!(is_hit(&cache, "/a"));
}
