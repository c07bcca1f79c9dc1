//! How many calls are answered at once, and how long each may take: callers are few, and one that is too much is told so at once. A
//! call has its place until its answer was taken, as that is in memory for so long.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::extract::State;
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::admin::problem::Problem;

/// Calls at once, streams of events among them.
pub(super) const MAX_CALLS: usize = 64;

/// Streams of events at once.
pub(super) const MAX_STREAMS: usize = 16;

/// Large bodies at once: each is whole in memory before anything is done with it.
const MAX_BODIES: usize = 8;

/// For a call that asks what is known here.
pub(super) const USUAL: Duration = Duration::from_secs(30);

/// For one that goes through all that is stored, or asks the app.
pub(super) const LONG: Duration = Duration::from_secs(600);

/// Where calls and streams find a place.
#[derive(Debug)]
pub(super) struct Room {
    calls: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    bodies: Arc<Semaphore>,
}

/// A place among the calls that are answered at once, for as long as a clone lives.
#[derive(Clone, Debug)]
pub(super) struct Place {
    _kept: Arc<OwnedSemaphorePermit>,
}

impl Place {
    fn of(permit: OwnedSemaphorePermit) -> Place {
        Place {
            _kept: Arc::new(permit),
        }
    }
}

impl Default for Room {
    fn default() -> Room {
        Room {
            calls: Arc::new(Semaphore::new(MAX_CALLS)),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            bodies: Arc::new(Semaphore::new(MAX_BODIES)),
        }
    }
}

impl Room {
    fn call(&self) -> Result<Place, Problem> {
        taken(
            &self.calls,
            "As many calls are answered as are at once; try again.",
        )
    }

    /// A place for a stream, which has one for its call already.
    pub(super) fn stream(&self) -> Result<Place, Problem> {
        taken(
            &self.streams,
            "As many event streams are open as may be; close one.",
        )
    }

    /// A place for a large body, as soon as there is one: they come and go quickly, and those that wait are on their way still.
    pub(super) async fn body(&self) -> Result<Place, Problem> {
        let place = Arc::clone(&self.bodies).acquire_owned().await;
        let place = place.map_err(|_| Problem::Stopping)?;
        Ok(Place::of(place))
    }
}

fn taken(of: &Arc<Semaphore>, full: &'static str) -> Result<Place, Problem> {
    let place = Arc::clone(of).try_acquire_owned();
    let place = place.map_err(|_| Problem::Busy(full))?;
    Ok(Place::of(place))
}

/// Answers a call if there is room. Who watches over us always finds some.
pub(super) async fn with_room(
    State(room): State<Arc<Room>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if matches!(request.uri().path(), "/healthz" | "/readyz") {
        return Ok(next.run(request).await);
    }
    let place = room.call()?;
    request.extensions_mut().insert(place.clone()); // what changes something keeps it to its end
    let mut answer = next.run(request).await;
    answer.extensions_mut().insert(place); // for the listener
    Ok(answer)
}

/// Gives up a call that takes longer than this.
pub(super) async fn in_time(
    State(time): State<Duration>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let answered = timeout(time, next.run(request)).await;
    answered.map_err(|_| Problem::Late)
}
