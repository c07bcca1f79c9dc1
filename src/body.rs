//! Bodies in motion: chunks, then trailers, then an end that is whole or cut. Knows no engine.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
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
#[error("the body was cut short: {0}")]
pub struct Cut(pub String);

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

    /// The next piece; `None` at the whole end, `Some(Err)` where the body was cut.
    pub async fn next(&mut self) -> Option<Result<Chunk, Cut>> {
        let frame =
            std::future::poll_fn(|cx| http_body::Body::poll_frame(Pin::new(self), cx)).await?;
        Some(frame.and_then(|frame| {
            frame
                .into_data()
                .map(Chunk::Data)
                .or_else(|frame| frame.into_trailers().map(Chunk::Trailers))
                .map_err(|_| Cut("a frame of unknown kind".into()))
        }))
    }

    /// The length of the content, where it is known before it has arrived.
    pub fn exact_len(&self) -> Option<u64> {
        http_body::Body::size_hint(self).exact()
    }

    /// Whether there is certainly no content.
    pub fn is_empty(&self) -> bool {
        http_body::Body::is_end_stream(self)
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
