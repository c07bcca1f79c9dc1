"""Hits of sidecars that share Redis, on the clients' core: server CPU of the sidecar alone, and what Redis is asked for each.

Bounded, strict, and the second tier, where the body comes from Redis each time; beside one that shares nothing. And how often Redis
reads from a connection for an increment: one after the other, each by `Cache-Tag-Increment` on the answer to a POST. Once for the
increment itself, which waits for that alone; once more for the sidecar that follows the log and asks for what comes next.
"""

import contextlib
import http.client
import re
import socket
import sys

import contestants
import hits
import load
from bench import TAGALONG, Figure, Goal

NAMES = ["redis"]
URLS = 1_000
HIT, COMMANDS = f"hit, {URLS:,} URLs, zipf, with Redis", "commands to Redis for a hit"
INCREMENTS, READS = 2_000, "reads by Redis for an increment"
BOUNDED, STRICT, SECOND = (f"{TAGALONG}, {mode}" for mode in ("bounded", "strict", "second tier"))
#: Settings and rules of each.
MODES = {
    BOUNDED: ({}, None),
    STRICT: ({"tags": {"consistency": "strict"}}, None),
    SECOND: ({}, [{"id": "bench", "store": "redis"}]),
}


def goals(_):
    # A heartbeat a second or so is no part of any hit.
    return [Goal(COMMANDS, 0.001, server=BOUNDED), Goal(HIT, 1.05, TAGALONG, server=BOUNDED), Goal(READS, 2.05, server=BOUNDED)]


def measure(bench):
    with contextlib.ExitStack() as stack:
        origin, redis = stack.enter_context(bench.origin()), stack.enter_context(contestants.redis())
        servers = [stack.enter_context(bench.tagalong(origin))]
        for number, (name, (settings, rules)) in enumerate(MODES.items()):
            # Redis has to share its core with wrk: it may be late.
            store = {"url": f"redis://127.0.0.1:{redis.port}", "timeout": "2s"}
            settings = {**settings, "namespace": f"bench-{number}", "store": {"redis": store}}
            servers.append(stack.enter_context(bench.tagalong(origin, settings, rules, name)))
        # Of one URL several hits would share what is read for one.
        workload = hits.Workload(HIT, "/1?n=1", 1 << 10, script="zipf.lua")
        for server in servers:
            hits.warm(workload, server, URLS)
        for number in range(1, bench.rounds + 1):
            for server in servers:
                before = told(redis, "total_commands_processed")
                run = hits.one_run(workload, server, origin, URLS, bench.seconds)
                yield Figure(HIT, server.name, number, run.micros, "µs", run.rate)
                if server.name != TAGALONG:
                    # Followers of all three ask while they wait.
                    yield Figure(COMMANDS, server.name, number, (told(redis, "total_commands_processed") - before) / run.requests, "commands")
                    yield Figure(READS, server.name, number, reads(server, redis), "reads")


def reads(server, redis):
    """How often Redis reads for an increment; nothing but those is asked for meanwhile."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    with contextlib.closing(connection):
        before = told(redis, "total_reads_processed")
        for number in range(INCREMENTS):
            connection.request("POST", f"/pass/1?increment=x{number % 100}")
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200 or "increment-deferred" in (answer.getheader("Cache-Status") or ""):
                sys.exit(f"{server.name}: {answer.status} for an increment, {answer.getheader('Cache-Status')}")
        each = (told(redis, "total_reads_processed") - before) / INCREMENTS
    if each < 1:
        sys.exit(f"{server.name}: Redis has heard of {each:.2f} of the increments")
    return each


def told(redis, name):
    """A figure of Redis's statistics: of commands (those of scripts too), or of reads from connections."""
    with socket.create_connection(("127.0.0.1", redis.port), 5) as asked:
        asked.sendall(b"INFO stats\r\n")
        found, text = None, b""
        while not found:
            if not (data := asked.recv(65536)):
                sys.exit("Redis does not tell its figures")
            text += data
            found = re.search(rf"{name}:(\d+)\r\n".encode(), text)
        return int(found[1])
