//! The rules in force, which a reload replaces while requests are answered.

use std::sync::Arc;

use arc_swap::ArcSwap;
use arc_swap::Guard;

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

    /// The same for a moment: nothing is written that other cores read, where a count of owners would be, twice for each request.
    pub fn peek(&self) -> Guard<Arc<RuleSet>> {
        self.0.load()
    }

    /// Puts others in force, at once and as a whole. The namespace stays: it is that of the process, and everything that is
    /// stored lies in it. The epoch is that in force where that is higher: a lower one would bring back what was forgotten (L3).
    pub fn replace(&self, rules: RuleSet) {
        self.0.rcu(|in_force| {
            let rules = match rules.epoch < in_force.epoch {
                true => rules.under(in_force.epoch),
                false => rules.clone(),
            };
            let namespace = in_force.namespace.clone();
            RuleSet { namespace, ..rules }
        });
    }

    /// The same rules go on under this epoch, if it is higher than that in force; whether it is.
    pub fn raise_epoch(&self, epoch: u64) -> bool {
        let before = self.0.rcu(|in_force| match in_force.epoch < epoch {
            true => Arc::new(in_force.under(epoch)),
            false => Arc::clone(in_force),
        });
        before.epoch < epoch
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
    fn k16_the_epoch_only_rises() {
        let live = LiveRules::new(rules("shop", "one"));
        let before = live.load();
        assert!(live.raise_epoch(5));
        assert!(!live.raise_epoch(5) && !live.raise_epoch(4));
        let raised = live.load();
        assert_eq!((raised.epoch(), id(&raised)), (5, Some("one")));
        assert!(!raised.has(&before.rules()[0]) && raised.has(&raised.rules()[0]));
        assert!(raised.has(&raised.unmatched));
        live.replace(rules("shop", "two"));
        let replaced = live.load();
        assert_eq!((replaced.epoch(), id(&replaced)), (5, Some("two")));
    }

    #[test]
    fn the_namespace_is_that_of_the_start() {
        let live = LiveRules::new(rules("shop", "one"));
        live.replace(rules("other", "two"));
        assert_eq!(&*live.load().namespace, "shop");
    }
}
