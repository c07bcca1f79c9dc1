//! In what an answer of the app differs from what would have been served in its place (`mode: shadow`).

use std::fmt;

use http::{HeaderName, StatusCode};

use crate::model::entry::Entry;
use crate::model::fields::Lines;
use crate::rules::Shadow;

/// What differs; never how, as that may be somebody's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The status.
    Status,
    /// This field.
    Header(HeaderName),
    /// The body.
    Body,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Status => f.write_str("status"),
            Difference::Header(name) => write!(f, "header {name}"),
            Difference::Body => f.write_str("body"),
        }
    }
}

/// The first thing in which the app's head differs from that of what is stored, in what the rule says is compared.
pub fn of_heads(
    shadow: &Shadow,
    stored: &Entry,
    status: StatusCode,
    app: &impl Lines,
) -> Option<Difference> {
    if stored.status != status {
        return Some(Difference::Status);
    }
    let differs = |name: &&HeaderName| !same_lines(name, &stored.headers, app);
    let name = shadow.headers.iter().find(differs)?;
    Some(Difference::Header(name.clone()))
}

fn same_lines(name: &HeaderName, one: &impl Lines, other: &impl Lines) -> bool {
    one.lines(name).eq(other.lines(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::entry::{Conditions, EntryMeta, StaleUse};
    use crate::model::fields::Fields;
    use crate::model::time::Timestamp;
    use crate::policy::tests::headers;
    use std::time::Duration;

    #[test]
    fn heads_are_compared_in_status_and_the_chosen_fields() {
        let entry = |fields| Entry {
            status: StatusCode::OK,
            headers: Fields::of(&headers(fields)),
            targeted: None,
            body: bytes::Bytes::new(),
            part: None,
            meta: EntryMeta {
                received: Timestamp::from_secs(1),
                born: Timestamp::from_secs(1),
                lifetime: Duration::ZERO,
                soft_until: None,
                conditions: Conditions {
                    stale: StaleUse::default(),
                    shareable: false,
                    vary: [].into(),
                }
                .into(),
            },
        };
        let html = ("content-type", "text/html");
        let text = ("content-type", "text/plain");
        let header = |name: &'static str| Some(Difference::Header(HeaderName::from_static(name)));
        for (name, stored, status, app, expected) in [
            ("the same", &[html][..], 200, &[html][..], None),
            (
                "not chosen",
                &[html, ("date", "x")],
                200,
                &[html, ("x-id", "7")],
                None,
            ),
            ("another status", &[], 404, &[], Some(Difference::Status)),
            (
                "another value",
                &[html],
                200,
                &[text],
                header("content-type"),
            ),
            ("none any more", &[html], 200, &[], header("content-type")),
            (
                "one more line",
                &[("location", "/a")],
                200,
                &[("location", "/a"), ("location", "/b")],
                header("location"),
            ),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let found = of_heads(&Shadow::default(), &entry(stored), status, &headers(app));
            assert_eq!(found, expected, "{name}");
        }
    }
}
