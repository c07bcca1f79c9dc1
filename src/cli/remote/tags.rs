//! `tagalong tags`: versions, and increments.

use std::io::Write;

use clap::{Args, Subcommand};

use crate::admin::client::Client;
use crate::admin::view::Cause;
use crate::admin::view::IncrementRequest;
use crate::admin::view::Incremented;
use crate::admin::view::IncrementedTag;
use crate::admin::view::Source;
use crate::admin::view::TagState;
use crate::admin::view::Tags as View;
use crate::cli::Failure;
use crate::cli::people;
use crate::cli::remote::Remote;
use crate::cli::remote::entry::duration;
use crate::cli::remote::line;
use crate::cli::table::Table;
use crate::model::printable::printable;

/// Look at tags and what has incremented them, or increment them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tagalong tags get User:42 Product:7
  tagalong tags top
  tagalong tags increment User:42
  tagalong tags increment Product:7 --soft
  tagalong tags increment Report:3 --again 2s")]
pub(in crate::cli) struct Tags {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show their versions, and who incremented them last; creates none. With --json a document on a line for each tag.
    Get {
        /// Their names.
        #[arg(required = true, value_name = "TAG")]
        tags: Vec<String>,
    },
    /// Show which were incremented most, and which made most requests miss.
    Top,
    /// Give them new versions: what carries one of them is not served any more.
    Increment {
        /// Their names.
        #[arg(required = true, value_name = "TAG")]
        tags: Vec<String>,
        /// What is stored may still be served for a while, as its rule says, while it is fetched again.
        #[arg(long)]
        soft: bool,
        /// Increment them once more after so long, such as 2s: for apps whose own data is late.
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        again: Option<String>,
    },
}

impl Tags {
    pub(in crate::cli) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        let remote = self.remote;
        match self.what {
            What::Get { tags } => get(&remote.reach.client()?, out, remote.json, &tags),
            What::Top => remote.call(out, |client| Ok(client.tags()?), |tags| top(&tags)),
            What::Increment { tags, soft, again } => {
                let what = IncrementRequest { tags, soft, again };
                remote.call(
                    out,
                    |client| Ok(client.increment(&what)?),
                    |it| incremented(&it),
                )
            }
        }
    }
}

fn get(client: &Client, out: &mut impl Write, json: bool, tags: &[String]) -> Result<(), Failure> {
    let mut states = Vec::new();
    for tag in tags {
        let answer = client.tag(tag)?;
        states.push(answer.read()?);
        if json {
            line(out, answer.text())?;
        }
    }
    if !json {
        write!(out, "{}", table(&states))?;
    }
    Ok(())
}

/// Tags with their versions, and why they have them.
pub(super) fn table(states: &[TagState]) -> Table {
    let mut table = Table::headed(&["tag", "version", "last increment"]);
    for state in states {
        table.row(vec![state.tag.clone(), version(state), last(state)]);
    }
    table
}

pub(super) fn version(state: &TagState) -> String {
    let version = state.version.map(|version| version.to_string());
    match state.app_version {
        Some(app) => format!("{} (the app's: {app})", version.unwrap_or_default()),
        None => version.unwrap_or_default(),
    }
}

/// Its last increment, if it is remembered.
pub(super) fn last(state: &TagState) -> String {
    state.incremented.as_ref().map(cause).unwrap_or_default()
}

/// `3 s ago by POST /users/42`, and how it became known if not by a response.
pub(super) fn cause(cause: &Cause) -> String {
    let ago = people::seconds(cause.ago_seconds);
    let how = match cause.source {
        Source::Response | Source::Admin => "",
        Source::Repeat => ", repeated",
        Source::OtherSidecar => ", through another sidecar",
    };
    format!("{ago} ago by {}{how}", cause.by)
}

fn top(tags: &View) -> String {
    let mut text = format!("{} known here\n", people::many(tags.tags, "tag"));
    let often = often("most incremented", &tags.incremented);
    let own = self::often("the cache's own, most incremented", &tags.incremented_own);
    let mut missed = Table::headed(&["most missed", "requests"]);
    for tag in &tags.missed {
        missed.row(vec![tag.tag.clone(), people::count(tag.count)]);
    }
    if !tags.incremented.is_empty() {
        text.push_str(&format!("\n{often}"));
    }
    if !tags.missed.is_empty() {
        text.push_str(&format!("\n{missed}"));
    }
    if !tags.incremented_own.is_empty() {
        text.push_str(&format!("\n{own}"));
    }
    text
}

fn often(title: &str, tags: &[IncrementedTag]) -> Table {
    let mut table = Table::headed(&[title, "times", "last increment"]);
    for tag in tags {
        let last = tag.last.as_ref().map(cause).unwrap_or_default();
        table.row(vec![tag.tag.clone(), people::count(tag.count), last]);
    }
    table
}

fn incremented(done: &Incremented) -> String {
    let mut text = format!("incremented {}\n", people::many(done.incremented, "tag"));
    let mut versions = Table::headed(&["tag", "version"]);
    for (tag, version) in &done.versions {
        versions.row(vec![tag.clone(), version.to_string()]);
    }
    if !done.versions.is_empty() {
        text.push_str(&format!("\n{versions}"));
    }
    text.push_str(&ignored(&done.ignored));
    text
}

/// Tags that say less than was meant.
pub(super) fn ignored(tags: &[String]) -> String {
    let line = |tag: &String| {
        let tag = printable(tag);
        format!("{tag} is a constant of the rules: what they tag with it stays\n")
    };
    tags.iter().map(line).collect()
}
