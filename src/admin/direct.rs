//! The calls without the listener: asked and answered in one piece each, so that whatever a caller may send can be tried without a
//! socket.

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;

use crate::admin::Admin;
use crate::admin::Config;
use crate::admin::api;
use crate::admin::listen::is_endless;

/// All calls, for those who may make them. Clones are the same.
#[derive(Clone, Debug)]
pub struct Calls {
    router: Router,
    /// Nobody stops them but who drops them.
    _stop: watch::Sender<bool>,
}

impl Calls {
    /// Those that a listener with this configuration would answer.
    pub fn new(admin: Admin, config: &Config) -> Calls {
        let (stop, stopped) = watch::channel(false);
        Calls {
            router: api::router(admin, config, stopped),
            _stop: stop,
        }
    }

    /// What a call is answered, whole; of a stream of events, which has no end, its beginning. In a runtime.
    ///
    /// # Errors
    ///
    /// The answer broke off.
    pub async fn answer(&self, call: Request<Bytes>) -> Result<Response<Bytes>, axum::Error> {
        let answered = TowerToHyperService::new(self.router.clone()).call(call.map(Body::from));
        let answer = answered.await.unwrap_or_else(|never| match never {});
        let is_endless = is_endless(&answer);
        let (head, mut body) = answer.into_parts();
        let content = if is_endless {
            let first = body.frame().await.transpose()?;
            first.and_then(|frame| frame.into_data().ok())
        } else {
            Some(body.collect().await?.to_bytes())
        };
        Ok(Response::from_parts(head, content.unwrap_or_default()))
    }
}
