//! Why an exchange with the app failed, in the app's terms: the engine's own errors stay inside.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use pingora::{Error as EngineError, ErrorType};
use thiserror::Error;

use crate::body::Cut;

/// The longest text of an engine's error that is kept: it quotes what the app sent.
const MAX_DETAIL: usize = 256;

/// What went wrong between us and the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UpstreamErrorKind {
    /// No connection: refused, no route, name unknown, TLS handshake failed, certificate not trusted.
    #[error("the app could not be reached")]
    Connect,
    /// No connection within `connect_timeout`.
    #[error("the app did not accept a connection in time")]
    ConnectTimeout,
    /// The connection ended where a response was owed.
    #[error("the app closed the connection")]
    Reset,
    /// Nothing came, or nothing was taken, for `read_timeout`.
    #[error("the app did not answer in time")]
    Timeout,
    /// What came is not HTTP.
    #[error("the app's answer is malformed")]
    Malformed,
    /// The response's head is larger than `max_head`.
    #[error("the head of the app's answer is too large")]
    HeadTooLarge,
    /// The client's body ended before it was whole, so the exchange was broken off.
    #[error("the request's body was cut short")]
    RequestBody,
    /// The client took too long with its body, so the exchange was broken off.
    #[error("the request's body did not come in time")]
    RequestLate,
    /// It has all the exchanges it may have, and the queue is full or was too slow: nothing was sent.
    #[error("the app is busy")]
    Busy,
}

/// An exchange that failed before its response's head had arrived. Cheap to clone: everyone who waited is told.
#[derive(Clone, Debug, Error)]
#[error("{kind}: {source}")]
pub struct UpstreamError {
    /// What went wrong.
    pub kind: UpstreamErrorKind,
    /// How the engine put it; at most some hundred bytes.
    pub source: Arc<dyn StdError + Send + Sync>,
}

impl UpstreamError {
    /// An error of a kind, with what is known about it.
    pub(crate) fn new(kind: UpstreamErrorKind, detail: impl fmt::Display) -> UpstreamError {
        let mut text = detail.to_string();
        if let Some((end, _)) = text.char_indices().nth(MAX_DETAIL) {
            text.truncate(end);
            text.push('…');
        }
        let source: Box<dyn StdError + Send + Sync> = text.into();
        UpstreamError {
            kind,
            source: source.into(),
        }
    }

    /// Whether no connection was made, so that the app saw nothing of the request.
    pub fn is_connect(&self) -> bool {
        matches!(
            self.kind,
            UpstreamErrorKind::Connect | UpstreamErrorKind::ConnectTimeout
        )
    }

    /// Whether the connection ended with no answer on it.
    pub(super) fn is_reset(&self) -> bool {
        self.kind == UpstreamErrorKind::Reset
    }

    /// While a connection is made, whatever fails is a failure to connect.
    pub(super) fn connecting(error: &EngineError) -> UpstreamError {
        let kind = if matches!(
            error.etype(),
            ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout
        ) {
            UpstreamErrorKind::ConnectTimeout
        } else {
            UpstreamErrorKind::Connect
        };
        UpstreamError::new(kind, error)
    }

    /// The request's body was cut; the app must not take it for the whole.
    pub(crate) fn request_body(cut: &Cut) -> UpstreamError {
        let kind = match cut {
            Cut::Short(_) => UpstreamErrorKind::RequestBody,
            Cut::Late(_) => UpstreamErrorKind::RequestLate,
        };
        UpstreamError::new(kind, cut)
    }
}

impl From<Box<EngineError>> for UpstreamError {
    fn from(error: Box<EngineError>) -> UpstreamError {
        UpstreamError::new(kind(&error), &error)
    }
}

impl From<UpstreamError> for Cut {
    fn from(error: UpstreamError) -> Cut {
        Cut::Short(error.to_string())
    }
}

/// The kind of an error on a connection that stands.
fn kind(error: &EngineError) -> UpstreamErrorKind {
    let of = |types: &[ErrorType]| types.contains(error.etype());
    if of(&[ErrorType::ReadTimedout, ErrorType::WriteTimedout]) {
        UpstreamErrorKind::Timeout
    } else if of(&[
        ErrorType::ConnectionClosed,
        ErrorType::ReadError,
        ErrorType::WriteError,
        ErrorType::H2Error,
    ]) {
        UpstreamErrorKind::Reset
    } else if is_oversized(error) {
        UpstreamErrorKind::HeadTooLarge
    } else {
        UpstreamErrorKind::Malformed
    }
}

/// Pingora gives up on heads over 1 MiB with the same type as on malformed ones; only its words differ. Its
/// version is pinned, and a test sends such a head.
fn is_oversized(error: &EngineError) -> bool {
    error
        .context
        .as_ref()
        .is_some_and(|context| context.as_str().starts_with("Response header larger than"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_errors_have_a_kind_each() {
        for (engine, expected) in [
            (ErrorType::ReadTimedout, UpstreamErrorKind::Timeout),
            (ErrorType::WriteTimedout, UpstreamErrorKind::Timeout),
            (ErrorType::ConnectionClosed, UpstreamErrorKind::Reset),
            (ErrorType::ReadError, UpstreamErrorKind::Reset),
            (ErrorType::WriteError, UpstreamErrorKind::Reset),
            (ErrorType::InvalidHTTPHeader, UpstreamErrorKind::Malformed),
            (ErrorType::new("InvalidChunk"), UpstreamErrorKind::Malformed),
        ] {
            let error = UpstreamError::from(EngineError::explain(engine.clone(), "why"));
            assert_eq!(error.kind, expected, "{engine:?}");
            assert!(!error.is_connect(), "{engine:?}");
        }
    }

    #[test]
    fn whatever_fails_while_connecting_is_a_failure_to_connect() {
        for (engine, expected) in [
            (ErrorType::ConnectRefused, UpstreamErrorKind::Connect),
            (ErrorType::TLSHandshakeFailure, UpstreamErrorKind::Connect),
            (
                ErrorType::ConnectTimedout,
                UpstreamErrorKind::ConnectTimeout,
            ),
        ] {
            let error = UpstreamError::connecting(&EngineError::explain(engine, "why"));
            assert_eq!(error.kind, expected);
            assert!(error.is_connect());
        }
    }

    #[test]
    fn what_the_app_sent_is_quoted_only_so_far() {
        let error = UpstreamError::new(UpstreamErrorKind::Malformed, "é".repeat(10_000));
        assert_eq!(error.source.to_string().chars().count(), MAX_DETAIL + 1);
    }
}
