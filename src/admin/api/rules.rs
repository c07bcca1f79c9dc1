//! The rules in force.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use crate::admin::Admin;
use crate::admin::view;
use crate::admin::view::Counts;
use crate::admin::view::LastReload;
use crate::cache::Usage;
use crate::model::reread::Reread;
use crate::rules::Mode;
use crate::rules::Rule;
use crate::rules::RuleSet;

/// `GET /v1/rules`.
pub(super) async fn rules(State(admin): State<Admin>) -> Response {
    let parts = admin.parts();
    let in_force = parts.rules.load();
    let reload = parts.files.as_ref().map(|files| last(&files.last()));
    let counted = admin.counts(&in_force);
    let used = parts.cache.usage_by_rule().await;
    let of = |rule: &Rule| used.get(name(rule)).copied().unwrap_or_default();
    let each = all(&in_force).zip(counted);
    let rules = view::Rules {
        epoch: in_force.epoch(),
        reload,
        rules: each
            .map(|(rule, it)| described(rule, it.counts, of(rule)))
            .collect(),
    };
    view::json(StatusCode::OK, &rules)
}

/// In their order, and at last the one of what none matches.
fn all(rules: &RuleSet) -> impl Iterator<Item = &Rule> {
    let each = rules.rules().iter().map(|rule| &**rule);
    each.chain([rules.unmatched()])
}

fn last(read: &Reread) -> LastReload {
    LastReload {
        at: read.at.into(),
        failed: !read.mistakes.is_empty(),
        mistakes: read.mistakes.iter().map(ToString::to_string).collect(),
    }
}

fn name(rule: &Rule) -> &str {
    rule.id.as_deref().unwrap_or_default()
}

fn described(rule: &Rule, counts: Counts, used: Usage) -> view::Rule {
    let brief = rule.brief();
    let methods = brief.methods.join("|");
    view::Rule {
        rule: name(rule).to_owned(),
        mode: match rule.mode {
            Mode::Live => view::Mode::Live,
            Mode::Shadow(_) => view::Mode::Shadow,
            Mode::Bypass => view::Mode::Bypass,
        },
        place: rule.at.as_ref().map(ToString::to_string),
        matches: format!("{methods} {}", brief.matches())
            .trim_start()
            .to_owned(),
        key: brief.key.join(" "),
        tags: [brief.tags, brief.tags_from_body].concat(),
        life: rule.life(),
        counts,
        entries: used.entries as u64,
        entries_bytes: used.bytes,
    }
}
