//! What is noticed of a store when connecting to it that whoever runs it should know.

use std::fmt;
use std::time::Duration;

use crate::model::health::Code;
use crate::model::time::Timestamp;
use crate::shared::connect::Told;

/// Something about the store that costs more than it need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// When its memory is full it evicts what it likes: tags' keys, the sequence or the log too, and everything stored is
    /// forgotten each time.
    Evicts {
        /// As the server calls it.
        policy: String,
    },
    /// Its memory has no limit, so its machine's is.
    NoLimit,
    /// Its clock and ours differ.
    Skew {
        /// By so much.
        by: Duration,
    },
    /// It is older than what we are made for.
    Old {
        /// As the server says.
        version: String,
    },
}

/// More of a difference between clocks than this is told.
const SKEW: Duration = Duration::from_secs(2);

impl Finding {
    /// As what it is told to who asks how we are, where the store does its work worse for it; `None`: it is only to be known.
    pub fn code(&self) -> Option<Code> {
        match self {
            Finding::Evicts { .. } => Some(Code::StoreEvicts),
            Finding::Old { .. } => Some(Code::StoreVersion),
            Finding::NoLimit | Finding::Skew { .. } => None,
        }
    }

    pub(super) fn all(told: &Told, its_time: Timestamp, now: Timestamp) -> Vec<Finding> {
        let mut findings = Vec::new();
        let policy = told.get("maxmemory_policy").unwrap_or_default();
        let limited = told.get("maxmemory").is_some_and(|most| most != "0");
        if limited && may_evict_all(policy) {
            let policy = policy.to_owned();
            findings.push(Finding::Evicts { policy });
        }
        if !limited {
            findings.push(Finding::NoLimit);
        }
        let by = its_time.since(now).max(now.since(its_time));
        if by > SKEW {
            findings.push(Finding::Skew { by });
        }
        let version = told.get("redis_version").unwrap_or_default();
        if is_old(version) {
            let version = version.to_owned();
            findings.push(Finding::Old { version });
        }
        findings
    }
}

/// All that we write has a life, so that `volatile-random` may evict any of it too.
fn may_evict_all(policy: &str) -> bool {
    policy.starts_with("allkeys-") || policy == "volatile-random"
}

/// Before 6.2 a log cannot be trimmed by age. Valkey says 7.2.4 for the sake of clients.
fn is_old(version: &str) -> bool {
    let mut numbers = version.split('.').map(|it| it.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) < (6, 2),
        (Some(_), None) | (None, _) => false, // nobody knows
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Evicts { policy } => write!(
                f,
                "the store's `maxmemory-policy` is {policy}: when its memory is full, tags and the log may be evicted, and everything \
                 stored is forgotten then; `volatile-ttl` or `noeviction` would be better"
            ),
            Finding::NoLimit => f.write_str("the store's memory has no limit (`maxmemory`)"),
            Finding::Skew { by } => write!(
                f,
                "the store's clock and this machine's differ by {}s",
                by.as_secs()
            ),
            Finding::Old { version } => {
                write!(f, "the store is Redis {version}; 6.2 or later is needed")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (version, old) in [
            ("7.0.15", false),
            ("6.2.0", false),
            ("6.0.16", true),
            ("10.0.0", false),
            ("5.0.14", true),
            ("unstable", false),
            ("", false),
        ] {
            assert_eq!(is_old(version), old, "{version}");
        }
    }
}
