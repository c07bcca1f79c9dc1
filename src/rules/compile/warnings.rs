//! What is allowed and surely not meant: fields without effect, rules that no request reaches. Nothing is warned of that may
//! be meant.

use std::sync::Arc;

use http::Method;

use crate::model::mistake::{Mistake, Place};
use crate::model::tag::Tag;
use crate::model::units;
use crate::rules::Rule;
use crate::rules::compile::Compiler;
use crate::rules::constant_of;
use crate::rules::cover::Outline;
use crate::rules::path;
use crate::rules::pattern::PathPattern;
use crate::rules::source::{self, OrNone, QueryMode, Ttl};
use crate::rules::terms::StatusTtl;
use crate::yaml::{Spanned, shown};

impl Compiler<'_> {
    pub(super) fn warn(&mut self, place: Place, message: String) {
        self.warnings.push(Mistake {
            file: Arc::clone(&self.file),
            place: Some(place),
            message,
        });
    }

    /// What a rule says in vain.
    pub(super) fn in_vain(&mut self, written: &Spanned<source::Rule>, rule: &Rule) {
        self.nothing_is_stored(written, rule);
        self.never_soft(written, rule);
        self.dropped_params(written, rule);
    }

    /// Fields that say how responses are stored, of a rule that stores none.
    fn nothing_is_stored(&mut self, written: &Spanned<source::Rule>, rule: &Rule) {
        let fields = of_what_is_stored(written);
        if fields.is_empty() {
            return;
        }
        let reads = rule.reads_bodies();
        let stored = |method: &Method| reads || matches!(*method, Method::GET | Method::HEAD);
        let methods = written.matches.methods.as_ref().map(|it| it.place);
        let methods = methods.unwrap_or(written.place);
        let off = written.cache.as_ref().filter(|cache| !cache.value);
        let bypass = |mode: &&Spanned<source::Mode>| matches!(mode.value, source::Mode::Bypass);
        let bypass = written.mode.as_ref().filter(bypass);
        let (place, why) = match (off, bypass) {
            (Some(off), _) => (off.place, "`cache: false` stores nothing"),
            (None, Some(mode)) => (mode.place, "`mode: bypass` stores nothing"),
            (None, None) if rule.pattern.methods.iter().any(stored) => return,
            (None, None) if rule.safe => (
                methods,
                "`safe: true` alone stores nothing; add `vary_on.body`",
            ),
            (None, None) => (methods, "only responses to GET and HEAD are stored"),
        };
        let (verb, fields) = match &*fields {
            [one] => ("means", format!("`{one}`")),
            many => ("mean", format!("`{}`", many.join("`, `"))),
        };
        self.warn(place, format!("{fields} {verb} nothing here: {why}"));
    }

    /// A soft life that never ends before the life does.
    fn never_soft(&mut self, written: &Spanned<source::Rule>, rule: &Rule) {
        let Some(soft) = written.soft_ttl.map(|it| it.0) else {
            return;
        };
        // A `ttl` that is not forced is for responses that say nothing: others may live longer.
        // And one whose status has a time of its own keeps to that.
        let mut statuses = rule.terms.statuses.iter();
        let by_status = statuses.any(|(_, ttl)| matches!(ttl, StatusTtl::For(life) if life > soft));
        let ttl = written.ttl.as_ref().and_then(|ttl| match ttl {
            Ttl::Forced(ttl) if !by_status => Some(("ttl.force", ttl.force.value.0)),
            Ttl::Forced(_) | Ttl::Implied(_) => None,
        });
        let cap = ("max_ttl", rule.terms.max_ttl);
        let lives = ttl
            .filter(|(_, ttl)| !ttl.is_zero())
            .into_iter()
            .chain([cap]);
        if let Some((name, life)) = lives.into_iter().find(|(_, life)| soft >= *life) {
            let (soft, life) = (units::Written(soft), units::Written(life));
            let message = format!(
                "`soft_ttl` ({soft}) is not shorter than `{name}` ({life}): what is stored expires before it is soft"
            );
            self.warn(written.place, message);
        }
    }

    /// A path that no request has.
    pub(super) fn no_path(&mut self, pattern: &PathPattern, text: &Spanned<String>) {
        let message = match pattern {
            PathPattern::Glob(_) => match path::normalised(text) {
                normal if *normal == *text.value => return,
                normal => format!(
                    "no request has a path like {}: they are compared without dot segments, as {}",
                    shown(text),
                    shown(&normal)
                ),
            },
            PathPattern::Regex(_) => match parameter(text) {
                None => return,
                Some(name) => format!(
                    "no path is like {}: the query is no part of it. Leave it out, and name {} in `vary_on.query` if the response depends on it",
                    shown(text),
                    shown(name)
                ),
            },
        };
        self.warn(text.place, message);
    }

    /// Parameters that the key is to hold and that are dropped first.
    fn dropped_params(&mut self, written: &Spanned<source::Rule>, rule: &Rule) {
        let query = &rule.fields.query;
        let held = match query.mode {
            QueryMode::Allow | QueryMode::All => true,
            QueryMode::Ignore | QueryMode::None => false,
        };
        for param in written.vary_on.query.params.iter().flatten() {
            let dropped = query.drop.iter().any(|glob| glob.matches(&param.name));
            if held && dropped {
                let name = shown(&param.name);
                let message = format!("{name} is in no key: `drop` names it too, and comes first");
                self.warn(param.place, message);
            }
        }
    }
}

/// The fields that only say how a response is stored, of those that are written.
fn of_what_is_stored(written: &source::Rule) -> Vec<&'static str> {
    let fields = [
        ("ttl", written.ttl.is_some()),
        ("max_ttl", written.max_ttl.is_some()),
        ("soft_ttl", written.soft_ttl.is_some()),
        (
            "stale_while_revalidate",
            written.stale_while_revalidate.is_some(),
        ),
        ("stale_if_error", written.stale_if_error.is_some()),
        ("jitter", written.jitter.is_some()),
        ("statuses", written.statuses.is_some()),
        (
            "tags",
            written.tags.as_ref().is_some_and(|it| !it.is_empty()),
        ),
        ("group", written.group.is_some()),
        ("dimensions", written.dimensions.is_some()),
        ("set_cookie", written.set_cookie.is_some()),
        ("key", written.key.is_some()),
        ("use", written.uses.is_some()),
        ("tags_from_body", !written.tags_from_body.is_empty()),
        ("coalesce", is_on(written.coalesce.as_ref())),
        ("hit_for_miss", written.hit_for_miss.is_some()),
        ("on_invalidate", !written.on_invalidate.is_empty()),
        (
            "refresh_ahead",
            is_on(written.refresh_ahead.as_ref().map(|it| &it.value)),
        ),
        ("client_control", !written.client_control.is_empty()),
        ("hooks", is_told(&written.hooks)),
    ];
    let given = fields.iter().filter(|(_, given)| *given);
    given.map(|(name, _)| *name).collect()
}

/// Whether a section is there, and not `none`.
fn is_on<T>(section: Option<&OrNone<T>>) -> bool {
    matches!(section, Some(OrNone::Some(_)))
}

fn is_told(hooks: &source::Hooks) -> bool {
    let hooks = [&hooks.on_hit, &hooks.on_miss].into_iter().flatten();
    hooks.into_iter().any(|hook| is_on(Some(&hook.value)))
}

/// The name of a query parameter in what was meant as a path and a query: a `?`, a name, a `=`.
fn parameter(path: &str) -> Option<&str> {
    let queries = path.split('?').skip(1);
    let mut names = queries.filter_map(|query| query.split_once('=').map(|(name, _)| name));
    let odd = |c: char| !c.is_ascii_alphanumeric() && !"_-.".contains(c);
    names.find(|name| !name.is_empty() && !name.contains(odd))
}

/// A tag that a rule increments, without placeholders.
#[derive(Debug)]
pub(super) struct Incremented {
    pub(super) tag: Spanned<String>,
    pub(super) file: Arc<str>,
}

impl Incremented {
    /// The warning, if it is nothing but a constant tag of these rules.
    pub(super) fn in_vain(&self, rules: &[Rule]) -> Option<Mistake> {
        let tag = Tag::parse(&self.tag).ok()?;
        let of = constant_of(rules.iter(), &tag)?;
        Some(Mistake {
            file: Arc::clone(&self.file),
            place: Some(self.tag.place),
            message: format!(
                "no increment changes {}, a constant tag of the rule {}: give it another version there",
                shown(&self.tag),
                shown(of.id.as_deref().unwrap_or_default())
            ),
        })
    }
}

/// Rules that no request reaches, because an earlier one matches all of theirs.
pub(super) fn unreachable(rules: &[Rule]) -> Vec<Mistake> {
    let outlines: Vec<Outline<'_>> = rules.iter().map(|it| Outline::of(&it.pattern)).collect();
    let mut warnings = Vec::new();
    for (n, (rule, outline)) in rules.iter().zip(&outlines).enumerate() {
        let mut earlier = rules.iter().zip(&outlines).take(n);
        let covering = earlier.find(|(_, earlier)| earlier.covers(outline));
        if let (Some((first, _)), Some(at)) = (covering, &rule.at) {
            let place = first.at.as_ref().map(ToString::to_string);
            warnings.push(Mistake {
                file: at.file.clone(),
                place: Some(at.place),
                message: format!(
                    "no request reaches the rule {}: the rule {} of {} comes first and matches all that it would",
                    shown(rule.id.as_deref().unwrap_or_default()),
                    shown(first.id.as_deref().unwrap_or_default()),
                    place.unwrap_or_default(),
                ),
            });
        }
    }
    warnings
}
