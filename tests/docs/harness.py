"""What the commands on the pages are run against: an app, and a sidecar in front of it with what the pages speak of."""

import http.server
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

BINARY = Path(os.environ["TAGALONG_BINARY"])
TOKEN = "a-token-for-the-tests"
DEADLINE = 20.0  # seconds, for what takes a fraction of one on an idle machine

CONFIGURATION = """\
listen: ["127.0.0.1:0"]
admin: { listen: "127.0.0.1:0", token_env: TAGALONG_ADMIN_TOKEN }
upstream: { url: "http://127.0.0.1:9" }
purge_groups: { books: { tags: [Books] } }
rules: rules
"""
# The rules that pages name in commands.
RULES = """\
rules:
  - { id: product, match: { path: "/products/.*" }, ttl: 60s, tags: [Products] }
  - { id: users, match: { path: '/users/(?P<id>\\d+)' }, ttl: 60s, tags: ["User:{id}"] }
  - { id: products, match: { path: /products }, ttl: 60s, dimensions: { attrs: { colour: "{query.colour}" } } }
  - { id: list, match: { path: /list }, ttl: 60s, dimensions: { attrs: { shelf: "{query.shelf}" } } }
  - { id: books, match: { path: "/books.*" }, ttl: 60s, tags: [Books] }
"""


class App(http.server.BaseHTTPRequestHandler):
    """Every page is there, and may be kept; every write changes it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(200, b"<p>100 in stock</p>\n", {"Cache-Tag": "Page", "Tagalong-Cache-Control": "max-age=60"})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(204, b"", {"Cache-Tag-Increment": "Page"})

    def answer(self, status: int, body: bytes, fields: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def start_app() -> http.server.ThreadingHTTPServer:
    """The app, on a port of its own."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), App)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class Program:
    """A program that goes on running; what it says is in a file, so that nobody has to read it meanwhile."""

    def __init__(self, command: list[str | Path], folder: Path, environment: dict[str, str]):
        self.log = tempfile.NamedTemporaryFile("w+", prefix="said-")
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True
        )

    def said(self) -> str:
        return Path(self.log.name).read_text()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """What it says at last; fails when it ends before, or takes too long."""
        deadline = time.monotonic() + DEADLINE
        while True:
            ended = self.process.poll()
            if found := re.search(pattern, self.said(), re.M):
                return found
            if ended is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"{self.process.args} did not say {pattern!r}, but:\n{self.said()}")
            time.sleep(0.01)

    def stop(self) -> int:
        """Asks it to stop; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Sidecar:
    """The sidecar of one page."""

    def __init__(self, app: str, folder: Path):
        (folder / "rules").mkdir(parents=True)
        (folder / "tagalong.yaml").write_text(CONFIGURATION)
        (folder / "rules" / "rules.yaml").write_text(RULES)
        self.program = Program(
            [BINARY, "serve", "--config", "tagalong.yaml", "--upstream", app], folder, os.environ | {"TAGALONG_ADMIN_TOKEN": TOKEN}
        )
        self.client = "http://" + self.program.wait_for(r"listening on (127\.0\.0\.1:\d+)")[1]
        self.admin = self.program.wait_for(r"admin interface on (http://\S+)")[1]

    def stop(self) -> None:
        self.program.stop()
