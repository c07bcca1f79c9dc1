//! `tagalong epoch`.

use std::io::Write;

use clap::{Args, Subcommand};

use crate::admin::view::Epoch as View;
use crate::cli::Failure;
use crate::cli::remote::Remote;

/// Show the epoch, or raise it: whatever was stored under a lower one is not found any more, by no sidecar of the namespace.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tagalong epoch
  tagalong epoch raise
  tagalong epoch raise 20261129")]
pub(in crate::cli) struct Epoch {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show it.
    Get,
    /// Raise it.
    Raise {
        /// To what [default: one more than it is].
        epoch: Option<u64>,
    },
}

impl Epoch {
    pub(in crate::cli) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        let words = |epoch: View| format!("{}\n", epoch.epoch);
        match self.what {
            None | Some(What::Get) => self.remote.call(out, |client| Ok(client.epoch()?), words),
            Some(What::Raise { epoch }) => {
                let raise = |client: &crate::admin::client::Client| {
                    let epoch = match epoch {
                        Some(epoch) => epoch,
                        None => client.epoch()?.read()?.epoch.saturating_add(1),
                    };
                    Ok(client.put_epoch(View { epoch })?)
                };
                self.remote.call(out, raise, words)
            }
        }
    }
}
