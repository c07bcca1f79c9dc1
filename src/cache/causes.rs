//! What has changed, when, and by whom, for operators; none of it changes anything (L14).

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::cache::Cache;
use crate::cache::Stored;
use crate::model::tag::Tag;
use crate::tags::Cause;
use crate::tags::Incremented;
use crate::tags::TagNow;

/// The tags that cost most, since the beginning. Of many the counts are estimates, and never too low.
#[derive(Clone, Debug)]
pub struct Heavy {
    /// Those incremented most often, with how often and by what last, of those that an app, a rule or an operator names.
    pub incremented: Vec<(Tag, u64, Option<Cause>)>,
    /// The same of the cache's own (`~uri:…`).
    pub own: Vec<(Tag, u64, Option<Cause>)>,
    /// Those whose increments most lookups have met: what was stored could not be used for them.
    pub missed: Vec<(Tag, u64)>,
}

impl Cache {
    /// A tag as it is now. The shared store is asked where nothing is known of it here.
    pub async fn tag(&self, tag: &Tag) -> TagNow {
        self.0.tags.now(tag).await
    }

    /// The last increments, the newest first, whoever asked for them; some thousand are remembered.
    pub fn increments(&self, limit: usize) -> Vec<Arc<Incremented>> {
        self.0.tags.recent(limit)
    }

    /// Those to come. Who takes them too slowly misses some, and is told how many.
    pub fn watch_increments(&self) -> broadcast::Receiver<Arc<Incremented>> {
        self.0.tags.watch()
    }

    /// The tags that cost most.
    pub fn heavy(&self) -> Heavy {
        Heavy {
            incremented: self.0.tags.changing(),
            own: self.0.tags.changing_own(),
            missed: self.0.tags.costing(),
        }
    }

    /// A lookup cannot use what it has found, as one of its tags was incremented.
    pub(super) fn note_invalidated(&self, stored: &Stored) {
        self.0.tags.note_missed(&stored.seals);
    }
}
