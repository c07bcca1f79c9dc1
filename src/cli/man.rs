//! `tagalong man`: the pages for `man`, from the definition that the help is from.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_mangen::Man as Page;

use crate::cli::Arguments;
use crate::cli::Failure;

/// Print the page for man, or write it and those of all subcommands to a folder.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tagalong man | man -l -
  tagalong man --out /usr/local/share/man/man1")]
pub(super) struct Man {
    /// The folder for all pages; it is made if there is none.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        let command = Arguments::command();
        let Some(folder) = self.out else {
            let mut page = Vec::new();
            Page::new(command).render(&mut page)?;
            return Ok(out.write_all(&page)?);
        };
        fs::create_dir_all(&folder)
            .and_then(|()| clap_mangen::generate_to(command, &folder))
            .with_context(|| format!("the pages cannot be written to {}", folder.display()))?;
        Ok(())
    }
}
