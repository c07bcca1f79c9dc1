//! A request that nobody has sent, as it would arrive: what `explain` is about, and what a URL stands for.

use std::str::FromStr;

use http::uri::InvalidUri;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use thiserror::Error;

use crate::model::request::Head;
use crate::model::request::HostError;

/// A field as `curl -H` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field(pub HeaderName, pub HeaderValue);

/// Why a text is no field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotAField {
    /// There is no colon.
    #[error("expected 'Name: value'")]
    Colon,
    /// What comes before it is no name.
    #[error("that is no field name")]
    Name,
    /// What comes behind it is no value.
    #[error("that is no field value")]
    Value,
}

/// Why a URL stands for no request.
#[derive(Debug, Error)]
pub enum NotARequest {
    /// It has another scheme.
    #[error("expected a URL that begins with http:// or https://, not {0}:")]
    Scheme(String),
    /// Its path cannot be one.
    #[error("its path cannot be asked for: {0}")]
    Path(#[from] InvalidUri),
    /// Its host cannot be one.
    #[error("{0}")]
    Host(#[from] HostError),
}

impl FromStr for Field {
    type Err = NotAField;

    fn from_str(text: &str) -> Result<Field, NotAField> {
        let (name, value) = text.split_once(':').ok_or(NotAField::Colon)?;
        let name = name.parse().map_err(|_| NotAField::Name)?;
        let value = value.trim().parse().map_err(|_| NotAField::Value)?;
        Ok(Field(name, value))
    }
}

/// The head of a request for `url` with these fields, as it would arrive. A path alone is one on localhost.
///
/// # Errors
///
/// It stands for no request.
pub fn arriving(
    method: Method,
    url: &Uri,
    fields: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
) -> Result<Head, NotARequest> {
    let scheme = match url.scheme_str() {
        None | Some("http") => "http",
        Some("https") => "https",
        Some(other) => return Err(NotARequest::Scheme(other.to_owned())),
    };
    let target = url.path_and_query().map_or("/", |target| target.as_str());
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = method;
    parts.uri = target.parse()?;
    for (name, value) in fields {
        parts.headers.append(name, value);
    }
    if !parts.headers.contains_key(header::HOST) {
        let host = url.authority().map_or("localhost", |it| it.as_str());
        let host = HeaderValue::from_str(host).map_err(|_| HostError::Malformed)?;
        parts.headers.insert(header::HOST, host);
    }
    Ok(Head::new(parts, scheme)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_curl_reads_them() {
        let fields = ["X-A: 1", "x-a:2", "X-Empty:"];
        let fields = fields.map(|field| field.parse::<Field>().unwrap());
        let fields = fields.map(|Field(name, value)| (name, value));
        let head = arriving(Method::GET, &"/a".parse().unwrap(), fields).unwrap();
        let all: Vec<_> = head.headers().get_all("x-a").iter().collect();
        assert_eq!(all, ["1", "2"]);
        assert_eq!(head.headers()["x-empty"], "");
        for wrong in ["X-A", ": 1", "X A: 1", "X-A: a\nb"] {
            assert!(wrong.parse::<Field>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_asked_for_is_no_request() {
        for (url, expected) in [
            ("http://shop.example/a?b=1", "http://shop.example/a?b=1"),
            ("HTTPS://Shop.example:443", "https://shop.example/"),
            ("/a", "http://localhost/a"),
            (
                "ftp://a.example/",
                "expected a URL that begins with http:// or https://, not ftp:",
            ),
            ("http://ann@a.example/", "the request's Host is malformed"),
        ] {
            let found = arriving(Method::GET, &url.parse().unwrap(), []);
            let found = match found {
                Ok(head) => head.absolute_uri(),
                Err(error) => error.to_string(),
            };
            assert_eq!(found, expected, "{url}");
        }
    }
}
