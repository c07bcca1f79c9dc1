//! The listener: HTTP/1.1, a call per connection, and a limit on everything a caller could take: callers are few, and what is
//! wrong with one is no trouble of ours. How long a call may take, and how many are answered at once, says `room`.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use http::header;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::admin::Admin;
use crate::admin::Config;
use crate::admin::api;
use crate::admin::patience::Patient;
use crate::admin::room::MAX_CALLS;
use crate::admin::room::Place;

/// The longest head of a call, in bytes.
const MAX_HEAD: usize = 16 << 10;
/// The most fields of a head.
const MAX_FIELDS: usize = 64;
/// Connections at once; one more takes the place of the oldest that has not called yet, or waits until one is done. Twice as many
/// as calls that are answered: the others are probes, or are told that there is no room, which takes no time, as so little is sent
/// at once.
const MAX_CONNECTIONS: usize = 2 * MAX_CALLS;
/// For a whole head.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// For a whole answer to be taken, but for a stream of events.
const TAKE_TIME: Duration = Duration::from_secs(60);
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
        let silent = Silent::default();
        let mut connections = JoinSet::new();
        loop {
            let accepted = async {
                let accepted = self.listener.accept().await;
                if room.available_permits() == 0 {
                    silent.close_oldest();
                }
                // Never closed, so there is always room at last.
                (Arc::clone(&room).acquire_owned().await, accepted)
            };
            let (place, accepted) = tokio::select! {
                accepted = accepted => accepted,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            match accepted {
                Ok((stream, _)) => {
                    let serving = serve_one(stream, router.clone(), silent.clone(), stop.clone());
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

/// Connections on which nobody has called yet: no call is kept waiting by them.
#[derive(Clone, Debug, Default)]
struct Silent(Arc<Mutex<Queue>>);

/// By their numbers, the oldest first.
#[derive(Debug, Default)]
struct Queue {
    next: u64,
    connections: BTreeMap<u64, oneshot::Sender<()>>,
}

impl Silent {
    /// One more, by its number, and who is told that it has to close.
    fn enter(&self) -> (u64, oneshot::Receiver<()>) {
        let (close, closed) = oneshot::channel();
        let mut queue = self.queue();
        let number = queue.next;
        queue.next += 1;
        queue.connections.insert(number, close);
        (number, closed)
    }

    /// Somebody has called, or has left.
    fn leave(&self, number: u64) {
        self.queue().connections.remove(&number);
    }

    fn close_oldest(&self) {
        if let Some((_, close)) = self.queue().connections.pop_first() {
            close.send(()).ok(); // an error means that it has just left
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an answer goes on until somebody leaves.
fn is_endless(answer: &Response) -> bool {
    let kind = answer.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind == "text/event-stream")
}

/// Answers one call.
async fn serve_one(
    stream: TcpStream,
    router: Router,
    silent: Silent,
    mut stop: watch::Receiver<bool>,
) {
    let (number, mut closed) = silent.enter();
    let (calls, ending) = (TowerToHyperService::new(router), Notify::new());
    let kept = OnceLock::<Place>::new(); // until the caller has taken all of the answer
    let service = service_fn(|request| {
        silent.leave(number);
        let answer = calls.call(request);
        async {
            let mut answer = answer.await?;
            if let Some(place) = answer.extensions_mut().remove() {
                kept.set(place).ok(); // there is one call
            }
            if !is_endless(&answer) {
                ending.notify_one();
            }
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    let too_late = async {
        ending.notified().await;
        sleep(TAKE_TIME).await;
    };
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
            Ok(()) = &mut closed => return Ok(()),
            () = too_late => return Ok(()),
            _ = stop.wait_for(|stop| *stop) => {}
        }
        call.as_mut().graceful_shutdown();
        timeout(LAST_TIME, call).await.unwrap_or(Ok(()))
    };
    if let Err(error) = answered.await {
        tracing::debug!(%error, "a call of the admin interface ended early");
    }
    silent.leave(number);
}
