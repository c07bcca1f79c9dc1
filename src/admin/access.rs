//! Who may call, and by which name. With one of the tokens anybody; where there is none only callers on this machine, and of those
//! only who names this machine as the host: a page in a browser that has its own name point here (DNS rebinding) names itself.
//! And no page of another origin may call, whatever its browser adds to the call.

use axum::extract::FromRequestParts;
use axum::extract::Request;
use axum::extract::State;
use axum::middleware::Next;
use axum::response::Response;
use http::header;
use http::request::Parts;
use http::uri::{Authority, Uri};
use std::net::IpAddr;
use std::sync::Arc;

use crate::admin::Config;
use crate::admin::Token;
use crate::admin::problem::Problem;

/// Who is let in.
#[derive(Debug)]
pub(super) struct Access {
    tokens: Vec<Token>,
    /// Only this machine reaches the listener.
    local: bool,
}

/// Who has called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    /// The name of the token; [`Token::NONE`]: none was presented.
    pub(super) name: Arc<str>,
    /// The call and the name, for who asks what has changed: `POST /v1/purge (deploy)`.
    pub(super) by: Arc<str>,
    /// Whether more is told than that we are here.
    pub(super) is_trusted: bool,
}

/// What a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// It is for everybody who reaches the listener: it holds no data of this sidecar.
    Nothing,
    /// A word is for everybody, the rest for who is trusted.
    Health,
    /// A token, but on this machine.
    Metrics,
    /// A token, if there is any.
    Token,
}

/// The name for callers that do not know the address.
const LOCALHOST: &str = "localhost";

/// More of a call's path is told to nobody.
const LONGEST_PATH: usize = 100;

impl Need {
    fn of(path: &str) -> Need {
        match path {
            "/" | "/openapi.json" => Need::Nothing,
            "/healthz" | "/readyz" => Need::Health,
            "/metrics" => Need::Metrics,
            _ if path.starts_with("/assets/") => Need::Nothing,
            _ => Need::Token,
        }
    }
}

impl Access {
    pub(super) fn new(config: &Config) -> Access {
        Access {
            tokens: config.tokens.clone(),
            local: config.is_local(),
        }
    }

    /// Who calls, if it may be looked at.
    fn admits(&self, head: &Parts) -> Result<Caller, Problem> {
        let need = Need::of(head.uri.path());
        let caller = |name: &str, is_trusted| Ok(Caller::new(name, head, is_trusted));
        if need == Need::Nothing {
            return match self.tokens.is_empty() && !names_this_machine(head) {
                true => Err(Problem::Host),
                false => caller(Token::NONE, false),
            };
        }
        if is_of_another_origin(head) {
            return Err(Problem::Origin);
        }
        if let Some(presented) = presented(head).filter(|_| !self.tokens.is_empty()) {
            // Who presents one means to be known by it.
            let name = self.name_of(presented).ok_or(Problem::Token)?;
            return caller(name, true);
        }
        match need {
            Need::Health if !self.local => return caller(Token::NONE, false),
            Need::Token if !self.tokens.is_empty() => return Err(Problem::Token),
            Need::Nothing | Need::Health | Need::Metrics | Need::Token => {}
        }
        if !self.local {
            return Err(Problem::Token);
        }
        if !names_this_machine(head) {
            return Err(Problem::Host);
        }
        caller(Token::NONE, true)
    }

    /// Whose token it is. All of them are compared, in constant time each: how long it takes tells nothing.
    fn name_of(&self, presented: &[u8]) -> Option<&str> {
        let all = self.tokens.iter();
        all.fold(None, |found, token| {
            let is = token.secret.is(presented);
            found.or(is.then_some(&*token.name))
        })
    }
}

impl Caller {
    fn new(name: &str, head: &Parts, is_trusted: bool) -> Caller {
        let path = head.uri.path();
        let shown = path.get(..path.floor_char_boundary(LONGEST_PATH));
        let shown = shown.unwrap_or_default();
        Caller {
            name: name.into(),
            by: format!("{} {shown} ({name})", head.method).into(),
            is_trusted,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Caller, Problem> {
        head.extensions.get().cloned().ok_or(Problem::Token)
    }
}

/// Lets in who may call.
pub(super) async fn admit(
    State(access): State<Arc<Access>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let caller = access.admits(&head)?;
    request = Request::from_parts(head, body);
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// Whether a browser says that a page of another origin has made the call. What browsers have always sent with a call that
/// changes something, and what they send today with every call.
fn is_of_another_origin(head: &Parts) -> bool {
    let field = |name| head.headers.get_all(name).iter();
    let host = hosts(head).next().flatten();
    let is_ours = |origin: &http::HeaderValue| {
        let origin = Uri::try_from(origin.as_bytes()).ok();
        let origin = origin.and_then(|origin| origin.into_parts().authority);
        origin.is_some() && origin == host
    };
    !field("origin").all(is_ours)
        || !field("sec-fetch-site").all(|site| site == "same-origin" || site == "none")
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
    let mut named = hosts(head).peekable();
    named.peek().is_some() && named.all(|host| host.is_some_and(|host| is_loopback(&host)))
}

/// All that a call gives as the host; `None`: that is none.
fn hosts(head: &Parts) -> impl Iterator<Item = Option<Authority>> {
    let fields = head.headers.get_all(header::HOST).iter();
    let named = fields.map(|field| Authority::try_from(field.as_bytes()).ok());
    named.chain(head.uri.authority().cloned().map(Some))
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
    use crate::model::secret::Secret;

    fn access(listen: &str, token: Option<&[u8]>) -> Access {
        let first = token.and_then(Secret::new);
        let first = first.map(|secret| Token::new(Token::FIRST, secret));
        let more = first.clone().map(|_| {
            let secret = Secret::new(b"simsim").unwrap();
            Token::new("deploy", secret)
        });
        Access::new(&Config {
            listen: listen.parse().unwrap(),
            tokens: first.into_iter().chain(more).collect(),
        })
    }

    fn call(uri: &str, fields: &[(&str, &str)]) -> Parts {
        let mut call = http::Request::get(uri);
        for (name, value) in fields {
            call = call.header(*name, *value);
        }
        call.body(()).unwrap().into_parts().0
    }

    /// Who is let in, and with `?` if it is not trusted.
    fn admitted(access: &Access, call: &Parts) -> Result<String, Problem> {
        let caller = access.admits(call)?;
        let trusted = if caller.is_trusted { "" } else { "?" };
        Ok(format!("{}{trusted}", caller.name))
    }

    #[test]
    fn who_names_this_machine_is_let_in_where_only_this_machine_calls() {
        let open = access("127.0.0.1:9080", None);
        for (host, is_admitted) in [
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
            for (path, trusted) in [
                ("/healthz", "local"),
                ("/metrics", "local"),
                ("/v1/stats", "local"),
                ("/", "local?"),
                ("/assets/app.js", "local?"),
            ] {
                let found = admitted(&open, &call(path, &[("host", host)]));
                let expected = match is_admitted {
                    true => Ok(trusted.to_owned()),
                    false => Err(Problem::Host),
                };
                assert_eq!(found, expected, "{host} {path}");
            }
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
    fn where_there_are_tokens_calls_need_one_and_it_names_the_caller() {
        const RIGHT: (&str, &str) = ("authorization", "Bearer sesame");
        const DEPLOY: (&str, &str) = ("authorization", "Bearer simsim");
        let host = ("host", "sidecar.example");
        let here = ("host", "localhost");
        let (far, near) = ("0.0.0.0:1", "127.0.0.1:1");
        for (listen, path, fields, expected) in [
            (far, "/v1/stats", vec![host, RIGHT], Ok("admin")),
            (far, "/v1/stats", vec![host, DEPLOY], Ok("deploy")),
            (
                far,
                "/v1/stats",
                vec![host, ("authorization", "bEARER  sesame")],
                Ok("admin"),
            ),
            (far, "/v1/stats", vec![host], Err(Problem::Token)),
            (far, "/v1/stats", vec![here], Err(Problem::Token)),
            (near, "/v1/stats", vec![host, RIGHT], Ok("admin")),
            (near, "/v1/stats", vec![here], Err(Problem::Token)),
            (near, "/nothing", vec![here], Err(Problem::Token)),
            (near, "/openapi.json/", vec![here], Err(Problem::Token)),
            // Metrics and reasons are for callers on this machine too.
            (far, "/metrics", vec![here], Err(Problem::Token)),
            (near, "/metrics", vec![here], Ok("local")),
            (near, "/metrics", vec![host], Err(Problem::Host)),
            (near, "/readyz", vec![here], Ok("local")),
            (near, "/readyz", vec![host], Err(Problem::Host)),
            // A probe from outside learns a word.
            (far, "/readyz", vec![host], Ok("local?")),
            (far, "/readyz", vec![], Ok("local?")),
            (far, "/readyz", vec![host, RIGHT], Ok("admin")),
            // The dashboard holds no data.
            (far, "/", vec![host], Ok("local?")),
            (near, "/assets/app.js", vec![host], Ok("local?")),
            (near, "/openapi.json", vec![host], Ok("local?")),
        ] {
            let found = admitted(&access(listen, Some(b"sesame")), &call(path, &fields));
            let expected = expected.map(str::to_owned);
            assert_eq!(found, expected, "{listen} {path} {fields:?}");
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
            let call = call("/v1/stats", &[host, ("authorization", wrong)]);
            let found = access("[::]:1", Some(b"sesame")).admits(&call);
            assert_eq!(found, Err(Problem::Token), "{wrong:?}");
        }
        let twice = call("/metrics", &[here, RIGHT, RIGHT]);
        let found = access(near, Some(b"sesame")).admits(&twice);
        assert_eq!(found, Err(Problem::Token));
        let wrong = call("/metrics", &[here, ("authorization", "Bearer sesam")]);
        let found = access(near, Some(b"sesame")).admits(&wrong);
        assert_eq!(
            found,
            Err(Problem::Token),
            "a wrong one is no mistake to hide"
        );
        let found = admitted(&access(near, None), &wrong);
        assert_eq!(found, Ok("local".to_owned()), "there is none to be wrong");
    }

    #[test]
    fn a_page_of_another_origin_calls_nothing() {
        let token = ("authorization", "Bearer sesame");
        for (fields, is_admitted) in [
            (&[][..], true),
            (&[("origin", "http://localhost:9080")], true),
            (&[("origin", "https://LOCALHOST:9080")], true), // something that has TLS is in front
            (&[("origin", "http://localhost:9081")], false),
            (&[("origin", "http://localhost")], false),
            (&[("origin", "http://evil.example")], false),
            (&[("origin", "null")], false),
            (&[("origin", "")], false),
            (
                &[
                    ("origin", "http://localhost:9080"),
                    ("origin", "http://evil.example"),
                ],
                false,
            ),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site")], false),
        ] {
            let fields = [&[("host", "localhost:9080"), token], fields].concat();
            for (path, tokens) in [
                ("/v1/purge", Some(&b"sesame"[..])),
                ("/v1/purge", None),
                ("/readyz", None),
            ] {
                let found = access("127.0.0.1:9080", tokens).admits(&call(path, &fields));
                let found = found.map(|_| ());
                let expected = if is_admitted {
                    Ok(())
                } else {
                    Err(Problem::Origin)
                };
                assert_eq!(found, expected, "{path} {fields:?}");
            }
        }
        // A link to the dashboard may stand anywhere.
        let link = [("host", "localhost"), ("sec-fetch-site", "cross-site")];
        assert!(
            access("127.0.0.1:1", None)
                .admits(&call("/", &link))
                .is_ok()
        );
    }

    #[test]
    fn a_caller_is_told_with_the_call() {
        let open = access("127.0.0.1:1", None);
        let long = format!("/v1/objects/{}", "a".repeat(200));
        let caller = open.admits(&call(&long, &[("host", "localhost")])).unwrap();
        let expected = format!("GET /v1/objects/{} (local)", "a".repeat(88));
        assert_eq!(*caller.by, *expected);
    }
}
