#!/usr/bin/env python3
"""Measures what operators cost clients: hits at a steady rate, with nobody at the admin interface and with everybody there.

    benches/operators/run.py --tagalong target/release/tagalong

100,000 entries are stored first. Rounds alternate: `quiet`, and `watched`: `/metrics` is scraped every second, a dashboard
is open (its stream of events, and what it asks every few seconds), and all entries are listed, page by page. The sidecar
is on one core for everything, app and clients on the other. Clients are before all else on theirs (SCHED_FIFO, as root): what
they are delayed by is to be the sidecar, and not those who watch it. Nothing is thrown away: a wrong answer stops the run. The goal
does not fail the command; it is told to be met or not, here and in benches/results/operators.md. Takes about three minutes.
Needs Python 3.9.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
PAGE = HERE.parent / "results" / "operators.md"
sys.path += [str(HERE.parent / "peers"), str(HERE.parent / "fills")]

import clients  # noqa: E402
import contestants  # noqa: E402
from increments import p99, steady  # noqa: E402
from report import row, spread  # noqa: E402

ENTRIES = 100_000
PAGE_SIZE = 1_000
#: Of these, all are asked for again and again.
HOT = 200
RATE = 1_000
SECONDS = 10
CONNECTIONS = 200
MODES = ["quiet", "watched"]


@dataclasses.dataclass
class Round:
    """What one round showed; answers as milliseconds each took."""

    mode: str
    took: list
    #: How late requests were sent: the load generator's own noise.
    lag: list
    #: Server CPU of the whole round, in seconds.
    cpu: float
    #: What the operators did.
    scrapes: int = 0
    events: int = 0
    listed: int = 0


def main():
    arguments = parse()
    # However it is stopped, what it started ends first.
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, lambda *_: sys.exit("stopped"))
    load = os.getloadavg()[0]
    os.sched_setaffinity(0, {contestants.CLIENT_CORE})
    with contextlib.ExitStack() as stack:
        app = stack.enter_context(origin())
        admin = contestants.free_port()
        settings = {"admin": {"listen": f"127.0.0.1:{admin}"}, "store": {"memory": {"max_bytes": "512MiB"}}}
        server = stack.enter_context(contestants.tagalong(arguments.tagalong, app, settings))
        versions = contestants.versions([server])
        asyncio.run(fill(server))
        results = []
        for number in range(arguments.rounds):
            # Which is first, by turns: what comes second is always a little warmer.
            for mode in MODES if number % 2 == 0 else reversed(MODES):
                results.append(one_round(server, admin, mode))
                last = results[-1]
                print(f"{mode}: p99 {p99(last.took):.2f} ms, listed {last.listed}", file=sys.stderr)
    text = markdown(results, versions, (load, os.getloadavg()[0]), arguments)
    if arguments.out:
        arguments.out.write_text(text)
    print(text)


def origin():
    """The app, on the clients' core."""
    port = contestants.free_port()
    command = [sys.executable, str(HERE.parent / "fills" / "app.py"), str(port)]
    return contestants.start("app", command, port, [], contestants.CLIENT_CORE)


def path(number):
    return f"/page/{number}?bytes=500&tag=page-{number % 1_000}"


async def fill(server):
    """Store all entries."""
    async with clients.connected(server.port, 32) as opened:
        numbers = iter(range(ENTRIES))

        async def some(client):
            for number in numbers:
                if (await client.ask(path(number))).status != 200:
                    sys.exit("an entry could not be stored")

        await asyncio.gather(*map(some, opened))
        if not (await opened[0].ask(path(0))).is_hit():
            sys.exit("the first entry is not stored any more")


def one_round(server, admin, mode):
    operators = Operators(admin) if mode == "watched" else None
    before = cpu_seconds(server.pid)
    with operators or contextlib.nullcontext():
        with before_all_else():
            took, lag = asyncio.run(hits(server))
    spent = cpu_seconds(server.pid) - before
    result = Round(mode, took, lag, spent)
    if operators:
        result.scrapes, result.events, result.listed = operators.done()
    return result


@contextlib.contextmanager
def before_all_else():
    """Has this process run as soon as it can, whoever else is on its core."""
    if not is_privileged():
        yield
        return
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def is_privileged():
    return os.geteuid() == 0


async def hits(server):
    """Ask for what is stored at a steady rate, whatever becomes of the answers."""
    async with clients.connected(server.port, CONNECTIONS) as idle:
        begun = time.perf_counter() + 0.05
        answers, lag = await steady(idle, lambda number: path(number % HOT), begun, RATE, SECONDS)
    if any(answer.status != 200 or not answer.is_hit() for answer in answers):
        sys.exit("not every answer is a hit")
    return [answer.took() for answer in answers], lag


class Operators:
    """Those who watch: a process of their own that leaves the core to the clients, whose delays are what is measured."""

    def __init__(self, admin):
        self.command = ["nice", "-n", "19", sys.executable, str(HERE / "watch.py"), str(admin), str(SECONDS), str(PAGE_SIZE)]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)

    def __exit__(self, kind, *_):
        if kind:
            self.process.terminate()

    def done(self):
        output, _ = self.process.communicate(timeout=60)
        found = json.loads(output)
        if found["listed"] < ENTRIES or found["scrapes"] < SECONDS - 2 or found["events"] < SECONDS - 2:
            sys.exit(f"the operators did not get what they asked for: {found}")
        return found["scrapes"], found["events"], found["listed"]


def cpu_seconds(pid):
    from load import TICKS_PER_SECOND, ticks

    return sum(ticks(pid).values()) / TICKS_PER_SECOND


def markdown(results, versions, loads, arguments):
    """The whole page."""
    by_mode = {mode: [result for result in results if result.mode == mode] for mode in MODES}
    quiet, watched = ([p99(result.took) for result in by_mode[mode]] for mode in MODES)
    differences = [two - one for one, two in zip(quiet, watched)]
    # Noise is what two quiet rounds differ by, without the outermost two: one pause of the machine is not to excuse anything.
    inner = sorted(quiet)[1:-1]
    noise = max(inner) - min(inner)
    met = "met" if statistics.median(differences) <= noise else "NOT met"
    lines = [
        "# What operators cost clients",
        "",
        f"{ENTRIES:,} entries are stored. Hits, {RATE:,} a second for {SECONDS} s, sent when due over {CONNECTIONS} keep-alive connections;"
        f" {arguments.rounds} rounds of each kind by turns. `watched`: `/metrics` scraped every second, the dashboard's stream of events open, all",
        f"{ENTRIES:,} entries listed in pages of {PAGE_SIZE:,}, once and then again. The sidecar has one core for everything; app and clients (Python) are on the",
        f"other, {'clients before all else (SCHED_FIFO)' if is_privileged() else 'clients beside those who watch'}."
        " Medians (least–most). Absolute times are those of a shared machine.",
        "",
        "    make bench-operators",
        "",
        f"- Tagalong {contestants.state()}",
        *(f"- {line}" for line in versions),
        f"- load average before and after: {loads[0]:.2f}, {loads[1]:.2f}",
        "",
        *row("", "p50, ms", "p99, ms", "slowest, ms", "sent late by p99, ms", "server CPU, s a round", "scrapes", "events", "entries listed"),
        *row(*["---"] * 9),
    ]
    for mode in MODES:
        mine = by_mode[mode]
        times = [spread([part(result.took) for result in mine], 2) for part in (statistics.median, p99, max)]
        done = [spread([getattr(result, what) for result in mine], 0) if mode == "watched" else "" for what in ("scrapes", "events", "listed")]
        lag, cpu = spread([p99(result.lag) for result in mine], 2), spread([result.cpu for result in mine], 2)
        lines += row(mode, *times, lag, cpu, *done)
    lines += [
        "",
        f"The p99 of a watched round is {spread(differences, 2)} ms above that of its quiet one; quiet rounds differ among themselves by {noise:.2f} ms, without the highest and the lowest."
        f" Goal, no more than noise: {met}.",
    ]
    return "\n".join(lines) + "\n"


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tagalong", metavar="PROGRAM", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=pathlib.Path, default=PAGE)
    return parser.parse_args()


if __name__ == "__main__":
    main()
