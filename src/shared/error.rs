//! What can go wrong with a store: a kind for metrics and decisions, a text for the log.

use std::fmt;

use redis::{ErrorKind, ParsingError, RedisError};

use crate::metrics::SharedError;

/// A failure of the store.
#[derive(Clone, Debug)]
pub struct Error {
    /// What went wrong.
    pub kind: SharedError,
    text: String,
    /// The server is the right one, and refuses what was asked: another connection changes nothing.
    refused: bool,
}

impl Error {
    /// Whether it is hoped to be over with another connection.
    pub fn ends_link(&self) -> bool {
        !self.refused
    }

    /// Whether the same command will be refused again, on whichever connection, until somebody changes the server.
    pub fn is_final(&self) -> bool {
        self.refused && self.kind != SharedError::Moved // while a slot moves its keys
    }

    pub(super) fn new(kind: SharedError, text: impl Into<String>) -> Error {
        let text = text.into();
        let refused = matches!(
            kind,
            SharedError::Oom | SharedError::NoScript | SharedError::Other
        );
        Error {
            kind,
            text,
            refused,
        }
    }

    /// The same, with what it is about.
    pub(super) fn about(self, what: &str) -> Error {
        let text = format!("{what}: {}", self.text);
        Error { text, ..self }
    }

    /// As if it had come from a store.
    #[cfg(test)]
    pub(crate) fn made_up(kind: SharedError, text: &str) -> Error {
        Error::new(kind, text)
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
        let kind = if error.is_timeout() {
            SharedError::Timeout
        } else if error.is_connection_dropped() || error.kind() == ErrorKind::Io {
            SharedError::Connection
        } else if error.kind() == ErrorKind::AuthenticationFailed {
            SharedError::Authentication
        } else {
            SharedError::Other
        };
        let text = error.to_string();
        let said = error.into_server_errors();
        match said.as_ref().and_then(|all| all.first()) {
            Some((_, first)) => Error::said(first.code(), first.details().unwrap_or_default()),
            None if kind == SharedError::Authentication => {
                Error::new(kind, "it refuses the user or the password")
            }
            None => Error::new(kind, text),
        }
    }
}

impl Error {
    /// What a server has said. It may name the user and what was asked, which is for nobody to read.
    fn said(code: &str, detail: &str) -> Error {
        let rights = detail.find("has no permissions");
        let rights = rights.and_then(|at| detail.get(at..));
        let text = match (code, rights) {
            ("NOPERM", Some(rights)) => format!("NOPERM: the user {rights}"),
            (code, _) => format!("{code}: {detail}"),
        };
        let text = text.split(", with args beginning with").next();
        let text = text.unwrap_or_default();
        let error = Error::new(kind_of(text), text);
        // Rights may be given to the connections there are, and while a slot moves its keys are on two nodes for a moment.
        let refused = ["NOPERM", "TRYAGAIN", "ASK"];
        let names_none = error.kind == SharedError::Authentication && code == "ERR";
        Error {
            refused: error.refused || names_none || refused.iter().any(|word| says(text, word)),
            ..error
        }
    }
}

impl From<ParsingError> for Error {
    fn from(error: ParsingError) -> Error {
        RedisError::from(error).into()
    }
}

/// By what a server says first, or says of a command within a script.
fn kind_of(text: &str) -> SharedError {
    let kinds = [
        ("GENERATION", SharedError::Generation),
        ("OOM", SharedError::Oom),
        ("READONLY", SharedError::ReadOnly),
        ("MASTERDOWN", SharedError::ReadOnly),
        ("WRONGTYPE", SharedError::WrongType),
        ("NOSCRIPT", SharedError::NoScript),
        ("LOADING", SharedError::Loading),
        ("NOAUTH", SharedError::Authentication),
        ("WRONGPASS", SharedError::Authentication),
        ("NOPERM", SharedError::Authentication),
        ("MOVED", SharedError::Moved),
        ("ASK", SharedError::Moved),
        ("TRYAGAIN", SharedError::Moved),
        ("CROSSSLOT", SharedError::Moved),
        ("CLUSTERDOWN", SharedError::Moved),
    ];
    // Of a command within a script, some say no more than this.
    if text.contains("executing the script can't run this command") {
        return SharedError::Authentication;
    }
    let kind = kinds.iter().find(|(word, _)| says(text, word));
    kind.map_or(SharedError::Other, |(_, kind)| *kind)
}

/// Whether a word stands in a text, as a word.
fn says(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|it| it == word)
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
            (
                "-ERR The user executing the script can't run this command or subcommand",
                SharedError::Authentication,
            ),
            ("-GENERATION another history", SharedError::Generation),
            ("-ERR something else", SharedError::Other),
        ] {
            let error = answered(said);
            assert_eq!(error.kind, expected, "{said}: {error}");
        }
    }

    fn answered(said: &str) -> Error {
        let value = redis::parse_redis_value(format!("{said}\r\n").as_bytes()).unwrap();
        Error::from(value.extract_error().unwrap_err())
    }

    #[test]
    fn what_servers_say_names_nobody_and_nothing_that_was_asked() {
        for (said, expected) in [
            (
                "-NOPERM User ada has no permissions to run the 'evalsha' command",
                "NOPERM: the user has no permissions to run the 'evalsha' command",
            ),
            (
                "-NOPERM this user has no permissions to access one of the keys used as arguments",
                "NOPERM: the user has no permissions to access one of the keys used as arguments",
            ),
            (
                "-ERR unknown command 'EVALSHA', with args beginning with: 'sesame'",
                "ERR: unknown command 'EVALSHA'",
            ),
        ] {
            assert_eq!(answered(said).to_string(), expected);
        }
    }

    #[test]
    fn what_another_connection_does_not_change_ends_none() {
        for (said, ends, is_final) in [
            (
                "-NOPERM User ada has no permissions to run the 'xadd' command",
                false,
                true,
            ),
            (
                "-TRYAGAIN Multiple keys request during rehashing of slot",
                false,
                false,
            ),
            ("-ASK 3999 127.0.0.1:6381", false, false),
            ("-OOM command not allowed", false, true),
            ("-MOVED 3999 127.0.0.1:6381", true, false),
            ("-NOAUTH Authentication required.", true, false),
            (
                "-LOADING Redis is loading the dataset in memory",
                true,
                false,
            ),
        ] {
            let error = answered(said);
            let found = (error.ends_link(), error.is_final());
            assert_eq!(found, (ends, is_final), "{said}");
        }
    }
}
