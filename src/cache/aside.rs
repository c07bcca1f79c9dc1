//! A response that is stored though no lookup asked for it: a POST's, which answers GETs of its URI from now on
//! (RFC 9110 §9.3.3).

use std::sync::Arc;

use crate::cache::Cache;
use crate::cache::Fill;
use crate::cache::Follower;
use crate::cache::errand::Aim;
use crate::cache::errand::Errand;
use crate::cache::fill::Start;
use crate::metrics::Source;
use crate::model::outcome::Commit;
use crate::model::outcome::Forward;
use crate::model::request::Head;
use crate::model::tag::Increment;
use crate::rules::Matched;

/// The right to store it, from before the app is asked (L1).
#[derive(Debug)]
pub struct Aside {
    cache: Cache,
    start: Start,
}

impl Cache {
    /// To be called before the app is asked.
    pub fn aside(&self) -> Aside {
        Aside {
            cache: self.clone(),
            start: Start::now(self),
        }
    }
}

impl Aside {
    /// Gives tags new versions, as [`Cache::increment`] does. These changes are the response's own: it is as new as they.
    pub async fn increment(&mut self, increments: &[Increment], by: &Arc<str>) -> Commit {
        if increments.is_empty() {
            return Commit::Done;
        }
        let tags = &self.cache.0.tags;
        let (source, before) = (Source::Response, &self.start.before);
        let (own, commit) = tags
            .increment_own(increments, by, source, Some(before))
            .await;
        self.start.own = Some(own);
        self.cache.incremented(increments, source, by).await;
        commit
    }

    /// The fill of such a response, which nobody joins, and its client's share in it; `None` if nothing says where GETs
    /// of its URI are looked up.
    pub fn fill(self, head: &Arc<Head>, matched: &Matched) -> Option<(Box<Fill>, Follower)> {
        let base = matched.key.as_ref()?.1;
        let errand = Errand {
            variant: base.only_variant(),
            why: Forward::Method,
            aim: Aim::Whole,
            stored: None,
            spare: None,
            shadowed: None,
        };
        Some(Fill::alone(
            &self.cache,
            base,
            head,
            matched.clone(),
            errand,
            self.start,
        ))
    }
}
