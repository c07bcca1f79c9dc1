//! What a rule says of storing responses: the terms on which `policy` judges them. Says nothing of how they are judged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::rules::normalize::Normalized;

/// The cap on whatever is said about freshness, unless a rule has another (L10).
const MAX_TTL: Duration = Duration::from_secs(7 * 86_400);

/// What the rule of a request says of storing its response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long a response is fresh that does not say so itself; zero: it is not stored.
    pub ttl: Option<Duration>,
    /// How long any response is fresh that may be stored, from when it arrived, whatever it says; above zero.
    pub forced_ttl: Option<Duration>,
    /// The cap on whatever is said about freshness.
    pub max_ttl: Duration,
    /// How long responses with some statuses are fresh that do not say so themselves.
    pub statuses: Statuses,
    /// How long after it arrived a response is fetched again though it is fresh; `None`: never.
    pub soft_ttl: Option<Duration>,
    /// Up to which part of its life, by chance, a response expires earlier.
    pub jitter: Jitter,
    /// How long after it has expired a response that does not say so itself may be served while it is fetched again
    /// (RFC 5861 §3). Zero: never, which is another thing than nothing said.
    pub stale_while_revalidate: Option<Duration>,
    /// How long after it has expired a response that does not say so itself may be served where the app fails (RFC 5861
    /// §4). Zero: never, which is another thing than nothing said.
    pub stale_if_error: Option<Duration>,
    /// What cookies of requests mean (L12).
    pub cookies: Cookies,
    /// The key holds a cookie, so that what it stores is not shared across its values (L12).
    pub keys_on_cookie: bool,
    /// Fields of which the key holds less than requests say; what is stored was asked for with as much.
    pub asked_as: Arc<[Normalized]>,
    /// Fields with a token of which the key holds what matters, so that `Vary` on them selects nothing more.
    pub claimed: Arc<[HeaderName]>,
    /// Whether the response's own `Vary` selects anything; `Vary: *` keeps it out of the store in any case.
    pub response_vary: bool,
    /// What becomes of responses that set cookies (L12).
    pub set_cookie: SetCookie,
    /// What becomes of requests with credentials (L12).
    pub authorization: Authorization,
}

impl Default for Terms {
    /// What holds where no rule matched (rules.md §2).
    fn default() -> Terms {
        Terms {
            ttl: None,
            forced_ttl: None,
            max_ttl: MAX_TTL,
            statuses: Statuses::default(),
            soft_ttl: None,
            jitter: Jitter::default(),
            stale_while_revalidate: None,
            stale_if_error: None,
            cookies: Cookies::default(),
            keys_on_cookie: false,
            asked_as: Arc::default(),
            claimed: Arc::default(),
            response_vary: true,
            set_cookie: SetCookie::default(),
            authorization: Authorization::default(),
        }
    }
}

/// How long responses with some statuses are fresh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statuses {
    codes: BTreeMap<u16, StatusTtl>,
    /// By first digit.
    classes: BTreeMap<u16, StatusTtl>,
}

/// How long a response with some status is fresh that does not say so itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusTtl {
    /// As any other of the rule.
    Inherit,
    /// So long; zero: it is not stored.
    For(Duration),
}

impl Statuses {
    /// Adds a status (`404`) or a class (`5xx`), in place of what was said of it before.
    ///
    /// # Errors
    ///
    /// What was expected instead. 206 and 304 are about other responses, which are stored by their own status.
    pub fn add(&mut self, text: &str, ttl: StatusTtl) -> Result<(), &'static str> {
        const EXPECTED: &str = "expected a final status such as `404` or `5xx`";
        let class = text.strip_suffix("xx").filter(|class| class.len() == 1);
        let code = (class.is_none() && text.len() == 3).then_some(text);
        let number = |text: &str| text.parse::<u16>().ok();
        match (class.and_then(number), code.and_then(number)) {
            (Some(class @ 2..=5), _) => self.classes.insert(class, ttl),
            (_, Some(206 | 304)) => {
                return Err(
                    "expected a status that is stored by itself, which 206 and 304 are not",
                );
            }
            (_, Some(code @ 200..600)) => self.codes.insert(code, ttl),
            _ => return Err(EXPECTED),
        };
        Ok(())
    }

    /// What was added, as it is written: statuses, then classes.
    pub(super) fn iter(&self) -> impl Iterator<Item = (String, StatusTtl)> {
        let codes = self
            .codes
            .iter()
            .map(|(code, ttl)| (code.to_string(), *ttl));
        let classes = self.classes.iter();
        codes.chain(classes.map(|(class, ttl)| (format!("{class}xx"), *ttl)))
    }

    /// What is said of a status: by itself, or of its class. A part (206) is one of a 200.
    pub fn ttl(&self, status: StatusCode) -> Option<StatusTtl> {
        let code = match status {
            StatusCode::PARTIAL_CONTENT => 200,
            _ => status.as_u16(),
        };
        let found = self.codes.get(&code).or(self.classes.get(&(code / 100)));
        found.copied()
    }
}

/// Up to which part of its life, by chance, a response expires earlier: many that were stored together do not all expire
/// together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Jitter {
    /// In parts of a million.
    millionths: u32,
}

impl Jitter {
    /// A share of 0 to 1.
    pub fn of(share: f64) -> Jitter {
        let millionths = (share.clamp(0.0, 1.0) * 1e6).round();
        Jitter {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is between 0 and a million"
            )]
            millionths: millionths as u32,
        }
    }

    /// In percent.
    pub(super) fn percent(self) -> f64 {
        f64::from(self.millionths) / 1e4
    }

    /// What is left of a life: never more than it was, `chance` (0 to 1) decides how much less.
    pub fn spread(self, life: Duration, chance: f64) -> Duration {
        let less = f64::from(self.millionths) / 1e6 * chance.clamp(0.0, 1.0);
        life.saturating_sub(life.mul_f64(less))
    }
}

/// What the cookies of requests mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cookies {
    /// They go to the app. What it answers to a request with a cookie is stored, and such a request is answered from the
    /// store, only if the key holds a cookie or the response says that it may be shared (`public`, `s-maxage`, a
    /// targeted header).
    #[default]
    KeyOrPublic,
    /// They never matter: what is stored answers every request, whatever its cookies. A response that is meant for the
    /// store is asked for without them, so it can show nobody's own page; a `Vary: Cookie` on it selects nothing. Requests
    /// that only pass through keep theirs, HEAD excepted: it says what a GET would bring.
    Ignore,
}

/// What becomes of responses that set cookies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SetCookie {
    /// They are not stored.
    #[default]
    NeverStore,
    /// They are stored without `Set-Cookie`. The client whose request went to the app gets its cookie; those who waited
    /// for the same answer, or come later, do not.
    Strip,
    /// They are stored as they are, as RFC 9111 alone would: everyone gets the same cookie.
    Store,
}

/// What becomes of requests with an `Authorization` header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Authorization {
    /// They go to the app, and what it answers is not stored.
    #[default]
    Bypass,
    /// The header is part of the key: one entry per credential, and one for requests without.
    Key,
    /// They are looked up like any other, and may be answered with what was stored for others. What the app answers to
    /// them is stored, for everyone, only if it says `public`, `s-maxage` or `must-revalidate` (RFC 9111 §3.5).
    Rfc9111,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_status_is_named_by_itself_or_by_its_class() {
        let secs = |n| StatusTtl::For(Duration::from_secs(n));
        let mut statuses = Statuses::default();
        for (text, ttl) in [
            ("404", secs(9)),
            ("404", secs(4)),
            ("5xx", secs(5)),
            ("503", StatusTtl::Inherit),
            ("200", secs(2)),
            ("3xx", secs(3)),
        ] {
            assert_eq!(statuses.add(text, ttl), Ok(()), "{text}");
        }
        for (status, expected) in [
            (200, Some(secs(2))),
            (206, Some(secs(2))), // a part of a 200
            (204, None),
            (299, None),
            (300, Some(secs(3))),
            (399, Some(secs(3))),
            (400, None),
            (404, Some(secs(4))), // what was said last
            (500, Some(secs(5))),
            (503, Some(StatusTtl::Inherit)),
            (599, Some(secs(5))),
            (600, None),
        ] {
            let found = statuses.ttl(StatusCode::from_u16(status).unwrap());
            assert_eq!(found, expected, "{status}");
        }
        let names: Vec<_> = statuses.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["200", "404", "503", "3xx", "5xx"]);
    }

    #[test]
    fn what_is_no_status_that_is_stored_says_what_one_is() {
        for text in ["206", "304"] {
            let refused = Statuses::default().add(text, StatusTtl::Inherit);
            assert!(refused.unwrap_err().contains("by itself"), "{text}");
        }
        for text in [
            "",
            "2",
            "xx",
            "1xx",
            "6xx",
            "0xx",
            "02xx",
            "+2xx",
            "2XX",
            "2x",
            "20x",
            "199",
            "600",
            "0200",
            "+20",
            "+200",
            "-200",
            "200 ",
            "2xx ",
            "ok",
            "２００",
        ] {
            let refused = Statuses::default().add(text, StatusTtl::Inherit);
            assert!(refused.unwrap_err().contains("`404` or `5xx`"), "{text}");
        }
    }

    #[test]
    fn jitter_is_a_share_of_a_life() {
        let secs = Duration::from_secs;
        for (name, share, chance, expected) in [
            ("none", 0.0, 0.9, secs(100)),
            ("a tenth, by no chance", 0.1, 0.0, secs(100)),
            ("a tenth, half of it", 0.1, 0.5, secs(95)),
            ("a tenth, all of it", 0.1, 1.0, secs(90)),
            ("all", 1.0, 1.0, secs(0)),
            ("a chance beyond", 0.1, 7.0, secs(90)),
            ("a chance below", 0.1, -7.0, secs(100)),
            ("a share beyond", 7.0, 1.0, secs(0)),
        ] {
            assert_eq!(
                Jitter::of(share).spread(secs(100), chance),
                expected,
                "{name}"
            );
        }
        for (share, percent) in [(0.0, "0"), (0.07, "7"), (0.125, "12.5"), (1.0, "100")] {
            assert_eq!(Jitter::of(share).percent().to_string(), percent);
        }
    }

    proptest! {
        #[test]
        fn a_life_is_cut_by_its_share_at_most_and_never_longer(
            share in 0.0..=1.0_f64,
            chance in 0.0..=1.0_f64,
            micros in 0..=MAX_TTL.as_micros() as u64,
        ) {
            let life = Duration::from_micros(micros);
            let left = Jitter::of(share).spread(life, chance);
            prop_assert!(left <= life);
            // Shares are kept in millionths.
            let least = life.as_secs_f64() * (1.0 - share - 1e-6) - 1e-6;
            prop_assert!(left.as_secs_f64() >= least, "{left:?} of {life:?}");
        }

        #[test]
        fn without_jitter_a_life_stays_as_it_is(chance in any::<f64>(), nanos in any::<u64>()) {
            let life = Duration::from_nanos(nanos);
            prop_assert_eq!(Jitter::default().spread(life, chance), life);
        }

        #[test]
        fn any_text_is_a_status_or_refused(text in "[0-9x+]{0,4}") {
            let mut statuses = Statuses::default();
            let added = statuses.add(&text, StatusTtl::Inherit).is_ok();
            let written: Vec<_> = statuses.iter().map(|(name, _)| name).collect();
            prop_assert_eq!(written, if added { vec![text] } else { vec![] });
        }
    }
}
