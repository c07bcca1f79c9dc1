//! `tagalong objects`: the values that an app keeps in the cache itself.

use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use http::HeaderValue;

use crate::admin::client::Client;
use crate::admin::client::PutObject;
use crate::cli::Failure;
use crate::cli::remote::Reach;
use crate::cli::remote::purge;
use crate::cli::remote::show;
use crate::model::printable::printable;
use crate::model::units;

/// Read, store or forget the values that an app keeps in the cache itself, with tags and a life of their own.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tagalong objects put report:7 --max-age 1h --tag Report:7 --type application/json < report.json
  tagalong objects get report:7 > report.json
  tagalong objects delete report:7

What is computed while one of its tags is incremented is old from the start. So that it is not stored, ask first, and present
the token that is printed where nothing was found:
  token=$(tagalong objects get report:7 2>&1 >report.json | sed -n 's/.*token: //p')
  compute | tagalong objects put report:7 --max-age 1h --tag Report:7 --token \"$token\"")]
pub(in crate::cli) struct Objects {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print it as it was stored. Where there is none, exit code 1, and a token to store it with.
    Get {
        /// Its name.
        key: String,
    },
    /// Store it: from standard input, or from a file.
    Put(Put),
    /// Forget it.
    Delete {
        /// Its name.
        key: String,
        /// As the sidecar answers: as JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct Put {
    /// Its name.
    key: String,
    /// How long it lives, in whole seconds, such as 60s or 1h.
    #[arg(long, value_name = "DURATION", value_parser = whole_seconds)]
    max_age: u64,
    /// Its tags.
    #[arg(long = "tag", value_name = "TAG", num_args = 1..)]
    tags: Vec<String>,
    /// What it is.
    #[arg(
        long = "type",
        value_name = "MEDIA-TYPE",
        default_value = "application/octet-stream"
    )]
    kind: HeaderValue,
    /// What `get` has printed where there was none: it is not stored if one of its tags was incremented since.
    #[arg(long)]
    token: Option<HeaderValue>,
    /// The file that holds it [default: standard input].
    #[arg(long)]
    file: Option<PathBuf>,
}

/// A life as `max-age` can say it.
fn whole_seconds(text: &str) -> Result<u64, String> {
    let life = units::duration(text).map_err(|error| error.to_string())?;
    match life.subsec_nanos() {
        0 => Ok(life.as_secs()),
        _ => Err("expected whole seconds, such as `60s`".to_owned()),
    }
}

impl Objects {
    pub(in crate::cli) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        let client = self.reach.client()?;
        match self.what {
            What::Get { key } => get(&client, &key, out),
            What::Put(put) => put.run(&client, out),
            What::Delete { key, json } => {
                let answer = client.delete_object(&key)?;
                show(out, json, &answer, |purged| purge::counted(&purged))
            }
        }
    }
}

fn get(client: &Client, key: &str, out: &mut impl Write) -> Result<(), Failure> {
    match client.object(key)? {
        Ok(mut object) => {
            io::copy(&mut object.body, out)?;
            Ok(out.flush()?)
        }
        Err(token) => {
            let token = token.map(|token| format!("; token: {}", printable(&token)));
            let token = token.unwrap_or_default();
            Err(anyhow::anyhow!("nothing is stored as {}{token}", printable(key)).into())
        }
    }
}

impl Put {
    fn run(self, client: &Client, out: &mut impl Write) -> Result<(), Failure> {
        let tags = self.tags.join(", ");
        let tags = (!tags.is_empty()).then(|| HeaderValue::try_from(tags));
        let tags = tags.transpose();
        let tags =
            tags.map_err(|_| Failure::Usage("a tag has characters that no tag has".into()))?;
        let object = PutObject {
            content_type: self.kind,
            tags,
            max_age: self.max_age,
            token: self.token,
            body: body(self.file)?,
        };
        let done = match client.put_object(&self.key, object)? {
            true => "stored",
            false => "replaced",
        };
        Ok(writeln!(out, "{done}")?)
    }
}

fn body(file: Option<PathBuf>) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    match file {
        Some(file) => {
            body = fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        }
        None => {
            io::stdin().lock().read_to_end(&mut body)?;
        }
    }
    Ok(body)
}
