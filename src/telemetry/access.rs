//! The access log: one line per request, with the word of its `Cache-Status`.

use std::time::Duration;

use http::{Method, StatusCode};

use crate::model::outcome::Outcome;
use crate::model::request::Head;
use crate::telemetry::trace::Span;

/// What is remembered of a request until it has been answered; nothing when there is no access log.
#[derive(Debug)]
pub struct Seen(Option<Request>);

#[derive(Debug)]
struct Request {
    method: Method,
    host: Box<str>,
    target: String,
}

impl Seen {
    /// Remembers a request if the log is `on`. The query is left out: it may hold what is nobody's business.
    pub fn of(head: &Head, on: bool) -> Seen {
        Seen(on.then(|| Request {
            method: head.method().clone(),
            host: head.host.clone(),
            target: head.path().to_owned(),
        }))
    }

    /// Writes the line: of a request that fell under this rule and was answered after so long.
    pub fn log(
        self,
        outcome: Outcome,
        status: StatusCode,
        rule: &str,
        took: Duration,
        span: &Span,
    ) {
        if let Seen(Some(Request {
            method,
            host,
            target,
        })) = self
        {
            tracing::info!(
                %method,
                host = &*host, // as text it is quoted and escaped: it comes from outside
                path = target,
                status = status.as_u16(),
                rule,
                outcome = outcome.word(),
                detail = outcome.detail(),
                duration_seconds = took.as_secs_f64(),
                trace_id = span.trace_id().map(tracing::field::display),
                "request"
            );
        }
    }
}
