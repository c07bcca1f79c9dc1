//! Rule files as written to a [`RuleSet`]: regexes, globs and templates built, every mistake of every file at once.

mod changes;
mod condition;
mod context;
mod headers;
mod mode;
mod refill;
mod sections;
mod warnings;

pub use context::{Context, Unmatched};

use std::collections::HashMap;
use std::sync::Arc;

use http::header;

use crate::model::mistake::{Location, Mistake, Place};
use crate::rules::fields::Named;
use crate::rules::pattern::{PathPattern, Pattern};
use crate::rules::source::{self, Ttl};
use crate::rules::template::{Known, Template};
use crate::rules::terms::{Authorization, Cookies, Jitter, Statuses, Terms};
use crate::rules::{Rule, RuleSet};
use crate::yaml::units::Span;
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
        let written = written.into();
        let rule = compiler.settings(&written, &Rule::unmatched(), Known::Captures(&[]));
        compiler.refreshed_in_time(&written.on_invalidate, rule.refill.on_invalidate);
        (Defaults(rule), compiler.mistakes)
    }
}

impl RuleSet {
    /// Builds the rules of these files, `(name, text)` in the order in which they are tried.
    ///
    /// # Errors
    ///
    /// Every mistake of every file, in order.
    pub fn compile(files: &[(String, String)], context: &Context) -> Result<RuleSet, Vec<Mistake>> {
        let (mut rules, mut mistakes, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
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
                rules.push(compiler.rule(rule, &context.defaults.0, tainted, &mut taken));
            }
            mistakes.extend(reading.mistakes);
            mistakes.extend(compiler.mistakes);
            warnings.extend(compiler.warnings);
        }
        // The order of the files stays; within one, the order of the text.
        let order = |mistake: &Mistake| files.iter().position(|(name, _)| **name == *mistake.file);
        if mistakes.is_empty() {
            warnings.extend(warnings::unreachable(&rules));
            warnings.sort_by(|a, b| (order(a), a).cmp(&(order(b), b)));
            return Ok(RuleSet::new(context, rules, warnings));
        }
        mistakes.sort_by(|a, b| (order(a), a).cmp(&(order(b), b)));
        Err(mistakes)
    }
}

/// Where an id was given first.
type Taken = HashMap<Arc<str>, (Arc<str>, Place)>;

struct Compiler {
    file: Arc<str>,
    mistakes: Vec<Mistake>,
    /// What is allowed and surely not meant.
    warnings: Vec<Mistake>,
    /// A part of the rule at hand could not be read, so that what seems to be missing may only have been left out.
    tainted: bool,
}

impl Compiler {
    fn new(file: &str) -> Compiler {
        Compiler {
            file: file.into(),
            mistakes: Vec::new(),
            warnings: Vec::new(),
            tainted: false,
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
        self.tainted = tainted;
        let mut rule = self.settings(written, defaults, known);
        if let Some(captures) = &written.vary_on.captures {
            rule.fields.captures = Some(self.captures(captures, known));
        }
        let dimensions = written.dimensions.as_ref();
        rule.dimensions = dimensions.map(|it| self.dimensions(it, known));
        self.key_on_credentials(written, &mut rule);
        self.refills(written, &rule, tainted);
        rule.pattern.path = path.map(|(_, pattern)| pattern);
        self.in_vain(written, &rule);
        rule.at = Some(Location {
            file: Arc::clone(&self.file),
            place: written.place,
        });
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
        let tags = match &written.tags {
            Some(tags) => self.tags(tags, known),
            None => base.tags.clone(),
        };
        let rule = Rule {
            id: None,
            at: None,
            cache: written.cache.as_ref().map_or(base.cache, |it| it.value),
            mode: self.mode(&written.mode, &base.mode),
            terms: Terms {
                keys_on_cookie: fields.key_on(&header::COOKIE)
                    || group.as_ref().is_some_and(|it| it.reads(&header::COOKIE)),
                asked_as: Arc::clone(&fields.normalized),
                statuses: self.statuses(written, &base.terms),
                ..terms(written, &base.terms)
            },
            refill: self.refill(written, &base.refill),
            client_control: self.client_control(&written.client_control, base.client_control),
            kept_in: self.kept_in(&written.store, base.kept_in),
            consistency: written.consistency.unwrap_or(base.consistency),
            skip_when: match &written.skip_when {
                Some(conditions) => self.conditions(conditions),
                None => base.skip_when.clone(),
            },
            pattern: Pattern {
                methods: match &written.matches.methods {
                    Some(methods) => self.methods(methods),
                    None => base.pattern.methods.clone(),
                },
                hosts: written.matches.hosts.as_ref().map(|it| self.hosts(it)),
                path: None,
                headers: self.header_patterns(&written.matches.headers),
            },
            key_name: None,
            version: match &written.version {
                Some(version) => Some(version.as_str().into()),
                None => base.version.clone(),
            },
            tags,
            dimensions: None,
            scopes: Arc::default(),
            increments: written
                .increments
                .iter()
                .map(|it| self.increments(it, known))
                .collect(),
            group,
            fields,
        };
        self.ignored_cookies(written, &rule);
        self.shadow_of_nothing(written, &rule);
        self.forced(&written.ttl);
        rule
    }

    /// With `authorization: key` the key holds the header; and a key that holds it means `authorization: key`, unless the
    /// rule itself says otherwise. Not for defaults: a rule may replace the `vary_on` that implied it.
    fn key_on_credentials(&self, written: &source::Rule, rule: &mut Rule) {
        let by_group = rule.group.as_ref();
        let keyed = rule.fields.key_on(&header::AUTHORIZATION)
            || by_group.is_some_and(|it| it.reads(&header::AUTHORIZATION));
        if keyed && written.authorization.is_none() {
            rule.terms.authorization = Authorization::Key;
        }
        if !keyed && rule.terms.authorization == Authorization::Key {
            rule.fields
                .headers
                .push(Named::header(header::AUTHORIZATION));
        }
    }

    /// `cookies: ignore` keeps cookies from the app, so nothing that is stored may be named by one.
    fn ignored_cookies(&mut self, written: &source::Rule, rule: &Rule) {
        const WHY: &str = "keeps cookies from the app, so nothing stored can depend on one";
        if rule.terms.cookies != Cookies::Ignore {
            return;
        }
        let here = cookies_named(written);
        let of_defaults = match &written.cookies {
            Some(_) => "",
            None => " of `defaults`",
        };
        for place in &here {
            let message = format!("this names a cookie, but `cookies: ignore`{of_defaults} {WHY}");
            self.wrong(*place, message);
        }
        let tagged = rule.tagged_by().any(|it| it.reads(&header::COOKIE));
        let named = rule.terms.keys_on_cookie || tagged;
        if let Some(cookies) = &written.cookies
            && named
            && here.is_empty()
        {
            self.wrong(
                cookies.place,
                format!("`ignore` {WHY}, but `defaults` name one"),
            );
        }
    }
}

/// What is written of the terms, over those of `base`.
fn terms(written: &source::Rule, base: &Terms) -> Terms {
    let span = |written: Option<Span>| written.map(|span| span.0);
    let (ttl, forced_ttl) = match &written.ttl {
        None => (base.ttl, base.forced_ttl),
        Some(Ttl::Implied(ttl)) => (Some(ttl.0), None),
        Some(Ttl::Forced(ttl)) => (None, Some(ttl.force.value.0)),
    };
    Terms {
        ttl,
        forced_ttl,
        max_ttl: span(written.max_ttl).unwrap_or(base.max_ttl),
        statuses: Statuses::default(), // they may be wrong
        soft_ttl: span(written.soft_ttl).or(base.soft_ttl),
        jitter: written.jitter.map_or(base.jitter, |it| Jitter::of(it.0)),
        stale_while_revalidate: span(written.stale_while_revalidate)
            .or(base.stale_while_revalidate),
        stale_if_error: span(written.stale_if_error).or(base.stale_if_error),
        cookies: written.cookies.as_ref().map_or(base.cookies, |it| it.value),
        keys_on_cookie: base.keys_on_cookie,
        asked_as: Arc::clone(&base.asked_as),
        set_cookie: written.set_cookie.unwrap_or(base.set_cookie),
        authorization: written.authorization.unwrap_or(base.authorization),
    }
}

/// Where what is written lets the key or a tag depend on a cookie.
fn cookies_named(written: &source::Rule) -> Vec<Place> {
    let reads = |text: &str| {
        Template::parse(text, Known::Any).is_ok_and(|template| template.reads(&header::COOKIE))
    };
    let vary_on = &written.vary_on;
    let headers = vary_on.headers.iter().flatten();
    let tags = written.tags.iter().flatten();
    let attrs = written.dimensions.iter().flat_map(|it| &it.attrs.0);
    let attrs = attrs.map(|(_, value)| value);
    let cookies = vary_on.cookies.iter().flatten().map(|it| it.place);
    cookies
        .chain(
            headers
                .filter(|it| it.name().eq_ignore_ascii_case("cookie"))
                .map(|it| it.place),
        )
        .chain(
            written
                .group
                .iter()
                .filter(|it| reads(it))
                .map(|it| it.place),
        )
        .chain(tags.filter(|it| reads(&it.0)).map(|it| it.place))
        .chain(attrs.filter(|it| reads(it)).map(|it| it.place))
        .collect()
}
