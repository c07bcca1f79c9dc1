"""A hot page is changed under load: how often is the app asked for it, and who waits?"""

import asyncio
import dataclasses
import statistics
import sys
import time

import clients
from page import Goal, Section
from report import row, spread

RATE = 1000
SECONDS = 3
#: When the page is changed.
CHANGE = 1.5
WAIT = 200
CONNECTIONS = 400
MODES = ["miss", "stale"]
#: Whoever waits for the app waits longer than this, unless it comes at the end; a pause of the machine is shorter.
WAITED = WAIT / 2


@dataclasses.dataclass
class Round:
    """What one round showed; answers as milliseconds each took."""

    mode: str
    calls: int
    #: Those that were asked for before the change, and those from then on for twice the time that the app takes.
    before: list
    around: list
    #: How late requests were sent: the load generator's own noise.
    lag: list
    #: How long the change took.
    write: float


def rules(mode):
    return [{"id": "bench", "on_invalidate": {"mode": mode}}]


def measure(app, by_mode, rounds):
    """`by_mode`: a server for each mode, by turns."""
    results = []
    for number in range(rounds):
        for mode in MODES:
            result = asyncio.run(one_round(app, by_mode[mode], mode, number))
            results.append(result)
            print(f"increment, {mode}: {result.calls} calls, slowest {max(result.around):.0f} ms", file=sys.stderr)
    return section(results, rounds)


async def one_round(app, server, mode, number):
    path = f"/hot/{mode}/{number}?wait={WAIT}&bytes=1000&tag=hot-{number}"
    async with clients.connected(server.port, CONNECTIONS) as opened:
        writer = opened.pop()
        await writer.ask(path)
        if not (await writer.ask(path)).is_hit():
            sys.exit("the page is not stored")
        await asyncio.to_thread(clients.counts, app)
        begun = time.perf_counter() + 0.05
        write = asyncio.ensure_future(change(writer, begun + CHANGE, f"/write?increment=hot-{number}"))
        answers, lag = await steady(opened, lambda _: path, begun, RATE, SECONDS)
        write = await write
    counted = (await asyncio.to_thread(clients.counts, app))["calls"]
    if any((answer.status, answer.length) != (200, 1000) for answer in answers) or counted.pop("/write") != 1:
        sys.exit(f"wrong answers in {mode}")
    before = [answer.took() for answer in answers if answer.ended < write.asked]
    until = write.asked + 2 * WAIT / 1000
    around = [answer.took() for answer in answers if write.asked <= answer.asked <= until]
    return Round(mode, sum(counted.values()), before, around, lag, write.took())


async def change(writer, when, path):
    await asyncio.sleep(when - time.perf_counter())
    return await writer.ask(path, "POST")


async def steady(idle, path, begun, rate, seconds):
    """Ask at a steady rate whatever becomes of the answers; the answers, and how late each was asked for.

    `path`: of the request of this number.
    """
    asked, lag = [], []
    for number in range(rate * seconds):
        due = begun + number / rate
        early = due - time.perf_counter()
        if early > 0:
            await asyncio.sleep(early)
        if not idle:
            sys.exit("more requests wait than there are connections")
        client = idle.pop()
        lag.append((time.perf_counter() - due) * 1000)
        answer = client.ask(path(number))
        answer.add_done_callback(lambda _, client=client: idle.append(client))
        asked.append(answer)
    return await asyncio.gather(*asked), lag


def section(results, rounds):
    lines = row("`on_invalidate`", "requests", "fetches for the increment", "p50, ms", "p99, ms", "slowest, ms", f"waited > {WAITED:.0f} ms")
    lines += row(*["---"] * 7)
    for mode in MODES:
        mine = [result for result in results if result.mode == mode]
        for name, fetches, requests in [
            ("before", "", [result.before for result in mine]),
            ("after", spread([result.calls for result in mine], 0), [result.around for result in mine]),
        ]:
            times = [spread([part(each) for each in requests], 1) for part in (statistics.median, p99, max)]
            late = spread([sum(one > WAITED for one in each) for each in requests], 0)
            lines += row(f"{mode}, {name}", spread([len(each) for each in requests], 0), fetches, *times, late)
    lag = [result.lag for result in results]
    how = (
        f"One page, {RATE:,} requests a second for {SECONDS} s, sent when due over {CONNECTIONS} keep-alive connections whatever"
        f" becomes of the answers; the app takes {WAIT} ms. After {CHANGE} s a POST is answered with `Cache-Tag-Increment`."
        f" “after”: requests of the {2 * WAIT} ms from the POST on; “before”: all until it. {rounds} rounds of each mode by turns."
        f" The POST took {spread([result.write for result in results], 1)} ms. The generator's own noise: it sent its requests"
        f" late by p99 {spread([p99(each) for each in lag], 1)} ms, at most {spread([max(each) for each in lag], 1)} ms."
    )
    return Section(f"An increment under {RATE:,} requests a second", how, lines, goals(results))


def goals(results):
    calls = [result.calls for result in results]
    miss, stale = ([max(result.around) for result in results if result.mode == mode] for mode in MODES)
    return [
        Goal(f"increment under {RATE:,} requests/s: 1 fetch beside the POST", spread(calls, 0), set(calls) == {1}),
        Goal(f"… `miss`: nobody waits longer than 1.2 × {WAIT} ms", f"{spread(miss, 0)} ms", max(miss) <= 1.2 * WAIT),
        Goal(f"… `stale`: nobody waits for the app ({WAIT} ms)", f"slowest {spread(stale, 0)} ms", max(stale) <= WAITED),
    ]


def p99(figures):
    return sorted(figures)[int(len(figures) * 0.99)]
