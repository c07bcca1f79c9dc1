//! `tagalong explain`: what a request would mean. It asks the rules for the very plan the sidecar would follow; nothing
//! is sent anywhere.

use std::io::Write;
use std::str::FromStr;

use anyhow::Context;
use clap::Args;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};

use crate::admin::view;
use crate::cli::Failure;
use crate::cli::files::Files;
use crate::clock::Clock;
use crate::model::request::Head;

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
            serde_json::to_writer_pretty(&mut *out, &view::Plan::of(&plan, &head))?;
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
