//! The field `purge_groups`: names for what is forgotten together.

use std::collections::BTreeMap;

use super::Compiler;
use crate::config::source;
use crate::config::source::Named;
use crate::model::purge::PurgeGroup;
use crate::model::tag::Tag;
use crate::yaml::{Spanned, shown};

impl Compiler<'_> {
    pub(super) fn purge_groups(
        &mut self,
        written: Named<source::PurgeGroup>,
    ) -> BTreeMap<String, PurgeGroup> {
        let mut groups = BTreeMap::new();
        for (name, group) in written.0 {
            self.group_name(&name);
            if let Some(group) = self.purge_group(&group) {
                groups.insert(name.value, group);
            }
        }
        groups
    }

    fn group_name(&mut self, name: &Spanned<String>) {
        const MOST: usize = 100;
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if name.is_empty() || name.len() > MOST || !name.chars().all(fits) {
            let found = shown(name);
            self.wrong(
                name.place,
                format!("expected 1 to {MOST} letters, digits, `_`, `-` or `.` as the name of a purge group, found {found}"),
            );
        }
    }

    fn purge_group(&mut self, written: &Spanned<source::PurgeGroup>) -> Option<PurgeGroup> {
        match (&written.tags, &written.all) {
            (Some(tags), None) => {
                if tags.is_empty() {
                    self.wrong(tags.place, "expected a tag at least, found an empty list");
                }
                let parsed = tags.value.iter().filter_map(|text| self.tag(text));
                Some(PurgeGroup::Tags(parsed.collect()))
            }
            (None, Some(all)) => {
                if !all.value {
                    self.wrong(all.place, "expected `true`, found `false`");
                }
                Some(PurgeGroup::All)
            }
            (Some(_), Some(all)) => {
                self.wrong(all.place, "expected `tags` or `all: true`, found both");
                None
            }
            (None, None) => {
                if !self.tainted {
                    self.wrong(
                        written.place,
                        "expected `tags` or `all: true`, found neither",
                    );
                }
                None
            }
        }
    }

    fn tag(&mut self, text: &Spanned<String>) -> Option<Tag> {
        let tag = Tag::parse(text).map_err(|why| format!("{why}, found {}", shown(text)));
        let plain = tag.and_then(|tag| {
            let found = shown(text);
            let placed = text.contains(['{', '}']);
            (!placed).then_some(tag).ok_or_else(|| {
                format!("expected a tag without placeholders, as no request gives them values, found {found}")
            })
        });
        plain
            .map_err(|message| self.wrong(text.place, message))
            .ok()
    }
}
