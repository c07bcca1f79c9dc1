//! `tagalong refresh`: has responses fetched again.

use std::io::Write;

use clap::Args;

use crate::admin::view::RefreshRequest;
use crate::admin::view::Refreshed;
use crate::cli::Failure;
use crate::cli::people;
use crate::cli::progress::Progress;
use crate::cli::remote::Remote;

/// Fetch what is stored again now, while it goes on being served.
///
/// What only its own clients can fetch, with their credentials, is skipped. If the app did not answer all of it as it should, that
/// is told, and the exit code is 1.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tagalong refresh --url https://shop.example/products/42
  tagalong refresh --tag Products
  tagalong refresh --tag Products --limit 500 --json")]
pub(in crate::cli) struct Refresh {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    target: Target,
    /// No more than so many [default: all].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// The response to a GET of this URL, absolute, as somebody without credentials gets it.
    #[arg(long)]
    url: Option<String>,
    /// What is stored with one of these tags.
    #[arg(long = "tag", value_name = "TAG", num_args = 1..)]
    tags: Option<Vec<String>>,
}

/// How many are asked for at once: what an app of some speed does while somebody waits to see a number grow.
const PAGE: u64 = 100;

impl Refresh {
    pub(in crate::cli) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        let json = self.remote.json;
        let client = self.remote.reach.client()?;
        let progress = Progress::beside(false);
        let mut what = RefreshRequest {
            url: self.target.url,
            tags: self.target.tags,
            limit: None,
            cursor: None,
        };
        let mut all = Refreshed {
            refreshed: 0,
            failed: 0,
            skipped: 0,
            cursor: None,
        };
        loop {
            let left = self
                .limit
                .map_or(PAGE, |limit| PAGE.min(limit - seen(&all)));
            what.limit = usize::try_from(left).ok();
            progress.at(words(&all));
            let page = client.refresh(&what)?.read()?;
            all.refreshed += page.refreshed;
            all.failed += page.failed;
            all.skipped += page.skipped;
            all.cursor = page.cursor;
            what.cursor.clone_from(&all.cursor);
            if what.cursor.is_none() || self.limit.is_some_and(|limit| seen(&all) >= limit) {
                break;
            }
        }
        drop(progress);
        match json {
            true => {
                serde_json::to_writer(&mut *out, &all)?;
                writeln!(out)?;
            }
            false => writeln!(out, "{}", words(&all))?,
        }
        match all.failed {
            0 => Ok(()),
            failed => {
                let failed = people::many(failed, "response");
                Err(anyhow::anyhow!("the app did not answer as it should for {failed}").into())
            }
        }
    }
}

fn seen(all: &Refreshed) -> u64 {
    all.refreshed + all.failed + all.skipped
}

fn words(all: &Refreshed) -> String {
    let [refreshed, failed, skipped] = [all.refreshed, all.failed, all.skipped].map(people::count);
    format!("{refreshed} refreshed, {failed} failed, {skipped} skipped")
}
