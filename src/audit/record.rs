//! One record: what it says, and how it is written for other sidecars.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::json;

use crate::clock::Clock;
use crate::model::time::Timestamp;
use crate::model::words::words;

/// What somebody has done.
#[derive(Clone, Debug)]
pub struct Act {
    /// Who: the name of a token.
    pub who: Box<str>,
    /// What.
    pub what: What,
    /// To what, as it was asked.
    pub target: Value,
    /// What came of it, as it was answered.
    pub effect: Value,
    /// The status of the answer.
    pub status: u16,
}

/// What can be done that changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Tags were incremented.
    Increment,
    /// Something was forgotten.
    Purge,
    /// Something was fetched again.
    Refresh,
    /// Attributes changed (rules.md §6).
    Change,
    /// The epoch was raised.
    Epoch,
    /// The rules were read again.
    Reload,
    /// An entry got another life.
    EntryTtl,
    /// An entry was deleted.
    EntryDelete,
    /// A value was put.
    ObjectPut,
    /// A value was deleted.
    ObjectDelete,
}

words!(What {
    Increment => "increment",
    Purge => "purge",
    Refresh => "refresh",
    Change => "change",
    Epoch => "epoch",
    Reload => "reload",
    EntryTtl => "entry-ttl",
    EntryDelete => "entry-delete",
    ObjectPut => "object-put",
    ObjectDelete => "object-delete",
});

/// Something that was done. Never edited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its name, which is nobody else's.
    pub id: Box<str>,
    /// When, by the clock of the sidecar.
    #[serde(with = "micros")]
    pub at: Timestamp,
    /// Who: the name of a token.
    pub who: Box<str>,
    /// Which sidecar was asked.
    pub sidecar: Box<str>,
    /// The word for what was done. Those of newer versions are not known here.
    pub what: Cow<'static, str>,
    /// To what, as it was asked.
    pub target: Value,
    /// What came of it, as it was answered.
    pub effect: Value,
    /// The status of the answer.
    pub status: u16,
}

/// The most that is kept of a target, or of an effect, in bytes of JSON.
const LONGEST: usize = 1 << 10;

/// More than any record takes; more is not read.
const MOST: usize = 16 << 10;

impl Record {
    pub(super) fn of(act: Act, sidecar: &str, clock: &Clock) -> Record {
        let at = clock.now();
        let chance = clock.random() as u32;
        Record {
            id: format!("{:016x}{chance:08x}", at.as_micros()).into(),
            at,
            who: act.who,
            sidecar: sidecar.into(),
            what: Cow::Borrowed(act.what.word()),
            target: short(act.target),
            effect: short(act.effect),
            status: act.status,
        }
    }

    /// As other sidecars read it.
    pub fn written(&self) -> String {
        serde_json::to_string(self).expect("texts, numbers and JSON are JSON")
    }

    /// What another sidecar has written; `None`: nobody has, or a version of which nothing is known here.
    pub fn read(text: &[u8]) -> Option<Record> {
        if text.len() > MOST {
            return None;
        }
        serde_json::from_slice(text).ok()
    }
}

/// What is too long is cut, as a text.
fn short(value: Value) -> Value {
    let text = value.to_string();
    match text.get(..text.floor_char_boundary(LONGEST)) {
        Some(beginning) if beginning.len() < text.len() => json!({ "cut": beginning }),
        Some(_) | None => value,
    }
}

/// Moments as microseconds since the epoch.
mod micros {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::model::time::Timestamp;

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(at.as_micros())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        u64::deserialize(from).map(Timestamp::from_micros)
    }
}
