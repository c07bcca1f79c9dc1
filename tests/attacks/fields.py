"""The same with keys that rules make: of fields, cookies, parameters, captures, templates. And what a rule leaves out of its key.

A sidecar of its own has these rules.
"""

import sidecar
from attack import Attack, lines, poisoning
from keys import apart
from variants import codings, values

RULES = [
    {"id": "fields", "match": {"path": "/fields"}, "vary_on": {"headers": ["X-A", "X-B"]}},
    {"id": "cookies", "match": {"path": "/cookies"}, "vary_on": {"cookies": ["a", "b"]}},
    {"id": "parameters", "match": {"path": "/parameters"}, "vary_on": {"query": {"mode": "allow", "params": [{"name": "t"}, {"name": "a"}, {"name": "b", "multi": "sorted"}]}}},
    {"id": "captures", "match": {"path": "/captures/(?P<a>[^/]*)/(?P<b>[^/]*)"}, "vary_on": {"captures": ["a", "b"]}},
    {"id": "template", "match": {"path": "/template"}, "key": "{query.t}:{query.a}:{query.b}"},
    {"id": "a", "match": {"path": "/one"}, "key": "{query.t}:{query.a}"},
    {"id": "b", "match": {"path": "/other"}, "key": "{query.t}:{query.a}"},
    {"id": "group", "match": {"path": "/group"}, "group": "{query.a}", "vary_on": {"query": {"mode": "allow", "params": [{"name": "t"}, {"name": "b"}]}}},
    {"id": "codings", "match": {"path": "/varied"}, "vary_on": {"headers": [{"name": "Accept-Encoding", "normalize": "encoding"}]}},
    {"id": "dropped", "match": {"path": "/dropped"}, "vary_on": {"query": {"drop": ["utm_*"]}}},
]


def own(program, behind):
    return sidecar.own(program, behind, rules=RULES)


def of(path, *each):
    """A path, with lines or, where it begins with `?`, with a query each."""
    return apart(*(lines("Connection: close", *more, line=f"GET {path}?t={{t}}{query}") for query, *more in each))


def with_cookies(*each):
    return of("/cookies", *(("", f"Cookie: {cookie}") if cookie is not None else ("",) for cookie in each))


def queries(path, *each):
    return of(path, *((f"&{query}" if query else "",) for query in each))


def paths(*each):
    return apart(*(lines("Connection: close", line=f"GET {path}?t={{t}}") for path in each))


def dropped(query):
    return poisoning(lines("Connection: close", line=f"GET /dropped?{{t}}&{query}"), lines("Connection: close", line="GET /dropped?{t}"))


APART = ("apart",)
#: docs/security.md, "Left to you".
LEFT = ("poisoned (200)",)
ATTACKS = [
    Attack("fields whose values are one text together", of("/fields", ("", "X-A: ab", "X-B: c"), ("", "X-A: a", "X-B: bc"), ("", "X-A: abc"), ("", "X-B: abc")), APART),
    Attack("a field with another's name in it", of("/fields", ("", "X-A: 1", "X-B: 2"), ("", "X-A: 1&header.x-b=2"), ("", "X-A: 1, X-B: 2")), APART),
    Attack("a field absent, empty, 0 and null", of("/fields", ("",), ("", "X-A:"), ("", "X-A: 0"), ("", "X-A: null")), APART),
    Attack("cookies whose values are one text together", with_cookies("a=1; b=2", "a=1%3B%20b=2", "a=12", "b=12", "a=1&b=2"), APART),
    Attack("a cookie absent, empty, 0 and null", with_cookies(None, "a=", "a=0", "a=null"), APART),
    Attack("a cookie twice", with_cookies("a=1; a=2", "a=2; a=1", "a=1"), APART),
    Attack("parameters whose values are one text together", queries("/parameters", "a=1&b=2", "a=1%26b=2", "a=1%26b%3D2", "a=12", "b=12"), APART),
    Attack("a parameter absent, empty, 0 and null", queries("/parameters", "", "a=", "a=0", "a=null"), APART),
    Attack("two values, and one with a separator in it", queries("/parameters", "b=1&b=2", "b=1,2", "b=1%2C2", "b=1%26b%3D2", "b=12"), APART),
    Attack("captures with a slash in them", paths("/captures/1/2{t}", "/captures/1%2F2{t}/", "/captures//1%2F2{t}", "/captures/1%2F/2{t}"), APART),
    Attack("a template's values with its colon in them", queries("/template", "a=1:2&b=3", "a=1&b=2:3", "a=1%3A2&b=3%3A"), APART),
    Attack("two rules with one template", apart(*(lines("Connection: close", line=f"GET {path}?t={{t}}&a=1") for path in ("/one", "/other"))), APART),
    Attack("a group and a parameter", queries("/group", "a=1&b=2", "a=12&b=", "a=2&b=1", "a=&b=12"), APART),
    Attack("1,000 spellings of Accept-Encoding, and a rule that knows what they mean", values("Accept-Encoding", codings), ("1 fetched; other pages stay",)),
    Attack("a parameter that the key leaves out", dropped("utm_source=evil"), LEFT),
    Attack("a parameter behind a semicolon in one that the key leaves out", dropped("utm_source=1;a=evil"), ("clean",)),
    Attack("a parameter with a name that is encoded", dropped("%75tm_source=evil"), LEFT),
]
