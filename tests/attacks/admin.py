"""The admin interface of an operator who is logged in somewhere, called by pages in a browser and by who has no token.

A page is stored before each call; "stays" says that nothing has become of it. Who has no token learns nothing from what is wrong with the
one it guesses: all are answered with the same bytes.
"""

import sidecar
import wire
from attack import Attack, encoded, lines, reached
from sidecar import TOKEN, call

OTHER = "http://evil.example"
JSON = "Content-Type: application/json"


def own(program, behind):
    return sidecar.own(program, behind)


def stored(server, token):
    """Whether a page is stored; if not yet, it is now."""
    text = encoded(lines("Connection: close", line="GET /page?{t}"), token)
    answers = wire.send(server.port, [text]).answers
    return bool(answers) and "; hit" in answers[0].field("cache-status")


def changing(method, path, *fields, body="", **more):
    """A call that would change something, and what becomes of the page."""

    def tried(server, app, token):
        stored(server, token)
        answer = call(server, method, path, *fields, body=body, **more)
        allowed = ", allowed to other origins" if any(name.startswith("access-control-") for name, _ in answer.fields) else ""
        return f"{answer.status}, {'stays' if stored(server, token) else 'is forgotten'}{allowed}"

    return tried


def purge(*fields, kind=JSON, body='{"all": true}', **more):
    return changing("POST", "/v1/purge", *([kind] if kind else []), *fields, body=body, **more)


def reading(path="/v1/stats", *fields, **more):
    """A call that would tell something."""

    def tried(server, app, token):
        answer = call(server, "GET", path, *fields, **more)
        told = ", told" if b"requests" in answer.body or b"sidecar" in answer.body else ""
        return f"{answer.status}{told}"

    return tried


def guesses():
    """Wrong tokens, each of another kind, and none: what tells one from another."""
    same = "x" * len(TOKEN)
    wrong = ["", same, TOKEN[:-1], TOKEN[:-1] + "X", "X" + TOKEN[1:], TOKEN + "x", TOKEN.upper(), "x" * 5_000, "\xff" * len(TOKEN)]

    def tried(server, app, token):
        calls = [("/v1/stats", f"Authorization: Bearer {guess}") for guess in wrong]
        calls += [("/v1/stats", f"Authorization: Basic {TOKEN}"), ("/v1/stats", f"Cookie: token={TOKEN}"), (f"/v1/stats?token={TOKEN}&access_token={TOKEN}", "X-A: 1")]
        calls += [("/v1/nothing", f"Authorization: Bearer {same}"), ("/v1/stats", f"Authorization: Bearer {TOKEN}\r\nAuthorization: Bearer {TOKEN}")]
        answers = [call(server, "GET", path, field, token=None) for path, field in calls]
        right = call(server, "GET", "/v1/stats", token=TOKEN)
        kinds = {(answer.status, tuple(field for field in answer.fields if field[0] != "date"), answer.body) for answer in answers}
        status = sorted({answer.status for answer in answers})
        return f"{len(kinds)} kind of answer: {', '.join(map(str, status))}; the right one: {right.status}"

    return tried


def through_the_front(path):
    """What clients reach is the app alone."""

    def tried(server, app, token):
        text = encoded(lines("Connection: close", f"Authorization: Bearer {TOKEN}", line=f"GET {path}?{{t}}"), token)
        answers = wire.send(server.port, [text]).answers
        return f"{answers[0].status if answers else 'no answer'}; {reached(app, token)}"

    return tried


def crowd(count, text):
    """So many connections that say this much, and a probe beside them."""

    def tried(server, app, token):
        opened = [wire.begin(server.doors["admin"], text.encode()) for _ in range(count)]
        try:
            answer = call(server, "GET", "/healthz", token=None)
        finally:
            for connection in opened:
                connection.close()
        return f"a probe is answered {answer.status}"

    return tried


def splitting():
    """What a caller names is told back in the answer and the audit."""

    def tried(server, app, token):
        body = '{"tags": ["a\\r\\nX-Injected: 1", "b"]}'
        answer = call(server, "POST", "/v1/tags/increment", JSON, body=body)
        injected = any(name == "x-injected" for name, _ in answer.fields) or b"\r\n" in answer.body
        return f"{answer.status}{', injected' if injected else ''}"

    return tried


REFUSED, UNKNOWN, FORBIDDEN = ("401, stays",), ("415, stays",), ("403, stays",)
ATTACKS = [
    Attack("what an operator may do", purge(), ("200, is forgotten",)),
    Attack("without a token", purge(token=None), REFUSED),
    Attack("from another origin", purge(f"Origin: {OTHER}"), FORBIDDEN),
    Attack("from an origin that is hidden", purge("Origin: null"), FORBIDDEN),
    Attack("from this host with another port", purge("Origin: http://localhost:1"), FORBIDDEN),
    Attack("from a page whose browser says only that it is another site's", purge("Sec-Fetch-Site: cross-site"), FORBIDDEN),
    Attack("from a page of a sister site", purge("Sec-Fetch-Site: same-site"), FORBIDDEN),
    Attack("from another origin, without a token", purge(f"Origin: {OTHER}", token=None), FORBIDDEN),
    Attack("a form", purge(kind="Content-Type: application/x-www-form-urlencoded", body="all=true"), UNKNOWN),
    Attack("JSON as a form sends it", purge(kind="Content-Type: text/plain"), UNKNOWN),
    Attack("a form of parts", purge(kind="Content-Type: multipart/form-data; boundary=x", body='--x\r\nContent-Disposition: form-data; name="all"\r\n\r\ntrue\r\n--x--\r\n'), UNKNOWN),
    Attack("JSON that does not say so", purge(kind=None), UNKNOWN),
    Attack("JSON that says another type first", purge(kind="Content-Type: text/plain; application/json"), UNKNOWN),
    Attack("a link", changing("GET", "/v1/purge?all=true"), ("405, stays",)),
    Attack("a link that overrides its method", changing("GET", "/v1/purge?_method=POST", "X-HTTP-Method-Override: POST", JSON, body='{"all": true}'), ("405, stays",)),
    Attack("a preflight", changing("OPTIONS", "/v1/purge", f"Origin: {OTHER}", "Access-Control-Request-Method: POST", token=None), FORBIDDEN),
    Attack("tokens that are guessed", guesses(), ("1 kind of answer: 401; the right one: 200",)),
    Attack("without a token, by way of what needs none", reading("/assets/../v1/stats", token=None), ("404",)),
    Attack("the same, encoded", reading("/assets/..%2fv1/stats", token=None), ("404",)),
    Attack("the same, dots encoded", reading("/assets/%2e%2e/v1/stats", token=None), ("404",)),
    Attack("two slashes", reading("//v1/stats", token=None), ("401",)),
    Attack("upper case", reading("/V1/STATS", token=None), ("401",)),
    Attack("a slash at the end", reading("/v1/stats/", token=None), ("401",)),
    Attack("the target of another header", reading("/healthz", "X-Original-URL: /v1/stats", "X-Rewrite-URL: /v1/stats", token=None), ("200",)),
    Attack("through the port of clients", through_the_front("/v1/stats"), ("200; app: GET /v1/stats",)),
    Attack("metrics through the port of clients", through_the_front("/metrics"), ("200; app: GET /metrics",)),
    Attack("a name with CRLF", splitting(), ("422",)),
    Attack("150 connections that say nothing", crowd(150, ""), ("a probe is answered 200",)),
    Attack("150 calls without an end", crowd(150, f"POST /v1/purge HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n{JSON}\r\nContent-Length: 100\r\n\r\n{{"), ("a probe is answered 200",)),
]
