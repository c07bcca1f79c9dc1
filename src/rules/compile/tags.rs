//! Tags of responses: templates, those whose version stands in the rule, and lists that rules use.

use std::collections::BTreeMap;

use crate::model::mistake::{Mistake, Place};
use crate::model::tag::Tag;
use crate::rules::body_tags::BodyTags;
use crate::rules::compile::{Compiler, Texts};
use crate::rules::pointer::{MOST, Pointer};
use crate::rules::source::{self, TagItem};
use crate::rules::template::{Beyond, Known, Template};
use crate::rules::{Constant, Rule};
use crate::yaml::{Spanned, shown};

/// Lists of tags by name, for rules to use.
#[derive(Debug, Default)]
pub struct TagLists(BTreeMap<Box<str>, TagList>);

#[derive(Debug)]
struct TagList {
    params: Vec<Box<str>>,
    tags: Vec<TagItem>,
}

/// The tags of a rule.
#[derive(Clone, Debug, Default)]
pub(super) struct Tags {
    pub(super) templates: Vec<Template>,
    pub(super) constants: Vec<Constant>,
}

impl TagLists {
    /// Builds the lists written in the configuration `file`, with every mistake in them.
    pub fn compile(
        file: &str,
        written: Vec<(Spanned<String>, Spanned<source::TagList>)>,
    ) -> (TagLists, Vec<Mistake>) {
        let mut compiler = Compiler::new(file, Texts::none());
        let mut lists = BTreeMap::new();
        for (name, list) in written {
            let list = list.value;
            let params: Vec<Box<str>> = list.params.iter().map(|it| it.as_str().into()).collect();
            for (n, param) in list.params.iter().enumerate() {
                let odd = |c: char| !c.is_ascii_alphanumeric() && c != '_';
                let found = shown(param);
                if param.is_empty()
                    || param.contains(odd)
                    || *param.value == *"host"
                    || *param.value == *"method"
                {
                    let expected = "expected the name of a parameter, made of letters, digits and `_`, other than `host` and `method`";
                    compiler.wrong(param.place, format!("{expected}, found {found}"));
                }
                if list
                    .params
                    .iter()
                    .take(n)
                    .any(|other| other.value == param.value)
                {
                    compiler.wrong(param.place, format!("{found} is named twice"));
                }
            }
            compiler.some("a tag", &list.tags);
            compiler.tainted = true; // which claims there are, the rules that use it say
            compiler.tags(&list.tags.value, Known::Captures(&params)); // for its mistakes
            let tags = list.tags.value.into_iter().map(|it| it.value).collect();
            lists.insert(name.as_str().into(), TagList { params, tags });
        }
        (TagLists(lists), compiler.mistakes)
    }
}

impl Compiler<'_> {
    pub(super) fn tags(&mut self, written: &[Spanned<TagItem>], known: Known<'_>) -> Tags {
        let mut tags = Tags::default();
        for item in written {
            self.tag(&item.value, item.place, known, &mut tags);
        }
        tags
    }

    fn tag(&mut self, item: &TagItem, place: Place, known: Known<'_>, tags: &mut Tags) {
        match item {
            TagItem::Template(text) => {
                let template = Template::parse_tag(text, known, Beyond::Nothing);
                let template = self.template(place, text, template);
                tags.templates.extend(template);
            }
            TagItem::Constant(constant) => {
                let constant = self.constant(constant);
                tags.constants.extend(constant);
            }
        }
    }

    fn constant(&mut self, written: &source::Constant) -> Option<Constant> {
        const MOST: usize = 1_000;
        let source::Constant { name, constant } = written;
        let version = constant.as_str();
        if version.is_empty() || version.len() > MOST {
            let found = shown(version);
            let message = format!("expected a version of 1 to {MOST} bytes, found {found}");
            self.wrong(constant.place, message);
        }
        let tag = Tag::parse(name).map_err(|error| format!("{}: {error}", shown(name)));
        let tag = match name.contains(['{', '}']) {
            true => Err(format!(
                "{}: the name of a constant tag is no template",
                shown(name)
            )),
            false => tag,
        };
        Some(Constant {
            tag: self.checked(name.place, tag)?,
            version: version.into(),
            field: format!("constant.{}", name.value).into(),
        })
    }

    pub(super) fn body_tags(
        &mut self,
        written: &source::BodyTags,
        known: Known<'_>,
    ) -> Option<BodyTags> {
        let source::BodyTags { json, tag, max } = written;
        let pointer = self.checked(json.place, Pointer::parse(json, true));
        let template = Template::parse_tag(tag, known, Beyond::Value);
        let template = self.template(tag.place, tag, template);
        if !tag.contains("{value}") && template.is_some() {
            let found = shown(tag);
            let message = format!(
                "expected a tag with `{{value}}` in it, such as `Item:{{value}}`, found {found}"
            );
            self.wrong(tag.place, message);
        }
        let most = max.as_ref().map_or(200, |max| max.value);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        if let Some(max) = max
            && !(1..MOST).contains(&most)
        {
            let message = format!("expected 1 to {} values, found `{}`", MOST - 1, max.value);
            self.wrong(max.place, message);
        }
        Some(BodyTags {
            pointer: pointer?,
            tag: template?,
            max: most,
        })
    }

    /// The tags of the list that a rule uses.
    pub(super) fn used(
        &mut self,
        written: &source::Use,
        lists: &TagLists,
        known: Known<'_>,
    ) -> Tags {
        let mut tags = Tags::default();
        let template = &written.template;
        let args: &[Spanned<String>] = written.args.as_ref().map_or(&[], |args| args);
        let Some(list) = lists.0.get(template.as_str()) else {
            let found = shown(template);
            let names: Vec<&str> = lists.0.keys().map(|name| &**name).collect();
            let expected = match *names {
                [] => "`templates` of the configuration has no list of tags".to_owned(),
                _ => format!(
                    "expected a list of `templates` in the configuration: `{}`",
                    names.join("`, `")
                ),
            };
            self.wrong(template.place, format!("{expected}; found {found}"));
            return tags;
        };
        if args.len() != list.params.len() {
            let params = match *list.params {
                [] => "it has no parameters".to_owned(),
                _ => format!("its parameters are `{}`", list.params.join("`, `")),
            };
            let (expected, found) = (list.params.len(), args.len());
            let message = format!(
                "expected {expected} values for {}, found {found}: {params}",
                shown(template)
            );
            self.wrong(
                written
                    .args
                    .as_ref()
                    .map_or(template.place, |args| args.place),
                message,
            );
            return tags;
        }
        let before = self.mistakes.len();
        for arg in args {
            self.template(arg.place, arg, Template::parse(arg, known));
        }
        if self.mistakes.len() > before {
            return tags;
        }
        for item in &list.tags {
            let item = match item {
                TagItem::Template(text) => TagItem::Template(filled(text, list, args)),
                TagItem::Constant(constant) => TagItem::Constant(constant.clone()),
            };
            self.tag(&item, template.place, known, &mut tags);
        }
        tags
    }

    /// A tag of which the rule itself says the version, and says something else of it elsewhere.
    pub(super) fn constants_once(&mut self, place: Place, rule: &Rule) {
        let constants = &rule.constants;
        for (n, constant) in constants.iter().enumerate() {
            let tag = &constant.tag;
            let before = constants.iter().take(n).any(|other| other.tag == *tag);
            let named = rule
                .tags
                .iter()
                .any(|template| template.as_str() == tag.as_str());
            if before || named {
                let also = if before {
                    ""
                } else {
                    ", once without a version"
                };
                let message = format!(
                    "the constant tag {} is named twice{also}",
                    shown(tag.as_str())
                );
                self.wrong(place, message);
            }
        }
    }
}

/// The tag of a list, with what a rule gives for its parameters in their place.
fn filled(text: &str, list: &TagList, args: &[Spanned<String>]) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, behind) = after.split_once('}').unwrap_or((after, "")); // it was read before: braces match
        filled.push_str(before);
        match list
            .params
            .iter()
            .position(|param| **param == *name)
            .and_then(|n| args.get(n))
        {
            Some(arg) => filled.push_str(arg),
            None => filled.extend(["{", name, "}"]),
        }
        rest = behind;
    }
    filled + rest
}
