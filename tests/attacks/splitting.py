"""Apps that write what clients sent into their heads, and apps whose framing is wrong: what clients get to see of it."""

from attack import Attack, answering

OK = "HTTP/1.1 200 OK\r\n"


def head(*fields, body="ok"):
    return answering(OK + "".join(f"{field}\r\n" for field in fields) + "\r\n" + body)


BAD = ("502, closed",)
LENGTH = "Content-Length: 2"
ATTACKS = [
    Attack("CRLF in a value", head("X-A: 1\r\nX-Injected: 1", LENGTH), ("200, closed, injected",)),
    Attack("a bare CR in a value", head("X-A: 1\rX-Injected: 1", LENGTH), BAD),
    Attack("a bare LF in a value", head("X-A: 1\nX-Injected: 1", LENGTH), ("200, closed, injected",)),
    Attack("a NUL in a value", head("X-A: 1\0X-Injected: 1", LENGTH), BAD),
    Attack("a folded value", head("X-A: 1\r\n X-Injected: 1", LENGTH), ("200, closed",)),
    Attack("a space before a colon", head("X-Injected : 1", LENGTH), ("200, closed, injected",)),
    Attack("a reason with a CR", answering("HTTP/1.1 200 O\rX-Injected: 1\r\n" + LENGTH + "\r\n\r\nok"), BAD),
    Attack("two lengths", head(LENGTH, "Content-Length: 60"), BAD),
    Attack("a length and chunks", head(LENGTH, "Transfer-Encoding: chunked", body="2\r\nok\r\n0\r\n\r\n"), ("200, closed",)),
    Attack("a length with a sign", head("Content-Length: +2"), BAD),
    Attack("an unknown coding", head("Transfer-Encoding: gzip, chunked", body="2\r\nok\r\n0\r\n\r\n"), BAD),
    Attack("a coding in quotes", head('Transfer-Encoding: "chunked"', body="2\r\nok\r\n0\r\n\r\n"), BAD),
    Attack("chunks that are none", head("Transfer-Encoding: chunked", body="zz\r\nok\r\n0\r\n\r\n"), ("200 cut, closed",)),
    Attack("a body that is cut", head("Content-Length: 60"), ("200 cut, closed",)),
    Attack("a second response behind the first", head(LENGTH, body="okHTTP/1.1 200 OK\r\nX-Injected: 1\r\nContent-Length: 4\r\n\r\nevil"), ("200, closed",)),
    Attack("101 that nobody asked for", answering("HTTP/1.1 101 Switching Protocols\r\nX-Injected: 1\r\n\r\nevil"), BAD),
    Attack("a status of four digits", answering("HTTP/1.1 2000 OK\r\n" + LENGTH + "\r\n\r\nok"), BAD),
    Attack("no HTTP at all", answering("evil"), BAD),
    Attack("a head that is too large", answering("", path="/raw-large/100000"), BAD),
]
