"""A recipe, run: its stand-ins, its sidecars with its files, and its transcript, line by line."""

import base64
import difflib
import hashlib
import hmac
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pages import Recipe, Step, Unclear
from stand_ins import App, Told

BINARY = Path(os.environ["TAGALONG_BINARY"])
PATIENCE = 30.0  # seconds for anything to happen
KEY = b"a key of thirty-two bytes at least"
JWKS = {"keys": [{"kty": "oct", "alg": "HS256", "kid": "test", "k": base64.urlsafe_b64encode(KEY).rstrip(b"=").decode()}]}


class Wrong(AssertionError):
    """The page says something else than what happens."""


def until(what: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise Wrong(f"it never came: {what}")
        time.sleep(0.005)


def token(subject: str, issuer: str, audience: str) -> str:
    """A JSON Web Token (RFC 7519) of that person, good for an hour, signed with `KEY`."""
    parts = [{"alg": "HS256", "kid": "test"}, {"sub": subject, "iss": issuer, "aud": audience, "exp": int(time.time()) + 3600}]
    text = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    signature = base64.urlsafe_b64encode(hmac.digest(KEY, text, hashlib.sha256)).rstrip(b"=")
    return (text + b"." + signature).decode()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def end(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()


class Sidecar:
    """The real one, with the files of a recipe."""

    def __init__(self, folder: Path, configuration: str, rules: list[str], upstream: int, environment: dict[str, str]) -> None:
        (folder / "rules").mkdir(parents=True)
        for number, text in enumerate(rules):
            (folder / "rules" / f"{number}.yaml").write_text(text)
        (folder / "rules" / "jwks.json").write_text(json.dumps(JWKS))
        for name, value in {
            "listen": '["127.0.0.1:0"]',
            "admin": '{ listen: "127.0.0.1:0" }',
            "upstream": f'{{ url: "http://127.0.0.1:{upstream}" }}',
            "drain": "1s",
        }.items():
            if re.search(rf"^{name}:", configuration, re.M):
                raise Unclear(f"the test says `{name}` itself")
            configuration += f"\n{name}: {value}"
        (folder / "tagalong.yaml").write_text(configuration)
        self.log = open(folder / "log", "w+")
        command = [BINARY, "serve", "--config", folder / "tagalong.yaml"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True, env=os.environ | environment)
        self.port = self.admin = 0
        for line in self.process.stdout:
            if found := re.search(r"(listening|admin interface) on (?:http://)?127\.0\.0\.1:(\d+)", line):
                setattr(self, "port" if found[1] == "listening" else "admin", int(found[2]))
            if self.port and self.admin:
                return
        self.log.seek(0)
        raise Wrong(f"the sidecar does not start: {self.log.read()}")

    def ask(self, method: str, path: str, body: dict | None = None) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=PATIENCE)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": "application/json"} if text else {})
            response = connection.getresponse()
            said = response.read().decode()
            if response.status != 200:
                raise Wrong(f"{method} {path}: {response.status} {said}")
            return said
        finally:
            connection.close()

    def is_settled(self) -> bool:
        """Whether nothing is being fetched, for a client or behind a stale answer."""
        metrics = self.ask("GET", "/metrics")
        return all(re.search(rf"^{name} 0$", metrics, re.M) for name in ("tagalong_fills_in_flight", "tagalong_upstream_exchanges"))

    def entries(self) -> list[dict]:
        return json.loads(self.ask("GET", "/v1/entries?limit=1000"))["entries"]

    def let_expire(self) -> None:
        """Ends the life of all that is stored, as time would."""
        for entry in self.entries():
            self.ask("PATCH", f"/v1/entries/{entry['key']}", {"ttl": "1ms"})
        until("everything has expired", lambda: all(entry["state"] != "fresh" for entry in self.entries()))

    def end(self) -> None:
        end(self.process)
        self.log.close()


def redis_server(folder: Path) -> tuple[subprocess.Popen, int]:
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    until("Redis listens", lambda: listens(port))
    return process, port


def plain(line: str) -> str:
    """A line without what differs each time: seconds that have gone by."""
    line = re.sub(r"ttl=(-\d+|0)\b", "ttl=≤0", line.strip())
    return re.sub(r"ttl=(\d+)", lambda found: f"ttl={-(-int(found[1]) // 10) * 10}", line)


class Running:
    """A recipe with all that it needs; a context manager."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.ends: list[Callable[[], None]] = []

    def __enter__(self) -> "Running":
        try:
            self.begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for ending in reversed(self.ends):
            ending()

    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cookbook-"))
        self.ends.append(lambda: shutil.rmtree(self.folder))
        self.app = App(self.recipe.answers)
        self.ends.append(self.app.stop)
        self.told = Told()
        self.ends.append(self.told.stop)
        ports = {8000: self.app.port, 9998: self.told.port}
        texts = [*self.recipe.configurations.values()]
        if any("127.0.0.1:6379" in text for text in texts):
            (self.folder / "redis").mkdir()
            process, ports[6379] = redis_server(self.folder / "redis")
            self.ends.append(lambda: end(process))
        self.ports = ports
        self.environment = {
            "CDN_TOKEN": "Bearer shown",
            "ALICE": token("alice", "https://login.example", "shop"),
            "BOB": token("bob", "https://login.example", "shop"),
        }
        self.sidecars: list[Sidecar] = []
        for number, name in enumerate(self.recipe.sidecars()):
            configuration = self.moved(self.recipe.configurations.get(name, ""))
            # A machine that is busy with other tests is not what the recipe is about.
            configuration = re.sub(r'url: "redis://[^"]+"', r"\g<0>, timeout: 5s", configuration)
            rules = [self.moved(text) for text in self.recipe.rules.get(name, [])]
            sidecar = Sidecar(self.folder / f"{number}-{name}", configuration, rules, self.app.port, self.environment)
            self.ends.append(sidecar.end)
            self.sidecars.append(sidecar)
            until("it is ready", lambda: '"status":"ok"' in sidecar.ask("GET", "/readyz").replace(" ", ""))
            ports[8080 + number] = sidecar.port
            ports[9080 + number] = sidecar.admin
        for name, text in self.recipe.programs.items():
            for port in re.findall(r"\b(6081)\b", text):
                ports.setdefault(int(port), free_port())
            (self.folder / name).write_text(self.moved(text))

    def moved(self, text: str) -> str:
        """With the ports of this run in place of the page's."""
        return re.sub(r"\b\d{4}\b", lambda found: str(self.ports.get(int(found[0]), found[0])), text)

    def settle(self) -> None:
        until("nothing is being fetched", lambda: all(sidecar.is_settled() for sidecar in self.sidecars))

    def remark(self, text: str) -> None:
        if text == "the app is stopped":
            self.app.stop()
        elif text == "the app is back":
            self.app.start()
        elif text == "a moment later":
            self.settle()
        elif text.endswith(" later"):
            for sidecar in self.sidecars:
                sidecar.let_expire()
        else:
            raise Unclear(f"nobody knows what to do at: {text}")

    def program(self, name: str) -> None:
        """Starts one of the page's programs, and waits until it listens."""
        process = subprocess.Popen(["python3", name], cwd=self.folder, env=os.environ | self.environment, stderr=subprocess.DEVNULL)
        self.ends.append(lambda: end(process))
        until(f"{name} listens", lambda: listens(self.ports[6081]))

    def step(self, step: Step) -> None:
        if step.is_remark:
            self.remark(step.text)
            return
        if found := re.fullmatch(r"python3 (\w+\.py) &", step.text):
            self.program(found[1])
            return
        self.settle()
        path = f"{BINARY.parent}:{os.environ['PATH']}"
        admin = f"http://127.0.0.1:{self.sidecars[0].admin}"
        environment = os.environ | self.environment | {"PATH": path, "TAGALONG_ADMIN": admin}
        command = ["bash", "-c", self.moved(step.text)]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=PATIENCE)
        printed = done.stdout.splitlines()
        if [plain(line) for line in printed] != [plain(line) for line in step.printed]:
            differs = "\n".join(difflib.ndiff([line.strip() for line in step.printed], [line.strip() for line in printed]))
            raise Wrong(f"{self.recipe.page.name}, {self.recipe.title}\n$ {step.text}\n{differs}\n{done.stderr}")

    def run(self) -> None:
        for step in self.recipe.steps:
            self.step(step)
        shown = [json.loads(line) for line in self.recipe.told]
        until(f"webhooks: {shown}", lambda: len(self.told.calls) >= len(shown))
        if self.told.calls != shown:
            raise Wrong(f"{self.recipe.title}: webhooks are told {self.told.calls}")
