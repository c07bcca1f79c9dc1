"""A shop with one shelf, to try Tagalong with: its pages say what they depend on, its orders what they have changed.

    python app.py 127.0.0.1:8000
"""

import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STOCK = {"1": 100, "2": 7}
SELLING = threading.Lock()


class Shop(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """/products/1"""
        number = self.path.removeprefix("/products/")
        if number not in STOCK:
            return self.answer(404, "no such product\n")
        time.sleep(0.3)  # the work that a hit saves
        page = f"<h1>Product {number}</h1>\n<p>{STOCK[number]} in stock</p>\n"
        self.answer(200, page, {"Tagalong-Cache-Control": "max-age=600", "Cache-Tag": f"product:{number}"})

    def do_POST(self):
        """/products/1/order"""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        number = self.path.removeprefix("/products/").removesuffix("/order")
        if number not in STOCK or not self.path.endswith("/order"):
            return self.answer(404, "no such product\n")
        with SELLING:
            STOCK[number] -= 1
        self.answer(200, "ordered\n", {"Cache-Tag-Increment": f"product:{number}"})

    def answer(self, status, text, headers={}):
        body = text.encode()
        self.send_response(status)
        for name, value in {"Content-Type": "text/html; charset=utf-8", "Content-Length": len(body), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    host, port = sys.argv[1].rsplit(":", 1)
    server = ThreadingHTTPServer((host, int(port)), Shop)
    print(f"listening on {host}:{server.server_port}", flush=True)
    server.serve_forever()
