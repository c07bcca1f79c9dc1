//! Why a call was not done, as `application/problem+json` (RFC 9457).

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use crate::admin::view;

/// Why a call was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// No right token was presented.
    Token,
    /// Without a token a call names this machine as its host.
    Host,
    /// A page of another origin has made it.
    Origin,
    /// There is no such call.
    NoSuchCall,
    /// There is, with another method.
    Method,
    /// It cannot be read: its path, its query or the JSON of its body.
    Malformed(String),
    /// There is nothing that it could be about.
    Nothing(String),
    /// It was overtaken, or there is no way to do it here.
    Conflict(String),
    /// Its body is larger than this many bytes.
    TooLarge(usize),
    /// Its body is not what is expected.
    MediaType,
    /// It can be read, and is wrong: which field, and what is expected.
    Wrong(String),
    /// The files are wrong.
    Files(Vec<String>),
    /// As many calls are answered as are at once.
    Busy(&'static str),
    /// It took too long.
    Late,
    /// The shared store could not be told.
    Deferred(&'static str),
    /// It is being stopped.
    Stopping,
    /// A mistake of ours; the log says more.
    Broken,
}

/// After how many seconds a call may find room.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

impl Problem {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Problem::Token => StatusCode::UNAUTHORIZED,
            Problem::Host | Problem::Origin => StatusCode::FORBIDDEN,
            Problem::NoSuchCall | Problem::Nothing(_) => StatusCode::NOT_FOUND,
            Problem::Method => StatusCode::METHOD_NOT_ALLOWED,
            Problem::Malformed(_) => StatusCode::BAD_REQUEST,
            Problem::Conflict(_) => StatusCode::CONFLICT,
            Problem::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Problem::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Problem::Wrong(_) | Problem::Files(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Problem::Busy(_) | Problem::Late | Problem::Deferred(_) | Problem::Stopping => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Problem::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What is wrong with the files.
    fn mistakes(&self) -> &[String] {
        if let Problem::Files(mistakes) = self {
            return mistakes;
        }
        &[]
    }

    /// What is wrong, and what is expected, in sentences.
    pub(super) fn detail(&self) -> Cow<'_, str> {
        let detail = match self {
            Problem::Token => {
                "An admin token is expected, as `Authorization: Bearer <token>`, and no right one was presented."
            }
            Problem::Host => {
                "Without a token the host is expected to be `localhost` or a loopback address, and it is another."
            }
            Problem::Origin => {
                "A call is expected from this origin or from no page at all, and a page of another origin has made it."
            }
            Problem::NoSuchCall => "There is no such call.",
            Problem::Method => {
                "This call has other methods; they are in the field `Allow` of this answer."
            }
            Problem::Malformed(detail)
            | Problem::Nothing(detail)
            | Problem::Conflict(detail)
            | Problem::Wrong(detail) => detail,
            Problem::TooLarge(most) => {
                return format!("A body of at most {most} bytes is expected.").into();
            }
            Problem::MediaType => {
                "A body is expected to be JSON, and to say so: `Content-Type: application/json`."
            }
            Problem::Files(_) => "The files are wrong: the rules from before stay in force.",
            Problem::Busy(detail) | Problem::Deferred(detail) => detail,
            Problem::Late => "It took too long, and was given up.",
            Problem::Stopping => "The sidecar is being stopped.",
            Problem::Broken => "It failed by a mistake of Tagalong; its log says more.",
        };
        detail.into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let problem = view::Problem {
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            detail: self.detail().into_owned(),
            mistakes: self.mistakes().to_vec(),
        };
        let mut response = view::json(status, &problem);
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if self == Problem::Token {
            let challenge = HeaderValue::from_static("Bearer realm=\"tagalong\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}
