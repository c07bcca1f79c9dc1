//! How a sidecar is: may it be sent requests, and what should be looked at.

use std::borrow::Cow;
use std::fmt;

/// Something that is not as it should be, though requests are answered (L13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// For machines: the same for as long as it is this.
    pub code: Code,
    /// One sentence for people. Holds no secret.
    pub message: Cow<'static, str>,
}

/// What is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Files were changed and are wrong: what was in force before stays.
    RulesNotReloaded,
    /// Nothing was heard of the shared store for too long, or ever.
    Fenced,
    /// The shared store has not taken every increment yet.
    IncrementsWait,
    /// There is no connection to the shared store, or none that lasts.
    StoreAway,
    /// The shared store is there and refuses commands.
    StoreRefuses,
    /// The shared store may evict what all the rest depends on.
    StoreEvicts,
    /// The shared store is too old.
    StoreVersion,
}

impl Code {
    /// All of them.
    pub const ALL: [Code; 7] = [
        Code::RulesNotReloaded,
        Code::Fenced,
        Code::IncrementsWait,
        Code::StoreAway,
        Code::StoreRefuses,
        Code::StoreEvicts,
        Code::StoreVersion,
    ];

    /// Lower case words with `-` between them.
    pub fn word(self) -> &'static str {
        match self {
            Code::RulesNotReloaded => "rules-not-reloaded",
            Code::Fenced => "fenced",
            Code::IncrementsWait => "increments-wait",
            Code::StoreAway => "store-away",
            Code::StoreRefuses => "store-refuses",
            Code::StoreEvicts => "store-evicts",
            Code::StoreVersion => "store-version",
        }
    }
}

/// Whether requests are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not yet.
    Starting,
    /// Yes.
    Serving,
    /// Only those that are under way: it has been told to stop.
    Draining,
}

/// How a sidecar is at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether requests are answered.
    pub phase: Phase,
    /// What should be looked at; none: all is well.
    pub reasons: Vec<Reason>,
}

/// Who knows how the sidecar is.
pub trait Checkup: fmt::Debug + Send + Sync {
    /// How it is now. Asks nobody and waits for nothing: it must come back even where nothing else does.
    fn health(&self) -> Health;
}
