//! The labels whose values are closed sets.

use http::StatusCode;

use crate::model::outcome::Failure;
use crate::model::outcome::Kind;
use crate::model::outcome::NoStore;
use crate::model::words::Word;
use crate::model::words::words;

/// What a label may say.
pub trait Label: Word {
    /// The name of the label.
    const NAME: &'static str;
}

/// What is wrong where the shared store does not do what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedError {
    /// It did not answer in time.
    Timeout,
    /// It could not be reached, or the connection was lost.
    Connection,
    /// It has no memory left (`OOM`).
    Oom,
    /// It is a replica (`READONLY`).
    ReadOnly,
    /// It is still reading its data (`LOADING`).
    Loading,
    /// The key belongs to another node (`MOVED`, `ASK`, `CROSSSLOT`).
    Moved,
    /// It does not know the script, not even after it was sent (`NOSCRIPT`).
    NoScript,
    /// Something of another kind is under the key (`WRONGTYPE`).
    WrongType,
    /// It does not let us in, or not do this (`NOAUTH`, `WRONGPASS`, `NOPERM`).
    Authentication,
    /// It has another history than the one that is followed here (L3).
    Generation,
    /// Anything else.
    Other,
}

words!(SharedError {
    Timeout => "timeout",
    Connection => "connection",
    Oom => "oom",
    ReadOnly => "readonly",
    Loading => "loading",
    Moved => "moved",
    NoScript => "no-script",
    WrongType => "wrong-type",
    Authentication => "authentication",
    Generation => "generation",
    Other => "other",
});

/// Who said that a tag has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A response of the app, or the rule of its request.
    Response,
    /// An increment that was to be repeated (`again`).
    Repeat,
    /// Another sidecar, through the log.
    OtherSidecar,
    /// An operator, or a program that calls the admin interface.
    Admin,
}

words!(Source {
    Response => "response",
    Repeat => "repeat",
    OtherSidecar => "other-sidecar",
    Admin => "admin",
});

/// What a lookup in the shared store found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedLookup {
    /// What was looked for.
    Hit,
    /// Nothing that could be used.
    Miss,
}

words!(SharedLookup {
    Hit => "hit",
    Miss => "miss",
});

/// Why an entry in the shared store cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// Another version of Tagalong wrote it, in another format.
    Version,
    /// It is cut, changed, or nothing that Tagalong wrote.
    Corrupt,
    /// It is larger than this sidecar takes; another may have wider limits.
    TooLarge,
}

words!(Foreign {
    Version => "version",
    Corrupt => "corrupt",
    TooLarge => "too-large",
});

/// How it went with the right to be the only sidecar that fetches something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseEnd {
    /// This sidecar had it.
    Acquired,
    /// Another one had it, and this one waited.
    Waited,
    /// This sidecar had it and lost it before it was done.
    Lost,
}

words!(LeaseEnd {
    Acquired => "acquired",
    Waited => "waited",
    Lost => "lost",
});

/// What was done with a value of the app's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectChange {
    /// It was put.
    Put,
    /// It was deleted.
    Delete,
}

words!(ObjectChange {
    Put => "put",
    Delete => "delete",
});

/// Where entries are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// In this process.
    Memory,
}

words!(Tier {
    Memory => "memory",
});

/// What came of asking the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It switched protocols.
    Informational,
    /// It answered with success.
    Success,
    /// It answered with a redirection, or that what is stored is still right.
    Redirection,
    /// It answered that the request was wrong.
    ClientError,
    /// It answered with an error of its own.
    ServerError,
    /// It answered with a status of no class.
    OtherStatus,
    /// It could not be reached, or broke the connection.
    Unreachable,
    /// It did not answer in time.
    TimedOut,
    /// What it answered was no HTTP.
    Malformed,
    /// The client's body ended early.
    RequestCut,
    /// The client took too long with its body.
    RequestLate,
}

impl Answered {
    /// What it is counted as; `None` where the app was not asked.
    pub(super) fn of(answer: Result<StatusCode, Failure>) -> Option<Answered> {
        match answer {
            Ok(status) => Some(match status.as_u16() / 100 {
                1 => Answered::Informational,
                2 => Answered::Success,
                3 => Answered::Redirection,
                4 => Answered::ClientError,
                5 => Answered::ServerError,
                _ => Answered::OtherStatus,
            }),
            Err(Failure::Unreachable | Failure::Closed) => Some(Answered::Unreachable),
            Err(Failure::TimedOut) => Some(Answered::TimedOut),
            Err(Failure::Malformed) => Some(Answered::Malformed),
            Err(Failure::RequestCut) => Some(Answered::RequestCut),
            Err(Failure::RequestLate) => Some(Answered::RequestLate),
            Err(Failure::Abandoned | Failure::Overloaded | Failure::Unvalidated) => None,
        }
    }
}

words!(Answered {
    Informational => "1xx",
    Success => "2xx",
    Redirection => "3xx",
    ClientError => "4xx",
    ServerError => "5xx",
    OtherStatus => "other",
    Unreachable => "unreachable",
    TimedOut => "timed-out",
    Malformed => "malformed",
    RequestCut => "request-cut",
    RequestLate => "request-late",
});

/// Whether something that was to be sent has got there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It has.
    Done,
    /// It has not, and is lost.
    Failed,
}

words!(Sent {
    Done => "done",
    Failed => "failed",
});

impl Label for Sent {
    const NAME: &'static str = "result";
}

/// How an operator's call was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallStatus {
    /// As it was meant.
    Success,
    /// The caller has what is there already, or is sent elsewhere.
    Redirection,
    /// It was refused, or was wrong.
    ClientError,
    /// It could not be done.
    ServerError,
}

impl From<StatusCode> for CallStatus {
    fn from(status: StatusCode) -> CallStatus {
        match status.as_u16() / 100 {
            1 | 2 => CallStatus::Success,
            3 => CallStatus::Redirection,
            4 => CallStatus::ClientError,
            _ => CallStatus::ServerError,
        }
    }
}

words!(CallStatus {
    Success => "2xx",
    Redirection => "3xx",
    ClientError => "4xx",
    ServerError => "5xx",
});

impl Label for Kind {
    const NAME: &'static str = "outcome";
}

impl Label for NoStore {
    const NAME: &'static str = "reason";
}

impl Label for SharedError {
    const NAME: &'static str = "kind";
}

impl Label for Source {
    const NAME: &'static str = "source";
}

impl Label for Answered {
    const NAME: &'static str = "result";
}

impl Label for CallStatus {
    const NAME: &'static str = "status";
}

impl Label for SharedLookup {
    const NAME: &'static str = "result";
}

impl Label for Foreign {
    const NAME: &'static str = "kind";
}

impl Label for ObjectChange {
    const NAME: &'static str = "change";
}

impl Label for LeaseEnd {
    const NAME: &'static str = "result";
}

impl Label for Tier {
    const NAME: &'static str = "tier";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_order<L: Label>() {
        for (n, it) in L::ALL.iter().enumerate() {
            assert_eq!(it.index(), n, "{it:?}");
        }
    }

    #[test]
    fn words_stand_in_the_order_of_their_type() {
        in_order::<SharedError>();
        in_order::<Source>();
        in_order::<Answered>();
        in_order::<CallStatus>();
        in_order::<ObjectChange>();
        in_order::<Sent>();
        in_order::<SharedLookup>();
        in_order::<Foreign>();
        in_order::<LeaseEnd>();
        in_order::<Tier>();
    }
}
