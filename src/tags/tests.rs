//! Alone: what an increment breaks, what a seal refuses, what is forgotten.

use std::collections::BTreeSet;
use std::thread;

use futures_util::FutureExt;

use super::*;
use crate::model::time::Timestamp;

fn tags() -> (Tags, Clock) {
    let clock = Clock::manual(Timestamp::from_secs(1_000));
    (Tags::new(clock.clone()), clock)
}

fn tag(name: &str) -> Tag {
    Tag::parse(name).unwrap()
}

fn at(name: &str, version: Option<i64>) -> Tagged {
    Tagged {
        tag: tag(name),
        version,
    }
}

fn me() -> Arc<str> {
    "POST /x".into()
}

#[test]
fn l01_a_response_that_changes_its_own_tag_may_carry_it_unless_another_came_first() {
    let tags = Tags::new(Clock::manual(Timestamp::from_secs(1_000_000)));
    let by: Arc<str> = "POST /a".into();
    let (own_tag, other) = (Tag::parse("Own").unwrap(), Tag::parse("Other").unwrap());
    let carried = [Tagged::from(own_tag.clone()), Tagged::from(other.clone())];

    let before = tags.snapshot();
    let own = tags
        .increment_own(
            &[own_tag.clone().into()],
            &by,
            Source::Response,
            Some(&before),
        )
        .now_or_never()
        .unwrap()
        .0;
    assert_eq!(
        tags.seal(&carried, &before, &Registered::default())
            .unwrap_err(),
        NoStore::Raced,
        "as to anybody else's response"
    );
    let seals = tags
        .seal_own(&carried, &before, Some(&own), &Registered::default())
        .unwrap();
    assert!(seals.intact());

    tags.increment(&[own_tag.clone().into()], &by, Source::Response)
        .now_or_never()
        .unwrap()
        .unwrap();
    assert!(!seals.intact(), "a later change counts");
    let late = tags.seal_own(&carried, &before, Some(&own), &Registered::default());
    assert_eq!(late.unwrap_err(), NoStore::Raced);

    let before = tags.snapshot();
    tags.increment(&[own_tag.clone().into()], &by, Source::Response)
        .now_or_never()
        .unwrap()
        .unwrap();
    let own = tags
        .increment_own(
            &[own_tag.clone().into()],
            &by,
            Source::Response,
            Some(&before),
        )
        .now_or_never()
        .unwrap()
        .0;
    let second = tags.seal_own(&carried, &before, Some(&own), &Registered::default());
    assert_eq!(second.unwrap_err(), NoStore::Raced, "another came first");

    let before = tags.snapshot();
    let own = tags
        .increment_own(
            &[own_tag.clone().into()],
            &by,
            Source::Response,
            Some(&before),
        )
        .now_or_never()
        .unwrap()
        .0;
    tags.increment(&[other.clone().into()], &by, Source::Response)
        .now_or_never()
        .unwrap()
        .unwrap();
    let elsewhere = tags.seal_own(&carried, &before, Some(&own), &Registered::default());
    assert_eq!(elsewhere.unwrap_err(), NoStore::Raced, "another tag");
}

#[test]
fn an_increment_breaks_the_seals_of_its_tag_alone() {
    let (tags, _) = tags();
    let before = tags.snapshot();
    let both = tags
        .seal(
            &[at("A", None), at("B", None)],
            &before,
            &Registered::default(),
        )
        .unwrap();
    let other = tags
        .seal(&[at("C", None)], &before, &Registered::default())
        .unwrap();
    tags.increment(&[tag("B").into()], &me(), Source::Response)
        .now_or_never()
        .unwrap()
        .unwrap();
    assert!(!both.intact());
    assert_eq!(both.broken().map(|broken| broken.tag), Some(&tag("B")));
    assert!(other.intact());
}

#[test]
fn a_seal_is_softly_broken_by_nothing_but_soft_increments() {
    let soft = |name: &str| Increment {
        soft: true,
        ..tag(name).into()
    };
    let hard = |name: &str| Increment::from(tag(name));
    for (name, changes, expected) in [
        ("soft", &[soft("A")][..], true),
        ("soft twice", &[soft("A"), soft("A")], true),
        ("two tags, soft", &[soft("A"), soft("B")], true),
        ("hard", &[hard("A")], false),
        ("soft, then hard", &[soft("A"), hard("A")], false),
        ("hard, then soft", &[hard("A"), soft("A")], false),
        ("one soft, another hard", &[soft("A"), hard("B")], false),
    ] {
        let (tags, clock) = tags();
        tags.increment(&[hard("A")], &me(), Source::Response)
            .now_or_never()
            .unwrap()
            .unwrap(); // before it is sealed: of no account
        let carried = [at("A", None), at("B", Some(1))];
        let seals = tags
            .seal(&carried, &tags.snapshot(), &Registered::default())
            .unwrap();
        assert_eq!(seals.broken(), None, "{name}");
        clock.advance(Duration::from_secs(5));
        for change in changes {
            tags.increment(std::slice::from_ref(change), &me(), Source::Response)
                .now_or_never()
                .unwrap()
                .unwrap();
        }
        let broken = seals.broken().unwrap();
        assert_eq!(broken.soft, expected, "{name}");
        assert_eq!(broken.at.as_secs(), 1_005, "{name}");
        assert_eq!(
            tags.seal(&carried, &tags.snapshot(), &Registered::default())
                .unwrap()
                .broken(),
            None,
            "{name}: what is sealed after them"
        );
    }
    let (tags, _) = tags();
    let carried = [at("A", Some(1))];
    tags.observe(&carried, &me(), Source::Response)
        .now_or_never()
        .unwrap();
    let seals = tags
        .seal(&carried, &tags.snapshot(), &Registered::default())
        .unwrap();
    tags.observe(&[at("A", Some(2))], &me(), Source::Response)
        .now_or_never()
        .unwrap();
    assert!(
        !seals.broken().unwrap().soft,
        "a newer version of the app's"
    );
}

#[test]
fn a_seal_has_been_broken_since_the_first_of_its_tags_changed() {
    for order in [["A", "B"], ["B", "A"]] {
        let (tags, clock) = tags();
        let carried = [at("A", None), at("B", None)];
        let seals = tags
            .seal(&carried, &tags.snapshot(), &Registered::default())
            .unwrap();
        for name in order {
            clock.advance(Duration::from_secs(5));
            tags.increment(&[tag(name).into()], &me(), Source::Response)
                .now_or_never()
                .unwrap()
                .unwrap();
        }
        assert_eq!(seals.broken().unwrap().at.as_secs(), 1_005, "{order:?}");
    }
}

#[test]
fn l01_a_change_after_the_snapshot_refuses_the_seal() {
    let (tags, _) = tags();
    let before = tags.snapshot();
    tags.increment(&[tag("A").into()], &me(), Source::Response)
        .now_or_never()
        .unwrap()
        .unwrap();
    assert_eq!(
        tags.seal(&[at("A", None)], &before, &Registered::default())
            .unwrap_err(),
        NoStore::Raced
    );
    assert!(
        tags.seal(&[at("B", None)], &before, &Registered::default())
            .is_ok()
    );
    assert!(
        tags.seal(&[at("A", None)], &tags.snapshot(), &Registered::default())
            .is_ok(),
        "asked after the change"
    );
}

#[test]
fn l02_concurrent_increments_never_share_a_stamp() {
    let (tags, _) = tags();
    let tags = Arc::new(tags);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let tags = Arc::clone(&tags);
            thread::spawn(move || {
                let increment = |_| {
                    let stamp = tags
                        .increment(&[tag("A").into()], &me(), Source::Response)
                        .now_or_never()
                        .unwrap()
                        .unwrap();
                    // Whoever is done has the change behind them, and no other change takes it back.
                    assert!(tags.version("A") >= Some(stamp));
                    assert!(tags.applied() >= stamp);
                    stamp
                };
                (0..2_000).map(increment).collect::<Vec<_>>()
            })
        })
        .collect();
    let mut stamps: Vec<_> = threads
        .into_iter()
        .flat_map(|thread| thread.join().unwrap())
        .collect();
    let greatest = stamps.iter().copied().max();
    stamps.sort_unstable();
    stamps.dedup();
    assert_eq!(stamps.len(), 8_000);
    assert_eq!(tags.version("A"), greatest);
}

#[test]
fn l03_stamps_go_on_when_the_clock_steps_back() {
    let (tags, clock) = tags();
    let first = tags
        .increment(&[tag("A").into()], &me(), Source::Response)
        .now_or_never()
        .unwrap()
        .unwrap();
    clock.set(Timestamp::from_secs(1));
    assert!(
        tags.increment(&[tag("A").into()], &me(), Source::Response)
            .now_or_never()
            .unwrap()
            .unwrap()
            > first
    );
}

#[test]
fn l03_a_restart_repeats_no_stamp() {
    let (old, clock) = tags();
    let last = (0..100)
        .filter_map(|_| {
            old.increment(&[tag("A").into()], &me(), Source::Response)
                .now_or_never()?
        })
        .last();
    clock.advance(Duration::from_millis(1));
    let restarted = Tags::new(clock);
    assert!(
        restarted
            .increment(&[tag("A").into()], &me(), Source::Response)
            .now_or_never()
            .unwrap()
            > last
    );
}

#[test]
fn l14_asking_for_a_version_creates_nothing() {
    let (tags, _) = tags();
    assert_eq!(tags.version("A"), None);
    assert!(!tags.changed_since([&tag("A")], Stamp::NEVER));
    assert!(tags.is_empty());
}

#[test]
fn the_apps_own_versions_and_increments_are_two_parts_of_one_state() {
    let (tags, _) = tags();
    tags.observe(&[at("U", Some(7))], &me(), Source::Response)
        .now_or_never()
        .unwrap();
    let seven = tags
        .seal(
            &[at("U", Some(7))],
            &tags.snapshot(),
            &Registered::default(),
        )
        .unwrap();
    tags.observe(&[at("U", Some(7))], &me(), Source::Response)
        .now_or_never()
        .unwrap();
    tags.observe(&[at("U", Some(6))], &me(), Source::Response)
        .now_or_never()
        .unwrap();
    assert!(
        seven.intact(),
        "neither the same nor a lower version is a change"
    );

    // A response with a higher version is not raced by its own telling.
    let before = tags.snapshot();
    tags.observe(&[at("U", Some(8))], &me(), Source::Response)
        .now_or_never()
        .unwrap();
    assert!(!seven.intact());
    assert!(
        tags.seal(&[at("U", Some(8))], &before, &Registered::default())
            .is_ok()
    );
    assert_eq!(
        tags.seal(&[at("U", Some(7))], &before, &Registered::default())
            .unwrap_err(),
        NoStore::OldVersion
    );
    assert_eq!(
        tags.seal(&[at("U", None)], &before, &Registered::default())
            .unwrap_err(),
        NoStore::Raced,
        "who does not count cannot know"
    );

    // An increment from elsewhere does not stop the same version from being stored again.
    tags.increment(&[tag("U").into()], &me(), Source::Response)
        .now_or_never()
        .unwrap()
        .unwrap();
    assert_eq!(
        tags.seal(&[at("U", Some(8))], &before, &Registered::default())
            .unwrap_err(),
        NoStore::Raced
    );
    assert!(
        tags.seal(
            &[at("U", Some(8))],
            &tags.snapshot(),
            &Registered::default()
        )
        .is_ok()
    );
}

#[test]
fn l10_tags_nobody_holds_are_forgotten_and_needed_ones_are_not() {
    let (tags, _) = tags();
    let seals = tags
        .seal(
            &[at("held", None)],
            &tags.snapshot(),
            &Registered::default(),
        )
        .unwrap();
    tags.observe(&[at("counted", Some(3))], &me(), Source::Response)
        .now_or_never()
        .unwrap();
    let running = tags.snapshot();
    tags.increment(&[tag("needed").into()], &me(), Source::Response)
        .now_or_never()
        .unwrap()
        .unwrap();
    for n in 0..100_000 {
        let _seen = tags.seal(
            &[at(&format!("gone:{n}"), None)],
            &tags.snapshot(),
            &Registered::default(),
        );
    }
    assert!(tags.len() < 40_000, "{} tags left", tags.len());
    assert!(seals.intact());
    assert_eq!(
        tags.seal(&[at("needed", None)], &running, &Registered::default())
            .unwrap_err(),
        NoStore::Raced
    );
    assert_eq!(
        tags.seal(&[at("counted", Some(2))], &running, &Registered::default())
            .unwrap_err(),
        NoStore::OldVersion
    );
    // L3: the cell that an entry holds is the one that later increments find.
    tags.increment(&[tag("held").into()], &me(), Source::Response)
        .now_or_never()
        .unwrap()
        .unwrap();
    assert!(!seals.intact());
}

#[test]
fn l10_increments_that_no_exchange_looks_back_to_are_forgotten() {
    let (tags, _) = tags();
    drop(tags.snapshot());
    for n in 0..100_000 {
        tags.increment(&[tag(&format!("gone:{n}")).into()], &me(), Source::Response)
            .now_or_never()
            .unwrap()
            .unwrap();
    }
    assert!(tags.len() < 40_000, "{} tags left", tags.len());
}

#[test]
fn l10_long_uris_that_clients_choose_are_not_what_is_remembered() {
    let (tags, _) = tags();
    let long = "x".repeat(8_000);
    for n in 0..20_000 {
        let uri = Tag::uri(&format!("http://a/{long}/{n}"));
        assert!(uri.as_str().len() < 400, "{uri}");
        tags.increment(&[uri.clone().into()], &me(), Source::Response)
            .now_or_never()
            .unwrap()
            .unwrap();
    }
    assert!(tags.len() < 10_000, "{} tags left", tags.len());
}

#[test]
fn the_cause_of_a_change_is_remembered() {
    let (tags, clock) = tags();
    tags.increment(&[tag("A").into()], &me(), Source::Response)
        .now_or_never()
        .unwrap()
        .unwrap();
    assert_eq!(
        tags.cause(&tag("A")),
        Some(Cause {
            at: clock.now(),
            by: me(),
            source: Source::Response,
        })
    );
    assert_eq!(tags.cause(&tag("B")), None);
}

#[test]
fn l14_to_look_at_a_tag_makes_none() {
    let (tags, _) = tags();
    let now = |name: &str| tags.now(&tag(name)).now_or_never().unwrap();
    let nothing = TagNow {
        tag: tag("A"),
        version: None,
        app_version: None,
        cause: None,
    };
    assert_eq!(now("A"), nothing);
    assert_eq!(tags.len(), 0);
    tags.observe(&[at("A", Some(7))], &me(), Source::Response)
        .now_or_never()
        .unwrap();
    let stamp = tags
        .increment(&[tag("A").into()], &"POST /v1/purge".into(), Source::Admin)
        .now_or_never()
        .unwrap();
    let known = now("A");
    assert_eq!((known.version, known.app_version), (stamp, Some(7)));
    let cause = known.cause.unwrap();
    assert_eq!(
        (&*cause.by, cause.source),
        ("POST /v1/purge", Source::Admin)
    );
}

#[test]
fn what_was_incremented_together_is_told_together() {
    let (tags, clock) = tags();
    let mut watched = tags.watch();
    let soft = |name: &str| Increment {
        soft: true,
        ..tag(name).into()
    };
    let uri = Tag::uri("http://a/users/42");
    for increments in [
        vec![soft("A"), soft("B")],
        vec![soft("A"), uri.clone().into()],
    ] {
        tags.increment(&increments, &me(), Source::Response)
            .now_or_never()
            .unwrap()
            .unwrap();
        clock.advance(Duration::from_secs(1));
    }
    tags.observe(&[at("C", Some(1)), at("D", None)], &me(), Source::Response)
        .now_or_never()
        .unwrap();
    let names = |it: &Arc<Incremented>| {
        let names: Vec<&str> = it.tags.iter().map(Tag::as_str).collect();
        (names.join(" "), it.soft, it.at.as_secs())
    };
    let recent = tags.recent(2);
    let told: Vec<_> = std::iter::from_fn(|| watched.try_recv().ok()).collect();
    let expected = [
        ("A B".to_owned(), true, 1_000),
        (format!("A {uri}"), false, 1_001),
        ("C".to_owned(), false, 1_002),
    ];
    assert_eq!(told.iter().map(names).collect::<Vec<_>>(), expected);
    assert_eq!(recent, [Arc::clone(&told[2]), Arc::clone(&told[1])]);
    let most = tags.changing();
    let most: Vec<_> = most
        .iter()
        .map(|(tag, count, _)| (tag.as_str(), *count))
        .collect();
    assert_eq!(most[0], ("A", 2));
    let names: BTreeSet<_> = most.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["A", "B", "C"].into());
    let own = tags.changing_own();
    let own: Vec<_> = own.iter().map(|(tag, count, _)| (tag, *count)).collect();
    assert_eq!(own, [(&uri, 1)], "apart");
}

#[test]
fn which_changes_cost_lookups_is_counted_apart() {
    let (tags, _) = tags();
    let seals = tags
        .seal(
            &[at("A", None), at("B", None)],
            &tags.snapshot(),
            &Registered::default(),
        )
        .unwrap();
    tags.note_missed(&seals);
    assert_eq!(tags.costing(), [], "it is intact");
    tags.increment(&[tag("B").into()], &me(), Source::Response)
        .now_or_never()
        .unwrap()
        .unwrap();
    tags.note_missed(&seals);
    tags.note_missed(&seals);
    assert_eq!(tags.costing(), [(tag("B"), 2)]);
}
