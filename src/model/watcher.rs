//! Who wants to know of each change.

use std::fmt;

use crate::model::tag::Tag;

/// Somebody who is told which tags have got a new version.
pub trait Watcher: fmt::Debug + Send + Sync {
    /// These have. Told before anyone sees the response that asked for it, so this must not wait.
    fn incremented(&self, tags: &mut dyn Iterator<Item = &Tag>);
}
