#!/usr/bin/env python3
"""Two versions of Tagalong on one Redis: an upgrade, one sidecar after the other, and back again, under reads and writes.

    tests/upgrade/upgrade.py --old target/upgrade/tagalong-… --new target/debug/tagalong

No read may be older than a write that was acknowledged `tags.max_lag` before it began, nor through the same sidecar older than any;
what one version has stored the other serves or misses. Every answer is a 200, and only who is being replaced may answer nothing. Fails at the
first that is otherwise. Needs Python 3.9 and redis-server.
"""

import argparse
import collections
import contextlib
import http.client
import itertools
import pathlib
import random
import re
import shutil
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "crash"))

import app  # noqa: E402
import run as crash  # noqa: E402

PAGES, CLIENTS = 20, 8
#: The same through either, as it is in the key.
HOST = "shop.example"
#: Which version is at either place, from stage to stage.
STAGES = [("old", "old"), ("new", "old"), ("new", "new"), ("old", "new"), ("old", "old"), ("old", "new")]
SETTINGS = {"tags": {"max_lag": f"{crash.LAG}s"}}


def main():
    arguments = parse()
    programs = {"old": arguments.old, "new": arguments.new}
    with app.App() as behind, tempfile.TemporaryDirectory(prefix="upgrade-") as folder, contextlib.ExitStack() as ends:
        versions = {name: crash.Place(program, behind, pathlib.Path(folder)) for name, program in programs.items()}
        redis = ends.enter_context(versions["new"].redis())
        record = Record()
        places = [Place(versions, redis, ends) for _ in STAGES[0]]
        clients = [Client(record, places) for _ in range(CLIENTS)]
        try:
            for stage in STAGES:
                for place, version in zip(places, stage):
                    place.run(version)
                time.sleep(arguments.seconds)  # so long they read and write
                if record.wrong:
                    break
                told(places)
                print(f"{' and '.join(stage)}: {record.counts(places)}", flush=True)
        finally:
            for client in clients:
                client.ends = True
            for client in clients:
                client.join()
        if record.wrong:
            sys.exit(record.wrong)
        if not record.shared["old", "new"] or not record.shared["new", "old"]:
            sys.exit("not both versions have found something in Redis beside the other: too little to say much")
    print(f"in all: {record.total()}")


class Record:
    """What was acknowledged when, and what was read."""

    def __init__(self):
        self.lock, self.wrong = threading.Lock(), None
        #: By page: times and versions, each newer than the one before; and the same by who has taken them.
        self.all, self.here = collections.defaultdict(list), collections.defaultdict(list)
        self.count, self.before = collections.Counter(), collections.Counter()
        #: How often a version has found a response in Redis beside the other one: served, or not readable.
        self.shared = collections.Counter()

    def wrote(self, life, path, version, deferred):
        with self.lock:
            now = time.monotonic()
            self.count["deferred" if deferred else "acknowledged"] += 1
            newer(self.here[life, path], now, version)
            if not deferred:
                newer(self.all[path], now, version)

    def unanswered(self):
        with self.lock:
            self.count["unanswered"] += 1

    def fails(self, why):
        with self.lock:
            self.wrong = self.wrong or why

    def read(self, life, path, begun, version, hit):
        with self.lock:
            self.count["reads"] += 1
            self.count["hits"] += hit
            owed = max(by(self.all[path], begun - crash.LAG), by(self.here[life, path], begun))
            if version < owed and not self.wrong:
                self.wrong = f"{life} answered {path} with {version} though {owed} had been acknowledged"

    def counts(self, places):
        with self.lock:
            now = self.count - self.before
            self.before = self.count.copy()
        said = ", ".join(f"{count} {name}" for name, count in sorted(now.items()))
        met = [place.said() for place in places]
        for place, other in zip(places, places[::-1]):
            self.shared[place.version, other.version] += place.met
        return f"{said}; {', '.join(met)}"

    def total(self):
        with self.lock:
            return ", ".join(f"{count} {name}" for name, count in sorted(self.count.items()))


def newer(times, now, version):
    if not times or times[-1][1] < version:
        times.append((now, version))


def by(times, moment):
    """The newest version by then."""
    return max((version for since, version in times if since <= moment), default=0)


class Place:
    """Where one sidecar takes the place of another."""

    def __init__(self, versions, redis, ends):
        self.versions, self.redis, self.ends = versions, redis, ends
        #: The life of the sidecar and its port, always those of one; `None`: it ends or has not begun.
        self.at = None
        self.version, self.stop = None, None
        self.met = self.before = 0

    def run(self, version):
        """This version from now on, if it is another one. Who asks meanwhile is answered by nobody."""
        if version == self.version:
            return
        if self.stop:
            self.at = None
            self.sidecar.terminate()
            if code := self.sidecar.wait(crash.PATIENCE):
                raise crash.Lost(f"the {self.version} one ended with {code}")
            self.stop.close()
        admin = crash.free_port()
        self.stop = self.ends.enter_context(contextlib.ExitStack())
        place = self.versions[version]
        settings = {**SETTINGS, "admin": {"listen": f"127.0.0.1:{admin}"}}
        self.sidecar = self.stop.enter_context(place.sidecar(self.redis, settings))
        self.version, self.admin, self.before = version, admin, 0
        self.at = f"{version} {self.sidecar.pid}", self.sidecar.port

    def metric(self, name):
        text = crash.ask(self.admin, "GET", "/metrics").decode()
        return sum(float(value) for value in re.findall(rf"^tagalong_{name} ([0-9.]+)$", text, re.M))

    def said(self):
        """What it has met in Redis and in the log since it began; how much of it since the last time is kept."""
        found = self.metric(r'shared_lookups_total\{result="hit"\}')
        foreign = self.metric(r'store_foreign_total\{kind="version"\}')
        gaps = self.metric("log_gaps_total")
        self.met, self.before = found + foreign - self.before, found + foreign
        return f"{self.version}: {found:.0f} found in Redis, {foreign:.0f} not readable, {gaps:.0f} gaps"


class Client(threading.Thread):
    """Reads and writes through all places until it is told to end."""

    def __init__(self, record, places):
        super().__init__(daemon=True)
        self.record, self.places, self.ends, self.connections = record, places, False, {}
        self.start()

    def run(self):
        while not self.ends and not self.record.wrong:
            place = random.choice(self.places)
            at, path = place.at, f"/page/{random.randrange(PAGES)}"
            if at is None:
                time.sleep(0.01)  # nobody is there yet
                continue
            life, port = at
            try:
                self.talk(life, port, path)
            except (OSError, http.client.HTTPException) as error:
                self.connections.pop(port, None)
                # Of what one that ends was asked nobody knows what became.
                if place.at == at:
                    self.record.fails(f"{life} did not answer {path} though it goes on: {error!r}")
                else:
                    self.record.unanswered()

    def talk(self, life, port, path):
        connection = self.connections.setdefault(port, http.client.HTTPConnection("127.0.0.1", port, timeout=crash.PATIENCE))
        writes, begun = random.random() < 0.03, time.monotonic()
        connection.request("POST" if writes else "GET", path, b"" if writes else None, {"Host": HOST})
        answer = connection.getresponse()
        body, said = answer.read(), answer.getheader("Cache-Status") or ""
        if answer.status != 200 or not body.isdigit():
            self.record.fails(f"{life} answered {path} with {answer.status}: {body[:200]!r}")
            return
        version = int(body)
        if writes:
            self.record.wrote(life, path, version, "increment-deferred" in said)
        else:
            self.record.read(life, path, begun, version, "; hit" in said)


def told(places):
    """What is written through either is seen by the other."""
    for (writer, through), (reader, port) in itertools.permutations(place.at for place in places):
        version = int(crash.ask(through, "POST", "/page/0"))
        crash.until(lambda: crash.seen(port, "/page/0") >= version, f"a write through {writer} is seen by {reader}")  # noqa: B023


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    program = {"metavar": "PROGRAM", "type": lambda path: str(pathlib.Path(path).resolve()), "required": True}
    parser.add_argument("--old", **program)
    parser.add_argument("--new", **program)
    parser.add_argument("--seconds", type=float, default=5, help="of each stage")
    if not shutil.which("redis-server"):
        sys.exit("redis-server is needed")
    return parser.parse_args()


if __name__ == "__main__":
    main()
