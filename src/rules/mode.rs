//! Whether a rule caches or only looks on, and what its clients may ask of the cache.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, header};

/// Whether a rule caches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    #[default]
    Live,
    /// It looks up and stores as if it did, and the app answers every request: what it answers is compared with what would
    /// have been served.
    Shadow(Shadow),
    /// It neither looks up nor stores.
    Bypass,
}

/// What is compared besides the status and the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// Fields of the response.
    pub headers: Arc<[HeaderName]>,
}

impl Default for Shadow {
    /// What a page is not the same without; dates, identifiers and the like differ from answer to answer.
    fn default() -> Shadow {
        let headers = [
            header::CONTENT_TYPE,
            header::CONTENT_ENCODING,
            header::CONTENT_LANGUAGE,
            header::LOCATION,
        ];
        Shadow {
            headers: headers.into(),
        }
    }
}

/// What `Cache-Control` and `Pragma` of requests bring about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientControl {
    /// Whether they bring about anything, but for `no-store`: that always keeps the response to it out of the store.
    pub honor: bool,
    /// What is stored and younger is served though the client asks for a fresher one.
    pub min_age: Duration,
}

impl Default for ClientControl {
    /// All that RFC 9111 §5.2.1 gives them.
    fn default() -> ClientControl {
        ClientControl {
            honor: true,
            min_age: Duration::ZERO,
        }
    }
}
