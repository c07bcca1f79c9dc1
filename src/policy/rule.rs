//! What policy needs to know of what a rule declares for one exchange.

use std::sync::Arc;

use http::StatusCode;

use crate::model::outcome::NoStore;
use crate::model::tag::Tag;
use crate::policy::Declared;
use crate::rules::Matched;

impl Declared {
    /// What the rule declares of an exchange that ended with this status. An increment without a value is skipped. The tags
    /// are those under which the response would be stored, which a POST's is as one to GET.
    pub fn of(matched: &Matched, status: StatusCode) -> Declared {
        let apply = matched
            .increments
            .iter()
            .filter(|declared| declared.on_status.contains(status));
        let increments = apply.filter_map(|declared| declared.increments.as_ref().ok());
        let storing = matched.storing();
        Declared {
            tags: storing.tags.clone().map_err(|_| NoStore::MissingTagValue),
            implicit: storing.implicit_tags(),
            constants: storing.rule.constants().cloned().collect(),
            key: matched.key.map(Tag::base),
            increments: increments.flatten().cloned().collect(),
            scopes: Arc::clone(&matched.rule.scopes),
        }
    }
}
