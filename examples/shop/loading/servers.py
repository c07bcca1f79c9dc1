"""The shop as it is measured: gunicorn with two workers, and with `consistency` two sidecars in front of it
that share a Redis. Everything has a folder, a database and ports of its own, and ends with the block.
"""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Self

SHOP = Path(__file__).resolve().parents[1]
SECONDS = 60.0
SIDECARS = 2

CONFIG = """\
namespace: shop
listen: ["127.0.0.1:0"]
admin: {{ listen: "127.0.0.1:0" }}
upstream: {{ url: "http://127.0.0.1:{app}" }}
rules: {rules}
store: {{ redis: {{ url: "redis+unix://{redis}" }} }}
tags: {{ consistency: {consistency} }}
"""
# What the sidecars then do not read: the app says what has changed, and nobody hears it. (What is edited
# without a request has no address to tell.)
DEAF = "headers: { increments: [X-Nobody-Sends-This] }\n"


class Stack:
    """One shop. `consistency` None: without sidecars, and django-tagalong is off."""

    def __init__(self, folder: Path, tagalong: str, consistency: str | None, deaf: bool = False) -> None:
        folder.mkdir()
        self.folder = folder
        self.staff = secrets.token_hex(16)
        self._tagalong, self._consistency, self._deaf = tagalong, consistency, deaf
        self._ends = ExitStack()
        self.environment = {
            **_environment(folder, is_tagged=consistency is not None),
            "SHOP_STAFF_TOKEN": self.staff,
        }

    def __enter__(self) -> Self:
        with self._ends:
            self._start()
            self._ends = self._ends.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def _start(self) -> None:
        # The socket is held before gunicorn has it: the sidecars want to know its port, and it theirs.
        with socket.create_server(("127.0.0.1", 0)) as listening:
            app = listening.getsockname()[1]
            self.ports = [app] * SIDECARS
            if self._consistency is not None:
                self._start_redis()
                sidecars = [self._start_sidecar(number, app) for number in range(SIDECARS)]
                self.ports = [port for port, _ in sidecars]
                if not self._deaf:
                    self.environment["SHOP_ADMIN_URL"] = sidecars[0][1]
            process, log = self._start_gunicorn(listening)
        _answers(process, log, app)

    def _start_gunicorn(self, listening: socket.socket) -> "tuple[subprocess.Popen[bytes], Path]":
        bind = ["--bind", f"fd://{listening.fileno()}", "--workers", "2", "--threads", "4"]
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            *bind,
            "--keep-alive",
            "60",
            "--log-level",
            "warning",
            "shop.wsgi",
        ]
        return self._run("gunicorn", command, listening.fileno())

    def _start_redis(self) -> None:
        self._redis = self.folder / "redis.sock"
        command = [
            "redis-server",
            "--port",
            "0",
            "--unixsocket",
            str(self._redis),
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        process, log = self._run("redis", command)
        _said(process, log, "ready to accept connections")

    def _start_sidecar(self, number: int, app: int) -> tuple[int, str]:
        config = self.folder / f"tagalong-{number}.yaml"
        rules = json.dumps(str(SHOP / "rules"))
        text = CONFIG.format(app=app, rules=rules, redis=self._redis, consistency=self._consistency)
        config.write_text(text + (DEAF if self._deaf else ""))
        process, log = self._run(f"sidecar-{number}", [self._tagalong, "serve", "--config", str(config)])
        port = int(_said(process, log, r"listening on 127\.0\.0\.1:(\d+)"))
        return port, _said(process, log, r"admin interface on (http://127\.0\.0\.1:\d+)")

    def _run(self, name: str, command: list[str], *fds: int) -> "tuple[subprocess.Popen[bytes], Path]":
        log = self.folder / f"{name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, cwd=SHOP, env=self.environment, pass_fds=fds, stdout=out, stderr=out
            )
        self._ends.callback(_stop, process)
        return process, log


def make_database(folder: Path, products: int) -> None:
    """A shop with a catalogue and much of everything in stock, to be copied for each stack."""
    folder.mkdir()
    environment = _environment(folder, is_tagged=False)
    seed = ["seed", "--products", str(products), "--stock", "1000000"]
    for arguments in (["migrate", "--verbosity", "0"], seed):
        command = [sys.executable, "manage.py", *arguments]
        subprocess.run(command, cwd=SHOP, env=environment, check=True, timeout=120, stdout=subprocess.DEVNULL)


def copy_database(source: Path, folder: Path) -> None:
    """As it is; nobody has it open."""
    for file in source.iterdir():
        shutil.copy2(file, folder / file.name)


def _environment(folder: Path, *, is_tagged: bool) -> dict[str, str]:
    """That of this process, without what is said there of another shop or another project."""
    ours = {
        "SHOP_DATA": str(folder),
        "SHOP_TAGALONG": "on" if is_tagged else "off",
        "DJANGO_SETTINGS_MODULE": "shop.settings",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return {name: it for name, it in os.environ.items() if not name.startswith("SHOP_")} | ours


def _answers(process: "subprocess.Popen[bytes]", log: Path, port: int) -> None:
    """Returns once the front page is there. What is asked before the workers are up is asked again."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and process.poll() is None:
        with closing(HTTPConnection("127.0.0.1", port, timeout=1)) as connection:
            try:
                connection.request("GET", "/")
                if connection.getresponse().status == 200:
                    return
            except (OSError, HTTPException):
                pass
        time.sleep(0.02)
    raise RuntimeError(f"{log.stem} did not start:\n{log.read_text(errors='replace')}")


def _said(process: "subprocess.Popen[bytes]", log: Path, pattern: str) -> str:
    """What a process has logged; the first group of the pattern, if it has one."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and process.poll() is None:
        found = re.search(pattern, log.read_text(errors="replace"))
        if found:
            return found[found.re.groups]
        time.sleep(0.02)
    raise RuntimeError(f"{log.stem} did not start:\n{log.read_text(errors='replace')}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
