//! `tagalong entry`: one stored response.

use std::io::Write;

use clap::{Args, Subcommand};

use crate::admin::view::Entry as View;
use crate::admin::view::LifeRequest;
use crate::admin::view::State;
use crate::admin::view::Tier;
use crate::cli::Failure;
use crate::cli::people;
use crate::cli::remote::Remote;
use crate::cli::remote::purge;
use crate::cli::table::Table;
use crate::model::units;

/// Look at one stored response, give it another life, or forget it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tagalong entry get 6f1ed002ab5595859014ebf0951522d9
  tagalong entry ttl 6f1ed002ab5595859014ebf0951522d9 60s
  tagalong entry delete 6f1ed002ab5595859014ebf0951522d9")]
pub(in crate::cli) struct Entry {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show it: its key, its tags and their versions, how long it lives.
    Get {
        /// Its key, as `tagalong entries` shows it.
        key: String,
    },
    /// Give it another life, from now on.
    Ttl {
        /// Its key, as `tagalong entries` shows it.
        key: String,
        /// How long it is fresh, such as 60s or 5m.
        #[arg(value_parser = duration)]
        ttl: String,
    },
    /// Forget it.
    Delete {
        /// Its key, as `tagalong entries` shows it.
        key: String,
    },
}

impl Entry {
    pub(in crate::cli) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        let remote = self.remote;
        match self.what {
            What::Get { key } => {
                remote.call(out, |client| Ok(client.entry(&key)?), |it| words(&it))
            }
            What::Ttl { key, ttl } => {
                let life = LifeRequest { ttl };
                remote.call(
                    out,
                    |client| Ok(client.set_life(&key, &life)?),
                    |it| words(&it),
                )
            }
            What::Delete { key } => remote.call(
                out,
                |client| Ok(client.delete_entry(&key)?),
                |it| purge::counted(&it),
            ),
        }
    }
}

/// A duration as it is written; the sidecar reads it as files are read.
pub(super) fn duration(text: &str) -> Result<String, units::NotADuration> {
    units::duration(text).map(|_| text.to_owned())
}

/// All that is known of it.
fn words(entry: &View) -> String {
    let mut tags = Table::headed(&["tag", "version"]);
    for tag in &entry.tags {
        tags.row(vec![tag.tag.clone(), version(tag.version)]);
    }
    format!("{}\n{tags}", facts(entry))
}

/// The version of a tag that it was stored with; nothing for one that nobody had incremented.
pub(super) fn version(version: u64) -> String {
    match version {
        0 => String::new(),
        version => version.to_string(),
    }
}

/// All but its tags.
pub(super) fn facts(entry: &View) -> String {
    let mut facts = Table::default();
    let mut fact = |name: &str, value: String| facts.row(vec![name.to_owned(), value]);
    fact("key", entry.key.clone());
    fact("logical key", entry.logical_key.clone());
    fact("rule", super::rules::name(&entry.rule));
    let status = entry.status.map(|status| status.to_string());
    fact("status", status.unwrap_or_default());
    fact("state", state(entry.state).to_owned());
    for (name, time) in [
        ("created", &entry.created),
        ("fresh until", &entry.fresh_until),
        ("kept until", &entry.expires),
    ] {
        let left = people::left(time);
        let left = if left.is_empty() {
            left
        } else {
            format!(" (in {left})")
        };
        fact(name, format!("{}{left}", people::moment(time)));
    }
    fact("hits", people::count(entry.hits));
    fact("size", people::bytes(entry.size_bytes));
    fact("tier", tier(entry.tier).to_owned());
    fact("vary", entry.vary.join(", "));
    let mut fields = Table::headed(&["key field", "value"]);
    for (name, value) in &entry.fields {
        let value = value
            .as_ref()
            .map_or("(none)".to_owned(), |value| format!("\"{value}\""));
        fields.row(vec![name.clone(), value]);
    }
    format!("{facts}\n{fields}")
}

pub(super) fn state(state: State) -> &'static str {
    match state {
        State::Fresh => "fresh",
        State::Stale => "stale",
        State::Expired => "expired",
        State::Invalidated => "invalidated",
    }
}

pub(super) fn tier(tier: Tier) -> &'static str {
    match tier {
        Tier::Memory => "memory",
        Tier::Redis => "redis",
    }
}
