"""Secrets of clients and of operators: whether they show where others look, when all goes well and when it does not; and who fills the log.

Looked at are the log (as text, with the access log), all that the admin interface tells, what `check` prints, and what clients get: errors,
and headers for who debugs. The log is read when it has the lines that the attempt must leave. The beginning of a hash is no secret.
"""

import base64
import contextlib
import json
import pathlib
import socket
import subprocess
import tempfile
import time

import contestants
import sidecar
import wire
from attack import Attack, lines
from http2 import ACK, GOAWAY, PING, PREFACE, SETTINGS, frame, plain, request, with_token
from sidecar import DEBUG, TOKEN, call

RULES = [
    {"id": "person", "match": {"path": "/person"}, "vary_on": {"headers": ["Authorization"]}, "ttl": "60s"},
    {"id": "session", "match": {"path": "/session"}, "vary_on": {"cookies": ["sid"]}, "ttl": "60s"},
    {"id": "search", "match": {"methods": ["POST"], "path": "/search"}, "safe": True, "vary_on": {"body": {"json": ["/q"]}}, "ttl": "60s"},
    {"id": "items", "match": {"path": "/items"}, "tags_from_body": [{"json": "/id", "tag": "Item:{value}"}], "ttl": "60s"},
    {"id": "lacking", "match": {"path": "/lacking"}, "tags": ["L:{query.nothing}"], "ttl": "60s"},
]
#: All that tells something.
TOLD = [
    *("/metrics", "/readyz", "/v1/stats", "/v1/rules", "/v1/entries", "/v1/tags", "/v1/tags/~all", "/v1/increments", "/v1/audit", "/v1/epoch"),
    *("/v1/explain?url=http://shop.example/page", "/openapi.json", "/"),
]
#: A line of the access log, for each request that is one; and seconds that the log may be behind.
REQUEST, PATIENCE = b" INFO request ", 20
PASSWORD, HOOK, COLLECTOR = "hush-of-redis", "hush-of-the-hook", "hush-of-the-collector"


@contextlib.contextmanager
def own(program, behind):
    """Two: one that works, and one whose store, webhook and collector are not there."""
    with tempfile.TemporaryDirectory(prefix="attacks-secrets-") as folder, contextlib.ExitStack() as stack:
        server = stack.enter_context(sidecar.own(program, behind, rules=RULES, log="text"))
        nobody = contestants.free_port()
        files = {}
        for name, text in {"redis": f"redis://somebody:{PASSWORD}@127.0.0.1:{nobody}", "hook": HOOK, "collector": COLLECTOR}.items():
            files[name] = pathlib.Path(folder, name)
            files[name].write_text(text)
        settings = {
            "store": {"redis": {"url_file": str(files["redis"])}},
            "increment_webhooks": [{"url": f"http://127.0.0.1:{nobody}/", "batch": "100ms", "header_file": {"X-Key": str(files["hook"])}}],
            "telemetry": {"otlp_endpoint": f"http://127.0.0.1:{nobody}", "header_file": {"Authorization": str(files["collector"])}},
        }
        server.failing = stack.enter_context(sidecar.own(program, behind, settings, RULES, log="text"))
        config = pathlib.Path(folder, "check.yaml")
        config.write_text(json.dumps({"listen": ["127.0.0.1:1"], "upstream": {"url": f"http://127.0.0.1:{nobody}"}, **settings}))
        server.check = [program, "check", "--config", str(config)]
        yield server


def lacks(server, line, times=1):
    """What the log lacks: a line of this kind is to be there so many times."""
    until = time.monotonic() + PATIENCE
    while (found := server.log.read_bytes().count(line)) < times:
        if time.monotonic() > until:
            return f"of {times} lines with {line.decode().strip()!r} the log has {found}"
        time.sleep(0.01)
    return ""


def requests(server):
    """How many the log has so far."""
    return server.log.read_bytes().count(REQUEST)


def shown(server, secrets, answers=()):
    """Where one of these texts stands."""
    forms = [secret.encode() for secret in secrets]
    where = {"the log": server.log.read_bytes()}
    for path in TOLD:
        answer = call(server, "GET", path)
        if answer.status != 200:
            return f"{path} is {answer.status}"
        where[path] = b"".join(name.encode() + value.encode() for name, value in answer.fields) + answer.body
    for number, answer in enumerate(answers):
        where[f"answer {number + 1} ({answer.status})"] = "\n".join(value for _, value in answer.fields).encode("latin-1") + answer.body
    found = [place for place, text in where.items() if any(form in text for form in forms)]
    return f"in {', '.join(found)}" if found else "nowhere"


def ask(port, *texts):
    return [answer for text in texts for answer in wire.send(port, [text.encode("latin-1")]).answers]


def client(*fields, paths, body="", method="GET", asks="", answers=(200,)):
    """A client's secret, `{s}`: the pages are asked for twice each, by who may see more."""

    def tried(server, app, token):
        secret, before = f"hush{token}", requests(server)
        pair = base64.b64encode(f"user:{secret}".encode()).decode()
        sent = [field.replace("{s}", secret).replace("{b}", pair) for field in fields]
        text = body.replace("{s}", secret)
        more = [f"Content-Length: {len(text)}"] if text else []
        for path in paths:
            target = f"{path}?{token}{asks}".replace("{s}", secret)
            app.says(target, *SAID.get(path, ()))
        texts = [lines("Connection: close", f"Tagalong-Debug: {DEBUG}", *more, *sent, line=f"{method} {path}?{token}{asks}".replace("{s}", secret), body=text) for path in paths for _ in range(2)]
        heard = ask(server.port, *texts)
        if sorted({answer.status for answer in heard}) != sorted(answers):
            return f"answered {', '.join(str(answer.status) for answer in heard)}"
        return lacks(server, REQUEST, before + len(heard)) or shown(server, [secret, pair.rstrip("=")], heard)

    return tried


#: What the app says of some pages: things that the log tells its authors.
SAID = {
    "/items": ["Content-Type: application/json"],
    "/bad": ["Cache-Tag: a\"b", "Cache-Tag-Change: malformed;;"],
    "/many": ["Cache-Tag: " + ",".join(map(str, range(300)))],
}
EVERYWHERE = ["/page", "/bad", "/many", "/items", "/lacking", "/person", "/session"]


def malformed(text, status):
    """A request that is refused, with a secret in it."""

    def tried(server, app, token):
        secret, before = f"hush{token}", requests(server)
        # Of what is no request there is no line; of the one behind it there is.
        answers = ask(server.port, text.replace("{s}", secret), lines("Connection: close", line=f"GET /page?{token}"))
        if [answer.status for answer in answers] != [status, 200]:
            return f"answered {', '.join(str(answer.status) for answer in answers) or 'nothing'}"
        return lacks(server, REQUEST, before + 1) or shown(server, [secret], answers)

    return tried


def unreachable(*fields):
    """The same where the app breaks off: 502."""

    def tried(server, app, token):
        secret, before = f"hush{token}", requests(server)
        sent = [field.replace("{s}", secret) for field in fields]
        answers = ask(server.port, lines("Connection: close", *sent, line=f"GET /raw/{b'no HTTP'.hex()}?{token}"))
        if not answers or answers[0].status != 502:
            return f"answered {answers[0].status if answers else 'nothing'}"
        return lacks(server, REQUEST, before + 1) or shown(server, [secret], answers)

    return tried


def tokens():
    """An operator's, right and nearly right, with calls that go wrong."""

    def tried(server, app, token):
        before = server.log.read_bytes().count(READ_AGAIN)
        answers = [call(server, method, path, *more, body=body, token=known) for known in (TOKEN, TOKEN[:-1], f"{TOKEN}x") for method, path, more, body in CALLS]
        told = [answer.status for answer in answers]
        if told != [200, 400, 200, 404, 200] + [401] * 10:
            return f"answered {', '.join(map(str, told))}"
        return lacks(server, READ_AGAIN, before + 1) or shown(server, [TOKEN[:-1]], answers)

    return tried


READ_AGAIN = b"the files have been read again"
JSON = ["Content-Type: application/json"]
CALLS = [("GET", "/v1/stats", [], ""), ("POST", "/v1/purge", JSON, "{"), ("POST", "/v1/purge", JSON, '{"url": "http://shop.example/"}'), ("GET", "/v1/nothing", [], ""), ("POST", "/v1/reload", [], "")]


def debugging():
    """The secret of who debugs, right and nearly right."""

    def tried(server, app, token):
        before = requests(server)
        texts = []
        # Each has a page of its own, so that each reaches the app; and is told more of what is stored, or is not.
        for number, known in enumerate((DEBUG, DEBUG[:-1], f"{DEBUG}x")):
            app.says(f"/page?{token}{number}", "Cache-Tag: seen")
            texts += 2 * [lines("Connection: close", f"Tagalong-Debug: {known}", line=f"GET /page?{token}{number}")]
        answers, asked = ask(server.port, *texts), app.about(token)
        more = ["seen" in answer.field("cache-status") for answer in answers[1::2]]
        if len(asked) != 3 or more != [True, False, False]:
            return f"{len(asked)} reach the app, told more: {more}"
        reached = any("tagalong-debug" in dict(one.fields) for one in asked)
        return lacks(server, REQUEST, before + len(texts)) or shown(server, [DEBUG[:-1]], answers) + ("; the app is told" if reached else "")

    return tried


def operators(secret, failure):
    """A secret in the files of a sidecar to which nobody answers; the log has this failure."""

    def tried(server, app, token):
        failing, before = server.failing, requests(server.failing)
        app.says(f"/page?{token}", f"Cache-Tag: {token}")
        app.says(f"/told?{token}", f"Cache-Tag-Increment: {token}", public=False)
        texts = [lines("Connection: close", line=f"{request}?{token}") for request in ("GET /page", "GET /told", "GET /page")]
        answers = ask(failing.port, *texts)
        answers.append(call(failing, "POST", "/v1/tags/increment", *JSON, body=f'{{"tags": ["{token}"]}}'))
        printed = [subprocess.run([*server.check, *more], stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout for more in ([], ["--json"])]
        if not all(b"redis" in text for text in printed):
            return "check says nothing of it"
        answers += [wire.Answer(0, [], text) for text in printed]
        return lacks(failing, failure) or lacks(failing, REQUEST, before + len(texts)) or shown(failing, [secret], answers)

    return tried


def acknowledgements(count):
    """A line in the log costs a client as little as 17 bytes, if it is for the asking."""

    def tried(server, app, token):
        before, asked = server.log.read_bytes().count(b"\n"), requests(server)
        frames = PREFACE + frame(SETTINGS, 0, 0) + frame(PING, ACK, 0, b"evilevil") * count
        frames += request(1, with_token(plain(), token)) + frame(GOAWAY, 0, 0, bytes(8))
        with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
            connection.settimeout(wire.SILENCE)
            back = wire.hear(connection, [frames])
        if not back.raw:
            return "no answer"
        if lacking := lacks(server, REQUEST, asked + 1):
            return lacking
        logged = server.log.read_bytes().count(b"\n") - before
        return "bounded" if logged < count / 10 else f"{logged} lines in the log"

    return tried


NOWHERE = ("nowhere",)
ATTACKS = [
    Attack("a bearer token", client("Authorization: Bearer {s}", paths=EVERYWHERE), NOWHERE),
    Attack("a name and a password", client("Authorization: Basic {b}", paths=EVERYWHERE), NOWHERE),
    Attack("a cookie", client("Cookie: sid={s}; other={s}", paths=EVERYWHERE), NOWHERE),
    Attack("a key in a field of its own", client("X-Api-Key: {s}", paths=EVERYWHERE), NOWHERE),
    Attack("a token in the query", client(paths=["/bad", "/many", "/items", "/lacking"], asks="&token={s}"), NOWHERE),
    Attack("a body that is part of the key", client("Content-Type: application/json", paths=["/search"], method="POST", body='{"q": "{s}"}'), NOWHERE),
    Attack("credentials, and an app that breaks off", unreachable("Authorization: Bearer {s}", "Cookie: sid={s}"), NOWHERE),
    Attack("credentials in a request that is malformed", malformed("GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\nAuthorization: Bearer {s}\r\n\r\n", 400), NOWHERE),
    Attack("credentials in the target", malformed("GET http://user:{s}@shop.example/ HTTP/1.1\r\nHost: shop.example\r\n\r\n", 400), NOWHERE),
    Attack("HTTP/2: 1,000 answers to pings that nobody has sent", acknowledgements(1_000), ("bounded",)),
    Attack("the token of operators", tokens(), NOWHERE),
    Attack("the secret of developers", debugging(), NOWHERE),
    Attack("the password of Redis, which is not there", operators(PASSWORD, b"the shared store cannot be used"), NOWHERE),
    Attack("the key of a webhook, which is not there", operators(HOOK, b"the webhook did not take increments"), NOWHERE),
    Attack("the token of a collector, which is not there", operators(COLLECTOR, b"spans cannot be sent"), NOWHERE),
]
