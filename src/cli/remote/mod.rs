//! The commands that ask a running sidecar: a call or some, and what is answered in words, or as it came.
//!
//! What a sidecar answers holds what clients have sent it: keys, tags. Whatever is printed of that has been through
//! [`printable`](crate::model::printable).

pub(super) mod audit;
pub(super) mod change;
pub(super) mod entries;
pub(super) mod entry;
pub(super) mod epoch;
pub(super) mod health;
pub(super) mod increments;
pub(super) mod live;
pub(super) mod objects;
pub(super) mod openapi;
pub(super) mod purge;
pub(super) mod refresh;
pub(super) mod reload;
pub(super) mod rules;
pub(super) mod stats;
pub(super) mod tags;

use std::fmt::Display;
use std::io::Write;

use clap::Args;
use serde::de::DeserializeOwned;

use crate::admin::client::Answer;
use crate::admin::client::Base;
use crate::admin::client::Client;
use crate::cli::Failure;
use crate::config;
use crate::model::printable::printable_json;

/// Which sidecar is asked.
#[derive(Debug, Args)]
pub(super) struct Reach {
    /// The admin interface of the sidecar. Its token, if it wants one, is read from the environment: TAGALONG_ADMIN_TOKEN.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "TAGALONG_ADMIN",
        hide_env_values = true,
        default_value = "http://127.0.0.1:9080"
    )]
    // Read when it is called, and not by clap, which would print what is wrong: a password, perhaps.
    admin: String,
}

/// Which sidecar is asked, and how its answer is printed.
#[derive(Debug, Args)]
pub(super) struct Remote {
    #[command(flatten)]
    reach: Reach,
    /// As the sidecar answers: as JSON.
    #[arg(long, global = true)]
    json: bool,
}

impl Reach {
    pub(super) fn client(self) -> Result<Client, Failure> {
        let base = self.admin.parse::<Base>();
        let base =
            base.map_err(|error| Failure::Usage(format!("--admin or TAGALONG_ADMIN: {error}")))?;
        let token = config::admin_token().map_err(Failure::Usage)?;
        Client::new(base, token.as_ref())
            .map_err(|error| Failure::Usage(format!("{}: {error}", config::ADMIN_TOKEN)))
    }
}

impl Remote {
    /// Makes one call, and prints its answer: as it came, or in words.
    fn call<T: DeserializeOwned, W: Display>(
        self,
        out: &mut impl Write,
        call: impl FnOnce(&Client) -> Result<Answer<T>, Failure>,
        words: impl FnOnce(T) -> W,
    ) -> Result<(), Failure> {
        let json = self.json;
        let answer = call(&self.reach.client()?)?;
        show(out, json, &answer, words)
    }
}

/// Prints an answer: as it came, or in words.
fn show<T: DeserializeOwned, W: Display>(
    out: &mut impl Write,
    json: bool,
    answer: &Answer<T>,
    words: impl FnOnce(T) -> W,
) -> Result<(), Failure> {
    match json {
        true => {
            // It is JSON, whatever it says: nothing else is handed on.
            answer.read_as::<serde::de::IgnoredAny>()?;
            line(out, answer.text())
        }
        false => Ok(write!(out, "{}", words(answer.read()?))?),
    }
}

/// A document of JSON, on a line of its own where it came as one.
fn line(out: &mut impl Write, json: &str) -> Result<(), Failure> {
    Ok(writeln!(out, "{}", printable_json(json.trim()))?)
}
