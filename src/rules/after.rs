//! After which responses something applies that a rule declares.

use std::fmt;

use http::response::Parts;

use crate::model::request::Head;
use crate::rules::condition::Condition;
use crate::rules::statuses::StatusSet;

/// The responses after which something applies.
#[derive(Debug)]
pub(super) struct After {
    pub(super) on_status: StatusSet,
    /// What must hold besides.
    pub(super) when: Option<Condition>,
}

impl After {
    /// Whether this is one of them.
    pub(super) fn holds(&self, head: &Head, response: &Parts) -> bool {
        let when = self.when.as_ref();
        self.on_status.contains(response.status)
            && when.is_none_or(|when| when.holds(head, Some(response)))
    }
}

impl fmt::Display for After {
    /// `on 200-399 if response header x-changed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "on {}", self.on_status)?;
        match &self.when {
            Some(when) => write!(f, " if {when}"),
            None => Ok(()),
        }
    }
}
