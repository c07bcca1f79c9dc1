//! `tagalong completions`: what a shell needs to complete the arguments.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use crate::cli::Arguments;
use crate::cli::Failure;

/// Print what a shell needs to complete the arguments of tagalong.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tagalong completions bash > /etc/bash_completion.d/tagalong
  tagalong completions zsh > \"${fpath[1]}/_tagalong\"
  tagalong completions fish > ~/.config/fish/completions/tagalong.fish")]
pub(super) struct Completions {
    /// Which one.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        // Written at once: what it is generated into must not fail, and `out` may.
        let mut script = Vec::new();
        let mut command = Arguments::command();
        generate(self.shell, &mut command, "tagalong", &mut script);
        Ok(out.write_all(&script)?)
    }
}
