//! `tagalong check`: reads the files as a start would, and says everything that is wrong with them, or what is in force.

mod process;
mod rule;

use std::fmt;
use std::io::{self, Write};

use clap::Args;
use serde::Serialize;

use crate::cli::Failure;
use crate::cli::check::process::ProcessView;
use crate::cli::check::rule::RuleView;
use crate::cli::files::Files;
use crate::cli::table::Table;
use crate::clock::Clock;
use crate::config::Config;
use crate::model::mistake::Mistake;

/// Check configuration and rules as a start would: every mistake with file, line and column, or what is in force.
///
/// What is allowed and surely not meant, such as a rule that no request reaches, is a warning.
#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    files: Files,
    /// As JSON, for CI.
    #[arg(long)]
    json: bool,
    /// Warnings count as mistakes: exit code 2.
    #[arg(long)]
    strict: bool,
}

/// What was found. As JSON, `{"mistakes": [], "warnings": [], "namespace": …, "rules": []}`:
///
/// - `mistakes` and `warnings`: of `{"file", "line", "column", "message"}`; with mistakes nothing else is there;
/// - with a configuration, its `namespace`, `listen` (a list), `upstream`, `store` (`max_bytes`, and `redis`: `null` or `{"url", "timeout",
///   "bodies", "compress"}`), `tags` (`{"consistency", "max_lag", "outbox_max"}`), `epoch`, `unmatched` (`rfc9111` or `bypass`), `limits` by name, `increment_webhooks` (of `{"url", "batch", "max"}`) and `purge_groups` (`{"tags": []}` or
///   `{"all": true}` by name);
/// - `rules`, in the order in which they are tried: see [`RuleView`].
///
/// Times are in seconds, sizes in bytes.
#[derive(Debug, Default, Serialize)]
struct Report {
    mistakes: Vec<MistakeView>,
    warnings: Vec<MistakeView>,
    #[serde(flatten)]
    process: Option<ProcessView>,
    rules: Vec<RuleView>,
}

#[derive(Debug, Serialize)]
struct MistakeView {
    file: String,
    line: Option<usize>,
    column: Option<usize>,
    message: String,
}

impl Check {
    pub(super) fn run(self, out: &mut impl Write, err: &mut impl Write) -> Result<(), Failure> {
        if !self.files.has_any() {
            return Err(Failure::Usage(
                "nothing to check: name files by --config FILE, --rules FOLDER, or both".into(),
            ));
        }
        let whole = self.files.has_config();
        match self.files.read() {
            Ok(config) => {
                let warnings = config.all_warnings(Clock::System.now());
                let report = Report::of(&config, whole, &warnings);
                if self.json {
                    print(out, &report)?;
                } else {
                    write!(out, "{report}")?;
                }
                if self.strict && !warnings.is_empty() {
                    return Err(Failure::Warnings(warnings));
                }
                for warning in warnings {
                    writeln!(err, "warning: {warning}")?;
                }
                Ok(())
            }
            Err(Failure::Mistakes(mistakes)) => {
                if self.json {
                    print(out, &Report::wrong(&mistakes))?;
                }
                Err(Failure::Mistakes(mistakes))
            }
            Err(failure) => Err(failure),
        }
    }
}

fn print(out: &mut impl Write, report: &Report) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    writeln!(out)
}

impl Report {
    /// `whole`: a configuration was read, and not rules alone.
    fn of(config: &Config, whole: bool, warnings: &[Mistake]) -> Report {
        let rules = config.rules.rules().iter().zip(1..);
        Report {
            mistakes: Vec::new(),
            warnings: MistakeView::all(warnings),
            process: whole.then(|| ProcessView::of(config)),
            rules: rules
                .map(|(rule, order)| RuleView::of(rule, order))
                .collect(),
        }
    }

    fn wrong(mistakes: &[Mistake]) -> Report {
        Report {
            mistakes: MistakeView::all(mistakes),
            ..Report::default()
        }
    }
}

impl MistakeView {
    fn all(mistakes: &[Mistake]) -> Vec<MistakeView> {
        mistakes.iter().map(MistakeView::of).collect()
    }

    fn of(mistake: &Mistake) -> MistakeView {
        MistakeView {
            file: mistake.file.to_string(),
            line: mistake.place.map(|place| place.line),
            column: mistake.place.map(|place| place.column),
            message: mistake.message.clone(),
        }
    }
}

impl fmt::Display for Report {
    /// What is in force, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.warnings.len() {
            0 => writeln!(f, "No mistakes.")?,
            1 => writeln!(f, "No mistakes, 1 warning.")?,
            many => writeln!(f, "No mistakes, {many} warnings.")?,
        }
        if let Some(process) = &self.process {
            write!(f, "\n{process}")?;
        }
        let many = if self.rules.len() == 1 { "" } else { "s" };
        let count = self.rules.len();
        writeln!(f, "\n{count} rule{many}, the first that matches counts")?;
        if count == 0 {
            return Ok(());
        }
        let mut table = Table::headed(&RuleView::COLUMNS);
        self.rules.iter().for_each(|rule| table.row(rule.cells()));
        write!(f, "\n{table}")
    }
}
