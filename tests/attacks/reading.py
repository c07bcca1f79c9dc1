"""Clients that ask and do not read, or hardly: what the server keeps for them, and for how long. All limits of time are set to a second.

Who has read nothing for some seconds then reads what there is: "cut" says that the server had given up, "whole" and "goes on" that it
had not. A page read slowly is one that is read.
"""

import contextlib
import socket
import struct
import time

import wire
from attack import Attack, encoded, lines, others, reached
from http2 import PING, PREFACE, SETTINGS, frame, plain, request, with_token

WINDOW_UPDATE, INITIAL_WINDOW_SIZE = 8, 4
#: More than kernels keep for a client that has little room; less than Tagalong stores.
LARGE = b"x" * (6 << 20)
#: Nobody keeps as much for one client: what comes is fetched.
MOST = 3 * len(LARGE)
#: The room of a client, in bytes.
ROOM = 4096
#: Between two bytes or frames, and how many of them: longer than the limit.
PAUSE, TIMES = 0.3, 12
#: The same of who reads slowly, in all longer than the limit. A kernel keeps up to 4 MiB and lets a server write on when a third of that
#: is free, which must not take as long as the limit.
SHORT, PARTS = 0.1, 15


@contextlib.contextmanager
def reluctant(port, room=ROOM):
    """A connection with little room for what comes."""
    with contextlib.closing(socket.socket()) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        connection.settimeout(wire.SILENCE)
        connection.connect(("127.0.0.1", port))
        yield connection


def large(app, token):
    app.says(f"/huge?{token}", body=LARGE)


def rest(connection, raw=b""):
    """What there is to read in the end, behind what has been read."""
    try:
        while len(raw) < MOST and (data := connection.recv(1 << 16)):
            raw += data
    except OSError:
        pass  # broken off, or silent: either is not whole
    answers = wire.parse(raw)
    if len(raw) >= MOST:
        return "goes on"
    return "whole" if answers and all(answer.whole and answer.status == 200 for answer in answers) else "cut"


def unread(target, stored=False, requests=1):
    """Ask, and wait; then read all there is."""

    def tried(server, app, token):
        large(app, token)
        text = encoded(lines(line=f"GET {target}"), token)
        if stored:
            wire.send(server.port, [encoded(lines("Connection: close", line=f"GET {target}"), token)])
        with reluctant(server.port) as connection:
            with contextlib.suppress(OSError):
                connection.sendall(text * requests)
            time.sleep(wire.SILENCE)
            told = others(server, token)
            return f"{rest(connection)}; {told}"

    return tried


def slowly(target, at_once, pause=PAUSE, times=TIMES):
    """Ask, and read so many bytes now and then; then what there is."""

    def tried(server, app, token):
        large(app, token)
        text = encoded(lines("Connection: close", line=f"GET {target}"), token)
        with reluctant(server.port, max(ROOM, at_once)) as connection:
            connection.sendall(text)
            raw = b""
            try:
                for _ in range(times):
                    time.sleep(pause)
                    raw += connection.recv(at_once, socket.MSG_WAITALL)
            except OSError:
                return "cut"
            return rest(connection, raw)

    return tried


def beside():
    """Nothing is stored yet; one asks and does not read, another asks for the same."""

    def tried(server, app, token):
        large(app, token)
        text = encoded(lines("Connection: close", line="GET /huge?{t}"), token)
        with reluctant(server.port) as connection:
            connection.sendall(text)
            connection.recv(1)  # it has been asked for
            answers = wire.send(server.port, [text]).answers
        got = "whole" if answers and answers[0].whole and answers[0].body == LARGE else "not whole"
        return f"{got}; {reached(app, token)}"

    return tried


def many(count, target):
    """So many that do not read, and somebody else beside them."""

    def tried(server, app, token):
        large(app, token)
        text = encoded(lines(line=f"GET {target}"), token)
        with contextlib.ExitStack() as stack:
            for _ in range(count):
                stack.enter_context(reluctant(server.port)).sendall(text)
            return others(server, token)

    return tried


def unopened(streams, again=None):
    """HTTP/2 with a window of nothing: so many streams, and frames now and then that say that somebody is there."""

    def tried(server, app, token):
        large(app, token)
        wire.send(server.port, [encoded(lines("Connection: close", line="GET /huge?{t}"), token)])
        asked = b"".join(request(stream, with_token(plain("/huge?{t}"), token)) for stream in range(1, 2 * streams, 2))
        with socket.create_connection(("127.0.0.1", server.doors["h2c"]), 5) as connection:
            connection.settimeout(wire.SILENCE)
            connection.sendall(PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW_SIZE, 0)) + asked)
            try:
                for _ in range(TIMES):
                    time.sleep(PAUSE)
                    connection.sendall(again or b"")
            except OSError:
                pass  # closed; what was said before that can still be heard
            told = others(server, token)
            back = wire.hear(connection)
        return f"{'closed' if back.closed else 'goes on'}; {told}"

    return tried


DRIBBLE = frame(WINDOW_UPDATE, 0, 1, struct.pack(">I", 1))
CUT = ("cut; others are answered",)
CLOSED = ("closed; others are answered",)
OTHERS = ("others are answered",)
ATTACKS = [
    Attack("a page that is stored, unread", unread("/huge?{t}", stored=True), CUT),
    Attack("a page that is fetched, unread", unread("/huge?{t}"), CUT),
    Attack("a body without end, unread", unread("/endless?{t}"), CUT),
    Attack("1,000 requests in a row, no answer read", unread("/huge?{t}", stored=True, requests=1_000), CUT),
    Attack("a page read byte by byte", slowly("/huge?{t}", 1), ("cut",)),
    Attack("a page read slowly", slowly("/huge?{t}", len(LARGE) // PARTS, SHORT, PARTS), ("whole",)),
    Attack("somebody else asks for what one does not read", beside(), ("whole; app: GET /huge",)),
    Attack("150 that do not read what is stored", many(150, "/huge?{t}"), OTHERS),
    # nginx would write up to a GiB of each into a file.
    Attack("150 that do not read bodies without end", many(150, "/endless?{t}"), OTHERS, peers=False),
    Attack("HTTP/2: a window of nothing", unopened(1), CLOSED),
    Attack("HTTP/2: a window of nothing, and pings", unopened(1, frame(PING, 0, 0, b"evilevil")), CLOSED),
    Attack("HTTP/2: a window that opens byte by byte", unopened(1, DRIBBLE), CLOSED),
    Attack("HTTP/2: 100 windows of nothing", unopened(100), CLOSED),
]
