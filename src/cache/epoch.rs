//! The epoch, raised by an operator: everything is forgotten at once, by all who share the tags.

use crate::cache::Cache;
use crate::rules::LiveRules;
use crate::shared::HIGHEST_EPOCH;
use crate::tags::Told;

/// What has come of the wish that the epoch be this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Epoch {
    /// It is this from now on.
    Raised(u64),
    /// It was this before.
    Same(u64),
    /// It is higher, and never falls: a lower one would bring back what was forgotten.
    Lower {
        /// What it is.
        is: u64,
    },
    /// There is no such epoch.
    TooHigh {
        /// The highest there can be.
        most: u64,
    },
    /// Nobody knows whether the shared store has taken it: nothing has changed here.
    Away,
}

impl Cache {
    /// The epoch is to be this, for these rules in force and for all who share the tags.
    pub async fn put_epoch(&self, epoch: u64, rules: &LiveRules) -> Epoch {
        if epoch > HIGHEST_EPOCH {
            let most = HIGHEST_EPOCH;
            return Epoch::TooHigh { most };
        }
        let before = rules.load().epoch();
        if epoch < before {
            return Epoch::Lower { is: before };
        }
        let highest = match self.0.tags.put_epoch(epoch).await {
            Told::Alone => epoch,
            Told::Holds(highest) => highest,
            Told::Away => return Epoch::Away,
        };
        // Before anyone is told that it is: who asks next is answered under it.
        rules.raise_epoch(highest); // unless the log has told of it just now
        Epoch::of(epoch, before, highest.max(rules.load().epoch()))
    }
}

impl Epoch {
    /// What has come of the wish for this one, by what it was before and what it is: others may have raised it meanwhile.
    fn of(wished: u64, before: u64, is: u64) -> Epoch {
        match is {
            is if is > wished => Epoch::Lower { is },
            _ if wished > before => Epoch::Raised(wished),
            _ => Epoch::Same(wished),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::cache::Config;
    use crate::clock::Clock;
    use crate::rules::Context;
    use crate::rules::RuleSet;

    #[test]
    fn a_wish_that_others_have_outdone_meanwhile_is_answered_with_what_is_in_force() {
        for (wished, before, is, expected) in [
            (3, 1, 5, Epoch::Lower { is: 5 }),
            (3, 1, 3, Epoch::Raised(3)),
            (3, 3, 3, Epoch::Same(3)),
            (3, 3, 4, Epoch::Lower { is: 4 }),
        ] {
            assert_eq!(Epoch::of(wished, before, is), expected, "{wished} {is}");
        }
    }

    #[test]
    fn k16_an_operator_raises_the_epoch_and_never_lowers_it() {
        let config = Config {
            max_bytes: 1 << 20,
            max_object: 1 << 10,
            max_variants: 4,
        };
        let cache = Cache::new(config, Clock::System);
        let rules = LiveRules::new(RuleSet::none(&Context::new("test")));
        let first = rules.load().epoch();
        let (most, second) = (HIGHEST_EPOCH, first + 4);
        for (epoch, expected, in_force) in [
            (first, Epoch::Same(first), first),
            (second, Epoch::Raised(second), second),
            (second, Epoch::Same(second), second),
            (first, Epoch::Lower { is: second }, second),
            (most + 1, Epoch::TooHigh { most }, second),
            (most, Epoch::Raised(most), most),
        ] {
            let put = cache.put_epoch(epoch, &rules).now_or_never().unwrap();
            assert_eq!((put, rules.load().epoch()), (expected, in_force), "{epoch}");
        }
    }
}
