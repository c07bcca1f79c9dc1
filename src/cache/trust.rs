//! Whether what is stored may be believed: alone always, with others as long as they have been heard of, or after a look at the
//! store where a rule wants that (`consistency: strict`).

use std::time::Duration;

use crate::cache::Cache;
use crate::cache::Keep;
use crate::cache::stored::REMEMBERED;
use crate::cache::stored::kept_until;
use crate::cache::variants::Found;
use crate::model::request::Head;
use crate::rules::Consistency;
use crate::rules::Query;
use crate::rules::Rule;

/// Whether what is stored may be believed at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Every increment shows that has to.
    Full,
    /// Nobody knows what has been incremented: what is stored is of no use.
    None,
}

/// Tags are known to all for a little longer than what carries them is kept.
pub(super) const MARGIN: Duration = Duration::from_secs(60);

impl Cache {
    /// To be asked before each lookup. Waits for nothing but a rule's wish to see every increment that was acknowledged before.
    pub async fn trust(&self, query: &Query, head: &Head) -> Trust {
        let tags = &self.0.tags;
        let believed = match query.rule.consistency {
            Consistency::Bounded => !tags.is_fenced(),
            Consistency::Strict => {
                let stored = match self.find(query.base, head) {
                    Found::Stored(_, stored) | Found::InLanguage(_, stored) => Some(stored),
                    Found::Nothing(_) | Found::OtherVariants(_) => None,
                };
                let seals = stored.as_ref().map(|it| &it.seals);
                // In a box: those who need not wait shall not carry its room.
                Box::pin(tags.catch_up(seals, Some(query.epoch))).await
            }
        };
        match believed {
            true => Trust::Full,
            false => Trust::None,
        }
    }

    /// For how long the tags of a response must be known to all that is to be stored.
    pub(super) fn life_of_tags(&self, keep: &Keep, rule: &Rule) -> Duration {
        let kept = kept_until(keep.meta(), true).since(self.now());
        let invalidated = REMEMBERED.max(rule.refill.on_invalidate.max_stale);
        kept.max(invalidated) + MARGIN
    }
}
