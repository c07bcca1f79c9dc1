//! `tagalong reload`.

use std::io::Write;

use clap::Args;

use crate::cli::Failure;
use crate::cli::people;
use crate::cli::remote::Remote;

/// Have a sidecar read its rules now. If they are wrong, every mistake is told, and the rules from before stay in force.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tagalong check --config tagalong.yaml && tagalong reload")]
pub(in crate::cli) struct Reload {
    #[command(flatten)]
    remote: Remote,
}

impl Reload {
    pub(in crate::cli) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        self.remote.call(
            out,
            |client| Ok(client.reload()?),
            |done| {
                let rules = people::many(done.rules, "rule");
                format!("{rules} in force, epoch {}\n", done.epoch)
            },
        )
    }
}
