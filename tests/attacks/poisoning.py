"""What no key holds and an app may still look at (Kettle 2018, 2020; CPDoS, Nguyen 2019): a plain request comes after each.

The app believes whatever it is told. nginx and Varnish pass that on unless they are configured to drop it, which a few lines do, and
key on what they are told to; they are shown as they come. Tagalong drops what no key holds, of the names that apps are known to build
pages from. What else an app writes into a page that it says is for everybody, is its to say (`Vary`), or a rule's.
"""

from attack import HOST, Attack, lines, poisoning

#: Fields from which apps learn a host, a scheme, a target or a method.
NAMES = ["X-Forwarded-Host", "X-Forwarded_Host", "X-Host", "X-Forwarded-Server", "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix", "X-Forwarded-Port", "X-Forwarded-Scheme", "X-Forwarded-SSL", "X-Original-Host", "Front-End-HTTPS", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"]


def plain(*fields, **more):
    return poisoning(lines("Connection: close", *fields, **more))


def padded(length):
    return "x" * length


#: Nobody but the app can know that its page depends on it.
POISONED = ("poisoned (200)",)
ATTACKS = [
    *(Attack(name, plain(f"{name}: evil.example"), ("clean",)) for name in NAMES),
    Attack("X-Forwarded-For, written into the page", plain("X-Forwarded-For: evil"), POISONED),
    Attack("a field that only this app knows", plain("X-Theme: evil"), POISONED),
    Attack("Forwarded", plain("Forwarded: host=evil.example"), ("clean",)),
    Attack("X-Forwarded-Proto that is no scheme", plain("X-Forwarded-Proto: evil"), ("clean",)),
    Attack("the port of the host", plain(host=f"{HOST}:1337evil"), ("clean",)),
    Attack("the case of the host", plain(host=HOST.upper()), ("clean",)),
    Attack("a host's dot at the end", plain(host=f"{HOST}.evil"), ("clean",)),
    Attack("a GET with a body", plain("Content-Length: 4", body="evil"), ("clean",)),
    Attack("a GET with a form in its body", plain("Content-Type: application/x-www-form-urlencoded", "Content-Length: 6", body="a=evil"), ("clean",)),
    Attack("a parameter behind a semicolon", plain(line="GET /a?{t};x=evil"), ("clean",)),
    Attack("a parameter twice", plain(line="GET /a?{t}&{t}=evil"), ("clean",)),
    Attack("a parameter of another spelling", plain(line="GET /a?{t}&%78=evil"), ("clean",)),
    Attack("a fragment", plain(line="GET /a?{t}#evil"), ("clean",)),
    Attack("a path with dot segments", plain(line="GET /evil/../a?{t}"), ("clean",)),
    Attack("a path with an encoded slash", plain(line="GET /evil%2f..%2fa?{t}"), ("clean",)),
    Attack("an absolute target", plain(line="GET http://evil.example/a?{t}"), ("clean",)),
    Attack("Connection lists what the app needs", plain("Connection: close, Host, Cookie", "Cookie: a=evil"), ("clean",)),
    Attack("Range", plain("Range: bytes=0-3"), ("clean",)),
    Attack("If-None-Match", plain('If-None-Match: "evil"'), ("clean",)),
    Attack("a method of its own", plain(line="EVIL /a?{t}"), ("clean",)),
    Attack("HEAD", plain(line="HEAD /a?{t}"), ("clean",)),
    Attack("a head that is too large", plain(f"X-Long: {padded(9_000)}"), ("clean",)),
    Attack("a field with a control character", plain("X-A: evil\x08"), ("clean",)),
    Attack("Expect", plain("Expect: evil"), ("clean",)),
    Attack("Upgrade", plain("Connection: Upgrade", "Upgrade: evil"), ("clean",)),
    Attack("a tag of the client's own", plain("Cache-Tag: evil", "Surrogate-Key: evil"), ("clean",)),
    Attack("a lifetime of the client's own", plain("Tagalong-Cache-Control: evil", "Surrogate-Control: evil"), ("clean",)),
]
