#!/usr/bin/env python3
"""A soak: mixed traffic through two sidecars that share a Redis, while all kinds of things happen to them.

    tests/soak/run.py --tagalong target/dist/tagalong [--seconds 3600 | --quick] [--out docs/soak.md]

First a warm-up of every kind of traffic (`ordinary`, `rude`, `operators`), until the stores are full; then rest: the base line. Then the
traffic again, now with faults (`faults`), for as long as was said. Each answer is checked, and pages against what `record` says may be
seen. In the end all has to come back to the base line (`watch`). It fails with a list of what was wrong, and ends what it started
(`fleet`). SOAK_KEEP=FOLDER keeps the files of the fleet, its logs among them. Needs Python 3.9, and from Debian redis-server and
nghttp2-client, which it installs where it may.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import itertools
import os
import pathlib
import random
import signal
import sys
import time
import typing

import client
import content
import faults
import fleet
import needs
import operators
import ordinary
import record
import report
import rude
import tally
import watch

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "soak.md"
#: Seconds.
WARM_UP = 12
#: Seconds that one act may take.
LONGEST = 30
TENTHS = 10
#: The share that memory may have grown by, from the second tenth to the last.
GROWTH = 0.10


@dataclasses.dataclass
class Kind:
    """A kind of traffic: so many acts a second, at most so many at once."""

    name: str
    act: typing.Callable
    rate: float
    most: int


KINDS = [
    Kind("hit", ordinary.hit, 50, 20),
    Kind("miss", ordinary.miss, 10, 10),
    Kind("revalidate", ordinary.revalidate, 10, 10),
    Kind("write", ordinary.write, 4, 20),
    Kind("upload", ordinary.upload, 0.5, 3),
    Kind("download", ordinary.download, 0.5, 3),
    Kind("HTTP/2", ordinary.http2, 0.1, 1),
    Kind("upgrade", ordinary.echo, 0.5, 5),
    Kind("failing app", ordinary.failing_app, 1, 8),
    Kind("slow reader", rude.slow_reader, 0.3, 4),
    Kind("slow head", rude.slow_head, 0.3, 4),
    Kind("slow upload", rude.slow_upload, 0.3, 4),
    Kind("endless head", rude.endless_head, 0.2, 4),
    Kind("endless body", rude.endless_body, 0.2, 4),
    Kind("leaves", rude.leaves, 1, 8),
    Kind("leaves a fill", rude.leaves_a_fill, 0.3, 4),
    Kind("look", operators.look, 0.5, 4),
    Kind("purge", operators.purge, 0.2, 2),
    Kind("events", operators.events, 0.1, 3),
]


class Soak:
    """What all who take part share."""

    def __init__(self, running):
        self.fleet, self.tally, self.record = running, tally.Tally(), record.Record()
        self.clients = client.Clients(running, self.tally)
        self.watch = watch.Watch(self)
        self.faults = faults.Faults(self)
        self.random = random.Random(1)
        self.numbers = itertools.count()
        self.stop = asyncio.Event()
        # Zipf: the n-th page is asked for 1/n as often as the first.
        self.weights = list(itertools.accumulate(1 / (number + 1) for number in range(content.PAGES)))

    def some_page(self):
        return self.random.choices(range(content.PAGES), cum_weights=self.weights)[0]

    def some_place(self):
        return self.random.choice("ab")

    def unique(self):
        return next(self.numbers)

    async def to_app(self):
        return await client.connect(self.fleet.app.port)

    async def to_admin(self):
        """A connection to the admin interface of the sidecar that is never stopped."""
        sidecar = self.fleet.sidecars["a"]
        return await client.connect(sidecar.admin, sidecar.life)

    async def stopped_within(self, seconds):
        """Whether it was said that it is enough, within so long."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.stop.wait(), seconds)
        return self.stop.is_set()

    async def traffic(self, seconds, more=()):
        """All kinds of it for so long, and `more` beside them; then everything that was begun is ended."""
        self.stop.clear()
        tasks = [asyncio.ensure_future(task) for task in (*map(self.drive, KINDS), *more)]
        try:
            await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            self.stop.set()
        await asyncio.gather(*tasks)
        self.clients.leave()

    async def drive(self, kind):
        """Begins an act when it is due, unless too many are under way."""
        running, due = set(), time.monotonic()
        while not await self.stopped_within(max(0, due - time.monotonic())):
            due = max(due + 1 / kind.rate, time.monotonic() - 1)
            if len(running) == kind.most:
                self.tally.skipped[kind.name] += 1
                continue
            task = asyncio.ensure_future(self.one(kind))
            running.add(task)
            task.add_done_callback(running.discard)
        await asyncio.gather(*running)

    async def one(self, kind):
        try:
            await asyncio.wait_for(kind.act(self), LONGEST)
        except asyncio.TimeoutError:
            self.tally.wrong(kind.name, f"no end within {LONGEST} s")
        except client.Wrong as wrong:
            self.tally.wrong(kind.name, str(wrong))
        except client.Lost as lost:
            self.tally.wrong(kind.name, f"LOST: {lost}")
        except Exception as error:  # whatever it is, the soak goes on, and fails
            self.tally.wrong(kind.name, f"{type(error).__name__}: {error}")

    async def fill(self):
        """Until both stores have had to let something go."""
        for place, sidecar in self.fleet.sidecars.items():
            while not (await sidecar.metrics()).get("tagalong_evictions_total"):
                paths = [f"/new/{self.unique()}?bytes=100000&keep=1" for _ in range(20)]
                await asyncio.gather(*(self.clients.ask("fill", place, "GET", path) for path in paths))

    async def rest(self, base=None):
        """A reading of each sidecar at rest; back at the base line if there is one."""
        found = {}
        for place, sidecar in self.fleet.sidecars.items():
            wanted = (lambda reading, place=place: not watch.back(base[place], reading)) if base else (lambda reading: True)
            try:
                found[place] = await self.watch.at_rest(sidecar, wanted)
            except client.Wrong as wrong:
                found[place] = await self.watch.read(sidecar)
                told = watch.back(base[place], found[place]) if base else str(wrong)
                self.tally.wrong("not back", f"{place}, after {watch.REST_PATIENCE} s at rest: {told}")
            if not base and (open_still := watch.too_many(found[place])):
                self.tally.wrong("at rest", f"{place} has {'; '.join(open_still)}")
            if found[place].resident > watch.MOST_AT_REST:
                held = f"{watch.mib(found[place].resident)}, at most {watch.mib(watch.MOST_AT_REST)} is promised"
                self.tally.wrong("memory", f"{place} has at rest {held}")
        return found

    async def tell(self, seconds):
        """A line each ten seconds."""
        begun = time.monotonic()
        while not await self.stopped_within(10):
            states = [
                f"{place} {watch.mib(readings[-1].resident)}, {readings[-1].descriptors} descriptors" for place, readings in self.watch.readings.items() if readings
            ]
            line = f"{time.monotonic() - begun:.0f} of {seconds} s: {self.tally.requests():,} answers, {self.tally.wrong_count} wrong; {'; '.join(states)}"
            print(f"{line}; {self.faults.last}", file=sys.stderr)


async def soak(arguments):
    """What came of it, for the report."""
    async with fleet.Fleet(arguments.tagalong) as running:
        # However it is stopped, what it started ends first.
        task = asyncio.current_task()
        for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(stop, task.cancel)
        it = Soak(running)
        print("warm-up, and rest", file=sys.stderr)
        await it.fill()
        await it.traffic(WARM_UP)
        await it.faults.reload()
        base = await it.rest()
        warm, it.tally = it.tally, tally.Tally()
        it.clients.tally = it.faults.tally = it.tally
        it.tally.wrongs, it.tally.wrong_count = [f"warm-up: {wrong}" for wrong in warm.wrongs], warm.wrong_count
        begun = time.monotonic() - it.tally.begun
        more = (it.watch.go_on(arguments.every), it.faults.go_on(arguments.fault_every), it.tell(arguments.seconds))
        await it.traffic(arguments.seconds, more)
        ended = time.monotonic() - it.tally.begun
        print("rest", file=sys.stderr)
        end = await it.rest(base)
        tenths = split(it.watch.readings, begun, ended)
        growth = judge_growth(it, tenths)
        logs = {place: sidecar.log_path.read_text(errors="replace") for place, sidecar in running.sidecars.items()}
        judge_logs(it, logs)
        return report.Found(it.tally, base, end, tenths, growth, ended - begun, logs)


def split(readings, begun, ended):
    """By place, the readings of each tenth."""
    length = (ended - begun) / TENTHS
    return {
        place: [[reading for reading in mine if begun + length * part <= reading.at < begun + length * (part + 1)] for part in range(TENTHS)]
        for place, mine in readings.items()
    }


def judge_growth(it, tenths):
    """The share that the memory of the sidecar that lives on has grown by, from the second tenth to the last."""
    if not (tenths["a"][1] and tenths["a"][-1]):
        it.tally.wrong("memory", "it was not read often enough to be judged")
        return float("nan")
    second, last = (report.mean(tenths["a"][part], "resident") for part in (1, -1))
    growth = last / second - 1
    if growth > GROWTH:
        it.tally.wrong("memory", f"a had {watch.mib(second)} in the second tenth and has {watch.mib(last)} in the last: {growth:+.1%}")
    return growth


#: What no sidecar may say of itself.
SAID = ["panicked", "increments are lost", "some requests were still running", "some exchanges with the app were still running"]


def judge_logs(it, logs):
    for place, text in logs.items():
        for line in text.splitlines():
            if any(said in line for said in SAID):
                it.tally.wrong("log", f"{place}: {line}")


def main():
    arguments = parse()
    needs.install({"redis-server": "redis-server", "h2load": "nghttp2-client", "setpriv": "util-linux"})
    load = os.getloadavg()[0]
    try:
        found = asyncio.run(soak(arguments))
    except asyncio.CancelledError:
        sys.exit("stopped")
    text = report.markdown(found, arguments, (load, os.getloadavg()[0]))
    if arguments.out:
        arguments.out.write_text(text)
    print(text)
    if found.tally.wrong_count:
        sys.exit(f"{found.tally.wrong_count} wrong:\n" + "\n".join(found.tally.wrongs))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tagalong", metavar="PROGRAM", required=True)
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--quick", action="store_true", help="a minute, with everything in it")
    parser.add_argument("--out", type=pathlib.Path, help="where the report goes; it is printed, too. Default: docs/soak.md, if it took an hour")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seconds = 60
    if arguments.seconds >= 3600 and not arguments.out:
        arguments.out = PAGE
    # In a minute each fault comes about twice; each takes some five seconds by itself.
    arguments.fault_every = max(2, min(30, arguments.seconds / 30))
    arguments.every = 1 if arguments.seconds < 600 else 5
    return arguments


if __name__ == "__main__":
    main()
