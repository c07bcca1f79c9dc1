//! Rule files as written to a [`RuleSet`]: regexes, globs and templates built, every mistake of every file at once.

mod changes;
mod condition;
mod context;
mod headers;
mod hooks;
mod mode;
mod read;
mod refill;
mod sections;
mod tags;
mod token;
mod warnings;

pub use context::{Context, SharedStore, Sharing, Texts, Unmatched};
pub use tags::TagLists;

use std::collections::HashMap;
use std::sync::Arc;

use http::header;

use crate::model::mistake::{Location, Mistake, Place};
use crate::rules::compile::changes::Named;
use crate::rules::compile::tags::Tags;
use crate::rules::compile::warnings::Incremented;
use crate::rules::fields::Fields;
use crate::rules::key::Key;
use crate::rules::named;
use crate::rules::pattern::{PathPattern, Pattern};
use crate::rules::source::{self, TagItem, Ttl};
use crate::rules::template::{Known, Template};
use crate::rules::terms::{Authorization, Cookies, Jitter, Statuses, Terms};
use crate::rules::{Rule, RuleSet};
use crate::yaml::units::Span;
use crate::yaml::{self, Spanned, shown};

/// What holds for rules that do not say otherwise: `defaults` of the configuration over what is built in.
#[derive(Debug)]
pub struct Defaults {
    rule: Rule,
    warnings: Vec<Mistake>,
}

impl Default for Defaults {
    fn default() -> Defaults {
        Defaults {
            rule: Rule::unmatched(Sharing::default()),
            warnings: Vec::new(),
        }
    }
}

impl Defaults {
    /// Builds the defaults written in the configuration `file`, with every mistake in them. `tainted`: a part of the file could
    /// not be read, so that what seems to be missing may only have been left out.
    pub fn compile(
        file: &str,
        written: source::Defaults,
        texts: Texts<'_>,
        sharing: Sharing,
        tainted: bool,
    ) -> (Defaults, Vec<Mistake>) {
        let mut compiler = Compiler::new(file, texts);
        compiler.tainted = tainted;
        let written = written.into();
        let base = Rule::unmatched(sharing);
        let rule = compiler.settings(&written, &base, Known::Captures(&[]));
        compiler.refreshed_in_time(&written.on_invalidate, rule.refill.on_invalidate);
        compiler.shares_bodies(&written, sharing.store);
        let warnings = compiler.warnings;
        (Defaults { rule, warnings }, compiler.mistakes)
    }

    /// What is allowed in them and surely not meant.
    pub fn warnings(&self) -> &[Mistake] {
        &self.warnings
    }
}

impl RuleSet {
    /// Builds the rules of these files, `(name, text)` in the order in which they are tried.
    ///
    /// # Errors
    ///
    /// Every mistake of every file, in order.
    pub fn compile(
        files: &[(String, String)],
        context: &Context<'_>,
    ) -> Result<RuleSet, Vec<Mistake>> {
        let (mut rules, mut mistakes, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
        let (mut taken, mut named, mut incremented) = (HashMap::new(), Vec::new(), Vec::new());
        for (name, text) in files {
            let reading = yaml::read::<source::File>(name, text, &|_| false);
            let mut compiler = Compiler::new(name, context.texts);
            let written = reading.value.unwrap_or_default().rules;
            for (n, rule) in written.iter().enumerate() {
                let next = written.get(n + 1).map(|rule| rule.place);
                let tainted = reading.mistakes.iter().any(|mistake| {
                    mistake.place >= Some(rule.place)
                        && next.is_none_or(|next| mistake.place < Some(next))
                });
                rules.push(compiler.rule(rule, context, tainted, &mut taken));
            }
            mistakes.extend(reading.mistakes);
            mistakes.extend(compiler.mistakes);
            named.extend(compiler.named);
            incremented.extend(compiler.incremented);
            warnings.extend(compiler.warnings);
        }
        // The order of the files stays; within one, the order of the text.
        let order = |mistake: &Mistake| files.iter().position(|(name, _)| **name == *mistake.file);
        if mistakes.is_empty() {
            // Where a rule could not be read, one that is named may only have been left out.
            mistakes.extend(named.iter().flat_map(|it| it.mistakes(&rules)));
        }
        if mistakes.is_empty() {
            warnings.extend(warnings::unreachable(&rules));
            warnings.extend(incremented.iter().filter_map(|it| it.in_vain(&rules)));
            warnings.sort_by(|a, b| (order(a), a).cmp(&(order(b), b)));
            return Ok(RuleSet::new(context, rules, warnings));
        }
        mistakes.sort_by(|a, b| (order(a), a).cmp(&(order(b), b)));
        Err(mistakes)
    }
}

/// Where an id was given first.
type Taken = HashMap<Arc<str>, (Arc<str>, Place)>;

struct Compiler<'t> {
    file: Arc<str>,
    texts: Texts<'t>,
    mistakes: Vec<Mistake>,
    /// What is allowed and surely not meant.
    warnings: Vec<Mistake>,
    /// A part of the rule at hand could not be read, so that what seems to be missing may only have been left out.
    tainted: bool,
    /// Rules that others name.
    named: Vec<Named>,
    /// Tags that rules increment, those without placeholders.
    incremented: Vec<Incremented>,
    /// The claims in the key of the rule at hand.
    claims: token::Named,
}

impl Compiler<'_> {
    fn new<'t>(file: &str, texts: Texts<'t>) -> Compiler<'t> {
        Compiler {
            file: file.into(),
            texts,
            mistakes: Vec::new(),
            warnings: Vec::new(),
            tainted: false,
            named: Vec::new(),
            incremented: Vec::new(),
            claims: token::Named::default(),
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
        context: &Context,
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
        let mut rule = self.settings(written, &context.defaults.rule, known);
        self.use_tags(written, &mut rule, &context.templates, known);
        if let Some(captures) = &written.vary_on.captures {
            rule.fields.captures = Some(self.captures(captures, known));
        }
        let dimensions = written.dimensions.as_ref();
        rule.dimensions = dimensions.map(|it| self.dimensions(it, known));
        let body_tags = written.tags_from_body.iter();
        rule.body_tags = body_tags
            .filter_map(|it| self.body_tags(it, known).map(Arc::new))
            .collect();
        let increments = written.increments.iter();
        rule.increments = increments
            .map(|it| Arc::new(self.increments(it, known)))
            .collect();
        let changes = written.changes.iter();
        rule.changes = changes
            .map(|it| Arc::new(self.changes(it, known)))
            .collect();
        rule.body = self.body(written);
        rule.safe = written.safe.as_ref().is_some_and(|safe| safe.value);
        self.reads(written, &rule);
        self.key_on_credentials(written, &mut rule);
        self.refills(written, &rule, tainted);
        self.shared_fills(written, &mut rule, tainted);
        if let (Some((_, pattern)), Some(text)) = (&path, &written.matches.path) {
            self.no_path(pattern, text);
        }
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
        let fields = self.fields(&written.vary_on, &base.fields);
        let fields = match &written.key {
            None => fields,
            Some(_) => Fields {
                tokens: fields.tokens,
                ..Fields::none()
            },
        };
        self.token_passed_by(written, &fields);
        self.claims = token::Named::of(written, &fields);
        let group = match &written.group {
            Some(text) => self.template(text.place, text, Template::parse(text, known)),
            None => base.group.clone(),
        };
        let key = written.key.as_ref();
        let key = key.and_then(|text| {
            let key = Key::parse(text, known);
            self.claimed(text.place, text, key.as_ref().map(|key| &key.template));
            self.checked(text.place, key)
        });
        if let Some(key) = &written.key {
            self.key_alone(key.place, &written.vary_on);
        }
        let tags = match &written.tags {
            Some(tags) => self.tags(tags, known),
            None => Tags {
                templates: base.tags.clone(),
                constants: base.constants.clone(),
            },
        };
        self.claimed_by_defaults(written, tags.templates.iter().chain(&group));
        let keyed_by = || group.iter().chain(key.iter().map(|key| &key.template));
        let rule = Rule {
            tally: None,
            id: None,
            at: None,
            cache: written.cache.as_ref().map_or(base.cache, |it| it.value),
            mode: self.mode(&written.mode, &base.mode),
            terms: Terms {
                keys_on_cookie: fields.key_on(&header::COOKIE)
                    || keyed_by().any(|it| it.reads(&header::COOKIE)),
                asked_as: Arc::clone(&fields.normalized),
                claimed: token::claimed_headers(&fields),
                statuses: self.statuses(written, &base.terms),
                ..terms(written, &base.terms)
            },
            refill: self.refill(written, &base.refill),
            client_control: self.client_control(&written.client_control, base.client_control),
            kept_in: self.kept_in(&written.store, base),
            shared_store: base.shared_store,
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
            tags: tags.templates,
            constants: tags.constants,
            dimensions: None,
            scopes: Arc::default(),
            body_tags: Vec::new(),
            increments: Vec::new(),
            changes: Vec::new(),
            hooks: self.hooks(&written.hooks, &base.hooks),
            group,
            key,
            safe: false,
            body: None,
            fields,
        };
        self.ignored_cookies(written, &rule);
        self.shadow_of_nothing(written, &rule);
        self.forced(&written.ttl);
        rule
    }

    /// The tags of the list that the rule uses, beside its own.
    fn use_tags(
        &mut self,
        written: &Spanned<source::Rule>,
        rule: &mut Rule,
        lists: &TagLists,
        known: Known<'_>,
    ) {
        if let Some(used) = &written.uses {
            let used = self.used(used, lists, known);
            rule.tags.extend(used.templates);
            rule.constants.extend(used.constants);
        }
        self.constants_once(written.place, rule);
    }

    /// A `key` takes the place of what `vary_on` picks: a rule says one or the other.
    fn key_alone(&mut self, place: Place, vary_on: &source::VaryOn) {
        let query = &vary_on.query;
        let of_query = query.mode.is_some()
            || query.sort.is_some()
            || query.params.is_some()
            || query.drop.is_some();
        for (name, given) in [
            ("host", vary_on.host.is_some()),
            ("captures", vary_on.captures.is_some()),
            ("query", of_query),
            ("headers", vary_on.headers.is_some()),
            ("cookies", vary_on.cookies.is_some()),
        ] {
            if given {
                let message = format!(
                    "`key` takes the place of `vary_on.{name}`: name in it what the response depends on, or leave it out"
                );
                self.wrong(place, message);
            }
        }
    }

    /// With `authorization: key` the key holds the header; and a key that holds it means `authorization: key`, unless the
    /// rule itself says otherwise. Not for defaults: a rule may replace the `vary_on` that implied it.
    fn key_on_credentials(&self, written: &source::Rule, rule: &mut Rule) {
        let keyed = rule.fields.key_on(&header::AUTHORIZATION)
            || rule.keyed_by().any(|it| it.reads(&header::AUTHORIZATION));
        if keyed && written.authorization.is_none() {
            rule.terms.authorization = Authorization::Key;
        }
        if !keyed && rule.terms.authorization == Authorization::Key {
            rule.fields
                .headers
                .push(named::Named::header(header::AUTHORIZATION));
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
        claimed: Arc::clone(&base.claimed),
        response_vary: written.vary_on.response_vary.unwrap_or(base.response_vary),
        set_cookie: written.set_cookie.unwrap_or(base.set_cookie),
        authorization: written.authorization.unwrap_or(base.authorization),
    }
}

/// Where what is written lets the key or a tag depend on a cookie.
fn cookies_named(written: &source::Rule) -> Vec<Place> {
    let reads = |text: &str| {
        Template::parse(text, Known::Any).is_ok_and(|template| template.reads(&header::COOKIE))
    };
    let is_of_cookie = |item: &TagItem| match item {
        TagItem::Template(text) => reads(text),
        TagItem::Constant(_) => false,
    };
    let vary_on = &written.vary_on;
    let headers = vary_on.headers.iter().flatten();
    let tags = written.tags.iter().flatten();
    let attrs = written.dimensions.iter().flat_map(|it| &it.attrs.0);
    let attrs = attrs.map(|(_, value)| value);
    let cookies = vary_on.cookies.iter().flatten().map(|it| it.place);
    let tokens = vary_on.jwt.iter().flat_map(|it| &it.value);
    cookies
        .chain(tokens.filter_map(|it| it.cookie.as_ref().map(|cookie| cookie.place)))
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
        .chain(written.key.iter().filter(|it| reads(it)).map(|it| it.place))
        .chain(tags.filter(|it| is_of_cookie(it)).map(|it| it.place))
        .chain(attrs.filter(|it| reads(it)).map(|it| it.place))
        .collect()
}
