//! Tags that stand in the body of a response: `Item:7` for each item that a list shows.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::outcome::NoStore;
use crate::model::tag::Tag;
use crate::rules::draft::Draft;
use crate::rules::missing::MissingTagValue;
use crate::rules::pointer::{Leaf, MOST, Picked, Pointer};
use crate::rules::template::{Template, Values};

/// A place in the body, and the tag of each value there.
#[derive(Debug)]
pub(super) struct BodyTags {
    pub(super) pointer: Pointer,
    pub(super) tag: Template,
    /// More values than these are too many to be tagged.
    pub(super) max: usize,
}

impl BodyTags {
    /// As `tagalong check` shows it: `Item:{value} at /items/*/id`.
    pub(super) fn in_short(&self) -> String {
        format!("{} at {}", self.tag.as_str(), self.pointer.as_str())
    }
}

/// The same for one request.
#[derive(Clone, Debug)]
pub struct RuleBodyTags {
    pub(super) of: Arc<BodyTags>,
    /// The tag, in which the value is open.
    pub(super) tag: Result<Draft, MissingTagValue>,
}

impl RuleBodyTags {
    pub(super) fn of(tags: &Arc<BodyTags>, values: &Values<'_>) -> RuleBodyTags {
        RuleBodyTags {
            tag: match tags.tag.unclear(values) {
                None => tags.tag.draft(values),
                Some(unclear) => Err(unclear),
            },
            of: Arc::clone(tags),
        }
    }

    /// The tags of a body.
    ///
    /// # Errors
    ///
    /// Why it cannot be stored: there are too many, or a value is missing or can be no tag. A `null` has none.
    pub(super) fn tags(&self, body: &Picked) -> Result<Vec<Tag>, NoStore> {
        let values = body.at(&self.of.pointer);
        let texts = values.iter().filter_map(|value| match value {
            Leaf::Text(text) => Some(text),
            Leaf::Null | Leaf::Missing | Leaf::Other => None,
        });
        let distinct: BTreeSet<&String> = texts.collect();
        if distinct.len() > self.of.max || values.len() >= MOST {
            return Err(NoStore::TooManyTags);
        }
        let draft = self.tag.as_ref().map_err(|_| NoStore::MissingTagValue)?;
        let mut tags = Vec::with_capacity(values.len());
        for value in values {
            match value {
                Leaf::Null => {}
                Leaf::Missing | Leaf::Other => return Err(NoStore::MissingTagValue),
                Leaf::Text(text) => {
                    tags.push(draft.tag_of(text).map_err(|_| NoStore::MissingTagValue)?);
                }
            }
        }
        Ok(tags)
    }
}
