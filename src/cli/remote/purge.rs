//! `tagalong purge`: forgets.

use std::io::{self, BufRead, IsTerminal, Write};

use clap::Args;

use crate::admin::client::Base;
use crate::admin::view::PurgeRequest;
use crate::admin::view::Purged;
use crate::cli::Failure;
use crate::cli::people;
use crate::cli::progress::Progress;
use crate::cli::remote::Remote;
use crate::cli::remote::show;
use crate::model::printable::printable;

/// Forget what is stored: what is named is not served any more, by no sidecar of the namespace.
///
/// On a terminal it asks before --all and --match. Elsewhere --all needs --yes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tagalong purge --url https://shop.example/products/42
  tagalong purge --tag User:42 Product:7
  tagalong purge --rule product --soft
  tagalong purge --match '*path=/products/*'
  tagalong purge --all --yes")]
pub(in crate::cli) struct Purge {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    target: Target,
    /// What is stored may still be served for a while, as its rule says, while it is fetched again.
    #[arg(long, conflicts_with = "matching")]
    soft: bool,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// Every response to requests for this URL, absolute.
    #[arg(long)]
    url: Option<String>,
    /// Every response of the rule with this id.
    #[arg(long, value_name = "ID")]
    rule: Option<String>,
    /// What the configuration calls by this name (`purge_groups`).
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Every response with one of these tags.
    #[arg(long = "tag", value_name = "TAG", num_args = 1..)]
    tags: Option<Vec<String>>,
    /// Every response with such a logical key; * stands for any text. Looks at all that is stored.
    #[arg(long = "match", value_name = "GLOB")]
    matching: Option<String>,
    /// Everything of the namespace.
    #[arg(long)]
    all: bool,
}

impl Purge {
    pub(in crate::cli) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        let json = self.remote.json;
        let client = self.remote.reach.client()?;
        if !self.yes && !self.target.is_meant(client.base())? {
            return Err(anyhow::anyhow!("nothing is purged").into());
        }
        let looks = self.target.matching.is_some();
        let what = self.target.request(self.soft);
        let answer = {
            let progress = Progress::beside(false);
            if looks {
                progress.at("looking at all that is stored".to_owned());
            }
            client.purge(&what)?
        };
        show(out, json, &answer, |purged| counted(&purged))
    }
}

impl Target {
    /// Whether whoever asks for it wants it, as far as that can be known.
    fn is_meant(&self, base: &Base) -> Result<bool, Failure> {
        let what = match &self.matching {
            Some(glob) => format!("everything that matches {}", printable(glob)),
            None if self.all => "everything that is stored".to_owned(),
            None => return Ok(true),
        };
        match io::stdin().is_terminal() && io::stderr().is_terminal() {
            true => Ok(confirm(&format!(
                "Purge {what}, at {base} and all its sidecars?"
            ))?),
            false if self.all => Err(Failure::Usage(
                "to purge everything, say so with --yes: there is no terminal to ask at".into(),
            )),
            false => Ok(true),
        }
    }

    fn request(self, soft: bool) -> PurgeRequest {
        PurgeRequest {
            url: self.url,
            rule: self.rule,
            group: self.group,
            tags: self.tags,
            matching: self.matching,
            all: self.all.then_some(true),
            soft,
        }
    }
}

/// Asks at the terminal; anything but a yes is a no.
fn confirm(question: &str) -> io::Result<bool> {
    let mut err = io::stderr();
    write!(err, "{question} [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes" | "YES"))
}

/// How many, if somebody has counted; of a URL, what was there.
pub(super) fn counted(done: &Purged) -> String {
    let ignored = super::tags::ignored(&done.ignored);
    let responses = |count| people::many(count, "response");
    let what = match (done.purged, done.here) {
        (Some(count), _) => format!("purged {}", responses(count)),
        (None, None) => "purged (how many responses is not counted)".to_owned(),
        (None, Some(0)) => "purged; for a GET of it this sidecar's memory had nothing (`tagalong explain --live` tells what is \
            stored under its path)"
            .to_owned(),
        (None, Some(here)) => format!(
            "purged; for a GET of it this sidecar's memory had {}",
            responses(here)
        ),
    };
    format!("{what}\n{ignored}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_purge_says_is_what_somebody_knows() {
        for (purged, here, expected) in [
            (Some(1), None, "purged 1 response\n"),
            (None, None, "purged (how many responses is not counted)\n"),
            (
                None,
                Some(2),
                "purged; for a GET of it this sidecar's memory had 2 responses\n",
            ),
            (
                None,
                Some(0),
                "purged; for a GET of it this sidecar's memory had nothing (`tagalong explain --live` tells what is stored under its path)\n",
            ),
        ] {
            let ignored = Vec::new();
            let done = Purged {
                purged,
                here,
                ignored,
            };
            assert_eq!(counted(&done), expected);
        }
    }
}
