//! Lookups of rules in shadow mode: what would have been served, and a fill for a client that the app answers all the same.
//!
//! Each such client has an exchange of its own and joins nobody's. What its fill brings is stored as any other's would be,
//! but for one thing: where it is the same as what would have been served, that stays, with its age and its tags. Else every
//! answer would make it fresh, and no increment that the app forgets would ever show.

use std::sync::Arc;

use crate::cache::Cache;
use crate::cache::Fill;
use crate::cache::Follower;
use crate::cache::Stored;
use crate::cache::errand::Aim;
use crate::cache::errand::Errand;
use crate::cache::variants::Found;
use crate::model::key::Variant;
use crate::model::outcome::Bypass;
use crate::model::outcome::Forward;
use crate::model::request::Head;
use crate::policy::request::Wishes;
use crate::rules::Query;

/// What a request would have been answered with.
#[derive(Debug)]
pub struct Shadowed {
    /// `None`: the app would have been asked.
    pub stored: Option<Arc<Stored>>,
    variant: Variant,
    /// It would have been served without being fetched again behind that.
    is_fresh: bool,
}

impl Cache {
    /// Finds what would have been served.
    ///
    /// # Errors
    ///
    /// The request would have gone past the store, for this reason.
    pub fn shadow(&self, query: &Query, head: &Head) -> Result<Shadowed, Forward> {
        let now = self.now();
        let wishes = Wishes::granted(head.headers(), query.rule.client_control);
        let found = |variant, stored, is_fresh| Shadowed {
            stored,
            variant,
            is_fresh,
        };
        let shadowed = match self.find(query.base, head) {
            Found::Nothing(variant) | Found::OtherVariants(variant) => found(variant, None, false),
            Found::InLanguage(variant, stored) => {
                match self.usable(query, &stored, head, &wishes, now) {
                    Ok(None) => found(variant, Some(stored), true),
                    Ok(Some(_)) | Err(_) => found(variant, None, false),
                }
            }
            Found::Stored(variant, stored) => {
                match self.usable(query, &stored, head, &wishes, now) {
                    Ok(stale) => found(variant, Some(stored), stale.is_none()),
                    Err(why @ Forward::Bypass(_)) => return Err(why),
                    Err(_) => found(variant, None, false),
                }
            }
        };
        if let Some(stored) = &shadowed.stored {
            stored.note_use();
        }
        Ok(shadowed)
    }

    /// A fill of the whole that nobody joins, and its client's share in it.
    pub fn fill_beside(
        &self,
        query: &Query,
        head: &Arc<Head>,
        shadowed: &Shadowed,
    ) -> (Box<Fill>, Follower) {
        let errand = Errand {
            variant: shadowed.variant,
            why: Forward::Bypass(Bypass::ShadowMiss),
            aim: Aim::Whole,
            stored: None,
            spare: None, // nothing stands in for the app
            shadowed: shadowed.stored.clone().filter(|_| shadowed.is_fresh),
        };
        Fill::begin(self, query.base, query.matched(head), head, errand)
    }
}
