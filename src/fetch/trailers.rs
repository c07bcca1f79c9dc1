//! Increments that come after the body: committed before its end is passed on (L4). And exchanges that go on to their
//! end though their client has left.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use http::HeaderMap;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::body::Body;
use crate::body::Chunk;
use crate::body::Cut;
use crate::fetch::Fetch;
use crate::fetch::Wrong;
use crate::fetch::asked_by;
use crate::model::request::Head;
use crate::policy;
use crate::rules::Scopes;

/// A body whose trailers are read for increments as they pass. When its reader leaves an unsafe exchange before the
/// end, the rest is read all the same.
pub(super) fn watched(body: Body, fetch: Fetch, head: Arc<Head>, scopes: Arc<Scopes>) -> Body {
    let insists = !head.is_safe();
    chunks(Watched {
        left: body.exact_len(),
        body: Some(body),
        after: None,
        insists,
        fetch,
        head,
        scopes,
    })
}

fn chunks(watched: Watched) -> Body {
    let exact = watched.left;
    Body::chunks(
        stream::unfold(watched, async |mut watched| {
            Some((watched.next().await?, watched))
        }),
        exact,
    )
}

/// Reads a body to its end for the sake of the app, and of its trailers.
/// What has not ended by then never may: a stream of events that nobody follows any more.
pub(super) async fn drain(mut body: Body) {
    let rest = async { while let Some(Ok(_)) = body.next().await {} };
    if timeout(ABANDONED, rest).await.is_err() {
        tracing::debug!("broke off an exchange that nobody waits for");
    }
}

/// How long an exchange may go on that nobody waits for.
const ABANDONED: Duration = Duration::from_secs(30);

struct Watched {
    /// `None` when it has ended.
    body: Option<Body>,
    /// Bytes still to come, where the length is known.
    left: Option<u64>,
    /// What follows the last byte, read before it was passed on.
    after: Option<HeaderMap>,
    /// Whether the rest is read when the reader leaves.
    insists: bool,
    fetch: Fetch,
    head: Arc<Head>,
    /// What a change means.
    scopes: Arc<Scopes>,
}

impl Watched {
    async fn next(&mut self) -> Option<Result<Chunk, Cut>> {
        if let Some(trailers) = self.after.take() {
            return Some(Ok(Chunk::Trailers(trailers)));
        }
        let chunk = self.read().await?;
        if let (Ok(Chunk::Data(bytes)), Some(left)) = (&chunk, &mut self.left) {
            *left = left.saturating_sub(bytes.len() as u64);
            if *left == 0 {
                // Who knows the length stops reading at the last byte: what follows it is read first.
                match self.read().await {
                    None => {}
                    Some(Ok(Chunk::Trailers(trailers))) => self.after = Some(trailers),
                    Some(Ok(Chunk::Data(_))) => {
                        return Some(Err(Cut::Short("more content than declared".into())));
                    }
                    Some(Err(cut)) => return Some(Err(cut)),
                }
            }
        }
        Some(chunk)
    }

    /// The next piece, its increments applied and taken off. Trailers of which nothing is left are the end.
    async fn read(&mut self) -> Option<Result<Chunk, Cut>> {
        match self.body.as_mut()?.next().await {
            Some(Ok(Chunk::Data(bytes))) => Some(Ok(Chunk::Data(bytes))),
            Some(Ok(Chunk::Trailers(mut trailers))) => {
                self.body = None;
                let inner = &self.fetch.0;
                let said =
                    inner
                        .dialects
                        .take(|| self.head.origin(), self.head.is_safe(), &mut trailers);
                if !said.tags.is_empty()
                    && let Some(not_logged) = self.fetch.is_told(Wrong::Trailers)
                {
                    tracing::warn!(
                        path = self.head.path(),
                        not_logged,
                        "tags in trailers come too late: they are ignored"
                    );
                }
                let (changed, misfits) = policy::changed(&self.scopes, &said.changes);
                for misfit in misfits {
                    if let Some(not_logged) = self.fetch.is_told(Wrong::Change) {
                        let path = self.head.path();
                        tracing::warn!(
                            path,
                            not_logged,
                            "a change was reported in trailers, and {misfit}"
                        );
                    }
                }
                let increments = [said.increments, changed].concat();
                // The head, which would tell of a delay, has gone out; health and metrics do.
                let (cache, by) = (inner.cache.clone(), asked_by(&self.head));
                let commit = async move { cache.increment(&increments, &by).await };
                // In a task of its own: the reader may leave now.
                if let Err(error) = inner.tasks.spawn(commit).await {
                    tracing::error!(%error, "increments of trailers ended badly");
                }
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
            && self.insists
            && let Ok(runtime) = Handle::try_current()
        {
            let rest = Watched {
                body: Some(body),
                left: self.left,
                after: None,
                insists: false, // nobody else is left to leave
                fetch: self.fetch.clone(),
                head: Arc::clone(&self.head),
                scopes: Arc::clone(&self.scopes),
            };
            self.fetch.0.tasks.spawn_on(drain(chunks(rest)), &runtime);
        }
    }
}
