//! The way between a sidecar and its Redis, to be cut, stalled, slowed and lied on by the test. It passes on whole messages,
//! so it must understand them: no TLS.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio::net::tcp::ReadHalf;
use tokio::net::tcp::WriteHalf;
use tokio::sync::Mutex;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::task::JoinSet;

use crate::support::soon;

use super::port::Port;
use super::port::address;
use super::resp::Messages;
use super::resp::Reply;

/// A port before that of a server. What a method says holds when it comes back, for each byte that has not yet left.
pub(crate) struct Cut {
    port: Port,
    to: u16,
    modes: watch::Sender<Mode>,
    /// `None` while it is cut.
    accepting: Mutex<Option<Accepting>>,
}

/// What happens to messages.
#[derive(Clone, Debug, PartialEq)]
enum Mode {
    Open,
    /// Each message waits for so long.
    Slow(Duration),
    /// Nothing passes.
    Stalled,
    /// Requests pass.
    RepliesHeld,
    /// No request passes; this error, as it goes on the wire, answers each.
    Answers(Bytes),
}

struct Accepting {
    stop: oneshot::Sender<()>,
    stopped: JoinHandle<()>,
}

/// Which way a message goes.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Request,
    Reply,
}

impl Mode {
    fn holds(&self, way: Way) -> bool {
        match self {
            Mode::Open | Mode::Slow(_) | Mode::Answers(_) => false,
            Mode::Stalled => true,
            Mode::RepliesHeld => way == Way::Reply,
        }
    }

    /// The answer in place of the server's.
    fn answer(&self, way: Way) -> Option<&Bytes> {
        match self {
            Mode::Answers(answer) if way == Way::Request => Some(answer),
            Mode::Answers(_) | Mode::Open | Mode::Slow(_) | Mode::Stalled | Mode::RepliesHeld => {
                None
            }
        }
    }
}

impl Cut {
    /// Before the server on this port; all passes.
    pub(crate) async fn before(port: u16) -> Cut {
        let cut = Cut {
            port: Port::hold(),
            to: port,
            modes: watch::Sender::new(Mode::Open),
            accepting: Mutex::new(None),
        };
        cut.heal().await;
        cut
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port.number)
    }

    /// Closes all connections and refuses new ones. What was held is lost.
    pub(crate) async fn cut(&self) {
        if let Some(Accepting { stop, stopped }) = self.accepting.lock().await.take() {
            stop.send(()).expect("it accepts until it is told");
            let ended = soon("all connections to be closed", stopped).await;
            ended.expect("it ends by itself");
        }
    }

    /// Accepts connections and keeps those there are, but nothing passes, not even that one end has closed; what comes waits.
    pub(crate) fn stall(&self) {
        self.modes.send_replace(Mode::Stalled);
    }

    /// Requests pass and are done; their replies wait. Cut then, they are lost.
    pub(crate) fn hold_replies(&self) {
        self.modes.send_replace(Mode::RepliesHeld);
    }

    /// Each message, request or reply, waits for so long before it passes.
    pub(crate) fn slow(&self, delay: Duration) {
        self.modes.send_replace(Mode::Slow(delay));
    }

    /// Each request is answered with this error, such as `-OOM command not allowed`, and does not pass; with `None`, requests
    /// pass again. Those that have passed are answered by the server, and first.
    pub(crate) fn answer_errors(&self, error: Option<&str>) {
        let mode = error.map_or(Mode::Open, |error| {
            assert!(error.starts_with('-'), "`{error}` is no error");
            Mode::Answers(format!("{error}\r\n").into())
        });
        self.modes.send_replace(mode);
    }

    /// All passes again, what waits first.
    pub(crate) async fn heal(&self) {
        self.modes.send_replace(Mode::Open);
        let mut accepting = self.accepting.lock().await;
        if accepting.is_none() {
            let socket = TcpSocket::new_v4().expect("room for a socket");
            socket.set_reuseaddr(true).expect("a new socket takes it");
            socket.bind(self.port.address()).expect("the port is held");
            let listener = socket.listen(1024).expect("the port is held");
            let (stop, told) = oneshot::channel();
            let stopped = tokio::spawn(accept(listener, self.to, self.modes.subscribe(), told));
            *accepting = Some(Accepting { stop, stopped });
        }
    }
}

/// Accepts until told to stop; then nothing is left.
async fn accept(
    listener: TcpListener,
    to: u16,
    modes: watch::Receiver<Mode>,
    mut told: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut told => break,
            Some(ended) = connections.join_next() => {
                let ended: io::Result<()> = ended.expect("no connection panics");
                match ended {
                    // Else it looks as if the network had failed.
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                        println!("a connection to Redis is closed: {error}");
                    }
                    Ok(()) | Err(_) => {}
                }
            }
            Ok((client, _)) = listener.accept() => {
                connections.spawn(connect(client, to, modes.clone()));
            }
        }
    }
    drop(listener);
    connections.shutdown().await;
}

/// One connection, from its beginning to its end. Where one end closes or fails, the other is closed.
async fn connect(mut client: TcpStream, to: u16, modes: watch::Receiver<Mode>) -> io::Result<()> {
    let mut began = modes.clone();
    let open = |mode: &Mode| !mode.holds(Way::Request);
    began.wait_for(open).await.map_err(io::Error::other)?;
    let mut server = TcpStream::connect(address(to)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let line = Line {
        to_client,
        to_server,
        modes,
        asked: watch::Sender::new(0),
    };
    tokio::select! {
        ended = line.requests(from_client) => ended,
        ended = line.replies(from_server) => ended,
    }
}

/// A connection of a client and ours to the server.
struct Line<'a> {
    to_client: WriteHalf<'a>,
    to_server: WriteHalf<'a>,
    modes: watch::Receiver<Mode>,
    /// Requests that have passed and are not answered.
    asked: watch::Sender<usize>,
}

impl Line<'_> {
    async fn requests(&self, from: ReadHalf<'_>) -> io::Result<()> {
        let mut messages = Messages::new(from);
        loop {
            let next = messages.next().await?;
            self.turn(Way::Request).await?;
            let Some((_, request)) = next else {
                return Ok(());
            };
            self.request(&request).await?;
        }
    }

    /// Passes one on, or answers it.
    async fn request(&self, request: &[u8]) -> io::Result<()> {
        loop {
            let answer = self.modes.borrow().answer(Way::Request).cloned();
            let Some(answer) = answer else {
                self.asked.send_modify(|asked| *asked += 1);
                if self.pass(request, Way::Request).await? {
                    return Ok(());
                }
                self.asked.send_modify(|asked| *asked -= 1);
                continue;
            };
            let (mut asked, mut modes) = (self.asked.subscribe(), self.modes.clone());
            let otherwise = |mode: &Mode| mode.answer(Way::Request) != Some(&answer);
            let earlier = async { asked.wait_for(|asked| *asked == 0).await.map(drop) };
            let changed = async { modes.wait_for(otherwise).await.map(drop) };
            let is_answered = tokio::select! {
                none = earlier => none.map(|()| true),
                changed = changed => changed.map(|()| false),
            };
            if is_answered.map_err(io::Error::other)? {
                self.pass(&answer, Way::Reply).await?;
                return Ok(());
            }
        }
    }

    async fn replies(&self, from: ReadHalf<'_>) -> io::Result<()> {
        let mut messages = Messages::new(from);
        loop {
            let next = messages.next().await?;
            self.turn(Way::Reply).await?;
            let Some((reply, bytes)) = next else {
                return Ok(());
            };
            self.pass(&bytes, Way::Reply).await?;
            if !matches!(reply, Reply::Push(_)) {
                // Who has subscribed gets more replies than it has asked for.
                self.asked
                    .send_modify(|asked| *asked = asked.saturating_sub(1));
            }
        }
    }

    /// Waits until a message that has come may go on.
    async fn turn(&self, way: Way) -> io::Result<()> {
        let mut modes = self.modes.clone();
        let slow = match *modes.borrow() {
            Mode::Slow(delay) => Some(delay),
            Mode::Open | Mode::Stalled | Mode::RepliesHeld | Mode::Answers(_) => None,
        };
        if let Some(delay) = slow {
            let otherwise = modes.wait_for(|mode| *mode != Mode::Slow(delay));
            // Told otherwise, it waits no longer.
            if let Ok(told) = tokio::time::timeout(delay, otherwise).await {
                told.map_err(io::Error::other)?;
            }
        }
        let open = modes.wait_for(|mode| !mode.holds(way)).await;
        open.map(drop).map_err(io::Error::other)
    }

    /// Writes it, as far as and while it may pass; `false` if it may not even begin to.
    async fn pass(&self, bytes: &[u8], way: Way) -> io::Result<bool> {
        let to = match way {
            Way::Request => &self.to_server,
            Way::Reply => &self.to_client,
        };
        let mut modes = self.modes.clone();
        let mut rest = bytes;
        while !rest.is_empty() {
            to.writable().await?;
            let open = modes.wait_for(|mode| !mode.holds(way)).await;
            // Held while it is written: who changes the mode waits for that, so nothing passes after the change.
            let mode = open.map_err(io::Error::other)?;
            if rest.len() == bytes.len() && mode.answer(way).is_some() {
                return Ok(false);
            }
            match to.try_write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
