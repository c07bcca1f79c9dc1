"""What stands around the sidecar in a recipe: the app, as the page says that it answers, and whoever webhooks call."""

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pages import Answer


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def reply(self, status: int, fields: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in fields:
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(body)


class Listener:
    """A server in a thread of its own, on one port whether it is there or not."""

    def __init__(self) -> None:
        self.port = 0
        self.server: Server | None = None
        self.connections: list = []
        self.start()

    def handler(self) -> type[Handler]:
        raise NotImplementedError

    def start(self) -> None:
        listener = self

        class Kept(self.handler()):
            def setup(self) -> None:
                super().setup()
                listener.connections.append(self.connection)

        self.server = Server(("127.0.0.1", self.port), Kept)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Refuses connections from now on, and closes those that are open, as an app that is killed does."""
        if self.server is None:
            return
        self.server.shutdown()
        self.server.server_close()
        for connection in self.connections:
            try:
                connection.shutdown(2)
            except OSError:
                pass  # closed by the other end before
        self.connections.clear()
        self.server = None


class App(Listener):
    """Answers what the recipe says; a body that it does not give says how often the app was asked for it."""

    def __init__(self, answers: list[Answer]) -> None:
        self.answers = answers
        self.asked: Counter[str] = Counter()
        super().__init__()

    def answer(self, method: str, target: str, fields) -> Answer | None:
        wanted = "GET" if method == "HEAD" else method
        path = target.partition("?")[0]

        def fits(answer: Answer) -> bool:
            is_there = answer.target == (target if "?" in answer.target else path)
            # Of a cookie or the like it is enough that the text stands in the field.
            return answer.method == wanted and is_there and all(value in fields.get(name, "") for name, value in answer.wanted.items())

        fitting = [answer for answer in self.answers if fits(answer)]
        return max(fitting, key=lambda answer: ("?" in answer.target, len(answer.wanted)), default=None)

    def handler(self) -> type[Handler]:
        app = self

        class Answering(Handler):
            def do_GET(self) -> None:
                self.body()
                app.asked[f"{self.command} {self.path}"] += 1
                answer = app.answer(self.command, self.path, self.headers)
                if answer is None:
                    self.reply(404, [("Cache-Control", "no-store")], b"not in the recipe\n")
                    return
                body = answer.body or f"{self.path}, made {app.asked[f'{self.command} {self.path}']} times"
                self.reply(answer.status, answer.fields, f"{body}\n".encode())

            do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

        return Answering


class Told(Listener):
    """Whoever a webhook calls: takes everything, and remembers it without the time."""

    def __init__(self) -> None:
        self.calls: list[dict] = []
        self.authorizations: list[str | None] = []
        super().__init__()

    def handler(self) -> type[Handler]:
        told = self

        class Taking(Handler):
            def do_POST(self) -> None:
                call = json.loads(self.body())
                call.pop("at")
                told.authorizations.append(self.headers.get("Authorization"))
                told.calls.append(call)
                self.reply(200, [], b"{}")

        return Taking
