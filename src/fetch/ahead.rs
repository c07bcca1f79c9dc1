//! What is read of a request's body before it has its turn at the app, so that a client that sends slowly holds no turn
//! meanwhile.
//!
//! A body of declared length is waited for until it is whole or [`AHEAD`] bytes of it are here. One without is passed on as it
//! comes, since it may be made while it is sent, and the app may answer to its parts (gRPC): of that only what is here is
//! read. What is not whole then has its turn among those alone that are not, so that the others always find some.

use crate::body::Body;
use crate::body::Cut;
use crate::body::End;
use crate::fetch::room::Held;
use crate::fetch::room::Room;

/// More of a body is not waited for, in bytes.
const AHEAD: usize = 64 << 10;

/// A request's body whose beginning has been read, and which is as it was.
pub(super) enum Begun {
    /// All of it is here.
    Whole(Body),
    /// The rest is on its way.
    Part(Body),
}

/// Reads the beginning of a request's body; `room` bounds what is held of all of them. Where there is none left, it goes on as it is.
///
/// # Errors
///
/// It was cut within that beginning, so that nobody needs to be asked.
pub(super) async fn read(body: Body, room: &Room) -> Result<Begun, Cut> {
    let (mut read, mut held): (_, Held) = (0, None);
    let may = |bytes| {
        // What comes first is where it came in, whether it is read or not.
        let has_room = read == 0 || room.take(&mut held, bytes);
        read += bytes;
        has_room && read < AHEAD
    };
    let peeked = match body.exact_len() {
        Some(_) => body.peek(may).await,
        None => body.peek_here(may).await,
    };
    if let Some(cut) = peeked.cut() {
        return Err(cut.clone());
    }
    match peeked.end {
        End::Whole => Ok(Begun::Whole(peeked.whole(held))),
        End::NotYet | End::Cut => Ok(Begun::Part(peeked.whole(held))),
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use bytes::Bytes;
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
    fn begun(body: Body, room: &Room) -> Option<Result<bool, Cut>> {
        let read = read(body, room);
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
            let room = Room::new(1 << 20);
            let body = body(pieces, so, declared);
            assert_eq!(begun(body, &room), expected, "{name}");
        }
    }

    #[tokio::test]
    async fn nothing_is_lost_of_it() {
        for declared in [Some(9), None] {
            let room = Room::new(1 << 20);
            let begun = read(body(&[2, 3, 4], So::Ended, declared), &room).await;
            let Ok(Begun::Whole(body)) = begun else {
                panic!("it is whole");
            };
            assert_eq!(body.exact_len(), declared);
            let all = body.peek(|_| true).await;
            assert_eq!((all.end, all.data().len()), (End::Whole, 9));
        }
    }

    #[tokio::test]
    async fn where_there_is_no_room_nothing_is_waited_for_until_others_have_gone() {
        let room = Room::new(10);
        let declared = Some(100);
        let of = |pieces| body(pieces, So::Silent, declared);
        let Ok(Begun::Whole(first)) = read(body(&[1, 9], So::Ended, Some(10)), &room).await else {
            panic!("there is room for what comes second");
        };
        assert_eq!(begun(of(&[50]), &room), None, "what comes first is counted");
        assert_eq!(begun(of(&[50, 2]), &room), Some(Ok(false)), "no room");
        let read = first.peek(|_| true).await;
        assert_eq!(read.data().len(), 10);
        drop(read);
        assert_eq!(begun(of(&[50, 2]), &room), None, "there is room again");
    }
}
