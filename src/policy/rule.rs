//! What policy needs to know of a rule and of what it declares for one exchange.

use http::StatusCode;

use crate::model::outcome::NoStore;
use crate::model::tag::Tag;
use crate::policy::Declared;
use crate::policy::Terms;
use crate::rules::Matched;
use crate::rules::Rule;

impl From<&Rule> for Terms {
    fn from(rule: &Rule) -> Terms {
        Terms {
            ttl: rule.ttl,
            max_ttl: rule.max_ttl,
            keys_on_cookie: rule.keys_on_cookie,
            keys_on_authorization: rule.keys_on_authorization,
        }
    }
}

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
