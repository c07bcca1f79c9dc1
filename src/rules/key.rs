//! A key that a rule names itself: `books_top:{slug}`, or `Book:{id}>owner` for a field of a parent (rules.md §3).
//!
//! The text is for people. What is hashed is the template and its values, each length-prefixed: `{a}:{b}` never confuses
//! `1:2`, `3` with `1`, `2:3` (L7).

use crate::model::tag::Tag;
use crate::rules::missing::MissingTagValue;
use crate::rules::template::{Known, Template, Values};
use crate::yaml::shown;

/// The template of a key, and those of its parents.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) template: Template,
    /// What comes before each `>`, shortest first: `A` and `A>b` of `A>b>c`.
    parents: Vec<Template>,
}

impl Key {
    /// Reads the template of a key.
    ///
    /// # Errors
    ///
    /// As [`Template::parse`]; and if it is empty, is too long, or a `>` has nothing on one side.
    pub(super) fn parse(text: &str, known: Known<'_>) -> Result<Key, String> {
        const MOST: usize = 1_000;
        if text.is_empty() || text.len() > MOST || text.contains(char::is_control) {
            let found = shown(text);
            return Err(format!(
                "expected a key of 1 to {MOST} bytes such as `Book:{{id}}`, found {found}"
            ));
        }
        let template = Template::parse(text, known)?;
        let Some(parents) = template.parents() else {
            let found = shown(text);
            return Err(format!(
                "{found}: expected something before and after each `>`, as in `Book:{{id}}>owner`"
            ));
        };
        Ok(Key { template, parents })
    }

    /// What is called by the key: its text for these values.
    pub(super) fn text(&self, values: &Values<'_>) -> String {
        self.template.named(values)
    }

    /// Why nothing is stored under it, if a value is missing, or nobody knows which of several counts: it has no name, and
    /// no parent.
    pub(super) fn missing(&self, values: &Values<'_>) -> Option<MissingTagValue> {
        let missing = self.template.first_missing(values);
        missing.or_else(|| self.template.unclear(values))
    }

    /// The tags of its parents: incrementing one forgets all its fields.
    pub(super) fn parent_tags(&self, values: &Values<'_>) -> Vec<Tag> {
        let parents = self.parents.iter();
        parents
            .map(|parent| Tag::key(&parent.named(values)))
            .collect()
    }
}
