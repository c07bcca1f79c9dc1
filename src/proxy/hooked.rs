//! The hooks of a rule: what is remembered of a request until it is known what became of it.

use std::sync::Arc;

use crate::hooks::Event;
use crate::hooks::Events;
use crate::model::outcome::Outcome;
use crate::model::request::Head;
use crate::model::time::Timestamp;
use crate::rules::Plan;
use crate::rules::Rule;

/// A request whose rule tells somebody of hits or misses.
#[derive(Debug)]
pub(super) struct Hooked {
    rule: Arc<Rule>,
    /// Its logical key.
    key: String,
}

impl Hooked {
    /// `None`, and nothing is made, where nobody is to be told.
    pub(super) fn of(plan: &Plan, head: &Head) -> Option<Hooked> {
        match plan {
            Plan::Lookup(query) if query.rule.hooks.are_any() => Some(Hooked {
                rule: Arc::clone(&query.rule),
                key: query.logical_key(head),
            }),
            Plan::Lookup(_) | Plan::Pass(_) => None,
        }
    }

    /// Tells whom it concerns.
    pub(super) fn tell(self, events: &Events, outcome: Outcome, at: Timestamp) {
        let Some(found) = outcome.looked_up() else {
            return;
        };
        if let Some(hook) = self.rule.hooks.of(found) {
            let event = Event {
                at,
                rule: self.rule.id.clone().unwrap_or_default(),
                key: self.key,
                outcome: outcome.word(),
            };
            events.tell(hook, event);
        }
    }
}
