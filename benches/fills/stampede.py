"""Many clients at once ask for what is not in the cache: how often is the app asked, and how long does anybody wait?"""

import asyncio
import dataclasses
import statistics
import sys

import clients
from page import Goal, Section
from report import row, spread

CLIENTS = 200
WAIT = 500
SLOWEST = 1.2


@dataclasses.dataclass
class Burst:
    """What one burst showed; times in milliseconds since it began."""

    name: str
    kind: str
    calls: int
    middle: float
    slowest: float


def measure(app, contestants, rounds, uncacheable_rounds):
    """Alternating rounds, a new URL in each; the app itself among them shows what app and clients cost by themselves."""
    bursts = []
    for number in range(rounds):
        for name, server in contestants:
            bursts.append(burst(app, name, server, "cold", f"/cold/{number}/{server.port}?wait={WAIT}&bytes=1000"))
    for number in range(uncacheable_rounds):
        for name, server in contestants:
            path = f"/private/{number}/{server.port}?wait={WAIT}&bytes=1000&private=1"
            bursts.append(burst(app, name, server, "uncacheable, first burst", path))
            bursts.append(burst(app, name, server, "uncacheable, second burst", path))
    return section(bursts, rounds, uncacheable_rounds)


def burst(app, name, server, kind, path):
    """All at once, each over a connection that is open already."""
    clients.counts(app)
    answers = asyncio.run(ask(server.port, path))
    if any((answer.status, answer.length) != (200, 1000) for answer in answers):
        sys.exit(f"{name} answers {path} wrongly")
    begun = min(answer.asked for answer in answers)
    took = [(answer.ended - begun) * 1000 for answer in answers]
    calls = sum(clients.counts(app)["calls"].values())
    print(f"{kind}, {name}: {calls} calls, slowest {max(took):.0f} ms", file=sys.stderr)
    return Burst(name, kind, calls, statistics.median(took), max(took))


async def ask(port, path):
    async with clients.connected(port, CLIENTS) as opened:
        return await asyncio.gather(*[client.ask(path) for client in opened])


def section(bursts, rounds, uncacheable_rounds):
    lines = row("burst", "server", "calls of the app", "median answer, ms", "slowest answer, ms", f"slowest ÷ {WAIT} ms")
    lines += row(*["---"] * 6)
    for kind in dict.fromkeys(burst.kind for burst in bursts):
        for name in dict.fromkeys(burst.name for burst in bursts):
            mine = [burst for burst in bursts if (burst.kind, burst.name) == (kind, name)]
            slowest = [burst.slowest for burst in mine]
            figures = [[burst.calls for burst in mine], [burst.middle for burst in mine], slowest]
            factor = spread([each / WAIT for each in slowest], 2)
            lines += row(kind, name, *(spread(figure, 0) for figure in figures), factor)
    how = (
        f"{CLIENTS} clients ask for one new URL at once; the app takes {WAIT} ms. {rounds} alternating rounds,"
        f" {uncacheable_rounds} where the answer is `Cache-Control: private` (a second burst follows the first at once). Each answer"
        " is timed from the beginning of its burst to its last byte. The row of the app, without a cache before it, is what app"
        " and clients cost by themselves."
    )
    return Section(f"{CLIENTS} at once", how, lines, goals(bursts))


def goals(bursts):
    cold, first, second = (
        [burst for burst in bursts if burst.name == "Tagalong" and burst.kind.endswith(kind)]
        for kind in ("cold", "first burst", "second burst")
    )
    calls = [burst.calls for burst in cold]
    return [
        Goal(f"{CLIENTS} at once to a cold URL: 1 call of the app", spread(calls, 0), max(calls) == 1),
        in_time(f"… all answered within {SLOWEST} × {WAIT} ms", cold, SLOWEST * WAIT),
        in_time(f"uncacheable, first: all answered within {SLOWEST} × 2 × {WAIT} ms (one to learn it)", first, SLOWEST * 2 * WAIT),
        in_time(f"uncacheable, then: nobody queues, all within {SLOWEST} × {WAIT} ms", second, SLOWEST * WAIT),
    ]


def in_time(text, bursts, most):
    slowest = [burst.slowest for burst in bursts]
    return Goal(text, f"{spread(slowest, 0)} ms", max(slowest) <= most)
