//! Who counts what becomes of a rule's requests.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::model::outcome::Failure;
use crate::model::outcome::NoStore;
use crate::model::outcome::Outcome;

/// The counters of one rule. On the path of every request, so counting neither waits nor looks anything up.
pub trait Tally: fmt::Debug + Send + Sync {
    /// A request was answered; until the head of the answer it took so long.
    fn request(&self, outcome: Outcome, took: Duration);

    /// A response that might have been stored was not.
    fn not_stored(&self, reason: NoStore);

    /// A response was stored, or what is stored is still right.
    fn stored(&self);

    /// The app was asked: this is its status or why there is none, and it took so long.
    fn asked(&self, answer: Result<StatusCode, Failure>, took: Duration);

    /// The app's answer is another than what would have been served.
    fn differs(&self);
}

/// Who has the counters of all rules in force.
pub trait Tallies {
    /// Those of the rules with these ids, one each, in this order; the empty one is that of requests that no rule matches. A
    /// rule that was there before goes on counting; one that is not named is forgotten.
    fn tallies(&self, rules: &[&str]) -> Vec<Arc<dyn Tally>>;
}
