"""Programs that tests start and end, and calls over HTTP."""

import http.client
import os
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ["TAGALONG_BINARY"])
#: What a command begins with that only root may run.
AS_ROOT = [] if os.geteuid() == 0 else ["sudo", "-n"]
#: Time for what takes a moment, on a machine that does other things too.
PATIENCE = 20


def run(*command, **options):
    """What a command prints; if it fails, that is the test's failure."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, **options)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def until(what, answer):
    """What `answer` returns once it is true."""
    deadline = time.monotonic() + PATIENCE
    while not (found := answer()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)
    return found


class Process:
    """A program that runs until the `with` ends; what it prints is in a file."""

    def __init__(self, *command, environment=None):
        self.log = tempfile.NamedTemporaryFile("r", prefix="packaging-")
        with open(self.log.name, "w") as out:
            self.process = subprocess.Popen(
                list(map(str, command)), stdout=out, stderr=subprocess.STDOUT, env=os.environ | (environment or {})
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.signal(signal.SIGKILL)
        self.process.wait(PATIENCE)
        self.log.close()

    def said(self):
        return Path(self.log.name).read_text()

    def says(self, pattern):
        """What the groups of `pattern` match, once it does; all of it if there are none."""

        def found():
            match = re.search(pattern, self.said())
            assert match or self.process.poll() is None, f"it has ended:\n{self.said()}"
            return match

        match = until(pattern, found)
        return match.groups()[0] if match.groups() else match[0]

    def signal(self, number):
        if AS_ROOT:
            run(*AS_ROOT, "kill", f"-{number}", self.process.pid)
        else:
            self.process.send_signal(number)

    def stop(self):
        """Its exit code, after SIGTERM."""
        self.signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read().decode()
        #: RFC 9211.
        self.cache = self.headers.get("Cache-Status")


def ask(address, path, method="GET", headers={}):
    """A request of its own connection to `host:port`."""
    connection = http.client.HTTPConnection(address, timeout=PATIENCE)
    try:
        connection.request(method, path, headers=headers)
        return Answer(connection.getresponse())
    finally:
        connection.close()
