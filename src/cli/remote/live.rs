//! `tagalong explain --live`: what a request would mean to a running sidecar, what it has stored for it, and why it would answer so.

use std::io::Write;

use http::{HeaderMap, Method};

use crate::admin::view::Explained;
use crate::admin::view::Field;
use crate::admin::view::Plan;
use crate::admin::view::PlannedTags;
use crate::admin::view::Stored;
use crate::admin::view::TagState;
use crate::admin::view::What;
use crate::cli::Failure;
use crate::cli::remote::Reach;
use crate::cli::remote::entry;
use crate::cli::remote::show;
use crate::cli::remote::tags;
use crate::cli::table::Table;
use crate::model::printable::printable;

/// Asks the sidecar.
pub(in crate::cli) fn explain(
    out: &mut impl Write,
    reach: Reach,
    json: bool,
    (method, url, fields): (&Method, &str, &HeaderMap),
) -> Result<(), Failure> {
    let answer = reach.client()?.explain(method, url, fields)?;
    show(out, json, &answer, |explained| words(&explained))
}

fn words(explained: &Explained) -> String {
    let answer = &explained.answer;
    let (outcome, why) = (printable(&answer.outcome), printable(&answer.why));
    let mut text = format!("answer: {outcome}: {why}\n{}", plan(&explained.plan));
    match &explained.stored {
        None => text.push_str("stored: nothing\n"),
        Some(stored) => text.push_str(&format!("stored:\n{}", indented(&self::stored(stored)))),
    }
    if !explained.tags.is_empty() {
        let (title, tags) = match &explained.stored {
            None => ("tags now", tags::table(&explained.tags)),
            Some(stored) => ("tags, stored and now", compared(stored, &explained.tags)),
        };
        text.push_str(&format!("{title}:\n{}", indented(&tags.to_string())));
    }
    text
}

/// The versions of tags that a response was stored with, beside those of now: where they differ it is not used any more.
fn compared(stored: &Stored, now: &[TagState]) -> Table {
    let mut table = Table::headed(&["tag", "stored with", "version now", "last increment"]);
    for state in now {
        let mut carried = stored.entry.tags.iter().filter(|it| it.tag == state.tag);
        let then = match carried.next() {
            Some(tag) => entry::version(tag.version),
            None => "(not on it)".to_owned(),
        };
        let (now, last) = (tags::version(state), tags::last(state));
        table.row(vec![state.tag.clone(), then, now, last]);
    }
    table
}

/// The plan, in the words of `tagalong explain` as far as they go.
fn plan(plan: &Plan) -> String {
    let rule = plan.rule.as_deref().map(printable);
    let none = match &plan.what {
        What::Lookup { .. } => "none matches; RFC 9111 alone",
        What::Pass { .. } => "none matches",
    };
    let mut text = format!("rule: {}\n", rule.as_deref().unwrap_or(none));
    match &plan.what {
        What::Lookup {
            fields,
            logical_key,
            base_key,
        } => {
            text.push_str(&format!(
                "plan: look up\nkey fields:\n{}logical key: {}\nbase key: {}\n",
                indented(&key(fields).to_string()),
                printable(logical_key),
                printable(base_key)
            ));
        }
        What::Pass { why, token } => {
            let why = printable(why);
            text.push_str(&format!("plan: pass to the app (`{why}`)\n"));
            if let Some(token) = token {
                text.push_str(&format!("its token is not trusted: {}\n", printable(token)));
            }
        }
    }
    text.push_str(&planned(
        "tags, besides those that the response names",
        &plan.tags,
    ));
    for increment in &plan.increments {
        let title = format!("increments on status {}", printable(&increment.on_status));
        text.push_str(&planned(&title, &increment.tags));
    }
    text
}

fn key(fields: &[Field]) -> Table {
    let mut table = Table::default();
    for field in fields {
        let value = field.value.as_ref().map(|value| format!("\"{value}\""));
        table.row(vec![
            field.name.clone(),
            value.unwrap_or_else(|| "(none)".to_owned()),
        ]);
    }
    table
}

fn planned(title: &str, tags: &PlannedTags) -> String {
    match tags {
        PlannedTags::Missing { missing } => format!("{title}: none, {}\n", printable(missing)),
        PlannedTags::Tags(tags) => {
            let tags = tags.iter().map(|tag| format!("  {}\n", printable(tag)));
            format!("{title}:\n{}", tags.collect::<String>())
        }
    }
}

fn stored(stored: &Stored) -> String {
    let why = match &stored.invalidated {
        None => String::new(),
        Some(why) => {
            let cause = why
                .cause
                .as_ref()
                .map(|cause| format!(" {}", tags::cause(cause)));
            let sentence = format!("{} was incremented{}", why.tag, cause.unwrap_or_default());
            format!("{}\n", printable(&sentence))
        }
    };
    format!("{why}{}", entry::facts(&stored.entry))
}

fn indented(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.map(|line| format!("  {line}\n")).collect()
}
