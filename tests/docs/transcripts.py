"""Transcripts: blocks of `console`, whose lines after `$ ` are run and must print what stands below them.

They are run in a folder of the page's own. A block of another language whose first line names a file (`# rules/shop.yaml`) is that file,
from there on. Programs that go on (SERVERS) are started and left running; one that is started again takes the place of the one before.
Ports 8000, 8080 and 9080 are free ones here. Times and what counts down need not be the same; `…` stands for anything, alone in a line for
any number of lines.
"""

import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import harness
import pages

PORTS = ("8000", "8080", "9080")
SERVERS = ("python3 app.py", "tagalong serve", "tagalong demo")
FILE = re.compile(r"(?:#|//) ([\w./-]+\.(?:py|yaml|js|mjs|json|go))(?=$|:| )")
# What is another with each run.
VARIES = [
    (re.compile(r"\bttl=(\d+)"), lambda found: f"ttl={-(-int(found[1]) // 10) * 10}"),  # some seconds go by, not a quarter of an hour
    (re.compile(r"\b\d+\.\d+ s\b"), "N s"),
    (re.compile(r"\b\d+s ago\b"), "Ns ago"),
]


class Wrong(AssertionError):
    """What was printed is not what stands on the page."""


def free_ports() -> dict[str, str]:
    """A free port for each that pages name. Held until all are known, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in PORTS]
    try:
        return {port: str(one.getsockname()[1]) for port, one in zip(PORTS, sockets)}
    finally:
        for one in sockets:
            one.close()


def steps(block: pages.Block) -> list[tuple[int, str, list[str]]]:
    """Each command of a transcript, with its line and what it prints."""
    found: list[tuple[int, str, list[str]]] = []
    for number, line in enumerate(block.lines, block.line):
        if line.startswith("$ "):
            found.append((number, line[2:], []))
        elif line.startswith("> ") and found and not found[-1][2]:
            found[-1] = (found[-1][0], found[-1][1] + "\n" + line[2:], [])
        else:
            assert found, f"{block.page}:{number}: what has printed that? A command begins with `$ `"
            found[-1][2].append(line)
    for _, _, printed in found:
        while printed and not printed[-1].strip():
            printed.pop()
    return found


def fits(shown: list[str], printed: list[str]) -> bool:
    """Whether what was printed is what is shown."""

    def pattern(line: str) -> str:
        if line.strip() == "…":
            return r"(?:.*\n)*"
        return ".*".join(re.escape(part) for part in line.split("…")) + r"\n"

    def same(line: str) -> str:
        for what, instead in VARIES:
            line = what.sub(instead, line)
        return line.rstrip()

    wanted = "".join(pattern(same(line)) for line in shown)
    return re.fullmatch(wanted, "".join(same(line) + "\n" for line in printed)) is not None


class Page:
    """The transcripts of one page, run from top to bottom."""

    def __init__(self, page: Path, folder: Path):
        self.page, self.folder = page, folder
        self.ports = free_ports()
        self.servers: dict[str, harness.Program] = {}
        self.count = 0
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / ".bin").mkdir()
        (folder / ".bin" / "tagalong").symlink_to(harness.BINARY)
        self.environment = os.environ | {
            "PATH": f"{folder / '.bin'}:{os.environ['PATH']}",
            "TAGALONG_ADMIN": f"http://127.0.0.1:{self.ports['9080']}",
            "PYTHONUNBUFFERED": "1",
        }
        self.environment.pop("TAGALONG_ADMIN_TOKEN", None)

    def here(self, text: str) -> str:
        """A text of the page with the ports of this run."""
        return re.sub(r"(?<!\d)(8000|8080|9080)(?!\d)", lambda port: self.ports[port[0]], text)

    def there(self, text: str) -> str:
        """A text of this run with the ports of the page."""
        for port, ours in self.ports.items():
            text = text.replace(ours, port)
        return text

    def run(self) -> None:
        try:
            for block in pages.blocks(self.page):
                if block.language == "console":
                    for line, command, shown in steps(block):
                        self.count += 1
                        self.step(f"{block.page}:{line}", command, shown)
                elif block.lines and (file := FILE.match(block.lines[0])):
                    path = self.folder / file[1]
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(self.here(block.text))
        finally:
            for server in self.servers.values():
                server.stop()

    def step(self, place: str, command: str, shown: list[str]) -> None:
        kind = next((server for server in SERVERS if command.startswith(server)), None)
        if kind:
            return self.serve(place, kind, command, shown)
        done = subprocess.run(
            ["bash", "-c", self.here(command)], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )
        printed = self.there(done.stdout + done.stderr).splitlines()
        if not fits(shown, printed):
            said = "\n".join(server.said() for server in self.servers.values())
            raise Wrong(f"{place}: $ {command}\nprints\n" + "\n".join(printed) + "\nand not\n" + "\n".join(shown) + f"\n\n{said}")

    def serve(self, place: str, kind: str, command: str, shown: list[str]) -> None:
        if before := self.servers.pop(kind, None):
            before.stop()
        server = harness.Program(["bash", "-c", f"exec {self.here(command)}"], self.folder, self.environment)
        self.servers[kind] = server
        deadline = time.monotonic() + harness.DEADLINE
        while not fits([*shown, "…"], self.there(server.said()).splitlines()) or not self.answers(kind):
            if server.process.poll() is not None or time.monotonic() > deadline:
                raise Wrong(f"{place}: $ {command}\nsays\n{server.said()}\nand not\n" + "\n".join(shown))
            time.sleep(0.02)

    def answers(self, kind: str) -> bool:
        """Whether the app can be reached: it says nothing when it is ready."""
        if kind != "python3 app.py":
            return True
        try:
            socket.create_connection(("127.0.0.1", int(self.ports["8000"])), timeout=1).close()
            return True
        except OSError:
            return False
