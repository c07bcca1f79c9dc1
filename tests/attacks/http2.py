"""HTTP/2 where an HTTP/1.1 app stands behind it, without TLS: what cannot be said in HTTP/1.1 must not get there (RFC 9113 §8.2, §10.3).

Behind each comes a plain request on another stream, and where a connection is abused, one of somebody else on another connection.
"""

import socket
import struct

import wire
from attack import HOST, LAST, Attack, encoded, reached

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 6, 7, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1
#: HPACK's static entries of statuses (RFC 7541, appendix A).
STATUSES = {0x88: 200, 0x89: 204, 0x8A: 206, 0x8B: 304, 0x8C: 400, 0x8D: 404, 0x8E: 500}
CODES = {0: "no error", 1: "protocol error", 2: "internal error", 3: "flow control error", 5: "stream closed", 7: "refused", 8: "cancelled", 9: "compression error", 11: "enhance your calm"}


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def integer(value, prefix):
    """RFC 7541 §5.1, without other bits in the first byte."""
    most = (1 << prefix) - 1
    if value < most:
        return bytes([value])
    value, coded = value - most, bytes([most])
    while value >= 128:
        value, coded = value >> 7, coded + bytes([value & 127 | 128])
    return coded + bytes([value])


def fields(*pairs):
    """Literals that are not indexed, without Huffman's code: bytes go as they are."""
    texts = [text.encode("latin-1") for pair in pairs for text in pair]
    coded = [integer(len(text), 7) + text for text in texts]
    return b"".join(b"\x00" + name + value for name, value in zip(coded[::2], coded[1::2]))


def plain(path="/a?{t}", method="GET", authority=HOST, scheme="http"):
    return [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path)]


def with_token(pairs, token):
    return [(name.replace("{t}", token), value.replace("{t}", token)) for name, value in pairs]


def request(stream, pairs, body=None):
    head = frame(HEADERS, END_HEADERS | (END_STREAM if body is None else 0), stream, fields(*pairs))
    return head if body is None else head + frame(DATA, END_STREAM, stream, body)


def heard(raw):
    """What the server said of each stream, in words, and of the connection."""
    streams, connection = {}, ""
    while len(raw) >= 9:
        length, kind, _, stream = int.from_bytes(raw[:3], "big"), raw[3], raw[4], int.from_bytes(raw[5:9], "big") & 0x7FFFFFFF
        payload, raw = raw[9 : 9 + length], raw[9 + length :]
        if kind == HEADERS:
            streams.setdefault(stream, str(status(payload)))
        elif kind == RST_STREAM:
            streams.setdefault(stream, CODES.get(int.from_bytes(payload[:4], "big"), "reset"))
        elif kind == GOAWAY:
            connection = f", goes away: {CODES.get(int.from_bytes(payload[4:8], 'big'), 'for another reason')}"
    return streams, connection


def status(block):
    """Of a response's head: a static entry, or three digits with Huffman's code or without."""
    while block and block[0] >> 5 == 1:
        block = block[1:]  # the table's size changes
    if block[0] in STATUSES:
        return STATUSES[block[0]]
    text = block[2 : 2 + (block[1] & 127)]
    if not block[1] & 128:
        return text.decode("latin-1")
    bits, digits = "".join(f"{byte:08b}" for byte in text), ""
    while len(digits) < 3 and bits:
        # 0 to 2 have five bits, the other digits six.
        size = 5 if bits[:3] == "000" else 6
        digits += str(int(bits[:size], 2) if size == 5 else int(bits[:size], 2) - 0x16)
        bits = bits[size:]
    return digits


def talk(server, token, *parts):
    """Send frames, or what makes them of a token, over a connection of their own; what was said, and whether the server has closed."""
    with socket.create_connection(("127.0.0.1", server.doors["h2c"]), 5) as connection:
        connection.settimeout(wire.SILENCE)
        raw = [part if isinstance(part, bytes) else part(token) for part in parts]
        back = wire.hear(connection, [PREFACE + frame(SETTINGS, 0, 0), *raw])
        return *heard(back.raw), back.closed


def downgrade(*pairs, body=None, **more):
    """One request, then a plain one: over HTTP/2 neither frames the other, so what counts is what the app takes them for."""

    def tried(server, app, token):
        first = request(1, with_token([*plain(**more), *pairs], token), body and body.replace(b"{t}", token.encode()))
        second = request(3, with_token(plain("/after?{t}"), token))
        streams, connection, _ = talk(server, token, first, second)
        return f"{streams.get(1, 'no answer')}, {streams.get(3, 'no answer')}{connection}; {reached(app, token, sorted)}"

    return tried


def odd(*pairs):
    """The same with these fields alone, in this order."""

    def tried(server, app, token):
        first, second = request(1, with_token(pairs, token)), request(3, with_token(plain("/after?{t}"), token))
        streams, connection, _ = talk(server, token, first, second)
        return f"{streams.get(1, 'no answer')}, {streams.get(3, 'no answer')}{connection}; {reached(app, token, sorted)}"

    return tried


def abuse(*parts):
    """Whether the server puts an end to it, and still answers somebody else."""

    def tried(server, app, token):
        _, connection, closed = talk(server, token, *parts)
        others = wire.send(server.port, [encoded(LAST, token)]).answers
        answered = others and others[0].status == 200
        end = connection.removeprefix(", ") or ("closed" if closed else "goes on")
        return f"{end}; others are {'answered' if answered else 'not answered'}"

    return tried


def resets(count):
    """A request and its end at once, over and over (CVE-2023-44487)."""

    def frames(token):
        pairs = with_token(plain(), f"{token}reset")
        return b"".join(request(stream, pairs) + frame(RST_STREAM, 0, stream, struct.pack(">I", 8)) for stream in range(1, 2 * count, 2))

    return frames


def head_without_end(frames, size):
    """A head that never ends (CVE-2024-27316)."""
    more = fields(("x-a", "y" * size)) if size else b""
    return lambda token: frame(HEADERS, 0, 1, fields(*with_token(plain(), token))) + frame(CONTINUATION, 0, 1, more) * frames


def table_bomb(references):
    """One large field in the table, and a byte for each time it is meant (CVE-2016-6581)."""
    name, value = b"x-bomb", b"y" * 4000
    entry = b"\x40" + integer(len(name), 7) + name + integer(len(value), 7) + value
    return lambda token: frame(HEADERS, END_HEADERS | END_STREAM, 1, fields(*with_token(plain(), token)) + entry + b"\xbe" * references)


#: The head cannot be read, and nothing that follows.
ENDED = ("no answer, no answer, goes away: protocol error; app: nothing",)
#: The stream is reset, the others go on.
RESET = ("protocol error, 200; app: GET /after",)
#: Until it has been idle for too long.
ENDURED = ("goes on; others are answered", "closed; others are answered")
CRLF = "\r\nX-Injected: 1"
HIDDEN = " HTTP/1.1\r\nHost: shop.example\r\n\r\nGET /smuggled?{t}"
ATTACKS = [
    Attack("CRLF in a value", downgrade(("x-a", f"1{CRLF}")), ENDED),
    Attack("LF in a value", downgrade(("x-a", "1\nX-Injected: 1")), ENDED),
    Attack("NUL in a value", downgrade(("x-a", "1\0")), ENDED),
    Attack("CRLF in a name", downgrade((f"x-a: 1{CRLF}\r\nx-b", "1")), ENDED),
    Attack("a colon in a name", downgrade(("x-a: 1", "2")), ENDED),
    Attack("a space in a name", downgrade(("x-a ", "1")), ENDED),
    Attack("an upper-case name", downgrade(("X-A", "1")), ENDED),
    Attack("an empty name", downgrade(("", "1")), ENDED),
    Attack("CRLF in the path", downgrade(path=f"/a?{{t}}{HIDDEN}"), RESET),
    Attack("a space in the path", downgrade(path="/a?{t} HTTP/1.1"), RESET),
    Attack("a path without a slash", downgrade(path="evil?{t}"), RESET),
    Attack("an empty path", downgrade(path=""), RESET),
    Attack("CRLF in the method", downgrade(method=f"GET /smuggled?{{t}}{HIDDEN}\r\n\r\nGET"), ENDED),
    Attack("a space in the method", downgrade(method="GET /smuggled?{t} HTTP/1.1"), ENDED),
    Attack("CRLF in the authority", downgrade(authority=f"{HOST}{CRLF}"), RESET),
    Attack("a path in the authority", downgrade(authority=f"{HOST}/evil"), RESET),
    Attack("a user in the authority", downgrade(authority=f"evil@{HOST}"), ("400, 200; app: GET /after",)),
    Attack("a scheme with a URL in it", downgrade(scheme="http://evil.example/?"), RESET),
    Attack("another host beside the authority", downgrade(("host", "evil.example")), ("200, 200; app: GET /a, GET /after",)),
    Attack("two paths", downgrade((":path", "/smuggled?{t}")), RESET),
    Attack("a pseudo-field that is unknown", downgrade((":evil", "1")), ENDED),
    Attack("a pseudo-field behind a field", odd(("x-a", "1"), *plain()), RESET),
    Attack("no path", odd((":method", "GET"), (":scheme", "http"), (":authority", HOST), ("x-a", "{t}")), RESET),
    Attack("transfer-encoding", downgrade(("transfer-encoding", "chunked"), body=b"0\r\n\r\nGET /smuggled?{t} HTTP/1.1\r\n\r\n", method="POST"), RESET),
    Attack("transfer_encoding", downgrade(("transfer_encoding", "chunked"), body=b"abc", method="POST"), ("200, 200; app: GET /after, POST /a",)),
    Attack("connection", downgrade(("connection", "transfer-encoding")), RESET),
    Attack("te: chunked", downgrade(("te", "chunked")), RESET),
    Attack("upgrade", downgrade(("upgrade", "websocket")), RESET),
    Attack("a length that is too small", downgrade(("content-length", "1"), body=b"xGET /smuggled?{t} HTTP/1.1\r\n\r\n", method="POST"), RESET),
    Attack("a length that is too large", downgrade(("content-length", "60"), body=b"abc", method="POST"), RESET),
    Attack("a length with a sign", downgrade(("content-length", "+3"), body=b"abc", method="POST"), RESET),
    Attack("two lengths", downgrade(("content-length", "3"), ("content-length", "4"), body=b"abc", method="POST"), RESET),
    Attack("2,000 requests that are reset at once", abuse(resets(2_000)), ("goes away: enhance your calm; others are answered",)),
    Attack("a head that never ends, 4 MiB", abuse(head_without_end(1_000, 4_000)), ("goes away: enhance your calm; others are answered",)),
    Attack("a head that never ends, of empty frames", abuse(head_without_end(20_000, 0)), ("goes away: enhance your calm; others are answered",)),
    Attack("a field of 4 kB, meant 12,000 times", abuse(table_bomb(12_000)), ("goes away: enhance your calm; others are answered",)),
    Attack("10,000 pings", abuse(frame(PING, 0, 0, b"evilevil") * 10_000), ENDURED),
    Attack("10,000 settings", abuse(frame(SETTINGS, 0, 0) * 10_000), ENDURED),
    Attack("20,000 empty pieces of a body", abuse(frame(HEADERS, END_HEADERS, 1, fields(*plain("/b", "POST"))) + frame(DATA, 0, 1) * 20_000), ("goes away: enhance your calm; others are answered",)),
]
