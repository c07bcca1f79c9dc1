//! The files a command is given.

use std::path::PathBuf;

use clap::Args;

use crate::cli::Failure;
use crate::config;
use crate::config::Config;
use crate::config::Instead;

/// Which files to read.
#[derive(Debug, Args)]
pub(super) struct Files {
    /// The configuration, such as tagalong.yaml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A folder of rule files, in place of the one that the configuration names.
    #[arg(long, value_name = "FOLDER")]
    rules: Option<PathBuf>,
}

impl Files {
    /// Whether a configuration is named.
    pub(super) fn has_config(&self) -> bool {
        self.config.is_some()
    }

    /// Whether any file is named.
    pub(super) fn has_any(&self) -> bool {
        self.config.is_some() || self.rules.is_some()
    }

    /// What they say.
    pub(super) fn read(self) -> Result<Config, Failure> {
        self.read_with(Instead::default())
    }

    /// What they say, `instead` holding in their place.
    pub(super) fn read_with(self, instead: Instead) -> Result<Config, Failure> {
        let instead = Instead {
            rules: self.rules,
            ..instead
        };
        config::read(self.config.as_deref(), instead).map_err(Failure::Mistakes)
    }
}
