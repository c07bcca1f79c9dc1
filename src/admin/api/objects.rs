//! Values that the app keeps here itself, with tags as responses have them (rules.md §7). A reader that finds none is given a token;
//! what it computes then is refused if one of its tags was incremented since (L1).

use std::sync::Arc;

use axum::Extension;
use axum::extract::Request;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::json;

use crate::admin::Admin;
use crate::admin::asked::Named;
use crate::admin::asked::whole;
use crate::admin::call::Field;
use crate::admin::deed::Actor;
use crate::admin::deed::Done;
use crate::admin::problem::Problem;
use crate::admin::room::Room;
use crate::admin::view::Purged;
use crate::audit::What;
use crate::cache::NotAToken;
use crate::cache::Token;
use crate::cache::objects::Found;
use crate::cache::objects::NotPut;
use crate::cache::objects::Object;
use crate::cache::objects::Put;
use crate::model::tag::Tagged;
use crate::policy;

/// What a 404 gives, and a `PUT` may present.
const TOKEN: HeaderName = HeaderName::from_static("tagalong-token");

/// The full identity of what is answered.
const KEY: HeaderName = HeaderName::from_static("tagalong-key");

/// A value may say that it is a page: it is none of ours, and does nothing.
const CONTENT_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox");

/// What a `PUT` says of its value.
pub(super) const FIELDS: &[Field] = &[
    Field {
        name: "Tagalong-Cache-Control",
        is_required: true,
        says: "How long the value may be used: `max-age=60`; a week at most.",
    },
    Field {
        name: "Cache-Tag",
        is_required: false,
        says: "What it was computed from, as responses say it (`headers.tags`).",
    },
    Field {
        name: "Tagalong-Token",
        is_required: false,
        says: "What the 404 before it was computed gave.",
    },
];

/// `GET /v1/objects/{key}`.
pub(super) async fn object(
    State(admin): State<Admin>,
    Named(name): Named,
) -> Result<Response, Problem> {
    let rules = admin.parts().rules.load();
    match admin.parts().cache.objects(&rules).get(&name).await {
        Found::Object {
            content_type,
            body,
            age,
            key,
        } => {
            let mut response = body.into_response();
            let headers = response.headers_mut();
            let bytes = HeaderValue::from_static("application/octet-stream");
            headers.insert(header::CONTENT_TYPE, content_type.unwrap_or(bytes));
            headers.insert(header::AGE, age.as_secs().into());
            headers.insert(KEY, shown(&key));
            headers.insert(header::CONTENT_SECURITY_POLICY, CONTENT_POLICY);
            Ok(response)
        }
        Found::Nothing(token) => {
            let nothing = Problem::Nothing("Nothing is stored under this key.".to_owned());
            let mut response = nothing.into_response();
            response.headers_mut().insert(TOKEN, shown(&token));
            Ok(response)
        }
    }
}

fn shown(text: &impl ToString) -> HeaderValue {
    HeaderValue::from_str(&text.to_string()).expect("digits and letters are a field value")
}

/// `PUT /v1/objects/{key}`.
pub(super) async fn put(
    State(admin): State<Admin>,
    actor: Actor,
    Extension(room): Extension<Arc<Room>>,
    Named(name): Named,
    request: Request,
) -> Result<Done, Problem> {
    let headers = request.headers().clone();
    let held = room.body().await?;
    let body = whole(request, admin.parts().max_object).await?;
    let target = json!({ "key": name, "bytes": body.len() });
    let by = Arc::clone(&actor.by);
    let doing = {
        let admin = admin.clone();
        async move {
            let token = token(&headers)?;
            let life = policy::life_of_value(&headers).ok_or_else(|| {
                let expected = "`Tagalong-Cache-Control`: a life such as `max-age=60` is expected.";
                Problem::Wrong(expected.to_owned())
            })?;
            let object = Object {
                content_type: headers.get(header::CONTENT_TYPE).cloned(),
                tags: admin.tags_of(headers)?,
                body,
                life,
            };
            let rules = admin.parts().rules.load();
            let objects = admin.parts().cache.objects(&rules);
            let put = objects.put(&name, object, token.as_ref(), &by).await;
            drop(held);
            match put {
                Ok(Put::New) => Ok(Done::silently(StatusCode::CREATED)),
                Ok(Put::Replaced) => Ok(Done::silently(StatusCode::NO_CONTENT)),
                Err(why) => Err(admin.refused(why)),
            }
        }
    };
    admin.act(actor, What::ObjectPut, target, doing).await
}

/// `DELETE /v1/objects/{key}`.
pub(super) async fn delete(
    State(admin): State<Admin>,
    actor: Actor,
    Named(name): Named,
) -> Result<Done, Problem> {
    let target = json!({ "key": name });
    let by = Arc::clone(&actor.by);
    let doing = {
        let admin = admin.clone();
        async move {
            let rules = admin.parts().rules.load();
            let objects = admin.parts().cache.objects(&rules);
            let purged = objects.delete(&name, &by).await.ok_or(Problem::Deferred(
                "The shared store has not been told in time: it counts here, and waits for the store.",
            ))?;
            Ok(Done::with(&Purged::counted(purged)))
        }
    };
    admin.act(actor, What::ObjectDelete, target, doing).await
}

fn token(headers: &HeaderMap) -> Result<Option<Token>, Problem> {
    let wrong = || Problem::Wrong("`Tagalong-Token`: what a 404 gave is expected.".to_owned());
    let mut presented = headers.get_all(TOKEN).iter();
    let Some(token) = presented.next() else {
        return Ok(None);
    };
    if presented.next().is_some() {
        return Err(wrong());
    }
    let token = token.to_str().map_err(|_| wrong())?;
    let token = token.parse().map_err(|NotAToken| wrong())?;
    Ok(Some(token))
}

impl Admin {
    /// The tags that a value is put with, spelled as responses spell theirs.
    fn tags_of(&self, mut headers: HeaderMap) -> Result<Vec<Tagged>, Problem> {
        let parts = self.parts();
        let host = headers.get(header::HOST).cloned();
        let host = host.as_ref().and_then(|host| host.to_str().ok());
        let origin = || format!("http://{}", host.unwrap_or_default());
        let said = parts.dialects.take(origin, true, &mut headers);
        // In a response one would be passed over, and nothing stored; who calls can be told.
        if said.unreadable || !said.ignored.is_empty() {
            let first = said.ignored.first();
            let why = first.map(|it| format!("{}: {} ({})", it.field, it.text, it.why));
            let why = why.unwrap_or_default();
            return Err(Problem::Wrong(format!("A tag cannot be read: {why}.")));
        }
        let bytes: usize = said.tags.iter().map(|it| it.tag.as_str().len()).sum();
        let limits = parts.tag_limits;
        if said.tags.len() > limits.max_tags || bytes > limits.max_tag_bytes {
            let (tags, bytes) = (limits.max_tags, limits.max_tag_bytes);
            let expected = format!("At most {tags} tags of {bytes} bytes together are expected.");
            return Err(Problem::Wrong(expected));
        }
        Ok(said.tags)
    }

    fn refused(&self, why: NotPut) -> Problem {
        match why {
            NotPut::Raced => Problem::Conflict(
                "One of its tags was incremented since it was computed, or nobody knows: compute it anew.".to_owned(),
            ),
            NotPut::OldVersion => Problem::Conflict(
                "The app has told of a higher version of one of its tags: compute it anew.".to_owned(),
            ),
            NotPut::TooLarge => Problem::TooLarge(self.parts().max_object),
            NotPut::NoLife => {
                Problem::Wrong("`Tagalong-Cache-Control`: a life longer than 0 is expected.".to_owned())
            }
            NotPut::Fenced => Problem::Deferred(
                "The shared store cannot be asked: nobody knows the versions of its tags.",
            ),
        }
    }
}
