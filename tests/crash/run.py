#!/usr/bin/env python3
"""What becomes of requests and increments when a sidecar is killed, stopped, or runs out of something.

    tests/crash/run.py --tagalong target/debug/tagalong

Each case says in a line what was tried and what came of it; the program fails if one of them lost what it must not lose. Needs
Python 3.9 and redis-server.
"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import random
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

import app

PAGES = 50
WRITERS = 4
#: `tags.max_lag`, which other sidecars may be behind; and what a busy machine may take to wait for it.
LAG, PATIENCE = 1, 20


def main():
    arguments = parse()
    failed = 0
    for case in (killed, stopped, full_disk, nobody_reads_the_log, descriptors, little_memory):
        begun = time.monotonic()
        with app.App() as behind, tempfile.TemporaryDirectory(prefix="crash-") as folder:
            try:
                said = case(Place(arguments.tagalong, behind, pathlib.Path(folder)), arguments)
            except Lost as lost:
                said, failed = f"LOST: {lost}", failed + 1
        print(f"{case.__doc__.splitlines()[0]} {said} ({time.monotonic() - begun:.0f} s)", flush=True)
    sys.exit(f"{failed} cases lost something" if failed else 0)


class Lost(Exception):
    """Something that must not be lost is."""


class Place:
    """The program, its app, and a folder for files."""

    def __init__(self, program, behind, folder):
        self.program, self.app, self.folder = program, behind, folder

    @contextlib.contextmanager
    def sidecar(self, redis=None, settings=None, **options):
        """One that answers, until the block ends."""
        port = free_port()
        config = {"listen": [f"127.0.0.1:{port}"], "upstream": {"url": f"http://127.0.0.1:{self.app.port}"}, **(settings or {})}
        if redis:
            config.setdefault("store", {})["redis"] = {"url": f"redis://127.0.0.1:{redis}", "timeout": "2s"}
        path = self.folder / f"{port}.yaml"
        path.write_text(json.dumps(config))
        with open(self.folder / f"{port}.log", "w") as log:
            process = subprocess.Popen([self.program, "serve", "--config", path], **{"stdout": log, "stderr": log, **options})
        process.port = port
        try:
            until(lambda: ask(port, "GET", "/page/0"), "it answers")
            yield process
        finally:
            process.kill()
            process.wait()

    @contextlib.contextmanager
    def redis(self):
        port = free_port()
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(self.folder)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            until(lambda: socket.create_connection(("127.0.0.1", port), 1).close() or True, "Redis answers")
            yield port
        finally:
            process.kill()
            process.wait()


def killed(place, arguments):
    """SIGKILL at any time:"""
    counted = 0
    with place.redis() as redis, place.sidecar(redis) as other:
        for _ in range(arguments.kills):
            with place.sidecar(redis) as dies:
                told = Writers(dies.port)
                time.sleep(random.uniform(0.05, 0.5))  # any time is right
                dies.kill()
                acknowledged = told.end()
            counted += sum(acknowledged.values())
            for path, version in acknowledged.items():
                until(lambda path=path, version=version: seen(other.port, path) >= version, f"version {version} of {path} is seen elsewhere", LAG + PATIENCE)
    return f"{arguments.kills} kills, {counted} versions acknowledged until then, all of them seen by the other sidecar"


def stopped(place, arguments):
    """SIGTERM under load:"""
    counted = cut = late = reset = 0
    for _ in range(arguments.stops):
        before = place.app.posts
        with place.sidecar() as dies:
            clients = [Client(dies.port, f"/page/{number}", again=number % 2) for number in range(16)]
            time.sleep(random.uniform(0.05, 0.3))  # any time is right
            dies.terminate()
            dies.wait(PATIENCE)
            for client in clients:
                client.join()
        cut += sum(client.cut for client in clients)
        late += sum(client.late for client in clients)
        reset += sum(client.reset for client in clients)
        answered, done = sum(client.answered for client in clients), place.app.posts - before
        if answered != done:
            raise Lost(f"the app did {done} requests, and {answered} were answered")
        counted += answered
    if cut:
        raise Lost(f"{cut} answers were cut")
    # Who is let in by the system between the last accept and the end of the listener cannot be helped; that is rare.
    if reset > arguments.stops / 4:
        raise Lost(f"{reset} connections that had been let in were reset before they were answered")
    return f"{arguments.stops} stops, {counted} requests answered whole, none that the app did unanswered; {late} came when it was closed"


def full_disk(place, _):
    """A log on a full disk:"""
    with open("/dev/full", "w") as full, place.sidecar(stdout=full, stderr=full, settings={"log": {"access": True}}) as sidecar:
        return served(sidecar)


def nobody_reads_the_log(place, _):
    """A log that nobody reads any more:"""
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "w") as closed, place.sidecar(stdout=closed, stderr=closed, settings={"log": {"access": True}}) as sidecar:
        return served(sidecar)


def descriptors(place, _):
    """No more descriptors:"""

    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    with place.sidecar(preexec_fn=few) as sidecar:
        opened = [socket.create_connection(("127.0.0.1", sidecar.port), 5) for _ in range(120)]
        for connection in opened:
            connection.close()
        until(lambda: seen(sidecar.port, "/page/1") == 0, "it answers again")
        return f"120 connections where it may have 64 files; when they were gone, {served(sidecar)}"


def little_memory(place, _):
    """Bodies of many times the room for them:"""
    admin = free_port()
    with place.sidecar(settings={"store": {"memory": {"max_bytes": "64MiB"}}, "admin": {"listen": f"127.0.0.1:{admin}"}}) as sidecar:
        idle = resident(sidecar)
        for number in range(400):
            if ask(sidecar.port, "GET", f"/large/{number}") != app.large(number):
                raise Lost("an answer is not what the app said")
        # docs/operations.md, "Sizing": while bodies come and go, and then at rest; 15 MiB of that are an idle sidecar as it is handed out.
        coming, full = 64 * 1.35 + 35 + idle, 64 * 1.25 + 15 + idle
        if resident(sidecar) > coming:
            raise Lost(f"{resident(sidecar)} MiB are resident")
        until(lambda: resident(sidecar) <= full, f"at most {full:.0f} MiB are resident at rest")
        said = f"400 MiB through a store of 64 MiB, all answered whole, {resident(sidecar)} MiB resident at rest"
        # Nobody asks for anything any more, and what was forgotten goes back all the same.
        ask(admin, "POST", "/v1/purge", {"match": "*"})
        empty = idle + 30
        until(lambda: resident(sidecar) <= empty, f"at most {empty} MiB are resident when all is forgotten")
        return f"{said}, {resident(sidecar)} when all was forgotten"


def resident(sidecar):
    """In MiB."""
    return int(pathlib.Path(f"/proc/{sidecar.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


def served(sidecar):
    """Answers a thousand requests and is still there."""
    for number in range(1_000):
        if seen(sidecar.port, f"/page/{number % PAGES}") != 0:
            raise Lost("a wrong answer")
    if sidecar.poll() is not None:
        raise Lost(f"it has ended with {sidecar.returncode}")
    return "1,000 requests answered"


class Writers:
    """Raise versions through a sidecar as fast as it goes, and keep which were acknowledged."""

    def __init__(self, port):
        self.acknowledged, self.lock = {}, threading.Lock()
        self.threads = [threading.Thread(target=self.write, args=(port, number)) for number in range(WRITERS)]
        for thread in self.threads:
            thread.start()

    def write(self, port, first):
        connection, number = http.client.HTTPConnection("127.0.0.1", port, timeout=5), first
        with contextlib.suppress(OSError, http.client.HTTPException):
            while True:
                path = f"/page/{number % PAGES}"
                connection.request("POST", path, b"")
                answer = connection.getresponse()
                version, deferred = int(answer.read()), "increment-deferred" in (answer.getheader("Cache-Status") or "")
                if not deferred:
                    with self.lock:
                        self.acknowledged[path] = max(version, self.acknowledged.get(path, 0))
                # Read too, so that something is stored that has to be forgotten.
                connection.request("GET", path)
                connection.getresponse().read()
                number += WRITERS

    def end(self):
        for thread in self.threads:
            thread.join()
        return self.acknowledged


class Client(threading.Thread):
    """Posts over one connection until that is closed; or over a new one each time, until nobody lets it in."""

    def __init__(self, port, path, again):
        super().__init__()
        self.port, self.path, self.again = port, path, again
        self.answered, self.cut, self.late, self.reset = 0, 0, 0, False
        self.start()

    def run(self):
        while self.talk():
            pass

    def talk(self):
        """One connection; whether another one is to be tried."""
        try:
            plain = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        except OSError:
            return False  # nobody listens any more
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.sock = plain
        with contextlib.closing(connection):
            for number in range(1 if self.again else sys.maxsize):
                try:
                    connection.request("POST", self.path, b"")
                    answer = connection.getresponse()
                except (OSError, http.client.HTTPException):
                    # Closed between two requests, as a connection may be at any time; not before the first.
                    self.late, self.reset = self.late + 1, number == 0
                    return False
                try:
                    answer.read()
                except (OSError, http.client.HTTPException):
                    self.cut += 1
                    return False
                self.answered += 1
                if answer.will_close:
                    return False
        return True


def seen(port, path):
    return int(ask(port, "GET", path))


def ask(port, method, path, value=None):
    """`value` goes as JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request(method, path, *([] if value is None else [json.dumps(value), {"Content-Type": "application/json"}]))
        return connection.getresponse().read()


def until(holds, what, patience=PATIENCE):
    """Wait for a condition; what breaks on the way does not hold yet."""
    deadline = time.monotonic() + patience
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            if holds():
                return
        if time.monotonic() > deadline:
            raise Lost(f"in {patience} s it was not so that {what}")
        time.sleep(0.01)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tagalong", metavar="PROGRAM", type=lambda path: str(pathlib.Path(path).resolve()), required=True)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--stops", type=int, default=20)
    if not shutil.which("redis-server"):
        sys.exit("redis-server is needed")
    return parser.parse_args()


if __name__ == "__main__":
    main()
