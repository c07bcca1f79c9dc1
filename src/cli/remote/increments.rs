//! `tagalong increments`: what was incremented, and what is.

use std::io::{self, Write};

use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::admin::client::Client;
use crate::admin::client::Event;
use crate::admin::view::IncrementEvent;
use crate::admin::view::Lagged;
use crate::admin::view::Source;
use crate::cli::Failure;
use crate::cli::people;
use crate::cli::remote::Remote;
use crate::cli::remote::line;
use crate::cli::table::Table;

/// Show the last increments, the newest first: which tags, by whom, and when.
///
/// With --json each is a document on a line of its own (JSON Lines).
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tagalong increments
  tagalong increments --follow
  tagalong increments --follow --json | jq -c '{at, tags, by}'")]
pub(in crate::cli) struct Increments {
    #[command(flatten)]
    remote: Remote,
    /// No more than so many of those there were.
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u64).range(1..=1000))]
    limit: u64,
    /// Go on with those that come, until the sidecar stops; the oldest first.
    #[arg(short, long)]
    follow: bool,
}

#[derive(Deserialize)]
struct Raw {
    increments: Vec<Box<RawValue>>,
}

/// Prints increments, as rows or as they came.
struct Printer<'o, W> {
    out: &'o mut W,
    json: bool,
    table: Table,
}

impl Increments {
    pub(in crate::cli) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        let mut printer = Printer {
            out,
            json: self.remote.json,
            table: Table::headed(&["at", "version", "source", "kind", "by", "tags"]),
        };
        let client = self.remote.reach.client()?;
        match self.follow {
            false => printer.all(&recent(&client, self.limit)?),
            true => follow(&client, self.limit, &mut printer),
        }
    }
}

fn recent(client: &Client, limit: u64) -> Result<Vec<Box<RawValue>>, Failure> {
    let raw: Raw = client.increments(limit)?.read_as()?;
    Ok(raw.increments)
}

fn follow<W: Write>(
    client: &Client,
    limit: u64,
    printer: &mut Printer<'_, W>,
) -> Result<(), Failure> {
    // Listens before it asks what there was: nothing comes in between. What comes in both is told once.
    let events = client.events()?;
    let mut before = recent(client, limit)?;
    before.reverse();
    printer.all(&before)?;
    for event in events {
        let Event { name, data } = event?;
        match name.as_str() {
            "increment" => {
                let told: Box<RawValue> = serde_json::from_str(&data)?;
                if !before.iter().any(|known| known.get() == told.get()) {
                    printer.all(&[told])?;
                }
            }
            "lagged" => {
                let Lagged { missed } = serde_json::from_str(&data)?;
                let missed = people::many(missed, "event");
                writeln!(io::stderr(), "tagalong: too slow, missed {missed}")?;
            }
            _ => {}
        }
    }
    Err(anyhow::anyhow!(
        "{} tells no more: it has stopped, or the connection was lost",
        client.base()
    )
    .into())
}

impl<W: Write> Printer<'_, W> {
    fn all(&mut self, increments: &[Box<RawValue>]) -> Result<(), Failure> {
        for increment in increments {
            match self.json {
                true => line(self.out, increment.get())?,
                false => self
                    .table
                    .row(cells(&serde_json::from_str(increment.get())?)),
            }
        }
        if !self.json {
            self.table.print(self.out)?;
        }
        Ok(self.out.flush()?)
    }
}

fn cells(increment: &IncrementEvent) -> Vec<String> {
    let mut tags = increment.tags.join(" ");
    if let Some(more) = increment.more {
        tags.push_str(&format!(" and {} more", people::count(more)));
    }
    let version = increment.stamp.map(|stamp| stamp.to_string());
    vec![
        people::moment(&increment.at),
        version.unwrap_or_else(|| "waits".to_owned()),
        match increment.source {
            Source::Response => "response",
            Source::Repeat => "repeat",
            Source::OtherSidecar => "other sidecar",
            Source::Admin => "admin",
        }
        .to_owned(),
        if increment.soft { "soft" } else { "hard" }.to_owned(),
        increment.by.clone(),
        tags,
    ]
}
