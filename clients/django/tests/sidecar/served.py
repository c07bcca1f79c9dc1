"""The app of the tests under a real server, with a sidecar in front of it; and requests to both."""

import http.client
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from django_tagalong.middleware import CAPABILITY

from .alone import SECONDS

ROOT = Path(__file__).parents[2]

GUNICORN = ["-m", "gunicorn", "--workers", "1", "--threads", "4", "--log-level", "warning", "tests.wsgi"]
UVICORN = ["-m", "uvicorn", "--lifespan", "off", "--log-level", "warning", "tests.asgi:application"]


@dataclass(frozen=True)
class Response:
    """What a client has got."""

    status: int
    headers: list[tuple[str, str]]
    text: str

    def lines(self, name: str) -> list[str]:
        """The lines of a field, as UTF-8."""
        return [
            value.encode("latin-1").decode() for field, value in self.headers if field.lower() == name.lower()
        ]

    @property
    def outcome(self) -> str:
        """What the sidecar says of it: `hit`, `fwd=uri-miss; stored`, …, without the seconds left."""
        [said] = self.lines("Cache-Status")
        parts = [part for part in said.split("; ")[1:] if not part.startswith("ttl=")]
        return "; ".join(parts)


def ask(url: str, method: str = "GET", body: str | None = None, passed_on: bool = False) -> Response:
    """One request on a connection of its own. The URL goes out as it is written. `passed_on`: as a sidecar
    asks the app.
    """
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=SECONDS)
    try:
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        headers = {"Content-Type": "text/plain"} if body else {}
        if passed_on:
            headers["Surrogate-Capability"] = CAPABILITY
        connection.request(method, path, body and body.encode(), headers)
        response = connection.getresponse()
        return Response(response.status, response.getheaders(), response.read().decode())
    finally:
        connection.close()


def environment_of(folder: Path) -> dict[str, str]:
    """Of a process that runs the app on the databases in this folder."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TESTS_DATABASES": str(folder),
    }


def manage(environment: dict[str, str], *arguments: str) -> str:
    """`manage.py` in a process of its own; what it prints. It must succeed."""
    command = [sys.executable, "-m", "django", *arguments]
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


class Served:
    """The app under one server, stopped by its process id."""

    def __init__(self, folder: Path, server: list[str], **environment: str) -> None:
        self.folder = folder
        self.environment = environment_of(folder) | environment
        self._server = server
        self._process: subprocess.Popen[bytes] | None = None
        # Held until the server has it, so that nobody else is given the port meanwhile.
        self._socket = socket.create_server(("127.0.0.1", 0), reuse_port=False)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts the server, and waits until it answers."""
        self._socket.set_inheritable(True)
        fd = self._socket.fileno()
        bind = ["--bind", f"fd://{fd}"] if "gunicorn" in self._server else ["--fd", str(fd)]
        with (self.folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._server, *bind],
                env=self.environment,
                cwd=ROOT,
                pass_fds=[fd],
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            try:
                if ask(f"{self.url}/users/0").status == 200:
                    return
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise AssertionError(f"the app did not start:\n{self.log}")

    @property
    def log(self) -> str:
        """What the server and the app have said so far."""
        return (self.folder / "server.log").read_text(errors="replace")

    @property
    def pid(self) -> int:
        """Of the server's first process."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """Ends the server as an operator would."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(SECONDS)
        self._socket.close()


def make_databases(folder: Path) -> None:
    """The tables of both databases: made once, and copied for each server."""
    for alias in ("default", "other"):
        manage(environment_of(folder), "migrate", "--run-syncdb", "--verbosity", "0", "--database", alias)
