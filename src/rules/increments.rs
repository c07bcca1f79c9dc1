//! Increments that a rule declares, and after which responses they apply.

use std::sync::Arc;
use std::time::Duration;

use crate::model::tag::Increment;
use crate::rules::after::After;
use crate::rules::draft::{Answer, Draft};
use crate::rules::missing::MissingTagValue;
use crate::rules::pointer::Pointer;
use crate::rules::statuses::StatusSet;
use crate::rules::template::{Template, Values};

/// Tags that a request of the rule changes when its response is such.
#[derive(Debug)]
pub(super) struct Increments {
    pub(super) tags: Vec<Template>,
    pub(super) after: After,
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
        &self.of.after.on_status
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
