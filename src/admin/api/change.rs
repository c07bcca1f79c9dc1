//! Changes of what responses are filtered by (rules.md §6).

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;

use crate::admin::Admin;
use crate::admin::asked::Asked;
use crate::admin::deed::Actor;
use crate::admin::deed::Done;
use crate::admin::problem::Problem;
use crate::admin::view::ChangeRequest;
use crate::admin::view::Changed;
use crate::audit::What;
use crate::model::change::Attribute;
use crate::model::change::Change;
use crate::model::tag::Increment;
use crate::rules::Misfit;

/// `POST /v1/change`.
pub(super) async fn change(
    State(admin): State<Admin>,
    actor: Actor,
    asked: Asked<ChangeRequest>,
) -> Result<Done, Problem> {
    let doing = changed(admin.clone(), Arc::clone(&actor.by), asked.wish);
    admin.act(actor, What::Change, asked.target, doing).await
}

async fn changed(
    admin: Admin,
    by: Arc<str>,
    wish: Result<ChangeRequest, Problem>,
) -> Result<Done, Problem> {
    let change = read(wish?);
    let rules = admin.parts().rules.load();
    let (tags, misfit) = rules.scopes().tags_of(&change);
    // The app is told by the log that a change does more than it says; who calls can say it better. And of what has not changed
    // too: a name that is misspelt is so on both sides.
    if let Some(misfit) = misfit.or_else(|| rules.scopes().unknown(&change)) {
        return Err(Problem::Wrong(wrong(&misfit)));
    }
    if !tags.is_empty() {
        let increments: Vec<Increment> = tags.iter().cloned().map(Increment::from).collect();
        admin.increment(&increments, &by).await?;
    }
    let incremented = tags.len() as u64;
    Ok(Done::with(&Changed { incremented }))
}

fn wrong(misfit: &Misfit) -> String {
    match misfit {
        Misfit::Rule(rule) => format!("`rule`: there is no rule `{rule}`."),
        Misfit::Attribute { rule, attribute } | Misfit::Unclear { rule, attribute } => {
            format!("`{attribute}` is none of the dimensions of the rule `{rule}`.")
        }
    }
}

/// An attribute that is on one side alone had no value on the other.
fn read(wish: ChangeRequest) -> Change {
    let ChangeRequest { rule, old, new } = wish;
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let value =
        |side: &BTreeMap<String, Option<String>>, name: &String| side.get(name).cloned().flatten();
    let attribute = |name: &String| Attribute {
        name: name.as_str().into(),
        old: value(&old, name),
        new: value(&new, name),
    };
    Change {
        rule: rule.into(),
        attributes: names.into_iter().map(attribute).collect(),
    }
}
