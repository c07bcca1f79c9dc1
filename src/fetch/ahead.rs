//! What is read of a request's body before it has its turn at the app, so that a client that sends slowly holds no turn
//! meanwhile.
//!
//! A body of declared length is waited for until it is whole or [`AHEAD`] bytes of it are here. One without is passed on as it
//! comes, since it may be made while it is sent, and the app may answer to its parts (gRPC): of that only what is here is
//! read. What is not whole then has its turn among those alone that are not, so that the others always find some. So many are
//! read ahead at once as have a place; who finds none is one of those whose requests are on their way.
//!
//! A body of which the key holds something is read whole before anything is looked up, if there is room for what comes of it.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::body::Body;
use crate::body::Cut;
use crate::body::End;
use crate::fetch::room::{Held, Room};
use crate::rules::MOST_OF_BODY;

/// More of a body is not waited for, in bytes.
const AHEAD: usize = 64 << 10;

/// Places for bodies that are read ahead, each of [`AHEAD`] bytes and the piece that exceeds them.
#[derive(Debug)]
pub(super) struct Places(Arc<Semaphore>);

impl Places {
    /// In so many bytes; one at least.
    pub(super) fn new(bytes: usize) -> Places {
        Places(Arc::new(Semaphore::new((bytes / AHEAD).max(1))))
    }
}

/// A request holds a body, what the key holds of that, and the key.
const COPIES: usize = 3;

/// Room for the bodies of which keys hold something: so many bytes, and for one of any length at least.
pub(super) fn room_for_keys(bytes: usize) -> Room {
    Room::new(bytes.max(COPIES * MOST_OF_BODY))
}

/// Why a body was not read whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotWhole {
    /// It is too long, or was cut.
    Unfit,
    /// Others have the room.
    NoRoom,
}

/// A whole body in one piece, which has its room until nobody needs it any more.
struct Kept {
    data: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Kept {
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
    let place = Arc::clone(&places.0).try_acquire_owned().ok();
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

/// Reads a whole body that has no more than `most` bytes, and no trailers: what it says, and the body as it was. A longer one streams
/// by, and so does one that finds no room.
pub(super) async fn read_whole(
    body: Body,
    most: usize,
    room: &Room,
) -> (Result<Bytes, NotWhole>, Body) {
    if body.exact_len().is_some_and(|len| len > most as u64) {
        return (Err(NotWhole::Unfit), body);
    }
    let (mut held, mut read) = (None, 0);
    let peeked = body.peek(|bytes| {
        read += bytes;
        read <= most && room.take(&mut held, COPIES * bytes)
    });
    let peeked = peeked.await;
    let why = match peeked.end {
        End::Whole => {
            let data = Bytes::from_owner(Kept {
                data: peeked.data(),
                _held: held,
            });
            return (Ok(data.clone()), data.into());
        }
        End::NotYet if read <= most => NotWhole::NoRoom,
        End::NotYet | End::Cut => NotWhole::Unfit,
    };
    (Err(why), peeked.whole(held))
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
        use So::{Ended, Late};
        let unfit = Err(NotWhole::Unfit);
        for (name, pieces, so, declared, expected) in [
            ("in one piece", &[5][..], Ended, Some(5), Ok(5)),
            ("in several", &[1, 2, 2], Ended, Some(5), Ok(5)),
            ("of no declared length", &[5, 5], Ended, None, Ok(10)),
            ("too long, as it says", &[5, 6], Ended, Some(11), unfit),
            ("too long, as it turns out", &[5, 6, 1], Ended, None, unfit),
            ("cut", &[4], Late, Some(5), unfit),
            (
                "without room",
                &[2, 5, 1],
                Ended,
                None,
                Err(NotWhole::NoRoom),
            ),
        ] {
            let all_of_it = COPIES * 10;
            let room = Room::new(all_of_it);
            let mut others = None;
            let has_room = expected != Err(NotWhole::NoRoom);
            assert!(has_room || room.take(&mut others, COPIES * 4));
            let (data, body) = read_whole(body(pieces, so, declared), 10, &room).await;
            drop(others);
            assert_eq!(
                data.as_ref().map(Bytes::len).map_err(|why| *why),
                expected,
                "{name}"
            );
            drop(data);
            // What is longer as it says has not been touched.
            let holds = declared.is_none_or(|len| len <= 10);
            assert_eq!(
                room.take(&mut None, all_of_it),
                !holds,
                "{name}: its body holds room"
            );
            // As it was.
            assert!(declared.is_none() || body.exact_len() == declared, "{name}");
            let peeked = body.peek(|_| true).await;
            let end = match so == Late {
                true => End::Cut,
                false => End::Whole,
            };
            let all = pieces.iter().sum();
            assert_eq!((peeked.end, peeked.data().len()), (end, all), "{name}");
            drop(peeked);
            assert!(room.take(&mut None, all_of_it), "{name}: nobody needs it");
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
