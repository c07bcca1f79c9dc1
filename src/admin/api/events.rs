//! What happens, as it happens: numbers, increments, operators' calls, as server-sent events. A reader that is too slow misses some
//! and is told how many; it holds nothing up.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use crate::admin::Admin;
use crate::admin::api::Stop;
use crate::admin::problem::Problem;
use crate::admin::room::Place;
use crate::admin::room::Room;
use crate::admin::view;
use crate::admin::view::IncrementEvent;
use crate::admin::view::Lagged;
use crate::audit::Record;
use crate::cache::Incremented;
use crate::metrics::Held;

/// How long nothing may be said: what is in between may close a connection that is idle.
const SILENCE: Duration = Duration::from_secs(15);

/// One who listens.
struct Listening {
    /// The numbers of the beginning, until they are told.
    first: Option<Arc<str>>,
    numbers: watch::Receiver<Arc<str>>,
    increments: broadcast::Receiver<Arc<Incremented>>,
    audit: broadcast::Receiver<Arc<Record>>,
    stop: watch::Receiver<bool>,
    _counted: Held,
    _place: Place,
}

/// `GET /v1/events`.
pub(super) async fn events(
    State(admin): State<Admin>,
    Extension(Stop(stop)): Extension<Stop>,
    Extension(room): Extension<Arc<Room>>,
) -> Result<Response, Problem> {
    let parts = admin.parts();
    let listening = Listening {
        numbers: admin.numbers(),
        increments: parts.cache.watch_increments(),
        audit: parts.audit.watch(),
        first: Some(admin.numbers_now().await),
        stop,
        _counted: parts.metrics.event_streams.hold(),
        _place: room.stream()?,
    };
    let events = stream::unfold(listening, |mut listening| async move {
        let event = listening.next().await?;
        Some((Ok::<_, Infallible>(event), listening))
    });
    let alive = KeepAlive::new().interval(SILENCE);
    Ok(Sse::new(events).keep_alive(alive).into_response())
}

impl Listening {
    /// What happens next; `None`: we are being stopped.
    async fn next(&mut self) -> Option<Event> {
        if let Some(numbers) = self.first.take() {
            return Some(named("stats").data(&*numbers));
        }
        tokio::select! {
            biased;
            _ = self.stop.wait_for(|stop| *stop) => None,
            // The rare ones first: of increments there may be more than can be told.
            told = self.numbers.changed() => {
                told.ok()?;
                let numbers = Arc::clone(&self.numbers.borrow_and_update());
                Some(named("stats").data(&*numbers))
            }
            told = self.audit.recv() => of("audit", told, |it| view::Audit::from(it)),
            told = self.increments.recv() => of("increment", told, |it| IncrementEvent::from(it)),
        }
    }
}

fn named(name: &str) -> Event {
    Event::default().event(name)
}

/// One more of these, or how many were missed; `None`: nobody is left to tell of any.
fn of<T, V: Serialize>(
    name: &str,
    told: Result<Arc<T>, RecvError>,
    shown: impl FnOnce(&T) -> V,
) -> Option<Event> {
    match told {
        Ok(it) => Some(named(name).data(json(&shown(&it)))),
        Err(RecvError::Lagged(missed)) => Some(named("lagged").data(json(&Lagged { missed }))),
        Err(RecvError::Closed) => None,
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts, numbers and lists of them become JSON")
}
