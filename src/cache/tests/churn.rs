//! Hours of comings and goings, by a clock that is set: what is remembered stays bounded, and nothing of it is left in the end.

use super::*;
use crate::model::glob::Glob;
use crate::model::outcome::Commit;

/// How long it goes on, and how much comes in each minute of it.
const MINUTES: usize = 240;
const PAGES: usize = 24;

/// So many minutes after it came a response is over, and is asked about no more.
const LIFE: u64 = 10;

/// What is remembered, part by part.
#[derive(Debug)]
struct Remembered {
    slots: usize,
    bytes: u64,
    tags: usize,
    unstored: usize,
    repeats: bool,
}

impl Remembered {
    fn of(cache: &Cache) -> Remembered {
        Remembered {
            slots: cache.0.store.len(),
            bytes: cache.0.store.bytes(),
            tags: cache.0.tags.len(),
            unstored: cache.unstored().len(),
            repeats: cache.next_due().is_some(),
        }
    }
}

/// A minute in which pages come that nobody has seen, each with a tag, a size and maybe a language of its own, or that nobody may
/// keep; some of their tags are incremented, and some again later; a pattern forgets others.
async fn minute(cache: &Cache, minute: usize, pages: usize) {
    let by: Arc<str> = "POST /x".into();
    for page in 0..pages {
        let n = minute * pages + page;
        let head = in_language(&format!("/{minute}/{page}"), &format!("l{n}"));
        let (fill, _follower) = fill_for(cache, &head);
        let response = Response::new(Body::from("x".repeat(n * 37 % 900)));
        if page % 8 == 7 {
            fill.hand_over(response, StatusCode::OK, NoStore::SetCookie);
            continue;
        }
        let tag = Tag::parse(&format!("Page:{n}")).unwrap();
        let mut keep = keep(cache, LIFE * 60);
        keep.tags = vec![tag.clone().into(), Tag::uri(&head.absolute_uri()).into()];
        if page % 4 == 3 {
            keep.store.meta.vary = [header::ACCEPT_LANGUAGE.into()].into();
        }
        fill.store(response, StatusCode::OK, keep).await;
        if page % 3 == 0 {
            let mut increment = Increment::from(tag);
            increment.again = (page % 6 == 0).then(|| Duration::from_secs(30));
            let done = cache.increment(&[increment], &by).now_or_never();
            assert_eq!(done, Some(Commit::Done));
        }
    }
    let glob = Glob::new(&format!("*path=/{minute}/5*"));
    cache
        .purge_matching(&glob, &by)
        .await
        .expect("nobody is to be told");
}

#[tokio::test]
async fn l10_hours_of_churn_leave_nothing_behind() {
    let (cache, clock) = cache();
    let mut most_tags = 0;
    for n in 0..MINUTES {
        minute(&cache, n, PAGES).await;
        clock.advance(Duration::from_secs(60));
        cache.increment_due().await;
        cache.sweep();
        let now = Remembered::of(&cache);
        most_tags = most_tags.max(now.tags);
        assert!(now.bytes <= 1 << 20, "minute {n}: {now:?}");
        // A page has two tags and at most two notes; it is kept for its life, and a while to say that this is over.
        let alive = PAGES * (LIFE as usize + 6 + 1);
        assert!(now.tags <= 2 * alive + 1, "minute {n}: {now:?}");
        assert!(now.slots <= 3 * alive, "minute {n}: {now:?}");
        assert!(now.unstored <= 1_024, "minute {n}: {now:?}");
    }
    assert!(
        most_tags > PAGES * LIFE as usize,
        "there was something to forget"
    );
    clock.advance(REVALIDATED + Duration::from_secs(LIFE * 60));
    cache.sweep();
    let left = Remembered::of(&cache);
    assert_eq!((left.slots, left.bytes, left.tags), (0, 0, 0), "{left:?}");
    assert!(!left.repeats, "{left:?}");
}

/// How much comes in each minute of the long run: after its life the store is full, and pages have to leave.
const MANY_PAGES: usize = 4_000;

/// `make churn`: with the C library's allocator, as tests have it.
#[tokio::test]
#[ignore = "minutes of work"]
async fn l10_an_hour_of_churn_takes_no_more_memory_in_the_end_than_in_between() {
    let clock = Clock::manual(Timestamp::from_secs(1_000_000));
    let config = Config {
        max_bytes: 32 << 20,
        max_object: 1 << 10,
        max_variants: 4,
    };
    let cache = Cache::new(config, clock.clone());
    let mut resident = Vec::new();
    for n in 0..=60 {
        minute(&cache, n, MANY_PAGES).await;
        clock.advance(Duration::from_secs(60));
        cache.increment_due().await;
        cache.sweep();
        if n % 10 == 0 && n > 0 {
            let now = Remembered::of(&cache);
            let bytes = resident_bytes().await;
            println!("{n} min: resident {} KiB, {now:?}", bytes >> 10);
            resident.push(bytes);
        }
    }
    let (first, last) = (resident[2], resident[5]); // by then all that lives for ten minutes has gone once
    let grown = last.saturating_sub(first);
    assert!(grown <= first / 10, "{resident:?}");
}

/// What of this process is in memory.
async fn resident_bytes() -> u64 {
    let pages = tokio::fs::read_to_string("/proc/self/statm").await;
    let pages = pages.expect("Linux says it");
    let pages = pages.split(' ').nth(1).expect("the second number");
    pages.parse::<u64>().expect("a number") * 4_096
}
