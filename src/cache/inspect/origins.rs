//! Under which other origins the same path is stored: another host, port or scheme than the one that is stored is what people ask
//! for by mistake.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cache::Cache;
use crate::cache::Stored;
use crate::model::request::Head;
use crate::model::tag::Tag;

/// Who asks waits no longer for the one who goes through all of memory.
const PATIENCE: Duration = Duration::from_secs(2);

/// So many are told.
const MOST: usize = 3;

impl Cache {
    /// Some other origins, `scheme://host`, for which memory has a response that can answer to the same path and query. None too
    /// where nobody has the time to look.
    pub async fn other_origins(&self, head: &Head) -> Vec<String> {
        let (now, own, uri) = (self.now(), head.origin(), head.absolute_uri());
        let look = self.offload(move |cache| {
            let path = uri.get(own.len()..).unwrap_or_default();
            let mut found = BTreeSet::new();
            for (_, stored) in cache.all_here() {
                if let Some(origin) = stored.origin_of(path)
                    && origin != own
                    && !found.contains(origin)
                    && stored.is_listed(now)
                {
                    found.insert(origin.to_owned());
                }
            }
            found.into_iter().take(MOST).collect()
        });
        let found = self.0.clock.within(PATIENCE, look).await;
        found.flatten().unwrap_or_default()
    }
}

impl Stored {
    /// The origin that it was fetched from, if it was by this path and query.
    fn origin_of(&self, path: &str) -> Option<&str> {
        let mut tags = self.tags();
        let origin = tags.find_map(|(tag, _)| Tag::whole_uri(tag)?.strip_suffix(path))?;
        let (_, host) = origin.split_once("://")?;
        (!host.contains(['/', '?'])).then_some(origin)
    }
}
