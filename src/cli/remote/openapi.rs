//! `tagalong openapi`.

use std::io::Write;

use clap::Args;

use crate::cli::Failure;
use crate::cli::remote::Reach;
use crate::cli::remote::line;

/// Print the description of a sidecar's admin interface (OpenAPI 3.1), for whoever writes a client.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tagalong openapi > tagalong.openapi.json")]
pub(in crate::cli) struct Openapi {
    #[command(flatten)]
    reach: Reach,
}

impl Openapi {
    pub(in crate::cli) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        let answer = self.reach.client()?.openapi()?;
        answer.read()?;
        line(out, answer.text())
    }
}
