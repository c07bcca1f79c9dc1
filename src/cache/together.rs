//! A cache among others that share its tags: what it hears of them, and how that goes.

use std::borrow::Cow;

use crate::cache::Cache;
use crate::model::health::Code;
use crate::model::health::Reason;
use crate::model::tag::Tag;
use crate::rules::LiveRules;
use crate::shared::Link;
use crate::tags::News;

/// The most tags that are named where increments were lost or wait.
const NAMED: usize = 20;

impl Cache {
    /// Keeps in touch with the others for as long as this runs, and these rules under the epoch of all. Comes back at once when
    /// there are none.
    pub async fn keep_in_touch(&self, rules: &LiveRules) {
        let tell = |news| async move {
            match news {
                News::Changed | News::Begun => self.look_for_invalidated(),
                News::Ended(flight) => {
                    self.0.ended.send(flight).ok(); // an error means that nobody waits
                }
                News::Epoch(epoch) => raise_epoch(rules, epoch),
                News::Purged(patterns) => self.purged_elsewhere(patterns).await,
            }
        };
        self.0.tags.follow(tell).await;
    }

    /// The connection to the store that all share, while there is one.
    pub fn link(&self) -> Option<Link> {
        self.0.tags.link()
    }

    /// The epoch of the rules in force here is this; the others are to go on under it too.
    pub fn raise_epoch(&self, epoch: u64) {
        self.0.tags.raise_epoch(epoch);
    }

    /// Comes back when the others have been heard of for the first time; at once when there are none.
    pub async fn in_touch(&self) {
        self.0.tags.in_touch().await;
    }

    /// Waits until the store has every increment (L6). At once when there is none.
    pub async fn flush(&self) {
        self.0.tags.flush().await;
    }

    /// Says in the log which increments the store has not taken, as they end with this process (L6).
    pub fn report_undelivered(&self) {
        let tags = self.0.tags.undelivered();
        if !tags.is_empty() {
            let count = tags.len();
            let tags = named(&tags);
            tracing::error!(
                count,
                tags,
                "increments are lost: the shared store could not take them before the end"
            );
        }
    }

    /// What is not as it should be.
    pub fn health(&self) -> Vec<Reason> {
        let tags = &self.0.tags;
        let mut reasons = Vec::new();
        let mut say = |code, message: String| {
            reasons.push(Reason {
                code,
                message: Cow::Owned(message),
            });
        };
        if tags.is_fenced() {
            let since = match tags.lag() {
                Some(lag) => format!("for {:.1} s", lag.as_secs_f64()),
                None => "yet".to_owned(),
            };
            say(
                Code::Fenced,
                format!(
                    "nothing has been heard of the shared store {since}: what is stored is not served"
                ),
            );
        }
        if let Some(why) = tags.away() {
            say(
                Code::StoreAway,
                format!("the shared store cannot be used: {why}"),
            );
        }
        if let Some(why) = tags.refused() {
            say(
                Code::StoreRefuses,
                format!("the shared store refuses what is asked of it: {why}"),
            );
        }
        let waiting = tags.waiting();
        if waiting > 0 {
            say(
                Code::IncrementsWait,
                format!("{waiting} increments wait for the shared store"),
            );
        }
        for finding in tags.findings() {
            if let Some(code) = finding.code() {
                say(code, finding.to_string());
            }
        }
        reasons
    }

    /// Sets those metrics that say how things are at this moment.
    pub(super) fn measure_sharing(&self) {
        let (metrics, tags) = (&self.0.metrics, &self.0.tags);
        metrics.fenced.set(tags.is_fenced());
        if let Some(lag) = tags.lag() {
            metrics.log_lag.set(lag);
        }
    }
}

/// Somebody else has raised the epoch, now or before this process began.
fn raise_epoch(rules: &LiveRules, epoch: u64) {
    let ours = rules.load().epoch();
    if rules.raise_epoch(epoch) {
        tracing::warn!(
            epoch,
            ours,
            "the epoch of the shared store is higher than ours, and counts: nothing is found of what was stored under ours"
        );
    }
}

/// The first of these tags, for the log. Every one of them, if they are few.
fn named(tags: &[Tag]) -> String {
    let names: Vec<&str> = tags.iter().map(Tag::as_str).collect();
    match names.get(..NAMED) {
        Some(first) if names.len() > NAMED => format!("{}, …", first.join(", ")),
        Some(_) | None => names.join(", "),
    }
}
