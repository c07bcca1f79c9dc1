"""The app: numbered pages, each with a version that a POST raises.

`GET /page/N` is the version, tagged `page:N`, and may be stored for an hour. `POST /page/N` raises it and says so
(`Cache-Tag-Increment`); the answer is the new version. `GET /large/N` is up to 2 MiB of all lengths. What it has done it
keeps to itself.
"""

import collections
import http.server
import pathlib
import sys
import threading

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import small_server

MOST = b"x" * (2 << 20)


class App(small_server.SmallServer):
    def __init__(self):
        self.versions, self.posts, self.lock = collections.Counter(), 0, threading.Lock()
        app = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version, disable_nagle_algorithm, timeout = "HTTP/1.1", True, 30

            def log_message(self, *_):
                pass

            def do_GET(self):
                with app.lock:
                    version = app.versions[self.path]
                body = large(int(self.path.removeprefix("/large/"))) if self.path.startswith("/large/") else str(version).encode()
                self.say(body, {"Cache-Control": "public, max-age=3600", "Cache-Tag": tag(self.path)})

            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with app.lock:
                    app.versions[self.path] += 1
                    app.posts += 1
                    version = app.versions[self.path]
                self.say(str(version).encode(), {"Cache-Tag-Increment": tag(self.path)})

            def say(self, body, fields):
                self.send_response(200)
                for name, value in {**fields, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        super().__init__(Handler)


def large(number):
    """Their lengths are spread over all that there are."""
    return MOST[: number * 1_299_709 % len(MOST)]


def tag(path):
    return path.strip("/").replace("/", ":")
