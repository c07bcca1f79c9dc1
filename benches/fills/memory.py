"""Many large bodies at once, whose readers are slow: how much memory does it take?"""

import asyncio
import dataclasses
import os
import pathlib
import re
import sys
import time

import bodies
import clients
from page import Goal, Section
from report import row

FILLS = 50
SIZE = 64 << 20
#: Bytes that each client reads a second.
RATE = 6 << 20
#: What the system may receive for a client before it is read.
BUFFER = 64 << 10
MAX_BYTES = 256
#: MiB of each body that the cache is full of before: as large as `max_object` is by default.
FILLER = 8
#: What a fill may take beside the cache, in MiB: what it has of a body that only passes, and buffers on both sides.
WINDOW = 0.5
LARGE = {"limits": {"max_object": "64MiB"}}
#: How many, settings, what the app is told.
KINDS = {
    "streamed through (`limits` by default), chunked": (FILLS, {}, "&chunked=1"),
    "`max_object: 64MiB`, Content-Length": (FILLS, LARGE, ""),
    "`max_object: 64MiB`, chunked": (FILLS, LARGE, "&chunked=1"),
    "`max_object: 64MiB`, chunked, one alone": (1, LARGE, "&chunked=1"),
}


@dataclasses.dataclass
class Run:
    """What one run showed, in MiB and seconds."""

    kind: str
    fills: int
    idle: float
    #: With a full cache, before the large bodies.
    full: float
    peak: float
    #: How far the app was ahead of all clients together, at most.
    ahead: float
    #: What the system held for all sockets of the machine, at most.
    sockets: float
    right: int
    seconds: float

    def bound(self):
        put_together = SIZE >> 20 if self.fills == 1 else 0  # what is stored is copied into one piece first
        return 1.25 * MAX_BYTES + 30 + self.fills * WINDOW + put_together


def measure(app, run_tagalong):
    """`run_tagalong` starts a fresh server with these settings."""
    runs = []
    for number, (kind, (fills, settings, more)) in enumerate(KINDS.items()):
        with run_tagalong(settings) as server:
            paths = [f"/big/{number}/{each}" for each in range(fills)]
            runs.append(asyncio.run(run(app, server, kind, paths, f"?bytes={SIZE}{more}")))
        print(f"memory, {kind}: {runs[-1].peak:.0f} MiB", file=sys.stderr)
    return section(runs)


async def run(app, server, kind, paths, query):
    idle = memory(server.pid, "VmRSS")
    await fill_cache(server)
    full, begun = memory(server.pid, "VmRSS"), time.perf_counter()
    rate = RATE if len(paths) > 1 else None
    async with clients.connected(server.port, len(paths), rate, BUFFER) as opened:
        watcher = Watcher(app, opened)
        watched = asyncio.ensure_future(watcher.watch())
        answers = await asyncio.gather(*[client.ask(path + query) for client, path in zip(opened, paths)])
        watched.cancel()
    seconds, peak = time.perf_counter() - begun, memory(server.pid, "VmHWM")
    right = sum(answer.length == SIZE and answer.crc == bodies.crc(path, SIZE) for answer, path in zip(answers, paths))
    return Run(kind, len(paths), idle, full, peak, watcher.ahead / 2**20, watcher.sockets / 2**20, right, seconds)


async def fill_cache(server):
    """The bound speaks of a process whose cache is full."""
    async with clients.connected(server.port, 1) as opened:
        for number in range(MAX_BYTES // FILLER + 1):
            await opened[0].ask(f"/filler/{number}?bytes={FILLER << 20}")


class Watcher:
    """Looks every now and then, and keeps the most it has seen, in bytes."""

    def __init__(self, app, opened):
        self.app, self.opened = app, opened
        self.sent_before = clients.counts(app)["sent"]
        #: What the app has sent and no client has read.
        self.ahead = 0
        #: What the system holds for sockets.
        self.sockets = 0

    async def watch(self):
        while True:
            received = sum(client.received for client in self.opened)
            sent = (await asyncio.to_thread(clients.counts, self.app))["sent"] - self.sent_before
            pages = int(re.search(r"TCP: .* mem (\d+)", pathlib.Path("/proc/net/sockstat").read_text())[1])
            self.ahead = max(self.ahead, sent - received)
            self.sockets = max(self.sockets, pages * os.sysconf("SC_PAGE_SIZE"))
            await asyncio.sleep(0.25)


def memory(pid, field):
    """Memory of a process in MiB: `VmRSS` now, `VmHWM` at most."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+) kB", status)[1]) / 1024


def section(runs):
    lines = row("bodies", "idle, MiB", "cache full, MiB", "peak, MiB", "bound, MiB", "app ahead of the clients, MiB", "in sockets, MiB", "right bodies", "seconds")
    lines += row(*["---"] * 9)
    for each in runs:
        figures = [f"{figure:.0f}" for figure in (each.idle, each.full, each.peak, each.bound(), each.ahead, each.sockets)]
        lines += row(each.kind, *figures, f"{each.right} of {each.fills}", f"{each.seconds:.1f}")
    how = (
        f"The cache is full of bodies of {FILLER} MiB. Then {FILLS} clients ask for a URL each, all at once; each body has {SIZE >> 20} MiB, together {FILLS * SIZE >> 20:,} MiB. The app"
        f" sends as fast as it may, clients read {RATE >> 20} MiB a second each, with receive buffers of {BUFFER >> 10} KiB. Peak:"
        f" `VmHWM` of a fresh sidecar. Bound: 1.25 × `max_bytes` ({MAX_BYTES} MiB) + 30 MiB, and {WINDOW} MiB a fill for what is under way"
        f" of a body that only passes. One alone, read as fast as it comes, is kept whole and stored, and copied into one piece for that: its size more. The app ahead of the clients: what it has handed to the system and nobody has"
        " read, wherever it is. In sockets: what the system held for all connections of the machine; it is not in `VmHWM`. Both were"
        " looked at four times a second. Every body was compared by length and CRC-32."
    )
    return Section(f"{FILLS} fills of {SIZE >> 20} MiB at once", how, lines, goals(runs))


def goals(runs):
    many, alone = ([run for run in runs if (run.fills > 1) is several] for several in (True, False))
    bodies_right = Goal("… every body right", ", ".join(str(run.right) for run in runs), all(run.right == run.fills for run in runs))
    return [
        within(f"{FILLS} fills of {SIZE >> 20} MiB, cache full before, within {many[0].bound():.0f} MiB", many),
        within(f"… one alone, which is stored, within {alone[0].bound():.0f} MiB", alone),
        bodies_right,
    ]


def within(text, runs):
    peaks = ", ".join(f"{run.peak:.0f}" for run in runs)
    return Goal(text, f"{peaks} MiB", all(run.peak <= run.bound() for run in runs))
