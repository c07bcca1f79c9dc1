"""Runs what the chart renders, without a cluster: the real binary with the container's arguments, environment and mounted files."""

import http.client
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

from chart import Object, command, container, environment, find, mount, mount_all, pod_with_tagalong

T = TypeVar("T")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def until(ask: Callable[[], T | None], seconds: float = 10) -> T:
    """What `ask` gives, once it gives something."""
    end = time.monotonic() + seconds
    while (given := ask()) is None:
        if time.monotonic() > end:
            raise TimeoutError(f"{ask} gave nothing in {seconds} s")
        time.sleep(0.05)
    return given


class App(BaseHTTPRequestHandler):
    """A shop that says of each page how often it has made one, and what it depends on."""

    protocol_version = "HTTP/1.1"
    made = 0

    def do_GET(self):
        type(self).made += 1
        self.answer(b"page %d" % type(self).made, ("Cache-Tag", "product:1"), ("Tagalong-Cache-Control", "max-age=600"))

    def do_POST(self):
        self.answer(b"", ("Cache-Tag-Increment", "product:1"))

    def answer(self, body: bytes, *fields: tuple[str, str]):
        self.send_response(200)
        for name, value in (*fields, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def app() -> Iterator[str]:
    """Its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), App)
    server.daemon_threads = True
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


class Answer:
    def __init__(self, response: http.client.HTTPResponse):
        self.status, self.body = response.status, response.read().decode()
        self.cache_status = response.getheader("Cache-Status", "")


def ask(port: int, path: str, method: str = "GET", token: str | None = None) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request(method, path, headers=headers, body=b"" if method == "POST" else None)
        return Answer(connection.getresponse())
    finally:
        connection.close()


class Pod:
    """A pod's Tagalong. `replace` stands for what only a cluster has, such as the names of Services."""

    def __init__(self, objects: list[Object], replace: dict[str, str] | None = None):
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        self.pod = pod_with_tagalong(objects)
        self.container = container(self.pod)
        mount_all(self.root, objects, self.pod)
        self.environment = environment(objects, self.container)
        for here, there in (replace or {}).items():
            self.environment = {name: value.replace(here, there) for name, value in self.environment.items()}
        self.ports = {port["name"]: port["containerPort"] for port in self.container["ports"]}
        self.log = (self.root / "log").open("w+")
        run = command(self.root, self.container)
        self.process = subprocess.Popen(run, env=self.environment, stdout=self.log, stderr=self.log, cwd=self.root)
        try:
            until(self.is_started)
        except Exception:
            self.stop()
            raise

    @property
    def clients(self) -> int:
        return self.ports["tagalong"]

    @property
    def admin(self) -> int:
        return self.ports["tagalong-admin"]

    @property
    def token(self) -> str:
        return self.environment["TAGALONG_ADMIN_TOKEN"]

    def probe(self, kind: str) -> int:
        """The status that a probe of the container gets."""
        get = self.container[kind]["httpGet"]
        return ask(self.ports[get["port"]], get["path"]).status

    def is_started(self) -> bool | None:
        if self.process.poll() is not None:
            raise RuntimeError(f"it ended with {self.process.returncode}: {self.said()}")
        try:
            return True if self.probe("startupProbe") == 200 else None
        except OSError:
            return None

    def said(self) -> str:
        self.log.flush()
        return (self.root / "log").read_text()

    def updated(self, objects: list[Object], name: str) -> None:
        """What the kubelet does when a ConfigMap has changed."""
        volume = next(one["name"] for one in self.pod["spec"]["volumes"] if one.get("configMap", {}).get("name") == name)
        path = next(one["mountPath"] for one in self.container["volumeMounts"] if one["name"] == volume)
        mount(self.root / path.lstrip("/"), find(objects, "ConfigMap", name).get("data", {}))

    def stop(self) -> int:
        """Its exit code, once asked to end as the kubelet does: within the time that its pod has."""
        self.process.terminate()
        try:
            return self.process.wait(self.pod["spec"].get("terminationGracePeriodSeconds", 30))
        finally:
            self.process.kill()
            self.process.wait()
            self.log.close()
            self.folder.cleanup()
