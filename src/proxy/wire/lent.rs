//! A stream that somebody else has for a while.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::proxy::wire::Wire;

/// The stream while somebody else has it, who keeps what is given to it; dropped, it goes home.
pub(in crate::proxy) struct Lent<S> {
    wire: Option<Wire<S>>,
    home: Home<S>,
}

/// Where a stream that was lent comes back to.
pub(in crate::proxy) struct Home<S>(Arc<Mutex<Option<Wire<S>>>>);

impl<S> Wire<S> {
    /// Lends the stream; it is not wanted back before another request has come.
    pub(in crate::proxy) fn lend(self) -> (Lent<S>, Home<S>) {
        self.line.lock().wanted_back = false;
        let home = Home(Arc::default());
        let lent = Lent {
            wire: Some(self),
            home: Home(Arc::clone(&home.0)),
        };
        (lent, home)
    }
}

impl<S> Home<S> {
    /// The stream, once whoever had it has let it go.
    pub(in crate::proxy) fn returned(self) -> Option<Wire<S>> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Wire<S>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Lent<S> {
    fn wire(&mut self) -> Pin<&mut Wire<S>>
    where
        S: Unpin,
    {
        Pin::new(self.wire.as_mut().expect("it goes home at the end"))
    }
}

impl<S> Drop for Lent<S> {
    fn drop(&mut self) {
        *self.home.lock() = self.wire.take();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lent<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.wire().poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lent<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.wire().poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.wire().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        let wire = self.wire.as_ref();
        wire.is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire().poll_shutdown(cx)
    }
}
