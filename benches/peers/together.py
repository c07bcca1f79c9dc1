"""Hits of sidecars that share Redis, on the clients' core: server CPU of the sidecar alone, and what Redis is asked for each.

Bounded, strict, and the second tier, where the body comes from Redis each time; beside one that shares nothing.
"""

import contextlib
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
BOUNDED, STRICT, SECOND = (f"{TAGALONG}, {mode}" for mode in ("bounded", "strict", "second tier"))
#: Settings and rules of each.
MODES = {
    BOUNDED: ({}, None),
    STRICT: ({"tags": {"consistency": "strict"}}, None),
    SECOND: ({}, [{"id": "bench", "store": "redis"}]),
}


def goals(_):
    # A heartbeat a second or so is no part of any hit.
    return [Goal(COMMANDS, 0.001, server=BOUNDED), Goal(HIT, 1.05, TAGALONG, server=BOUNDED)]


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
                before = commands(redis)
                run = hits.one_run(workload, server, origin, URLS, bench.seconds)
                yield Figure(HIT, server.name, number, run.micros, "µs", run.rate)
                if server.name != TAGALONG:
                    # Followers of all three ask while they wait.
                    yield Figure(COMMANDS, server.name, number, (commands(redis) - before) / run.requests, "commands")


def commands(redis):
    """How many Redis has carried out, those of scripts too."""
    with socket.create_connection(("127.0.0.1", redis.port), 5) as asked:
        asked.sendall(b"INFO stats\r\n")
        found, text = None, b""
        while not found:
            if not (data := asked.recv(65536)):
                sys.exit("Redis does not tell its figures")
            text += data
            found = re.search(rb"total_commands_processed:(\d+)\r\n", text)
        return int(found[1])
