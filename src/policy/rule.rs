//! What policy needs to know of what a rule declares for one exchange.

use http::StatusCode;

use crate::model::outcome::NoStore;
use crate::model::tag::Tag;
use crate::policy::Declared;
use crate::rules::Matched;

impl Declared {
    /// What the rule declares of an exchange that ended with this status. An increment without a value is skipped.
    pub fn of(matched: &Matched, status: StatusCode) -> Declared {
        let apply = matched
            .increments
            .iter()
            .filter(|declared| declared.on_status.contains(status));
        let increments = apply.filter_map(|declared| declared.increments.as_ref().ok());
        Declared {
            tags: matched.tags.clone().map_err(|_| NoStore::MissingTagValue),
            implicit: matched.implicit_tags(),
            key: matched.key.map(Tag::base),
            increments: increments.flatten().cloned().collect(),
        }
    }
}
