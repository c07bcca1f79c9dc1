//! Rule files as written to a [`RuleSet`]: regexes, globs and templates built, every mistake of every file at once.

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderName, Method, header};

use crate::model::glob::Glob;
use crate::model::mistake::{Mistake, Place};
use crate::rules::fields::{Fields, Named};
use crate::rules::increments::{Increments, StatusSet};
use crate::rules::pattern::{HostGlob, PathPattern, Pattern};
use crate::rules::query::{Param, QueryFields};
use crate::rules::source::{self, QueryMode, TagItem};
use crate::rules::template::{Known, Template};
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
        const MOST: usize = 200;
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
            ttl: written.ttl.as_ref().map(|ttl| ttl.0.0).or(base.ttl),
            max_ttl: written.max_ttl.map_or(base.max_ttl, |span| span.0),
            keys_on_cookie: fields.key_on_cookie() || keyed_by_group(header::COOKIE),
            keys_on_authorization: fields.key_on_authorization()
                || keyed_by_group(header::AUTHORIZATION),
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

    fn methods(&mut self, written: &Spanned<Vec<Spanned<String>>>) -> Vec<Method> {
        self.some("a method", written);
        let mut methods = Vec::new();
        for text in &written.value {
            match Method::from_bytes(text.as_bytes()) {
                Ok(method) if !text.contains(|c: char| c.is_ascii_lowercase()) => {
                    methods.push(method)
                }
                Ok(_) | Err(_) => {
                    let found = shown(text);
                    self.wrong(
                        text.place,
                        format!("expected a method such as `GET`, found {found}"),
                    );
                }
            }
        }
        methods
    }

    fn hosts(&mut self, written: &Spanned<Vec<Spanned<String>>>) -> Vec<HostGlob> {
        self.some("a host", written);
        let mut hosts = Vec::new();
        for text in &written.value {
            let host = HostGlob::parse(text).ok_or_else(|| {
                let found = shown(text);
                format!("expected a host such as `shop.example` or `*.shop.example`, found {found}")
            });
            hosts.extend(self.checked(text.place, host));
        }
        hosts
    }

    fn some<T>(&mut self, what: &str, list: &Spanned<Vec<T>>) {
        if list.is_empty() {
            self.wrong(
                list.place,
                format!("expected {what} at least, found an empty list"),
            );
        }
    }

    fn captures(
        &mut self,
        written: &Spanned<Vec<Spanned<String>>>,
        known: Known<'_>,
    ) -> Vec<Named<Box<str>>> {
        self.some("a capture", written);
        if let Known::Captures(known) = known {
            for text in &written.value {
                if !known.iter().any(|name| **name == **text) {
                    let found = shown(text);
                    let names = known.join("`, `");
                    let expected = match known {
                        [] => "the path has no named capture".to_owned(),
                        _ => format!("expected a capture of the path: `{names}`"),
                    };
                    self.wrong(text.place, format!("{expected}, found {found}"));
                }
            }
        }
        written.iter().map(|name| Named::capture(name)).collect()
    }

    fn fields(&mut self, written: &source::VaryOn, base: &Fields) -> Fields {
        Fields {
            host: written.host.unwrap_or(base.host),
            captures: None,
            query: self.query(&written.query, &base.query),
            headers: match &written.headers {
                None => base.headers.clone(),
                Some(headers) => headers
                    .iter()
                    .filter_map(|header| {
                        let name = header.0.parse().map_err(|_| {
                            format!("expected the name of a header, found {}", shown(&header.0))
                        });
                        self.checked(header.place, name).map(Named::header)
                    })
                    .collect(),
            },
            cookies: match &written.cookies {
                None => base.cookies.clone(),
                Some(cookies) => cookies
                    .iter()
                    .filter_map(|cookie| self.cookie(cookie))
                    .collect(),
            },
        }
    }

    fn cookie(&mut self, name: &Spanned<String>) -> Option<Named<Box<str>>> {
        let odd = |c: char| c.is_whitespace() || c.is_control() || "=;,\"".contains(c);
        if name.is_empty() || name.contains(odd) {
            let found = shown(name);
            self.wrong(
                name.place,
                format!("expected the name of a cookie, found {found}"),
            );
            return None;
        }
        Some(Named::cookie(name))
    }

    fn query(&mut self, written: &source::QueryOn, base: &QueryFields) -> QueryFields {
        let mode = written.mode.unwrap_or(base.mode);
        for param in written.params.iter().flatten() {
            if param.default.is_some() && matches!(mode, QueryMode::Ignore | QueryMode::None) {
                let message = "a `default` means nothing where the key does not hold the parameter";
                self.wrong(param.place, message);
            }
        }
        let param =
            |param: &Spanned<source::Param>| Param::new(&param.name, param.default.as_deref());
        QueryFields {
            mode,
            sort: written.sort.unwrap_or(base.sort),
            params: match &written.params {
                Some(params) => params.iter().map(param).collect(),
                None => base.params.clone(),
            },
            drop: match &written.drop {
                Some(globs) => globs.iter().map(|glob| Glob::new(glob)).collect(),
                None => base.drop.clone(),
            },
        }
    }

    fn tags(&mut self, written: &[Spanned<TagItem>], known: Known<'_>) -> Vec<Template> {
        written
            .iter()
            .filter_map(|tag| self.checked(tag.place, Template::parse_tag(&tag.0, known)))
            .collect()
    }

    fn increments(&mut self, written: &source::Increments, known: Known<'_>) -> Increments {
        self.some("a tag", &written.tags);
        let on_status = match &written.on_status {
            None => StatusSet::success(),
            Some(statuses) => {
                self.some("a status", statuses);
                let mut set = StatusSet::default();
                for text in &statuses.value {
                    if !set.add(text) {
                        let found = shown(text);
                        let message =
                            format!("expected a status such as `2xx` or `404`, found {found}");
                        self.wrong(text.place, message);
                    }
                }
                set
            }
        };
        Increments {
            tags: self.tags(&written.tags, known),
            on_status,
        }
    }
}
