//! `tagalong rules`.

use std::io::Write;

use clap::Args;

use crate::admin::view::Mode;
use crate::admin::view::Rule;
use crate::admin::view::Rules as View;
use crate::cli::Failure;
use crate::cli::people;
use crate::cli::remote::Remote;
use crate::cli::table::Table;
use crate::model::printable::printable;

/// Show the rules in force, in the order in which they are tried, what became of their requests, and whether the files were
/// right the last time they were read.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tagalong rules
  tagalong rules --json | jq '.rules[] | {rule, requests: .counts.requests}'")]
pub(in crate::cli) struct Rules {
    #[command(flatten)]
    remote: Remote,
}

impl Rules {
    pub(in crate::cli) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        self.remote
            .call(out, |client| Ok(client.rules()?), |rules| words(&rules))
    }
}

/// The name of a rule for people: what no rule matches has one too.
pub(super) fn name(rule: &str) -> String {
    match rule {
        "" => "(no rule)".to_owned(),
        _ => rule.to_owned(),
    }
}

fn words(rules: &View) -> String {
    let mut table = Table::headed(&[
        "rule", "mode", "requests", "hit", "entries", "size", "match", "life", "tags", "at",
    ]);
    rules.rules.iter().for_each(|rule| table.row(cells(rule)));
    format!("epoch {}{}\n\n{table}", rules.epoch, reload(rules))
}

fn cells(rule: &Rule) -> Vec<String> {
    let counts = &rule.counts;
    let looked_up = counts.requests.saturating_sub(counts.bypass);
    vec![
        name(&rule.rule),
        match rule.mode {
            Mode::Live => "live",
            Mode::Shadow => "shadow",
            Mode::Bypass => "bypass",
        }
        .to_owned(),
        people::count(counts.requests),
        people::share(counts.hits.saturating_add(counts.stale), looked_up),
        people::count(rule.entries),
        people::bytes(rule.entries_bytes),
        rule.matches.clone(),
        rule.life.clone(),
        rule.tags.join(" "),
        rule.place.clone().unwrap_or_default(),
    ]
}

fn reload(rules: &View) -> String {
    let Some(reload) = &rules.reload else {
        return String::new();
    };
    let at = people::moment(&reload.at);
    if !reload.failed {
        return format!(", files read at {at}");
    }
    let mistakes = reload.mistakes.iter();
    let mistakes = mistakes.map(|mistake| format!("\n  {}", printable(mistake)));
    let mistakes: String = mistakes.collect();
    format!("\nThe files read at {at} are wrong; the rules from before are in force:{mistakes}")
}
