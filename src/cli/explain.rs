//! `tagalong explain`: what a request would mean. It asks the rules for the very plan the sidecar would follow, and nothing
//! is sent anywhere; or it asks a running sidecar, which knows what is stored as well.

use std::io::Write;

use clap::Args;
use http::{HeaderValue, Method, Uri, header};

use crate::admin::request::Field;
use crate::admin::request::arriving;
use crate::admin::view;
use crate::cli::Failure;
use crate::cli::files::Files;
use crate::cli::remote::Reach;
use crate::cli::remote::live;
use crate::clock::Clock;
use crate::model::request::Head;

/// Print what a request means: its rule, its key, its tags, and whether it is looked up at all.
///
/// With --live a running sidecar is asked: then what is stored for the request is printed too, and why it would or would not be
/// used. Nothing is changed by that, and the app is not asked.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tagalong explain --config tagalong.yaml -H 'Accept-Language: de' /products/42
  tagalong explain --live https://shop.example/products/42")]
pub(super) struct Explain {
    /// The method. Default: GET, or POST with --data.
    #[arg(short = 'X', long)]
    method: Option<Method>,
    /// The URL a client would ask for; a path alone is one on localhost.
    #[arg(value_parser = url)]
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
    /// Ask a running sidecar, in place of files.
    #[arg(long, conflicts_with_all = ["config", "rules", "data"])]
    live: bool,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    files: Files,
}

fn url(text: &str) -> Result<Uri, &'static str> {
    let expected = "a URL begins with `http://` or `https://`, and a path with `/`";
    text.parse().map_err(|_| expected)
}

impl Explain {
    pub(super) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        let mut head = self.head()?;
        if self.live {
            let method = head.method().clone();
            let url = head.absolute_uri().to_string();
            let mut fields = head.headers().clone();
            fields.remove(header::HOST); // it is in the URL
            let asked = (&method, url.as_str(), &fields);
            return live::explain(out, self.reach, self.json, asked);
        }
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
        let usual = self.data.as_ref().map_or(Method::GET, |_| Method::POST);
        let method = self.method.clone().unwrap_or(usual);
        let fields = self.fields.iter();
        let fields = fields.map(|Field(name, value)| (name.clone(), value.clone()));
        let mut head = arriving(method, &self.url, fields)?;
        if let Some(data) = &self.data {
            let headers = &mut head.parts.headers;
            headers.insert(header::CONTENT_LENGTH, data.len().into());
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            headers.entry(header::CONTENT_TYPE).or_insert(form);
        }
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Arguments, Command};
    use clap::Parser;

    #[test]
    fn what_is_no_url_is_told_how_one_begins() {
        let arguments = ["tagalong", "explain", "127.0.0.1:8080/products/1"];
        let error = Arguments::try_parse_from(arguments).unwrap_err();
        assert!(
            error.to_string().contains("begins with `http://`"),
            "{error}"
        );
    }

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
    fn another_scheme_is_refused() {
        assert!(explain(&["ftp://a.example/"]).head().is_err());
    }
}
