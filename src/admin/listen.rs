//! The listener: HTTP/1.1, a call per connection, and a limit on everything a caller could take: callers are few, and what is
//! wrong with one is no trouble of ours. How long a call may take, and how many are answered at once, says `room`.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::admin::Admin;
use crate::admin::Config;
use crate::admin::api;
use crate::admin::patience::Patient;
use crate::admin::room::MAX_CALLS;

/// The longest head of a call, in bytes.
const MAX_HEAD: usize = 16 << 10;
/// The most fields of a head.
const MAX_FIELDS: usize = 64;
/// Connections at once; more wait until one is done. Twice as many as calls that are answered: the others are told that there is
/// no room.
const MAX_CONNECTIONS: usize = 2 * MAX_CALLS;
/// For a whole head.
const HEAD_TIME: Duration = Duration::from_secs(5);
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
        let mut connections = JoinSet::new();
        loop {
            let accepted = async {
                // Never closed, so there is always room at last.
                let place = Arc::clone(&room).acquire_owned().await;
                (place, self.listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                accepted = accepted => accepted,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            match accepted {
                Ok((stream, _)) => {
                    let serving = serve_one(stream, router.clone(), stop.clone());
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

/// Answers one call.
async fn serve_one(stream: TcpStream, router: Router, mut stop: watch::Receiver<bool>) {
    let service = TowerToHyperService::new(router);
    let mut call = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .keep_alive(false)
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_FIELDS)
            .serve_connection(TokioIo::new(Patient::new(stream)), service)
    );
    let answered = async {
        tokio::select! {
            answered = call.as_mut() => return answered,
            _ = stop.wait_for(|stop| *stop) => {}
        }
        call.as_mut().graceful_shutdown();
        timeout(LAST_TIME, call).await.unwrap_or(Ok(()))
    };
    if let Err(error) = answered.await {
        tracing::debug!(%error, "a call of the admin interface ended early");
    }
}
