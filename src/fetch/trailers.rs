//! Increments that come after the body: committed before its end is passed on (L4).

use std::sync::Arc;

use futures_util::stream;
use tokio::runtime::Handle;

use crate::body::Body;
use crate::body::Chunk;
use crate::body::Cut;
use crate::fetch::Fetch;
use crate::fetch::asked_by;
use crate::model::request::Head;

/// A body whose trailers are read for increments as they pass. When its reader leaves an unsafe exchange before the
/// end, the rest is read all the same: the increments in its trailers count.
pub(super) fn watched(body: Body, fetch: Fetch, head: Arc<Head>) -> Body {
    let exact = body.exact_len();
    let state = Watched {
        body: Some(body),
        fetch,
        head,
    };
    Body::chunks(
        stream::unfold(state, async |mut state| Some((state.next().await?, state))),
        exact,
    )
}

/// Reads a body to its end for the sake of its trailers.
pub(super) async fn drain(mut body: Body) {
    while let Some(Ok(_)) = body.next().await {}
}

struct Watched {
    /// `None` when it has ended.
    body: Option<Body>,
    fetch: Fetch,
    head: Arc<Head>,
}

impl Watched {
    async fn next(&mut self) -> Option<Result<Chunk, Cut>> {
        let chunk = self.body.as_mut()?.next().await;
        match chunk {
            Some(Ok(Chunk::Data(bytes))) => Some(Ok(Chunk::Data(bytes))),
            Some(Ok(Chunk::Trailers(mut trailers))) => {
                self.body = None;
                let inner = &self.fetch.0;
                let said = inner.dialects.take(
                    &self.head.origin(),
                    self.head.method().is_safe(),
                    &mut trailers,
                );
                inner
                    .cache
                    .increment(&said.increments, &asked_by(&self.head));
                (!trailers.is_empty()).then(|| Ok(Chunk::Trailers(trailers)))
            }
            Some(Err(cut)) => {
                self.body = None;
                Some(Err(cut))
            }
            None => {
                self.body = None;
                None
            }
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(body) = self.body.take()
            && !self.head.method().is_safe()
            && let Ok(runtime) = Handle::try_current()
        {
            let rest = watched(body, self.fetch.clone(), Arc::clone(&self.head));
            self.fetch.0.tasks.spawn_on(drain(rest), &runtime);
        }
    }
}
