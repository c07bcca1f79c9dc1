//! Rule files as written to a [`RuleSet`]: regexes, globs and templates built, every mistake of every file at once.

mod sections;

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderName, header};

use crate::model::mistake::{Mistake, Place};
use crate::rules::pattern::{PathPattern, Pattern};
use crate::rules::source;
use crate::rules::template::{Known, Template};
use crate::rules::terms::Terms;
use crate::rules::{Rule, RuleSet};
use crate::yaml::{self, Spanned, shown};

/// What holds for rules that do not say otherwise: `defaults` of the configuration over what is built in.
#[derive(Debug)]
pub struct Defaults(Rule);

impl Default for Defaults {
    fn default() -> Defaults {
        Defaults(Rule::unmatched())
    }
}

impl Defaults {
    /// Builds the defaults written in the configuration `file`, with every mistake in them.
    pub fn compile(file: &str, written: source::Defaults) -> (Defaults, Vec<Mistake>) {
        let mut compiler = Compiler::new(file);
        let rule = compiler.settings(&written.into(), &Rule::unmatched(), Known::Captures(&[]));
        (Defaults(rule), compiler.mistakes)
    }
}

impl RuleSet {
    /// Builds the rules of these files, `(name, text)` in the order in which they are tried.
    ///
    /// # Errors
    ///
    /// Every mistake of every file, in order.
    pub fn compile(
        namespace: &str,
        files: &[(String, String)],
        defaults: &Defaults,
    ) -> Result<RuleSet, Vec<Mistake>> {
        let (mut rules, mut mistakes) = (Vec::new(), Vec::new());
        let mut taken = HashMap::new();
        for (name, text) in files {
            let later = |path: &str| path.strip_prefix("rules[].").is_some_and(source::is_later);
            let reading = yaml::read::<source::File>(name, text, &later);
            let mut compiler = Compiler::new(name);
            let written = reading.value.unwrap_or_default().rules;
            for (n, rule) in written.iter().enumerate() {
                let next = written.get(n + 1).map(|rule| rule.place);
                let tainted = reading.mistakes.iter().any(|mistake| {
                    mistake.place >= Some(rule.place)
                        && next.is_none_or(|next| mistake.place < Some(next))
                });
                rules.push(compiler.rule(rule, &defaults.0, tainted, &mut taken));
            }
            mistakes.extend(reading.mistakes);
            mistakes.extend(compiler.mistakes);
        }
        if mistakes.is_empty() {
            return Ok(RuleSet::new(namespace, rules));
        }
        // The order of the files stays; within one, the order of the text.
        let order = |mistake: &Mistake| files.iter().position(|(name, _)| **name == *mistake.file);
        mistakes.sort_by(|a, b| (order(a), a).cmp(&(order(b), b)));
        Err(mistakes)
    }
}

/// Where an id was given first.
type Taken = HashMap<Arc<str>, (Arc<str>, Place)>;

struct Compiler {
    file: Arc<str>,
    mistakes: Vec<Mistake>,
}

impl Compiler {
    fn new(file: &str) -> Compiler {
        Compiler {
            file: file.into(),
            mistakes: Vec::new(),
        }
    }

    fn wrong(&mut self, place: Place, message: impl Into<String>) {
        self.mistakes.push(Mistake {
            file: Arc::clone(&self.file),
            place: Some(place),
            message: message.into(),
        });
    }

    /// The value, or the mistake noted.
    fn checked<T>(&mut self, place: Place, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.wrong(place, message)).ok()
    }

    /// One rule. `tainted`: a part of it could not be read, so that what seems to be missing may only have been left out.
    fn rule(
        &mut self,
        written: &Spanned<source::Rule>,
        defaults: &Rule,
        tainted: bool,
        taken: &mut Taken,
    ) -> Rule {
        let path = written.matches.path.as_ref().and_then(|path| {
            let pattern = self.checked(path.place, PathPattern::parse(path));
            pattern.map(|pattern| (pattern.capture_names(), pattern))
        });
        let known = match (&path, &written.matches.path) {
            (Some((names, _)), _) => Known::Captures(names),
            (None, None) if !tainted => Known::Captures(&[]),
            (None, _) => Known::Any,
        };
        let mut rule = self.settings(written, defaults, known);
        if let Some(captures) = &written.vary_on.captures {
            rule.fields.captures = Some(self.captures(captures, known));
        }
        rule.pattern.path = path.map(|(_, pattern)| pattern);
        rule.id = self.id(written, tainted, taken);
        rule.key_name = match &written.key_name {
            Some(name) => Some(self.name("key_name", name)),
            None => rule.id.clone(),
        };
        rule
    }

    fn id(
        &mut self,
        written: &Spanned<source::Rule>,
        tainted: bool,
        taken: &mut Taken,
    ) -> Option<Arc<str>> {
        let Some(text) = written.id.as_ref().or(written.matches.path.as_ref()) else {
            if !tainted {
                self.wrong(written.place, "a rule without `match.path` needs an `id`");
            }
            return None;
        };
        let id = self.name("id", text);
        if let Some((file, place)) = taken.get(&id) {
            let more = if written.id.is_some() {
                ""
            } else {
                "; give this rule an `id` of its own"
            };
            let message = format!(
                "the id {} is taken by the rule of {file}:{}{more}",
                shown(&id),
                place.line
            );
            self.wrong(text.place, message);
        } else {
            taken.insert(Arc::clone(&id), (Arc::clone(&self.file), text.place));
        }
        Some(id)
    }

    fn name(&mut self, what: &str, text: &Spanned<String>) -> Arc<str> {
        const MOST: usize = 1_000;
        if text.is_empty() || text.len() > MOST || text.contains(char::is_control) {
            let found = shown(text);
            self.wrong(
                text.place,
                format!("expected `{what}` to be a text of 1 to {MOST} bytes, found {found}"),
            );
        }
        text.as_str().into()
    }

    /// What rules and defaults have in common; what is not written comes from `base`.
    fn settings(&mut self, written: &source::Rule, base: &Rule, known: Known<'_>) -> Rule {
        let group = match &written.group {
            Some(text) => self.checked(text.place, Template::parse(text, known)),
            None => base.group.clone(),
        };
        let fields = self.fields(&written.vary_on, &base.fields);
        let keyed_by_group = |wanted: HeaderName| {
            let mut headers = group.iter().flat_map(Template::headers);
            headers.any(|header| *header == wanted)
        };
        Rule {
            id: None,
            cache: written.cache.unwrap_or(base.cache),
            terms: Terms {
                ttl: written.ttl.as_ref().map(|ttl| ttl.0.0).or(base.terms.ttl),
                max_ttl: written.max_ttl.map_or(base.terms.max_ttl, |span| span.0),
                stale_while_revalidate: base.terms.stale_while_revalidate,
                stale_if_error: base.terms.stale_if_error,
                keys_on_cookie: fields.key_on_cookie() || keyed_by_group(header::COOKIE),
                keys_on_authorization: fields.key_on_authorization()
                    || keyed_by_group(header::AUTHORIZATION),
            },
            pattern: Pattern {
                methods: match &written.matches.methods {
                    Some(methods) => self.methods(methods),
                    None => base.pattern.methods.clone(),
                },
                hosts: written.matches.hosts.as_ref().map(|it| self.hosts(it)),
                path: None,
            },
            key_name: None,
            version: match &written.version {
                Some(version) => Some(version.as_str().into()),
                None => base.version.clone(),
            },
            tags: match &written.tags {
                Some(tags) => self.tags(tags, known),
                None => base.tags.clone(),
            },
            increments: written
                .increments
                .iter()
                .map(|it| self.increments(it, known))
                .collect(),
            group,
            fields,
        }
    }
}
