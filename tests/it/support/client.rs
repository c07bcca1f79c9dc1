//! A client that sends exactly what it is told and sees exactly what comes back, over TCP, TLS or a unix socket.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;

use http_body::Body;
use hyper::body::Incoming;
use tokio::net::TcpStream;
use tokio::net::UnixStream;

use super::answer::Answer;
use super::certificate::Trust;
use super::soon;
use super::wire::End;
use super::wire::Fields;
use super::wire::Framing;
use super::wire::Reading;
use super::wire::Wire;

/// Whom to call. Each call has a connection of its own, except on a [`Connection`].
#[derive(Clone, Debug)]
pub(crate) struct Client {
    to: Address,
    /// What its requests name as `Host` unless a field says otherwise.
    host: &'static str,
}

#[derive(Clone, Debug)]
enum Address {
    Tcp(SocketAddr),
    Tls(SocketAddr, Trust),
    Unix(PathBuf),
}

/// The app's name.
const HOST: &str = "shop.example";

/// A request to be sent. `Host` is `shop.example` unless a field, or the client, says otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    method: String,
    target: String,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A kept-alive connection.
pub(crate) struct Connection {
    pub(crate) wire: Wire,
}

/// A request that has been sent whole; its answer has not been read.
pub(crate) struct Pending {
    what: String,
    answers_head: bool,
    pub(crate) connection: Connection,
}

/// An answer whose head has come and whose body is read piece by piece.
pub(crate) struct Open {
    /// The head; its body stays empty until [`Open::rest`].
    pub(crate) answer: Answer,
    reading: Reading,
    pub(crate) connection: Connection,
}

pub(crate) fn ask(method: &str, target: &str) -> Ask {
    Ask {
        method: method.into(),
        target: target.into(),
        fields: Vec::new(),
        body: Vec::new(),
    }
}

pub(crate) fn get(target: &str) -> Ask {
    ask("GET", target)
}

pub(crate) fn post(target: &str) -> Ask {
    ask("POST", target).with("Content-Length", "0")
}

impl Ask {
    pub(crate) fn with(mut self, name: &str, value: &str) -> Ask {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// A body, with its `Content-Length`.
    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Ask {
        self.body = body.into();
        self.fields
            .retain(|(name, _)| !name.eq_ignore_ascii_case("content-length"));
        let length = self.body.len().to_string();
        self.with("Content-Length", &length)
    }

    fn names_host(&self) -> bool {
        Fields(self.fields.clone()).get("host").is_some()
    }

    fn bytes(&self) -> Vec<u8> {
        let host = match self.names_host() {
            true => String::new(),
            false => format!("Host: {HOST}\r\n"),
        };
        let fields: String = self
            .fields
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let head = format!(
            "{} {} HTTP/1.1\r\n{host}{fields}\r\n",
            self.method, self.target
        );
        [head.into_bytes(), self.body.clone()].concat()
    }
}

impl Client {
    pub(crate) fn tcp(address: SocketAddr) -> Client {
        Client {
            to: Address::Tcp(address),
            host: HOST,
        }
    }

    pub(crate) fn tls(address: SocketAddr, trust: Trust) -> Client {
        Client {
            to: Address::Tls(address, trust),
            host: HOST,
        }
    }

    pub(crate) fn unix(path: impl Into<PathBuf>) -> Client {
        Client {
            to: Address::Unix(path.into()),
            host: HOST,
        }
    }

    /// The same, which names another `Host`.
    pub(crate) fn at(self, host: &'static str) -> Client {
        Client { host, ..self }
    }

    pub(crate) async fn connect(&self) -> Connection {
        let connection = soon("a connection", self.try_connect()).await;
        connection.expect("the other side listens")
    }

    /// A connection, or the refusal of one.
    pub(crate) async fn try_connect(&self) -> std::io::Result<Connection> {
        let wire = match &self.to {
            Address::Tcp(address) => {
                let socket = TcpStream::connect(address).await?;
                socket.set_nodelay(true)?;
                Wire::new(socket)
            }
            Address::Tls(address, trust) => Wire::new(trust.connect(*address).await?),
            Address::Unix(path) => Wire::new(UnixStream::connect(path).await?),
        };
        Ok(Connection { wire })
    }

    /// Sends a request whole and comes back before its answer.
    pub(crate) async fn begin(&self, ask: Ask) -> Pending {
        let ask = match ask.names_host() {
            true => ask,
            false => ask.with("Host", self.host),
        };
        self.connect().await.begin(ask).await
    }

    /// As many requests at once, all of them sent, none of them read.
    pub(crate) async fn begin_many(&self, count: usize, ask: &Ask) -> Vec<Pending> {
        let mut pending = Vec::new();
        for _ in 0..count {
            pending.push(self.begin(ask.clone()).await);
        }
        pending
    }

    pub(crate) async fn ask(&self, ask: Ask) -> Answer {
        self.begin(ask).await.answer().await
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.ask(get(target)).await
    }

    pub(crate) async fn get_with(&self, target: &str, name: &str, value: &str) -> Answer {
        self.ask(get(target).with(name, value)).await
    }

    pub(crate) async fn head(&self, target: &str) -> Answer {
        self.ask(ask("HEAD", target)).await
    }

    pub(crate) async fn post(&self, target: &str) -> Answer {
        self.ask(post(target)).await
    }
}

impl Connection {
    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let written = soon("room for the request", self.wire.write(bytes.as_ref())).await;
        written.expect("the other side still reads");
    }

    pub(crate) async fn begin(mut self, ask: Ask) -> Pending {
        self.write(ask.bytes()).await;
        Pending {
            what: format!("an answer to {} {}", ask.method, ask.target),
            answers_head: ask.method == "HEAD",
            connection: self,
        }
    }

    pub(crate) async fn ask(&mut self, ask: Ask) -> Answer {
        self.write(ask.bytes()).await;
        self.read(ask.method == "HEAD", "an answer").await
    }

    pub(crate) async fn get(&mut self, target: &str) -> Answer {
        self.ask(get(target)).await
    }

    /// The next answer, read as one to a GET.
    pub(crate) async fn answer(&mut self) -> Answer {
        self.read(false, "an answer").await
    }

    /// Waits until the other side closes; gives what it said before that.
    pub(crate) async fn closed(&mut self) -> Vec<u8> {
        soon("the other side to close the connection", self.wire.drain()).await
    }

    async fn read(&mut self, answers_head: bool, what: &str) -> Answer {
        let (mut answer, mut reading) = soon(what, self.read_head(answers_head)).await;
        answer.body = soon(what, reading.rest(&mut self.wire)).await;
        finish(answer, reading)
    }

    async fn read_head(&mut self, answers_head: bool) -> (Answer, Reading) {
        loop {
            let head = match self.wire.head().await {
                Ok(Some(head)) => head,
                Ok(None) => panic!("the connection was closed without an answer"),
                Err(error) => panic!("the connection broke before an answer: {error}"),
            };
            let status = head.word(1).parse().unwrap_or(0);
            if (100..200).contains(&status) && status != 101 {
                continue;
            }
            let bodiless = answers_head || status == 101 || status == 204 || status == 304;
            let framing = if bodiless {
                Framing::Length(0)
            } else {
                head.fields.framing(Framing::UntilClose)
            };
            let answer = Answer {
                status,
                first: head.first,
                fields: head.fields,
                body: Vec::new(),
                end: End::Whole,
                trailers: Fields::default(),
            };
            return (answer, Reading::new(framing));
        }
    }
}

impl Pending {
    /// The whole answer.
    pub(crate) async fn answer(mut self) -> Answer {
        self.connection.read(self.answers_head, &self.what).await
    }

    /// The answer's head.
    pub(crate) async fn head(mut self) -> Open {
        let (answer, reading) =
            soon(&self.what, self.connection.read_head(self.answers_head)).await;
        Open {
            answer,
            reading,
            connection: self.connection,
        }
    }

    /// Closes the connection before the answer.
    pub(crate) fn leave(self) {
        drop(self.connection);
    }
}

impl Open {
    /// The next bytes of the body; `None` at its end.
    pub(crate) async fn some(&mut self) -> Option<Vec<u8>> {
        let next = self.reading.next(&mut self.connection.wire);
        soon("more of the body", next).await
    }

    /// The whole answer, with the part of the body that had not been read.
    pub(crate) async fn rest(mut self) -> Answer {
        let rest = self.reading.rest(&mut self.connection.wire);
        self.answer.body = soon("the rest of the body", rest).await;
        finish(self.answer, self.reading)
    }

    /// Closes the connection where it is.
    pub(crate) fn leave(self) {
        drop(self.connection);
    }
}

fn finish(mut answer: Answer, reading: Reading) -> Answer {
    answer.end = reading.end.unwrap_or(End::Whole);
    answer.trailers = reading.trailers;
    answer
}

/// All that a body of hyper's client holds; over HTTP/2 that is the client there is.
pub(crate) async fn content(mut body: Incoming) -> Vec<u8> {
    let mut content = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let data = frame.expect("the body does not break").into_data();
        content.extend_from_slice(&data.unwrap_or_default());
    }
    content
}
