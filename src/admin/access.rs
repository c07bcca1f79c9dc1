//! Who may call. With the right token anybody; without one only callers on this machine, and of those only who names this
//! machine as the host: a page in a browser that has its own name point here (DNS rebinding) names itself.

use axum::extract::Request;
use axum::extract::State;
use axum::middleware::Next;
use axum::response::Response;
use http::header;
use http::request::Parts;
use http::uri::Authority;
use std::net::IpAddr;
use std::sync::Arc;

use crate::admin::Config;
use crate::admin::problem::Problem;
use crate::model::secret::Secret;

/// Who is let in.
#[derive(Debug)]
pub(super) struct Access {
    token: Option<Secret>,
    /// Only this machine reaches the listener.
    local: bool,
}

/// The name for callers that do not know the address.
const LOCALHOST: &str = "localhost";

impl Access {
    pub(super) fn new(config: &Config) -> Access {
        Access {
            token: config.token.clone(),
            local: config.is_local(),
        }
    }

    /// Whether a call may be looked at that needs no token on this machine.
    fn admits(&self, head: &Parts) -> Result<(), Problem> {
        match (&self.token, presented(head)) {
            (Some(token), Some(presented)) if token.is(presented) => return Ok(()),
            // Who presents one means to be known by it.
            (Some(_), Some(_)) => return Err(Problem::Token),
            (Some(_) | None, _) => {}
        }
        if !self.local {
            return Err(Problem::Token);
        }
        if !names_this_machine(head) {
            return Err(Problem::Host);
        }
        Ok(())
    }
}

/// Lets in who may call.
pub(super) async fn admit(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    access.admits(&head)?;
    Ok(next.run(Request::from_parts(head, body)).await)
}

/// The token of a call: what follows `Bearer` (RFC 6750 §2.1). Of several none counts.
fn presented(head: &Parts) -> Option<&[u8]> {
    let mut fields = head.headers.get_all(header::AUTHORIZATION).iter();
    let field = fields.next()?.as_bytes();
    if fields.next().is_some() {
        return Some(b"");
    }
    let (scheme, token) = field.split_at_checked("Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| token.trim_ascii())
}

/// Whether all that a call gives as the host, and it gives one, is this machine's own.
fn names_this_machine(head: &Parts) -> bool {
    let fields = head.headers.get_all(header::HOST).iter();
    let named = fields.map(|field| Authority::try_from(field.as_bytes()).ok());
    let mut named = named
        .chain(head.uri.authority().cloned().map(Some))
        .peekable();
    named.peek().is_some() && named.all(|host| host.is_some_and(|host| is_loopback(&host)))
}

fn is_loopback(authority: &Authority) -> bool {
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse::<IpAddr>();
    host.eq_ignore_ascii_case(LOCALHOST)
        || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(listen: &str, token: Option<&[u8]>) -> Access {
        Access::new(&Config {
            listen: listen.parse().unwrap(),
            token: token.and_then(Secret::new),
        })
    }

    fn call(uri: &str, fields: &[(&str, &str)]) -> Parts {
        let mut call = http::Request::get(uri);
        for (name, value) in fields {
            call = call.header(*name, *value);
        }
        call.body(()).unwrap().into_parts().0
    }

    #[test]
    fn who_names_this_machine_is_let_in_where_only_this_machine_calls() {
        let open = access("127.0.0.1:9080", None);
        for (host, admitted) in [
            ("127.0.0.1", true),
            ("127.0.0.1:9080", true),
            ("127.1.2.3:1", true),
            ("[::1]:9080", true),
            ("[::ffff:127.0.0.1]", true),
            ("localhost", true),
            ("LocalHost:9080", true),
            ("localhost.example", false),
            ("localhost.", false),
            ("evil.example", false),
            ("evil.example:9080", false),
            ("127.0.0.1.evil.example", false),
            ("10.0.0.1", false),
            ("0.0.0.0", false),
            ("[::]", false),
            ("2130706433", false),
            ("", false),
            ("a b", false),
            ("127.0.0.1@evil.example", false),
        ] {
            let found = open.admits(&call("/healthz", &[("host", host)]));
            let expected = if admitted { Ok(()) } else { Err(Problem::Host) };
            assert_eq!(found, expected, "{host}");
        }
        for (name, call) in [
            ("none", call("/healthz", &[])),
            (
                "two",
                call("/", &[("host", "localhost"), ("host", "evil.example")]),
            ),
            (
                "another in the target",
                call("http://evil.example/", &[("host", "localhost")]),
            ),
        ] {
            assert_eq!(open.admits(&call), Err(Problem::Host), "{name}");
        }
    }

    #[test]
    fn the_token_alone_opens_what_others_can_reach_and_any_host() {
        const RIGHT: &str = "Bearer sesame";
        let host = ("host", "sidecar.example");
        for (listen, fields, expected) in [
            ("0.0.0.0:1", vec![host, ("authorization", RIGHT)], Ok(())),
            (
                "0.0.0.0:1",
                vec![host, ("authorization", "bEARER  sesame")],
                Ok(()),
            ),
            ("0.0.0.0:1", vec![host], Err(Problem::Token)),
            (
                "0.0.0.0:1",
                vec![("host", "localhost")],
                Err(Problem::Token),
            ),
            ("127.0.0.1:1", vec![host, ("authorization", RIGHT)], Ok(())),
            ("127.0.0.1:1", vec![host], Err(Problem::Host)),
            ("127.0.0.1:1", vec![("host", "localhost")], Ok(())),
        ] {
            let found = access(listen, Some(b"sesame")).admits(&call("/", &fields));
            assert_eq!(found, expected, "{listen} {fields:?}");
        }
        for wrong in [
            "Bearer sesam",
            "Bearer ",
            "Bearer",
            "Basic sesame",
            "Bearersesame",
            "sesame",
            "",
        ] {
            let call = call("/", &[host, ("authorization", wrong)]);
            let found = access("[::]:1", Some(b"sesame")).admits(&call);
            assert_eq!(found, Err(Problem::Token), "{wrong:?}");
        }
        let twice = [
            ("host", "localhost"),
            ("authorization", RIGHT),
            ("authorization", RIGHT),
        ];
        let found = access("127.0.0.1:1", Some(b"sesame")).admits(&call("/", &twice));
        assert_eq!(found, Err(Problem::Token));
        let wrong = [("host", "localhost"), ("authorization", "Bearer sesam")];
        let found = access("127.0.0.1:1", Some(b"sesame")).admits(&call("/", &wrong));
        assert_eq!(
            found,
            Err(Problem::Token),
            "a wrong one is no mistake to hide"
        );
        let found = access("127.0.0.1:1", None).admits(&call("/", &wrong));
        assert_eq!(found, Ok(()), "there is none to be wrong");
    }
}
