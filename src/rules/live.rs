//! The rules in force, which a reload replaces while requests are answered.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::rules::RuleSet;

/// The rules in force. Clones are the same: what one of them replaces is replaced for all.
#[derive(Clone, Debug)]
pub struct LiveRules(Arc<ArcSwap<RuleSet>>);

impl LiveRules {
    /// These rules, until they are replaced.
    pub fn new(rules: RuleSet) -> LiveRules {
        LiveRules(Arc::new(ArcSwap::from_pointee(rules)))
    }

    /// The rules in force now. Who has them keeps them, whatever comes after: a request loads them once.
    pub fn load(&self) -> Arc<RuleSet> {
        self.0.load_full()
    }

    /// Puts others in force, at once and as a whole. The namespace stays: it is that of the process, and everything that is
    /// stored lies in it.
    pub fn replace(&self, rules: RuleSet) {
        let namespace = self.load().namespace.clone();
        self.0.store(Arc::new(RuleSet { namespace, ..rules }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Context;

    fn rules(namespace: &str, id: &str) -> RuleSet {
        let file = ("r.yaml".to_owned(), format!("rules: [{{ id: {id} }}]"));
        RuleSet::compile(&[file], &Context::new(namespace)).unwrap()
    }

    fn id(rules: &RuleSet) -> Option<&str> {
        rules.rules().first()?.id.as_deref()
    }

    #[test]
    fn who_has_loaded_rules_keeps_them() {
        let live = LiveRules::new(rules("shop", "one"));
        let before = live.load();
        live.clone().replace(rules("shop", "two"));
        assert_eq!(id(&before), Some("one"));
        assert_eq!(id(&live.load()), Some("two"));
    }

    #[test]
    fn the_namespace_is_that_of_the_start() {
        let live = LiveRules::new(rules("shop", "one"));
        live.replace(rules("other", "two"));
        assert_eq!(&*live.load().namespace, "shop");
    }
}
