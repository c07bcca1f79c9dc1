//! Reads that come with a body (GraphQL, a search that is POSTed): what the key holds of it (K28).
//!
//! Values are taken from a JSON text as they stand there, byte for byte: no two that an app could tell apart become one.
//! What apps could read differently than we do (a member that is there twice, in whatever case) is not keyed at all.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::model::key::KeyFields;
use crate::model::request::{Head, Read};
use crate::rules::pointer::{Pointer, Step};
use crate::rules::{Rule, RuleSet, path, plan};

/// A body of which a key holds something has so many bytes at most: each request keeps it while it is answered.
pub const MOST_OF_BODY: usize = 1 << 20;

/// What the key holds of a body.
#[derive(Clone, Debug)]
pub(super) struct BodyFields {
    /// Places in it, each with the name of its key field; none: all of it.
    pub(super) json: Vec<(Pointer, Box<str>)>,
    /// The most bytes of a body that is looked up.
    pub(super) max: usize,
}

/// What a request says by which its answer is chosen, beside what it asks for: a part, or nothing if it has that. What
/// these mean for a method other than GET nobody agrees on.
const CONDITIONS: [header::HeaderName; 6] = [
    header::RANGE,
    header::IF_RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
];

impl RuleSet {
    /// Notes what the rule of a request says that its method does not: that it changes nothing. Of the body of such a request the key
    /// may hold something: then this is how many bytes it may have, and [`RuleSet::read`] is to be asked before it is planned.
    pub fn reads(&self, head: &mut Head) -> Option<usize> {
        if matches!(*head.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let rule = self.rule_of(head.method(), head, &path::normalised(head.path()));
        head.safe = rule.safe;
        let fields = rule.reads(head)?;
        Some(fields.max)
    }

    /// Notes the body of such a request, if the key can be made of it; else the request is not looked up.
    pub fn read(&self, head: &mut Head, body: Bytes) {
        let rule = self.rule_of(head.method(), head, &path::normalised(head.path()));
        let key = rule
            .reads(head)
            .and_then(|fields| fields.key(head.headers(), &body));
        head.read = key.map(|key| Read { body, key });
    }
}

impl Rule {
    /// Whether its key holds something of bodies.
    pub(super) fn reads_bodies(&self) -> bool {
        self.safe && self.body.is_some()
    }

    /// What the key holds of the body of this request, if nothing else keeps it from being looked up.
    fn reads(&self, head: &Head) -> Option<&BodyFields> {
        let asks_conditionally = CONDITIONS
            .iter()
            .any(|name| head.headers().contains_key(name));
        let is_kept = asks_conditionally || plan::obstacle(self, head, true).is_some();
        self.body.as_ref().filter(|_| self.safe && !is_kept)
    }
}

impl BodyFields {
    /// The key fields of a body; `None` if nobody can say what an app would make of it, or if it lacks the first of the
    /// values that are named: what else would tell it from others?
    fn key(&self, headers: &HeaderMap, body: &[u8]) -> Option<KeyFields> {
        if headers.contains_key(header::CONTENT_ENCODING) || body.len() > self.max {
            return None;
        }
        let mut key = KeyFields::new();
        // The same bytes are another text where they are a form.
        for line in headers.get_all(header::CONTENT_TYPE) {
            key.field("body.content-type", line.as_bytes());
        }
        if self.json.is_empty() {
            key.field("body", body);
            return Some(key);
        }
        let text = str::from_utf8(body).ok()?;
        let whole = Level::of(text).ok()?;
        for (n, (pointer, field)) in self.json.iter().enumerate() {
            let value = match pointer.steps() {
                [] => Some(text.trim_ascii()),
                steps => whole.value_at(steps).ok()?,
            };
            if n == 0 {
                value?;
            }
            key.optional(field, value);
        }
        Some(key)
    }
}

/// Nobody can say what stands there.
#[derive(Debug)]
struct Unclear;

/// Some apps find members whatever their case, as Go's do: by simple folding, for which `ſ` is an `s`.
fn are_alike(one: &str, other: &str) -> bool {
    if one.is_ascii() && other.is_ascii() {
        return one.eq_ignore_ascii_case(other);
    }
    let folded = |name: &str| name.to_uppercase().to_lowercase();
    folded(one) == folded(other)
}

/// One level of a JSON text.
enum Level<'t> {
    Members(Vec<(String, &'t RawValue)>),
    Items(Vec<&'t RawValue>),
    Scalar,
}

impl<'t> Level<'t> {
    fn of(text: &'t str) -> Result<Level<'t>, Unclear> {
        serde_json::from_str(text).map_err(|_| Unclear)
    }

    /// The text of what stands at a place of it, if anything does.
    fn value_at(&self, steps: &[Step]) -> Result<Option<&'t str>, Unclear> {
        let Some((Step::Name(name), rest)) = steps.split_first() else {
            return Err(Unclear); // refused when the file was read
        };
        let found = match self {
            Level::Members(members) => {
                let mut alike = members.iter().filter(|(member, _)| are_alike(member, name));
                match (alike.next(), alike.next()) {
                    (Some((member, value)), None) if **member == **name => Some(*value),
                    (None, _) => None,
                    (Some(_), _) => return Err(Unclear),
                }
            }
            Level::Items(items) => name.parse().ok().and_then(|n: usize| items.get(n).copied()),
            Level::Scalar => None,
        };
        match found {
            None => Ok(None),
            Some(value) if rest.is_empty() => Ok(Some(value.get())),
            Some(value) => Level::of(value.get())?.value_at(rest),
        }
    }
}

impl<'de> Deserialize<'de> for Level<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Level<'de>, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Level<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Level<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Level::Members(members))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Level<'de>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Level::Items(items))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Level<'de>, E> {
                Ok(Level::Scalar)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Level<'de>, E> {
                Ok(Level::Scalar)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Level<'de>, E> {
                Ok(Level::Scalar)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Level<'de>, E> {
                Ok(Level::Scalar)
            }

            fn visit_str<E>(self, _: &str) -> Result<Level<'de>, E> {
                Ok(Level::Scalar)
            }

            fn visit_unit<E>(self) -> Result<Level<'de>, E> {
                Ok(Level::Scalar)
            }
        }
        deserializer.deserialize_any(Visit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn fields(json: &[&str]) -> BodyFields {
        let pointer = |text: &&str| {
            let pointer = Pointer::parse(text, false).unwrap();
            (pointer, format!("body.{text}").into())
        };
        BodyFields {
            json: json.iter().map(pointer).collect(),
            max: 1_000,
        }
    }

    fn key(json: &[&str], body: &str) -> Option<String> {
        let key = fields(json).key(&HeaderMap::new(), body.as_bytes())?;
        Some(key.to_string())
    }

    #[test]
    fn k28_what_stands_in_the_body_is_keyed_as_it_stands() {
        for (json, body, expected) in [
            (
                &["/query"][..],
                r#"{"query": "{ a }", "x": 1}"#,
                Some("body./query=%22{%20a%20}%22"),
            ),
            (&["/query"], r#" { "query" :  7 } "#, Some("body./query=7")),
            (&["/query"], r#"{"query": 7.0}"#, Some("body./query=7.0")),
            (
                &["/query"],
                r#"{"query": "7"}"#,
                Some("body./query=%227%22"),
            ),
            (&["/query"], r#"{"query": null}"#, Some("body./query=null")),
            (
                &["/query", "/v"],
                r#"{"query": 1}"#,
                Some("body./query=1&body./v"),
            ),
            (
                &["/query", "/v"],
                r#"{"query": 1, "v": {"b": 1, "a": [2]}}"#,
                Some("body./query=1&body./v={%22b%22:%201,%20%22a%22:%20[2]}"),
            ),
            (
                &["/a/0/b"],
                r#"{"a": [{"b": 12345678901234567890123}]}"#,
                Some("body./a/0/b=12345678901234567890123"),
            ),
            (&["/query", "/v"], r#"{"v": 1}"#, None),
            (&["/query"], r#"[{"query": 1}]"#, None),
            (&["/query"], "7", None),
            (&["/query"], r#"{"query": 1, "query": 2}"#, None),
            (&["/query"], r#"{"query": 1, "QUERY": 2}"#, None),
            (&["/query"], r#"{"Query": 1}"#, None),
            (&["/s"], "{\"s\": 1, \"\u{17f}\": 2}", None),
            (&["/query"], r#"{"query": 1, "query": 2}"#, None),
            (&["/query"], r#"{"query": 1} {"query": 2}"#, None),
            (&["/query"], "\u{feff}{\"query\": 1}", None),
            (&["/query"], "query=1", None),
            (&["/query"], "", None),
            (&[], "query=1", Some("body=query%3D1")),
            (&[], "", Some("body=")),
        ] {
            assert_eq!(key(json, body).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn a_body_that_apps_may_read_differently_is_not_keyed() {
        let body = br#"{"query": 1}"#;
        let mut headers = HeaderMap::new();
        let plain = fields(&["/query"]).key(&headers, body).unwrap();
        headers.insert("content-type", HeaderValue::from_static("text/plain"));
        let typed = fields(&["/query"]).key(&headers, body).unwrap();
        assert_ne!(plain, typed);
        headers.insert("content-encoding", HeaderValue::from_static("gzip"));
        assert_eq!(fields(&["/query"]).key(&headers, body), None);
        let long = format!(r#"{{"query": "{}"}}"#, "x".repeat(1_000));
        assert_eq!(key(&["/query"], &long), None);
        assert_eq!(key(&["/query"], &"[".repeat(900)), None);
        assert!(
            fields(&["/query"])
                .key(&HeaderMap::new(), b"{\"query\": \"\xff\"}")
                .is_none()
        );
    }

    proptest! {
        #[test]
        fn l07_only_bodies_that_agree_in_what_is_named_share_a_key(
            a in "\\{(\"[abA]\":[ ]?(1|\"1\"|null|\\[1\\]),?){0,3}\\}",
            b in "\\{(\"[abA]\":[ ]?(1|\"1\"|null|\\[1\\]),?){0,3}\\}",
        ) {
            let json = ["/a", "/b"];
            let (one, other) = (key(&json, &a), key(&json, &b));
            if one.is_some() && one == other {
                let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
                let (a, b) = (value(&a), value(&b));
                prop_assert_eq!((a.get("a"), a.get("b")), (b.get("a"), b.get("b")));
            }
        }

        #[test]
        fn any_body_is_keyed_or_not(body in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = fields(&["/a/b", "/0"]).key(&HeaderMap::new(), &body);
            prop_assert!(fields(&[]).key(&HeaderMap::new(), &body).is_some());
        }
    }
}
