//! `tagalong health`.

use std::io::Write;

use clap::Args;

use crate::admin::client::Answer;
use crate::admin::view::Alive;
use crate::admin::view::Health as View;
use crate::admin::view::Word;
use crate::cli::Failure;
use crate::cli::remote::Remote;
use crate::cli::remote::line;
use crate::model::printable::printable;

/// Say how a sidecar is, and what should be looked at.
///
/// It has done what was asked (exit code 0) if the sidecar answers requests, degraded or not, and could not (1) if it starts, is
/// about to stop, or is away.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tagalong health
  tagalong health --admin http://10.0.0.7:9080 --json")]
pub(in crate::cli) struct Health {
    #[command(flatten)]
    remote: Remote,
}

impl Health {
    pub(in crate::cli) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        let answer = self.remote.reach.client()?.health()?;
        let health = read(&answer)?;
        match self.remote.json {
            true => line(out, answer.text())?,
            false => write!(out, "{}", words(&health))?,
        }
        match health.status {
            Word::Ok | Word::Degraded => Ok(()),
            Word::Starting | Word::Draining => {
                Err(anyhow::anyhow!("it answers no requests").into())
            }
        }
    }
}

/// Who may not know the reasons is told none.
fn read(answer: &Answer<View>) -> Result<View, Failure> {
    let Alive { status } = answer.read_as()?;
    let reasons = answer.read().map(|health| health.reasons);
    Ok(View {
        status,
        reasons: reasons.unwrap_or_default(),
    })
}

fn words(health: &View) -> String {
    let reasons = health.reasons.iter().map(|reason| {
        let (code, message) = (printable(&reason.code), printable(&reason.message));
        format!("  {code}: {message}\n")
    });
    let reasons: String = reasons.collect();
    format!("{}\n{reasons}", word(health.status))
}

/// How it is, and what is wrong, on one line.
pub(super) fn brief(health: &View) -> String {
    let codes: Vec<&str> = health.reasons.iter().map(|it| it.code.as_str()).collect();
    match codes.is_empty() {
        true => word(health.status).to_owned(),
        false => format!("{}: {}", word(health.status), codes.join(", ")),
    }
}

fn word(word: Word) -> &'static str {
    match word {
        Word::Ok => "ok",
        Word::Degraded => "degraded",
        Word::Starting => "starting",
        Word::Draining => "draining",
    }
}
