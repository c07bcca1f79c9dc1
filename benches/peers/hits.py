"""What wrk and h2load drive, a row each: hits, 304s, parts, what only passes, POST, HTTP/2 and TLS. Server CPU per request.

The hyper reference answers hits as they are prepared, and has what passes from the app through hyper's own client and its pool, with
nothing around it: no rules, no log, no field that a proxy has to add or to drop. Its allocator is the C library's.
"""

import contextlib
import dataclasses
import http.client
import ssl
import sys

import fill
import load
from bench import HERE, NGINX, REFERENCE, TAGALONG, VARNISH, Figure, Goal

PEERS = (NGINX, VARNISH, TAGALONG)
ALL = (REFERENCE, *PEERS)
ZIPF = "hit, many URLs, zipf"


@dataclasses.dataclass
class Workload:
    """A row."""

    name: str
    path: str
    #: Length of the answer's body.
    length: int
    servers: tuple = PEERS
    headers: dict = dataclasses.field(default_factory=dict)
    status: int = 200
    #: `http`; `h2c`, which h2load drives; `https`.
    scheme: str = "http"
    #: A Lua program for wrk.
    script: str = None
    method: str = "GET"
    #: The app is not to be asked; else by every request.
    is_hit: bool = True
    goals: list = dataclasses.field(default_factory=list)


def hit(kib, *goals):
    return Workload(f"hit, {size(kib)}", f"/{kib}", kib << 10, ALL, goals=[Goal(f"hit, {size(kib)}", *goal) for goal in goals])


def size(kib):
    return "1 MiB" if kib == 1024 else f"{kib} KiB"


def passing(kib):
    name = f"pass-through, {kib} KiB"
    return Workload(name, f"/pass/{kib}", kib << 10, ALL, is_hit=False, goals=[Goal(name, 1.15, NGINX)])


WORKLOADS = [
    hit(1, (1.3, REFERENCE), (0.7, NGINX), (0.6, VARNISH)),
    hit(16, (1, NGINX)),
    hit(64, (1, NGINX)),
    hit(1024, (1, NGINX)),
    Workload(ZIPF, "/1?n=1", 1024, script="zipf.lua", goals=[Goal(ZIPF, 1.3, base="hit, 1 KiB")]),
    Workload("304", "/1", 0, ALL, {"If-None-Match": '"1"'}, 304, goals=[Goal("304", 1, base="hit, 1 KiB")]),
    Workload("100 bytes of 64 KiB", "/64", 100, headers={"Range": "bytes=1000-1099"}, status=206),
    passing(1),
    passing(64),
    Workload("POST of 1 KiB", "/pass/1", 1024, script="post.lua", method="POST", is_hit=False),
    Workload("hit, 1 KiB, h2c", "/1", 1024, scheme="h2c"),
    Workload("hit, 1 KiB, TLS", "/1", 1024, (NGINX, TAGALONG), scheme="https"),
]
NAMES = [workload.name for workload in WORKLOADS]


def goals(_):
    return [goal for workload in WORKLOADS for goal in workload.goals]


def measure(bench):
    """All servers run, with full caches; then rounds of all workloads, each of all servers."""
    wanted = [workload for workload in WORKLOADS if workload.name in bench.only]
    with contextlib.ExitStack() as stack:
        origin = stack.enter_context(bench.origin())
        started = [bench.reference(origin), bench.nginx(origin), bench.varnish(origin), bench.tagalong(origin)]
        running = {server.name: server for server in map(stack.enter_context, started)}
        urls = min(bench.most, 100_000)
        for workload in wanted:
            for name in workload.servers:
                warm(workload, running[name], urls)
        for number in range(1, bench.rounds + 1):
            for workload in wanted:
                for name in workload.servers:
                    run = one_run(workload, running[name], origin, urls, bench.seconds)
                    yield Figure(workload.name, name, number, run.micros, "µs", run.rate)


def warm(workload, server, urls):
    """Store what is to be, and look at the answer."""
    if workload.script == "zipf.lua":
        fill.fill(server, [f"/1?n={number}" for number in range(1, urls + 1)])
    if workload.is_hit:
        ask(server, workload.scheme, "GET", workload.path)
    for _ in range(2):
        told = ask(server, workload.scheme, workload.method, workload.path, workload.headers)
        if told != (workload.status, workload.length):
            sys.exit(f"{workload.name}, {server.name}: status and length are {told}")


def ask(server, scheme, method, path, headers={}):
    """Status and length of the answer; over HTTP/1.1, where the store is the same."""
    port = server.doors[scheme] if scheme == "https" else server.port
    # It is our own certificate.
    context = {"context": ssl._create_unverified_context()} if scheme == "https" else {}
    kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    connection = kind("127.0.0.1", port, timeout=10, **context)
    with contextlib.closing(connection):
        connection.request(method, path, b"x" * 1024 if method == "POST" else None, headers)
        answer = connection.getresponse()
        return answer.status, len(answer.read())


def one_run(workload, server, origin, urls, seconds):
    before, url = origin.calls(), server.url(workload.path, workload.scheme)
    if workload.scheme == "h2c":
        run = load.h2load(server, url, seconds)
    else:
        options = [f"-H{name}: {value}" for name, value in workload.headers.items()]
        if workload.script:
            options.append(f"-s{HERE / 'wrk' / workload.script}")
        run = load.wrk(server, url, seconds, options, [str(urls)])
    asked = origin.calls() - before
    if asked != 0 if workload.is_hit else asked < run.requests:
        sys.exit(f"{workload.name}, {server.name}: the app was asked {asked} times for {run.requests} requests")
    return run
