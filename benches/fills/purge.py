"""Everything is invalidated under load: is the app asked for more than it can bear?"""

import asyncio
import dataclasses
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import clients
from page import Goal, Section
from report import row

KEYS = 10_000
CONNECTIONS = 256
MOST = 32
WAIT = 20
#: Seconds before the purge, and after the hit rate is back; how long to wait for that.
BEFORE = 3.0
AFTER = 2.0
PATIENCE = 25.0
#: Seconds over which a share of hits is taken, and the part of the share before that counts as back.
SLICE = 0.25
BACK = 0.95
SETTINGS = {"upstream": {"max_concurrent": MOST}}
TITLE = f"{KEYS:,} hot keys, all invalidated"


def knows_limit(binary):
    """Whether this program has the setting that keeps the app at its limit."""
    with tempfile.TemporaryDirectory(prefix="fills-check-") as folder:
        config = pathlib.Path(folder, "tagalong.yaml")
        config.write_text(json.dumps(SETTINGS))
        check = [binary, "check", "--config", str(config)]
        return subprocess.run(check, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


@dataclasses.dataclass
class Phase:
    """Answers of a stretch of time."""

    name: str
    seconds: float
    answers: list

    def share(self, wanted):
        return sum(map(wanted, self.answers)) / max(len(self.answers), 1)

    def row(self):
        took = sorted(answer.took() for answer in self.answers)
        times = [f"{took[int(len(took) * part)]:.1f}" for part in (0.5, 0.99)] + [f"{took[-1]:.1f}"] if took else ["", "", ""]
        hits, refused = self.share(clients.Answer.is_hit), self.share(lambda answer: answer.status == 503)
        rate = len(self.answers) / self.seconds
        return row(self.name, f"{self.seconds:.2f}", f"{rate:,.0f}", f"{hits:.1%}", f"{refused:.2%}", *times)


def measure(app, run_tagalong):
    with run_tagalong(SETTINGS) as server:
        return asyncio.run(run(app, server))


async def run(app, server):
    paths = [f"/page/{number}?bytes=500&wait={WAIT}" for number in range(KEYS)]
    async with clients.connected(server.port, CONNECTIONS + 1) as opened:
        writer = opened.pop()
        await fill(opened, paths)
        load = Load(paths)
        askers = [asyncio.ensure_future(load.ask(client)) for client in opened]
        await asyncio.sleep(SLICE)  # until all of them are at it
        await asyncio.to_thread(clients.counts, app)
        load.take("")
        await asyncio.sleep(BEFORE)
        before = load.take("before")
        write = await writer.ask("/write?purge=1", "POST")
        back = await load.until_back(before.share(clients.Answer.is_hit) * BACK)
        during = load.take("until hits are back" if back else f"hits are not back after {PATIENCE:.0f} s")
        await asyncio.sleep(AFTER)
        after = load.take("after")
        load.stopped = True
        await asyncio.gather(*askers)
    counted = await asyncio.to_thread(clients.counts, app)
    print(f"purge: at most {counted['most']} at once, hits back after {during.seconds:.1f} s", file=sys.stderr)
    return section([before, during, after], write, counted, back)


async def fill(opened, paths):
    """Ask for every page once."""
    rest = iter(paths)

    async def some(client):
        for path in rest:
            await client.ask(path)

    await asyncio.gather(*map(some, opened))


class Load:
    """Clients that ask for one page after the other, at random."""

    def __init__(self, paths):
        self.paths = paths
        self.random = random.Random(1)
        self.stopped = False
        self.answers, self.since = [], time.perf_counter()

    async def ask(self, client):
        while not self.stopped:
            self.answers.append(await client.ask(self.random.choice(self.paths)))

    def take(self, name):
        """What came since the last time."""
        now = time.perf_counter()
        phase = Phase(name, now - self.since, self.answers)
        self.answers, self.since = [], now
        return phase

    async def until_back(self, wanted):
        """Whether there comes a slice of time with that share of hits."""
        seen = 0
        while time.perf_counter() < self.since + PATIENCE:
            await asyncio.sleep(SLICE)
            last, seen = self.answers[seen:], len(self.answers)
            if Phase("", SLICE, last).share(clients.Answer.is_hit) >= wanted:
                return True
        return False


def section(phases, write, counted, back):
    lines = row("phase", "seconds", "answers a second", "hits", "503", "p50, ms", "p99, ms", "slowest, ms")
    lines += row(*["---"] * 8)
    for phase in phases:
        lines += phase.row()
    how = (
        f"{KEYS:,} pages of 500 bytes, all stored; the app takes {WAIT} ms for each, `upstream.max_concurrent: {MOST}`, which allows"
        f" {MOST * 1000 // WAIT:,} a second and thus {KEYS / (MOST * 1000 / WAIT):.1f} s for all of them. {CONNECTIONS} clients ask for one"
        " at random after the other, as fast as they are answered: before and after, the load generator is the limit. After"
        f" {BEFORE:.0f} s a POST is answered with `X-LiteSpeed-Purge: *` (it took {write.took():.1f} ms). Hits are back when {SLICE} s show"
        f" {BACK:.0%} of their share before. The app had {counted['most']} requests at once at most, {sum(counted['calls'].values()):,} in all."
    )
    return Section(TITLE, how, lines, goals(phases, counted, back))


def goals(phases, counted, back):
    during = phases[1]
    refused = during.share(lambda answer: answer.status == 503)
    others = sum(answer.status not in (200, 503) for phase in phases for answer in phase.answers)
    answers = f"{len(during.answers) / during.seconds:,.0f} answers/s, {refused:.2%} 503, {others} other errors"
    return [
        Goal(f"{KEYS:,} hot keys purged: the app has at most {MOST} at once", str(counted["most"]), counted["most"] <= MOST),
        Goal("… answers go on, no errors", answers, bool(during.answers) and not refused and not others),
        Goal("… hits come back", f"after {during.seconds:.1f} s" if back else during.name, back),
    ]


def skipped():
    """What to say where there is no limit to be kept."""
    return Section(TITLE, "Not measured: this program does not know `upstream.max_concurrent`.", [], [Goal(TITLE, "not measured", None)])
