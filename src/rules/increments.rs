//! Increments that a rule declares, and after which responses they apply.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::response::Parts;

use crate::model::request::Head;
use crate::model::tag::Increment;
use crate::rules::condition::Condition;
use crate::rules::draft::{Answer, Draft};
use crate::rules::pointer::Pointer;
use crate::rules::template::{MissingTagValue, Template, Values};

/// Tags that a request of the rule changes when its response is such.
#[derive(Debug)]
pub(super) struct Increments {
    pub(super) tags: Vec<Template>,
    pub(super) on_status: StatusSet,
    pub(super) when: Option<Condition>,
    /// How long after that they are incremented once more.
    pub(super) again: Option<Duration>,
}

/// The same for one request: what comes from its response is open.
#[derive(Clone, Debug)]
pub struct RuleIncrement {
    pub(super) of: Arc<Increments>,
    /// Each by itself, so that one missing value does not keep the others from being applied.
    pub(super) tags: Vec<Result<Draft, MissingTagValue>>,
}

impl RuleIncrement {
    pub(super) fn of(increments: &Arc<Increments>, values: &Values<'_>) -> RuleIncrement {
        RuleIncrement {
            tags: increments.tags.iter().map(|it| it.draft(values)).collect(),
            of: Arc::clone(increments),
        }
    }

    /// Whether the response is one after which they apply.
    pub(super) fn applies(&self, head: &Head, response: &Parts) -> bool {
        let when = self.of.when.as_ref();
        self.of.on_status.contains(response.status)
            && when.is_none_or(|when| when.holds(head, Some(response)))
    }

    /// What to increment, as far as it is the turn of that; or why one of them is skipped, with a warning.
    pub(super) fn increments(
        &self,
        answer: &Answer<'_>,
    ) -> impl Iterator<Item = Result<Increment, MissingTagValue>> {
        let turn = |draft: &&Result<Draft, MissingTagValue>| {
            answer.has_turn(draft.iter().flat_map(Draft::pointers))
        };
        self.tags.iter().filter(turn).map(|draft| {
            let tag = draft.as_ref().map_err(Clone::clone)?.tag(answer)?;
            Ok(Increment {
                again: self.of.again,
                ..tag.into()
            })
        })
    }

    /// The statuses after which they apply.
    pub fn on_status(&self) -> &StatusSet {
        &self.of.on_status
    }

    /// Each tag as far as it is known, what comes from the response in braces; or what it lacks.
    pub fn tags(&self) -> impl Iterator<Item = Result<String, &MissingTagValue>> {
        self.tags
            .iter()
            .map(|tag| tag.as_ref().map(ToString::to_string))
    }

    /// The places of the body that they need.
    pub(super) fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        self.tags.iter().flatten().flat_map(Draft::pointers)
    }
}

/// Statuses, as classes (`2xx`) and single codes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusSet {
    /// First and last of each range.
    ranges: Vec<(u16, u16)>,
}

impl StatusSet {
    /// What a request that succeeded was answered with: 2xx and 3xx, as in RFC 9111 §4.4.
    pub(super) fn success() -> StatusSet {
        StatusSet {
            ranges: vec![(200, 399)],
        }
    }

    /// Adds `2xx` or `404`; false if the text is neither.
    pub(super) fn add(&mut self, text: &str) -> bool {
        let class = text.strip_suffix("xx").and_then(|class| match class {
            "1" | "2" | "3" | "4" | "5" => class.parse::<u16>().ok(),
            _ => None,
        });
        let range = match class {
            Some(class) => Some((class * 100, class * 100 + 99)),
            None if text.len() == 3 => text
                .parse()
                .ok()
                .filter(|code| (100..600).contains(code))
                .map(|code| (code, code)),
            None => None,
        };
        self.ranges.extend(range);
        range.is_some()
    }

    /// Whether the status is one of them.
    pub fn contains(&self, status: StatusCode) -> bool {
        let code = status.as_u16();
        self.ranges
            .iter()
            .any(|&(first, last)| (first..=last).contains(&code))
    }
}

impl std::fmt::Display for StatusSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (n, (first, last)) in self.ranges.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            match last - first {
                0 => write!(f, "{comma}{first}")?,
                _ => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_classes_and_codes() {
        for (written, yes, no) in [
            (&["2xx"][..], &[200, 204, 299][..], &[199, 300, 404][..]),
            (&["2xx", "3xx"], &[200, 302, 399], &[422, 500]),
            (&["404", "201"], &[404, 201], &[200, 403, 405]),
        ] {
            let mut set = StatusSet::default();
            assert!(written.iter().all(|text| set.add(text)));
            let has = |code: &u16| set.contains(StatusCode::from_u16(*code).unwrap());
            assert!(yes.iter().all(has), "{written:?}");
            assert!(!no.iter().any(has), "{written:?}");
        }
    }

    #[test]
    fn what_is_no_status_is_refused() {
        for text in [
            "", "xx", "2x", "6xx", "0xx", "20", "2000", "99", "600", "+20", "ok", "2XX",
        ] {
            assert!(!StatusSet::default().add(text), "{text}");
        }
    }
}
