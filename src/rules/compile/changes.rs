//! What a rule says of attributes: those its responses are filtered by, and those of another rule that it changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::change::is_attribute;
use crate::model::mistake::Mistake;
use crate::rules::Rule;
use crate::rules::changes::Changes;
use crate::rules::compile::Compiler;
use crate::rules::dimensions::{Dimensions, MOST_EXACT, Mode};
use crate::rules::source::{self, Attrs, DimensionMode};
use crate::rules::template::{Beyond, Known, Template};
use crate::yaml::{Spanned, shown};

/// What is to be seen to once all rules of all files are known: a rule that another one names.
#[derive(Debug)]
pub(super) struct Named {
    rule: Spanned<String>,
    attributes: Vec<Spanned<String>>,
    file: Arc<str>,
}

impl Named {
    /// What is wrong with it, these being the rules there are.
    pub(super) fn mistakes(&self, rules: &[Rule]) -> Vec<Mistake> {
        let wrong = |place, message| Mistake {
            file: Arc::clone(&self.file),
            place: Some(place),
            message,
        };
        let mut named = rules.iter();
        let Some(rule) = named.find(|rule| rule.id.as_deref() == Some(&*self.rule.value)) else {
            let found = shown(&self.rule);
            let message = format!("expected the id of a rule, found {found}");
            return vec![wrong(self.rule.place, message)];
        };
        let attrs = rule.dimensions.iter().flat_map(|it| it.attrs.keys());
        let attrs: Vec<&str> = attrs.map(|name| &**name).collect();
        let unknown = self.attributes.iter();
        let unknown = unknown.filter(|name| !attrs.contains(&name.as_str()));
        let expected = match *attrs {
            [] => format!("the rule {} has no `dimensions`", shown(&self.rule)),
            _ => format!(
                "expected one of the dimensions of that rule: `{}`",
                attrs.join("`, `")
            ),
        };
        unknown
            .map(|name| wrong(name.place, format!("{expected}; found {}", shown(name))))
            .collect()
    }
}

impl Compiler<'_> {
    pub(super) fn changes(&mut self, written: &source::Changes, known: Known<'_>) -> Changes {
        let mut attributes: Vec<(Box<str>, Option<Template>, Option<Template>)> = Vec::new();
        let mut names = Vec::new();
        for (is_old, attrs) in [(true, &written.old), (false, &written.new)] {
            for (name, value) in &attrs.0 {
                let template = Template::parse_beyond(value, known, Beyond::Response);
                let template = self.template(value.place, value, template);
                let at = attributes.iter().position(|(known, ..)| **known == **name);
                let at = at.unwrap_or_else(|| {
                    attributes.push((name.as_str().into(), None, None));
                    names.push(name.clone());
                    attributes.len() - 1
                });
                if let Some((_, old, new)) = attributes.get_mut(at) {
                    *(if is_old { old } else { new }) = template;
                }
            }
        }
        self.named.push(Named {
            rule: written.rule.clone(),
            attributes: names,
            file: Arc::clone(&self.file),
        });
        Changes {
            rule: written.rule.as_str().into(),
            attributes,
            after: self.after(written.on_status.as_ref(), written.when.as_ref()),
        }
    }

    pub(super) fn dimensions(
        &mut self,
        written: &source::Dimensions,
        known: Known<'_>,
    ) -> Dimensions {
        let mode = match written.mode {
            Some(DimensionMode::Any) => Mode::Any,
            Some(DimensionMode::Exact) | None => Mode::Exact,
        };
        let attrs = &written.attrs;
        let count = attrs.0.len();
        if count == 0 {
            self.wrong(attrs.place, "expected an attribute at least, found none");
        }
        if mode == Mode::Exact && count > MOST_EXACT {
            let message = format!(
                "expected at most {MOST_EXACT} attributes with `mode: exact`, found {count}; `mode: any` takes more"
            );
            self.wrong(attrs.place, message);
        }
        Dimensions {
            mode,
            attrs: self.attributes(attrs, known),
        }
    }

    fn attributes(
        &mut self,
        written: &Spanned<Attrs>,
        known: Known<'_>,
    ) -> BTreeMap<Box<str>, Template> {
        let mut attrs = BTreeMap::new();
        for (name, value) in &written.0 {
            if !is_attribute(name) {
                let found = shown(name);
                let expected = "expected the name of an attribute, made of `a-z`, `0-9`, `_`, `-`, `.` and `*`";
                self.wrong(name.place, format!("{expected}, found {found}"));
            }
            if let Some(value) = self.template(value.place, value, Template::parse(value, known)) {
                attrs.insert(name.as_str().into(), value);
            }
        }
        attrs
    }
}
