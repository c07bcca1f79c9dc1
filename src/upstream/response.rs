//! The response's body on its way from the app, pulled chunk by chunk: who pulls slowly is sent slowly, because
//! nothing is read ahead but the first piece, where it is there with the head.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::unfold;
use http::{HeaderMap, HeaderName, header};
use pingora::protocols::http::client::HttpSession;

use super::connector::{IDLE, Lease};
use super::error::UpstreamError;
use super::queue::Turn;
use super::upload::Upload;
use crate::body::{Body, Chunk, Cut, Surplus};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// A response whose head has arrived. Dropped before its end, it closes its connection.
pub(super) struct Incoming {
    /// The connection it comes over.
    pub(super) lease: Lease,
    /// What is still being sent.
    pub(super) upload: Upload,
    /// The longest wait for the next bytes.
    pub(super) limit: Duration,
    /// How long the connection may be kept afterwards; `None` if it serves nothing else.
    pub(super) idle: Option<Duration>,
    /// Whether the end of the response is not that of its connection: only then is it known if more comes than was declared.
    pub(super) says_its_end: bool,
}

/// A piece of a body and whether it is known to be the last; `None` at the whole end.
type Piece = Result<Option<(Chunk, bool)>, UpstreamError>;

/// A response that comes as it is pulled.
struct Pulled {
    incoming: Incoming,
    /// A piece that was there with the head.
    first: Option<Piece>,
    /// Told if more comes than was declared.
    surplus: Option<Surplus>,
    /// The right to this exchange, held while there is more to come.
    _turn: Option<Turn>,
}

impl Incoming {
    /// The body, and who is told if more comes than it declares: `length` is what the head declared. It takes the turn, unless it
    /// has ended already: a short one has often come with its head.
    pub(super) fn into_body(
        mut self,
        length: Option<u64>,
        turn: &mut Option<Turn>,
    ) -> Result<(Body, Option<Surplus>), UpstreamError> {
        if self.has_ended()? {
            return Ok((Body::empty(), self.finish().then(Surplus::noted)));
        }
        let first = match self.at_hand(length) {
            Some(Ok(Some((Chunk::Data(whole), true)))) => {
                return Ok((whole.into(), self.finish().then(Surplus::noted)));
            }
            first => first,
        };
        self.upload.detach();
        let surplus = self.says_its_end.then(Surplus::default);
        let pulled = Pulled {
            incoming: self,
            first,
            surplus: surplus.clone(),
            _turn: turn.take(),
        };
        let chunks = unfold(Some(pulled), |state| async move {
            match state {
                Some(pulled) => pulled.next().await,
                None => None,
            }
        });
        Ok((Body::chunks(chunks, length), surplus))
    }

    /// The first piece of an HTTP/1 body with a length, if it is there already. Reading may be broken off: Pingora keeps what came.
    fn at_hand(&mut self, length: Option<u64>) -> Option<Piece> {
        let is_http1 = matches!(self.lease.session(), HttpSession::H1(_));
        if !is_http1 || length.is_none() || self.upload.is_running() {
            return None;
        }
        self.piece().now_or_never()
    }

    async fn piece(&mut self) -> Piece {
        loop {
            let read = self.lease.session().read_response_body();
            match self.upload.alongside(self.limit, read).await? {
                Some(data) if !data.is_empty() => {
                    let last = self.has_ended()?;
                    return Ok(Some((Chunk::Data(data), last)));
                }
                // Only framing came.
                Some(_) => {}
                None => {
                    let HttpSession::H2(session) = self.lease.session() else {
                        return Ok(None);
                    };
                    let trailers = session.read_trailers();
                    let trailers = self.upload.alongside(self.limit, trailers).await?;
                    return Ok(trailers.map(|fields| (Chunk::Trailers(fields), true)));
                }
            }
        }
    }

    /// Whether the end has been seen, so that nobody needs to wait for it.
    fn has_ended(&mut self) -> Result<bool, UpstreamError> {
        match self.lease.session() {
            // In HTTP/2 a stream that broke looks as if it had ended, until one asks.
            HttpSession::H2(session) => Ok(session.check_response_end_or_error()?),
            session @ (HttpSession::H1(_) | HttpSession::Custom(())) => Ok(session.response_done()),
        }
    }

    /// The response is whole. Its connection is used again if the request is whole too: an app that has answered
    /// early is not made to read the rest. Says whether more came than was declared.
    fn finish(mut self) -> bool {
        let goes_on = self.lease.goes_on();
        if let Some(idle) = self.idle
            && self.upload.is_whole()
        {
            self.lease.give_back(idle);
        }
        // Pingora tells it by this alone: it would keep the connection if nothing had come.
        self.says_its_end && !goes_on
    }
}

impl Pulled {
    /// The next piece, and the response itself if there may be more.
    async fn next(mut self) -> Option<(Result<Chunk, Cut>, Option<Pulled>)> {
        let piece = match self.first.take() {
            Some(first) => first,
            None => self.incoming.piece().await,
        };
        match piece {
            Err(error) => Some((Err(error.into()), None)),
            Ok(Some((chunk, true))) => {
                self.finish();
                Some((Ok(chunk), None))
            }
            Ok(Some((chunk, false))) => Some((Ok(chunk), Some(self))),
            Ok(None) => {
                self.finish();
                None
            }
        }
    }

    fn finish(self) {
        let came = self.incoming.finish();
        if let Some(surplus) = self.surplus.filter(|_| came) {
            surplus.note();
        }
    }
}

/// How long the app keeps an idle connection, less a second in which our next request could cross its closing.
pub(super) fn idle_time(headers: &HeaderMap) -> Duration {
    headers
        .get(KEEP_ALIVE)
        .and_then(|value| value.to_str().ok())
        .into_iter()
        .flat_map(|value| value.split(','))
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("timeout"))
        .and_then(|(_, seconds)| seconds.trim().parse().ok())
        .map_or(IDLE, |seconds: u64| {
            Duration::from_secs(seconds.saturating_sub(1)).min(IDLE)
        })
}

/// The declared length, one number however often it was said: the engine has refused fields that disagree
/// (RFC 9110 §8.6).
pub(super) fn declared_length(headers: &mut HeaderMap) -> Option<u64> {
    let mut fields = headers.get_all(header::CONTENT_LENGTH).iter();
    let (field, is_one) = (fields.next()?.to_str().ok()?, fields.next().is_none());
    if is_one && field.bytes().all(|byte| byte.is_ascii_digit()) {
        return field.parse().ok();
    }
    let length: u64 = field.split(',').next()?.trim().parse().ok()?;
    headers.insert(header::CONTENT_LENGTH, length.into());
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_that_closes_early_is_believed() {
        for (field, expected) in [
            (None, IDLE),
            (Some("timeout=5, max=100"), Duration::from_secs(4)),
            (Some("max=100, Timeout = 5"), Duration::from_secs(4)),
            (Some("timeout=1"), Duration::ZERO),
            (Some("timeout=0"), Duration::ZERO),
            (Some("timeout=99999"), IDLE),
            (Some("timeout=soon"), IDLE),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(field) = field {
                headers.insert("keep-alive", field.parse().unwrap());
            }
            assert_eq!(idle_time(&headers), expected, "{field:?}");
        }
    }

    #[test]
    fn a_length_said_twice_is_one_length() {
        let mut headers = HeaderMap::new();
        headers.append(header::CONTENT_LENGTH, "5, 5".parse().unwrap());
        headers.append(header::CONTENT_LENGTH, "5".parse().unwrap());
        assert_eq!(declared_length(&mut headers), Some(5));
        let fields: Vec<_> = headers.get_all(header::CONTENT_LENGTH).iter().collect();
        assert_eq!(fields, ["5"]);
    }
}
