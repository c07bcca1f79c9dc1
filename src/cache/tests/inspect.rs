//! Lists of what is stored.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::*;
use crate::model::glob::Glob;

const RULES: &str = r#"
rules:
  - { id: users, match: { path: '/users/(?P<user>.*)' }, vary_on: { captures: [user] }, ttl: 60s }
  - { id: books, match: { path: '/books/(?P<book>.*)' }, key: "Book:{book}", ttl: 60s }
  - { id: stale, match: { path: '/stale/.*' }, ttl: 60s }
"#;

/// Room for many responses.
fn large() -> (Cache, Clock) {
    let clock = Clock::manual(Timestamp::from_secs(1_000_000));
    let config = Config {
        max_bytes: 1 << 28,
        max_object: 1 << 10,
        max_variants: 4,
    };
    (Cache::new(config, clock.clone()), clock)
}

/// Stores a response by the rules above, as a GET of that path brings it.
async fn put(cache: &Cache, path: &str, tag: &str, stale: StaleUse) {
    let head = head(path);
    let rules = [("rules.yaml".to_owned(), RULES.to_owned())];
    let rules = RuleSet::compile(&rules, &Context::new("test")).unwrap();
    let Plan::Lookup(query) = rules.plan(&head, cache.now()) else {
        panic!("it is looked up");
    };
    let found = cache.lookup(&query, &head, None, Trust::Full);
    let Lookup::Miss(fill, _follower) = found else {
        panic!("{found:?}");
    };
    let mut keep = keep(cache, 60);
    keep.store.meta.stale = stale;
    let implicit = query.matched(&head).implicit_tags(&head).into_iter();
    keep.tags = implicit.map(Into::into).collect();
    keep.tags.push(Tag::parse(tag).unwrap().into());
    let response = Response::new(Body::from("x"));
    fill.store(response, StatusCode::OK, keep).await;
}

async fn fresh(cache: &Cache, path: &str, tag: &str) {
    put(cache, path, tag, StaleUse::default()).await;
}

/// All pages of a list.
async fn all(cache: &Cache, filter: &Filter, limit: usize) -> Vec<Listed> {
    let (mut entries, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = cache.list(filter, cursor.as_deref(), limit).await.unwrap();
        assert!(page.entries.len() <= limit);
        entries.extend(page.entries);
        cursor = page.cursor;
        if cursor.is_none() {
            return entries;
        }
    }
}

async fn names(cache: &Cache, filter: &Filter) -> Vec<String> {
    let all = all(cache, filter, 2).await;
    let mut names: Vec<String> = all.iter().map(|it| it.logical.to_string()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn l14_looking_at_what_was_invalidated_begins_no_time_that_is_counted_from_then() {
    let (cache, clock) = large();
    fresh(&cache, "/users/1", "User:1").await;
    forget(&cache, "User:1");
    clock.advance(Duration::from_secs(5));
    let (_, stored) = cache.all_here().next().expect("it is stored");
    let listed = Listed::here(&stored, cache.now());
    assert_eq!(listed.state, State::Invalidated);
    assert_eq!(stored.noticed.get(), None);
}

fn forget(cache: &Cache, tag: &str) {
    let tag = Tag::parse(tag).unwrap();
    let increments = [tag.into()];
    let by = "POST /x".into();
    let done = cache.increment(&increments, &by).now_or_never();
    assert!(done.is_some());
}

#[tokio::test]
async fn what_is_there_all_the_time_is_listed_once_whatever_comes_and_goes() {
    let (cache, _) = large();
    let permanent: Vec<String> = (0..5_000).map(|n| format!("/p/{n}")).collect();
    for path in &permanent {
        store(&cache, path, 60, "P").await;
    }
    for n in 0..500 {
        store(&cache, &format!("/q/{n}"), 60, "Q").await;
    }
    let mut listed: BTreeMap<String, usize> = BTreeMap::new();
    let (mut cursor, mut pages) = (None::<String>, 0);
    loop {
        let page = cache.list(&Filter::default(), cursor.as_deref(), 97).await;
        let page = page.unwrap();
        for entry in page.entries {
            *listed.entry(entry.logical.to_string()).or_default() += 1;
        }
        let comes = format!("/r/{pages}");
        store(&cache, &comes, 60, "R").await;
        let goes = [
            format!("/q/{}", 7 * pages % 500),
            format!("/r/{}", pages / 2),
        ];
        for path in &goes {
            let head = head(path);
            cache.0.store.remove(&query(&head).base.only_variant());
        }
        pages += 1;
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert!(pages >= 5_000 / 97, "{pages}");
    for path in &permanent {
        let logical = query(&head(path)).logical_key(&head(path));
        assert_eq!(listed.get(&logical), Some(&1), "{path}");
    }
    assert!(
        listed.values().all(|times| *times == 1),
        "nor anything else"
    );
}

#[tokio::test]
async fn a_list_has_what_it_is_asked_for_and_nothing_else() {
    let (cache, clock) = large();
    fresh(&cache, "/users/1", "A").await;
    fresh(&cache, "/users/a%26b", "B").await;
    fresh(&cache, "/books/1", "A").await;
    fresh(&cache, "/books/2", "Gone").await;
    fresh(&cache, "/other", "A").await;
    forget(&cache, "Gone");
    let one = "key_name=users&host=shop.example&capture.user=1";
    let other = "key_name=users&host=shop.example&capture.user=a%2526b";
    let no_rule = query(&head("/other")).logical_key(&head("/other"));
    let no_rule = no_rule.as_str();
    let of_rule = |rule: &str| Filter {
        rule: Some(rule.into()),
        ..Filter::default()
    };
    let tag = |text: &str| Filter {
        tag: Some(Tag::from_stored(text).unwrap()),
        ..Filter::default()
    };
    let glob = |text: &str| Filter {
        glob: Some(Glob::new(text)),
        ..Filter::default()
    };
    let both = Filter {
        rule: Some("users".into()),
        ..tag("A")
    };
    let in_tier = |tier| Filter {
        tier: Some(tier),
        ..Filter::default()
    };
    for (name, filter, expected) in [
        (
            "all",
            Filter::default(),
            &["Book:1", no_rule, one, other][..],
        ),
        ("rule", of_rule("users"), &[one, other]),
        ("part of a rule's name", of_rule("user"), &[]),
        ("no rule", of_rule(""), &[no_rule]),
        ("tag", tag("A"), &["Book:1", no_rule, one]),
        ("another tag", tag("B"), &[other]),
        ("implicit tag", tag("~rule:books"), &["Book:1"]),
        ("unknown tag", tag("C"), &[]),
        ("glob", glob("Book:*"), &["Book:1"]),
        ("exact", glob("Book:1"), &["Book:1"]),
        ("part of a key", glob("Book"), &[]),
        ("rule and tag", both, &[one]),
        (
            "memory",
            in_tier(Tier::Memory),
            &["Book:1", no_rule, one, other],
        ),
        ("no second tier", in_tier(Tier::Redis), &[]),
    ] {
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(names(&cache, &filter).await, expected, "{name}");
    }
    clock.advance(Duration::from_secs(60));
    assert_eq!(names(&cache, &Filter::default()).await, [""; 0], "expired");
}

#[tokio::test]
async fn an_entry_is_shown_with_what_it_is_and_how_long_it_lives() {
    let (cache, clock) = large();
    let began = cache.now();
    let stale = StaleUse {
        while_revalidate: Duration::from_secs(600),
        ..StaleUse::default()
    };
    put(&cache, "/users/a%26b", "A", stale).await;
    let rules = [("rules.yaml".to_owned(), RULES.to_owned())];
    let rules = RuleSet::compile(&rules, &Context::new("test")).unwrap();
    let head = head("/users/a%26b");
    let Plan::Lookup(query) = rules.plan(&head, cache.now()) else {
        panic!("it is looked up");
    };
    for _ in 0..3 {
        let found = cache.lookup(&query, &head, None, Trust::Full);
        assert!(matches!(found, Lookup::Hit(..)), "{found:?}");
    }
    let listed = all(&cache, &Filter::default(), 10).await.pop().unwrap();
    let fields = listed.fields();
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let expected = [
        ("key_name", "users"),
        ("host", "shop.example"),
        ("capture.user", "a%26b"),
    ];
    assert_eq!(fields, expected);
    assert_eq!(listed.rule.as_deref(), Some("users"));
    assert_eq!(listed.status, Some(StatusCode::OK));
    assert_eq!((listed.hits, listed.tier), (3, Tier::Memory));
    assert_eq!(listed.size, cache.0.store.bytes());
    let after = |secs| began + Duration::from_secs(secs);
    assert_eq!(listed.created, began);
    assert_eq!(listed.fresh_until, after(60));
    assert_eq!(listed.expires, after(660));
    assert_eq!(listed.state, State::Fresh);
    let tags: Vec<&str> = listed.tags.iter().map(|(tag, _)| tag.as_str()).collect();
    for tag in [
        "A",
        "~all",
        "~rule:users",
        "~uri:http://shop.example/users/a%26b",
    ] {
        assert!(tags.contains(&tag), "{tag}: {tags:?}");
    }

    let same = cache
        .entry(&listed.key)
        .await
        .unwrap()
        .expect("it is stored");
    assert_eq!((same.key, same.hits), (listed.key, 3), "nobody has used it");
    clock.advance(Duration::from_secs(61));
    let same = cache
        .entry(&listed.key)
        .await
        .unwrap()
        .expect("it may be served");
    assert_eq!(same.state, State::Stale);
    clock.advance(Duration::from_secs(600));
    assert!(
        cache.entry(&listed.key).await.unwrap().is_none(),
        "it is over"
    );

    let of_users = Usage {
        entries: 1,
        bytes: listed.size,
    };
    let usage = cache.usage_by_rule().await;
    assert_eq!(usage, BTreeMap::from([("users".into(), of_users)]));
}

#[tokio::test]
async fn a_key_by_a_template_shows_no_fields() {
    let (cache, _) = large();
    fresh(&cache, "/books/1", "A").await;
    let listed = all(&cache, &Filter::default(), 10).await.pop().unwrap();
    assert_eq!(listed.fields(), []);
}

#[tokio::test]
async fn a_cursor_that_no_page_has_given_is_refused() {
    let (cache, _) = large();
    for text in ["", "x", "1-m-x", "9999999999999999999999-m-"] {
        let page = cache.list(&Filter::default(), Some(text), 10).await;
        assert_eq!(page.err(), Some(ListError::Cursor), "{text}");
    }
}

#[tokio::test]
async fn l14_a_list_makes_nothing_and_uses_nothing() {
    let (cache, _) = large();
    fresh(&cache, "/users/1", "A").await;
    let before = (
        cache.0.tags.len(),
        cache.0.store.len(),
        cache.0.store.bytes(),
    );
    let filter = Filter {
        tag: Some(Tag::parse("Unknown").unwrap()),
        ..Filter::default()
    };
    assert!(all(&cache, &filter, 1).await.is_empty());
    let listed = all(&cache, &Filter::default(), 1).await.pop().unwrap();
    cache
        .entry(&listed.key)
        .await
        .unwrap()
        .expect("it is stored");
    let absent = Variant::from_bytes([7; 16]).composed([].into_iter());
    assert!(cache.entry(&absent).await.unwrap().is_none());
    let after = (
        cache.0.tags.len(),
        cache.0.store.len(),
        cache.0.store.bytes(),
    );
    assert_eq!(before, after);
    assert_eq!(cache.entry(&listed.key).await.unwrap().unwrap().hits, 0);
}

#[tokio::test]
async fn l14_what_is_looked_at_leaves_as_if_nobody_had_looked() {
    let mut left = Vec::new();
    for looks in [false, true] {
        let config = Config {
            max_bytes: 3 << 15,
            max_object: 1 << 15, // one shard, so that who leaves is the same each time
            max_variants: 4,
        };
        let cache = Cache::new(config, Clock::manual(Timestamp::from_secs(1_000_000)));
        let comes = async |n: usize| {
            let (fill, _follower) = miss(&cache, &format!("/{n}"));
            let response = Response::new(Body::from("x"));
            fill.store(response, StatusCode::OK, keep(&cache, 60)).await;
        };
        for n in 0..300 {
            comes(n).await;
        }
        if looks {
            for listed in all(&cache, &Filter::default(), 100).await {
                cache.entry(&listed.key).await.unwrap();
            }
            for n in 0..300 {
                let head = head(&format!("/{n}"));
                cache.explain(&query(&head), &head);
                cache.foresee(&query(&head), &head, Trust::Full);
            }
        }
        for n in 300..330 {
            comes(n).await;
        }
        let listed = all(&cache, &Filter::default(), 100).await;
        let names: BTreeSet<String> = listed.iter().map(|it| it.logical.to_string()).collect();
        assert!(names.len() < 300, "some have left");
        left.push(names);
    }
    assert_eq!(left[0], left[1]);
}

#[tokio::test]
async fn an_explanation_says_what_is_stored_and_what_it_is_still_good_for() {
    let (cache, clock) = large();
    let began = cache.now();
    let path = "/a";
    let state = || {
        let head = head(path);
        let explained = cache.explain(&query(&head), &head);
        explained.map(|it| (it.entry.state, it.broken.is_some()))
    };
    assert_eq!(state(), None);
    let (fill, _follower) = miss(&cache, path);
    let mut keep = keep(&cache, 60);
    keep.store.meta.stale.if_error = Duration::from_secs(60);
    keep.tags.push(Tag::parse("A").unwrap().into());
    let response = Response::new(Body::from("x"));
    fill.store(response, StatusCode::OK, keep).await;
    assert!(is_hit(&cache, path));
    let explained = cache.explain(&query(&head(path)), &head(path)).unwrap();
    assert_eq!((explained.entry.hits, explained.entry.created), (1, began));
    for (after, expected) in [
        (0, State::Fresh),
        (59, State::Fresh),
        (1, State::Stale),
        (60, State::Stale),
        (1, State::Expired),
    ] {
        clock.advance(Duration::from_secs(after));
        assert_eq!(state(), Some((expected, false)), "{:?}", cache.now());
    }
    forget(&cache, "A");
    assert_eq!(state(), Some((State::Invalidated, true)));
}

#[tokio::test]
async fn an_explanation_says_why_the_last_response_was_not_stored_as_long_as_that_counts() {
    let (cache, clock) = large();
    let head = head("/a");
    let why = || {
        let foreseen = cache.foresee(&query(&head), &head, Trust::Full);
        let Foreseen::Fetched(Forward::UriMiss, why) = foreseen else {
            panic!("{foreseen:?}")
        };
        why
    };
    assert_eq!(why(), None);
    let (fill, _follower) = miss(&cache, "/a");
    let response = Response::new(Body::from("x"));
    fill.hand_over(response, StatusCode::OK, NoStore::SetCookie);
    assert_eq!(why(), Some(NoStore::SetCookie));
    clock.advance(Duration::from_secs(10));
    assert_eq!(why(), None, "the next one is waited for");
}

#[tokio::test]
async fn a_list_that_begins_has_all_and_one_that_goes_on_asks_memory_for_its_pages_alone() {
    let (cache, clock) = large();
    for n in 0..10 {
        fresh(&cache, &format!("/books/{n}"), "A").await;
    }
    let filter = Filter::default();
    let first = cache.list(&filter, None, 4).await.unwrap();
    let order = cache.order(false);
    assert_eq!(order.len(), 10);
    assert!(Arc::ptr_eq(&order, &cache.order(false)), "it is remembered");

    for n in 10..20 {
        fresh(&cache, &format!("/books/{n}"), "A").await;
    }
    let cursor = first.cursor.as_deref();
    cache.list(&filter, cursor, 4).await.unwrap();
    assert!(
        Arc::ptr_eq(&order, &cache.order(false)),
        "a page is no pass"
    );
    assert_eq!(all(&cache, &filter, 4).await.len(), 20);
    assert_eq!(cache.order(false).len(), 20);

    assert_eq!(Arc::strong_count(&order), 1, "a newer one has replaced it");
    let made = cache.order(false);
    clock.advance(Duration::from_secs(60));
    while Arc::strong_count(&made) > 1 {
        tokio::task::yield_now().await; // hangs where nobody lets go of it
    }
}
