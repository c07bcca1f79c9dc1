//! What is kept beside a response so that it can be asked for again by nobody in particular: no credentials, no cookies,
//! nothing that its client alone has said (X10, L12, L15).

use std::sync::{Arc, OnceLock};

use http::{HeaderName, HeaderValue, Request, header};

use crate::model::allocated::allocated;
use crate::model::allocated::counted;
use crate::model::allocated::shared;
use crate::model::entry::Entry;
use crate::model::key::BaseKey;
use crate::model::request::Head;
use crate::model::tag::Tag;
use crate::model::time::Timestamp;
use crate::rules::Matched;
use crate::rules::Plan;
use crate::rules::RuleSet;
use crate::rules::refill::WhenInvalidated;

/// How a stored response is asked for again.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) base: BaseKey,
    pub(super) matched: Matched,
    /// What the response may depend on of the request that brought it, and nothing else.
    pub(super) head: Arc<Head>,
    /// It is left to requests: the rules in force when its time came did not want it.
    left: OnceLock<()>,
}

/// What is somebody's own. A response that depends on one of these is asked for again by requests only.
const PERSONAL: [HeaderName; 4] = [
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::COOKIE,
    HeaderName::from_static("cookie2"),
];

/// What apps choose a form of their answer by, whether or not they say so in `Vary`.
const NEGOTIATED: [HeaderName; 4] = [
    header::HOST,
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
];

/// What a map of fields takes for each that it has room for: its place and that of its hash.
const FIELD: usize = 112;

impl Recipe {
    /// For a response to this request, if its rule refreshes responses, and if it can be asked for without anything that
    /// is somebody's own.
    pub(super) fn of(
        base: BaseKey,
        matched: &Matched,
        head: &Head,
        entry: &Entry,
    ) -> Option<Recipe> {
        let rule = &matched.rule;
        if !rule.refill.refreshes() || entry.part.is_some() || head.read.is_some() {
            return None;
        }
        let selects = |name: &HeaderName| {
            rule.selects_by(name) || entry.meta.vary.iter().any(|selector| selector.reads(name))
        };
        // What a POST with credentials brought is not what a GET without brings.
        let has_credentials = head.headers().contains_key(header::AUTHORIZATION);
        if has_credentials || PERSONAL.iter().any(selects) {
            return None;
        }
        let mut parts = Request::new(()).into_parts().0; // a GET
        // Copies: as they came they are slices of a buffer of several KiB, which would live as long as the entry.
        let uri = head.parts.uri.to_string().into_boxed_str();
        parts.uri = uri.into_string().try_into().ok()?;
        parts.version = head.parts.version;
        for (name, value) in head.headers() {
            if NEGOTIATED.contains(name) || selects(name) {
                let value = HeaderValue::from_bytes(value.as_bytes()).ok()?;
                parts.headers.append(name.clone(), value);
            }
        }
        let head = Head {
            parts,
            host: head.host.clone(),
            ..Head::clone(head)
        };
        Some(Recipe {
            base,
            matched: for_nobody(matched.clone()),
            head: Arc::new(head),
            left: OnceLock::new(),
        })
    }

    /// What the rules in force say of it; `None` if by them it would not be stored where it is.
    pub(super) fn matched_by(&self, rules: &RuleSet, now: Timestamp) -> Option<Matched> {
        if rules.has(&self.matched.rule) {
            return Some(self.matched.clone()); // made of all that the first request said
        }
        let Plan::Lookup(query) = rules.plan(&self.head, now) else {
            return None;
        };
        let matched = (query.base == self.base).then(|| query.matched(&self.head));
        matched.filter(|it| it.tags.is_ok()).map(for_nobody)
    }

    /// From now on it is for requests alone to ask for it.
    pub(super) fn leave_to_requests(&self) {
        self.left.get_or_init(|| ());
    }

    /// Whether it is asked for again once a tag of its response was incremented, though no request comes.
    pub(super) fn is_for_invalidated(&self) -> bool {
        let on = &self.matched.rule.refill.on_invalidate;
        on.mode == WhenInvalidated::Refresh && self.left.get().is_none()
    }

    /// The memory it takes, in bytes.
    pub(super) fn weight(&self) -> usize {
        let fields = self.head.headers();
        let text = fields.iter();
        let text = text.map(|(name, value)| shared(name.as_str().len()) + shared(value.len()));
        let tags = self.matched.tags.iter().flatten();
        let tags = tags.chain(&self.matched.scope_tags);
        let tags = tags.map(|tag| counted(tag.as_str().len()) + size_of::<Tag>());
        counted(size_of::<Recipe>())
            + counted(size_of::<Head>())
            + allocated(fields.capacity() * FIELD)
            + shared(self.head.absolute_uri().len())
            + self.matched.claims.weight()
            + text.chain(tags).sum::<usize>()
    }
}

/// Nobody changes anything by it, and increments may name who did.
pub(super) fn for_nobody(matched: Matched) -> Matched {
    Matched {
        increments: Vec::new(),
        changes: Vec::new(),
        ..matched
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http::StatusCode;

    use super::*;
    use crate::model::entry::Conditions;
    use crate::model::entry::EntryMeta;
    use crate::model::entry::Part;
    use crate::model::entry::StaleUse;
    use crate::model::fields::Fields;
    use crate::model::time::Timestamp;
    use crate::rules::Context;
    use crate::rules::Plan;
    use crate::rules::RuleSet;

    const RULES: &str = "
rules:
  - match: { path: /refreshed }
    on_invalidate: { mode: refresh }
    vary_on: { headers: [X-Keyed] }
    group: '{header.x-group}'
  - match: { path: /ahead }
    refresh_ahead: {}
  - match: { path: /users }
    on_invalidate: { mode: refresh }
    authorization: rfc9111
  - match: { path: /other }
";

    fn entry(vary: &[&str], is_part: bool) -> Entry {
        let now = Timestamp::from_secs(1_000);
        let names = vary
            .iter()
            .map(|name| name.parse::<HeaderName>().unwrap().into());
        Entry {
            status: StatusCode::OK,
            headers: Fields::default(),
            targeted: None,
            body: Bytes::from("x"),
            part: is_part.then(|| {
                Box::new(Part {
                    first: 0,
                    complete: None,
                    is_tail: false,
                })
            }),
            meta: EntryMeta {
                received: now,
                born: now,
                lifetime: Duration::from_secs(60),
                soft_until: None,
                conditions: Conditions {
                    stale: StaleUse::default(),
                    shareable: true,
                    vary: names.collect(),
                }
                .into(),
            },
        }
    }

    fn recipe(path: &str, fields: &[(&str, &str)], entry: &Entry) -> Option<Recipe> {
        let rules = [("rules.yaml".to_owned(), RULES.to_owned())];
        let rules = RuleSet::compile(&rules, &Context::new("test")).unwrap();
        let mut request = Request::get(path).header("host", "shop.example");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let head = Head::new(request.body(()).unwrap().into_parts().0, "http").unwrap();
        let Plan::Lookup(query) = rules.plan(&head, Timestamp::from_secs(1_000_000)) else {
            panic!("it is looked up");
        };
        Recipe::of(query.base, &query.matched(&head), &head, entry)
    }

    #[test]
    fn x10_what_depends_on_credentials_has_no_recipe() {
        let plain: &[&str] = &[];
        for (name, path, vary, is_part, expected) in [
            ("refresh", "/refreshed", plain, false, true),
            ("refresh ahead", "/ahead", plain, false, true),
            ("neither", "/other", plain, false, false),
            ("a part", "/refreshed", plain, true, false),
            ("varies", "/refreshed", &["accept", "x-form"], false, true),
            (
                "by cookie",
                "/refreshed",
                &["accept", "cookie"],
                false,
                false,
            ),
            ("by cookie2", "/refreshed", &["cookie2"], false, false),
            ("by user", "/refreshed", &["authorization"], false, false),
            (
                "by the proxy's user",
                "/refreshed",
                &["proxy-authorization"],
                false,
                false,
            ),
        ] {
            let recipe = recipe(path, &[], &entry(vary, is_part));
            assert_eq!(recipe.is_some(), expected, "{name}");
        }
    }

    #[test]
    fn x10_what_credentials_brought_has_no_recipe() {
        let anybody = recipe("/users", &[], &entry(&[], false));
        assert!(anybody.is_some());
        let fields = [("authorization", "Basic bWU6")];
        let somebody = recipe("/users", &fields, &entry(&[], false));
        assert!(somebody.is_none());
    }

    #[test]
    fn x10_of_a_request_only_what_selects_its_response_is_kept() {
        let fields = [
            ("accept", "text/html"),
            ("x-keyed", "k"),
            ("x-group", "g"),
            ("x-form", "1"),
            ("x-form", "2"),
            ("cookie", "a=1"),
            ("cookie2", "a=1"),
            ("proxy-authorization", "me"),
            ("cache-control", "no-cache"),
            ("range", "bytes=0-1"),
            ("x-mine", "me"),
        ];
        let recipe = recipe("/refreshed?a=1", &fields, &entry(&["x-form"], false));
        let head = recipe.expect("it has one").head;
        let kept = head.headers().iter();
        let mut kept: Vec<_> = kept
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        kept.sort_unstable();
        let mut expected = fields[..5].to_vec();
        expected.push(("host", "shop.example"));
        expected.sort_unstable();
        assert_eq!(kept, expected);
        assert_eq!(head.absolute_uri(), "http://shop.example/refreshed?a=1");
    }
}
