//! Increments that come after the body: committed before its end is passed on (L4).

use std::sync::Arc;

use futures_util::stream;
use http::HeaderMap;
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
        left: exact,
        after: None,
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
    /// Bytes still to come, where the length is known.
    left: Option<u64>,
    /// What follows the last byte, read before it was passed on.
    after: Option<HeaderMap>,
    fetch: Fetch,
    head: Arc<Head>,
}

impl Watched {
    async fn next(&mut self) -> Option<Result<Chunk, Cut>> {
        if let Some(trailers) = self.after.take() {
            return Some(Ok(Chunk::Trailers(trailers)));
        }
        match self.read().await? {
            Ok(Chunk::Data(bytes)) => {
                let left = self
                    .left
                    .map(|left| left.saturating_sub(bytes.len() as u64));
                self.left = left;
                // Who knows the length stops reading at the last byte: what follows it is read first.
                match if left == Some(0) {
                    self.read().await
                } else {
                    None
                } {
                    Some(Ok(Chunk::Trailers(trailers))) => self.after = Some(trailers),
                    Some(Ok(Chunk::Data(_))) => {
                        return Some(Err(Cut("more content than declared".into())));
                    }
                    Some(Err(cut)) => return Some(Err(cut)),
                    None => {}
                }
                Some(Ok(Chunk::Data(bytes)))
            }
            other => Some(other),
        }
    }

    /// The next piece, its increments applied and taken off. Trailers of which nothing is left are the end.
    async fn read(&mut self) -> Option<Result<Chunk, Cut>> {
        match self.body.as_mut()?.next().await {
            Some(Ok(Chunk::Data(bytes))) => return Some(Ok(Chunk::Data(bytes))),
            Some(Ok(Chunk::Trailers(mut trailers))) => {
                self.body = None;
                let inner = &self.fetch.0;
                let said = inner.dialects.take(
                    &self.head.origin(),
                    self.head.method().is_safe(),
                    &mut trailers,
                );
                if !said.tags.is_empty() {
                    tracing::warn!(path = ?self.head.path(), "tags in trailers come too late: they are ignored");
                }
                inner
                    .cache
                    .increment(&said.increments, &asked_by(&self.head));
                (!trailers.is_empty()).then_some(Ok(Chunk::Trailers(trailers)))
            }
            end @ (Some(Err(_)) | None) => {
                self.body = None;
                end
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
