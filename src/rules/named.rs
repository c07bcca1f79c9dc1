//! Names in requests and the names of their key fields; what the key holds of headers and cookies.

use http::{HeaderName, header};

use crate::model::cookies;
use crate::model::key::KeyFields;
use crate::model::request::Head;

/// A name in the request, and the name of its key field, made once.
#[derive(Clone, Debug)]
pub(super) struct Named<T> {
    pub(super) name: T,
    pub(super) field: Box<str>,
}

impl Named<Box<str>> {
    pub(super) fn capture(name: &str) -> Self {
        let field = format!("capture.{name}").into();
        Named {
            name: name.into(),
            field,
        }
    }

    pub(super) fn cookie(name: &str) -> Self {
        let field = format!("cookie.{name}").into();
        Named {
            name: name.into(),
            field,
        }
    }
}

impl Named<HeaderName> {
    pub(super) fn header(name: HeaderName) -> Self {
        let field = format!("header.{name}").into();
        Named { name, field }
    }
}

/// A field per line of the header, or an absent one.
pub(super) fn header_field(head: &Head, header: &Named<HeaderName>, key: &mut KeyFields) {
    let lines = head.headers().get_all(&header.name);
    if lines.iter().next().is_none() {
        key.absent(&header.field);
    }
    for line in lines {
        key.field(&header.field, line.as_bytes());
    }
}

/// A field per cookie of the name, or an absent one.
pub(super) fn cookie_field(head: &Head, cookie: &Named<Box<str>>, key: &mut KeyFields) {
    let mut values = cookies::values_of(head.headers(), &cookie.name).peekable();
    if values.peek().is_none() {
        key.absent(&cookie.field);
    }
    for value in values {
        key.field(&cookie.field, value);
    }
}

/// Whether the values of a key field are somebody's own: credentials, cookies, what stands in a body.
pub(super) fn is_secret(field: &str) -> bool {
    let (kind, name) = field.split_once('.').unwrap_or((field, ""));
    match kind {
        "cookie" => true,
        "header" => [
            header::AUTHORIZATION.as_str(),
            header::PROXY_AUTHORIZATION.as_str(),
            header::COOKIE.as_str(),
        ]
        .contains(&name),
        "body" => name != "content-type",
        _ => false,
    }
}

/// What stands for such a value: the beginning of its hash.
pub(super) fn mark(value: &[u8]) -> String {
    let hash = blake3::hash(value).to_hex();
    format!("#{}", hash.get(..12).unwrap_or_default())
}
