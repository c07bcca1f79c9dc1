//! Forgetting, by what an operator knows: a URL, a rule, a name of the files, tags, a pattern, everything. Whatever it is becomes an
//! increment at constant cost, but for a pattern, which is looked for.

use std::sync::Arc;

use axum::extract::State;
use http::{Method, Uri};

use crate::admin::Admin;
use crate::admin::api::tags;
use crate::admin::asked::Asked;
use crate::admin::deed::Actor;
use crate::admin::deed::Done;
use crate::admin::problem::Problem;
use crate::admin::request::arriving;
use crate::admin::view::PurgeRequest;
use crate::admin::view::Purged;
use crate::audit;
use crate::model::glob::Glob;
use crate::model::key::BaseKey;
use crate::model::purge::PurgeGroup;
use crate::model::request::Head;
use crate::model::tag::Increment;
use crate::model::tag::Tag;
use crate::rules::Plan;

/// What is to be forgotten.
enum What {
    Tags(Vec<Tag>),
    /// The tags of a URL, and the key of a GET of it, if such are looked up.
    Url(Vec<Tag>, Option<BaseKey>),
    Matching(Glob),
}

/// What is said where what was to be dropped, rather than incremented, may be in the shared store still.
pub(super) const NOT_FORGOTTEN: &str = "The shared store could not be told: nothing is sure to be forgotten, and nothing waits; call again.";

/// The longest pattern, in bytes.
const LONGEST: usize = 4_096;

/// `POST /v1/purge`.
pub(super) async fn purge(
    State(admin): State<Admin>,
    actor: Actor,
    asked: Asked<PurgeRequest>,
) -> Result<Done, Problem> {
    let doing = purged(admin.clone(), Arc::clone(&actor.by), asked.wish);
    admin
        .act(actor, audit::What::Purge, asked.target, doing)
        .await
}

async fn purged(
    admin: Admin,
    by: Arc<str>,
    wish: Result<PurgeRequest, Problem>,
) -> Result<Done, Problem> {
    let wish = wish?;
    let purged = match admin.what(&wish).map_err(Problem::Wrong)? {
        What::Tags(tags) => admin.forget(tags, wish.soft, &by).await?,
        What::Url(tags, base) => {
            let here = base.map_or(0, |base| admin.parts().cache.under(base));
            let purged = admin.forget(tags, wish.soft, &by).await?;
            Purged {
                here: Some(here as u64),
                ..purged
            }
        }
        What::Matching(glob) => {
            let purged = admin.parts().cache.purge_matching(&glob, &by).await;
            let purged = purged.ok_or(Problem::Deferred(NOT_FORGOTTEN))?;
            Purged::counted(purged)
        }
    };
    Ok(Done::with(&purged))
}

impl Admin {
    async fn forget(&self, tags: Vec<Tag>, soft: bool, by: &Arc<str>) -> Result<Purged, Problem> {
        let ignored = self.constants(&tags);
        let increment = |tag: Tag| Increment { soft, ..tag.into() };
        let increments: Vec<Increment> = tags.into_iter().map(increment).collect();
        self.increment(&increments, by).await?;
        Ok(Purged {
            purged: None,
            here: None,
            ignored,
        })
    }

    /// What is to be forgotten, or what is wrong with the wish.
    fn what(&self, wish: &PurgeRequest) -> Result<What, String> {
        let PurgeRequest {
            url,
            rule,
            group,
            tags: named,
            matching,
            all,
            soft,
        } = wish;
        let targets = [
            ("url", url.is_some()),
            ("rule", rule.is_some()),
            ("group", group.is_some()),
            ("tags", named.is_some()),
            ("match", matching.is_some()),
            ("all", all.is_some()),
        ];
        one_of(&targets)?;
        if let Some(url) = url {
            return self.of_url(url);
        }
        if let Some(rule) = rule {
            return self.of_rule(rule).map(|tag| What::Tags(vec![tag]));
        }
        if let Some(group) = group {
            return self.of_group(group).map(What::Tags);
        }
        if let Some(named) = named {
            let tags = tags::all_named(named);
            return tags.map(What::Tags).map_err(|it| it.detail().into_owned());
        }
        if let Some(pattern) = matching {
            return of_pattern(pattern, *soft).map(What::Matching);
        }
        match all {
            Some(true) => Ok(What::Tags(vec![Tag::all()])),
            Some(false) | None => Err("`all`: `true` is expected.".to_owned()),
        }
    }

    /// What a request that changes this URL would forget: what was fetched from it, and what a GET of it finds.
    fn of_url(&self, url: &str) -> Result<What, String> {
        let head = get_of(url)?;
        let parts = self.parts();
        let uri = Tag::uri(&head.absolute_uri());
        let (base, key) = match parts.rules.load().plan(&head, parts.cache.now()) {
            Plan::Lookup(query) => (Some(query.base), Some(query.key_tag(&head))),
            Plan::Pass(_) => (None, None),
        };
        let key = key.filter(|tag| *tag != uri);
        Ok(What::Url([uri].into_iter().chain(key).collect(), base))
    }

    fn of_rule(&self, id: &str) -> Result<Tag, String> {
        let rules = self.parts().rules.load();
        let ids = || rules.rules().iter().filter_map(|rule| rule.id.as_deref());
        match ids().any(|it| it == id) {
            true => Ok(Tag::rule(id)),
            false => Err(unknown("rule", ids())),
        }
    }

    fn of_group(&self, name: &str) -> Result<Vec<Tag>, String> {
        let groups = &self.parts().purge_groups;
        match groups.get(name) {
            Some(PurgeGroup::Tags(tags)) => Ok(tags.clone()),
            Some(PurgeGroup::All) => Ok(vec![Tag::all()]),
            None => Err(unknown("group", groups.keys().map(String::as_str))),
        }
    }
}

/// Whether exactly one of these fields is there.
///
/// # Errors
///
/// Says which there may be, and which there are.
pub(super) fn one_of(fields: &[(&str, bool)]) -> Result<(), String> {
    let listed = |fields: Vec<&str>| {
        let quoted: Vec<String> = fields.iter().map(|name| format!("`{name}`")).collect();
        quoted.join(", ")
    };
    let given = fields.iter().filter(|(_, is_given)| *is_given);
    let given: Vec<&str> = given.map(|(name, _)| *name).collect();
    if given.len() == 1 {
        return Ok(());
    }
    let known = listed(fields.iter().map(|(name, _)| *name).collect());
    let found = match given.is_empty() {
        true => "none".to_owned(),
        false => listed(given),
    };
    Err(format!(
        "Exactly one of {known} is expected, found {found}."
    ))
}

/// The head of a bare GET of an absolute URL.
///
/// # Errors
///
/// It is none.
pub(super) fn get_of(url: &str) -> Result<Head, String> {
    let uri: Uri = url.parse().map_err(|error| format!("`url`: {error}."))?;
    if uri.scheme().is_none() {
        return Err(
            "`url`: an absolute one is expected, such as `https://shop.example/a`.".to_owned(),
        );
    }
    arriving(Method::GET, &uri, []).map_err(|error| format!("`url`: {error}."))
}

fn of_pattern(pattern: &str, soft: bool) -> Result<Glob, String> {
    if soft {
        return Err("`soft`: it does not go with `match`: what matches is dropped.".to_owned());
    }
    if pattern.is_empty() || pattern.len() > LONGEST {
        let found = pattern.len();
        return Err(format!(
            "`match`: 1 to {LONGEST} bytes are expected, and {found} were found."
        ));
    }
    Ok(Glob::new(pattern))
}

/// There is none of this name; those there are, as far as they fit on a line or two.
fn unknown<'n>(kind: &str, known: impl Iterator<Item = &'n str>) -> String {
    const MOST: usize = 50;
    let mut known: Vec<&str> = known.take(MOST + 1).collect();
    let more = if known.len() > MOST { " and more" } else { "" };
    known.truncate(MOST);
    match known.is_empty() {
        true => format!("`{kind}`: there is none of this name, and no other."),
        false => format!(
            "`{kind}`: there is none of this name; there are {}{more}.",
            known.join(", ")
        ),
    }
}
