//! `tagalong explain`: what a request would mean. It asks the rules for the very plan the sidecar would follow; nothing
//! is sent anywhere.

use std::io::Write;
use std::str::FromStr;

use anyhow::Context;
use clap::Args;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use serde::Serialize;

use crate::cli::Failure;
use crate::cli::files::Files;
use crate::clock::Clock;
use crate::model::outcome::Forward;
use crate::model::request::Head;
use crate::rules::MissingTagValue;
use crate::rules::Plan;
use crate::rules::RuleIncrement;

/// Print what a request means: its rule, its key, its tags, and whether it is looked up at all.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The method. Default: GET, or POST with --data.
    #[arg(short = 'X', long)]
    method: Option<Method>,
    /// The URL a client would ask for; a path alone is one on localhost.
    url: Uri,
    /// A field of the request, as 'Name: value'; may be given several times.
    #[arg(short = 'H', long = "header", value_name = "FIELD")]
    fields: Vec<Field>,
    /// The body, as curl sends it: as a form, unless a field says `Content-Type: application/json` or the like.
    #[arg(short = 'd', long, value_name = "BODY")]
    data: Option<String>,
    /// As JSON, for machines.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    files: Files,
}

/// A plan for machines. What does not apply is absent.
#[derive(Debug, Serialize)]
struct PlanView {
    /// Absent where no rule matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(flatten)]
    what: WhatView,
    tags: TagsView,
    increments: Vec<IncrementView>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "plan", rename_all = "lowercase")]
enum WhatView {
    Lookup {
        fields: Vec<FieldView>,
        logical_key: String,
        base_key: String,
    },
    Pass {
        /// The word of `Cache-Status`: `method`, or why it is a bypass.
        why: &'static str,
        /// Why its token is not trusted.
        #[serde(skip_serializing_if = "Option::is_none")]
        token: Option<String>,
    },
}

/// A field of the key; its value is `null` where the request has none.
#[derive(Debug, Serialize)]
struct FieldView {
    name: String,
    value: Option<String>,
}

/// The tags a stored response would get from its rule and from the cache itself, or why there is none.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum TagsView {
    Tags(Vec<String>),
    Missing { missing: String },
}

#[derive(Debug, Serialize)]
struct IncrementView {
    on_status: String,
    tags: TagsView,
}

impl PlanView {
    fn of(plan: &Plan, head: &Head) -> PlanView {
        let matched = plan.matched(head);
        let what = match plan {
            Plan::Lookup(query) => {
                let field = |(name, value): (&str, Option<&[u8]>)| FieldView {
                    name: name.to_owned(),
                    value: value.map(|value| String::from_utf8_lossy(value).into_owned()),
                };
                WhatView::Lookup {
                    fields: query.key.iter().map(field).collect(),
                    logical_key: query.logical_key(head),
                    base_key: query.base.to_string(),
                }
            }
            Plan::Pass(pass) => WhatView::Pass {
                token: pass.claims.as_ref().err().map(ToString::to_string),
                why: match pass.why {
                    Forward::Bypass(reason) => reason.word(),
                    Forward::Method
                    | Forward::UriMiss
                    | Forward::Partial
                    | Forward::VaryMiss
                    | Forward::Expired
                    | Forward::Invalidated
                    | Forward::Request => "method",
                },
            },
        };
        let implicit = matched.implicit_tags();
        PlanView {
            rule: matched.rule.id.as_deref().map(str::to_owned),
            what,
            tags: TagsView::of(matched.tags, |tags| {
                tags.iter()
                    .chain(&implicit)
                    .map(ToString::to_string)
                    .collect()
            }),
            increments: matched
                .increments
                .iter()
                .flat_map(IncrementView::of)
                .collect(),
        }
    }
}

impl IncrementView {
    /// What has a value together, and each that has none by itself.
    fn of(declared: &RuleIncrement) -> Vec<IncrementView> {
        let of = |tags| IncrementView {
            on_status: declared.on_status().to_string(),
            tags,
        };
        let known: Vec<String> = declared.tags().flatten().collect();
        let known = Some(known).filter(|tags| !tags.is_empty());
        let missing = declared.tags().filter_map(Result::err);
        let missing = missing.map(|missing| TagsView::Missing {
            missing: missing.to_string(),
        });
        known
            .map(TagsView::Tags)
            .into_iter()
            .chain(missing)
            .map(of)
            .collect()
    }
}

impl TagsView {
    fn of<T>(
        rendered: Result<T, MissingTagValue>,
        names: impl FnOnce(T) -> Vec<String>,
    ) -> TagsView {
        match rendered {
            Ok(tags) => TagsView::Tags(names(tags)),
            Err(missing) => TagsView::Missing {
                missing: missing.to_string(),
            },
        }
    }
}

/// A field as `curl -H` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Field(HeaderName, HeaderValue);

impl FromStr for Field {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Field> {
        let (name, value) = text.split_once(':').context("expected 'Name: value'")?;
        let name = name.parse().context("that is no field name")?;
        let value = value.trim().parse().context("that is no field value")?;
        Ok(Field(name, value))
    }
}

impl Explain {
    pub(super) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        let mut head = self.head()?;
        let rules = self.files.read()?.rules;
        if let Some(most) = rules.reads(&mut head) {
            let body = self.data.clone().unwrap_or_default();
            if body.len() <= most {
                rules.read(&mut head, body.into());
            }
        }
        let plan = rules.plan(&head, Clock::System.now());
        if self.json {
            serde_json::to_writer_pretty(&mut *out, &PlanView::of(&plan, &head))?;
            writeln!(out)?;
        } else {
            write!(out, "{}", plan.explain(&head))?;
        }
        Ok(())
    }

    /// The request as it would arrive.
    fn head(&self) -> anyhow::Result<Head> {
        let scheme = match self.url.scheme_str() {
            None | Some("http") => "http",
            Some("https") => "https",
            Some(other) => {
                anyhow::bail!("expected a URL that begins with http:// or https://, not {other}:")
            }
        };
        let target = self
            .url
            .path_and_query()
            .map_or("/", |target| target.as_str());
        let (mut parts, ()) = Request::new(()).into_parts();
        let usual = self.data.as_ref().map_or(Method::GET, |_| Method::POST);
        parts.method = self.method.clone().unwrap_or(usual);
        parts.uri = target.parse()?;
        for Field(name, value) in &self.fields {
            parts.headers.append(name, value.clone());
        }
        if let Some(data) = &self.data {
            parts
                .headers
                .insert(header::CONTENT_LENGTH, data.len().into());
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            parts.headers.entry(header::CONTENT_TYPE).or_insert(form);
        }
        if !parts.headers.contains_key(header::HOST) {
            let host = self
                .url
                .authority()
                .map_or("localhost", |authority| authority.as_str());
            parts.headers.insert(header::HOST, host.parse()?);
        }
        Ok(Head::new(parts, scheme)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Arguments, Command};
    use clap::Parser;

    fn explain(arguments: &[&str]) -> Explain {
        let all = ["tagalong", "explain"].iter().chain(arguments);
        let parsed = Arguments::try_parse_from(all).unwrap();
        let Command::Explain(explain) = parsed.command else {
            panic!("another command");
        };
        explain
    }

    #[test]
    fn a_request_is_the_one_a_client_would_send() {
        for (name, arguments, expected) in [
            (
                "a URL",
                &["http://Shop.example/a?b=1"][..],
                "GET http://shop.example/a?b=1",
            ),
            ("a path", &["/a"], "GET http://localhost/a"),
            (
                "no path",
                &["https://shop.example"],
                "GET https://shop.example/",
            ),
            (
                "its port",
                &["http://a.example:81/"],
                "GET http://a.example:81/",
            ),
            ("a method", &["-X", "POST", "/a"], "POST http://localhost/a"),
            (
                "a host field",
                &["/a", "-H", "Host: b.example"],
                "GET http://b.example/a",
            ),
        ] {
            let head = explain(arguments).head().unwrap();
            assert_eq!(
                format!("{} {}", head.method(), head.absolute_uri()),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn fields_are_read_as_curl_reads_them() {
        let head = explain(&["/a", "-H", "X-A: 1", "-H", "x-a:2", "-H", "X-Empty:"])
            .head()
            .unwrap();
        let all: Vec<_> = head.headers().get_all("x-a").iter().collect();
        assert_eq!(all, ["1", "2"]);
        assert_eq!(head.headers()["x-empty"], "");
        for wrong in ["X-A", ": 1", "X A: 1", "X-A: a\nb"] {
            assert!(wrong.parse::<Field>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn another_scheme_is_refused() {
        assert!(explain(&["ftp://a.example/"]).head().is_err());
    }
}
