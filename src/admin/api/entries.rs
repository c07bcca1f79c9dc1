//! What is stored: lists, and single responses.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::admin::Admin;
use crate::admin::api::list;
use crate::admin::api::tags;
use crate::admin::asked::Ask;
use crate::admin::asked::Named;
use crate::admin::asked::limit;
use crate::admin::problem::Problem;
use crate::admin::view;
use crate::admin::view::Entries;
use crate::admin::view::Entry;
use crate::admin::view::Versioned;
use crate::cache::Away;
use crate::cache::Filter;
use crate::cache::ListError;
use crate::cache::Listed;
use crate::cache::MOST_LISTED;
use crate::cache::State as Worth;
use crate::cache::Tier;
use crate::model::glob::Glob;
use crate::model::key::ComposedKey;
use crate::model::stamp::Stamp;
use crate::model::tag::Tag;

/// Which responses are listed: those for which all that is given holds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asks {
    /// The id of the rule that stored it; empty: none matched.
    rule: Option<String>,
    /// A tag that it carries.
    tag: Option<String>,
    /// A pattern that its logical key matches; `*` stands for any text.
    #[serde(rename = "match")]
    matching: Option<String>,
    /// Where it is kept.
    tier: Option<view::Tier>,
    /// About how many: of the shared store a page may have some more, as it gives several at once. Default: 100.
    #[schemars(range(min = 1, max = 10_000))]
    limit: Option<usize>,
    /// Where to go on: what the page before said.
    cursor: Option<String>,
}

/// How many are listed if nothing is said.
const USUAL: usize = 100;

/// What is said where the shared store does not answer.
pub(super) const SILENT: &str = "The shared store does not say what it holds.";

/// `GET /v1/entries`.
pub(super) async fn entries(
    State(admin): State<Admin>,
    Ask(asked): Ask<Asks>,
) -> Result<Response, Problem> {
    let limit = limit(asked.limit, USUAL, MOST_LISTED).map_err(Problem::Malformed)?;
    let cursor = asked.cursor.clone();
    let filter = asked.filter().map_err(Problem::Malformed)?;
    let listed = admin.parts().cache.list(&filter, cursor.as_deref(), limit);
    let page = listed.await.map_err(|error| match error {
        ListError::Cursor => Problem::Malformed(format!("`cursor`: {error}.")),
        ListError::Away => Problem::Deferred(SILENT),
    })?;
    list(&admin, move || Entries {
        entries: page.entries.iter().map(Entry::from).collect(),
        cursor: page.cursor,
    })
    .await
}

impl Asks {
    fn filter(self) -> Result<Filter, String> {
        let tag = self.tag.as_deref().map(tags::named).transpose();
        Ok(Filter {
            rule: self.rule.map(Into::into),
            tag: tag.map_err(|why| format!("`tag`: {why}."))?,
            glob: self.matching.as_deref().map(Glob::new),
            tier: self.tier.map(|tier| match tier {
                view::Tier::Memory => Tier::Memory,
                view::Tier::Redis => Tier::Redis,
            }),
        })
    }
}

/// `GET /v1/entries/{key}`.
pub(super) async fn entry(
    State(admin): State<Admin>,
    Named(key): Named,
) -> Result<Response, Problem> {
    let found = admin.parts().cache.entry(&of_text(&key)?).await;
    let found = found.map_err(|Away| Problem::Deferred(SILENT))?;
    let found = found.ok_or_else(nothing)?;
    Ok(view::json(StatusCode::OK, &Entry::from(&found)))
}

/// The key that is shown as this text.
pub(super) fn of_text(key: &str) -> Result<ComposedKey, Problem> {
    let expected = "The path: a key of 32 digits of base 16 is expected.";
    ComposedKey::from_hex(key).ok_or_else(|| Problem::Malformed(expected.to_owned()))
}

pub(super) fn nothing() -> Problem {
    Problem::Nothing("Nothing that could answer a request is stored under this key.".to_owned())
}

impl From<&Listed> for Entry {
    fn from(listed: &Listed) -> Entry {
        let version = |(tag, stamp): &(Tag, Stamp)| Versioned {
            tag: tag.to_string(),
            version: stamp.get(),
        };
        let fields = listed.fields().into_iter();
        Entry {
            key: listed.key.to_string(),
            logical_key: listed.logical.to_string(),
            rule: listed.rule.as_deref().unwrap_or_default().to_owned(),
            fields: fields.map(|(name, value)| (name, Some(value))).collect(),
            tags: listed.tags.iter().map(version).collect(),
            status: listed.status.map(|status| status.as_u16()),
            created: listed.created.into(),
            fresh_until: listed.fresh_until.into(),
            expires: listed.expires.into(),
            hits: listed.hits,
            size_bytes: listed.size,
            tier: match listed.tier {
                Tier::Memory => view::Tier::Memory,
                Tier::Redis => view::Tier::Redis,
            },
            vary: listed.vary.iter().map(ToString::to_string).collect(),
            state: listed.state.into(),
        }
    }
}

impl From<Worth> for view::State {
    fn from(worth: Worth) -> view::State {
        match worth {
            Worth::Fresh => view::State::Fresh,
            Worth::Stale => view::State::Stale,
            Worth::Expired => view::State::Expired,
            Worth::Invalidated => view::State::Invalidated,
        }
    }
}
