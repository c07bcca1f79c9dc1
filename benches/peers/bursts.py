"""200 clients at once ask for what is not stored (the burst of benches/fills): calls of the app, and the slowest answer."""

import contextlib
import os
import pathlib
import sys

import contestants
from bench import Figure, Goal

FILLS = pathlib.Path(__file__).resolve().parent.parent / "fills"
sys.path.append(str(FILLS))

import stampede  # noqa: E402

NAMES = ["stampede"]
CALLS, COLD, UNCACHEABLE = "200 at once, cold: calls", "200 at once, cold: slowest", "200 at once, uncacheable: slowest"
#: nginx takes 11 s for each.
MOST_ROUNDS = 3


def goals(_):
    return [Goal(CALLS, 1), Goal(COLD, 1.05 * stampede.WAIT), Goal(UNCACHEABLE, 1.2 * stampede.WAIT)]


def measure(bench):
    port = contestants.free_port()
    command = [sys.executable, str(FILLS / "app.py"), str(port)]
    with contextlib.ExitStack() as stack, client_core():
        app = stack.enter_context(contestants.start("app", command, port, [], contestants.CLIENT_CORE))
        started = [bench.nginx(app, "proxy_cache_lock on;"), bench.varnish(app), bench.tagalong(app)]
        servers = [stack.enter_context(server) for server in started]
        for number in range(1, bench.rounds + 1):
            for server in servers:
                cold = burst(app, server, f"/cold/{number}/{server.port}")
                yield Figure(CALLS, server.name, number, cold.calls, "calls")
                yield Figure(COLD, server.name, number, cold.slowest, "ms")
        for number in range(1, min(bench.rounds, MOST_ROUNDS) + 1):
            for server in servers:
                path = f"/uncacheable/{number}/{server.port}"
                # By the first one it is learned.
                burst(app, server, path, "&private=1")
                yield Figure(UNCACHEABLE, server.name, number, burst(app, server, path, "&private=1").slowest, "ms")


def burst(app, server, path, more=""):
    return stampede.burst(app, server.name, server, "burst", f"{path}?wait={stampede.WAIT}&bytes=1000{more}")


@contextlib.contextmanager
def client_core():
    """This process has the clients' core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {contestants.CLIENT_CORE})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
