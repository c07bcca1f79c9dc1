//! `tagalong check`: reads the files as a start would, and says everything that is wrong with them, or what is in force.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use clap::Args;
use serde::{Serialize, Serializer};

use crate::cli::Failure;
use crate::cli::files::Files;
use crate::config::Config;
use crate::model::mistake::Mistake;
use crate::model::purge::PurgeGroup;
use crate::model::units::Written;
use crate::rules::Rule;
use crate::rules::RuleSet;

/// Check configuration and rules as a start would: every mistake with file, line and column, or what is in force.
#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    files: Files,
    /// As JSON, for CI.
    #[arg(long)]
    json: bool,
}

/// What was found. As JSON `{"mistakes": [{"file", "line", "column", "message"}], "namespace": "…", "listen": ["…"],
/// "upstream": "…", "increment_webhooks": [{"url", "batch", "max"}], "purge_groups": {"books": {"tags": ["…"]}, "all": {"all": true}},
/// "rules": [{"id", "cache", "ttl", "max_ttl"}]}`, times in seconds; what was not read is absent.
#[derive(Debug, Default, Serialize)]
struct Report {
    mistakes: Vec<MistakeView>,
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

#[derive(Debug, Serialize)]
struct ProcessView {
    namespace: String,
    listen: Vec<String>,
    upstream: String,
    increment_webhooks: Vec<WebhookView>,
    purge_groups: BTreeMap<String, PurgeGroupView>,
}

/// The URL is shown without its query.
#[derive(Debug, Serialize)]
struct WebhookView {
    url: String,
    batch: Seconds,
    max: usize,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum PurgeGroupView {
    Tags { tags: Vec<String> },
    All { all: bool },
}

#[derive(Debug, Serialize)]
struct RuleView {
    id: String,
    cache: bool,
    ttl: Option<Seconds>,
    max_ttl: Seconds,
}

#[derive(Debug)]
struct Seconds(Duration);

impl Check {
    pub(super) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        if !self.files.has_any() {
            return Err(Failure::Usage(
                "nothing to check: name files by --config FILE, --rules FOLDER, or both".into(),
            ));
        }
        let whole = self.files.has_config();
        match self.files.read() {
            Ok(config) => {
                let report = if whole {
                    Report::of(&config)
                } else {
                    Report::of_rules(&config.rules)
                };
                if self.json {
                    return Ok(print(out, &report)?);
                }
                Ok(write!(out, "{report}")?)
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
    fn of(config: &Config) -> Report {
        Report {
            process: Some(ProcessView {
                namespace: config.namespace.clone(),
                listen: config.listen.iter().map(ToString::to_string).collect(),
                upstream: config.upstream.targets.to_string(),
                increment_webhooks: config
                    .increment_webhooks
                    .iter()
                    .map(|webhook| WebhookView {
                        url: webhook.url.to_string(),
                        batch: Seconds(webhook.batch),
                        max: webhook.max,
                    })
                    .collect(),
                purge_groups: config
                    .purge_groups
                    .iter()
                    .map(|(name, group)| (name.clone(), PurgeGroupView::of(group)))
                    .collect(),
            }),
            ..Report::of_rules(&config.rules)
        }
    }

    fn of_rules(rules: &RuleSet) -> Report {
        Report {
            rules: rules
                .rules()
                .iter()
                .map(|rule| RuleView::of(rule))
                .collect(),
            ..Report::default()
        }
    }

    fn wrong(mistakes: &[Mistake]) -> Report {
        Report {
            mistakes: mistakes.iter().map(MistakeView::of).collect(),
            ..Report::default()
        }
    }
}

impl MistakeView {
    fn of(mistake: &Mistake) -> MistakeView {
        MistakeView {
            file: mistake.file.to_string(),
            line: mistake.place.map(|place| place.line),
            column: mistake.place.map(|place| place.column),
            message: mistake.message.clone(),
        }
    }
}

impl PurgeGroupView {
    fn of(group: &PurgeGroup) -> PurgeGroupView {
        match group {
            PurgeGroup::Tags(tags) => PurgeGroupView::Tags {
                tags: tags.iter().map(ToString::to_string).collect(),
            },
            PurgeGroup::All => PurgeGroupView::All { all: true },
        }
    }
}

impl RuleView {
    fn of(rule: &Rule) -> RuleView {
        RuleView {
            id: rule.id.as_deref().unwrap_or_default().to_owned(),
            cache: rule.cache,
            ttl: rule.terms.ttl.map(Seconds),
            max_ttl: Seconds(rule.terms.max_ttl),
        }
    }
}

impl fmt::Display for Report {
    /// What is in force, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "No mistakes.")?;
        if let Some(ProcessView {
            namespace,
            listen,
            upstream,
            increment_webhooks,
            purge_groups,
        }) = &self.process
        {
            writeln!(f, "namespace {namespace}")?;
            writeln!(
                f,
                "listens on {}, in front of {upstream}",
                listen.join(", ")
            )?;
            for WebhookView { url, batch, max } in increment_webhooks {
                writeln!(
                    f,
                    "tells {url} what was incremented, for {batch} together, at most {max} tags a call"
                )?;
            }
            for (name, group) in purge_groups {
                writeln!(f, "purge group {name}: {group}")?;
            }
        }
        let many = if self.rules.len() == 1 { "" } else { "s" };
        writeln!(
            f,
            "{} rule{many}, the first that matches counts",
            self.rules.len()
        )?;
        self.rules
            .iter()
            .try_for_each(|rule| writeln!(f, "  {rule}"))
    }
}

impl fmt::Display for PurgeGroupView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PurgeGroupView::Tags { tags } => f.write_str(&tags.join(", ")),
            PurgeGroupView::All { .. } => f.write_str("everything"),
        }
    }
}

impl fmt::Display for RuleView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RuleView {
            id,
            cache,
            ttl,
            max_ttl,
        } = self;
        write!(f, "{id}: ")?;
        if !cache {
            return f.write_str("never stored");
        }
        f.write_str("fresh for as long as the response says")?;
        if let Some(ttl) = ttl {
            write!(f, ", or else for {ttl}")?;
        }
        write!(f, ", at most {max_ttl}")
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0.as_secs_f64())
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Written(self.0).fmt(f)
    }
}
