"""Requests that cost more than their length: patterns that backtrack, templates, lists of thousands.

Told is how much of a processor they take beside plain ones of that many bytes, of which nothing has to be looked at: "bounded" is at most a
hundred times as much. What backtracks does not come to an end, and is seen so; what grows with the square of its length is seen only where
a step of it costs more than a little.
"""

import sidecar
import wire
from attack import Attack, encoded, lines

RULES = [
    {"id": "nested", "match": {"path": r"/nested/(a+)+b"}, "ttl": "60s"},
    {"id": "alternatives", "match": {"path": r"/alternatives/(a|a|aa)+b"}, "ttl": "60s"},
    {"id": "stars", "match": {"path": r"/stars/(.*)*(.*)*(.*)*=(.*)b"}, "ttl": "60s"},
    {"id": "counted", "match": {"path": r"/counted/(a{1,50}){1,50}b"}, "ttl": "60s"},
    {"id": "glob", "match": {"path": "/glob/*a*a*a*a*a*a*a*b"}, "ttl": "60s"},
    {"id": "words", "match": {"path": "/words", "headers": [{"name": "X-A", "matches": r"(\w+\s?)*!"}]}, "ttl": "60s"},
    {"id": "captured", "match": {"path": r"/captured/(?P<a>(?:a|aa)+)(?P<b>a*)"}, "tags": ["P:{a}:{b}"], "ttl": "60s"},
    {"id": "tagged", "match": {"path": "/tagged"}, "tags": ["Q:{query.q}"], "ttl": "60s"},
    {"id": "sorted", "match": {"path": "/sorted"}, "vary_on": {"query": {"params": [{"name": "b", "multi": "sorted", "normalize": "lower_trim"}]}}, "ttl": "60s"},
    {"id": "dropped", "match": {"path": "/dropped"}, "vary_on": {"query": {"drop": [f"*{letter}*_*{letter}" for letter in "abcdefgh"]}}, "ttl": "60s"},
    {"id": "cookies", "match": {"path": "/cookies"}, "vary_on": {"cookies": ["a", "b", "c", "d", "e", "f", "g", "h"]}, "ttl": "60s"},
    {"id": "languages", "match": {"path": "/languages"}, "vary_on": {"headers": [{"name": "Accept-Language", "normalize": "primary_lang", "of": ["en", "de"]}]}, "ttl": "60s"},
]
#: Bytes of a request; below the limit of heads.
LENGTH = 32_000
#: Requests in a row, and how many times as much is too much.
TIMES, TOO_MUCH = 40, 100


def own(program, behind):
    return sidecar.own(program, behind, rules=RULES)


def cost(server, app, text, token):
    """Seconds of processor, and the status."""
    app.says(text.split(" ")[1].replace("{t}", token))  # not the page with all of it in it
    before = sidecar.processor(server)
    answers = wire.send(server.port, [encoded(text * (TIMES - 1) + text.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"), token)], PATIENCE).answers
    spent = sidecar.processor(server) - before
    return spent, answers[-1].status if len(answers) == TIMES else "no answer"


def plain(length):
    """A request of so many bytes that mean nothing: half of them in its path, half in a field."""
    half = length // 2
    return lines(f"X-Plain: {'x' * half}", line=f"GET /plain/{'x' * half}?{{t}}")


def costs(*fields, path="/a", query=""):
    """A request with these, beside a plain one that is as long."""
    evil = lines(*fields, line=f"GET {path}?{{t}}{query}")

    def tried(server, app, token):
        plainly, _ = cost(server, app, plain(len(evil)), f"{token}plain")
        spent, status = cost(server, app, evil, token)
        # Of what takes no time that a clock tells there are no ratios.
        ratio = spent / max(plainly, TICK)
        return f"{status}, {'bounded' if ratio <= TOO_MUCH else f'{ratio:.0f} times as much'}"

    return tried


def fill(piece, glue=""):
    """So many of these as make the length; `#` is their number."""
    made, size, number = [], 0, 0
    while size < LENGTH:
        made.append(piece.replace("#", str(number)))
        size, number = size + len(made[-1]) + len(glue), number + 1
    return glue.join(made)


#: Seconds.
PATIENCE, TICK = 20, 0.01
BOUNDED = ("200, bounded",)
A = "a" * LENGTH
ATTACKS = [
    Attack("nested quantifiers", costs(path=f"/nested/{A}"), BOUNDED),
    Attack("alternatives that overlap", costs(path=f"/alternatives/{A}"), BOUNDED),
    Attack("stars in a row", costs(path=f"/stars/{A}"), BOUNDED),
    Attack("counted in counted", costs(path=f"/counted/{A}"), BOUNDED),
    Attack("a pattern of many stars", costs(path=f"/glob/{A}"), BOUNDED),
    Attack("nested quantifiers on a field", costs(f"X-A: {A}", path="/words"), BOUNDED),
    Attack("captures that overlap", costs(path=f"/captured/{A}"), BOUNDED),
    Attack("a tag of 10,000 separators", costs(path="/tagged", query=f"&q={fill('%2C')}"), BOUNDED),
    Attack("a tag of 10,000 line feeds", costs(path="/tagged", query=f"&q={fill('%0A')}"), BOUNDED),
    Attack("thousands of parameters", costs(query="&" + fill("p#=#", "&")), BOUNDED),
    Attack("thousands of times one parameter", costs(path="/sorted", query="&" + fill("b=%20#", "&")), BOUNDED),
    Attack("parameters against patterns that drop", costs(path="/dropped", query="&" + fill("aabbccddeeffgghh_#", "&")), BOUNDED),
    Attack("thousands of empty parameters", costs(query=fill("&")), BOUNDED),
    Attack("thousands of dot segments", costs(path="/a" + fill("/..")), BOUNDED),
    Attack("thousands of encoded dot segments", costs(path="/a" + fill("/%2e%2E/x")), BOUNDED),
    Attack("thousands of slashes", costs(path=fill("/")), BOUNDED),
    Attack("thousands of cookies", costs(f"Cookie: {fill('n#=1', '; ')}", path="/cookies"), BOUNDED),
    Attack("thousands of times one cookie", costs(f"Cookie: {fill('h=#', '; ')}", path="/cookies"), BOUNDED),
    Attack("thousands of languages", costs(f"Accept-Language: {fill('x-#;q=0.5', ',')}", path="/languages"), BOUNDED),
    Attack("thousands of codings", costs(f"Accept-Encoding: {fill('x#;q=0.5', ',')}"), BOUNDED),
    Attack("thousands of wishes", costs(f"Cache-Control: {fill('max-age=#', ',')}"), BOUNDED),
    Attack("a wish with thousands of quotes", costs("Cache-Control: x=" + fill('"\\"', ",")), BOUNDED),
    Attack("thousands of entity tags", costs(f"If-None-Match: {fill(chr(34) + '#' + chr(34), ',')}"), BOUNDED),
    Attack("thousands of ranges", costs(f"Range: bytes={fill('#-', ',')}"), BOUNDED),
    Attack("thousands of addresses before", costs(f"X-Forwarded-For: {fill('10.0.0.1', ', ')}"), BOUNDED),
    Attack("thousands of fields that end here", costs(f"Connection: {fill('x-#', ', ')}"), BOUNDED),
    Attack("90 fields, each listed thousands of times", costs(f"Connection: {fill('x-5', ',')}", *(f"X-{number}: 1" for number in range(90))), BOUNDED),
]
