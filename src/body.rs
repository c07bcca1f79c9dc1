//! Bodies in motion: chunks, then trailers, then an end that is whole or cut. Knows no engine.

use std::future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use bytes::Bytes;
use bytes::BytesMut;
use futures_util::FutureExt;
use futures_util::Stream;
use futures_util::StreamExt;
use futures_util::stream::iter;
use futures_util::stream::once;
use futures_util::stream::unfold;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use thiserror::Error;

/// The body of a request or response, pulled chunk by chunk; who pulls slowly is sent slowly.
#[derive(Default)]
pub struct Body(Inner);

#[derive(Default)]
enum Inner {
    #[default]
    Empty,
    Full(Bytes),
    Stream(Pin<Box<dyn http_body::Body<Data = Bytes, Error = Cut> + Send>>),
    Chunks {
        stream: Pin<Box<dyn Stream<Item = Result<Chunk, Cut>> + Send>>,
        /// Bytes still to come, where that is known.
        rest: Option<u64>,
    },
}

/// A body ended before it was whole; who reads it must not take it for the whole.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Cut {
    /// Its sender left, broke it off, or sent something else.
    #[error("the body was cut short: {0}")]
    Short(String),
    /// Its sender took longer than it may, and was given up.
    #[error("the body did not come in time: {0}")]
    Late(&'static str),
}

/// Goes with a response, and says when its body has ended whether more came than was declared: its length is wrong then,
/// and what it declares may not be the whole.
#[derive(Clone, Debug, Default)]
pub struct Surplus(Arc<OnceLock<()>>);

impl Surplus {
    /// Of a body that has ended, and more came.
    pub fn noted() -> Surplus {
        let surplus = Surplus::default();
        surplus.note();
        surplus
    }

    /// More came.
    pub fn note(&self) {
        self.0.set(()).unwrap_or_default(); // it may be known already
    }

    /// Whether more came, as far as is known.
    pub fn came(&self) -> bool {
        self.0.get().is_some()
    }
}

/// One piece of a body.
#[derive(Debug)]
pub enum Chunk {
    /// Bytes of the content.
    Data(Bytes),
    /// Trailer fields; nothing follows them.
    Trailers(HeaderMap),
}

impl From<Chunk> for Frame<Bytes> {
    fn from(chunk: Chunk) -> Frame<Bytes> {
        match chunk {
            Chunk::Data(data) => Frame::data(data),
            Chunk::Trailers(trailers) => Frame::trailers(trailers),
        }
    }
}

impl Body {
    /// No content.
    pub const fn empty() -> Body {
        Body(Inner::Empty)
    }

    /// A body that arrives as it is polled.
    pub fn stream(
        stream: impl http_body::Body<Data = Bytes, Error = Cut> + Send + 'static,
    ) -> Body {
        Body(Inner::Stream(Box::pin(stream)))
    }

    /// A body whose pieces a stream yields one by one; `exact` is its length, where that is known.
    pub fn chunks(
        stream: impl Stream<Item = Result<Chunk, Cut>> + Send + 'static,
        exact: Option<u64>,
    ) -> Body {
        Body(Inner::Chunks {
            stream: Box::pin(stream),
            rest: exact,
        })
    }

    /// `first`, then `rest` to its end.
    pub fn joined(first: Bytes, rest: Body) -> Body {
        let exact = rest.exact_len().map(|len| len + first.len() as u64);
        let rest = unfold(rest, async |mut rest| Some((rest.next().await?, rest)));
        Body::chunks(
            once(future::ready(Ok(Chunk::Data(first)))).chain(rest),
            exact,
        )
    }

    /// Reads its beginning, to the end or as long as `may` allows so many bytes more.
    pub async fn peek(self, may: impl FnMut(usize) -> bool) -> Peeked {
        self.peek_by(true, may).await
    }

    /// The same of what is here of it: nothing else is waited for.
    pub async fn peek_here(self, may: impl FnMut(usize) -> bool) -> Peeked {
        self.peek_by(false, may).await
    }

    async fn peek_by(mut self, waits: bool, mut may: impl FnMut(usize) -> bool) -> Peeked {
        let exact = self.exact_len();
        let (mut data, mut after) = (BytesMut::new(), Vec::new());
        let end = loop {
            let next = match waits {
                true => self.next().await,
                false => match self.here().await {
                    Some(next) => next,
                    None => break End::NotYet,
                },
            };
            match next {
                None => break End::Whole,
                Some(Ok(Chunk::Data(more))) if data.is_empty() && self.is_empty() => {
                    let end = match may(more.len()) {
                        true => End::Whole,
                        false => End::NotYet,
                    };
                    return Peeked {
                        data: more, // all of it, in one piece
                        after,
                        end,
                        rest: self,
                        exact,
                    };
                }
                Some(Ok(Chunk::Data(more))) => {
                    data.extend_from_slice(&more); // a chunk of one byte would keep what it was cut from
                    if !may(more.len()) {
                        break End::NotYet;
                    }
                }
                Some(Ok(trailers @ Chunk::Trailers(_))) => after.push(Ok(trailers)),
                Some(Err(cut)) => {
                    after.push(Err(cut));
                    break End::Cut;
                }
            }
        };
        Peeked {
            data: data.freeze(),
            after,
            end,
            rest: self,
            exact,
        }
    }

    /// The next piece, if it is here: `None` if not. What has come need not have been looked at, so others go first.
    async fn here(&mut self) -> Option<Option<Result<Chunk, Cut>>> {
        if let Some(next) = self.next().now_or_never() {
            return Some(next);
        }
        tokio::task::yield_now().await;
        self.next().now_or_never()
    }

    /// `len` bytes of it, from `first` on. It reads no further than that; a body that ends before is cut.
    pub fn slice(self, first: u64, len: u64) -> Body {
        if let Inner::Full(bytes) = &self.0
            && let (Ok(from), Ok(len)) = (usize::try_from(first), usize::try_from(len))
            && from.checked_add(len).is_some_and(|end| end <= bytes.len())
        {
            return bytes.slice(from..from + len).into();
        }
        let sliced = Slice {
            body: self,
            skip: first,
            rest: len,
        };
        let chunks = unfold(sliced, async |mut sliced| {
            Some((sliced.next().await?, sliced))
        });
        Body::chunks(chunks, Some(len))
    }

    /// The next piece; `None` at the whole end, `Some(Err)` where the body was cut.
    pub async fn next(&mut self) -> Option<Result<Chunk, Cut>> {
        let frame =
            std::future::poll_fn(|cx| http_body::Body::poll_frame(Pin::new(self), cx)).await?;
        Some(frame.and_then(|frame| {
            frame
                .into_data()
                .map(Chunk::Data)
                .or_else(|frame| frame.into_trailers().map(Chunk::Trailers))
                .map_err(|_| Cut::Short("a frame of unknown kind".into()))
        }))
    }

    /// The length of the content, where it is known before it has arrived.
    pub fn exact_len(&self) -> Option<u64> {
        http_body::Body::size_hint(self).exact()
    }

    /// Whether all of it has arrived: nothing is waited for, and no trailers follow.
    pub fn is_here(&self) -> bool {
        matches!(self.0, Inner::Empty | Inner::Full(_))
    }

    /// All of it, if it has arrived.
    pub fn into_bytes(self) -> Option<Bytes> {
        match self.0 {
            Inner::Empty => Some(Bytes::new()),
            Inner::Full(bytes) => Some(bytes),
            Inner::Stream(_) | Inner::Chunks { .. } => None,
        }
    }

    /// Whether there is certainly no content.
    pub fn is_empty(&self) -> bool {
        http_body::Body::is_end_stream(self)
    }
}

/// A body whose beginning has been read.
pub struct Peeked {
    data: Bytes,
    /// Trailers, or where it was cut.
    after: Vec<Result<Chunk, Cut>>,
    /// How far that is.
    pub end: End,
    rest: Body,
    exact: Option<u64>,
}

/// How far a body has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// To its whole end.
    Whole,
    /// To where it was cut.
    Cut,
    /// There is more.
    NotYet,
}

impl Peeked {
    /// The bytes of its content so far.
    pub fn data(&self) -> Bytes {
        self.data.clone()
    }

    /// Whether nothing more of it is to come.
    pub fn is_all(&self) -> bool {
        let all = || self.rest.is_empty() || self.exact == Some(self.data.len() as u64);
        self.end == End::Whole || self.end == End::NotYet && all()
    }

    /// Why it was cut, if that has been seen.
    pub fn cut(&self) -> Option<&Cut> {
        self.after.iter().find_map(|it| it.as_ref().err())
    }

    /// The body as it was. What is `held` is let go of once what was read of it has been read again.
    pub fn whole(self, held: Option<impl Send + 'static>) -> Body {
        if self.end == End::Whole && self.after.is_empty() && held.is_none() {
            return self.data.into();
        }
        let rest = unfold((self.rest, held), async |(mut rest, held)| {
            drop(held);
            Some((rest.next().await?, (rest, None)))
        });
        let data = Some(self.data).filter(|data| !data.is_empty());
        let read = data.map(|data| Ok(Chunk::Data(data)));
        let read = read.into_iter().chain(self.after);
        Body::chunks(iter(read).chain(rest), self.exact)
    }
}

/// A run of bytes in the middle of a body.
struct Slice {
    body: Body,
    /// Bytes before it.
    skip: u64,
    /// Bytes still to come.
    rest: u64,
}

impl Slice {
    async fn next(&mut self) -> Option<Result<Chunk, Cut>> {
        while self.rest > 0 {
            let mut data = match self.body.next().await {
                Some(Ok(Chunk::Data(data))) => data,
                Some(Err(cut)) => return Some(Err(cut)),
                Some(Ok(Chunk::Trailers(_))) | None => {
                    self.rest = 0;
                    return Some(Err(Cut::Short(
                        "it ended before the range that was asked for".into(),
                    )));
                }
            };
            let skipped = self.skip.min(data.len() as u64);
            self.skip -= skipped;
            data.advance(usize::try_from(skipped).unwrap_or(usize::MAX));
            data.truncate(usize::try_from(self.rest).unwrap_or(usize::MAX));
            if !data.is_empty() {
                self.rest -= data.len() as u64;
                return Some(Ok(Chunk::Data(data)));
            }
        }
        None
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Body {
        if bytes.is_empty() {
            Body::empty()
        } else {
            Body(Inner::Full(bytes))
        }
    }
}

impl From<String> for Body {
    fn from(text: String) -> Body {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Body {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match &mut self.0 {
            Inner::Empty => Poll::Ready(None),
            Inner::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Inner::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Inner::Stream(stream) => stream.as_mut().poll_frame(cx),
            Inner::Chunks { stream, rest } => {
                let chunk = ready!(stream.as_mut().poll_next(cx));
                if let (Some(rest), Some(Ok(Chunk::Data(data)))) = (rest, &chunk) {
                    *rest = rest.saturating_sub(data.len() as u64);
                }
                if !matches!(chunk, Some(Ok(_))) {
                    self.0 = Inner::Empty; // nothing follows an end
                }
                Poll::Ready(chunk.map(|chunk| chunk.map(Frame::from)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Empty => true,
            Inner::Full(bytes) => bytes.is_empty(),
            Inner::Stream(stream) => stream.is_end_stream(),
            Inner::Chunks { .. } => false, // trailers may follow the last byte
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Empty => SizeHint::with_exact(0),
            Inner::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Inner::Stream(stream) => stream.size_hint(),
            Inner::Chunks { rest, .. } => rest.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Inner::Empty => "Body(empty)",
            Inner::Full(_) => "Body(full)",
            Inner::Stream(_) | Inner::Chunks { .. } => "Body(stream)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http::HeaderValue;

    fn streamed(pieces: &[&'static str]) -> Body {
        let len = pieces.iter().map(|piece| piece.len() as u64).sum();
        let pieces: Vec<_> = pieces
            .iter()
            .map(|piece| Ok(Chunk::Data(Bytes::from_static(piece.as_bytes()))))
            .collect();
        Body::chunks(stream::iter(pieces), Some(len))
    }

    /// Its text, and whether it ended whole.
    async fn read(mut body: Body) -> (String, bool) {
        let mut text = String::new();
        loop {
            match body.next().await {
                Some(Ok(Chunk::Data(data))) => text.push_str(std::str::from_utf8(&data).unwrap()),
                Some(Ok(Chunk::Trailers(_))) => text.push('|'),
                Some(Err(_)) => return (text, false),
                None => return (text, true),
            }
        }
    }

    #[tokio::test]
    async fn a_slice_is_a_run_of_bytes_however_they_arrive() {
        for (name, pieces, first, len, expected) in [
            ("in one piece", &["0123456789"][..], 2, 3, ("234", true)),
            (
                "over pieces",
                &["01", "23", "45", "67"],
                1,
                4,
                ("1234", true),
            ),
            ("to the end", &["01", "23"], 2, 2, ("23", true)),
            ("all", &["01", "23"], 0, 4, ("0123", true)),
            ("beyond the end", &["01", "23"], 3, 4, ("3", false)),
            ("nothing", &["01"], 1, 0, ("", true)),
        ] {
            let slice = streamed(pieces).slice(first, len);
            assert_eq!(slice.exact_len(), Some(len), "{name}");
            assert_eq!(read(slice).await, (expected.0.into(), expected.1), "{name}");
            let whole = Body::from(pieces.concat()).slice(first, len);
            assert_eq!(read(whole).await, (expected.0.into(), expected.1), "{name}");
        }
    }

    #[tokio::test]
    async fn joined_bodies_follow_each_other_with_their_trailers() {
        let joined = Body::joined("ab".into(), streamed(&["cd", "ef"]));
        assert_eq!(joined.exact_len(), Some(6));
        assert_eq!(read(joined).await, ("abcdef".into(), true));

        let mut trailers = HeaderMap::new();
        trailers.insert("x", HeaderValue::from_static("1"));
        let rest = stream::iter([
            Ok(Chunk::Trailers(trailers)),
            Err(Cut::Short("broken".into())),
        ]);
        let joined = Body::joined("ab".into(), Body::chunks(rest, None));
        assert_eq!(joined.exact_len(), None);
        assert_eq!(read(joined).await, ("ab|".into(), false));
    }
}
