"""Clients that take more than their share: of time, of room, of answers. All limits of time are set to a second, where there are such.

A server that says nothing and keeps the connection for some seconds more "waits".
"""

import contextlib
import socket
import threading
import time

import wire
from attack import HOST, Attack, encoded, framing, lines, others, reached, statuses

#: Between two bytes, and how many of them: longer than the limit, though each comes in time.
PAUSE, BYTES = 0.3, 8


def dripping(text, rest):
    """The first part at once, then a byte now and then."""

    def tried(server, app, token):
        with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
            connection.settimeout(wire.SILENCE)
            connection.sendall(encoded(text, token))
            try:
                for byte in encoded(rest, token)[:BYTES]:
                    time.sleep(PAUSE)
                    connection.sendall(bytes([byte]))
            except OSError:
                pass
            heard = wire.hear(connection)
        return f"{statuses(heard)}; {reached(app, token)}"

    return tried


def silent(text):
    """So much, and then nothing."""

    def tried(server, app, token):
        heard = wire.send(server.port, [encoded(text, token)])
        return f"{statuses(heard)}; {reached(app, token)}"

    return tried


def many(count, text):
    """As many connections, each with so much, and somebody else beside them."""

    def tried(server, app, token):
        opened = []
        try:
            for _ in range(count):
                opened.append(socket.create_connection(("127.0.0.1", server.port), 5))
                opened[-1].sendall(encoded(text, token))
            return others(server, token)
        finally:
            for connection in opened:
                connection.close()

    return tried


def crowd(count, text):
    """As many that send a byte of a body now and then, and beside them somebody for a page that is stored, and for one that is not."""

    def tried(server, app, token):
        stored, new = (encoded(lines("Connection: close", line=f"GET /{page}?{{t}}"), token) for page in ("stored", "new"))
        wire.send(server.port, [stored])
        opened, over = [], threading.Event()

        def drip():
            while not over.wait(PAUSE):
                for connection in list(opened):
                    with contextlib.suppress(OSError):  # closed: its turn is over
                        connection.sendall(b"x")

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            for _ in range(count):
                opened.append(wire.begin(server.port, encoded(text, token)))
            told = [wire.send(server.port, [text], LONG).answers for text in (stored, new)]
        finally:
            over.set()
            dripping.join()
            for connection in opened:
                connection.close()
        return ", ".join(f"{what} {answers[0].status if answers else 'not answered'}" for what, answers in zip(("stored", "new"), told))

    return tried


def ranges(count):
    """Overlapping parts of one page (CVE-2011-3192): how much comes back."""

    def tried(server, app, token):
        asked = lines("Connection: close", line="GET /large?{t}")
        wire.send(server.port, [encoded(asked, token)])
        whole = wire.send(server.port, [encoded(asked, token)]).answers[0]
        wish = "Range: bytes=" + ",".join(["0-"] * count)
        heard = wire.send(server.port, [encoded(lines("Connection: close", wish, line="GET /large?{t}"), token)])
        times = sum(len(answer.body) for answer in heard.answers) / max(len(whole.body), 1)
        return f"{heard.answers[0].status if heard.answers else 'no answer'}, {'no more than the page' if times <= 1.1 else f'{times:.0f} times the page'}"

    return tried


#: Longer than a request waits for its turn at the app (`upstream.queue_timeout`).
LONG = 10
HEAD = f"GET /a?{{t}} HTTP/1.1\r\nHost: {HOST}\r\n"
POST = f"POST /a?{{t}} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 100\r\n\r\n"
CLOSED = ("no answer, closed; app: nothing",)
#: The head may have been on its way.
CUT = ("400, closed; app: POST /a", "400, closed; app: nothing")
LATE = ("408, closed; app: POST /a", "408, closed; app: nothing")
#: Nobody is asked before there is more of it.
UNASKED = ("408, closed; app: nothing",)
TOO_LARGE = ("431, closed; app: nothing",)
OTHERS = ("others are answered",)
WHOLE = ("200, no more than the page",)
#: However many of them there are (docs/security.md, "Slow uploads").
ANSWERED = ("stored 200, new 200",)
#: Of a body so much is waited for before the app is asked, in bytes.
MUCH = 64 << 10


def upload(*fields, body=""):
    return lines(*fields, body=body, line="POST /a?{t}")


ATTACKS = [
    Attack("a connection and nothing more", silent(""), CLOSED),
    Attack("half a request line", silent("GET /a?{t}"), CLOSED),
    Attack("a head without an end", silent(HEAD), CLOSED),
    Attack("a head byte by byte", dripping(HEAD, "X-A: bcdefghijklmnop"), CLOSED),
    Attack("a body that does not come", silent(POST), UNASKED),
    Attack("a body byte by byte", dripping(POST, "x" * 100), UNASKED),
    Attack("a chunk that does not come", silent(upload("Transfer-Encoding: chunked", body="a\r\n")), LATE),
    Attack("an idle connection after an answer", silent(lines()), ("200, closed; app: GET /a",)),
    Attack("150 heads without an end", many(150, HEAD), OTHERS),
    Attack("150 bodies that do not come", many(150, POST), OTHERS),
    Attack("300 bodies byte by byte", crowd(300, upload("Content-Length: 100000")), ANSWERED, alone=True),
    Attack("300 bodies byte by byte, when asked to", crowd(300, upload("Content-Length: 100000", "Expect: 100-continue")), ANSWERED, alone=True),
    Attack("300 bodies byte by byte, after much at once", crowd(300, upload("Content-Length: 10000000", body="x" * MUCH)), ANSWERED, alone=True),
    Attack("300 chunks byte by byte", crowd(300, upload("Transfer-Encoding: chunked", body="fffff\r\n")), ANSWERED, alone=True),
    Attack("a field of 100 kB", framing(lines(f"X-A: {'x' * 100_000}")), TOO_LARGE),
    Attack("a target of 100 kB", framing(lines(line=f"GET /{'x' * 100_000}?{{t}}")), TOO_LARGE),
    Attack("10,000 fields", framing(lines(*(f"X-{number}: 1" for number in range(10_000)))), TOO_LARGE),
    Attack("1,000 empty lines before a request", framing("\r\n" * 1_000 + lines()), ("200, 200, closed; app: GET /a, GET /after",)),
    Attack("a method of 100 kB", framing(lines(line=f"{'X' * 100_000} /a?{{t}}")), TOO_LARGE),
    Attack("1,000 ranges that overlap", ranges(1_000), WHOLE),
    Attack("100 ranges that overlap", ranges(100), WHOLE),
    Attack("a chunk's extension of 100 kB", framing(lines("Transfer-Encoding: chunked", body=f"1;{'x' * 100_000}\r\nx\r\n0\r\n\r\n", line="POST /a?{t}")), CUT),
    Attack("trailers of 100 kB", framing(lines("Transfer-Encoding: chunked", body=f"0\r\nX-A: {'x' * 100_000}\r\n\r\n", line="POST /a?{t}")), CUT),
]
