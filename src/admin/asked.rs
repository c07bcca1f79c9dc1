//! What a call says: its path, its query and its body, read strictly, so that what is misspelt is refused and not ignored.

use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::FromRequest;
use axum::extract::FromRequestParts;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::Request;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;
use tokio::time::timeout;

use crate::admin::problem::Problem;

/// The largest body that is JSON, in bytes.
pub(super) const MAX_JSON: usize = 1 << 20;

/// For a whole body.
const BODY_TIME: Duration = Duration::from_secs(30);

/// A body of JSON.
#[derive(Debug)]
pub(super) struct Asked<T> {
    /// As it was sent.
    pub(super) target: Value,
    /// What it asks for, or what is wrong with it.
    pub(super) wish: Result<T, Problem>,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Asked<T>, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::MediaType);
        }
        Asked::read(&whole(request, MAX_JSON).await?)
    }
}

impl<T: DeserializeOwned> Asked<T> {
    fn read(body: &[u8]) -> Result<Asked<T>, Problem> {
        let mut json = serde_json::Deserializer::from_slice(body);
        let wish = serde_path_to_error::deserialize(&mut json);
        // Read to its end though the wish is wrong: what cannot be read is no wish at all.
        let target: Value = serde_json::from_slice(body).map_err(|error| malformed(&error))?;
        let wish = match wish {
            // Not the values alone, in some order.
            _ if !target.is_object() => Err(Problem::Wrong("An object is expected.".to_owned())),
            Ok(wish) => Ok(wish),
            Err(error) => match error.inner().classify() {
                Category::Data => Err(Problem::Wrong(wrong(&error))),
                Category::Syntax | Category::Eof | Category::Io => {
                    return Err(malformed(error.inner()));
                }
            },
        };
        Ok(Asked { target, wish })
    }
}

fn malformed(error: &serde_json::Error) -> Problem {
    Problem::Malformed(format!("JSON is expected: {error}."))
}

/// Where it is wrong, and what is expected.
fn wrong(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let path = error.path().to_string();
    let text = error.inner().to_string();
    // Where it stands in the text matters less than in which field.
    let what = text
        .rsplit_once(" at line ")
        .map_or(&*text, |(what, _)| what);
    match &*path {
        "." => format!("{what}."),
        path => format!("`{path}`: {what}."),
    }
}

/// Whether the fields say that the body is JSON.
fn is_json(headers: &HeaderMap) -> bool {
    let mut fields = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return false;
    };
    let kind = field.as_bytes().split(|byte| *byte == b';').next();
    kind.is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(b"application/json"))
}

/// The whole body, of at most so many bytes.
pub(super) async fn whole(request: Request, most: usize) -> Result<Bytes, Problem> {
    let said = request.headers().get(header::CONTENT_LENGTH);
    let said = said.and_then(|said| said.to_str().ok()?.parse::<usize>().ok());
    if said.is_some_and(|said| said > most) {
        return Err(Problem::TooLarge(most));
    }
    match timeout(BODY_TIME, to_bytes(request.into_body(), most)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) => Err(match is_of_length(&error) {
            true => Problem::TooLarge(most),
            false => Problem::Malformed("The body did not come whole.".to_owned()),
        }),
        Err(_) => Err(Problem::Late),
    }
}

fn is_of_length(error: &axum::Error) -> bool {
    let source = std::error::Error::source(error);
    source.is_some_and(|source| source.is::<http_body_util::LengthLimitError>())
}

/// The query of a call.
#[derive(Debug)]
pub(super) struct Ask<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Ask<T> {
    type Rejection = Problem;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Ask<T>, Problem> {
        match Query::try_from_uri(&head.uri) {
            Ok(Query(asked)) => Ok(Ask(asked)),
            Err(error) => {
                let why = std::error::Error::source(&error).map(ToString::to_string);
                let why = why.unwrap_or_else(|| error.to_string());
                Err(Problem::Malformed(format!("The query: {why}.")))
            }
        }
    }
}

/// The last segment of a path, decoded.
#[derive(Debug)]
pub(super) struct Named(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(head: &mut Parts, state: &S) -> Result<Named, Problem> {
        match Path::from_request_parts(head, state).await {
            Ok(Path(name)) => Ok(Named(name)),
            Err(error) => Err(Problem::Malformed(format!(
                "The path: {}.",
                error.body_text()
            ))),
        }
    }
}

/// How many of something are asked for; `usual` where nothing is said.
///
/// # Errors
///
/// It is none, or more than `most`.
pub(super) fn limit(asked: Option<usize>, usual: usize, most: usize) -> Result<usize, String> {
    match asked.unwrap_or(usual) {
        limit if (1..=most).contains(&limit) => Ok(limit),
        limit => Err(format!("`limit`: expected 1 to {most}, found {limit}.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::view::PurgeRequest;

    fn found(body: &str) -> String {
        match Asked::<PurgeRequest>::read(body.as_bytes()) {
            Ok(Asked { wish: Ok(_), .. }) => "right".to_owned(),
            Ok(Asked {
                wish: Err(problem), ..
            })
            | Err(problem) => format!("{} {}", problem.status().as_u16(), problem.detail()),
        }
    }

    #[test]
    fn what_is_wrong_with_a_body_is_told_with_its_field() {
        for (body, expected) in [
            (r#"{"all": true}"#, "right"),
            (
                "",
                "400 JSON is expected: EOF while parsing a value at line 1 column 0.",
            ),
            (
                "{",
                "400 JSON is expected: EOF while parsing an object at line 1 column 1.",
            ),
            (
                r#"{"all": true} x"#,
                "400 JSON is expected: trailing characters at line 1 column 15.",
            ),
            (
                r#"{"tags": 1, "#,
                "400 JSON is expected: EOF while parsing a value at line 1 column 12.",
            ),
            (
                r#"{"tags": ["a", 1]}"#,
                "422 `tags[1]`: invalid type: integer `1`, expected a string.",
            ),
            (
                "[null, null, null, null, null, true, false]",
                "422 An object is expected.",
            ),
            (
                r#"{"everything": true}"#,
                "422 `everything`: unknown field `everything`, expected one of `url`, `rule`, `group`, `tags`, `match`, `all`, `soft`.",
            ),
            (r#"{"url": "a", "url": "b"}"#, "422 duplicate field `url`."),
        ] {
            assert_eq!(found(body), expected, "{body}");
        }
    }

    #[test]
    fn json_says_that_it_is() {
        for (fields, expected) in [
            (&["application/json"][..], true),
            (&["Application/JSON; charset=utf-8"], true),
            (&["text/plain"], false),
            (&["application/jsonp"], false),
            (&["application/json", "text/plain"], false),
            (&[], false),
        ] {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(header::CONTENT_TYPE, field.parse().unwrap());
            }
            assert_eq!(is_json(&headers), expected, "{fields:?}");
        }
    }
}
