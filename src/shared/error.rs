//! What can go wrong with a store: a kind for metrics and decisions, a text for the log.

use std::fmt;

use redis::{ErrorKind, ParsingError, RedisError, ServerErrorKind};

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// No answer in time.
    Timeout,
    /// No connection, or it was lost.
    Connection,
    /// The store's memory is full, and it may evict nothing.
    Full,
    /// The server is a replica, or was made one.
    ReadOnly,
    /// The server still reads its data.
    Loading,
    /// The keys are on another node of the Cluster, or on their way there.
    Moved,
    /// The server has forgotten a script, and cannot be taught it again.
    NoScript,
    /// Under one of our names lies something that is not ours.
    WrongType,
    /// The server does not let us in, or not do what we must.
    Denied,
    /// The store has another history than the one we follow (L3).
    Generation,
    /// Anything else.
    Other,
}

impl Trouble {
    /// Whether it is hoped to be over with another connection.
    pub fn ends_link(self) -> bool {
        !matches!(self, Trouble::Full | Trouble::NoScript | Trouble::Other)
    }

    /// Every kind.
    pub const ALL: [Trouble; 11] = [
        Trouble::Timeout,
        Trouble::Connection,
        Trouble::Full,
        Trouble::ReadOnly,
        Trouble::Loading,
        Trouble::Moved,
        Trouble::NoScript,
        Trouble::WrongType,
        Trouble::Denied,
        Trouble::Generation,
        Trouble::Other,
    ];

    /// The metric's label.
    pub fn word(self) -> &'static str {
        match self {
            Trouble::Timeout => "timeout",
            Trouble::Connection => "connection",
            Trouble::Full => "full",
            Trouble::ReadOnly => "read-only",
            Trouble::Loading => "loading",
            Trouble::Moved => "moved",
            Trouble::NoScript => "no-script",
            Trouble::WrongType => "wrong-type",
            Trouble::Denied => "denied",
            Trouble::Generation => "generation",
            Trouble::Other => "other",
        }
    }
}

/// A failure of the store.
#[derive(Clone, Debug)]
pub struct Error {
    /// What went wrong.
    pub kind: Trouble,
    text: String,
}

impl Error {
    pub(super) fn new(kind: Trouble, text: impl Into<String>) -> Error {
        let text = text.into();
        Error { kind, text }
    }

    /// The answer was none that this version understands.
    pub(super) fn unexpected(what: &str) -> Error {
        Error::new(Trouble::Other, format!("unexpected answer to {what}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

impl From<RedisError> for Error {
    fn from(error: RedisError) -> Error {
        let text = error.to_string();
        Error::new(kind_of(&error, &text), text)
    }
}

impl From<ParsingError> for Error {
    fn from(error: ParsingError) -> Error {
        RedisError::from(error).into()
    }
}

fn kind_of(error: &RedisError, text: &str) -> Trouble {
    if error.is_timeout() {
        return Trouble::Timeout;
    }
    // Of a command that fails within a script, some servers say so behind a code of their own.
    let says = |word: &str| error.code() == Some(word) || text.contains(word);
    for (word, kind) in [
        ("GENERATION", Trouble::Generation),
        ("OOM", Trouble::Full),
        ("READONLY", Trouble::ReadOnly),
        ("WRONGTYPE", Trouble::WrongType),
        ("NOSCRIPT", Trouble::NoScript),
        ("LOADING", Trouble::Loading),
        ("MASTERDOWN", Trouble::ReadOnly),
        ("NOAUTH", Trouble::Denied),
        ("WRONGPASS", Trouble::Denied),
        ("NOPERM", Trouble::Denied),
    ] {
        if says(word) {
            return kind;
        }
    }
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the library adds kinds as it likes"
    )]
    match error.kind() {
        ErrorKind::AuthenticationFailed => Trouble::Denied,
        ErrorKind::Server(
            ServerErrorKind::Moved
            | ServerErrorKind::Ask
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown,
        ) => Trouble::Moved,
        ErrorKind::Io
        | ErrorKind::ClusterConnectionNotFound
        | ErrorKind::MasterNameNotFoundBySentinel => Trouble::Connection,
        _ if error.is_connection_dropped() => Trouble::Connection,
        _ => Trouble::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_word_of_its_own() {
        let mut words: Vec<_> = Trouble::ALL.map(Trouble::word).to_vec();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Trouble::ALL.len());
    }

    #[test]
    fn what_servers_say_has_a_kind() {
        for (said, expected) in [
            (
                "-OOM command not allowed when used memory > 'maxmemory'.",
                Trouble::Full,
            ),
            (
                "-READONLY You can't write against a read only replica.",
                Trouble::ReadOnly,
            ),
            (
                "-LOADING Redis is loading the dataset in memory",
                Trouble::Loading,
            ),
            ("-MOVED 3999 127.0.0.1:6381", Trouble::Moved),
            ("-CLUSTERDOWN The cluster is down", Trouble::Moved),
            (
                "-WRONGTYPE Operation against a key holding the wrong kind of value",
                Trouble::WrongType,
            ),
            (
                "-NOSCRIPT No matching script. Please use EVAL.",
                Trouble::NoScript,
            ),
            ("-NOAUTH Authentication required.", Trouble::Denied),
            ("-NOPERM this user has no permissions", Trouble::Denied),
            ("-GENERATION another history", Trouble::Generation),
            ("-ERR something else", Trouble::Other),
        ] {
            let value = redis::parse_redis_value(format!("{said}\r\n").as_bytes()).unwrap();
            let error = redis::from_redis_value::<String>(value).unwrap_err();
            let error = Error::from(RedisError::from(error));
            assert_eq!(error.kind, expected, "{said}: {error}");
        }
    }
}
