"""One page, and a thousand values of what it varies by: how many of them are kept, and whether other pages stay.

Tagalong keeps `limits.max_variants` (64) of a page and passes the rest on; the others keep what they have room for.
"""

import wire
from attack import Attack, encoded, lines

COUNT, AT_ONCE = 1_000, 50
OTHERS = 10


def ask(server, token, texts):
    """So many over a connection at a time."""
    answers = []
    for first in range(0, len(texts), AT_ONCE):
        some = texts[first : first + AT_ONCE]
        some[-1] = some[-1].replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
        answers += wire.send(server.port, [encoded("".join(some), token)]).answers
    return answers


def values(name, of):
    """Each value once, then each once more."""

    def tried(server, app, token):
        target = f"/varied?{token}"
        app.says(target, f"Vary: {name}")
        others = [lines(line=f"GET /other-{number}?{token}other") for number in range(OTHERS)]
        ask(server, token, list(others))
        texts = [lines(f"{name}: {of(number)}", line=f"GET {target}") for number in range(COUNT)]
        asked = []
        for _ in range(2):
            answers = ask(server, token, list(texts))
            if [answer.status for answer in answers] != [200] * COUNT:
                return "not all are answered"
            asked.append(len([one for one in app.about(token) if one.target == target]))
        before = len(app.about(f"{token}other"))
        ask(server, token, list(others))
        stay = "other pages stay" if len(app.about(f"{token}other")) == before else "other pages are pushed out"
        kept = COUNT - (asked[1] - asked[0]) if asked[0] == COUNT else asked[0]
        return f"{kept} {'kept' if asked[0] == COUNT else 'fetched'}; {stay}"

    return tried


def codings(number):
    """Spellings of one wish."""
    return f"gzip;q=0.{number:03}" if number else "gzip"


ATTACKS = [
    Attack("1,000 values of a field", values("X-A", str), ("64 kept; other pages stay",)),
    Attack("1,000 values of a field, 4 kB each", values("X-A", lambda number: f"{number}{'x' * 4_000}"), ("64 kept; other pages stay",)),
    Attack("1,000 clients with browsers of their own", values("User-Agent", lambda number: f"Mozilla/5.0 ({number})"), ("64 kept; other pages stay",)),
    Attack("1,000 spellings of Accept-Encoding", values("Accept-Encoding", codings), ("64 kept; other pages stay",)),
]
