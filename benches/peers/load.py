"""One measured run: wrk or h2load against a server, and the CPU time the server's processes spent on it."""

import dataclasses
import os
import pathlib
import re
import subprocess
import sys

import contestants
import needs

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
CONNECTIONS = 32
#: Requests at once on each connection of HTTP/2.
STREAMS = 4
#: Requests in place of a second of them.
H2_RATE = 30_000


@dataclasses.dataclass
class Run:
    """What one run showed."""

    requests: int
    #: Server CPU per request, in microseconds.
    micros: float
    #: Requests answered per second.
    rate: float


def wrk(server, url, seconds, options=(), arguments=()):
    """Let wrk ask for a URL, or as a script among the options says; refuses a run in which anything went wrong."""
    return run(server, ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *options, url, "--", *arguments], wrk_told)


def wrk_told(output):
    """How many requests in how many seconds; `None`: something went wrong."""
    found = re.search(r"(\d+) requests in ([\d.]+)(m?s)", output)
    if not found or "Socket errors" in output or "Non-2xx" in output:
        return None
    return int(found[1]), float(found[2]) / (1000 if found[3] == "ms" else 1)


def h2load(server, url, seconds):
    """Let h2load ask for a URL over HTTP/2, without TLS and without an upgrade.

    By their number, which takes about so long: by time it would leave in the middle of requests.
    """
    command = ["h2load", "-t1", f"-c{CONNECTIONS}", f"-m{STREAMS}", f"-n{H2_RATE * seconds}", url]
    return run(server, command, h2load_told)


def h2load_told(output):
    """As `wrk_told`."""
    time = re.search(r"finished in ([\d.]+)(m?s)", output)
    found = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output)
    if not time or not found or found[1] != found[2] or any(int(bad) for bad in found.groups()[2:]):
        return None
    return int(found[2]), float(time[1]) / (1000 if time[2] == "ms" else 1)


def run(server, command, told):
    """`told`: what the generator's output says."""
    pinned = ["taskset", "-c", str(contestants.CLIENT_CORE), needs.find(command[0]), *command[1:]]
    before = ticks(server.pid)
    output = subprocess.run(pinned, check=True, stdout=subprocess.PIPE, text=True).stdout
    after = ticks(server.pid)
    if not (found := told(output)) or not found[0]:
        sys.exit(f"{server.name}: {output}")
    requests, duration = found
    # Each process once, by its id; one that began meanwhile counts from nothing.
    cpu = sum(spent - before.get(pid, 0) for pid, spent in after.items()) / TICKS_PER_SECOND
    return Run(requests, cpu / requests * 1e6, requests / duration)


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


def resident(pid):
    """Bytes of memory that a process and its descendants have, pages that several share once."""
    told = [pathlib.Path(f"/proc/{each}/smaps_rollup").read_text() for each in ticks(pid)]
    return sum(int(re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)[1]) for text in told) << 10
