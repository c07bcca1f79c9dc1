//! Changes of attributes that a rule declares (rules.md §6): what a request to it changes of the responses of another rule.

use std::sync::Arc;

use crate::model::change::{Attribute, Change};
use crate::rules::Misfit;
use crate::rules::after::After;
use crate::rules::draft::Value;
use crate::rules::draft::{Answer, Draft};
use crate::rules::pointer::Pointer;
use crate::rules::template::{Template, Values};

/// What a request of the rule changes when its response is such.
#[derive(Debug)]
pub(super) struct Changes {
    /// The rule whose responses are concerned.
    pub(super) rule: Box<str>,
    /// Each with the templates of its values before and after; `None`: it had, or has, none.
    pub(super) attributes: Vec<(Box<str>, Option<Template>, Option<Template>)>,
    pub(super) after: After,
}

/// The same for one request: what comes from its response is open.
#[derive(Clone, Debug)]
pub struct RuleChange {
    pub(super) of: Arc<Changes>,
    /// In the order of the attributes.
    values: Vec<[Drafted; 2]>,
}

/// One value of an attribute, before the response is there.
#[derive(Clone, Debug)]
pub(super) enum Drafted {
    Known(Value),
    Open(Draft),
}

impl Drafted {
    fn of(template: Option<&Template>, values: &Values<'_>) -> Drafted {
        let Some(template) = template else {
            return Drafted::Known(Value::Absent);
        };
        match template.value_draft(values) {
            Ok(draft) => Drafted::Open(draft),
            Err(value) => Drafted::Known(value),
        }
    }

    fn value(&self, answer: &Answer<'_>) -> Value {
        match self {
            Drafted::Known(value) => value.clone(),
            Drafted::Open(draft) => draft.value(answer),
        }
    }

    /// As explanations show it.
    pub(super) fn shown(&self) -> String {
        match self {
            Drafted::Known(Value::Absent) => "absent".to_owned(),
            Drafted::Known(Value::Unclear) => "unclear".to_owned(),
            Drafted::Known(Value::Text(text)) => text.clone(),
            Drafted::Open(draft) => draft.to_string(),
        }
    }
}

impl RuleChange {
    pub(super) fn of(changes: &Arc<Changes>, values: &Values<'_>) -> RuleChange {
        let drafted = changes.attributes.iter().map(|(_, old, new)| {
            [old.as_ref(), new.as_ref()].map(|template| Drafted::of(template, values))
        });
        RuleChange {
            values: drafted.collect(),
            of: Arc::clone(changes),
        }
    }

    /// What has changed; the whole rule where nobody can say what a value is.
    pub(super) fn change(&self, answer: &Answer<'_>) -> (Change, Option<Misfit>) {
        let mut attributes = Vec::new();
        for (name, [old, new]) in self.attributes() {
            let text = |value| match value {
                Value::Text(text) => Ok(Some(text)),
                Value::Absent => Ok(None),
                Value::Unclear => Err(()),
            };
            let (Ok(old), Ok(new)) = (text(old.value(answer)), text(new.value(answer))) else {
                let unclear = Misfit::Unclear {
                    rule: self.of.rule.clone(),
                    attribute: name.into(),
                };
                let whole = Change {
                    rule: self.of.rule.clone(),
                    attributes: Vec::new(),
                };
                return (whole, Some(unclear));
            };
            attributes.push(Attribute {
                name: name.into(),
                old,
                new,
            });
        }
        let change = Change {
            rule: self.of.rule.clone(),
            attributes,
        };
        (change, None)
    }

    /// Its attributes, each with its value before and after.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&str, &[Drafted; 2])> {
        let names = self.of.attributes.iter().map(|(name, ..)| &**name);
        names.zip(&self.values)
    }

    /// The places of the body that it needs.
    pub(super) fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        self.values.iter().flatten().flat_map(|value| match value {
            Drafted::Known(_) => None.into_iter().flatten(),
            Drafted::Open(draft) => Some(draft.pointers()).into_iter().flatten(),
        })
    }
}
