"""From the start of the process to its first answer, a miss; and the memory of an idle server, two seconds later, without TLS.

Varnish's is for the most part its log in shared memory (`vsl_space`, 80 MiB).
"""

import dataclasses
import time

import hits
import load
from bench import Figure, Goal

NAMES = ["start"]
START, IDLE = "start to first answer", "idle, resident"
SETTLED = 2


def goals(_):
    return [Goal(START, 50), Goal(IDLE, 15)]


def measure(bench):
    bench = dataclasses.replace(bench, certificate=None)
    with bench.origin() as origin:
        started = [lambda _: bench.reference(), bench.nginx, bench.varnish, bench.tagalong]
        for number in range(1, bench.rounds + 1):
            for start in started:
                begun = time.perf_counter()
                with start(origin) as server:
                    if hits.ask(server, "http", "GET", "/1") != (200, 1024):
                        raise SystemExit(f"{server.name}: a wrong answer")
                    yield Figure(START, server.name, number, (time.perf_counter() - begun) * 1000, "ms")
                    time.sleep(SETTLED)
                    yield Figure(IDLE, server.name, number, load.resident(server.pid) / 2**20, "MiB")
