"""What an attack is, and how what came of it is told."""

import dataclasses
import re
import typing

import wire

HOST = "shop.example"


@dataclasses.dataclass
class Attack:
    """One thing to try. `{t}` in its bytes is its token, by which the app knows its requests."""

    name: str
    #: Given the server, the app and the token: what came of it, in a few words.
    tried: typing.Callable
    #: What Tagalong is to say, word for word; several, where it depends on what comes first.
    expected: tuple
    #: Which servers it means something to, beside Tagalong.
    peers: bool = True
    #: It takes so much that nothing else is tried meanwhile.
    alone: bool = False


def lines(*fields, host=HOST, body="", version="HTTP/1.1", line="GET /a?{t}"):
    """A request: its line, its host unless that is `None`, more fields, a body."""
    named = [f"Host: {host}"] if host is not None else []
    return "\r\n".join([f"{line} {version}", *named, *fields, "", ""]) + body


#: Ends a connection in order, if it still goes on.
LAST = lines("Connection: close", line="GET /after?{t}")


def encoded(text, token):
    return text.replace("{t}", token).encode("latin-1")


def statuses(heard):
    """How the connection was answered, and how it ended."""
    told = [f"{answer.status or 'no HTTP'}{'' if answer.whole else ' cut'}" for answer in heard.answers]
    return f"{', '.join(told) or 'no answer'}{', closed' if heard.closed else ', waits'}"


def reached(app, token, order=list):
    """Which requests reached the app, without the token, for which host if not for ours, and in which order, where that is one."""
    told = [
        re.sub(rf"[?&]?{token}", "", asked.line).rsplit(" HTTP/", 1)[0] + (f" for {asked.field('host')}" if asked.field("host") != HOST else "")
        for asked in app.about(token)
    ]
    return f"app: {', '.join(order(told))}" if told else "app: nothing"


def others(server, token):
    """Whether somebody else is answered meanwhile."""
    answers = wire.send(server.port, [encoded(LAST, token)]).answers
    return f"others are {'answered' if answers and answers[0].status == 200 else 'not answered'}"


def framing(*texts):
    """Bytes over one connection, and a last request behind them. What matters is what the app takes for requests."""

    def tried(server, app, token):
        heard = wire.send(server.port, [encoded(text, token) for text in (*texts, LAST)])
        return f"{statuses(heard)}; {reached(app, token)}"

    return tried


def poisoning(first, victim=None):
    """A request that is not as others, then a plain one for the same page: does it get something of the first?"""

    def tried(server, app, token):
        page = victim or lines("Connection: close")
        wire.send(server.port, [encoded(first, token)])
        told = wire.send(server.port, [encoded(page, token)]).answers
        clean = wire.send(server.port, [encoded(page, f"{token}clean")]).answers
        if not told or not clean:
            return "no answer"
        differs = told[0].status != clean[0].status or told[0].body != clean[0].body.replace(b"clean", b"")
        return f"poisoned ({told[0].status})" if b"evil" in told[0].body.lower() or differs else "clean"

    return tried


def deception(path, login="Cookie: who=victim"):
    """Somebody who is logged in is made to follow a link; then the attacker asks for the same."""

    def tried(server, app, token):
        link = lines("Connection: close", login, line=f"GET {path}?{{t}}")
        mine = lines("Connection: close", line=f"GET {path}?{{t}}")
        told = [wire.send(server.port, [encoded(text, token)]).answers for text in (link, mine)]
        if not all(told):
            return "no answer"
        if b"victim" in told[1][0].body:
            return "gets the victim's page"
        return "gets a page of its own" if told[1][0].status == 200 else str(told[1][0].status)

    return tried


def answering(response, path=None):
    """An app that answers with these bytes, to a client that looks for a field in the head that must not be there."""

    def tried(server, app, token):
        text = lines("Connection: close", line=f"GET {path or '/raw/' + response.encode('latin-1').hex()}?{{t}}")
        heard = wire.send(server.port, [encoded(text, token)])
        head = heard.raw.partition(b"\r\n\r\n")[0].lower()
        found = any(line.startswith(b"x-injected") for line in re.split(rb"[\r\n]", head))
        more = ", injected" if found else ""
        return f"{statuses(heard)}{more}"

    return tried
