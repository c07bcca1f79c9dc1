use std::task::Poll;
use std::time::Duration;

use crate::proxy::wire::Announced;
use crate::proxy::wire::Line;
use crate::proxy::wire::Patience;
use crate::proxy::wire::Wire;
use crate::proxy::wire::line::Phase;

#[test]
fn a_content_length_in_the_head_is_seen_and_one_after_it_is_not() {
    for (name, bytes, expected, rest) in [
        (
            "in the head",
            "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
            true,
            "abc",
        ),
        (
            "any case",
            "POST / HTTP/1.1\r\ncontent-LENGTH: 3\r\n\r\n",
            true,
            "",
        ),
        (
            "bare line feeds",
            "POST / HTTP/1.1\ncontent-length: 3\n\n",
            true,
            "",
        ),
        (
            "blank lines first",
            "\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n",
            true,
            "",
        ),
        (
            "in the body",
            "POST / HTTP/1.1\r\nHost: a\r\n\r\nContent-Length: 3\r\n",
            false,
            "Content-Length: 3\r\n",
        ),
        (
            "in the next head",
            "GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 3",
            false,
            "POST / HTTP/1.1\r\nContent-Length: 3",
        ),
        (
            "another field's value",
            "POST / HTTP/1.1\r\nX: content-length: 3\r\n\r\n",
            false,
            "",
        ),
        ("nothing", "", false, ""),
    ] {
        let line = Line::default();
        line.lock().phase = Phase::Head(bytes.into());
        let (_busy, had_length) = line.begin(Announced::None, true);
        assert_eq!(had_length, expected, "{name}");
        assert!(
            matches!(&line.lock().phase, Phase::Head(left) if left == rest.as_bytes()),
            "{name}"
        );
    }
}

/// What happens on a connection, as hyper and the client see it.
enum Step {
    Came(&'static str),
    Begins(Announced),
    /// It is wanted back after the request under way.
    Wanted,
    Answered,
    /// So much has been taken of what was to be sent; `None`: it waits.
    Sent(Option<usize>),
    /// What was taken is on its way, or waits.
    Gone(bool),
}

#[test]
fn l07_a_stream_comes_back_only_where_every_byte_is_accounted_for() {
    use Announced::{Chunks, Exactly, None as Bodyless};
    use Step::{Answered, Begins, Came, Gone, Sent, Wanted};
    const GET: &str = "GET / HTTP/1.1\r\n\r\n";
    for (name, steps, expected) in [
        (
            "one request",
            &[Came(GET), Begins(Bodyless), Wanted, Answered][..],
            true,
        ),
        (
            "nobody wants it",
            &[Came(GET), Begins(Bodyless), Answered],
            false,
        ),
        ("under way", &[Came(GET), Begins(Bodyless), Wanted], false),
        (
            "the next one has begun",
            &[Came(GET), Begins(Bodyless), Came("G"), Wanted, Answered],
            false,
        ),
        (
            "the next one came with it",
            &[
                Came("GET / HTTP/1.1\r\n\r\nGET"),
                Begins(Bodyless),
                Wanted,
                Answered,
            ],
            false,
        ),
        (
            "a blank line begins nothing",
            &[Came(GET), Begins(Bodyless), Wanted, Answered, Came("\r\n")],
            true,
        ),
        (
            "half of one does",
            &[Came(GET), Begins(Bodyless), Wanted, Answered, Came("\r")],
            false,
        ),
        (
            "a space does",
            &[Came(GET), Begins(Bodyless), Wanted, Answered, Came(" ")],
            false,
        ),
        (
            "after a body of known length that came in pieces with the next head",
            &[
                Came("POST / HTTP/1.1\r\n\r\na"),
                Begins(Exactly(3)),
                Came("b"),
                Came("cGET / HTTP/1.1\r\n"),
                Answered,
                Came("\r\n"),
                Begins(Bodyless),
                Wanted,
                Answered,
            ],
            true,
        ),
        (
            "after a body that came whole with its head and the next one",
            &[
                Came("POST / HTTP/1.1\r\n\r\nabcGET / HTTP/1.1\r\n\r\n"),
                Begins(Exactly(3)),
                Answered,
                Begins(Bodyless),
                Wanted,
                Answered,
            ],
            true,
        ),
        (
            "after a body that never came whole",
            &[
                Came("POST / HTTP/1.1\r\n\r\nab"),
                Begins(Exactly(3)),
                Answered,
                Came(GET),
                Begins(Bodyless),
                Wanted,
                Answered,
            ],
            false,
        ),
        (
            "after chunks",
            &[
                Came("POST / HTTP/1.1\r\n\r\n0\r\n\r\n"),
                Begins(Chunks),
                Answered,
                Came(GET),
                Begins(Bodyless),
                Wanted,
                Answered,
            ],
            false,
        ),
        (
            "a head that never came",
            &[Begins(Bodyless), Wanted, Answered],
            false,
        ),
        (
            "more than is remembered",
            &[
                Came("GET / HTTP/1.1\r\nx: 012345678901234567890123456789\r\n\r\n"),
                Begins(Bodyless),
                Wanted,
                Answered,
            ],
            false,
        ),
        (
            "the client has not taken all",
            &[Came(GET), Begins(Bodyless), Wanted, Sent(None), Answered],
            false,
        ),
        (
            "it waits behind TLS",
            &[
                Came(GET),
                Begins(Bodyless),
                Wanted,
                Sent(Some(9)),
                Gone(false),
                Answered,
            ],
            false,
        ),
        (
            "it has gone through TLS",
            &[
                Came(GET),
                Begins(Bodyless),
                Wanted,
                Sent(Some(9)),
                Gone(false),
                Answered,
                Gone(true),
            ],
            true,
        ),
        (
            "the client has taken the rest",
            &[
                Came(GET),
                Begins(Bodyless),
                Wanted,
                Sent(None),
                Answered,
                Sent(Some(9)),
            ],
            true,
        ),
    ] {
        let patience = Patience {
            head: Duration::from_secs(1),
            idle: Duration::from_secs(1),
            max_head: 48,
        };
        let wire = Wire::new((), patience);
        let mut under_way = Vec::new();
        for step in steps {
            match step {
                Came(bytes) => wire.came(bytes.as_bytes()).expect("it is no HTTP/2"),
                Begins(body) => under_way.push(wire.line.begin(*body, false)),
                Wanted => wire.line.want_back(),
                Answered => under_way.clear(),
                Sent(None) => wire.took(&Poll::Pending),
                Sent(Some(bytes)) => wire.took(&Poll::Ready(Ok(*bytes))),
                Gone(true) => wire.gone(&Poll::Ready(Ok(()))),
                Gone(false) => wire.gone(&Poll::Pending),
            }
        }
        assert_eq!(wire.line.comes_back(), expected, "{name}");
        let line = wire.line();
        let _lent = wire.lend();
        assert!(!line.comes_back(), "{name}: nobody has asked since");
    }
}
