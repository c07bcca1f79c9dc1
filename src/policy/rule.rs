//! What policy needs to know of what a rule declares for one exchange.

use std::sync::Arc;

use http::response::Parts;

use crate::model::outcome::NoStore;
use crate::model::request::Head;
use crate::model::tag::Tag;
use crate::policy::Declared;
use crate::rules::Answer;
use crate::rules::Matched;
use crate::rules::MissingTagValue;
use crate::rules::Picked;

impl Declared {
    /// What the rule declares of an exchange that was answered with this head, and with this in its body: what was wanted of
    /// it, or why it cannot be had. An increment without a value is skipped. The tags are those under which the response
    /// would be stored, which a POST's is as one to GET.
    pub fn of(
        matched: &Matched,
        head: &Head,
        parts: &Parts,
        body: &Result<Picked, NoStore>,
    ) -> Declared {
        let answer = Answer {
            parts,
            body: body.as_ref().ok(),
        };
        let (increments, skipped) = matched.increments_after(head, &answer);
        let (changes, misfits) = matched.changes_after(head, &answer);
        let storing = matched.storing();
        Declared {
            tags: tags(matched, parts, body),
            of_body: !storing.body_tags.is_empty(),
            implicit: storing.implicit_tags(),
            constants: storing.rule.constants().cloned().collect(),
            key: matched.key.map(Tag::base),
            increments,
            skipped,
            changes,
            misfits,
            scopes: Arc::clone(&matched.rule.scopes),
        }
    }
}

/// The rule's own tags, and those in the body.
fn tags(
    matched: &Matched,
    parts: &Parts,
    body: &Result<Picked, NoStore>,
) -> Result<Vec<Tag>, NoStore> {
    let missing = |_: MissingTagValue| NoStore::MissingTagValue;
    let tags = matched.storing().tags.clone().map_err(missing)?;
    Ok([tags, matched.tags_in(parts, body)?].concat())
}
