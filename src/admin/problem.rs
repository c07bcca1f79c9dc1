//! Why a call was not done, as `application/problem+json` (RFC 9457).

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use crate::admin::view;

/// Why a call was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// The right token was not presented.
    Token,
    /// Without a token a call names this machine as its host.
    Host,
    /// There is no such call.
    NoSuchCall,
    /// There is, with another method.
    Method,
}

impl Problem {
    fn status(self) -> StatusCode {
        match self {
            Problem::Token => StatusCode::UNAUTHORIZED,
            Problem::Host => StatusCode::FORBIDDEN,
            Problem::NoSuchCall => StatusCode::NOT_FOUND,
            Problem::Method => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    fn detail(self) -> &'static str {
        match self {
            Problem::Token => {
                "The admin token is expected, as `Authorization: Bearer <token>`, and was not presented."
            }
            Problem::Host => {
                "Without a token the host is expected to be `localhost` or a loopback address, and it is another."
            }
            Problem::NoSuchCall => "There is no such call.",
            Problem::Method => {
                "This call has other methods; they are in the field `Allow` of this answer."
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let problem = view::Problem {
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            detail: self.detail().to_owned(),
            mistakes: Vec::new(),
        };
        let mut response = view::json(status, &problem);
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if self == Problem::Token {
            let challenge = HeaderValue::from_static("Bearer realm=\"tagalong\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
