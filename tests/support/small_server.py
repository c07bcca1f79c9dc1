"""A small server of a test's own, on a free port of loopback until its block ends."""

import socketserver
import sys
import threading


class Server(socketserver.ThreadingTCPServer):
    daemon_threads, request_queue_size, allow_reuse_address = True, 256, True

    def handle_error(self, request, client_address):
        # What is in front has broken off. Everything else is a mistake in the test.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class SmallServer:
    """Each connection has a handler, an instance of `socketserver.BaseRequestHandler` or of what is made of that, in a thread of its own."""

    def __init__(self, handler):
        self.server = Server(("127.0.0.1", 0), handler)
        self.port = self.server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
