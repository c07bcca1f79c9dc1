"""Requests that are not the same and must not get each other's page, though one may glue their parts to the same text (L7).

Each is asked for twice. "apart" says that each got its own page, and the second time from the store.
"""

import socket
import ssl

import wire
from attack import HOST, Attack, encoded, lines


def over_tls(server, pieces):
    """As `wire.send`, over TLS."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", server.doors["https"]), 5) as plain, context.wrap_socket(plain) as connection:
        connection.settimeout(wire.SILENCE)
        return wire.hear(connection, pieces)


def apart(*texts, vary=None):
    """Whether each has an entry of its own. A text that begins with `https:` comes over TLS, or by the word of what ends TLS in front."""

    def ask(server, text, token):
        if not text.startswith("https:"):
            return wire.send(server.port, [encoded(text, token)]).answers
        text = encoded(text.removeprefix("https:"), token)
        if "https" in server.doors:
            return over_tls(server, [text]).answers
        return wire.send(server.port, [text.replace(b"Connection: close", b"Connection: close\r\nX-Forwarded-Proto: https")]).answers

    def tried(server, app, token):
        if vary:
            app.says(f"/varies?{token}", f"Vary: {vary}")
        first = [ask(server, text, token) for text in texts]
        asked = len(app.about(token))
        second = [ask(server, text, token) for text in texts]
        if not all(answers and answers[0].status == 200 for answers in first + second):
            return "refused"
        if asked < len(texts):
            return f"together: {asked} for {len(texts)}"
        if any(once[0].body != again[0].body for once, again in zip(first, second)):
            return "together the second time"
        return "apart" if len(app.about(token)) == asked else "apart, and not stored"

    return tried


def targets(*each):
    return apart(*(lines("Connection: close", line=f"GET {target}") for target in each))


def fields(*each):
    """A page that says that it varies by `X-A` and `X-B`, with these lines."""
    return apart(*(lines("Connection: close", *more, line="GET /varies?{t}") for more in each), vary="X-A, X-B")


APART = ("apart",)
ATTACKS = [
    Attack("http, and https with a host that lacks the s", apart(lines("Connection: close", host=f"s{HOST}"), "https:" + lines("Connection: close")), APART),
    Attack("the same page of two schemes", apart(lines("Connection: close"), "https:" + lines("Connection: close")), APART),
    Attack("hosts that differ by a port", apart(*(lines("Connection: close", host=host) for host in (HOST, f"{HOST}:81", f"{HOST}:8"))), APART),
    Attack("a slash, encoded or not", targets("/a/b?{t}", "/a%2Fb?{t}"), APART),
    Attack("a question mark, encoded or not", targets("/a?{t}&b", "/a%3F{t}&b"), APART),
    Attack("one slash and two", targets("/a/b?{t}", "/a//b?{t}", "/a/b/?{t}"), APART),
    Attack("dot segments", targets("/a/c?{t}", "/a/./c?{t}", "/a/b/../c?{t}", "/a/b/%2e%2e/c?{t}"), APART),
    Attack("letter case of the path", targets("/a?{t}", "/A?{t}"), APART),
    Attack("a NUL at the end, encoded", targets("/a?{t}", "/a%00?{t}"), APART),
    Attack("an ampersand, encoded or not", targets("/a?{t}&x=1&y=2", "/a?{t}&x=1%26y=2", "/a?{t}&x=1%26y%3D2"), APART),
    Attack("absent, empty, 0 and null", targets("/a?{t}", "/a?{t}&x", "/a?{t}&x=0", "/a?{t}&x=null"), APART),
    Attack("a parameter twice, in another order", targets("/a?{t}&x=1&x=2", "/a?{t}&x=2&x=1", "/a?{t}&x=1,2", "/a?{t}&x=1%2C2"), APART),
    Attack("a semicolon and an ampersand", targets("/a?{t}&x=1;y=2", "/a?{t}&x=1&y=2"), APART),
    Attack("a plus, encoded or not", targets("/a?{t}&x=+", "/a?{t}&x=%2B"), APART),
    Attack("no query and an empty one", targets("/a{t}", "/a{t}?"), APART),
    Attack("fields whose values are one text together", fields(["X-A: ab", "X-B: c"], ["X-A: a", "X-B: bc"], ["X-A: abc"], ["X-B: abc"]), APART),
    Attack("a field with another's name in it", fields(["X-A: 1", "X-B: 2"], ["X-A: 1 X-B: 2"], ["X-A: 1&x-b=2"], ["X-A: 1, X-B: 2"]), APART),
    Attack("a field absent, empty, 0 and null", fields([], ["X-A:"], ["X-A: 0"], ["X-A: null"]), APART),
    Attack("percent signs encoded twice", targets("/a%41?{t}", "/a%2541?{t}"), APART),
]
