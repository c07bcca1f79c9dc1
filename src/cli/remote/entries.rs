//! `tagalong entries`: what is stored, page by page.

use std::io::Write;

use clap::{Args, ValueEnum};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::admin::client::Answer;
use crate::admin::client::Which;
use crate::admin::view::Entries as View;
use crate::admin::view::Entry;
use crate::admin::view::State;
use crate::cli::Failure;
use crate::cli::people;
use crate::cli::progress::Progress;
use crate::cli::remote::Remote;
use crate::cli::remote::line;
use crate::cli::table::Table;

/// List what is stored and can answer: all of it, or what fits all that is said.
///
/// Rows are printed as they come. With --json each entry is a document on a line of its own (JSON Lines).
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tagalong entries --rule product --limit 20
  tagalong entries --tag User:42
  tagalong entries --match 'host=shop.example*'
  tagalong entries --json | jq -r 'select(.hits == 0) | .logical_key'")]
pub(in crate::cli) struct Entries {
    #[command(flatten)]
    remote: Remote,
    /// Those of the rule with this id; '' is for those of no rule.
    #[arg(long, value_name = "ID")]
    rule: Option<String>,
    /// Those with this tag.
    #[arg(long)]
    tag: Option<String>,
    /// Those with such a logical key; * stands for any text.
    #[arg(long = "match", value_name = "GLOB")]
    matching: Option<String>,
    /// Those that are kept there.
    #[arg(long)]
    tier: Option<Tier>,
    /// No more than so many [default: all].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Tier {
    /// The memory of the sidecar that is asked.
    Memory,
    /// The store that all sidecars share.
    Redis,
}

/// A page whose entries are handed on as they came.
#[derive(Deserialize)]
struct Raw {
    entries: Vec<Box<RawValue>>,
}

/// How many are asked for at once.
const PAGE: u64 = 1_000;

impl Entries {
    pub(in crate::cli) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        let json = self.remote.json;
        let which = Which {
            rule: self.rule,
            tag: self.tag,
            matching: self.matching,
            tier: self.tier.map(|tier| match tier {
                Tier::Memory => "memory",
                Tier::Redis => "redis",
            }),
        };
        let client = self.remote.reach.client()?;
        let progress = Progress::beside(true);
        let mut table = Table::headed(&COLUMNS);
        let (mut seen, mut cursor) = (0, None);
        loop {
            let left = self.limit.map_or(PAGE, |limit| PAGE.min(limit - seen));
            let page = client.entries(&which, left, cursor.as_deref())?;
            let mut view = page.read()?;
            view.entries.truncate(left as usize); // a page of the shared store may have more
            seen += view.entries.len() as u64;
            print(out, json, &page, &view, &mut table)?;
            progress.at(people::many(seen, "entry"));
            cursor = view.cursor;
            if cursor.is_none() || self.limit.is_some_and(|limit| seen >= limit) {
                return Ok(());
            }
        }
    }
}

/// What a page holds, at once: whoever reads it may have seen enough.
fn print(
    out: &mut impl Write,
    json: bool,
    page: &Answer<View>,
    view: &View,
    table: &mut Table,
) -> Result<(), Failure> {
    if json {
        let raw: Raw = page.read_as()?;
        let some = raw.entries.iter().take(view.entries.len());
        some.into_iter()
            .try_for_each(|entry| line(out, entry.get()))?;
    } else {
        view.entries
            .iter()
            .for_each(|entry| table.row(cells(entry)));
        table.print(out)?;
    }
    Ok(out.flush()?)
}

const COLUMNS: [&str; 8] = [
    "key",
    "rule",
    "state",
    "fresh for",
    "hits",
    "size",
    "tier",
    "logical key",
];

fn cells(entry: &Entry) -> Vec<String> {
    vec![
        entry.key.clone(),
        super::rules::name(&entry.rule),
        super::entry::state(entry.state).to_owned(),
        match entry.state {
            State::Fresh => people::left(&entry.fresh_until),
            State::Stale | State::Expired | State::Invalidated => String::new(),
        },
        people::count(entry.hits),
        people::bytes(entry.size_bytes),
        super::entry::tier(entry.tier).to_owned(),
        entry.logical_key.clone(),
    ]
}
