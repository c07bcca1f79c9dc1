"""A large, slow answer is asked for by several: do the others get it as it comes?"""

import asyncio
import dataclasses
import sys

import bodies
import clients
from page import Goal, Section
from report import row, spread

SIZE = 10 << 20
OVER = 2000
WAIT = 200
FOLLOWERS = 10
LATECOMERS = 5
KINDS = {"chunked": "&chunked=1", "Content-Length": ""}
SETTINGS = {"limits": {"max_object": "16MiB"}}
MOST = 10.0


@dataclasses.dataclass
class Round:
    """What one round showed, in milliseconds."""

    kind: str
    calls: int
    #: First bytes of those who asked while the app was silent, after the leader's.
    behind: list
    #: First bytes of those who came in the middle, after they asked.
    late: list
    #: First byte to last of the leader.
    lasted: float
    #: The spread of first bytes without a cache.
    noise: float


def measure(app, server, rounds):
    results = []
    for number in range(rounds):
        for kind, more in KINDS.items():
            path = f"/slow/{number}/{len(more)}"
            result = asyncio.run(one_round(app, server, kind, path, f"?wait={WAIT}&bytes={SIZE}&over={OVER}{more}"))
            results.append(result)
            print(f"followers, {kind}: {max(result.behind):.1f} ms behind the leader", file=sys.stderr)
    return section(results, rounds)


async def one_round(app, server, kind, path, query):
    clients.counts(app)
    async with clients.connected(server.port, 1 + FOLLOWERS + LATECOMERS) as opened:
        leader = opened[0].ask(path + query)
        await asyncio.sleep(WAIT / 4000)
        followers = [client.ask(path + query) for client in opened[1 : 1 + FOLLOWERS]]
        await asyncio.sleep((WAIT + OVER / 2) / 1000)
        latecomers = [client.ask(path + query) for client in opened[1 + FOLLOWERS :]]
        leader, *others = await asyncio.gather(leader, *followers, *latecomers)
    crc = bodies.crc(path, SIZE)
    if any((answer.status, answer.length, answer.crc) != (200, SIZE, crc) for answer in [leader, *others]):
        sys.exit(f"not everybody got the whole of {path}")
    behind = [(answer.first - leader.first) * 1000 for answer in others[:FOLLOWERS]]
    late = [(answer.first - answer.asked) * 1000 for answer in others[FOLLOWERS:]]
    calls = (await asyncio.to_thread(clients.counts, app))["calls"][path]
    lasted = (leader.ended - leader.first) * 1000
    return Round(kind, calls, behind, late, lasted, await noise(app, path + query))


async def noise(app, path):
    """As many clients, each with an answer of its own, right from the app."""
    async with clients.connected(app.port, 1 + FOLLOWERS) as opened:
        answers = await asyncio.gather(*[client.ask(path.replace(f"={SIZE}", "=65536")) for client in opened])
    first = [answer.first - answer.asked for answer in answers]
    return (max(first) - min(first)) * 1000


def section(results, rounds):
    lines = row("body", "calls", "first byte after the leader's, latest of each round, ms", "first byte of latecomers, ms", "body lasted, ms", "noise, ms")
    lines += row(*["---"] * 6)
    for kind in KINDS:
        mine = [result for result in results if result.kind == kind]
        figures = [(max(result.behind), max(result.late), result.lasted, result.noise) for result in mine]
        lines += row(kind, spread([result.calls for result in mine], 0), *(spread(each, 1) for each in zip(*figures)))
    how = (
        f"{SIZE >> 20} MiB, which the app begins after {WAIT} ms and sends over {OVER / 1000:.0f} s; `limits.max_object: 16MiB`. A leader,"
        f" {FOLLOWERS} followers {WAIT // 4} ms later, {LATECOMERS} more in the middle of the body. First bytes are those of the body."
        f" {rounds} rounds of each kind by turns. Noise: how far apart the first bytes of {1 + FOLLOWERS} answers are that come right"
        " from the app. Every body was compared by length and CRC-32."
    )
    return Section(f"Followers of a slow body of {SIZE >> 20} MiB", how, lines, goals(results))


def goals(results):
    behind = [max(result.behind) for result in results]
    calls = [result.calls for result in results]
    return [
        Goal(f"slow body: first byte of followers within {MOST:.0f} ms of the leader's", f"{spread(behind, 1)} ms", max(behind) < MOST),
        Goal("… 1 call, everybody gets all, also who joins in the middle", spread(calls, 0), max(calls) == 1),
    ]
