//! WebSocket and other upgrades: the client's end of the tunnel, as bodies in both directions.
//!
//! The request goes to the app with a body that yields nothing until the client's connection has been upgraded; the
//! app's 101 comes with a body of raw bytes. So the exchange is one like any other, and nothing upstream knows of it.

use bytes::BytesMut;
use futures_util::stream;
use http::{Response, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::oneshot;

use crate::body::Body;
use crate::body::Chunk;
use crate::body::Cut;

type Io = TokioIo<Upgraded>;

/// The client's end, until the app has answered.
pub(super) struct Tunnel {
    client: OnUpgrade,
    opened: oneshot::Sender<ReadHalf<Io>>,
}

/// How much is read from the client at once, in bytes.
const CHUNK: usize = 16 << 10;

impl Tunnel {
    /// The tunnel, and the body that brings the client's bytes once it is open.
    pub(super) fn new(client: OnUpgrade) -> (Tunnel, Body) {
        let (opened, reader) = oneshot::channel();
        let body = stream::unfold(Reading::Waiting(reader), async |reading| match reading {
            Reading::Waiting(reader) => match reader.await {
                Ok(client) => read(client).await,
                Err(_) => None, // the app did not change protocols
            },
            Reading::Open(client) => read(client).await,
        });
        (Tunnel { client, opened }, Body::chunks(body, None))
    }

    /// Opens the tunnel if the app changed protocols; its bytes then go to the client as they come.
    pub(super) fn open(self, response: &mut Response<Body>) {
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return;
        }
        let from_app = std::mem::take(response.body_mut());
        tokio::spawn(async move {
            match self.client.await {
                Ok(client) => {
                    let (read, write) = tokio::io::split(TokioIo::new(client));
                    if self.opened.send(read).is_ok()
                        && let Err(error) = forward(from_app, write).await
                    {
                        tracing::debug!(%error, "an upgraded connection ended early");
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "the client left before its connection was upgraded")
                }
            }
        });
    }
}

enum Reading {
    Waiting(oneshot::Receiver<ReadHalf<Io>>),
    Open(ReadHalf<Io>),
}

async fn read(mut client: ReadHalf<Io>) -> Option<(Result<Chunk, Cut>, Reading)> {
    let mut buffer = BytesMut::with_capacity(CHUNK);
    match client.read_buf(&mut buffer).await {
        Ok(0) => None,
        Ok(_) => Some((Ok(Chunk::Data(buffer.freeze())), Reading::Open(client))),
        Err(error) => Some((Err(Cut::Short(error.to_string())), Reading::Open(client))),
    }
}

async fn forward(mut from_app: Body, mut client: WriteHalf<Io>) -> std::io::Result<()> {
    while let Some(chunk) = from_app.next().await {
        match chunk {
            Ok(Chunk::Data(bytes)) => {
                client.write_all(&bytes).await?;
                client.flush().await?;
            }
            Ok(Chunk::Trailers(_)) => {}
            Err(cut) => {
                tracing::debug!(%cut, "the app left an upgraded connection");
                break;
            }
        }
    }
    client.shutdown().await
}
