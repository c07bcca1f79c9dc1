//! The other end of the calls, for the command line: where a sidecar is, how it is asked, and what it answers, in the shapes of
//! [`view`](crate::admin::view). It waits for the answer, as there is nothing else to do meanwhile.
//!
//! No proxy is used, and no redirection followed: the token is for this sidecar alone.

mod base;
mod calls;
mod error;
mod events;

use std::io::Read;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_rustls::rustls::crypto;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

pub use base::Base;
pub use base::NotABase;
pub use calls::Object;
pub use calls::PutObject;
pub use calls::Which;
pub use error::CallError;
pub use error::Hint;
pub use events::Event;
pub use events::Events;

use crate::admin::view::Problem;
use crate::model::secret::Secret;

/// What every call may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a call may take that looks at all that is stored, or asks the app: a little longer than the sidecar gives it.
const LONG: Duration = Duration::from_secs(11 * 60);

/// The largest answer that is read, other than a stored object.
const MOST: u64 = 256 << 20;

/// What is spelled in paths and queries as it is (RFC 3986 §2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Calls to one sidecar.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    base: Base,
    /// As it is presented.
    token: Option<HeaderValue>,
}

/// A token that no header field can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token has characters that no header field can hold")]
pub struct UnfitToken;

/// An answer, as text; what it says is read when it is asked for.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    base: Base,
    text: String,
    says: PhantomData<T>,
}

impl<T> Answer<T> {
    /// The JSON as it came.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl<T: DeserializeOwned> Answer<T> {
    /// What it says.
    ///
    /// # Errors
    ///
    /// It says something else.
    pub fn read(&self) -> Result<T, CallError> {
        self.read_as()
    }

    /// The same, as another type that is made from that JSON.
    ///
    /// # Errors
    ///
    /// It says something else.
    pub fn read_as<U: DeserializeOwned>(&self) -> Result<U, CallError> {
        serde_json::from_str(&self.text).map_err(|error| CallError::strange(&self.base, error))
    }
}

/// A call before it is made.
struct Call {
    method: Method,
    /// Encoded, with its query.
    target: String,
    fields: Vec<(&'static str, HeaderValue)>,
    body: Vec<u8>,
    patience: Duration,
}

impl Call {
    fn new(method: Method, path: &str) -> Call {
        Call {
            method,
            target: path.to_owned(),
            fields: Vec::new(),
            body: Vec::new(),
            patience: PATIENCE,
        }
    }

    fn get(path: &str) -> Call {
        Call::new(Method::GET, path)
    }

    /// With one more segment of the path, whatever is in it.
    fn of(mut self, segment: &str) -> Call {
        self.target.push('/');
        self.target.extend(utf8_percent_encode(segment, UNRESERVED));
        self
    }

    fn query(mut self, name: &str, value: &str) -> Call {
        self.target
            .push(if self.target.contains('?') { '&' } else { '?' });
        self.target.push_str(name);
        self.target.push('=');
        self.target.extend(utf8_percent_encode(value, UNRESERVED));
        self
    }

    fn query_if(self, name: &str, value: Option<&str>) -> Call {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    fn json(mut self, body: &impl Serialize) -> Call {
        self.body = serde_json::to_vec(body).expect("texts, numbers and lists of them become JSON");
        let kind = HeaderValue::from_static("application/json");
        self.fields.push((CONTENT_TYPE.as_str(), kind));
        self
    }

    fn long(mut self) -> Call {
        self.patience = LONG;
        self
    }
}

impl Client {
    /// Calls to the sidecar there, with this token if it wants one.
    ///
    /// # Errors
    ///
    /// A token that cannot be presented.
    pub fn new(base: Base, token: Option<&Secret>) -> Result<Client, UnfitToken> {
        let token = token.map(bearer).transpose()?;
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("tagalong/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(Duration::from_secs(5)))
            .timeout_connect(Some(Duration::from_secs(5)));
        if base.is_tls() {
            config = config.tls_config(tls());
        }
        Ok(Client {
            agent: config.build().new_agent(),
            base,
            token,
        })
    }

    /// The sidecar that is called.
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// Makes a call that answers JSON.
    fn ask<T>(&self, call: Call) -> Result<Answer<T>, CallError> {
        let (_, text) = self.text(call, |status| status.is_success())?;
        Ok(self.answer(text))
    }

    fn answer<T>(&self, text: String) -> Answer<T> {
        Answer {
            base: self.base.clone(),
            text,
            says: PhantomData,
        }
    }

    /// Makes a call, and reads its answer if that has a status which is `good`.
    fn text(
        &self,
        call: Call,
        good: impl Fn(StatusCode) -> bool,
    ) -> Result<(http::response::Parts, String), CallError> {
        let patience = call.patience;
        let (parts, mut body) = self.good(call, good)?.into_parts();
        let text = body.with_config().limit(MOST).read_to_string();
        let text = text.map_err(|error| CallError::of(&self.base, patience, error))?;
        Ok((parts, text))
    }

    /// Makes a call; an answer whose status is not `good` is a problem.
    fn good(
        &self,
        call: Call,
        good: impl Fn(StatusCode) -> bool,
    ) -> Result<Response<Body>, CallError> {
        let response = self.send(call)?;
        match good(response.status()) {
            true => Ok(response),
            false => Err(self.problem(response)),
        }
    }

    fn send(&self, call: Call) -> Result<Response<Body>, CallError> {
        let patience = call.patience;
        let request = self.request(call)?;
        let request = self.agent.configure_request(request);
        let request = request.timeout_global(Some(patience)).build();
        let response = self.agent.run(request);
        response.map_err(|error| CallError::of(&self.base, patience, error))
    }

    fn request(&self, call: Call) -> Result<Request<Vec<u8>>, CallError> {
        let mut request = Request::builder()
            .method(call.method)
            .uri(format!("{}{}", self.base, call.target))
            .header(ACCEPT, "application/json, */*;q=0.5");
        for (name, value) in call.fields {
            request = request.header(name, value);
        }
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token);
        }
        // What is in it was encoded or read before: it is the length of the URL that is left to be wrong.
        request
            .body(call.body)
            .map_err(|_| CallError::long(StatusCode::URI_TOO_LONG))
    }

    /// What an answer that is none says.
    fn problem(&self, response: Response<Body>) -> CallError {
        let status = response.status();
        let mut text = String::new();
        // What cannot be read says no more than the status.
        let mut body = response.into_body().into_reader().take(1 << 20);
        let problem = match body.read_to_string(&mut text) {
            Ok(_) => serde_json::from_str::<Problem>(&text).ok(),
            Err(_) => None,
        };
        match problem {
            Some(problem) => {
                let unnamed = status == StatusCode::UNAUTHORIZED && self.token.is_none();
                CallError::Refused(problem, if unnamed { Hint::Token } else { Hint::None })
            }
            // What reads heads says so, before there is anybody to name a problem.
            None if matches!(
                status,
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE | StatusCode::URI_TOO_LONG
            ) =>
            {
                CallError::long(status)
            }
            None => CallError::strange(&self.base, format_args!("it answers {status}")),
        }
    }
}

fn bearer(token: &Secret) -> Result<HeaderValue, UnfitToken> {
    let field = [b"Bearer ", token.reveal()].concat();
    let mut field = HeaderValue::from_bytes(&field).map_err(|_| UnfitToken)?;
    field.set_sensitive(true);
    Ok(field)
}

/// TLS by the authorities that this machine trusts. Those that cannot be read are trusted by nobody.
fn tls() -> TlsConfig {
    let found = rustls_native_certs::load_native_certs().certs;
    let roots: Vec<_> = found
        .iter()
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect();
    TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(crypto::ring::default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .build()
}
