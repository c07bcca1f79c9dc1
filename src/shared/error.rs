//! What can go wrong with a store: a kind for metrics and decisions, a text for the log.

use std::fmt;

use redis::{ErrorKind, ParsingError, RedisError, ServerErrorKind};

use crate::metrics::SharedError;

/// A failure of the store.
#[derive(Clone, Debug)]
pub struct Error {
    /// What went wrong.
    pub kind: SharedError,
    text: String,
}

impl Error {
    /// Whether it is hoped to be over with another connection.
    pub fn ends_link(&self) -> bool {
        !matches!(
            self.kind,
            SharedError::Oom | SharedError::NoScript | SharedError::Other
        )
    }

    pub(super) fn new(kind: SharedError, text: impl Into<String>) -> Error {
        let text = text.into();
        Error { kind, text }
    }

    /// Another server has by now what was asked for here.
    pub fn moved() -> Error {
        Error::new(SharedError::Moved, "another server has the tags by now")
    }

    /// The answer was none that this version understands.
    pub(super) fn unexpected(what: &str) -> Error {
        Error::new(SharedError::Other, format!("unexpected answer to {what}"))
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

fn kind_of(error: &RedisError, text: &str) -> SharedError {
    if error.is_timeout() {
        return SharedError::Timeout;
    }
    // Of a command that fails within a script, some servers say so behind a code of their own.
    let says = |word: &str| error.code() == Some(word) || text.contains(word);
    for (word, kind) in [
        ("GENERATION", SharedError::Generation),
        ("OOM", SharedError::Oom),
        ("READONLY", SharedError::ReadOnly),
        ("WRONGTYPE", SharedError::WrongType),
        ("NOSCRIPT", SharedError::NoScript),
        ("LOADING", SharedError::Loading),
        ("MASTERDOWN", SharedError::ReadOnly),
        ("NOAUTH", SharedError::Authentication),
        ("WRONGPASS", SharedError::Authentication),
        ("NOPERM", SharedError::Authentication),
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
        ErrorKind::AuthenticationFailed => SharedError::Authentication,
        ErrorKind::Server(
            ServerErrorKind::Moved
            | ServerErrorKind::Ask
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown,
        ) => SharedError::Moved,
        ErrorKind::Io
        | ErrorKind::ClusterConnectionNotFound
        | ErrorKind::MasterNameNotFoundBySentinel => SharedError::Connection,
        _ if error.is_connection_dropped() => SharedError::Connection,
        _ => SharedError::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_say_has_a_kind() {
        for (said, expected) in [
            (
                "-OOM command not allowed when used memory > 'maxmemory'.",
                SharedError::Oom,
            ),
            (
                "-READONLY You can't write against a read only replica.",
                SharedError::ReadOnly,
            ),
            (
                "-LOADING Redis is loading the dataset in memory",
                SharedError::Loading,
            ),
            ("-MOVED 3999 127.0.0.1:6381", SharedError::Moved),
            ("-CLUSTERDOWN The cluster is down", SharedError::Moved),
            (
                "-WRONGTYPE Operation against a key holding the wrong kind of value",
                SharedError::WrongType,
            ),
            (
                "-NOSCRIPT No matching script. Please use EVAL.",
                SharedError::NoScript,
            ),
            (
                "-NOAUTH Authentication required.",
                SharedError::Authentication,
            ),
            (
                "-NOPERM this user has no permissions",
                SharedError::Authentication,
            ),
            ("-GENERATION another history", SharedError::Generation),
            ("-ERR something else", SharedError::Other),
        ] {
            let value = redis::parse_redis_value(format!("{said}\r\n").as_bytes()).unwrap();
            let error = Error::from(value.extract_error().unwrap_err());
            assert_eq!(error.kind, expected, "{said}: {error}");
        }
    }
}
