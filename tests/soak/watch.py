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
#: docs/operations.md, "Sizing": 1.25 × `max_bytes` and 30 MiB; half a MiB for each large body under way, of which there are not more than 20;
#: and docs/rules.md, `store.memory.max_bytes`: all of each that is being stored, which are at most three of 4 MiB (`download`), eight of 2 (`leaves`) and
#: four of 1 (`slow reader`).
MOST_AT_REST = MAX_BYTES * 1.25 + (30 << 20)
MOST_RESIDENT = MOST_AT_REST + (10 << 20) + (3 * 4 + 8 * 2 + 4 * 1 << 20)
#: In the words of /proc/net/tcp.
STATES = {"01": "established", "02": "connecting", "04": "closing", "05": "closing", "08": "close wait", "09": "closing", "0A": "listening", "0B": "closing"}
#: All that is open at rest; docs/sharing.md: "Each sidecar keeps two connections, and a third one for responses".
OPEN_AT_REST = {"clients listening": 1, "operators listening": 1, "Redis established": 3}
#: Threads more than before that are no leak: a spare one of the runtime ends after 10 s without work, and twice a second one of them, by turns, looks whether
#: files have changed. So that many at most never end.
SPARE_THREADS = 20
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
    #: By whom they lead to, and state.
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
                life = sidecar.life
                try:
                    reading = await self.read(sidecar)
                except (OSError, KeyError) as error:
                    if life.is_up:
                        self.soak.tally.wrong("watch", f"{life} cannot be read: {error!r}")
                    continue  # else it is stopping or starting
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
        fleet = self.soak.fleet
        ports = {sidecar.port: "clients", sidecar.admin: "operators", fleet.app.port: "app", fleet.redis.port: "Redis"}
        return Reading(at, *await asyncio.to_thread(of_process, pid, ports), gauges, counters)

    def judge(self, place, reading):
        """Told whenever it is worse than ever."""
        if reading.resident > max(MOST_RESIDENT, self.most_resident * 1.05):
            self.soak.tally.wrong("memory", f"{place} has {mib(reading.resident)}, at most {mib(MOST_RESIDENT)} is promised")
            self.most_resident = reading.resident

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


def of_process(pid, ports):
    """Resident bytes, descriptors, threads, sockets; `ports`: whose each is."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    targets = [link_target(link) for link in pathlib.Path(f"/proc/{pid}/fd").iterdir()]
    inodes = {target[8:-1] for target in targets if target.startswith("socket:[")}
    lines = pathlib.Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    sockets = collections.Counter(socket_name(line.split(), ports) for line in lines if line.split()[9] in inodes)
    return int(fields["VmRSS"].split()[0]) << 10, len(targets), int(fields["Threads"]), dict(sockets)


def socket_name(fields, ports):
    """Of a line of /proc/net/tcp: our port, or theirs, says whose it is."""
    whose = [ports[port] for port in (int(address.partition(":")[2], 16) for address in fields[1:3]) if port in ports]
    return f"{whose[0] if whose else 'others'} {STATES.get(fields[3], fields[3])}"


def link_target(link):
    try:
        return os.readlink(link)
    except FileNotFoundError:
        return ""  # closed meanwhile


def back(base, now):
    """What is not back at the base line, as text; nothing if all is. Of sockets no more may be open than is said, whatever there was before."""
    found = [f"descriptors: {now.descriptors}, {base.descriptors} before"] if now.descriptors > base.descriptors else []
    found += [f"threads: {now.threads}, {base.threads} before"] if now.threads > base.threads + SPARE_THREADS else []
    found += too_many(now)
    return "; ".join(found + [f"{gauge}: {value}" for gauge, value in now.gauges.items() if value])


def too_many(reading):
    """Sockets that should not be open at rest."""
    return [f"sockets, {name}: {count} in place of {OPEN_AT_REST.get(name, 0)}" for name, count in reading.sockets.items() if count > OPEN_AT_REST.get(name, 0)]


def mib(size):
    return f"{size / (1 << 20):.1f} MiB"
