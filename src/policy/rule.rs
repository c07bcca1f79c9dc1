//! What policy needs to know of what a rule declares for one exchange.

use std::sync::Arc;

use http::response::Parts;

use crate::model::outcome::NoStore;
use crate::model::request::Head;
use crate::model::tag::Increment;
use crate::model::tag::TagLimits;
use crate::policy::Declared;
use crate::policy::Signals;
use crate::policy::signals::changed;
use crate::rules::Answer;
use crate::rules::Content;
use crate::rules::Matched;
use crate::rules::Picked;

impl Declared {
    /// What the rule declares of an exchange that was answered with this head, as far as its body need not be read for that. An
    /// increment without a value is skipped. The tags are those under which the response would be stored, which a POST's is
    /// as one to GET.
    pub fn of(matched: &Matched, head: &Head, parts: &Parts) -> Declared {
        let answer = Answer {
            parts,
            body: Content::Ahead,
        };
        let (increments, skipped) = matched.increments_after(head, &answer);
        let (changes, misfits) = matched.changes_after(head, &answer);
        let storing = matched.storing();
        Declared {
            tags: storing.tags.clone().map_err(|_| NoStore::MissingTagValue),
            of_body: !storing.body_tags.is_empty(),
            constants: storing.rule.constants().cloned().collect(),
            key: (!head.is_safe()).then(|| matched.key_tag(head)).flatten(),
            increments,
            skipped,
            changes,
            misfits,
            scopes: Arc::clone(&matched.rule.scopes),
        }
    }
}

impl Signals {
    /// Adds what the rule makes of the body, or of its not being readable; what changes by that is to be committed.
    pub fn read(
        &mut self,
        matched: &Matched,
        head: &Head,
        parts: &Parts,
        body: &Result<Picked, NoStore>,
        limits: TagLimits,
    ) -> Vec<Increment> {
        let content = body.as_ref().map_or(Content::Unreadable, Content::Picked);
        let answer = Answer {
            parts,
            body: content,
        };
        let (mut increments, skipped) = matched.increments_after(head, &answer);
        let (changes, unclear) = matched.changes_after(head, &answer);
        let (changed, misfits) = changed(&matched.rule.scopes, &changes);
        increments.extend(changed);
        self.skipped.extend(skipped);
        self.misfits.extend(unclear.into_iter().chain(misfits));
        self.tag(matched.tags_in(parts, body), limits);
        increments
    }
}
