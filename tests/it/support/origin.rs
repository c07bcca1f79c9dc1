//! The scripted app: it answers as told, counts, remembers what it was asked, and can be held at any call.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;

use tokio::net::TcpListener;
use tokio::net::UnixListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::reply::Reply;
use super::reply::chunk;
use super::reply::reply;
use super::soon;
use super::wire::Fields;
use super::wire::Framing;
use super::wire::Head;
use super::wire::Reading;
use super::wire::Socket;
use super::wire::Wire;

/// The app. Clones are the same app; it stops with the test's runtime.
#[derive(Clone)]
pub(crate) struct Origin {
    address: SocketAddr,
    script: Script,
}

/// One call the app has received.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    pub(crate) method: String,
    /// The request's target as it arrived, query and all.
    pub(crate) target: String,
    pub(crate) fields: Fields,
    /// The head, byte for byte.
    pub(crate) raw: String,
    pub(crate) body: Vec<u8>,
    /// Which call to this path it is, counted from one.
    pub(crate) n: usize,
    expects_continue: bool,
}

/// The promise of a call that will be held when it arrives.
pub(crate) struct Hold {
    path: String,
    arrival: oneshot::Receiver<Held>,
}

/// A call that has arrived and gets no answer before the test says so. Dropping it closes its connection.
pub(crate) struct Held {
    pub(crate) call: Call,
    pub(crate) wire: Wire,
    reading: Reading,
    script: Script,
}

/// An answer under way: its head is out, its body comes piece by piece.
pub(crate) struct Streaming {
    pub(crate) wire: Wire,
    chunked: bool,
    script: Script,
}

type Answering = Arc<dyn Fn(&Call) -> Reply + Send + Sync>;

#[derive(Clone, Default)]
struct Script(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    answers: HashMap<String, Answering>,
    otherwise: Option<Answering>,
    holds: HashMap<String, VecDeque<oneshot::Sender<Held>>>,
    calls: Vec<Call>,
    connections: usize,
    /// Who accepts connections, and who talks on them.
    tasks: Vec<JoinHandle<()>>,
}

impl Origin {
    /// An app on a free loopback port. What the script does not name is answered 404.
    pub(crate) async fn start() -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has one");
        let script = Script::default();
        let shared = script.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                socket.set_nodelay(true).expect("an open socket takes it");
                shared.welcome(socket);
            }
        });
        script.state().tasks.push(accepting);
        Origin { address, script }
    }

    /// From here on it refuses connections, and those it has are closed; held calls stay with the test.
    pub(crate) async fn close(&self) {
        let tasks = std::mem::take(&mut self.script.state().tasks);
        for task in tasks {
            task.abort();
            soon("a task of the app to end", task).await.ok(); // an error says that it was aborted
        }
    }

    /// The same app on a unix socket too.
    pub(crate) fn listen_at(&self, path: &Path) {
        let listener = UnixListener::bind(path).expect("a free path");
        let shared = self.script.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                shared.welcome(socket);
            }
        });
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What calls to `path` are answered from now on. A path with a query goes before one without.
    pub(crate) fn answer(&self, path: &str, reply: Reply) {
        self.on(path, move |_| reply.clone());
    }

    /// How calls to `path` are answered from now on.
    pub(crate) fn on(&self, path: &str, answer: impl Fn(&Call) -> Reply + Send + Sync + 'static) {
        let mut state = self.script.state();
        state.answers.insert(path.into(), Arc::new(answer));
    }

    /// How calls are answered that no path of the script names.
    pub(crate) fn otherwise(&self, answer: impl Fn(&Call) -> Reply + Send + Sync + 'static) {
        self.script.state().otherwise = Some(Arc::new(answer));
    }

    /// Holds the next call to `path`; said twice, the next two, in order.
    pub(crate) fn hold(&self, path: &str) -> Hold {
        let (held, arrival) = oneshot::channel();
        let mut state = self.script.state();
        state.holds.entry(path.into()).or_default().push_back(held);
        Hold {
            path: path.into(),
            arrival,
        }
    }

    /// How often `path` has been called (the `c` of the stories); with a query, that target alone.
    pub(crate) fn calls(&self, path: &str) -> usize {
        self.seen(path).len()
    }

    /// The calls to `path`, in order.
    pub(crate) fn seen(&self, path: &str) -> Vec<Call> {
        let state = self.script.state();
        let here = |call: &&Call| call.target == path || call.path() == path;
        state.calls.iter().filter(here).cloned().collect()
    }

    /// The last call to `path`.
    pub(crate) fn last(&self, path: &str) -> Call {
        self.seen(path).pop().expect("the path has been called")
    }

    /// How many connections have been made to it.
    pub(crate) fn connections(&self) -> usize {
        self.script.state().connections
    }
}

impl Script {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics while it holds it")
    }

    fn welcome(&self, socket: impl Socket + 'static) {
        let talking = tokio::spawn(self.clone().converse(Wire::new(socket)));
        let mut state = self.state();
        state.connections += 1;
        state.tasks.push(talking);
    }

    async fn converse(self, mut wire: Wire) {
        while let Ok(Some(head)) = wire.head().await {
            let call = Call::new(&head);
            let mut reading = Reading::new(call.fields.framing(Framing::Length(0)));
            let (mut call, hold) = self.arrive(call);
            if call.expects_continue && wire.write(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_err()
            {
                return;
            }
            if let Some(hold) = hold {
                let script = self.clone();
                let held = Held {
                    call,
                    wire,
                    reading,
                    script,
                };
                // A test that has dropped its hold wants the connection closed.
                drop(hold.send(held));
                return;
            }
            call.body = reading.rest(&mut wire).await;
            self.remember_body(&call);
            let answering = self.answering(&call);
            let reply = match &answering {
                Some(answering) => answering(&call),
                None => reply("not in the script").status(404),
            };
            match reply.write(wire, call.method == "HEAD").await {
                Ok(Some(open)) => wire = open,
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn arrive(&self, mut call: Call) -> (Call, Option<oneshot::Sender<Held>>) {
        let mut state = self.state();
        let before = state.calls.iter().filter(|o| o.path() == call.path());
        call.n = before.count() + 1;
        state.calls.push(call.clone());
        let hold = [call.target.as_str(), call.path()]
            .iter()
            .find_map(|path| state.holds.get_mut(*path)?.pop_front());
        (call, hold)
    }

    fn remember_body(&self, call: &Call) {
        let mut state = self.state();
        let here = |o: &&mut Call| o.n == call.n && o.path() == call.path();
        if let Some(remembered) = state.calls.iter_mut().find(here) {
            remembered.body.clone_from(&call.body);
        }
    }

    fn answering(&self, call: &Call) -> Option<Answering> {
        let state = self.state();
        let by_path = [call.target.as_str(), call.path()]
            .iter()
            .find_map(|path| state.answers.get(*path));
        by_path.or(state.otherwise.as_ref()).cloned()
    }
}

impl Call {
    fn new(head: &Head) -> Call {
        let expect = head.fields.get("expect").unwrap_or_default();
        Call {
            method: head.word(0).into(),
            target: head.word(1).into(),
            fields: head.fields.clone(),
            raw: head.raw.clone(),
            body: Vec::new(),
            n: 0,
            expects_continue: expect.eq_ignore_ascii_case("100-continue"),
        }
    }

    /// The target without its query.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The value of a query parameter; empty if it is not there.
    pub(crate) fn query(&self, name: &str) -> String {
        let query = self.target.split_once('?').unwrap_or_default().1;
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let value = pairs.find(|(other, _)| *other == name);
        value.unwrap_or_default().1.to_owned()
    }

    /// The value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        self.fields.get(name)
    }
}

impl Hold {
    /// Waits until the call has arrived.
    pub(crate) async fn arrived(self) -> Held {
        let what = format!("a call to {} at the app", self.path);
        let arrival = soon(what, self.arrival).await;
        arrival.expect("the app lives as long as the test")
    }
}

impl Held {
    /// Reads the request's body to its end.
    pub(crate) async fn body(&mut self) -> Vec<u8> {
        soon("the request's body", self.reading.rest(&mut self.wire)).await
    }

    /// The next bytes of the request's body.
    pub(crate) async fn some(&mut self) -> Option<Vec<u8>> {
        soon(
            "more of the request's body",
            self.reading.next(&mut self.wire),
        )
        .await
    }

    /// Answers, and lets the connection go on.
    pub(crate) async fn release(mut self, reply: Reply) {
        self.body().await;
        let open = soon(
            "room for the answer",
            reply.write(self.wire, self.call.method == "HEAD"),
        )
        .await
        .expect("the sidecar waits for the answer");
        if let Some(wire) = open {
            tokio::spawn(self.script.converse(wire));
        }
    }

    /// Answers with the head now and with the body as the test goes on; in chunks, unless `reply` has a `Content-Length`.
    pub(crate) async fn begin(mut self, reply: Reply) -> Streaming {
        self.body().await;
        let sized = Fields(reply.fields.clone()).get("content-length").is_some();
        let reply = if sized { reply } else { reply.chunked() };
        let mut streaming = Streaming {
            wire: self.wire,
            chunked: !sized,
            script: self.script,
        };
        let head = reply.head();
        let written = soon("room for the head", streaming.wire.write(head.as_bytes())).await;
        written.expect("the sidecar waits for the head");
        if !reply.body.is_empty() {
            streaming.send(&reply.body).await;
        }
        streaming
    }

    /// Answers `101 Switching Protocols` and hands out the bare connection.
    pub(crate) async fn switch(mut self, protocol: &str) -> Wire {
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n"
        );
        let written = soon("room for the head", self.wire.write(head.as_bytes())).await;
        written.expect("the sidecar waits for the head");
        self.wire
    }

    /// Waits until the sidecar has closed the connection.
    pub(crate) async fn closed(mut self) {
        soon("the sidecar to give the call up", self.wire.drain()).await;
    }
}

impl Streaming {
    /// Sends a piece; done when the socket has taken it.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let bytes = if self.chunked {
            chunk(bytes)
        } else {
            bytes.to_vec()
        };
        let written = soon("room for a piece", self.wire.write(&bytes)).await;
        written.expect("the sidecar still reads");
    }

    /// Ends the body whole, and lets the connection go on.
    pub(crate) async fn end(mut self) {
        if self.chunked {
            let written = soon("room for the end", self.wire.write(b"0\r\n\r\n")).await;
            written.expect("the sidecar still reads");
        }
        tokio::spawn(self.script.converse(self.wire));
    }

    /// Closes the connection where it is.
    pub(crate) fn cut(self) {
        drop(self.wire);
    }

    /// Waits until the sidecar has closed the connection.
    pub(crate) async fn closed(mut self) {
        soon("the sidecar to give the answer up", self.wire.drain()).await;
    }
}
