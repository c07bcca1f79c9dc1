//! The files a command is given, and what the command line says over them.

use std::path::PathBuf;

use clap::Args;

use crate::cli::Failure;
use crate::config;
use crate::config::Config;
use crate::config::Overrides;
use crate::rules::RuleSet;

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

    /// The whole configuration, the rules with it; `upstream` and `listen` in place of the file's.
    pub(super) fn config(
        &self,
        upstream: Option<String>,
        listen: Vec<String>,
    ) -> Result<Config, Failure> {
        let overrides = Overrides {
            upstream,
            listen,
            rules: self.rules.clone(),
        };
        config::load(self.config.as_deref(), &overrides).map_err(Failure::Mistakes)
    }

    /// The rules alone: the folder's, or those of the configuration; without either there are none.
    pub(super) fn rules(&self) -> Result<RuleSet, Failure> {
        config::load_rules(self.config.as_deref(), self.rules.as_deref()).map_err(Failure::Mistakes)
    }
}
