"""What runs: the app, a Redis, and two sidecars, each a process of ours that ends with us, whatever becomes of us."""

import asyncio
import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import client
import record

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parents[1] / "benches" / "peers"))

import contestants  # noqa: E402
import needs  # noqa: E402

MAX_BYTES = 32 << 20
#: Seconds, of the configuration.
HEADER_TIMEOUT, BODY_TIMEOUT, IDLE_TIMEOUT, READ_TIMEOUT, DRAIN = 2, 3, 5, 3, 10
#: Until a process that was started accepts, or a fault is over.
PATIENCE = 30


def settings(port, admin, app, redis):
    """Small limits, so that they are met; everything else as it comes."""
    return {
        "namespace": "soak",
        "listen": [f"127.0.0.1:{port}"],
        "admin": {"listen": f"127.0.0.1:{admin}"},
        "upstream": {"url": f"http://127.0.0.1:{app}", "read_timeout": f"{READ_TIMEOUT}s"},
        "rules": "./rules",
        "store": {"memory": {"max_bytes": MAX_BYTES}, "redis": {"url": f"redis://127.0.0.1:{redis}"}},
        "tags": {"max_lag": f"{record.MAX_LAG}s"},
        "limits": {
            "client_header_timeout": f"{HEADER_TIMEOUT}s",
            "client_body_timeout": f"{BODY_TIMEOUT}s",
            "client_idle_timeout": f"{IDLE_TIMEOUT}s",
        },
        "drain": f"{DRAIN}s",
    }


def rules(marker):
    """`marker` is the id of a rule that no request meets: it shows which file is in force."""
    edited = {"methods": ["POST"], "path": r"/edit/(?P<page>\d+)"}
    return {
        "rules": [
            {"id": "page", "match": {"path": r"/page/(?P<page>\d+)"}, "tags": ["Page:{page}"]},
            {"id": "edit", "match": edited, "increments": [{"tags": ["Page:{page}"]}]},
            {"id": marker, "match": {"hosts": ["nobody.example"]}, "ttl": "1m"},
        ]
    }


class Process:
    """A program that runs."""

    def __init__(self, name, command, port, log):
        self.name = name
        # The kernel ends it should we be killed; a session of its own, so that ctrl-C reaches only us, and we end it in order.
        command = ["setpriv", "--pdeathsig", "KILL", *map(str, command)]
        self.popen = subprocess.Popen(command, start_new_session=True, stdout=log, stderr=log)
        self.pid, self.port = self.popen.pid, port

    async def until_it_accepts(self):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.popen.poll() is None:
            try:
                (await client.connect(self.port)).abort()
                return
            except ConnectionRefusedError:
                await asyncio.sleep(0.01)
        sys.exit(f"{self.name} does not answer on port {self.port}")

    def signal(self, what):
        self.popen.send_signal(what)

    async def ended(self, seconds):
        """Its exit code, or `None` if it runs on."""
        deadline = time.monotonic() + seconds
        while self.popen.poll() is None and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        return self.popen.returncode

    def end(self):
        """Now, and for good."""
        self.popen.send_signal(signal.SIGCONT)
        self.popen.terminate()
        try:
            self.popen.wait(DRAIN + 5)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()


class Life:
    """One life of a sidecar. Until it is up, and once it is told to stop, it may refuse connections."""

    def __init__(self, place, number):
        self.place, self.number, self.is_up = place, number, False

    def __str__(self):
        return f"{self.place}{self.number}{'' if self.is_up else ' (starting or stopping)'}"


class Sidecar:
    """A place in the fleet, with the files and ports of its lives."""

    def __init__(self, place, program, app, redis, folder):
        self.place, self.folder = place, pathlib.Path(folder, place)
        self.port, self.admin = contestants.free_port(), contestants.free_port()
        self.program = program
        (self.folder / "rules").mkdir(parents=True)
        self.config = self.folder / "tagalong.yaml"
        self.config.write_text(json.dumps(settings(self.port, self.admin, app, redis)))
        self.write_rules(json.dumps(rules("first")))
        self.log_path = self.folder / "log"
        self.log = self.log_path.open("ab")
        self.life, self.process = Life(place, 0), None

    def write_rules(self, text):
        """In place of the file there, at once."""
        new = self.folder / "new"
        new.write_text(text)
        new.replace(self.folder / "rules" / "soak.yaml")

    async def start(self):
        self.life = Life(self.place, self.life.number + 1)
        command = [self.program, "serve", "--config", self.config]
        self.process = Process(f"sidecar {self.place}", command, self.port, self.log)
        await self.process.until_it_accepts()
        await until(f"{self.place} is ready", lambda: self.status("/readyz"))
        self.life.is_up = True

    async def call(self, path, body=None, method=None):
        """Status and JSON (or text) of a call of the admin interface."""
        return await asyncio.to_thread(self.call_now, path, body, method)

    def call_now(self, path, body=None, method=None):
        data = json.dumps(body).encode() if body is not None else None
        asked = urllib.request.Request(f"http://127.0.0.1:{self.admin}{path}", data, method=method)
        if data is not None:
            asked.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(asked, timeout=35) as answer:
                status, kind, text = answer.status, answer.headers.get_content_type(), answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                status, kind, text = refused.code, refused.headers.get_content_type(), refused.read().decode()
        except http.client.HTTPException as cut:
            raise ConnectionError(f"{path}: {cut!r}") from cut
        return status, json.loads(text) if kind.endswith("json") else text

    async def status(self, path):
        """Whether a call is 200."""
        try:
            return (await self.call(path))[0] == 200
        except OSError:
            return False

    async def has_ok(self):
        """Whether nothing is wrong with it."""
        try:
            return (await self.call("/readyz"))[1].get("status") == "ok"
        except OSError:
            return False

    async def metrics(self):
        """Its metrics by name, labels added up."""
        _, text = await self.call("/metrics")
        found = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                name = name.partition("{")[0]
                found[name] = found.get(name, 0) + float(value)
        return found


class Redis:
    """A server that saves when it is told to; what it has saved is there when it is started anew, or not."""

    def __init__(self, folder, log):
        self.folder, self.log = pathlib.Path(folder, "redis"), log
        self.folder.mkdir()
        self.port, self.process = contestants.free_port(), None

    async def start(self):
        memory = ["--maxmemory", "64mb", "--maxmemory-policy", "volatile-ttl", "--save", "", "--appendonly", "no"]
        command = [needs.find("redis-server"), "--bind", "127.0.0.1", "--port", self.port, "--dir", self.folder, *memory]
        self.process = Process("Redis", command, self.port, self.log)
        await self.process.until_it_accepts()

    async def save(self):
        connection = await client.connect(self.port)
        await connection.send(b"SAVE\r\n")
        said = await connection.reader.readline()
        connection.close()
        if said != b"+OK\r\n":
            sys.exit(f"Redis does not save: {said}")

    def forget(self):
        (self.folder / "dump.rdb").unlink(missing_ok=True)

    async def kill(self):
        self.process.popen.kill()
        await self.process.ended(PATIENCE)


class Fleet:
    """All of it, for a while."""

    def __init__(self, program):
        self.program = program
        self.folder = tempfile.TemporaryDirectory(prefix="soak-")

    async def __aenter__(self):
        try:
            folder = self.folder.name
            self.log = pathlib.Path(folder, "log").open("ab")
            port = contestants.free_port()
            self.redis, self.sidecars = Redis(folder, self.log), {}
            self.app = Process("the app", [sys.executable, HERE / "app.py", port], port, self.log)
            await self.app.until_it_accepts()
            await self.redis.start()
            for place in "ab":
                sidecar = Sidecar(place, self.program, port, self.redis.port, folder)
                self.sidecars[place] = sidecar
                await sidecar.start()
            return self
        except BaseException:
            self.end()
            raise

    async def __aexit__(self, *_):
        self.end()

    def other(self, place):
        return "b" if place == "a" else "a"

    def end(self):
        """Ends what runs of it, by its ids."""
        servers = [*getattr(self, "sidecars", {}).values(), getattr(self, "redis", None)]
        processes = [server.process for server in servers if server] + [getattr(self, "app", None)]
        for process in processes:
            if process and process.popen.poll() is None:
                process.end()
        if keep := os.environ.get("SOAK_KEEP"):
            subprocess.run(["cp", "-a", self.folder.name, keep], check=True)
        self.folder.cleanup()


async def until(what, holds, seconds=PATIENCE):
    """Waits until it holds, and says how long that took; `Wrong` if it never does."""
    begun = time.monotonic()
    while not await holds():
        if time.monotonic() > begun + seconds:
            raise client.Wrong(f"not within {seconds} s: {what}")
        await asyncio.sleep(0.1)
    return time.monotonic() - begun
