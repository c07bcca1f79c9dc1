"""Memory of an entry of 1 KiB with three tags (one of its own, one that 1,000th entries share, one of all), by a fresh server each."""

import fill
import load
from bench import Figure, Goal

NAMES = ["memory"]
RESIDENT, FILES = "an entry of 1 KiB, resident", "an entry of 1 KiB, in files"
MOST_ROUNDS = 2


def goals(_):
    return [Goal(RESIDENT, 1900)]


def measure(bench):
    entries = min(bench.most, 100_000)
    for number in range(1, min(bench.rounds, MOST_ROUNDS) + 1):
        for start in (bench.nginx, bench.varnish, bench.tagalong):
            with bench.origin() as origin, start(origin) as server:
                # What a connection and a first entry bring with them is not the entries'.
                fill.fill(server, ["/1"])
                before = load.resident(server.pid)
                fill.fill(server, [f"/1?n={entry}" for entry in range(entries)])
                yield Figure(RESIDENT, server.name, number, (load.resident(server.pid) - before) / entries, "bytes")
                if origin.calls() < entries:
                    raise SystemExit(f"{server.name}: the app was asked {origin.calls()} times alone")
                if server.folder:
                    size = sum(file.stat().st_blocks * 512 for file in server.folder.rglob("*") if file.is_file())
                    yield Figure(FILES, server.name, number, size / entries, "bytes")
