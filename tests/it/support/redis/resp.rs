//! Redis' protocol, by a parser that shares nothing with the client under test: RESP2 as it is asked for here, RESP3 as
//! others may ask for it.

use std::io;
use std::net::SocketAddr;

use bytes::Buf;
use bytes::Bytes;
use bytes::BytesMut;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// What a server answers. Requests have the same form: a list of texts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    /// Any text, by its bytes: a status, a bulk string, a number that is no integer.
    Text(Bytes),
    Integer(i64),
    Nil,
    /// Arrays and sets; maps too, names and values by turns.
    List(Vec<Reply>),
    /// Comes unasked for (RESP3).
    Push(Vec<Reply>),
    Error(String),
}

impl Reply {
    /// The text, the number spelt out, or the empty text for what is not there; anything else fails the test.
    #[track_caller]
    pub(crate) fn text(&self) -> String {
        match self {
            Reply::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Reply::Integer(number) => number.to_string(),
            Reply::Nil => String::new(),
            Reply::List(_) | Reply::Push(_) | Reply::Error(_) => panic!("no text: {self:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn list(&self) -> &[Reply] {
        match self {
            Reply::List(list) => list,
            Reply::Text(_) | Reply::Integer(_) | Reply::Nil | Reply::Push(_) | Reply::Error(_) => {
                panic!("no list: {self:?}")
            }
        }
    }

    /// Each text of a list.
    #[track_caller]
    pub(crate) fn texts(&self) -> Vec<String> {
        self.list().iter().map(Reply::text).collect()
    }

    /// What a list of names and values says of this name.
    #[track_caller]
    pub(super) fn value(&self, name: &str) -> String {
        let mut pairs = self.list().chunks_exact(2);
        let value = pairs.find_map(|pair| match pair {
            [this, value] if this.text() == name => Some(value.text()),
            _ => None,
        });
        value.unwrap_or_else(|| panic!("no `{name}` in {self:?}"))
    }

    /// The message at the start of `bytes` and its length; `None` while its end has not come.
    fn parse(bytes: &[u8]) -> io::Result<Option<(Reply, usize)>> {
        let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else {
            return Ok(None);
        };
        let (kind, line) = (bytes[0], &bytes[1..end.max(1)]);
        let rest = end + 2;
        let reply = match kind {
            b'+' | b',' | b'(' | b'#' => Reply::Text(Bytes::copy_from_slice(line)),
            b'-' => Reply::Error(String::from_utf8_lossy(line).into_owned()),
            b':' => Reply::Integer(number(line)?),
            b'_' => Reply::Nil,
            b'$' | b'=' | b'!' => {
                let Ok(length) = usize::try_from(number(line)?) else {
                    return Ok(Some((Reply::Nil, rest)));
                };
                // The two bytes that end the line end the text too.
                if bytes.len() < rest + length + 2 {
                    return Ok(None);
                }
                let text = &bytes[rest..rest + length];
                let reply = match kind {
                    b'!' => Reply::Error(String::from_utf8_lossy(text).into_owned()),
                    _ => Reply::Text(Bytes::copy_from_slice(text)),
                };
                return Ok(Some((reply, rest + length + 2)));
            }
            b'*' | b'~' | b'>' | b'%' => {
                let Ok(count) = usize::try_from(number(line)?) else {
                    return Ok(Some((Reply::Nil, rest)));
                };
                let count = if kind == b'%' { 2 * count } else { count };
                let (mut list, mut at) = (Vec::new(), rest);
                for _ in 0..count {
                    let Some((reply, length)) = Reply::parse(&bytes[at..])? else {
                        return Ok(None);
                    };
                    list.push(reply);
                    at += length;
                }
                let reply = match kind {
                    b'>' => Reply::Push(list),
                    _ => Reply::List(list),
                };
                return Ok(Some((reply, at)));
            }
            _ => return Err(malformed(&bytes[..end])),
        };
        Ok(Some((reply, rest)))
    }
}

fn number(line: &[u8]) -> io::Result<i64> {
    let text = std::str::from_utf8(line).ok();
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| malformed(line))
}

fn malformed(line: &[u8]) -> io::Error {
    let line = String::from_utf8_lossy(line);
    io::Error::new(io::ErrorKind::InvalidData, format!("not RESP: {line:.80}"))
}

/// One direction of a connection, message by message.
pub(super) struct Messages<R> {
    from: R,
    read: BytesMut,
}

impl<R: AsyncRead + Unpin> Messages<R> {
    pub(super) fn new(from: R) -> Messages<R> {
        let read = BytesMut::new();
        Messages { from, read }
    }

    /// The next message and its bytes; `None` at the end.
    pub(super) async fn next(&mut self) -> io::Result<Option<(Reply, Bytes)>> {
        loop {
            if let Some((reply, length)) = Reply::parse(&self.read)? {
                let bytes = self.read.copy_to_bytes(length);
                return Ok(Some((reply, bytes)));
            }
            self.read.reserve(64 * 1024);
            if self.from.read_buf(&mut self.read).await? == 0 {
                return Ok(None);
            }
        }
    }
}

/// A test's own connection to a server.
pub(crate) struct Connection(Messages<TcpStream>);

impl Connection {
    pub(super) async fn open(to: SocketAddr) -> io::Result<Connection> {
        let socket = TcpStream::connect(to).await?;
        socket.set_nodelay(true)?;
        Ok(Connection(Messages::new(socket)))
    }

    /// Sends a command; its reply is the next one.
    pub(crate) async fn send<W: AsRef<[u8]>>(&mut self, command: &[W]) -> io::Result<()> {
        self.0.from.write_all(&request(command)).await
    }

    pub(crate) async fn reply(&mut self) -> io::Result<Reply> {
        let next = self.0.next().await?;
        let next = next.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof));
        next.map(|(reply, _)| reply)
    }

    pub(crate) async fn ask<W: AsRef<[u8]>>(&mut self, command: &[W]) -> io::Result<Reply> {
        self.send(command).await?;
        self.reply().await
    }
}

/// A command as it goes on the wire.
fn request<W: AsRef<[u8]>>(command: &[W]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
    for word in command.iter().map(AsRef::as_ref) {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}
