//! The listener: HTTP/1.1, and a limit on everything a caller could take: callers are few, and what is wrong with one is no
//! trouble of ours. How long a call may take, and how many are answered at once, says `room`; how long a connection may let us
//! wait, `line`.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use http::header;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::admin::Admin;
use crate::admin::Config;
use crate::admin::api;
use crate::admin::line::Line;
use crate::admin::line::Waiting;
use crate::admin::patience::Patient;
use crate::admin::room::MAX_CALLS;

/// The longest head of a call, in bytes.
const MAX_HEAD: usize = 16 << 10;
/// The most fields of a head.
const MAX_FIELDS: usize = 64;
/// Connections at once; one more takes the place of the one that has been without a call for longest, or of the first that is done
/// with its call.
/// Twice as many as calls that are answered: the others are idle, are probes, or are told that there is no room, which takes no
/// time, as so little is sent at once.
const MAX_CONNECTIONS: usize = 2 * MAX_CALLS;
/// For what is being answered when we stop.
const LAST_TIME: Duration = Duration::from_millis(500);
/// Pause after a failed accept, so that running out of descriptors does not also burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The admin interface could not be opened.
#[derive(Debug, Error)]
#[error("cannot listen on {place} for the admin interface")]
pub struct BindError {
    place: SocketAddr,
    source: io::Error,
}

/// A bound listener, not yet accepting.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
    config: Config,
}

impl Listener {
    /// Binds the address.
    ///
    /// # Errors
    ///
    /// It cannot be bound.
    pub async fn bind(config: Config) -> Result<Listener, BindError> {
        let failed = |source| BindError {
            place: config.listen,
            source,
        };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Listener {
            listener,
            address,
            config,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers calls until `stop` is true, or nobody is left to say so.
    pub async fn serve(self, admin: Admin, mut stop: watch::Receiver<bool>) {
        let router = api::router(admin, &self.config, stop.clone());
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let waiting = Waiting::default();
        let mut connections = JoinSet::new();
        loop {
            let accepted = async {
                let accepted = self.listener.accept().await;
                // Never closed, so there is always room at last.
                let place = tokio::select! {
                    biased;
                    place = Arc::clone(&room).acquire_owned() => place,
                    () = waiting.close_oldest() => Arc::clone(&room).acquire_owned().await,
                };
                (place, accepted)
            };
            let (place, accepted) = tokio::select! {
                accepted = accepted => accepted,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            match accepted {
                Ok((stream, _)) => {
                    let serving = serve_one(stream, router.clone(), waiting.clone(), stop.clone());
                    connections.spawn(async move {
                        serving.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection of the admin interface");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
        while connections.join_next().await.is_some() {} // each ends within LAST_TIME
    }
}

/// Whether an answer goes on until somebody leaves.
pub(super) fn is_endless(answer: &Response) -> bool {
    let kind = answer.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind == "text/event-stream")
}

/// Answers the calls of one connection, one after the other.
async fn serve_one(
    stream: TcpStream,
    router: Router,
    waiting: Waiting,
    mut stop: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "could not set the options of a socket");
    }
    let line = Line::new(waiting);
    let calls = TowerToHyperService::new(router);
    let service = service_fn(|request| {
        let (line, calls) = (line.clone(), calls.clone());
        async move {
            line.called().await;
            let mut answer = calls.call(request).await?;
            let (place, is_endless) = (answer.extensions_mut().remove(), is_endless(&answer));
            let answer = answer.map(|body| line.answered(body, place, is_endless));
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    let mut serving = pin!(
        http1::Builder::new()
            .header_read_timeout(None) // the line tells idling from dribbling
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_FIELDS)
            .serve_connection(TokioIo::new(Patient::new(stream, line.clone())), service)
    );
    let served = async {
        tokio::select! {
            served = serving.as_mut() => return served,
            () = line.is_over() => return Ok(()),
            _ = stop.wait_for(|stop| *stop) => {}
        }
        serving.as_mut().graceful_shutdown();
        timeout(LAST_TIME, serving).await.unwrap_or(Ok(()))
    };
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection of the admin interface ended early");
    }
    line.end();
}
