//! Conditions of a rule: something about a request or its response. Decided from their heads alone.

use std::borrow::Cow;
use std::fmt;

use http::HeaderMap;
use http::HeaderName;
use http::response::Parts;
use regex::Regex;

use crate::model::cookies;
use crate::model::request::Head;
use crate::rules::pattern::inner;
use crate::rules::query;
use crate::rules::statuses::StatusSet;

/// A field of a request or its response, and what is expected of it.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) of: Subject,
    pub(super) test: Test,
}

/// What a condition looks at.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    Header(HeaderName),
    Query(Box<str>),
    Cookie(Box<str>),
    ResponseHeader(HeaderName),
    /// The test means nothing then.
    ResponseStatus(StatusSet),
}

/// What a condition expects of a value. Of several values it is enough that one is as expected.
#[derive(Clone, Debug)]
pub(super) enum Test {
    Present,
    Equals(Box<str>),
    /// Anchored at both ends.
    Matches(Regex),
}

impl Condition {
    /// Whether it is about the response, so that it cannot be decided before there is one.
    pub(super) fn is_of_response(&self) -> bool {
        match self.of {
            Subject::ResponseHeader(_) | Subject::ResponseStatus(_) => true,
            Subject::Header(_) | Subject::Query(_) | Subject::Cookie(_) => false,
        }
    }

    /// Whether it holds; what is about a response does not where there is none.
    pub(super) fn holds(&self, head: &Head, response: Option<&Parts>) -> bool {
        match &self.of {
            Subject::Header(name) => self.holds_in(head.headers(), name),
            Subject::Query(name) => query::values_of(head.query(), name).any(|it| self.fits(&it)),
            Subject::Cookie(name) => cookies::values_of(head.headers(), name)
                .any(|it| self.fits(&String::from_utf8_lossy(it))),
            Subject::ResponseHeader(name) => {
                response.is_some_and(|it| self.holds_in(&it.headers, name))
            }
            Subject::ResponseStatus(set) => response.is_some_and(|it| set.contains(it.status)),
        }
    }

    fn holds_in(&self, headers: &HeaderMap, name: &HeaderName) -> bool {
        let lines = headers.get_all(name).iter();
        let mut values = lines.map(|line| String::from_utf8_lossy(line.as_bytes()));
        values.any(|value: Cow<'_, str>| self.fits(value.trim()))
    }

    fn fits(&self, value: &str) -> bool {
        match &self.test {
            Test::Present => true,
            Test::Equals(wanted) => **wanted == *value,
            Test::Matches(regex) => regex.is_match(value),
        }
    }
}

impl fmt::Display for Condition {
    /// `query nocache = 1`, `response header x-skip`, `response status 500-599`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.of {
            Subject::Header(name) => write!(f, "header {name}")?,
            Subject::Query(name) => write!(f, "query {name}")?,
            Subject::Cookie(name) => write!(f, "cookie {name}")?,
            Subject::ResponseHeader(name) => write!(f, "response header {name}")?,
            Subject::ResponseStatus(set) => write!(f, "response status {set}")?,
        }
        match &self.test {
            Test::Present => Ok(()),
            Test::Equals(text) => write!(f, " = {text}"),
            Test::Matches(regex) => write!(f, " matches {}", inner(regex.as_str())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Request, Response};

    fn condition(of: Subject, test: Test) -> Condition {
        Condition { of, test }
    }

    fn name(name: &'static str) -> HeaderName {
        HeaderName::from_static(name)
    }

    #[test]
    fn a_condition_holds_where_one_value_is_as_expected() {
        let request = Request::get("/a?nocache=1&nocache=2&b&c=%C3%BC+x")
            .header("host", "shop.example")
            .header("cookie", "messages=3; empty=")
            .header("x-api", " v1 ")
            .header("x-api", "v2")
            .header("x-bytes", &b"\xff"[..]);
        let head = Head::new(request.body(()).unwrap().into_parts().0, "http").unwrap();
        let response = Response::builder().status(503).header("x-skip", "yes");
        let response = response.body(()).unwrap().into_parts().0;
        let equals = |text: &str| Test::Equals(text.into());
        let matches = |text: &str| Test::Matches(Regex::new(text).unwrap());
        let query = |name: &str| Subject::Query(name.into());
        let cookie = |name: &str| Subject::Cookie(name.into());
        let mut failures = StatusSet::default();
        failures.add("5xx");
        let mut found = StatusSet::default();
        found.add("404");
        for (of, test, expected) in [
            (Subject::Header(name("x-api")), Test::Present, true),
            (Subject::Header(name("x-other")), Test::Present, false),
            (Subject::Header(name("x-api")), equals("v1"), true),
            (Subject::Header(name("x-api")), equals("v2"), true),
            (Subject::Header(name("x-api")), equals("v1, v2"), false),
            (Subject::Header(name("x-api")), matches(r"\Av\d\z"), true),
            (Subject::Header(name("x-bytes")), Test::Present, true),
            (query("nocache"), Test::Present, true),
            (query("nocache"), equals("2"), true),
            (query("nocache"), equals("3"), false),
            (query("b"), equals(""), true),
            (query("c"), equals("ü x"), true),
            (query("z"), Test::Present, false),
            (cookie("messages"), equals("3"), true),
            (cookie("empty"), Test::Present, true),
            (cookie("Messages"), Test::Present, false),
            (Subject::ResponseHeader(name("x-skip")), Test::Present, true),
            (Subject::ResponseHeader(name("x-api")), Test::Present, false),
            (Subject::ResponseStatus(failures), Test::Present, true),
            (Subject::ResponseStatus(found), Test::Present, false),
        ] {
            let condition = condition(of, test);
            let described = condition.to_string();
            assert_eq!(
                condition.holds(&head, Some(&response)),
                expected,
                "{described}"
            );
            let without = condition.holds(&head, None);
            assert_eq!(
                without,
                expected && !condition.is_of_response(),
                "{described}"
            );
        }
    }
}
