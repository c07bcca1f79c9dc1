"""Invalidation of one tag with 1 to 1,000,000 dependents: how long it takes, and the p99 of other clients' hits meanwhile.

Tagalong is told as an app does it: by `Cache-Tag-Increment` on the answer to a POST, which passes through it. Varnish is told by
xkey.purge, without an app.
"""

import asyncio
import contextlib
import re
import sys
import time

import fill
from bench import VARNISH, Figure, Goal
from bursts import client_core

import clients  # of benches/fills, as `increments`; `bursts` says where
from increments import p99, steady

NAMES = ["invalidation"]
MOST_ROUNDS = 3
RATE = 1_000
SECONDS = 1
#: When the change comes, and for how long hits are then looked at.
CHANGE, WINDOW = 0.5, 0.3
CONNECTIONS = 200
HOT = "/1?tag=hot"
HOST = "app.example"
QUIET = "p99 of hits before an invalidation"


def counts(bench):
    return [10**power for power in range(7) if 10**power <= bench.most]


def took(count):
    return f"invalidation, {count:,} dependents"


def meanwhile(count):
    return f"p99 of hits meanwhile, {count:,} dependents"


def goals(bench):
    last = counts(bench)[-1]
    return [Goal(took(last), 1.3, base=took(1)), Goal(meanwhile(last), 1.3, base=QUIET)]


def measure(bench):
    with contextlib.ExitStack() as stack, client_core():
        origin = stack.enter_context(bench.origin())
        servers = [stack.enter_context(server) for server in (bench.varnish(origin), bench.tagalong(origin))]
        for number in range(1, min(bench.rounds, MOST_ROUNDS) + 1):
            for count in counts(bench):
                for server in servers:
                    change, before, during = one_change(server, origin, count)
                    yield Figure(took(count), server.name, number, change, "ms")
                    yield Figure(meanwhile(count), server.name, number, during, "ms")
                    if count == 1:
                        yield Figure(QUIET, server.name, number, before, "ms")


def dependent(count, number):
    return f"/0?n={number}&tag=d{count}"


def one_change(server, origin, count):
    """Milliseconds: of the change, and the p99 of hits before and meanwhile."""
    paths = [dependent(count, number) for number in range(count)]
    fill.fill(server, paths, HOST)
    # First and last: stored before, and not any more behind it.
    looked_at = [paths[0], paths[-1]]
    if asked(server, origin, looked_at):
        sys.exit(f"{server.name}: not all dependents are stored")
    answers, write = asyncio.run(hits(server, f"/pass/1?increment=d{count}"))
    if asked(server, origin, looked_at) != len(set(looked_at)):
        sys.exit(f"{server.name}: dependents are still stored")
    if server.name == VARNISH and int(re.search(rb"n-gone: (\d+)", write.head)[1]) != count:
        sys.exit(f"{server.name}: {write.head}")
    before = [answer.took() for answer in answers if answer.ended < write.asked]
    during = [answer.took() for answer in answers if write.asked <= answer.asked < write.asked + WINDOW]
    return write.took(), p99(before), p99(during)


def asked(server, origin, paths):
    """How often the app is asked for this."""
    before = origin.calls()
    fill.fill(server, sorted(set(paths)), HOST)
    return origin.calls() - before


async def hits(server, change):
    """Ask for one page at a steady rate; in the middle comes the change."""
    async with clients.connected(server.port, CONNECTIONS) as opened:
        writer = opened.pop()
        await writer.ask(HOT)
        begun = time.perf_counter() + 0.05
        write = asyncio.ensure_future(ask_at(writer, begun + CHANGE, change, "FORGET" if server.name == VARNISH else "POST"))
        answers, _ = await steady(opened, lambda _: HOT, begun, RATE, SECONDS)
        write = await write
    if any(answer.status != 200 for answer in [*answers, write]):
        sys.exit(f"{server.name}: not all answers are right")
    return answers, write


async def ask_at(writer, when, path, method):
    await asyncio.sleep(when - time.perf_counter())
    return await writer.ask(path, method)
