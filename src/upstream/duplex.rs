//! One connection, read and written at once. Pingora's HTTP/1 session does either at a time: while it writes a body,
//! nobody reads, so an early answer to a large upload would be found only after the upload has stalled.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::{ALPN, SslDigest};
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream,
    TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

/// A shared connection: the session reads from one clone, the request's body is written to another. The lock is held
/// for one poll, never across an await.
#[derive(Clone, Debug)]
pub(super) struct Duplex(Arc<Mutex<Line>>);

#[derive(Debug)]
struct Line {
    stream: Stream,
    /// What is written stays in the stream's buffer as long as that has room.
    held: bool,
}

impl Duplex {
    /// Shares a connection; one that came back from the pool shared stays as it is.
    pub(super) fn over(stream: Stream) -> Duplex {
        match (*stream).as_any().downcast_ref::<Duplex>() {
            Some(shared) => shared.clone(),
            None => Duplex(Arc::new(Mutex::new(Line {
                stream,
                held: false,
            }))),
        }
    }

    /// Holds back what is written until [`Duplex::let_go`]: a head then leaves in one piece with the beginning of its body.
    pub(super) fn hold(&self) {
        self.line().held = true;
    }

    /// From here on flushing sends.
    pub(super) fn let_go(&self) {
        self.line().held = false;
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for Duplex {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line().stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Duplex {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.line().stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.line().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.line().stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut line = self.line();
        match line.held {
            true => Poll::Ready(Ok(())),
            false => Pin::new(&mut line.stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line().stream).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for Duplex {
    async fn shutdown(&mut self) {
        // The connection is over either way.
        AsyncWriteExt::shutdown(self).await.unwrap_or_default();
    }
}

impl UniqueID for Duplex {
    fn id(&self) -> UniqueIDType {
        self.line().stream.id()
    }
}

impl Ssl for Duplex {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.line().stream.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.line().stream.selected_alpn_proto()
    }
}

impl GetTimingDigest for Duplex {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.line().stream.get_timing_digest()
    }
}

impl GetProxyDigest for Duplex {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.line().stream.get_proxy_digest()
    }
}

impl GetSocketDigest for Duplex {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.line().stream.get_socket_digest()
    }
}

impl Peek for Duplex {}
