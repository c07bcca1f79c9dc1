"""An admin interface that answers what a test tells it to, and remembers what it was asked."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Call:
    """What was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """What is answered. `cut`: the connection is closed in place of an answer; `short`: within its body."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    short: bool = False


def done(call: Call) -> Reply:
    """What a sidecar says that does what it is asked."""
    if call.path.endswith("/v1/tags/increment"):
        tags = call.json["tags"]
        return Reply(body={"incremented": len(tags), "versions": dict.fromkeys(tags, 1), "ignored": []})
    if call.path.endswith("/v1/change"):
        return Reply(body={"incremented": 1})
    return Reply(404, {"title": "Not Found", "status": 404, "detail": "There is no such call."})


class ScriptedAdmin:
    """Listens on a port of its own until it is closed."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.answer: Callable[[Call], Reply] = done
        self.script: list[Reply] = []
        self.connections = 0
        admin = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                admin.connections += 1
                self.number = admin.connections

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                call = Call(self.command, self.path, dict(self.headers.items()), body, self.number)
                admin.calls.append(call)
                self.reply(admin.script.pop(0) if admin.script else admin.answer(call))

            do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815

            def reply(self, reply: Reply) -> None:
                if reply.cut:
                    self.close_connection = True
                    return
                body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body) + reply.short))
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = self.close_connection or reply.short

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def incremented(self) -> list[str]:
        """All tags that were told, call after call."""
        return [tag for call in self.calls if call.path == "/v1/tags/increment" for tag in call.json["tags"]]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
