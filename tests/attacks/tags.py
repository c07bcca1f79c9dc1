"""Names of tags: thousands of them, long ones, and ones that would be more than a name in a header, in JSON, in a log.

The app says them, or a client does where a rule makes tags of what it sends. Behind "stored" stands what the entry carries, as the admin
interface tells it; a client that knows the secret sees the same in `Cache-Status`, and the log has a line for each request.
"""

import json
import re
import time

import sidecar
import wire
from attack import Attack, encoded, lines

RULES = [
    {"id": "query", "match": {"path": "/query"}, "tags": ["Q:{query.q}"]},
    {"id": "field", "match": {"path": "/field"}, "tags": ["F:{header.X-A}"]},
    {"id": "cookie", "match": {"path": "/cookie"}, "tags": ["C:{cookie.c}"], "vary_on": {"cookies": ["c"]}},
    {"id": "capture", "match": {"path": "/capture/(?P<c>.*)"}, "tags": ["P:{c}"]},
    {"id": "bare", "match": {"path": "/bare"}, "tags": ["{query.q}"]},
    {"id": "told", "match": {"methods": ["POST"], "path": "/told"}, "increments": [{"tags": ["{query.q}"]}]},
]
#: Seconds that the log may be behind.
PATIENCE = 20
#: A string of RFC 9651, a token, a number; then a member with parameters of such.
ITEM = r'(?:"(?:[ !#-\[\]-~]|\\["\\])*"|[A-Za-z*][\w.:%*/+-]*|-?\d+)'
MEMBER = re.compile(rf"tagalong(?:; [a-z-]+(?:={ITEM})?)*")


def own(program, behind):
    return sidecar.own(program, behind, rules=RULES)


def ask(server, token, *fields, line="GET /page?{t}"):
    """What a developer gets, and what is wrong with how it is told."""
    heard = wire.send(server.port, [encoded(lines("Connection: close", f"Tagalong-Debug: {sidecar.DEBUG}", *fields, line=line), token)])
    if not heard.answers:
        return None, ["no answer"]
    answer, head = heard.answers[0], heard.raw.partition(b"\r\n\r\n")[0]
    wrong = []
    if re.search(rb"(^|[\r\n])x-injected", head, re.IGNORECASE):
        wrong.append("injected")
    if not MEMBER.fullmatch(answer.field("cache-status")):
        wrong.append(f"no member: {answer.field('cache-status')}")
    return answer, wrong


def requests(server):
    """How many the log has so far."""
    return server.log.read_bytes().count(b'"message":"request"')


def logged(server, expected):
    """What is wrong with the log: each line is to be an object and shows all that it holds, and there are as many about requests."""
    until = time.monotonic() + PATIENCE
    while True:
        raw = server.log.read_bytes()
        found = raw.count(b'"message":"request"')
        # A line is written behind its answer.
        if found >= expected or time.monotonic() > until:
            break
        time.sleep(0.01)
    wrong = ["a control character is logged"] if re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", raw) else []
    wrong += [] if found == expected else [f"{found - expected} more lines than requests"]
    for line in raw.decode("utf-8", "replace").splitlines():
        try:
            json.loads(line)
        except ValueError:
            wrong.append(f"a line is no JSON: {line}")
    return wrong


def outcome(answer):
    status = re.sub(r"; key=.*", "", answer.field("cache-status"))
    why = "".join(f": {detail}" for detail in re.findall(r"detail=([\w-]+)", status))
    return "stored" if "; stored" in status else f"not stored{why}"


def carried(server, token):
    """The tags that entries with this token carry, without the cache's own."""
    entries = sidecar.told(server, f"/v1/entries?match=*{token}*")["entries"]
    return [tag["tag"] for entry in entries for tag in entry["tags"] if not tag["tag"].startswith("~")]


def page(*fields, line="GET /page?{t}", wish=()):
    """Ask for a page that comes with these fields, twice, and look it up."""

    def tried(server, app, token):
        app.says(line.split(" ")[1].replace("{t}", token), *fields)
        before = requests(server)
        first, wrong = ask(server, token, *wish, line=line)
        if first is None:
            return "no answer"
        second, more = ask(server, token, *wish, line=line)
        wrong += more + logged(server, before + 2)
        told = [str(first.status), outcome(first)] if first.status == 200 else [str(first.status)]
        if told[-1] == "stored":
            told.append(" ".join(map(ascii, carried(server, token))) or "no tag")
            if "; hit" not in second.field("cache-status"):
                wrong.append("and is no hit")
        return "; ".join([", ".join(told), *wrong])

    return tried


def made(path, query="", *wish):
    """A page whose tags a rule makes of the request."""
    return page(line=f"GET {path}?{{t}}{query}", wish=wish)


def told(query, *fields, path="/told"):
    """A page is stored, a client posts, and the page is asked for again."""

    def tried(server, app, token):
        before = requests(server)
        app.says(f"/page?{token}", f"Cache-Tag: Other:{token}")
        ask(server, token)
        post, wrong = ask(server, token, *fields, "Content-Length: 0", line=f"POST {path}?{{t}}&q={query}")
        again, more = ask(server, token)
        if not post or not again:
            return "no answer"
        kept = "the page stays" if "; hit" in again.field("cache-status") else "the page is forgotten"
        return "; ".join([f"{post.status}, {kept}", *wrong, *more, *logged(server, before + 3)])

    return tried


def flood(count):
    """A page with the last of so many tags is stored, then they are incremented."""

    def tried(server, app, token):
        before, names = requests(server), [f"{number}" for number in range(count)]
        app.says(f"/page?{token}", f"Cache-Tag: {token}{names[-1]}")
        app.says(f"/increments?{token}", f"Cache-Tag-Increment: {token}{','.join(names[:-1])},{token}{names[-1]}", public=False)
        ask(server, token)
        ask(server, token, "Content-Length: 0", line="POST /increments?{t}")
        again, wrong = ask(server, token)
        if not again:
            return "no answer"
        return "; ".join(["all count" if "; fwd=stale" in again.field("cache-status") else "not all count", *wrong, *logged(server, before + 3)])

    return tried


def by_quotes():
    """Who incremented is told with the path, which a client has chosen."""

    def tried(server, app, token):
        before = requests(server)
        app.says(f"/page?{token}", f"Cache-Tag: Quoted:{token}")
        target = f'/a"; hit; x="%22%0d%0aX-Injected:1\\?{token}'.replace(" ", "%20")
        app.says(target, f"Cache-Tag-Increment: Quoted:{token}", public=False)
        ask(server, token)
        post, wrong = ask(server, token, "Content-Length: 0", line=f"POST {target}")
        again, more = ask(server, token)
        if not post or not again:
            return "no answer"
        return "; ".join([f"{post.status}, {'told' if 'incremented' in again.field('cache-status') else 'not told'}", *wrong, *more, *logged(server, before + 3)])

    return tried


def tagged(text):
    return page(f"Cache-Tag: {text}")


def several(count, name=lambda number: f"{number:x}"):
    return ",".join(map(name, range(count)))


STAYS = ("200, the page stays",)
TOO_MANY = ("200, not stored: too-many-tags",)
ATTACKS = [
    Attack("10,000 tags", tagged(several(10_000)), TOO_MANY),
    Attack("257 tags, in two fields", page(f"Cache-Tag: {several(128)}", f"Surrogate-Key: {several(129, lambda number: f'k{number}').replace(',', ' ')}"), TOO_MANY),
    Attack("one tag 10,000 times", tagged(",".join(["same"] * 10_000)), ("200, stored, 'same'",)),
    Attack("a tag of 17 kB", tagged("x" * 17_000), TOO_MANY),
    Attack("100 kB of tags", tagged(several(20_000)), ("502",)),
    Attack("9,000 increments at once", flood(9_000), ("all count",)),
    Attack("CRLF, encoded", tagged("a%0d%0aX-Injected:1"), ("200, stored, 'a%0d%0aX-Injected:1'",)),
    Attack("quotes", tagged('a";x="1'), ("200, not stored: bad-tag",)),
    Attack("a backslash at the end", tagged("a\\"), ("200, stored, 'a\\\\'",)),
    Attack("an escape sequence", tagged("a\x1b[2Jb"), ("502",)),
    Attack("bytes that are no UTF-8", tagged("a\xff\xfe"), ("200, not stored: bad-tag",)),
    Attack("a line separator of Unicode", tagged("a\u2028b".encode().decode("latin-1")), ("200, not stored: bad-tag",)),
    Attack("text that runs backwards", tagged("a\u202eb".encode().decode("latin-1")), ("200, stored, 'a\\u202eb'",)),
    Attack("markup", tagged("<script>alert(1)</script>"), ("200, stored, '<script>alert(1)</script>'",)),
    Attack("a parameter that is none", tagged("a;v=99999999999999999999;hit"), ("200, stored, 'a'",)),
    Attack("the cache's own", tagged("~all, ~uri:http://evil.example/"), ("200, stored, no tag",)),
    Attack("a path that looks like a line of the log", page(line='GET /page%0A{"message":"request","status":500}?{t}'), ("200, stored, no tag",)),
    Attack("a path with what ends a text", page(line='GET /page","status":500,"x":"\\?{t}'), ("200, stored, no tag",)),
    Attack("a method with what ends a text", page(line="EVIL!#$%&'*+^`|~ /page?{t}"), ("200, not stored",)),
    Attack("a rule's tag of a query with a comma", made("/query", "&q=1,Other:2"), ("200, stored, 'Q:1%2COther:2'",)),
    Attack("a rule's tag of a query with CRLF", made("/query", "&q=1%0d%0aX-Injected:%201"), ("200, stored, 'Q:1%0D%0AX-Injected:%201'",)),
    Attack("a rule's tag of a query with quotes", made("/query", "&q=1%22%3Bv=99%3Bx=%22"), ("200, stored, 'Q:1%22%3Bv=99%3Bx=%22'",)),
    Attack("a rule's tag of a query with an escape sequence", made("/query", "&q=%1b[2J%00"), ("200, stored, 'Q:%1B[2J%00'",)),
    Attack("a rule's tag of a query, the cache's own", made("/bare", "&q=~all"), ("200, not stored: missing-tag-value",)),
    Attack("a rule's tag of a query with several", made("/bare", "&q=a,b%20c"), ("200, stored, 'a%2Cb%20c'",)),
    Attack("a rule's tag of a field with quotes and a comma", made("/field", "", 'X-A: 1", Other:2;v=3'), ("200, stored, 'F:1%22%2C%20Other:2%3Bv=3'",)),
    Attack("a rule's tag of a cookie with a comma", made("/cookie", "", "Cookie: c=1,Other:2"), ("200, stored, 'C:1%2COther:2'",)),
    Attack("a rule's tag of a capture, encoded once", made("/capture/a%2Cb"), ("200, stored, 'P:a%2Cb'",)),
    Attack("a rule's tag of a capture, encoded twice", made("/capture/a%252Cb"), ("200, stored, 'P:a%252Cb'",)),
    Attack("a rule's tag of 20 kB", made("/query", f"&q={'x' * 20_000}"), TOO_MANY),
    Attack("a rule's increment of the cache's own", told("~all"), STAYS),
    Attack("a rule's increment of a list", told("1,Other:{t}"), STAYS),
    Attack("a client's own increment", told("1", "Cache-Tag-Increment: Other:{t}, ~all", "X-LiteSpeed-Purge: *", path="/unmatched"), STAYS),
    Attack("who has incremented, in quotes", by_quotes(), ("200, told",)),
]
