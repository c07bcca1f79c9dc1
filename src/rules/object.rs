//! Where the app's own values are kept that no response brings: by their names, beside the responses of the namespace.

use crate::model::key::BaseKey;
use crate::model::key::KeyFields;
use crate::model::tag::Tag;
use crate::rules::Consistency;
use crate::rules::RuleSet;

/// How one of the app's own values is looked up and stored.
#[derive(Clone, Debug)]
pub struct ObjectKey {
    /// Under which it lies. No response does: their key fields begin otherwise (L7).
    pub base: BaseKey,
    /// What people call it, and globs match: `object:<name>`.
    pub logical: String,
    /// Its own tag, by which it is replaced and deleted everywhere.
    pub own: Tag,
    /// When an increment of another sidecar counts: as for requests that no rule matches.
    pub consistency: Consistency,
    /// Under which epoch.
    pub epoch: u64,
}

impl RuleSet {
    /// The key of the value with this name.
    pub fn object(&self, name: &str) -> ObjectKey {
        let mut fields = KeyFields::new();
        fields.field("kind", "object");
        fields.field("namespace", &*self.namespace);
        fields.field("epoch", &*self.epoch_field);
        fields.field("name", name);
        ObjectKey {
            base: fields.base_key(),
            logical: format!("object:{name}"),
            own: Tag::object(name),
            consistency: self.unmatched.consistency,
            epoch: self.epoch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Context;
    use crate::rules::LiveRules;

    #[test]
    fn values_lie_apart_by_namespace_epoch_and_name() {
        let rules = |namespace| RuleSet::none(&Context::new(namespace));
        let key = rules("shop").object("a:1");
        assert_eq!(
            (&*key.logical, key.own.as_str()),
            ("object:a:1", "~object:a:1")
        );
        assert_eq!(key.base, rules("shop").object("a:1").base);
        let live = LiveRules::new(rules("shop"));
        live.raise_epoch(2);
        for (other, what) in [
            (rules("shop").object("a:2"), "name"),
            (rules("other").object("a:1"), "namespace"),
            (live.load().object("a:1"), "epoch"),
        ] {
            assert_ne!(other.base, key.base, "{what}");
        }
    }
}
