//! What a client got, and assertions in the words of the stories. An assertion that fails shows the whole answer.

use std::collections::BTreeMap;
use std::fmt;

use sfv::BareItem;
use sfv::List;
use sfv::ListEntry;
use sfv::Parser;

use super::wire::End;
use super::wire::Fields;

/// A response as a client saw it.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The first line.
    pub(crate) first: String,
    pub(crate) fields: Fields,
    pub(crate) body: Vec<u8>,
    pub(crate) end: End,
    pub(crate) trailers: Fields,
}

/// What `Cache-Status` says of this sidecar: its parameters (RFC 9211), each value as text, a bare one as the empty text.
pub(crate) type CacheStatus = BTreeMap<String, String>;

impl Answer {
    /// The parameters of this sidecar's member of `Cache-Status`, the last of that name; `None` where there is none.
    #[track_caller]
    pub(crate) fn cache_status(&self) -> Option<CacheStatus> {
        let text = self.fields.get("cache-status")?;
        let members = match Parser::new(&text).parse::<List>() {
            Ok(members) => members,
            Err(error) => panic!("Cache-Status is no structured list ({error}) in:\n{self}"),
        };
        members.iter().rev().find_map(|member| match member {
            ListEntry::Item(item) if as_text(&item.bare_item) == "tagalong" => Some(
                item.params
                    .iter()
                    .map(|(name, value)| (name.as_str().to_owned(), as_text(value)))
                    .collect(),
            ),
            ListEntry::Item(_) | ListEntry::InnerList(_) => None,
        })
    }

    /// Exactly these parameters in `Cache-Status`; `name` is what the stories call it.
    #[track_caller]
    pub(crate) fn says(&self, name: &str, expected: &[(&str, &str)]) -> &Answer {
        let expected: CacheStatus = expected
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let said = self.cache_status();
        assert!(
            said.as_ref() == Some(&expected),
            "expected {name} {expected:?}, but {said:?} in:\n{self}"
        );
        self
    }

    /// HIT: out of the store, fresh.
    #[track_caller]
    pub(crate) fn is_hit(&self) -> &Answer {
        let ttl = self.ttl();
        assert!(ttl >= 0, "expected HIT with ttl >= 0:\n{self}");
        assert!(
            self.field("age").is_some(),
            "expected HIT with Age:\n{self}"
        );
        self.says("HIT", &[("hit", ""), ("ttl", &ttl.to_string())])
    }

    /// A 304 of the app made what is stored fresh again. Where a 304 is sent too, the app's status is not told.
    #[track_caller]
    pub(crate) fn is_revalidated(&self) -> &Answer {
        let (why, detail) = (("fwd", "stale"), ("detail", "revalidated"));
        if self.status == 304 {
            self.says("REVALIDATED", &[why, detail])
        } else {
            self.says("REVALIDATED", &[why, ("fwd-status", "304"), detail])
        }
    }

    /// PARTIAL: only a part of what was asked for was stored; what came now is stored.
    #[track_caller]
    pub(crate) fn is_partial(&self) -> &Answer {
        self.says("PARTIAL", &[("fwd", "partial"), ("stored", "")])
    }

    /// The rest of a stored beginning was fetched, and both are stored as one.
    #[track_caller]
    pub(crate) fn is_completed(&self) -> &Answer {
        let expected = [("fwd", "partial"), ("fwd-status", "206"), ("stored", "")];
        self.says("COMPLETED", &expected)
    }

    /// The `ttl` of a hit.
    #[track_caller]
    pub(crate) fn ttl(&self) -> i64 {
        let said = self.cache_status().unwrap_or_default();
        let ttl = said.get("ttl").and_then(|ttl| ttl.parse().ok());
        ttl.unwrap_or_else(|| panic!("expected a ttl in Cache-Status:\n{self}"))
    }

    /// MISS: nothing was stored; this is.
    #[track_caller]
    pub(crate) fn is_miss(&self) -> &Answer {
        self.says("MISS", &[("fwd", "uri-miss"), ("stored", "")])
    }

    /// Something was stored, another variant; this one is now too.
    #[track_caller]
    pub(crate) fn is_vary_miss(&self) -> &Answer {
        self.says("MISS", &[("fwd", "vary-miss"), ("stored", "")])
    }

    /// EXPIRED: what was stored had expired; this is stored.
    #[track_caller]
    pub(crate) fn is_expired(&self) -> &Answer {
        let expected = [("fwd", "stale"), ("stored", ""), ("detail", "expired")];
        self.says("EXPIRED", &expected)
    }

    /// INVALIDATED: a tag of what was stored has a new version; this is stored.
    #[track_caller]
    pub(crate) fn is_invalidated(&self) -> &Answer {
        let expected = [("fwd", "stale"), ("stored", ""), ("detail", "invalidated")];
        self.says("INVALIDATED", &expected)
    }

    /// STALE: out of the store, not fresh, for this reason.
    #[track_caller]
    pub(crate) fn is_stale(&self, why: &str) -> &Answer {
        let ttl = self.ttl();
        let is_fresh = why == "soft-stale"; // only to be fetched again
        assert!(
            ttl <= 0 || is_fresh,
            "expected a stale hit with ttl <= 0:\n{self}"
        );
        let ttl = ttl.to_string();
        self.says("STALE", &[("hit", ""), ("ttl", &ttl), ("detail", why)])
    }

    /// Whether it came out of the store, fresh or stale.
    #[track_caller]
    pub(crate) fn hits(&self) -> bool {
        let said = self.cache_status();
        said.is_some_and(|said| said.contains_key("hit"))
    }

    /// SHARED: out of somebody else's fill.
    #[track_caller]
    pub(crate) fn is_shared(&self) -> &Answer {
        self.says("SHARED", &[("fwd", "uri-miss"), ("collapsed", "")])
    }

    /// UNSTORED(reason): looked up, not there, and not stored either.
    #[track_caller]
    pub(crate) fn is_unstored(&self, reason: &str) -> &Answer {
        self.says("UNSTORED", &[("fwd", "uri-miss"), ("detail", reason)])
    }

    /// COLLAPSED: out of somebody else's fill, whatever was stored.
    #[track_caller]
    pub(crate) fn is_collapsed(&self) -> &Answer {
        let said = self.cache_status().unwrap_or_default();
        assert!(
            said.contains_key("collapsed"),
            "expected COLLAPSED:\n{self}"
        );
        self
    }

    /// The `detail` of `Cache-Status`, empty without one.
    #[track_caller]
    pub(crate) fn detail(&self) -> String {
        let said = self.cache_status().unwrap_or_default();
        said.get("detail").cloned().unwrap_or_default()
    }

    /// REFUSED(reason): neither out of the store nor asked for.
    #[track_caller]
    pub(crate) fn is_refused(&self, reason: &str) -> &Answer {
        self.says("REFUSED", &[("detail", reason)])
    }

    /// BYPASS, for this reason if one is given.
    #[track_caller]
    pub(crate) fn is_bypass(&self, reason: Option<&str>) -> &Answer {
        let said = self.cache_status().unwrap_or_default();
        let any = said.get("detail").cloned().unwrap_or_default();
        let reason = reason.unwrap_or(&any);
        assert!(!reason.is_empty(), "expected BYPASS with a reason:\n{self}");
        self.says("BYPASS", &[("fwd", "bypass"), ("detail", reason)])
    }

    /// METHOD: not a method that is cached.
    #[track_caller]
    pub(crate) fn is_method(&self) -> &Answer {
        self.says("METHOD", &[("fwd", "method")])
    }

    /// The client asked for a fresh one, and it is stored.
    #[track_caller]
    pub(crate) fn is_on_request(&self) -> &Answer {
        self.says("REQUEST", &[("fwd", "request"), ("stored", "")])
    }

    /// Not HIT: no `hit`.
    #[track_caller]
    pub(crate) fn is_not_hit(&self) -> &Answer {
        let said = self.cache_status();
        let hit = said.as_ref().is_none_or(|said| said.contains_key("hit"));
        assert!(!hit, "expected no hit:\n{self}");
        self
    }

    /// Neither out of the store nor into it.
    #[track_caller]
    pub(crate) fn is_not_stored(&self) -> &Answer {
        let stored = self
            .cache_status()
            .is_some_and(|said| said.contains_key("stored"));
        assert!(!stored, "expected no `stored`:\n{self}");
        self.is_not_hit()
    }

    #[track_caller]
    pub(crate) fn has_status(&self, status: u16) -> &Answer {
        assert!(self.status == status, "expected {status}:\n{self}");
        self
    }

    /// This body, and whole.
    #[track_caller]
    pub(crate) fn has_body(&self, body: impl AsRef<[u8]>) -> &Answer {
        let expected = String::from_utf8_lossy(body.as_ref());
        assert!(
            self.body == body.as_ref(),
            "expected the body `{expected:.200}`:\n{self}"
        );
        self.is_whole()
    }

    #[track_caller]
    pub(crate) fn is_whole(&self) -> &Answer {
        assert!(self.end == End::Whole, "expected a whole body:\n{self}");
        self
    }

    /// The body ended before its end.
    #[track_caller]
    pub(crate) fn is_cut(&self) -> &Answer {
        assert!(self.end != End::Whole, "expected a cut body:\n{self}");
        self
    }

    #[track_caller]
    pub(crate) fn has_field(&self, name: &str, value: &str) -> &Answer {
        let got = self.field(name);
        assert!(
            got.as_deref() == Some(value),
            "expected `{name}: {value}`:\n{self}"
        );
        self
    }

    #[track_caller]
    pub(crate) fn has_no_field(&self, name: &str) -> &Answer {
        assert!(self.field(name).is_none(), "expected no `{name}`:\n{self}");
        self
    }

    /// A failure told in the way of design.md §7: `application/problem+json`, and never out of the store.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16) -> &Answer {
        self.has_status(status)
            .has_field("content-type", "application/problem+json");
        let body: serde_json::Value = match serde_json::from_slice(&self.body) {
            Ok(body) => body,
            Err(error) => panic!("expected a JSON body ({error}):\n{self}"),
        };
        assert!(body.is_object(), "expected a problem object:\n{self}");
        self
    }

    /// A field's value, several lines joined.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        self.fields.get(name)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn as_text(item: &BareItem) -> String {
    match item {
        BareItem::Boolean(true) => String::new(),
        BareItem::Boolean(false) => "?0".into(),
        BareItem::Integer(number) => number.to_string(),
        BareItem::String(text) => text.as_str().to_owned(),
        BareItem::Token(token) => token.as_str().to_owned(),
        other @ (BareItem::Decimal(_)
        | BareItem::ByteSequence(_)
        | BareItem::Date(_)
        | BareItem::DisplayString(_)) => format!("{other:?}"),
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {}", self.first)?;
        write!(f, "{}", self.fields)?;
        let start: String = self.text().chars().take(500).collect();
        writeln!(f, "  {} bytes, {:?}: {start}", self.body.len(), self.end)?;
        write!(f, "{}", self.trailers)
    }
}
