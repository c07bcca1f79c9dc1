//! What a client may ask of a cache (RFC 9111 §5.2.1), and whether a stored response serves it.

use std::time::Duration;

use http::HeaderMap;
use http::header::{CACHE_CONTROL, PRAGMA};

use crate::model::entry::EntryMeta;
use crate::model::outcome::Stale;
use crate::model::time::Timestamp;
use crate::policy::members;
use crate::rules::ClientControl;

/// The directives of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// `no-cache`, or `Pragma: no-cache` where there is no `Cache-Control` (RFC 9111 §5.4).
    pub no_cache: bool,
    /// `no-store`.
    pub no_store: bool,
    /// `max-age`; zero if it is malformed.
    pub max_age: Option<Duration>,
    /// `max-stale`; without an argument, however stale.
    pub max_stale: Option<Duration>,
    /// `min-fresh`.
    pub min_fresh: Option<Duration>,
    /// `stale-if-error` (RFC 5861 §4).
    pub stale_if_error: Option<Duration>,
    /// `only-if-cached`.
    pub only_if_cached: bool,
    /// What is younger serves though the client asks for a fresher one: its rule says so.
    pub min_age: Duration,
}

/// Whether a stored response may answer as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It may, for it is fresh.
    Fresh,
    /// It is fresh, but past its soft life: it is to be fetched again.
    Soft,
    /// It may, though its life is over, for this reason.
    Stale(Stale),
    /// Its life is over.
    Expired,
    /// It is fresh, and the client asked for a fresher one.
    Unwanted,
}

impl Wishes {
    /// What the rule of a request lets its directives bring about. `no-store` always counts: nobody else is to have what is
    /// answered to this client.
    pub fn granted(headers: &HeaderMap, control: ClientControl) -> Wishes {
        let wishes = Wishes::of(headers);
        if control.honor {
            return Wishes {
                min_age: control.min_age,
                ..wishes
            };
        }
        Wishes {
            no_store: wishes.no_store,
            ..Wishes::default()
        }
    }

    /// What counts of them where a response of this age is at hand.
    pub fn at(&self, age: Duration) -> Wishes {
        if age >= self.min_age {
            return *self;
        }
        Wishes {
            no_cache: false,
            max_age: None,
            min_fresh: None,
            ..*self
        }
    }

    /// Reads the directives of a request.
    pub fn of(headers: &HeaderMap) -> Wishes {
        let mut wishes = Wishes::default();
        if !headers.contains_key(CACHE_CONTROL) {
            let mut pragma = members::members(headers, &PRAGMA);
            wishes.no_cache = pragma.any(|member| member.is("no-cache"));
            return wishes;
        }
        for member in members::members(headers, &CACHE_CONTROL) {
            let seconds = member.seconds();
            if member.is("no-cache") {
                wishes.no_cache = true;
            } else if member.is("no-store") {
                wishes.no_store = true;
            } else if member.is("only-if-cached") {
                wishes.only_if_cached = true;
            } else if member.is("max-age") {
                wishes.max_age = Some(seconds.unwrap_or_default());
            } else if member.is("min-fresh") {
                wishes.min_fresh = seconds;
            } else if member.is("stale-if-error") {
                wishes.stale_if_error = seconds;
            } else if member.is("max-stale") {
                let any = (!member.has_argument()).then_some(Duration::MAX);
                wishes.max_stale = any.or(seconds);
            }
        }
        wishes
    }
}

/// Whether the response may answer a client with these wishes at `now` (RFC 9111 §4.2, §5.2.1).
///
/// It is stale from the moment its age is its lifetime (§4.2), and a window of `n` seconds includes the `n`th.
pub fn usable(meta: &EntryMeta, wishes: &Wishes, now: Timestamp) -> Use {
    let age = meta.age(now);
    let wishes = &wishes.at(age);
    if age >= meta.lifetime {
        return stale(meta, wishes, age);
    }
    let too_short = wishes
        .min_fresh
        .is_some_and(|min| meta.lifetime.saturating_sub(age) < min);
    if wishes.no_cache || wishes.exclude(age) || too_short {
        Use::Unwanted
    } else if meta.soft_until.is_some_and(|until| now >= until) {
        Use::Soft
    } else {
        Use::Fresh
    }
}

fn stale(meta: &EntryMeta, wishes: &Wishes, age: Duration) -> Use {
    let over = age.saturating_sub(meta.lifetime);
    let accepts = wishes.max_stale.is_some_and(|max| within(max, over));
    let fresh_only = wishes.no_cache || wishes.min_fresh.is_some();
    if within(meta.stale.while_revalidate, over) && !wishes.refuse_stale() {
        Use::Stale(Stale::WhileRevalidate) // before `max-stale`: it is fetched again, for the next one
    } else if accepts && !meta.stale.forbidden && !fresh_only && !wishes.exclude(age) {
        Use::Stale(Stale::MaxStale)
    } else {
        Use::Expired
    }
}

/// Why the response may answer a client with these wishes, though it cannot be had fresh: the app failed, or could not
/// be reached at all (`disconnected`). `None`: it may not.
pub fn on_failure(
    meta: &EntryMeta,
    wishes: &Wishes,
    disconnected: bool,
    now: Timestamp,
) -> Option<Stale> {
    let age = meta.age(now);
    let over = age.saturating_sub(meta.lifetime);
    let asked = wishes.stale_if_error.filter(|_| !meta.stale.forbidden);
    if matches!(usable(meta, wishes, now), Use::Fresh | Use::Soft) {
        Some(Stale::Soft) // that was why the app was asked
    } else if wishes.at(age).refuse_stale() {
        None
    } else if within(meta.stale.if_error, over) || asked.is_some_and(|asked| within(asked, over)) {
        Some(Stale::IfError)
    } else if disconnected && within(meta.stale.if_disconnected, over) {
        Some(Stale::Disconnected)
    } else {
        None
    }
}

/// Why the response may answer a client with these wishes, though another request's fresher one is on its way, and a long
/// time coming. `None`: it may not.
pub fn on_wait(meta: &EntryMeta, wishes: &Wishes, now: Timestamp) -> Option<Stale> {
    (!meta.stale.forbidden && !wishes.at(meta.age(now)).refuse_stale()).then_some(Stale::Waited)
}

/// Whether what is `over` its lifetime by so much lies in a window; one of zero holds nothing.
pub fn within(window: Duration, over: Duration) -> bool {
    !window.is_zero() && over <= window
}

impl Wishes {
    /// Whether the client does not want what is so old (RFC 9111 §5.2.1.1).
    fn exclude(&self, age: Duration) -> bool {
        self.max_age.is_some_and(|max| age > max)
    }

    /// Whether the client asks for what only a fresh response can give (RFC 9111 §5.2.1.1, §5.2.1.3, §5.2.1.4).
    pub fn refuse_stale(&self) -> bool {
        self.no_cache || self.max_age.is_some() || self.min_fresh.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::entry::Conditions;
    use crate::model::entry::StaleUse;
    use crate::policy::tests::headers;
    use proptest::prelude::*;

    #[test]
    fn rfc9111_5_2_1_request_directives() {
        let secs = |n| Some(Duration::from_secs(n));
        let none = Wishes::default();
        let no_cache = Wishes {
            no_cache: true,
            ..none
        };
        let cc = |value| ("cache-control", value);
        for (name, fields, expected) in [
            ("none", &[][..], none),
            (
                "§5.2.1.1",
                &[cc("max-age=5")],
                Wishes {
                    max_age: secs(5),
                    ..none
                },
            ),
            (
                "§5.2.1.1 malformed",
                &[cc("max-age=x")],
                Wishes {
                    max_age: secs(0),
                    ..none
                },
            ),
            (
                "§5.2.1.2",
                &[cc("max-stale=5")],
                Wishes {
                    max_stale: secs(5),
                    ..none
                },
            ),
            (
                "§5.2.1.2 any",
                &[cc("max-stale")],
                Wishes {
                    max_stale: Some(Duration::MAX),
                    ..none
                },
            ),
            ("§5.2.1.2 malformed", &[cc("max-stale=x")], none),
            (
                "§5.2.1.3",
                &[cc("min-fresh=5")],
                Wishes {
                    min_fresh: secs(5),
                    ..none
                },
            ),
            ("§5.2.1.4", &[cc("No-Cache")], no_cache),
            (
                "§5.2.1.5",
                &[cc("no-store")],
                Wishes {
                    no_store: true,
                    ..none
                },
            ),
            (
                "RFC 5861 §4",
                &[cc("stale-if-error=5")],
                Wishes {
                    stale_if_error: secs(5),
                    ..none
                },
            ),
            ("RFC 5861 §4 malformed", &[cc("stale-if-error=x")], none),
            ("RFC 5861 §4 no argument", &[cc("stale-if-error")], none),
            (
                "§5.2.1.7",
                &[cc("only-if-cached")],
                Wishes {
                    only_if_cached: true,
                    ..none
                },
            ),
            ("§5.4 Pragma", &[("pragma", "no-cache")], no_cache),
            (
                "§5.4 Pragma beside Cache-Control",
                &[("pragma", "no-cache"), cc("foo")],
                none,
            ),
            ("§5.4 another pragma", &[("pragma", "foo")], none),
        ] {
            assert_eq!(Wishes::of(&headers(fields)), expected, "{name}");
        }
    }

    #[test]
    fn a_stored_response_serves_while_it_is_fresh_and_the_client_agrees() {
        let meta = EntryMeta {
            received: Timestamp::from_secs(1_000),
            born: Timestamp::from_secs(990),
            lifetime: Duration::from_secs(60),
            soft_until: None,
            conditions: Conditions {
                stale: StaleUse::default(),
                shareable: false,
                vary: [].into(),
            }
            .into(),
        };
        for (name, wish, now, expected) in [
            ("fresh", "", 1_000, Use::Fresh),
            ("one second left", "", 1_049, Use::Fresh),
            ("§4.2 as old as its lifetime", "", 1_050, Use::Expired),
            ("no-cache", "no-cache", 1_000, Use::Unwanted),
            ("no-cache, expired", "no-cache", 1_050, Use::Expired),
            ("max-age reached", "max-age=10", 1_000, Use::Fresh),
            ("max-age passed", "max-age=9", 1_000, Use::Unwanted),
            ("max-age=0", "max-age=0", 1_000, Use::Unwanted),
            ("min-fresh met", "min-fresh=50", 1_000, Use::Fresh),
            ("min-fresh missed", "min-fresh=51", 1_000, Use::Unwanted),
            ("only-if-cached", "only-if-cached", 1_000, Use::Fresh),
        ] {
            let wishes = Wishes::of(&headers(&[("cache-control", wish)]));
            let now = Timestamp::from_secs(now);
            assert_eq!(usable(&meta, &wishes, now), expected, "{name}");
        }
    }

    /// Fresh until 1000, then of use for 10, 20 and 30 seconds.
    fn stale_from_1000() -> EntryMeta {
        EntryMeta {
            received: Timestamp::from_secs(940),
            born: Timestamp::from_secs(940),
            lifetime: Duration::from_secs(60),
            soft_until: None,
            conditions: Conditions {
                stale: StaleUse {
                    forbidden: false,
                    while_revalidate: Duration::from_secs(10),
                    if_error: Duration::from_secs(20),
                    if_disconnected: Duration::from_secs(30),
                },
                shareable: false,
                vary: [].into(),
            }
            .into(),
        }
    }

    fn forbidden() -> EntryMeta {
        let stale = StaleUse {
            forbidden: true,
            ..StaleUse::default()
        };
        let mut meta = stale_from_1000();
        meta.stale = stale;
        meta
    }

    fn wishing(wish: &'static str) -> Wishes {
        Wishes::of(&headers(&[("cache-control", wish)]))
    }

    #[test]
    fn rfc9111_4_2_4_a_stale_response_serves_where_app_or_client_allows_it() {
        let revalidate = Use::Stale(Stale::WhileRevalidate);
        let max_stale = Use::Stale(Stale::MaxStale);
        for (name, meta, wish, micros, expected) in [
            ("fresh to the last", stale_from_1000(), "", -1, Use::Fresh),
            (
                "RFC 5861 §3 from then on",
                stale_from_1000(),
                "",
                0,
                revalidate,
            ),
            (
                "RFC 5861 §3 up to the 10th second",
                stale_from_1000(),
                "",
                10_000_000,
                revalidate,
            ),
            (
                "RFC 5861 §3 not longer",
                stale_from_1000(),
                "",
                10_000_001,
                Use::Expired,
            ),
            (
                "§5.2.1.4 refuses",
                stale_from_1000(),
                "no-cache",
                0,
                Use::Expired,
            ),
            (
                "§5.2.1.1 refuses, however long",
                stale_from_1000(),
                "max-age=9999",
                0,
                Use::Expired,
            ),
            (
                "§5.2.1.3 refuses, however short",
                stale_from_1000(),
                "min-fresh=0",
                0,
                Use::Expired,
            ),
            (
                "§5.2.1.2 within",
                stale_from_1000(),
                "max-stale=15",
                15_000_000,
                max_stale,
            ),
            (
                "§5.2.1.2 beyond",
                stale_from_1000(),
                "max-stale=15",
                15_000_001,
                Use::Expired,
            ),
            (
                "§5.2.1.2 however stale",
                stale_from_1000(),
                "max-stale",
                999_000_000,
                max_stale,
            ),
            (
                "§5.2.1.2 where it is fetched again anyway",
                stale_from_1000(),
                "max-stale=15",
                5_000_000,
                revalidate,
            ),
            (
                "§5.2.1.2 none",
                stale_from_1000(),
                "max-stale=0",
                11_000_000,
                Use::Expired,
            ),
            (
                "§5.2.1.1 with max-stale, not too old",
                stale_from_1000(),
                "max-stale=15, max-age=65",
                5_000_000,
                max_stale,
            ),
            (
                "§5.2.1.1 with max-stale, too old",
                stale_from_1000(),
                "max-stale=15, max-age=64",
                5_000_000,
                Use::Expired,
            ),
            (
                "§5.2.1.3 over max-stale",
                stale_from_1000(),
                "max-stale, min-fresh=1",
                0,
                Use::Expired,
            ),
            (
                "§5.2.1.4 over max-stale",
                stale_from_1000(),
                "max-stale, no-cache",
                0,
                Use::Expired,
            ),
            ("§4.2.4 forbidden", forbidden(), "", 0, Use::Expired),
            (
                "§4.2.4 forbidden to the client too",
                forbidden(),
                "max-stale",
                0,
                Use::Expired,
            ),
            ("forbidden, but fresh", forbidden(), "", -1, Use::Fresh),
        ] {
            let now = Timestamp::from_micros(1_000_000_000_u64.saturating_add_signed(micros));
            assert_eq!(usable(&meta, &wishing(wish), now), expected, "{name}");
        }
    }

    /// As [`stale_from_1000`], to be fetched again from 970 on.
    fn soft_from_970() -> EntryMeta {
        EntryMeta {
            soft_until: Some(Timestamp::from_secs(970)),
            ..stale_from_1000()
        }
    }

    #[test]
    fn a_fresh_response_past_its_soft_life_is_to_be_fetched_again() {
        let soft_at = |secs| EntryMeta {
            soft_until: Some(Timestamp::from_secs(secs)),
            ..stale_from_1000()
        };
        let of_no_life = || {
            let mut meta = soft_from_970();
            meta.lifetime = Duration::ZERO;
            meta.stale = StaleUse::default();
            meta
        };
        for (name, meta, wish, micros, expected) in [
            ("before", soft_from_970(), "", 969_999_999, Use::Fresh),
            (
                "from that moment on",
                soft_from_970(),
                "",
                970_000_000,
                Use::Soft,
            ),
            ("to the last", soft_from_970(), "", 999_999_999, Use::Soft),
            (
                "not once it is stale",
                soft_from_970(),
                "",
                1_000_000_000,
                Use::Stale(Stale::WhileRevalidate),
            ),
            (
                "nor expired",
                soft_from_970(),
                "",
                1_010_000_001,
                Use::Expired,
            ),
            ("at once", soft_at(940), "", 940_000_000, Use::Soft),
            (
                "later than fresh",
                soft_at(2_000),
                "",
                999_999_999,
                Use::Fresh,
            ),
            (
                "no life at all",
                of_no_life(),
                "",
                980_000_000,
                Use::Expired,
            ),
            (
                "no-cache",
                soft_from_970(),
                "no-cache",
                980_000_000,
                Use::Unwanted,
            ),
            (
                "max-age met",
                soft_from_970(),
                "max-age=40",
                980_000_000,
                Use::Soft,
            ),
            (
                "max-age passed",
                soft_from_970(),
                "max-age=39",
                980_000_000,
                Use::Unwanted,
            ),
            (
                "min-fresh met",
                soft_from_970(),
                "min-fresh=20",
                980_000_000,
                Use::Soft,
            ),
            (
                "min-fresh missed",
                soft_from_970(),
                "min-fresh=21",
                980_000_000,
                Use::Unwanted,
            ),
            (
                "only-if-cached",
                soft_from_970(),
                "only-if-cached",
                980_000_000,
                Use::Soft,
            ),
            (
                "max-stale",
                soft_from_970(),
                "max-stale",
                980_000_000,
                Use::Soft,
            ),
        ] {
            let now = Timestamp::from_micros(micros);
            assert_eq!(usable(&meta, &wishing(wish), now), expected, "{name}");
        }
    }

    #[test]
    fn what_is_past_its_soft_life_serves_where_the_app_fails() {
        let soft = Some(Stale::Soft);
        let must_not_be_stale = || EntryMeta {
            soft_until: Some(Timestamp::from_secs(970)),
            ..forbidden()
        };
        for (name, meta, wish, disconnected, now, expected) in [
            ("fails", soft_from_970(), "", false, 970, soft),
            ("cannot be reached", soft_from_970(), "", true, 999, soft),
            (
                "fresh is not stale",
                must_not_be_stale(),
                "",
                false,
                999,
                soft,
            ),
            ("then it is", must_not_be_stale(), "", true, 1_000, None),
            (
                "then as any other",
                soft_from_970(),
                "",
                false,
                1_000,
                Some(Stale::IfError),
            ),
            ("no-cache", soft_from_970(), "no-cache", true, 980, None),
            (
                "young enough",
                soft_from_970(),
                "max-age=9999",
                true,
                980,
                soft,
            ),
            ("too old", soft_from_970(), "max-age=9", true, 980, None),
            (
                "fresh enough",
                soft_from_970(),
                "min-fresh=0",
                true,
                980,
                soft,
            ),
        ] {
            let now = Timestamp::from_secs(now);
            let found = on_failure(&meta, &wishing(wish), disconnected, now);
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn rfc5861_4_a_stale_response_serves_where_the_app_fails() {
        let (error, lost) = (Some(Stale::IfError), Some(Stale::Disconnected));
        for (name, meta, wish, disconnected, over, expected) in [
            ("at once", stale_from_1000(), "", false, 0, error),
            (
                "at once, disconnected",
                stale_from_1000(),
                "",
                true,
                0,
                error,
            ),
            (
                "up to the 20th second",
                stale_from_1000(),
                "",
                false,
                20,
                error,
            ),
            ("not longer", stale_from_1000(), "", false, 21, None),
            (
                "disconnected: longer",
                stale_from_1000(),
                "",
                true,
                21,
                lost,
            ),
            (
                "disconnected: up to the 30th second",
                stale_from_1000(),
                "",
                true,
                30,
                lost,
            ),
            (
                "disconnected: not longer",
                stale_from_1000(),
                "",
                true,
                31,
                None,
            ),
            (
                "the client's own window",
                stale_from_1000(),
                "stale-if-error=25",
                false,
                25,
                error,
            ),
            (
                "the client's own window is over",
                stale_from_1000(),
                "stale-if-error=25",
                false,
                26,
                None,
            ),
            (
                "the client's does not shorten the app's",
                stale_from_1000(),
                "stale-if-error=1",
                false,
                20,
                error,
            ),
            ("§5.2.1.4", stale_from_1000(), "no-cache", true, 0, None),
            ("§5.2.1.1", stale_from_1000(), "max-age=9999", true, 0, None),
            ("§5.2.1.3", stale_from_1000(), "min-fresh=0", true, 0, None),
            ("§4.2.4 forbidden", forbidden(), "", true, 0, None),
            (
                "§4.2.4 forbidden to the client too",
                forbidden(),
                "stale-if-error=99",
                true,
                0,
                None,
            ),
        ] {
            let now = Timestamp::from_secs(1_000 + over);
            assert_eq!(
                on_failure(&meta, &wishing(wish), disconnected, now),
                expected,
                "{name}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_request_is_read_and_what_is_forbidden_stays_so(
            line in proptest::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff], 0..24),
            known in proptest::sample::select(vec!["", "max-stale, ", "stale-if-error=99, ", "max-stale=99,"]),
            over in 0_u64..99,
        ) {
            let mut headers = HeaderMap::new();
            let line = [known.as_bytes(), &line].concat();
            headers.append(CACHE_CONTROL, http::HeaderValue::from_bytes(&line).unwrap());
            let wishes = Wishes::of(&headers);
            let now = Timestamp::from_secs(1_000 + over);
            prop_assert_eq!(usable(&forbidden(), &wishes, now), Use::Expired);
            prop_assert_eq!(on_failure(&forbidden(), &wishes, true, now), None);
        }
    }
}
