//! `tagalong schema`: the JSON Schema of a kind of file, for editors and for CI.

use std::io::Write;

use clap::{Args, ValueEnum};

use crate::cli::Failure;
use crate::config::schema;

/// Print the JSON Schema of the configuration or of rule files, for editors to complete and check them.
#[derive(Debug, Args)]
pub(super) struct Schema {
    /// Which kind of file.
    kind: Kind,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// The process: tagalong.yaml.
    Config,
    /// A rule file.
    Rules,
}

impl Schema {
    pub(super) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        let schema = match self.kind {
            Kind::Config => schema::config(),
            Kind::Rules => schema::rules(),
        };
        serde_json::to_writer_pretty(&mut *out, &schema)?;
        writeln!(out)?;
        Ok(())
    }
}
