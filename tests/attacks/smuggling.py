"""Requests that two servers may read differently (RFC 9112 §11.2): lengths, codings, chunks, lines, names, targets, hosts.

Behind each comes a plain request for `/after`. The one that is hidden asks for `/smuggled`.
"""

from attack import Attack, framing, lines

HIDDEN = "GET /smuggled?{t} HTTP/1.1\r\nHost: shop.example\r\n\r\n"
REFUSED = ("400, closed; app: nothing",)
#: The head may have been on its way when the body went wrong; the app never gets to its end.
CUT = (*REFUSED, "400, closed; app: POST /a")
#: What is allowed, as what it is: two requests.
BOTH = ("200, 200, closed; app: GET /a, GET /after",)
POST = "POST /a?{t}"


def post(*fields, body="", **more):
    return framing(lines(*fields, body=body, line=POST, **more))


def coded(value, name="Transfer-Encoding"):
    """Chunks that end at once and hide a request behind their end, beside a length that covers both."""
    body = f"0\r\n\r\n{HIDDEN}"
    return framing(lines(f"Content-Length: {len(body) + 20}", f"{name}: {value}", body=body, line=POST))


def uncoded(value):
    """The same without a length."""
    return framing(lines(f"Transfer-Encoding: {value}", body=f"0\r\n\r\n{HIDDEN}", line=POST))


def chunked(body):
    return framing(lines("Transfer-Encoding: chunked", body=body, line=POST))


def field(text):
    return framing(lines(text))


ATTACKS = [
    Attack("CL.TE", coded("chunked"), REFUSED),
    Attack("TE.CL", framing(lines("Transfer-Encoding: chunked", "Content-Length: 4", body="1e\r\n" + HIDDEN[:30] + "\r\n0\r\n\r\n", line=POST)), REFUSED),
    Attack("TE.TE, two fields", framing(lines("Transfer-Encoding: chunked", "Transfer-Encoding: cow", body=f"0\r\n\r\n{HIDDEN}", line=POST)), REFUSED),
    Attack("TE: xchunked", uncoded("xchunked"), REFUSED),
    Attack("TE: chunked, with a tab before it", coded("\tchunked"), REFUSED),
    Attack("TE: chunked, identity", uncoded("chunked, identity"), REFUSED),
    Attack("TE: identity", uncoded("identity"), REFUSED),
    Attack("TE: chunked twice", uncoded("chunked, chunked"), ("501, closed; app: nothing",)),
    Attack("TE: chunked in quotes", uncoded('"chunked"'), REFUSED),
    Attack("TE: chunked with a parameter", uncoded("chunked;q=0.5"), REFUSED),
    Attack("TE: chunked behind a vertical tab", coded("\x0bchunked"), REFUSED),
    Attack("TE with a space before its colon", coded("chunked", "Transfer-Encoding "), REFUSED),
    Attack("TE with an underscore", coded("chunked", "Transfer_Encoding"), ("200, 400, closed; app: POST /a",)),
    Attack("TE on a folded line", framing(lines("X-A: 1", " Transfer-Encoding: chunked", body=f"0\r\n\r\n{HIDDEN}", line=POST)), REFUSED),
    Attack("TE whose value is folded", uncoded("\r\n chunked"), REFUSED),
    Attack("TE behind a bare LF", framing(lines("X-A: 1\nTransfer-Encoding: chunked", body=f"0\r\n\r\n{HIDDEN}", line=POST)), ("200, 200, 200, closed; app: POST /a, GET /smuggled, GET /after",)),
    Attack("TE behind a bare CR", framing(lines("X-A: 1\rTransfer-Encoding: chunked", body=f"0\r\n\r\n{HIDDEN}", line=POST)), REFUSED),
    Attack("TE in HTTP/1.0", post("Transfer-Encoding: chunked", body=f"0\r\n\r\n{HIDDEN}", version="HTTP/1.0"), REFUSED),
    Attack("two lengths that differ", post("Content-Length: 0", "Content-Length: 60", body=HIDDEN), REFUSED),
    Attack("a list of lengths that differ", post("Content-Length: 0, 60", body=HIDDEN), REFUSED),
    Attack("a length with a sign", post("Content-Length: +0", body=HIDDEN), REFUSED),
    Attack("a negative length", post("Content-Length: -1", body=HIDDEN), REFUSED),
    Attack("a length in hexadecimal", post("Content-Length: 0x10", body=HIDDEN), REFUSED),
    Attack("a length that overflows", post("Content-Length: 18446744073709551616", body=HIDDEN), REFUSED),
    Attack("a length with a space in it", post("Content-Length: 1 0", body=HIDDEN), REFUSED),
    Attack("an empty length", post("Content-Length: ", body=HIDDEN), REFUSED),
    Attack("a length with a NUL", post("Content-Length: 0\0", body=HIDDEN), REFUSED),
    Attack("a chunk's size with 0x", chunked(f"0x0\r\n\r\n{HIDDEN}"), CUT),
    Attack("a chunk's size that overflows", chunked(f"10000000000000000\r\n\r\n{HIDDEN}"), CUT),
    Attack("a chunk's size with a sign", chunked(f"+0\r\n\r\n{HIDDEN}"), CUT),
    Attack("a chunk's size ended by a bare LF", chunked(f"0\n\r\n{HIDDEN}"), CUT),
    Attack("a chunk's extension with a bare LF in it", chunked(f"1;a\nb\r\nx\r\n0\r\n\r\n{HIDDEN}"), CUT),
    Attack("a chunk without its CRLF", chunked(f"1\r\nx0\r\n\r\n{HIDDEN}"), CUT),
    Attack("a trailer that says a length", chunked(f"0\r\nContent-Length: 60\r\n\r\n{HIDDEN}"), ("200, 200, 200, closed; app: POST /a, GET /smuggled, GET /after",)),
    Attack("a bare LF between fields", framing("GET /a?{t} HTTP/1.1\nHost: shop.example\n\n"), BOTH),
    Attack("a bare CR between fields", framing("GET /a?{t} HTTP/1.1\rHost: shop.example\r\r"), REFUSED),
    Attack("a field without a colon", field("GET /smuggled?{t} HTTP/1.1"), REFUSED),
    Attack("a field without a name", field(": x"), REFUSED),
    Attack("a space before a colon", field("X-A : 1"), REFUSED),
    Attack("a NUL in a value", field("X-A: a\0b"), REFUSED),
    Attack("an obs-fold", field("X-A: 1\r\n GET /smuggled?{t} HTTP/1.1"), REFUSED),
    Attack("a space before the first field", framing("GET /a?{t} HTTP/1.1\r\n X-A: 1\r\nHost: shop.example\r\n\r\n"), REFUSED),
    Attack("two hosts", field("Host: evil.example"), REFUSED),
    Attack("no host", framing(lines(host=None)), REFUSED),
    Attack("a host with a user", framing(lines(host="evil@shop.example")), REFUSED),
    Attack("a host with a path", framing(lines(host="shop.example/evil")), REFUSED),
    Attack("a host in a list", framing(lines(host="shop.example, evil.example")), REFUSED),
    Attack("a target in absolute form with another host", framing(lines(line="GET http://other.example/a?{t}")), ("200, 200, closed; app: GET /a for other.example, GET /after",)),
    Attack("a target in absolute form with a user", framing(lines(line="GET http://evil@shop.example/a?{t}")), REFUSED),
    Attack("a target of authority form", framing(lines(line="GET evil?{t}")), REFUSED),
    Attack("a target that is a host alone", framing(lines(line="GET {t}evil")), REFUSED),
    Attack("a target with a fragment", framing(lines(line="GET /a?{t}#x")), BOTH),
    Attack("a target with a space", framing(lines(line="GET /a?{t} /smuggled")), REFUSED),
    Attack("a target with a backslash", framing(lines(line="GET /a\\..\\b?{t}")), ("200, 200, closed; app: GET /a\\..\\b, GET /after",)),
    Attack("a target of two slashes", framing(lines(line="GET //evil.example/a?{t}")), ("200, 200, closed; app: GET //evil.example/a, GET /after",)),
    Attack("a method of two lines", framing("GET /x?{t}\r\nGET /smuggled?{t} HTTP/1.1\r\nHost: shop.example\r\n\r\n"), REFUSED),
    Attack("an unknown version", framing(lines(version="HTTP/1.9")), REFUSED),
    Attack("CONNECT", framing(lines(line="CONNECT shop.example:80")), ("501, closed; app: nothing",)),
    Attack("TRACE", framing(lines("Cookie: a=b", line="TRACE /a?{t}")), ("200, 200, closed; app: TRACE /a, GET /after",)),
    Attack("a GET with a body", framing(lines(f"Content-Length: {len(HIDDEN)}", body=HIDDEN)), BOTH),
    Attack("an upgrade to h2c", framing(lines("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")), BOTH),
    Attack("an upgrade with a request behind it", framing(lines("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 7", body=HIDDEN)), ("200, 200, 200, closed; app: GET /a, GET /smuggled, GET /after",)),
    Attack("Expect: 100-continue with a body at once", post("Expect: 100-continue", "Content-Length: 3", body="abc"), ("200, 200, closed; app: POST /a, GET /after",)),
    Attack("Connection: Content-Length", post("Connection: close, Content-Length", "Content-Length: 3", body="abc"), ("200, closed; app: POST /a",)),
    Attack("Connection: Host", framing(lines("Connection: close, Host")), REFUSED),
]
