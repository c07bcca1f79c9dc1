//! What a request would mean now, and what is stored for it. It asks for the very plan and the very entry that the request would
//! meet; nothing is sent anywhere and nothing changes (L14).

use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use futures_util::future::join_all;
use http::{Method, StatusCode, Uri};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::admin::Admin;
use crate::admin::api::tags::caused;
use crate::admin::asked::Ask;
use crate::admin::problem::Problem;
use crate::admin::request::Field;
use crate::admin::request::arriving;
use crate::admin::view;
use crate::admin::view::Answer;
use crate::admin::view::Entry;
use crate::admin::view::Explained;
use crate::admin::view::Invalidation;
use crate::admin::view::Stored;
use crate::cache::Explanation;
use crate::cache::Foreseen;
use crate::cache::Unstored;
use crate::model::outcome::Bypass;
use crate::model::outcome::Commit;
use crate::model::outcome::End;
use crate::model::outcome::Forward;
use crate::model::outcome::Kind;
use crate::model::outcome::NoStore;
use crate::model::outcome::Outcome;
use crate::model::outcome::Stale;
use crate::model::request::Head;
use crate::model::tag::Tag;
use crate::model::time::Timestamp;
use crate::rules::Mode;
use crate::rules::Plan;
use crate::rules::Query;

/// The request.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Asks {
    /// Its method. Default: GET.
    pub(super) method: Option<String>,
    /// Its URL, absolute; a path alone is one on localhost.
    pub(super) url: String,
    /// A field of it, as `Name: value`; may be given several times.
    #[serde(default)]
    pub(super) header: Vec<String>,
}

/// `GET /v1/explain`.
pub(super) async fn explain(
    State(admin): State<Admin>,
    Ask(asked): Ask<Pairs>,
) -> Result<Response, Problem> {
    let head = asked.head()?;
    let parts = admin.parts();
    let plan = parts.rules.load().plan(&head, parts.cache.now());
    let (answer, stored) = match &plan {
        Plan::Lookup(query) => admin.looked_up(query, &head).await,
        Plan::Pass(pass) => {
            let token = pass.claims.as_ref().err().map(ToString::to_string);
            let why = because(pass.why, token.as_deref());
            (forwarded(pass.why, why), None)
        }
    };
    let explained = Explained {
        answer,
        tags: admin.states(&plan, &head, stored.as_ref()).await,
        stored: stored.map(|it| shown(&it, parts.cache.now())),
        plan: view::Plan::of(&plan, &head),
    };
    Ok(view::json(StatusCode::OK, &explained))
}

impl Admin {
    /// How it would be answered now, and what is stored for it.
    async fn looked_up(&self, query: &Query, head: &Head) -> (Answer, Option<Explanation>) {
        let cache = &self.parts().cache;
        let stored = cache.explain(query, head);
        let trust = cache.trust(query, head).await;
        let foreseen = cache.foresee(query, head, trust);
        if matches!(query.rule.mode, Mode::Shadow(_)) {
            let found = match foreseen {
                Foreseen::Stored(_) => Bypass::ShadowHit,
                Foreseen::Passed(_) | Foreseen::Fetched(..) | Foreseen::OnlyIfCached => {
                    Bypass::ShadowMiss
                }
            };
            let why = Forward::Bypass(found);
            return (forwarded(why, because(why, None)), stored);
        }
        // What the client wants from the app no other sidecar has.
        if let Foreseen::Fetched(why, _) = foreseen
            && why != Forward::Request
            && let Some(entry) = cache.explain_elsewhere(query, head).await
        {
            let broken = None;
            let answer = told(Kind::Hit, "It is stored in the shared store, and fresh.");
            return (answer, Some(Explanation { entry, broken }));
        }
        let answer = match foreseen {
            Foreseen::Stored(None) => told(Kind::Hit, "It is stored here, and fresh."),
            Foreseen::Stored(Some(stale)) => told(Kind::Stale, although(stale)),
            Foreseen::OnlyIfCached => told(
                Kind::OnlyIfCached,
                "Nothing that is stored answers it, and the request wants no other answer (`only-if-cached`).",
            ),
            Foreseen::Fetched(_, Some(last)) => {
                let noted = cache.last_unstored(query, head);
                let noted = noted.filter(|noted| noted.reason == last);
                let text = unstored(last, noted.map(|noted| cache.now().since(noted.at)));
                let text = format!("{text} For a while nobody waits for the next one.");
                forwarded(Forward::Bypass(Bypass::HitForMiss), text)
            }
            Foreseen::Passed(why) => forwarded(why, self.why(why, stored.as_ref())),
            Foreseen::Fetched(why, None) => {
                let more = match (cache.last_unstored(query, head), why) {
                    (Some(Unstored { reason, at }), _) => {
                        Some(unstored(reason, Some(cache.now().since(at))))
                    }
                    (None, Forward::UriMiss) => elsewhere(&cache.other_origins(head).await),
                    (None, _) => None,
                };
                let text = self.why(why, stored.as_ref());
                forwarded(
                    why,
                    more.map_or(text.clone(), |more| format!("{text} {more}")),
                )
            }
        };
        (answer, stored)
    }

    /// Why the app would be asked, though this is stored.
    fn why(&self, why: Forward, stored: Option<&Explanation>) -> String {
        let now = self.parts().cache.now();
        let named = stored.and_then(|it| it.why_invalidated(now));
        let named = named.filter(|_| why == Forward::Invalidated);
        named.map_or_else(|| because(why, None), |named| named + ".")
    }

    /// The tags that its response would get, and those of what is stored.
    async fn states(
        &self,
        plan: &Plan,
        head: &Head,
        stored: Option<&Explanation>,
    ) -> Vec<view::TagState> {
        let matched = plan.matched(head);
        let mut tags: BTreeSet<Tag> = matched.implicit_tags(head).into_iter().collect();
        tags.extend(matched.tags.unwrap_or_default());
        let carried = stored.iter().flat_map(|it| &it.entry.tags);
        tags.extend(carried.map(|(tag, _)| tag.clone()));
        join_all(tags.iter().map(|tag| self.tag_state(tag))).await
    }
}

fn shown(explained: &Explanation, now: Timestamp) -> Stored {
    let invalidated = explained.broken.as_ref().map(|(tag, cause)| Invalidation {
        tag: tag.to_string(),
        cause: cause.as_ref().map(|cause| caused(cause, now)),
    });
    Stored {
        entry: Entry::from(&explained.entry),
        invalidated,
    }
}

fn told(outcome: Kind, why: &str) -> Answer {
    Answer {
        outcome: outcome.word().to_owned(),
        why: why.to_owned(),
    }
}

fn forwarded(why: Forward, text: String) -> Answer {
    let outcome = Outcome::Forwarded {
        why,
        status: None,
        end: End::Passed,
        commit: Commit::Done,
    };
    Answer {
        outcome: outcome.word().to_owned(),
        why: text,
    }
}

/// Why the app would be asked.
fn because(why: Forward, token: Option<&str>) -> String {
    let why = match why {
        Forward::UriMiss => "Nothing is stored for it here.",
        Forward::VaryMiss => {
            "What is stored is for other values of the fields that its `Vary` names."
        }
        Forward::Partial => "A part is stored, and not the one that is asked for.",
        Forward::Expired => "What is stored has expired.",
        Forward::Invalidated => "A tag of what is stored was incremented.",
        Forward::Request => "The request asks for a fresher one than is stored.",
        Forward::Method => "Its method is not cached.",
        Forward::Bypass(reason) => match reason {
            Bypass::Rule => {
                "Its rule says that nothing is stored, or no rule matches and such requests are not cached."
            }
            Bypass::Authorization => {
                "It carries credentials, and no rule says that such requests are looked up."
            }
            Bypass::Cookie => "It carries a cookie, and what is stored is not for sharing.",
            Bypass::RequestBody => "It has a body, which the key does not hold.",
            Bypass::Skip => "The `skip_when` of its rule says so.",
            Bypass::Token => match token {
                Some(token) => return format!("Its token is not trusted: {token}."),
                None => "Its token is not trusted.",
            },
            Bypass::Upgrade => "It asks for another protocol.",
            Bypass::Range => "It asks for several parts of the response.",
            Bypass::HitForMiss => "The last response could not be stored.",
            Bypass::Fenced => {
                "Nothing was heard of the shared store for so long that what is stored is not trusted."
            }
            Bypass::ShadowHit => {
                "Its rule only looks on (`mode: shadow`): what is stored would have been served."
            }
            Bypass::ShadowMiss | Bypass::ShadowDiffers => {
                "Its rule only looks on (`mode: shadow`): nothing that is stored could have been served."
            }
        },
    };
    why.to_owned()
}

/// Where the same path is stored for others, if it is.
fn elsewhere(origins: &[String]) -> Option<String> {
    (!origins.is_empty()).then(|| {
        let origins = origins.join(", ");
        format!("Under this path something is stored for {origins}: scheme, host and port are part of the key, unless a rule leaves out the host.")
    })
}

/// Why the last answer of the app was not stored, so long ago, if that is known.
fn unstored(reason: NoStore, ago: Option<Duration>) -> String {
    let ago = ago.map(|ago| format!(", {}s ago,", ago.as_secs()));
    let why = match reason {
        NoStore::NoStore => "it says `no-store`, or its request did",
        NoStore::Private => "it says that it is for one client alone",
        NoStore::Skip => "the `skip_when` of its rule says so",
        NoStore::SetCookie => "it sets a cookie",
        NoStore::Authorization => {
            "its request had credentials, and it does not say that it is for others too"
        }
        NoStore::Cookie => {
            "its request had a cookie, and it does not say that it is for others too"
        }
        NoStore::NoFreshness => "nothing says how long it is fresh",
        NoStore::AlreadyExpired => "its life was over, or it has none",
        NoStore::TooSlow => "it took longer than it is fresh",
        NoStore::Status => "it has a status that is not stored",
        NoStore::Method => "its method is not one whose answers are stored",
        NoStore::VaryAny => "it says `Vary: *`",
        NoStore::VaryUnknown => "it varies by something that is not understood",
        NoStore::Partial => {
            "it was a part that nobody asked for, or not the part that it said it was"
        }
        NoStore::Raced => "one of its tags was incremented while it was fetched",
        NoStore::TooManyTags => "it has more tags than `limits` allow",
        NoStore::TooManyVariants => {
            "`limits.max_variants` others are stored, which `Vary` tells apart"
        }
        NoStore::BadTag => "one of its tags cannot be read",
        NoStore::OldVersion => "its version of a tag (`;v=`) is not the newest",
        NoStore::MissingTagValue => "a placeholder of its rule's tags has no value",
        NoStore::UnreadableBody => "its rule reads tags from its body, which cannot be read",
        NoStore::TooLarge => "it is larger than `limits.max_object`",
        NoStore::UpstreamFailed => "it did not come, or not whole",
        NoStore::RequestCut => "the body of the request ended early",
        NoStore::RequestLate => "the body of the request did not come in time",
        NoStore::Alone => "it was fetched for one client alone",
        NoStore::Fenced => "nothing was heard of the shared store then",
    };
    let (ago, word) = (ago.unwrap_or_default(), reason.word());
    format!("The app's last answer{ago} was not stored: {why} (`{word}`).")
}

/// Why it would be answered with what is stale.
fn although(stale: Stale) -> &'static str {
    match stale {
        Stale::WhileRevalidate => {
            "What is stored is stale, and served while it is fetched again (`stale-while-revalidate`)."
        }
        Stale::IfError => {
            "What is stored is stale, and served as the app fails (`stale-if-error`)."
        }
        Stale::Disconnected => "What is stored is stale, and served as the app cannot be reached.",
        Stale::MaxStale => "What is stored is stale, and the request accepts that (`max-stale`).",
        Stale::Soft => {
            "What is stored is past its soft life, and served while it is fetched again."
        }
        Stale::Invalidated => {
            "A tag of what is stored was incremented, and it is served while it is fetched again."
        }
        Stale::Waited => "What is stored is stale, and served as another's response took too long.",
    }
}

/// The query as it is written: of its fields one may be there several times.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Pairs(Vec<(String, String)>);

impl Pairs {
    fn asks(self) -> Result<Asks, Problem> {
        let (mut method, mut url, mut header) = (None, None, Vec::new());
        for (name, value) in self.0 {
            let before = match &*name {
                "method" => method.replace(value),
                "url" => url.replace(value),
                "header" => {
                    header.push(value);
                    None
                }
                _ => {
                    return Err(malformed(&format!(
                        "unknown field `{name}`, expected `method`, `url` or `header`"
                    )));
                }
            };
            if before.is_some() {
                return Err(malformed(&format!("duplicate field `{name}`")));
            }
        }
        let url = url.ok_or_else(|| malformed("missing field `url`"))?;
        Ok(Asks {
            method,
            url,
            header,
        })
    }

    /// The head of the request.
    fn head(self) -> Result<Head, Problem> {
        let Asks {
            method,
            url,
            header,
        } = self.asks()?;
        let wrong =
            |field, why: &dyn std::fmt::Display| Problem::Wrong(format!("`{field}`: {why}."));
        let method = method.as_deref().unwrap_or("GET");
        let method: Method = method.parse().map_err(|error| wrong("method", &error))?;
        let url: Uri = url.parse().map_err(|error| wrong("url", &error))?;
        let field = |text: &String| {
            let Field(name, value) = text.parse().map_err(|error| wrong("header", &error))?;
            Ok((name, value))
        };
        let fields: Vec<_> = header.iter().map(field).collect::<Result<_, Problem>>()?;
        arriving(method, &url, fields).map_err(|error| wrong("url", &error))
    }
}

fn malformed(why: &str) -> Problem {
    Problem::Malformed(format!("The query: {why}."))
}
