//! Tags: which ones an operator may name, how they are, and giving them new versions.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use crate::admin::Admin;
use crate::admin::asked::Asked;
use crate::admin::asked::Named;
use crate::admin::deed::Actor;
use crate::admin::deed::Done;
use crate::admin::problem::Problem;
use crate::admin::view;
use crate::admin::view::IncrementRequest;
use crate::admin::view::Incremented;
use crate::admin::view::IncrementedTag;
use crate::admin::view::MissedTag;
use crate::admin::view::TagState;
use crate::audit::What;
use crate::cache::Cause;
use crate::cache::TagNow;
use crate::metrics::Source;
use crate::model::stamp::Stamp;
use crate::model::tag::Increment;
use crate::model::tag::Tag;
use crate::model::time::Timestamp;
use crate::model::units;

/// The most tags of one call.
const MOST: usize = 10_000;

/// The most tags of a list of those that matter most.
const MOST_HEAVY: usize = 50;

/// The longest tag, in bytes.
const LONGEST: usize = 4_096;

/// The kinds of the cache's own tags, which operators may name though apps may not.
const OWN: [&str; 6] = ["~rule:", "~uri:", "~base:", "~key:", "~group:", "~dim:"];

/// `GET /v1/tags`.
pub(super) async fn tags(State(admin): State<Admin>) -> Response {
    let cache = &admin.parts().cache;
    cache.measure();
    let (heavy, now) = (cache.heavy(), cache.now());
    let incremented = |tags: Vec<(Tag, u64, Option<Cause>)>| {
        let most = tags.into_iter().take(MOST_HEAVY);
        let shown = most.map(|(tag, count, last)| IncrementedTag {
            tag: tag.to_string(),
            count,
            last: last.map(|last| caused(&last, now)),
        });
        shown.collect()
    };
    let missed = heavy.missed.into_iter().take(MOST_HEAVY);
    let tags = view::Tags {
        tags: admin.parts().metrics.tags.get(),
        incremented: incremented(heavy.incremented),
        incremented_own: incremented(heavy.own),
        missed: missed
            .map(|(tag, count)| MissedTag {
                tag: tag.to_string(),
                count,
            })
            .collect(),
    };
    view::json(StatusCode::OK, &tags)
}

/// `GET /v1/tags/{tag}`: creates nothing (L14).
pub(super) async fn tag(
    State(admin): State<Admin>,
    Named(text): Named,
) -> Result<Response, Problem> {
    admin.answer_tag(&text).await
}

/// `GET /v1/tags/increment`: a tag may be called like the call beside it.
pub(super) async fn tag_of_that_name(State(admin): State<Admin>) -> Result<Response, Problem> {
    admin.answer_tag("increment").await
}

/// `POST /v1/tags/increment`.
pub(super) async fn increment(
    State(admin): State<Admin>,
    actor: Actor,
    asked: Asked<IncrementRequest>,
) -> Result<Done, Problem> {
    let doing = incremented(admin.clone(), Arc::clone(&actor.by), asked.wish);
    admin.act(actor, What::Increment, asked.target, doing).await
}

async fn incremented(
    admin: Admin,
    by: Arc<str>,
    wish: Result<IncrementRequest, Problem>,
) -> Result<Done, Problem> {
    let IncrementRequest { tags, soft, again } = wish?;
    let again = again.as_deref().map(units::duration).transpose();
    let again = again.map_err(|error| Problem::Wrong(format!("`again`: {error}.")))?;
    let tags = all_named(&tags)?;
    let increment = |tag: &Tag| Increment {
        tag: tag.clone(),
        soft,
        again,
    };
    let increments: Vec<Increment> = tags.iter().map(increment).collect();
    let stamps = admin.increment(&increments, &by).await?;
    let version = |(tag, stamp): (&Tag, Stamp)| (tag.to_string(), stamp.get());
    Ok(Done::with(&Incremented {
        incremented: tags.len() as u64,
        versions: tags.iter().zip(stamps).map(version).collect(),
        ignored: admin.constants(&tags),
    }))
}

impl Admin {
    /// Those of these tags of which the rules in force go on using what they tag with them.
    pub(super) fn constants(&self, tags: &[Tag]) -> Vec<String> {
        let rules = self.parts().rules.load();
        let constants = tags.iter().filter(|tag| rules.is_constant(tag));
        constants.map(ToString::to_string).collect()
    }
}

/// The tag with this name, one of the cache's own too.
///
/// # Errors
///
/// Why it is none.
pub(super) fn named(text: &str) -> Result<Tag, String> {
    if text.len() > LONGEST {
        let found = text.len();
        return Err(format!(
            "a tag has at most {LONGEST} bytes, and this one has {found}"
        ));
    }
    let is_own = *text == *Tag::all().as_str() || OWN.iter().any(|kind| text.starts_with(kind));
    let tag = match is_own && !text.contains(char::is_control) {
        true => Tag::from_stored(text),
        false => Tag::parse(text),
    };
    tag.map_err(|error| error.to_string())
}

/// The tags with these names, each once.
///
/// # Errors
///
/// There are none, too many, or one is none.
pub(super) fn all_named(texts: &[String]) -> Result<Vec<Tag>, Problem> {
    if texts.is_empty() || texts.len() > MOST {
        let found = texts.len();
        let detail = format!("`tags`: 1 to {MOST} tags are expected, and {found} were found.");
        return Err(Problem::Wrong(detail));
    }
    let tag = |(n, text): (usize, &String)| {
        named(text).map_err(|why| Problem::Wrong(format!("`tags[{n}]`: {why}.")))
    };
    let tags = texts.iter().enumerate().map(tag);
    let tags: BTreeSet<Tag> = tags.collect::<Result<_, Problem>>()?;
    Ok(tags.into_iter().collect())
}

impl Admin {
    async fn answer_tag(&self, text: &str) -> Result<Response, Problem> {
        let tag = named(text);
        let tag = tag.map_err(|why| Problem::Malformed(format!("The path: {why}.")))?;
        Ok(view::json(StatusCode::OK, &self.tag_state(&tag).await))
    }

    /// A tag as it is now.
    pub(super) async fn tag_state(&self, tag: &Tag) -> TagState {
        let cache = &self.parts().cache;
        let TagNow {
            tag,
            version,
            app_version,
            cause,
        } = cache.tag(tag).await;
        TagState {
            tag: tag.to_string(),
            version: version.map(Stamp::get),
            app_version,
            incremented: cause.map(|cause| caused(&cause, cache.now())),
        }
    }

    /// Gives these tags new versions, and says which in their order.
    ///
    /// # Errors
    ///
    /// The shared store has not taken them, and they wait for it.
    pub(super) async fn increment(
        &self,
        increments: &[Increment],
        by: &Arc<str>,
    ) -> Result<Vec<Stamp>, Problem> {
        let stamps = self
            .parts()
            .cache
            .increment_by_operator(increments, by)
            .await;
        stamps.ok_or(Problem::Deferred(
            "The shared store has not taken it in time: it counts here, and waits for the store.",
        ))
    }
}

/// The cause, as it is seen now.
pub(super) fn caused(cause: &Cause, now: Timestamp) -> view::Cause {
    view::Cause {
        at: cause.at.into(),
        ago_seconds: now.since(cause.at).as_secs_f64(),
        by: cause.by.to_string(),
        source: cause.source.into(),
    }
}

impl From<Source> for view::Source {
    fn from(source: Source) -> view::Source {
        match source {
            Source::Response => view::Source::Response,
            Source::Repeat => view::Source::Repeat,
            Source::OtherSidecar => view::Source::OtherSidecar,
            Source::Admin => view::Source::Admin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_name_the_tags_of_apps_and_those_of_the_cache() {
        let long = "a".repeat(LONGEST + 1);
        for (text, expected) in [
            ("User:42", Ok(())),
            ("<img src=x onerror=alert(1)>", Err("white space")),
            ("\u{202e}gnp.exe", Ok(())),
            ("~all", Ok(())),
            ("~key:Book:1", Ok(())),
            ("~uri:http://a/?b=1,2;3", Ok(())),
            ("~rule:a\nb", Err("belong to the cache")),
            ("~nothing", Err("belong to the cache")),
            ("~", Err("belong to the cache")),
            ("", Err("needs a name")),
            ("a b", Err("white space")),
            ("a,b", Err("percent-encoded")),
            ("a\0", Err("control characters")),
            (&*long, Err("at most 4096 bytes")),
        ] {
            let found = named(text);
            match (found, expected) {
                (Ok(tag), Ok(())) => assert_eq!(tag.as_str(), text),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{text}: {found}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }
}
