"""The examples of docs/frameworks.md, as they stand there, behind the real sidecar: each is put into what it leaves out (fixtures/)."""

import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from urllib.parse import quote

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "frameworks.md"
WORK = HERE.parent.parent / "target" / "frameworks"
BINARY = Path(os.environ["TAGALONG_BINARY"])
TOKEN = "a-token-for-the-tests"
HOSTILE = ["1", "a,b", "a;soft", 'say "hi"', "two words", "50%", "me@home", "Zürich", "日本語", "a:b", "a/b", "x\r\nX-Evil: 1", "~all"]
HIT = re.compile(r"tagalong; hit")
FORGOTTEN = re.compile(r"fwd=stale.*detail=invalidated")


def shown(heading: str) -> str:
    """The one block of code below a heading of the page."""
    section = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.M | re.S)
    assert section, f"{PAGE} has no {heading}"
    blocks = re.findall(r"^```\w+\n(.*?)^```$", section[1], re.M | re.S)
    assert len(blocks) == 1, f"{heading} has {len(blocks)} blocks"
    return blocks[0]


def made(fixture: str, heading: str) -> Path:
    """The example in its fixture, in a folder of its own."""
    text = (HERE / "fixtures" / fixture).read_text()
    marks = [line for line in text.splitlines() if line in ("//SHOWN", "#SHOWN")]
    assert len(marks) == 1
    folder = WORK / Path(fixture).stem
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(HERE / "fixtures" / "shop.py", folder)
    # Not by the fixture's name: flask.py would be what `import flask` finds.
    program = folder / f"app{Path(fixture).suffix}"
    program.write_text(text.replace(marks[0], shown(heading)))
    return program


class Process:
    """A program that prints where it listens, one address a line."""

    def __init__(self, *command: str | Path, lines: int = 1, **environment: str):
        # What it says goes to a file: nobody reads a pipe while the tests run.
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True, env=os.environ | environment)
        self.addresses: dict[str, str] = {}  # by what stands before each
        for line in self.process.stdout:
            if found := re.search(r"^(.*?)(?:http://)?(127\.0\.0\.1:\d+)", line):
                self.addresses[found[1].strip()] = found[2]
            if len(self.addresses) >= lines:
                return
        self.log.seek(0)
        raise AssertionError(f"{command} ended with {self.process.wait()}: {self.log.read()}")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.log.close()


def sidecar(upstream: str, folder: Path) -> Process:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "tagalong.yaml"
    file.write_text(
        'listen: ["127.0.0.1:0"]\n'
        'admin: { listen: "127.0.0.1:0", token_env: TAGALONG_ADMIN_TOKEN }\n'
        f'upstream: {{ url: "http://{upstream}" }}\n'
    )
    return Process(BINARY, "serve", "--config", file, lines=2, TAGALONG_ADMIN_TOKEN=TOKEN)


def ask(address: str, method: str, path: str) -> tuple[int, str, str]:
    """Its status, what the cache says, and the body."""
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        assert response.getheader("Cache-Tag") is None and response.getheader("X-Evil") is None
        return response.status, response.getheader("Cache-Status", ""), response.read().decode()
    finally:
        connection.close()


class Example:
    """What each must do; `command` gives what runs it."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.app = Process(*cls.command())
        cls.addClassCleanup(cls.app.stop)
        cls.sidecar = sidecar(cls.app.addresses[""], WORK / cls.__name__)
        cls.addClassCleanup(cls.sidecar.stop)
        cls.admin = cls.sidecar.addresses["tagalong: admin interface on"]
        cls.url = next(address for what, address in cls.sidecar.addresses.items() if "admin" not in what)

    def stored(self, id: str) -> str:
        path = f"/product?id={quote(id, safe='')}"
        ask(self.url, "GET", path)
        _, cache, body = ask(self.url, "GET", path)
        self.assertRegex(cache, HIT, id)
        return body

    def test_a_page_is_stored_until_a_write_changes_what_it_depends_on(self) -> None:
        other = self.stored("untouched")
        for id in HOSTILE:
            with self.subTest(id):
                before = self.stored(id)
                self.assertEqual(ask(self.url, "POST", f"/order?id={quote(id, safe='')}")[0], 204)
                _, cache, after = ask(self.url, "GET", f"/product?id={quote(id, safe='')}")
                self.assertRegex(cache, FORGOTTEN)
                self.assertEqual([int(re.search(r"\d+", body)[0]) for body in (before, after)], [100, 99])
        _, cache, body = ask(self.url, "GET", "/product?id=untouched")
        self.assertRegex(cache, HIT)
        self.assertEqual(body, other)

    def test_what_is_no_page_and_no_order_sells_nothing_and_ends_nothing(self) -> None:
        app = self.app.addresses[""]
        for path in ("//", "/order?id=looked-at", "/favicon.ico?id=looked-at"):
            with self.subTest(path):
                self.assertGreaterEqual(ask(app, "GET", path)[0], 300)
        self.assertIn("100 in stock", self.stored("looked-at"))

    def test_the_call_outside_of_a_request_forgets_the_page(self) -> None:
        self.stored("1")
        environment = os.environ | {"TAGALONG_ADMIN_TOKEN": TOKEN, "TAGALONG_ADMIN_URL": f"http://{self.admin}"}
        call = ["bash", "-euc", shown("Outside of a request")]
        done = subprocess.run(call, env=environment, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('"incremented":2', done.stdout.replace(" ", ""))
        _, cache, _ = ask(self.url, "GET", "/product?id=1")
        self.assertRegex(cache, FORGOTTEN)


class Failing(Example):
    """And where the page promises that answers to failures tell what has changed."""

    def test_what_was_committed_before_an_exception_is_told(self) -> None:
        self.stored("failed")
        self.assertEqual(ask(self.url, "POST", "/fail?id=failed")[0], 500)
        _, cache, body = ask(self.url, "GET", "/product?id=failed")
        self.assertRegex(cache, FORGOTTEN)
        self.assertIn("99 in stock", body)


class Go(Example, unittest.TestCase):
    @classmethod
    def command(cls) -> list[str | Path]:
        program = made("go.go", "Go")
        binary = program.with_suffix("")
        environment = os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
        subprocess.run(["go", "vet", program], check=True, env=environment)
        subprocess.run(["go", "build", "-o", binary, program], check=True, env=environment)
        return [binary]


class Flask(Failing, unittest.TestCase):
    @classmethod
    def command(cls) -> list[str | Path]:
        return [sys.executable, made("flask.py", "Flask")]


class FastAPI(Failing, unittest.TestCase):
    @classmethod
    def command(cls) -> list[str | Path]:
        return [sys.executable, made("fastapi.py", "FastAPI")]


class Node(Example, unittest.TestCase):
    @classmethod
    def command(cls) -> list[str | Path]:
        return ["node", made("node.mjs", "Node.js")]


if __name__ == "__main__":
    unittest.main()
