//! What a rule says of attributes: those its responses are filtered by.

use std::collections::BTreeMap;

use crate::model::change::is_attribute;
use crate::rules::compile::Compiler;
use crate::rules::dimensions::{Dimensions, MOST_EXACT, Mode};
use crate::rules::source::{self, Attrs, DimensionMode};
use crate::rules::template::{Known, Template};
use crate::yaml::{Spanned, shown};

impl Compiler<'_> {
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
            if let Some(value) = self.claimed(value, Template::parse(value, known)) {
                attrs.insert(name.as_str().into(), value);
            }
        }
        attrs
    }
}
