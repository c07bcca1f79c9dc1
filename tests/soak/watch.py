"""What is watched: memory, descriptors, threads and sockets of the sidecars, and the gauges that must come back to 0."""

import asyncio
import collections
import dataclasses
import os
import pathlib
import time

from client import Wrong
from fleet import MAX_BYTES

GAUGES = [
    "tagalong_fills_in_flight",
    "tagalong_upstream_exchanges",
    "tagalong_upstream_queue",
    "tagalong_event_streams",
    "tagalong_outbox",
]
COUNTERS = {"evictions": "tagalong_evictions_total", "deferred": "tagalong_increments_deferred_total", "generations": "tagalong_generations_total"}
#: docs/operations.md, "Sizing": 1.25 × `max_bytes` and 30 MiB, and half a MiB for each large body under way; more than 20 there are not.
MOST_RESIDENT = MAX_BYTES * 1.25 + (30 << 20) + (10 << 20)
#: In the words of /proc/net/tcp.
STATES = {"01": "established", "02": "connecting", "04": "closing", "05": "closing", "08": "close wait", "09": "closing", "0A": "listening", "0B": "closing"}
#: Seconds without a change are rest; the runtime's spare threads end after ten.
REST = 12
REST_PATIENCE = 90


@dataclasses.dataclass
class Reading:
    """One look at one sidecar."""

    #: Seconds since the soak began.
    at: float
    #: Bytes.
    resident: int
    descriptors: int
    threads: int
    #: By state.
    sockets: dict
    gauges: dict
    counters: dict

    def shape(self):
        """What comes back to the base line."""
        return self.descriptors, self.threads, tuple(sorted(self.sockets.items())), tuple(self.gauges.values())


class Watch:
    def __init__(self, soak):
        self.soak = soak
        self.readings = {place: [] for place in soak.fleet.sidecars}
        self.most_resident = 0

    async def go_on(self, every):
        """Reads all the time, and tells the record what is committed."""
        while not await self.soak.stopped_within(every):
            for place, sidecar in self.soak.fleet.sidecars.items():
                try:
                    reading = await self.read(sidecar)
                except (OSError, KeyError):
                    if sidecar.life.is_up:
                        raise
                    continue  # it is stopping or starting
                if reading:
                    self.readings[place].append(reading)
                    self.judge(place, reading)

    async def read(self, sidecar):
        """`None` if its life has ended meanwhile."""
        asked, life, pid = time.monotonic(), sidecar.life, sidecar.process.pid
        metrics = await sidecar.metrics()
        if sidecar.process.pid != pid:
            return None
        if metrics["tagalong_outbox"] == 0:
            self.soak.record.outbox_was_empty(life, asked)
        gauges = {gauge: int(metrics[gauge]) for gauge in GAUGES}
        counters = {name: int(metrics.get(metric, 0)) for name, metric in COUNTERS.items()}
        at = asked - self.soak.tally.begun
        return Reading(at, *await asyncio.to_thread(of_process, pid), gauges, counters)

    def judge(self, place, reading):
        if reading.resident > MOST_RESIDENT and self.most_resident < MOST_RESIDENT:
            self.soak.tally.wrong("memory", f"{place} has {mib(reading.resident)}, at most {mib(MOST_RESIDENT)} is promised")
        self.most_resident = max(self.most_resident, reading.resident)

    async def at_rest(self, sidecar, until=lambda reading: True):
        """A reading when nothing has changed for a while, no gauge is up, and it is as wanted."""
        deadline, last, since = time.monotonic() + REST_PATIENCE, None, 0
        while True:
            reading = await self.read(sidecar)
            if not last or reading.shape() != last.shape():
                last, since = reading, time.monotonic()
            if time.monotonic() >= since + REST and not any(reading.gauges.values()) and until(reading):
                return reading
            if time.monotonic() > deadline:
                raise Wrong(f"{sidecar.place} is not at rest within {REST_PATIENCE} s: {reading}")
            await asyncio.sleep(1)


def of_process(pid):
    """Resident bytes, descriptors, threads, sockets by state."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    targets = [link_target(link) for link in pathlib.Path(f"/proc/{pid}/fd").iterdir()]
    inodes = {target[8:-1] for target in targets if target.startswith("socket:[")}
    lines = pathlib.Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    states = [line.split()[3] for line in lines if line.split()[9] in inodes]
    sockets = collections.Counter(STATES.get(state, state) for state in states)
    return int(fields["VmRSS"].split()[0]) << 10, len(targets), int(fields["Threads"]), dict(sockets)


def link_target(link):
    try:
        return os.readlink(link)
    except FileNotFoundError:
        return ""  # closed meanwhile


def back(base, now):
    """What is not back at the base line, as text; nothing if all is."""
    found = [f"{name}: {getattr(now, name)}, {getattr(base, name)} before" for name in ("descriptors", "threads") if getattr(now, name) > getattr(base, name)]
    found += [f"sockets {state}: {count}, {base.sockets.get(state, 0)} before" for state, count in now.sockets.items() if count > base.sockets.get(state, 0)]
    return "; ".join(found + [f"{gauge}: {value}" for gauge, value in now.gauges.items() if value])


def mib(size):
    return f"{size / (1 << 20):.1f} MiB"
