//! What is read of a request's body before it has its turn at the app, so that a client that sends slowly holds no turn
//! meanwhile.
//!
//! A body of declared length is waited for until it is whole or [`AHEAD`] bytes of it are here. One without is passed on as it
//! comes, since it may be made while it is sent, and the app may answer to its parts (gRPC): of that only what is here is
//! read. What is not whole then has its turn among those alone that are not, so that the others always find some. So many are
//! read ahead at once as have a place; who finds none is one of those whose requests are on their way. A body of which the key
//! holds something takes of the same places.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::body::Body;
use crate::body::Cut;
use crate::body::End;

/// More of a body is not waited for, in bytes.
const AHEAD: usize = 64 << 10;

/// Places for bodies that are read ahead, each of [`AHEAD`] bytes and the piece that exceeds them.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    /// All there are.
    all: u32,
}

/// What a body has of them, until it is dropped.
type Place = OwnedSemaphorePermit;

impl Places {
    /// In so many bytes; one at least.
    pub(super) fn new(bytes: usize) -> Places {
        let all = u32::try_from(bytes / AHEAD).unwrap_or(u32::MAX).max(1);
        let free = Arc::new(Semaphore::new(all as usize));
        Places { free, all }
    }

    /// For so many bytes; `None` if others have them.
    fn take(&self, bytes: usize) -> Option<Place> {
        let wanted = u32::try_from(bytes.div_ceil(AHEAD)).unwrap_or(u32::MAX);
        let free = Arc::clone(&self.free);
        free.try_acquire_many_owned(wanted.clamp(1, self.all)).ok()
    }
}

/// A whole body in one piece, which has its place until nobody needs it any more.
struct Placed {
    data: Bytes,
    _place: Place,
}

impl AsRef<[u8]> for Placed {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

/// A request's body whose beginning has been read, and which is as it was.
pub(super) enum Begun {
    /// All of it is here.
    Whole(Body),
    /// The rest is on its way.
    Part(Body),
}

/// Reads the beginning of a request's body. Without a place that is the piece that is here, if one is.
///
/// # Errors
///
/// It was cut within that beginning, so that nobody needs to be asked.
pub(super) async fn read(body: Body, places: &Places) -> Result<Begun, Cut> {
    let place = places.take(AHEAD);
    let mut read = 0;
    let may = |bytes| {
        read += bytes;
        place.is_some() && read < AHEAD
    };
    let peeked = match place.is_some() && body.exact_len().is_some() {
        true => body.peek(may).await,
        false => body.peek_here(may).await,
    };
    if let Some(cut) = peeked.cut() {
        return Err(cut.clone());
    }
    match peeked.is_all() {
        true => Ok(Begun::Whole(peeked.whole(place))),
        false => Ok(Begun::Part(peeked.whole(place))),
    }
}

/// Reads a whole body, if there is room for it and it has no more than `most` bytes: what it says, and the body as it was. A longer
/// one, or one without room, streams by.
pub(super) async fn read_whole(body: Body, most: usize, places: &Places) -> (Option<Bytes>, Body) {
    let len = body.exact_len();
    if len.is_some_and(|len| len > most as u64) {
        return (None, body);
    }
    let len = len.and_then(|len| usize::try_from(len).ok());
    let Some(place) = places.take(len.unwrap_or(most)) else {
        return (None, body);
    };
    let mut read = 0;
    let peeked = body.peek(|bytes| {
        read += bytes;
        read <= most
    });
    let peeked = peeked.await;
    if peeked.end != End::Whole {
        return (None, peeked.whole(Some(place)));
    }
    let data = Bytes::from_owner(Placed {
        data: peeked.data(),
        _place: place,
    });
    let body = match peeked.whole(None::<Place>) {
        body if body.is_here() => data.clone().into(),
        body => body, // trailers follow
    };
    (Some(data), body)
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::FutureExt;
    use futures_util::StreamExt;
    use futures_util::stream;

    use super::*;
    use crate::body::Chunk;

    /// How far a body has come.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum So {
        /// To its end.
        Ended,
        /// The client sends no more for now.
        Silent,
        /// It was given up.
        Late,
    }

    /// A body of which such pieces come, and then that.
    fn body(pieces: &[usize], so: So, declared: Option<u64>) -> Body {
        let data = |len: &usize| Ok(Chunk::Data(Bytes::from(vec![b'x'; *len])));
        let pieces: Vec<_> = pieces.iter().map(data).collect();
        let end = async move {
            match so {
                So::Ended => None,
                So::Silent => pending().await,
                So::Late => Some((Err(Cut::Late("it is")), ())),
            }
        };
        let mut end = Some(end);
        let rest = stream::unfold((), move |()| {
            let end = end.take();
            async move {
                match end {
                    Some(end) => end.await,
                    None => None,
                }
            }
        });
        Body::chunks(stream::iter(pieces).chain(rest), declared)
    }

    /// What has been read of it: whether it is whole; `None`: more is waited for.
    fn begun(body: Body, places: &Places) -> Option<Result<bool, Cut>> {
        let read = read(body, places);
        // Twice: once it has let others go first.
        let mut read = Box::pin(read);
        let first = (&mut read).now_or_never();
        let begun = first.or_else(|| read.now_or_never())?;
        Some(begun.map(|begun| matches!(begun, Begun::Whole(_))))
    }

    #[test]
    fn what_is_declared_is_waited_for_and_what_is_not_goes_on_as_it_comes() {
        use So::{Ended, Late, Silent};
        let late = || Err(Cut::Late("it is"));
        let part = AHEAD / 2;
        for (name, pieces, so, declared, expected) in [
            ("in one piece", &[5][..], Ended, Some(5), Some(Ok(true))),
            ("in several", &[1, 2, 2], Ended, Some(5), Some(Ok(true))),
            ("nothing yet", &[], Silent, Some(5), None),
            ("a part", &[4], Silent, Some(5), None),
            ("a part, then no more", &[4], Late, Some(5), Some(late())),
            (
                "much of more",
                &[part, part],
                Silent,
                Some(1 << 20),
                Some(Ok(false)),
            ),
            (
                "much at once",
                &[AHEAD],
                Silent,
                Some(1 << 20),
                Some(Ok(false)),
            ),
            ("not much", &[part, part - 1], Silent, Some(1 << 20), None),
            ("all, undeclared", &[5], Ended, None, Some(Ok(true))),
            ("nothing, undeclared", &[], Silent, None, Some(Ok(false))),
            ("a part, undeclared", &[4], Silent, None, Some(Ok(false))),
            ("no more, undeclared", &[4], Late, None, Some(late())),
            ("much, undeclared", &[AHEAD], Late, None, Some(Ok(false))),
        ] {
            let places = Places::new(AHEAD);
            let body = body(pieces, so, declared);
            assert_eq!(begun(body, &places), expected, "{name}");
        }
    }

    #[tokio::test]
    async fn nothing_is_lost_of_it() {
        for declared in [Some(9), None] {
            let places = Places::new(AHEAD);
            let begun = read(body(&[2, 3, 4], So::Ended, declared), &places).await;
            let Ok(Begun::Whole(body)) = begun else {
                panic!("it is whole");
            };
            assert_eq!(body.exact_len(), declared);
            let all = body.peek(|_| true).await;
            assert_eq!((all.end, all.data().len()), (End::Whole, 9));
        }
    }

    #[tokio::test]
    async fn what_the_key_needs_is_read_whole_where_there_is_room_until_nobody_needs_it() {
        use So::{Ended, Late, Silent};
        let (most, full) = (2 * AHEAD, Some(2 * AHEAD));
        for (name, pieces, so, declared, expected) in [
            ("in one piece", &[5][..], Ended, Some(5), Some(5)),
            ("in several", &[1, 2, 2], Ended, Some(5), Some(5)),
            ("of no declared length", &[AHEAD, AHEAD], Ended, None, full),
            ("too long, as it says", &[], Silent, Some(1 << 20), None),
            ("too long, as it turns out", &[most, 1], Silent, None, None),
            ("cut", &[4], Late, Some(5), None),
        ] {
            let places = Places::new(most);
            let declared = declared.map(|len: usize| len as u64);
            let (data, body) = read_whole(body(pieces, so, declared), most, &places).await;
            assert_eq!(data.as_ref().map(Bytes::len), expected, "{name}");
            assert_eq!(
                body.exact_len(),
                expected.map(|len| len as u64).or(declared),
                "{name}"
            );
            if data.is_none() {
                continue;
            }
            drop(data);
            let large = self::body(&[most], Ended, None);
            let (read, large) = read_whole(large, most, &places).await;
            assert_eq!(read, None, "{name}: its body has a place");
            drop(body);
            let (read, _) = read_whole(large, most, &places).await;
            assert_eq!(read.map(|read| read.len()), full, "{name}");
        }
    }

    #[tokio::test]
    async fn so_many_are_waited_for_as_have_a_place_until_they_are_read_again() {
        let places = Places::new(2 * AHEAD);
        let declared = Some(10);
        let slow = || body(&[4], So::Silent, declared);
        let Ok(Begun::Whole(first)) = read(body(&[1, 9], So::Ended, declared), &places).await
        else {
            panic!("it is whole");
        };
        let mut second = Box::pin(read(slow(), &places));
        assert!((&mut second).now_or_never().is_none(), "it has a place");
        assert_eq!(begun(slow(), &places), Some(Ok(false)), "no place is left");
        let whole = body(&[10], So::Ended, declared);
        assert_eq!(begun(whole, &places), Some(Ok(true)), "it needs none");
        let read = first.peek(|_| true).await;
        assert_eq!(read.data().len(), 10);
        assert_eq!(begun(slow(), &places), None, "the first has had its turn");
        drop(second);
        assert_eq!(begun(slow(), &places), None, "its client has left");
    }
}
