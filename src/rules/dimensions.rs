//! Attributes that the responses of a rule are filtered by, and what a change of their values forgets (rules.md §6).
//!
//! An entry carries implicit tags for its attributes, a change increments those of the old values and of the new ones. With
//! `exact` there is a tag for each non-empty subset of the attributes, so that a change of several at once selects only
//! entries in which all of them fit; with `any` there is one for each attribute.

use std::collections::BTreeMap;
use std::sync::Arc;

use thiserror::Error;

use crate::model::change::{Attribute, Change};
use crate::model::tag::Tag;
use crate::rules::Rule;
use crate::rules::draft::Value;
use crate::rules::template::{Template, Values};

/// The most attributes of `exact`: 15 tags for each entry.
pub(super) const MOST_EXACT: usize = 4;

/// What the responses of a rule are filtered by.
#[derive(Clone, Debug)]
pub(super) struct Dimensions {
    pub(super) mode: Mode,
    pub(super) attrs: BTreeMap<Box<str>, Template>,
}

/// Which entries a change of several attributes selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Those in which all of them fit.
    Exact,
    /// Those in which one of them fits.
    Any,
}

/// The rules there are, by id, each with what a change needs to know of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeMap<Arc<str>, Scope>);

/// What a change needs to know of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    mode: Mode,
    /// In order.
    attrs: Vec<Box<str>>,
}

/// Why a change does something else than it says.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Misfit {
    /// Nothing is forgotten.
    #[error("there is no rule `{0}`")]
    Rule(Box<str>),
    /// The whole rule is forgotten: nobody can say which of its responses show what has changed.
    #[error("nobody can say what `{attribute}` is of the rule `{rule}`: all of it is forgotten")]
    Unclear {
        /// The rule.
        rule: Box<str>,
        /// What has a value that is no text, or several.
        attribute: Box<str>,
    },
    /// The whole rule is forgotten: who knows what the app means by it.
    #[error("`{attribute}` is none of the dimensions of the rule `{rule}`: all of it is forgotten")]
    Attribute {
        /// The rule.
        rule: Box<str>,
        /// What it does not have.
        attribute: Box<str>,
    },
}

impl Dimensions {
    /// The tags of an entry with these values, under the rule of this id.
    pub(super) fn tags(&self, rule: &str, values: &Values<'_>) -> Vec<Tag> {
        let attrs = self.attrs.iter();
        let attrs = attrs.map(|(name, template)| (name.clone(), template.value(values)));
        tags(rule, self.mode, &attrs.collect::<Vec<_>>())
    }
}

impl Rule {
    pub(super) fn dimension_tags(&self, values: &Values<'_>) -> Vec<Tag> {
        let dimensions = self.dimensions.as_ref().zip(self.id.as_deref());
        dimensions.map_or_else(Vec::new, |(it, id)| it.tags(id, values))
    }
}

fn tags(rule: &str, mode: Mode, attrs: &[(Box<str>, Value)]) -> Vec<Tag> {
    let mut known: Vec<(&str, Option<&str>)> = Vec::new();
    for (name, value) in attrs {
        match value {
            Value::Text(text) => known.push((name, Some(text))),
            Value::Absent => known.push((name, None)),
            // Every change is about it, whatever it names.
            Value::Unclear => return vec![Tag::dimension(rule, &[])],
        }
    }
    match mode {
        Mode::Any => known
            .iter()
            .map(|value| Tag::dimension(rule, &[*value]))
            .collect(),
        Mode::Exact => (1..1_usize << known.len())
            .map(|subset| {
                let chosen = known.iter().enumerate();
                let chosen = chosen.filter(|(n, _)| subset & (1 << n) != 0);
                let chosen: Vec<_> = chosen.map(|(_, value)| *value).collect();
                Tag::dimension(rule, &chosen)
            })
            .collect(),
    }
}

impl Scopes {
    /// Those of these rules: the id of each, and what its responses are filtered by.
    pub(super) fn of<'r>(
        rules: impl Iterator<Item = (Arc<str>, Option<&'r Dimensions>)>,
    ) -> Scopes {
        let scope = |dimensions: Option<&Dimensions>| match dimensions {
            None => Scope {
                mode: Mode::Any,
                attrs: Vec::new(),
            },
            Some(Dimensions { mode, attrs }) => Scope {
                mode: *mode,
                attrs: attrs.keys().cloned().collect(),
            },
        };
        Scopes(rules.map(|(id, it)| (id, scope(it))).collect())
    }

    /// The tags that a change gives new versions, each once: for the attributes that have changed, each combination of the
    /// old value or none, and each of the new value or none. Attributes whose value is the same as before do not select.
    ///
    /// # Errors
    ///
    /// The change does not fit the rule; the tags are those of what it does instead.
    pub fn tags_of(&self, change: &Change) -> (Vec<Tag>, Option<Misfit>) {
        let rule = &change.rule;
        let Some(scope) = self.0.get(&**rule) else {
            return (Vec::new(), Some(Misfit::Rule(rule.clone())));
        };
        if change.attributes.is_empty() {
            return (vec![Tag::rule(rule)], None);
        }
        let changed = change.attributes.iter().filter(|it| it.has_changed());
        let mut changed: Vec<&Attribute> = changed.collect();
        changed.sort_by(|a, b| a.name.cmp(&b.name));
        let unknown = changed.iter().find(|it| !scope.attrs.contains(&it.name));
        if let Some(attribute) = unknown {
            let misfit = Misfit::Attribute {
                rule: rule.clone(),
                attribute: attribute.name.clone(),
            };
            return (vec![Tag::rule(rule)], Some(misfit));
        }
        if changed.is_empty() {
            return (Vec::new(), None);
        }
        let mut tags: Vec<Tag> = match scope.mode {
            Mode::Exact => [combinations(&changed, old), combinations(&changed, new)]
                .concat()
                .iter()
                .map(|values| Tag::dimension(rule, values))
                .collect(),
            Mode::Any => changed
                .iter()
                .flat_map(|it| [None, old(it), new(it)].map(|value| (&*it.name, value)))
                .map(|value| Tag::dimension(rule, &[value]))
                .collect(),
        };
        tags.push(Tag::dimension(rule, &[])); // of entries with unclear values
        tags.sort_unstable();
        tags.dedup();
        (tags, None)
    }

    /// The first attribute that is none of the dimensions of its rule, changed or not.
    pub fn unknown(&self, change: &Change) -> Option<Misfit> {
        let scope = self.0.get(&*change.rule)?;
        let mut names = change.attributes.iter().map(|it| &it.name);
        let attribute = names.find(|name| !scope.attrs.contains(*name))?;
        Some(Misfit::Attribute {
            rule: change.rule.clone(),
            attribute: attribute.clone(),
        })
    }
}

fn old(attribute: &Attribute) -> Option<&str> {
    attribute.old.as_deref()
}

fn new(attribute: &Attribute) -> Option<&str> {
    attribute.new.as_deref()
}

/// Attributes with a value each, or none.
type Combination<'c> = Vec<(&'c str, Option<&'c str>)>;

/// Each combination of the value on one side, or none, for these attributes. Of `exact` there are four at most.
fn combinations<'c>(
    attributes: &[&'c Attribute],
    side: fn(&Attribute) -> Option<&str>,
) -> Vec<Combination<'c>> {
    attributes.iter().fold(vec![Vec::new()], |begun, it| {
        let mut values = vec![None];
        values.extend(side(it).map(Some));
        let longer = |begun: &Combination<'c>, value| [&begun[..], &[(&*it.name, value)]].concat();
        begun
            .iter()
            .flat_map(|begun| values.iter().map(move |value| longer(begun, *value)))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Attributes with their values in one request; and the old and new values of some of them.
    type Entry = BTreeMap<u8, Value>;
    type Changed = BTreeMap<u8, (Option<u8>, Option<u8>)>;

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            4 => (0..3_u8).prop_map(|n| Value::Text(n.to_string())),
            2 => Just(Value::Absent),
            1 => Just(Value::Unclear),
        ]
    }

    fn entry() -> impl Strategy<Value = Entry> {
        proptest::collection::vec(value(), 4).prop_map(|values| (0..4).zip(values).collect())
    }

    fn changed() -> impl Strategy<Value = Changed> {
        let value = || proptest::option::of(0..3_u8);
        proptest::collection::btree_map(0..4_u8, (value(), value()), 1..5)
    }

    fn name(n: u8) -> Box<str> {
        format!("attr{n}").into()
    }

    /// Whether the change forgets the entry, by their tags.
    fn forgets(mode: Mode, entry: &Entry, changed: &Changed) -> bool {
        let attrs = (0..4).map(name).collect();
        let scopes = Scopes([("foos".into(), Scope { mode, attrs })].into());
        let text = |value: Option<u8>| value.map(|n| n.to_string());
        let attributes = changed.iter().map(|(n, (old, new))| Attribute {
            name: name(*n),
            old: text(*old),
            new: text(*new),
        });
        let change = Change {
            rule: "foos".into(),
            attributes: attributes.collect(),
        };
        let (incremented, misfit) = scopes.tags_of(&change);
        assert_eq!(misfit, None);
        let entry: Vec<_> = entry.iter().map(|(n, it)| (name(*n), it.clone())).collect();
        let carried: BTreeSet<Tag> = tags("foos", mode, &entry).into_iter().collect();
        incremented.iter().any(|tag| carried.contains(tag))
    }

    /// What rules.md §6 says, word for word.
    fn should_forget(entry: &Entry, changed: &Changed) -> bool {
        let mut changed = changed
            .iter()
            .filter(|(_, (old, new))| old != new)
            .peekable();
        if changed.peek().is_none() {
            return false;
        }
        let fits = |n: &u8, value: Option<u8>| {
            let is = value.map(|it| Value::Text(it.to_string()));
            entry[n] == Value::Absent || Some(&entry[n]) == is.as_ref()
        };
        let changed: Vec<_> = changed.collect();
        let unclear = entry.values().any(|it| *it == Value::Unclear);
        unclear
            || changed.iter().all(|(n, (old, _))| fits(n, *old))
            || changed.iter().all(|(n, (_, new))| fits(n, *new))
    }

    proptest! {
        #[test]
        fn exact_forgets_what_fits_the_old_values_or_the_new_ones_and_nothing_else(
            entry in entry(),
            changed in changed(),
        ) {
            let expected = should_forget(&entry, &changed);
            prop_assert_eq!(forgets(Mode::Exact, &entry, &changed), expected);
        }

        #[test]
        fn any_forgets_all_of_that_and_perhaps_more(entry in entry(), changed in changed()) {
            if should_forget(&entry, &changed) {
                prop_assert!(forgets(Mode::Any, &entry, &changed));
            }
        }
    }

    fn tags_of(rule: &str, attributes: &[(&str, Option<&str>, Option<&str>)]) -> String {
        let known = |mode, attrs: &[&str]| Scope {
            mode,
            attrs: attrs.iter().map(|name| Box::from(*name)).collect(),
        };
        let scopes = Scopes(
            [
                ("exact".into(), known(Mode::Exact, &["a", "b"])),
                ("any".into(), known(Mode::Any, &["a", "b"])),
                ("plain".into(), known(Mode::Any, &[])),
            ]
            .into(),
        );
        let attribute = |(name, old, new): &(&str, Option<&str>, Option<&str>)| Attribute {
            name: Box::from(*name),
            old: old.map(Into::into),
            new: new.map(Into::into),
        };
        let (tags, misfit) = scopes.tags_of(&Change {
            rule: rule.into(),
            attributes: attributes.iter().map(attribute).collect(),
        });
        let tags: Vec<_> = tags.iter().map(ToString::to_string).collect();
        let misfit = misfit.map(|misfit| format!(" ({misfit})"));
        tags.join(" ") + &misfit.unwrap_or_default()
    }

    #[test]
    fn what_a_change_increments() {
        let (one, two) = (Some("1"), Some("2"));
        for (name, rule, attributes, expected) in [
            ("nothing named", "exact", &[][..], "~rule:exact"),
            ("no dimensions", "plain", &[], "~rule:plain"),
            (
                "unchanged",
                "exact",
                &[("a", one, one), ("b", None, None)],
                "",
            ),
            (
                "one attribute",
                "exact",
                &[("a", one, two)],
                "~dim:exact: ~dim:exact:a ~dim:exact:a=1 ~dim:exact:a=2",
            ),
            (
                "created",
                "exact",
                &[("a", None, one)],
                "~dim:exact: ~dim:exact:a ~dim:exact:a=1",
            ),
            (
                "unchanged ones do not select",
                "exact",
                &[("b", one, one), ("a", one, None)],
                "~dim:exact: ~dim:exact:a ~dim:exact:a=1",
            ),
            (
                "two, in any order",
                "exact",
                &[("b", two, None), ("a", one, None)],
                "~dim:exact: ~dim:exact:a,b ~dim:exact:a,b=2 ~dim:exact:a=1,b ~dim:exact:a=1,b=2",
            ),
            (
                "any",
                "any",
                &[("a", one, two), ("b", None, one)],
                "~dim:any: ~dim:any:a ~dim:any:a=1 ~dim:any:a=2 ~dim:any:b ~dim:any:b=1",
            ),
            (
                "an unknown attribute",
                "exact",
                &[("a", one, two), ("c", one, two)],
                "~rule:exact (`c` is none of the dimensions of the rule `exact`: all of it is forgotten)",
            ),
            ("an unknown rule", "nope", &[], " (there is no rule `nope`)"),
        ] {
            assert_eq!(tags_of(rule, attributes), expected, "{name}");
        }
    }
}
