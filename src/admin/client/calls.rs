//! The calls, each by its name (rules.md §7).

use http::header::{AGE, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::Value;
use ureq::BodyReader;

use crate::admin::client::Answer;
use crate::admin::client::Call;
use crate::admin::client::CallError;
use crate::admin::client::Client;
use crate::admin::view::AuditPage;
use crate::admin::view::ChangeRequest;
use crate::admin::view::Changed;
use crate::admin::view::Entries;
use crate::admin::view::Entry;
use crate::admin::view::Epoch;
use crate::admin::view::Explained;
use crate::admin::view::Health;
use crate::admin::view::IncrementRequest;
use crate::admin::view::Incremented;
use crate::admin::view::Increments;
use crate::admin::view::LifeRequest;
use crate::admin::view::PurgeRequest;
use crate::admin::view::Purged;
use crate::admin::view::RefreshRequest;
use crate::admin::view::Refreshed;
use crate::admin::view::Reloaded;
use crate::admin::view::Rules;
use crate::admin::view::Stats;
use crate::admin::view::TagState;
use crate::admin::view::Tags;

type Asked<T> = Result<Answer<T>, CallError>;

/// Which entries are listed: those that fit all of this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// Of the rule with this id; empty: of none.
    pub rule: Option<String>,
    /// With this tag.
    pub tag: Option<String>,
    /// With such a logical key.
    pub matching: Option<String>,
    /// `memory` or `redis`.
    pub tier: Option<&'static str>,
}

/// An app's own value, as it is stored.
pub struct Object {
    /// Its bytes, as they come.
    pub body: BodyReader<'static>,
    /// What it is.
    pub content_type: Option<String>,
    /// For how many seconds it has been stored.
    pub age: Option<u64>,
}

/// An app's own value that is to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutObject {
    /// What it is.
    pub content_type: HeaderValue,
    /// Its tags, as `Cache-Tag` lists them.
    pub tags: Option<HeaderValue>,
    /// How long it lives, in seconds.
    pub max_age: u64,
    /// What a [`Client::object`] that found nothing has given: nothing is stored if a tag was incremented since.
    pub token: Option<HeaderValue>,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// The field of the token for storing an object (L1).
const TOKEN: &str = "tagalong-token";

/// Every call: an error is a sidecar that is away or refuses.
#[expect(clippy::missing_errors_doc, reason = "said once, for all of them")]
impl Client {
    /// The sidecar in numbers.
    pub fn stats(&self) -> Asked<Stats> {
        self.ask(Call::get("/v1/stats"))
    }

    /// How it is, answering requests or not.
    pub fn health(&self) -> Asked<Health> {
        let good =
            |status: StatusCode| status.is_success() || status == StatusCode::SERVICE_UNAVAILABLE;
        let (_, text) = self.text(Call::get("/readyz"), good)?;
        Ok(self.answer(text))
    }

    /// The rules in force.
    pub fn rules(&self) -> Asked<Rules> {
        self.ask(Call::get("/v1/rules"))
    }

    /// What a request means, and what is stored for it.
    pub fn explain(&self, method: &Method, url: &str, fields: &HeaderMap) -> Asked<Explained> {
        let call = Call::get("/v1/explain")
            .query("method", method.as_str())
            .query("url", url);
        let call = fields.iter().fold(call, |call, (name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            call.query("header", &format!("{name}: {value}"))
        });
        self.ask(call)
    }

    /// A page of what is stored.
    pub fn entries(&self, which: &Which, limit: u64, cursor: Option<&str>) -> Asked<Entries> {
        let call = Call::get("/v1/entries")
            .query("limit", &limit.to_string())
            .query_if("rule", which.rule.as_deref())
            .query_if("tag", which.tag.as_deref())
            .query_if("match", which.matching.as_deref())
            .query_if("tier", which.tier)
            .query_if("cursor", cursor);
        self.ask(call.long())
    }

    /// One of them.
    pub fn entry(&self, key: &str) -> Asked<Entry> {
        self.ask(Call::get("/v1/entries").of(key).long())
    }

    /// Gives one another life.
    pub fn set_life(&self, key: &str, life: &LifeRequest) -> Asked<Entry> {
        self.ask(
            Call::new(Method::PATCH, "/v1/entries")
                .of(key)
                .json(life)
                .long(),
        )
    }

    /// Forgets one.
    pub fn delete_entry(&self, key: &str) -> Asked<Purged> {
        self.ask(Call::new(Method::DELETE, "/v1/entries").of(key).long())
    }

    /// The tags in numbers.
    pub fn tags(&self) -> Asked<Tags> {
        self.ask(Call::get("/v1/tags"))
    }

    /// A tag as it is now.
    pub fn tag(&self, tag: &str) -> Asked<TagState> {
        self.ask(Call::get("/v1/tags").of(tag))
    }

    /// The last increments.
    pub fn increments(&self, limit: u64) -> Asked<Increments> {
        self.ask(Call::get("/v1/increments").query("limit", &limit.to_string()))
    }

    /// Gives tags new versions.
    pub fn increment(&self, what: &IncrementRequest) -> Asked<Incremented> {
        self.ask(Call::new(Method::POST, "/v1/tags/increment").json(what))
    }

    /// Forgets.
    pub fn purge(&self, what: &PurgeRequest) -> Asked<Purged> {
        self.ask(Call::new(Method::POST, "/v1/purge").json(what).long())
    }

    /// Fetches again.
    pub fn refresh(&self, what: &RefreshRequest) -> Asked<Refreshed> {
        self.ask(Call::new(Method::POST, "/v1/refresh").json(what).long())
    }

    /// Tells of changed attributes.
    pub fn change(&self, what: &ChangeRequest) -> Asked<Changed> {
        self.ask(Call::new(Method::POST, "/v1/change").json(what))
    }

    /// The epoch in force.
    pub fn epoch(&self) -> Asked<Epoch> {
        self.ask(Call::get("/v1/epoch"))
    }

    /// Raises it.
    pub fn put_epoch(&self, epoch: Epoch) -> Asked<Epoch> {
        self.ask(Call::new(Method::PUT, "/v1/epoch").json(&epoch))
    }

    /// A page of what was done.
    pub fn audit(&self, limit: u64, cursor: Option<&str>) -> Asked<AuditPage> {
        let call = Call::get("/v1/audit").query("limit", &limit.to_string());
        self.ask(call.query_if("cursor", cursor))
    }

    /// Has the files read again.
    pub fn reload(&self) -> Asked<Reloaded> {
        self.ask(Call::new(Method::POST, "/v1/reload").json(&serde_json::json!({})))
    }

    /// The description of all calls.
    pub fn openapi(&self) -> Asked<Value> {
        self.ask(Call::get("/openapi.json"))
    }

    /// An app's own value; or, where there is none, the token to store it with, if the sidecar gives one.
    pub fn object(&self, key: &str) -> Result<Result<Object, Option<String>>, CallError> {
        let call = Call::get("/v1/objects").of(key).long();
        let good = |status| status == StatusCode::OK || status == StatusCode::NOT_FOUND;
        let (parts, body) = self.good(call, good)?.into_parts();
        let field = |name: &str| {
            let value = parts.headers.get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        Ok(match parts.status {
            StatusCode::NOT_FOUND => Err(field(TOKEN)),
            _ => Ok(Object {
                body: body.into_reader(),
                content_type: field(CONTENT_TYPE.as_str()),
                age: field(AGE.as_str()).and_then(|age| age.parse().ok()),
            }),
        })
    }

    /// Stores an app's own value; whether there was none before.
    pub fn put_object(&self, key: &str, object: PutObject) -> Result<bool, CallError> {
        let mut call = Call::new(Method::PUT, "/v1/objects").of(key).long();
        let life = HeaderValue::try_from(format!("max-age={}", object.max_age));
        call.fields = [
            (CONTENT_TYPE.as_str(), Some(object.content_type)),
            ("cache-tag", object.tags),
            ("tagalong-cache-control", life.ok()),
            (TOKEN, object.token),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
        call.body = object.body;
        let response = self.good(call, |status| status.is_success())?;
        Ok(response.status() == StatusCode::CREATED)
    }

    /// Forgets an app's own value.
    pub fn delete_object(&self, key: &str) -> Asked<Purged> {
        self.ask(Call::new(Method::DELETE, "/v1/objects").of(key))
    }
}
