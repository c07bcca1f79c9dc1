"""An admin interface without tokens, on loopback: a page in the operator's browser, whose own name points at it (DNS rebinding).

The browser sends the name of the page as the host. What is let in tells its numbers.
"""

import sidecar
from admin import purge, reading
from attack import Attack


def own(program, behind):
    return sidecar.own(program, behind, tokens=False)


def named(host, *fields, path="/v1/stats"):
    return reading(path, *fields, host=host, token=None)


TOLD, REFUSED = ("200, told",), ("403",)
EVIL = "evil.example"
ATTACKS = [
    Attack("who is at the machine", named("localhost"), TOLD),
    Attack("a name of another", named(f"{EVIL}:9080"), REFUSED),
    Attack("a name that begins like an address", named(f"127.0.0.1.{EVIL}"), REFUSED),
    Attack("a name that ends like this machine's", named(f"{EVIL}.localhost"), REFUSED),
    Attack("a user before an address", named(f"127.0.0.1@{EVIL}"), ("400", "403")),
    Attack("an address of the network", named("10.0.0.1"), REFUSED),
    Attack("any address", named("0.0.0.0"), REFUSED),
    Attack("no host", named(None), ("400", "403")),
    Attack("two hosts", named("localhost", f"Host: {EVIL}"), ("400", "403")),
    Attack("two hosts, the other way round", named(EVIL, "Host: localhost"), ("400", "403")),
    Attack("another host in the target", named("localhost", path=f"http://{EVIL}/v1/stats"), REFUSED),
    Attack("a host that is forwarded", named(EVIL, "X-Forwarded-Host: localhost", "Forwarded: host=localhost"), REFUSED),
    Attack("the dashboard", named(EVIL, path="/"), REFUSED),
    Attack("a probe", named(EVIL, path="/readyz"), REFUSED),
    Attack("a page that forgets everything", purge(host=EVIL, token=None), ("403, stays",)),
    Attack("a page that knows the name of the machine", purge("Origin: http://evil.example", token=None), ("403, stays",)),
]
