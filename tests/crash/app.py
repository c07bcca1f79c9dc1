"""The app: numbered pages, each with a version that a POST raises.

`GET /page/N` is the version, tagged `page:N`, and may be stored for an hour. `POST /page/N` raises it and says so
(`Cache-Tag-Increment`); the answer is the new version. `GET /large/N` is a megabyte. What it has done it keeps to itself.
"""

import collections
import http.server
import threading

MEGABYTE = b"x" * (1 << 20)


class App:
    """Listens on a free port of loopback until the block ends."""

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
                body = MEGABYTE if self.path.startswith("/large/") else str(version).encode()
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

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads, request_queue_size = True, 256

            def handle_error(self, *_):
                pass  # the server in front has broken off

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def tag(path):
    return path.strip("/").replace("/", ":")
