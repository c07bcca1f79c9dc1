"""One measured run: wrk against a server, and the CPU time the server's processes spent on it."""

import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import urllib.request

import contestants
import needs

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass
class Round:
    """What one run showed."""

    name: str
    kib: int
    number: int
    #: Server CPU per request, in microseconds.
    micros: float
    #: Requests answered per second.
    rate: float
    #: Share of its core that the server used.
    busy: float
    #: Load average of the last minute, before the run.
    load: float


def warm(server, kib):
    """Ask until it must be in the cache, and look at the answer."""
    for _ in range(3):
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/{kib}", timeout=10) as answer:
            if len(answer.read()) != kib << 10:
                sys.exit(f"{server.name} answers /{kib} with the wrong length")


def run(server, kib, number, seconds, connections):
    """Let wrk ask for one URL; refuses a run in which anything went wrong."""
    load = os.getloadavg()[0]
    url = f"http://127.0.0.1:{server.port}/{kib}"
    pinned = ["taskset", "-c", str(contestants.CLIENT_CORE)]
    command = [*pinned, needs.find("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", url]
    before = ticks(server.pid)
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    after = ticks(server.pid)
    found = re.search(r"(\d+) requests in ([\d.]+)(m?s)", output)
    if not found or "Socket errors" in output or "Non-2xx" in output:
        sys.exit(f"{server.name}: {output}")
    requests, duration = int(found[1]), float(found[2]) / (1000 if found[3] == "ms" else 1)
    # Each process once, by its id; one that began meanwhile counts from nothing.
    cpu = sum(spent - before.get(pid, 0) for pid, spent in after.items()) / TICKS_PER_SECOND
    return Round(server.name, kib, number, cpu / requests * 1e6, requests / duration, cpu / duration, load)


def ticks(pid):
    """User and system time of a process and its descendants, in clock ticks, by process id.

    The figure of a process is the sum over its threads, with those that have ended.
    """
    try:
        # The name, in parentheses, may hold spaces.
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = [text.read_text() for text in pathlib.Path(f"/proc/{pid}/task").glob("*/children")]
    except FileNotFoundError:
        return {}
    spent = {pid: int(fields[11]) + int(fields[12])}
    for child in " ".join(children).split():
        spent.update(ticks(int(child)))
    return spent
