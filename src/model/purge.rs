//! Names for what is forgotten together.

use crate::model::tag::Tag;

/// What a name of `purge_groups` stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PurgeGroup {
    /// What carries one of these tags.
    Tags(Vec<Tag>),
    /// Everything.
    All,
}
