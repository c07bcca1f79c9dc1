//! What the scripted app answers: proper responses, and every improper one that a test needs.

use std::io;

use super::wire::Fields;
use super::wire::Wire;

/// One answer of the app.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) shape: Shape,
}

/// How an answer is put on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// With `Content-Length`.
    Sized,
    /// In chunks.
    Chunked,
    /// As HTTP/1.0 did: the end of the connection is the end of the body.
    UntilClose,
    /// `Content-Length` promises more than comes before the connection closes.
    CutSized,
    /// The last chunk never comes.
    CutChunked,
    /// `body` is the whole answer, head and all; the connection closes after it.
    Verbatim,
    /// The connection is reset instead of an answer.
    Reset,
    /// The connection is closed instead of an answer.
    HangUp,
    /// No answer at all; the connection stays open.
    Silent,
}

/// 200 with this body.
pub(crate) fn reply(body: impl Into<Vec<u8>>) -> Reply {
    Reply {
        status: 200,
        fields: Vec::new(),
        body: body.into(),
        shape: Shape::Sized,
    }
}

/// 304, to be given the fields that it brings.
pub(crate) fn not_modified() -> Reply {
    reply("").status(304)
}

/// These bytes in place of a response, then the end of the connection.
pub(crate) fn verbatim(bytes: impl Into<Vec<u8>>) -> Reply {
    reply(bytes).shape(Shape::Verbatim)
}

impl Reply {
    /// A connection reset instead of an answer.
    pub(crate) fn reset() -> Reply {
        reply("").shape(Shape::Reset)
    }

    /// A closed connection instead of an answer.
    pub(crate) fn hang_up() -> Reply {
        reply("").shape(Shape::HangUp)
    }

    /// No answer, ever.
    pub(crate) fn silent() -> Reply {
        reply("").shape(Shape::Silent)
    }

    pub(crate) fn status(mut self, status: u16) -> Reply {
        self.status = status;
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Reply {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// With this `Cache-Control`.
    pub(crate) fn control(self, value: &str) -> Reply {
        self.header("Cache-Control", value)
    }

    /// With this `ETag`, as it is to be sent, quotes and all.
    pub(crate) fn etag(self, value: &str) -> Reply {
        self.header("ETag", value)
    }

    /// With these fields.
    pub(crate) fn headers(self, fields: &[(&str, &str)]) -> Reply {
        fields
            .iter()
            .fold(self, |reply, (name, value)| reply.header(name, *value))
    }

    /// Sent in chunks.
    pub(crate) fn chunked(self) -> Reply {
        self.shape(Shape::Chunked)
    }

    /// Without a length: the close is the end.
    pub(crate) fn until_close(self) -> Reply {
        self.shape(Shape::UntilClose)
    }

    /// The length promises more than comes.
    pub(crate) fn cut(self) -> Reply {
        self.shape(Shape::CutSized)
    }

    /// The chunks stop without the last one.
    pub(crate) fn cut_chunked(self) -> Reply {
        self.shape(Shape::CutChunked)
    }

    fn shape(mut self, shape: Shape) -> Reply {
        self.shape = shape;
        self
    }

    /// The head, with the framing that goes with the shape unless the fields name one.
    pub(crate) fn head(&self) -> String {
        let bodiless = matches!(self.status, 204 | 304) || self.status < 200;
        let framed = Fields(self.fields.clone());
        let framed = ["content-length", "transfer-encoding"]
            .iter()
            .any(|name| framed.get(name).is_some());
        let framing = match self.shape {
            _ if bodiless || framed => String::new(),
            Shape::Sized => format!("Content-Length: {}\r\n", self.body.len()),
            Shape::CutSized => format!("Content-Length: {}\r\n", self.body.len() + 10),
            Shape::Chunked | Shape::CutChunked => "Transfer-Encoding: chunked\r\n".into(),
            Shape::UntilClose | Shape::Verbatim | Shape::Reset | Shape::HangUp | Shape::Silent => {
                "Connection: close\r\n".into()
            }
        };
        let fields: String = self
            .fields
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        format!("HTTP/1.1 {} Scripted\r\n{fields}{framing}\r\n", self.status)
    }

    /// Puts the answer on the wire; `Ok(None)` where the connection is over with it.
    pub(crate) async fn write(
        &self,
        mut wire: Wire,
        answers_head: bool,
    ) -> io::Result<Option<Wire>> {
        match self.shape {
            Shape::Reset => {
                wire.reset();
                return Ok(None);
            }
            Shape::HangUp => return Ok(None),
            Shape::Silent => {
                wire.drain().await;
                return Ok(None);
            }
            Shape::Verbatim => {
                wire.write(&self.body).await?;
                wire.finish().await?;
                // Closing with unread input would be a reset, which may overtake what was written.
                wire.drain().await;
                return Ok(None);
            }
            Shape::Sized
            | Shape::Chunked
            | Shape::UntilClose
            | Shape::CutSized
            | Shape::CutChunked => {}
        }
        let mut bytes = self.head().into_bytes();
        if !answers_head {
            self.write_content(&mut bytes);
        }
        wire.write(&bytes).await?;
        match self.shape {
            Shape::Sized | Shape::Chunked => Ok(Some(wire)),
            _ if answers_head => Ok(Some(wire)),
            Shape::UntilClose
            | Shape::CutSized
            | Shape::CutChunked
            | Shape::Verbatim
            | Shape::Reset
            | Shape::HangUp
            | Shape::Silent => Ok(None),
        }
    }

    fn write_content(&self, bytes: &mut Vec<u8>) {
        let chunks = matches!(self.shape, Shape::Chunked | Shape::CutChunked);
        if !chunks {
            bytes.extend_from_slice(&self.body);
            return;
        }
        if !self.body.is_empty() {
            bytes.extend_from_slice(&chunk(&self.body));
        }
        if self.shape == Shape::Chunked {
            bytes.extend_from_slice(b"0\r\n\r\n");
        }
    }
}

/// One chunk, as it goes on the wire.
pub(crate) fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}
