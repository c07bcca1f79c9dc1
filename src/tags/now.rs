//! A tag as it is at this moment, for people.

use crate::model::stamp::Stamp;
use crate::model::tag::Tag;
use crate::tags::Tags;
use crate::tags::history::Cause;
use crate::tags::together::Together;

/// A tag as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagNow {
    /// The tag.
    pub tag: Tag,
    /// Its version; `None`: it has none, or nobody can be asked.
    pub version: Option<Stamp>,
    /// The highest version that the app itself gave (`;v=7`).
    pub app_version: Option<i64>,
    /// Its last increment, while it is remembered here.
    pub cause: Option<Cause>,
}

impl Tags {
    /// The tag as it is now. The store is asked where nothing is known of it here; looking creates nothing (L14).
    pub async fn now(&self, tag: &Tag) -> TagNow {
        let cell = self.table.find(tag.as_str());
        let here = cell.map(|cell| (cell.current(), cell.app_version()));
        let is_known = here.is_some_and(|(version, _)| version != Stamp::UNKNOWN);
        let (version, app_version) = match &self.together {
            Some(together) if !is_known || self.is_fenced() => {
                self.ask(together, tag).await.or(here)
            }
            Some(_) | None => here,
        }
        .unwrap_or_default();
        TagNow {
            version: Some(version).filter(|it| *it != Stamp::NEVER && *it != Stamp::UNKNOWN),
            app_version,
            cause: self.cause(tag),
            tag: tag.clone(),
        }
    }

    /// What the store says of it: its version, and the one that the app gave.
    async fn ask(&self, together: &Together, tag: &Tag) -> Option<(Stamp, Option<i64>)> {
        let link = together.link()?;
        let timeout = together.sharing.store.timeout();
        match self.clock.within(timeout, link.read(&[tag])).await? {
            Ok(read) => read
                .tags
                .first()
                .map(|state| state.map_or((Stamp::NEVER, None), |it| (it.current, it.app))),
            Err(error) => {
                together.failed(&link, &error);
                None
            }
        }
    }
}
