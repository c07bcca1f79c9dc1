//! One end of a socket read as HTTP/1.1, by a parser that shares nothing with the one under test: heads as they came, byte
//! for byte, and bodies with the way they ended.

use std::fmt;
use std::io;

use bytes::BytesMut;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::UnixStream;
use tokio_rustls::client::TlsStream;

/// A socket of any kind.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {
    /// Makes the coming close an abrupt one (RST), where the kind of socket knows that.
    fn abort_on_close(&self) {}
}

impl Socket for TcpStream {
    fn abort_on_close(&self) {
        self.set_zero_linger().expect("an open socket takes it");
    }
}

impl Socket for UnixStream {}

impl Socket for TlsStream<TcpStream> {}

/// A socket with the bytes that have been read from it and not yet used.
pub(crate) struct Wire {
    socket: Box<dyn Socket>,
    read: BytesMut,
}

/// The fields of a head, in order, names as they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields(pub(crate) Vec<(String, String)>);

/// A head: its first line, its fields, and the bytes it was read from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub(crate) first: String,
    pub(crate) fields: Fields,
    pub(crate) raw: String,
}

/// How a body says where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// How a body ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Whole,
    Cut(String),
}

/// A body read piece by piece.
pub(crate) struct Reading {
    framing: Framing,
    /// Bytes left of the body, or of the present chunk.
    left: u64,
    first: bool,
    pub(crate) trailers: Fields,
    /// `None` while it goes on.
    pub(crate) end: Option<End>,
}

impl Wire {
    pub(crate) fn new(socket: impl Socket + 'static) -> Wire {
        Wire {
            socket: Box::new(socket),
            read: BytesMut::new(),
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes).await?;
        self.socket.flush().await
    }

    /// Says that nothing more will be written; reading goes on.
    pub(crate) async fn finish(&mut self) -> io::Result<()> {
        self.socket.shutdown().await
    }

    /// Closes the connection with a reset.
    pub(crate) fn reset(self) {
        self.socket.abort_on_close();
    }

    /// The next bytes, whatever they are; empty at the end.
    pub(crate) async fn some(&mut self) -> io::Result<Vec<u8>> {
        if self.read.is_empty() {
            self.more().await?;
        }
        Ok(self.read.split().to_vec())
    }

    /// Exactly so many bytes.
    pub(crate) async fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.read.len() < count {
            if self.more().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.read.split_to(count).to_vec())
    }

    /// Everything until the other side closes or resets.
    pub(crate) async fn drain(&mut self) -> Vec<u8> {
        while matches!(self.more().await, Ok(count) if count > 0) {}
        self.read.split().to_vec()
    }

    /// The next head; `None` where the connection ends before one.
    pub(crate) async fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                let raw = self.read.split_to(end + 4);
                return Ok(Some(Head::parse(&raw)));
            }
            if self.more().await? == 0 {
                return if self.read.is_empty() {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.read.windows(2).position(|two| two == b"\r\n") {
                let line = self.read.split_to(end + 2);
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if self.more().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn more(&mut self) -> io::Result<usize> {
        self.read.reserve(64 * 1024);
        self.socket.read_buf(&mut self.read).await
    }
}

impl Head {
    fn parse(raw: &[u8]) -> Head {
        let raw = String::from_utf8_lossy(raw).into_owned();
        let mut lines = raw.split("\r\n");
        let first = lines.next().unwrap_or_default().to_owned();
        let fields = lines
            .filter(|line| !line.is_empty())
            .map(|line| match line.split_once(':') {
                Some((name, value)) => (name.to_owned(), value.trim().to_owned()),
                None => (line.to_owned(), String::new()),
            })
            .collect();
        Head {
            first,
            fields: Fields(fields),
            raw,
        }
    }

    /// The `n`th word of the first line.
    pub(crate) fn word(&self, n: usize) -> &str {
        self.first.split(' ').nth(n).unwrap_or_default()
    }
}

impl Fields {
    /// The value of a field; several lines of one name joined by `, `.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let lines = self.lines(name);
        (!lines.is_empty()).then(|| lines.join(", "))
    }

    /// The lines of one name.
    pub(crate) fn lines(&self, name: &str) -> Vec<&str> {
        self.0
            .iter()
            .filter(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// How the body after these fields ends (RFC 9112 §6.3), `otherwise` where they say nothing.
    pub(crate) fn framing(&self, otherwise: Framing) -> Framing {
        if self.get("transfer-encoding").is_some() {
            return Framing::Chunked;
        }
        match self.get("content-length").map(|length| length.parse()) {
            Some(Ok(length)) => Framing::Length(length),
            Some(Err(_)) | None => otherwise,
        }
    }
}

impl Reading {
    pub(crate) fn new(framing: Framing) -> Reading {
        let (left, end) = match framing {
            Framing::Length(0) => (0, Some(End::Whole)),
            Framing::Length(length) => (length, None),
            Framing::Chunked => (0, None),
            Framing::UntilClose => (u64::MAX, None),
        };
        Reading {
            framing,
            left,
            first: true,
            trailers: Fields::default(),
            end,
        }
    }

    /// The next bytes of the body; `None` at its end, which `end` then tells.
    pub(crate) async fn next(&mut self, wire: &mut Wire) -> Option<Vec<u8>> {
        if self.end.is_some() {
            return None;
        }
        match self.step(wire).await {
            Ok(Some(bytes)) => Some(bytes),
            Ok(None) => {
                self.end = Some(End::Whole);
                None
            }
            Err(error) => {
                self.end = Some(End::Cut(error.to_string()));
                None
            }
        }
    }

    /// The rest of the body.
    pub(crate) async fn rest(&mut self, wire: &mut Wire) -> Vec<u8> {
        let mut body = Vec::new();
        while let Some(bytes) = self.next(wire).await {
            body.extend_from_slice(&bytes);
        }
        body
    }

    async fn step(&mut self, wire: &mut Wire) -> io::Result<Option<Vec<u8>>> {
        let over = self.framing != Framing::Chunked;
        if self.left == 0 && (over || !self.next_chunk(wire).await?) {
            return Ok(None);
        }
        if wire.read.is_empty() && wire.more().await? == 0 {
            return match self.framing {
                Framing::UntilClose => Ok(None),
                Framing::Length(_) | Framing::Chunked => Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
        let count = usize::try_from(self.left).unwrap_or(usize::MAX);
        let bytes = wire.read.split_to(count.min(wire.read.len()));
        self.left -= bytes.len() as u64;
        Ok(Some(bytes.to_vec()))
    }

    /// Reads the line before a chunk; false after the last chunk, whose trailers it reads too.
    async fn next_chunk(&mut self, wire: &mut Wire) -> io::Result<bool> {
        if !self.first && !wire.line().await?.is_empty() {
            return Err(io::Error::other("a chunk is longer than it said"));
        }
        self.first = false;
        let line = wire.line().await?;
        let size = line.split(';').next().unwrap_or_default().trim();
        self.left = u64::from_str_radix(size, 16)
            .map_err(|_| io::Error::other(format!("`{line}` is no chunk size")))?;
        if self.left > 0 {
            return Ok(true);
        }
        loop {
            let line = wire.line().await?;
            match line.split_once(':') {
                Some((name, value)) => self
                    .trailers
                    .0
                    .push((name.to_owned(), value.trim().to_owned())),
                None => return Ok(false),
            }
        }
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.0 {
            writeln!(f, "  {name}: {value}")?;
        }
        Ok(())
    }
}
