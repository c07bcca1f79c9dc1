//! What a connection's stream and the requests on it know of each other: whose turn it is, and what each byte belongs to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use memchr::memchr_iter;
use tokio::time::{Instant, sleep_until};

/// What the stream and the requests on it know of each other.
#[derive(Clone, Debug, Default)]
pub(in crate::proxy) struct Line(Arc<Mutex<State>>);

#[derive(Debug)]
pub(super) struct State {
    /// Requests not yet answered to the end.
    pub(super) busy: usize,
    /// Those of them that wait for the app, not for the client.
    pub(super) for_app: usize,
    pub(super) phase: Phase,
    /// When the client was last served or heard of.
    pub(super) since: Instant,
    /// Whether it is known of every byte that came what it belongs to.
    pub(super) is_exact: bool,
    /// Whether the stream is wanted back once the request under way has been answered.
    pub(super) wanted_back: bool,
    /// Whether the client has not taken all that it is to have.
    pub(super) is_unsent: bool,
    /// Whether a request has come before: over HTTP/1, unless the phase says otherwise.
    pub(super) is_answered: bool,
}

/// What the next bytes from the client are.
#[derive(Debug)]
pub(super) enum Phase {
    /// The next head; these of its bytes are here.
    Head(Vec<u8>),
    /// The body of the request under way: so many bytes are missing of it. `None`: chunks say where it ends.
    Body(Option<u64>),
    /// HTTP/2 frames.
    Http2,
    /// An upgraded protocol.
    Tunnel,
}

impl Default for State {
    fn default() -> State {
        State {
            busy: 0,
            for_app: 0,
            phase: Phase::Head(Vec::new()),
            since: Instant::now(),
            is_exact: true,
            wanted_back: false,
            is_unsent: false,
            is_answered: false,
        }
    }
}

impl State {
    /// Drops the first head of those that are here. Returns whether it had a `Content-Length` line, if that is `asked`.
    fn drop_head(&mut self, asked: bool) -> bool {
        let Phase::Head(bytes) = &mut self.phase else {
            return false;
        };
        let end = first_head(bytes).unwrap_or_else(|| {
            self.is_exact = false; // somewhere else
            bytes.len()
        });
        let had_length = asked && has_content_length(bytes.get(..end).unwrap_or_default());
        bytes.drain(..end); // what follows belongs to the next
        had_length
    }

    /// So many bytes follow as a body; what is here of them is dropped.
    fn expect_body(&mut self, len: Option<u64>) {
        let Phase::Head(here) = &mut self.phase else {
            return;
        };
        let here = std::mem::take(here);
        self.phase = Phase::Body(len);
        self.pass_body(&here);
    }

    /// Notes bytes that came while a body is expected; those after it begin the next head.
    pub(super) fn pass_body(&mut self, bytes: &[u8]) {
        let Phase::Body(Some(missing)) = &mut self.phase else {
            return;
        };
        let len = bytes.len() as u64;
        if len < *missing {
            *missing -= len;
            return;
        }
        let next = usize::try_from(*missing).map_or(&[][..], |it| bytes.get(it..).unwrap_or(&[]));
        self.phase = Phase::Head(next.to_vec());
        self.since = Instant::now();
    }

    /// The body is over that is under way, if one is: chunks, which nobody has counted here, or one that did not come whole.
    fn end_body(&mut self) {
        if let Phase::Body(_) = self.phase {
            self.phase = Phase::Head(Vec::new());
            self.is_exact = false;
        }
    }
}

/// The body of a request, as its head announces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Announced {
    /// There is none.
    None,
    /// So many bytes.
    Exactly(u64),
    /// As many as come.
    Chunks,
}

/// As long as it or a clone lives, its request is under way.
#[derive(Clone, Debug)]
pub(in crate::proxy) struct Busy(Arc<Guard>);

#[derive(Debug)]
struct Guard {
    line: Line,
    /// Whether the request waits for the app, rather than for its client.
    for_app: Mutex<bool>,
}

impl Line {
    /// Whether a request has come.
    pub(in crate::proxy) fn has_begun(&self) -> bool {
        self.lock().is_answered
    }

    /// A head is complete: its request begins, with this body. Returns whether the head had a `Content-Length` line, which is looked
    /// for only if it has a `Transfer-Encoding`: only then is there anything to say against it.
    pub(in crate::proxy) fn begin(&self, body: Announced, is_coded: bool) -> (Busy, bool) {
        let mut state = self.lock();
        state.busy += 1;
        state.for_app += 1;
        state.is_answered = true;
        state.wanted_back = false;
        let had_length = state.drop_head(is_coded);
        match body {
            Announced::None => {}
            Announced::Exactly(len) => state.expect_body(Some(len)),
            Announced::Chunks => state.expect_body(None),
        }
        drop(state);
        let guard = Guard {
            line: self.clone(),
            for_app: Mutex::new(true),
        };
        (Busy(Arc::new(guard)), had_length)
    }

    /// A request has been answered of which only a head came, without having begun here; so many bytes behind it are left of those
    /// that came.
    pub(in crate::proxy) fn answered(&self, left: usize) {
        let mut state = self.lock();
        if let Phase::Head(bytes) = &mut state.phase {
            match bytes.len().checked_sub(left) {
                Some(answered) => drop(bytes.drain(..answered)),
                None => state.is_exact = false, // more came than is remembered
            }
        }
        state.is_answered = true;
        state.since = Instant::now();
    }

    /// The stream is wanted back once the request under way, which has no body, has been answered.
    pub(in crate::proxy) fn want_back(&self) {
        self.lock().wanted_back = true;
    }

    /// Whether the stream is wanted back, and whoever has it has done with it: to be asked when it has nothing left to do.
    pub(in crate::proxy) fn comes_back(&self) -> bool {
        let state = self.lock();
        let is_between = matches!(&state.phase, Phase::Head(next) if next.is_empty());
        state.wanted_back && state.is_exact && is_between && !state.is_unsent && state.busy == 0
    }

    /// Comes back when an HTTP/2 client has kept us waiting for `idle`: no request under way, or none that it takes
    /// anything of. Over HTTP/1 the stream itself keeps watch, as there a write that waits is the client's doing.
    pub(in crate::proxy) async fn gone_quiet(&self, idle: Duration) {
        let mut check = Instant::now() + idle;
        loop {
            sleep_until(check).await;
            let state = self.lock();
            let quiet = matches!(state.phase, Phase::Http2) && state.for_app == 0;
            let now = Instant::now();
            if quiet && state.since + idle <= now {
                return;
            }
            check = if quiet {
                state.since + idle
            } else {
                now + idle
            };
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Busy {
    /// The request's body has been read: the next head follows.
    pub(in crate::proxy) fn request_read(&self) {
        let mut state = self.0.line.lock();
        if let Phase::Body(_) = state.phase {
            state.end_body();
            state.since = Instant::now();
        }
    }

    /// The connection changes protocols.
    pub(in crate::proxy) fn upgraded(&self) {
        self.0.line.lock().phase = Phase::Tunnel;
    }

    /// Whose turn it is: the app's, or the client's to take what there is.
    pub(in crate::proxy) fn wait_for(&self, app: bool) {
        self.0.wait_for(app);
    }
}

impl Guard {
    fn wait_for(&self, app: bool) {
        let mut for_app = self.for_app.lock().unwrap_or_else(PoisonError::into_inner);
        if *for_app != app {
            *for_app = app;
            let mut state = self.line.lock();
            state.for_app = if app {
                state.for_app + 1
            } else {
                state.for_app - 1
            };
            state.since = Instant::now();
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let for_app = *self
            .for_app
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let mut state = self.line.lock();
        if for_app {
            state.for_app -= 1;
        }
        state.busy -= 1;
        state.since = Instant::now();
        if state.busy == 0 {
            state.end_body(); // what the app did not want of it, hyper has dealt with
        }
    }
}

/// Where the first head in these bytes ends, its blank line and those before it included; `None`: it does not.
pub(in crate::proxy) fn first_head(bytes: &[u8]) -> Option<usize> {
    let mut begins = 0; // of the line
    let mut begun = false;
    for end in memchr_iter(b'\n', bytes) {
        let line = bytes.get(begins..end).unwrap_or_default();
        let blank = line.trim_ascii_end().is_empty();
        begins = end + 1;
        if blank && begun {
            return Some(begins);
        }
        begun |= !blank;
    }
    None
}

/// Whether a head has a `Content-Length` field.
fn has_content_length(head: &[u8]) -> bool {
    head.split(|&byte| byte == b'\n').any(|line| {
        let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
        name.eq_ignore_ascii_case(b"content-length")
    })
}
