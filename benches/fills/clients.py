"""Clients: keep-alive connections that ask one request at a time and note when what arrived."""

import asyncio
import contextlib
import dataclasses
import gc
import json
import socket
import time
import urllib.request
import zlib


@dataclasses.dataclass
class Answer:
    """A whole response; times are seconds of one clock."""

    #: When the request was written.
    asked: float
    status: int = 0
    #: In lower case.
    head: bytes = b""
    #: When the first byte of the body was here.
    first: float = 0.0
    #: When the last was.
    ended: float = 0.0
    length: int = 0
    crc: int = 0

    def took(self):
        """From request to last byte, in milliseconds."""
        return (self.ended - self.asked) * 1000

    def is_hit(self):
        return b"\r\ncache-status: tagalong; hit" in self.head


class Client(asyncio.Protocol):
    """One connection. `rate`: bytes it reads a second, at most."""

    def __init__(self, rate=None):
        self.rate = rate
        self.received = 0
        self.transport = self.waiting = self.answer = None

    def ask(self, path, method="GET"):
        """Send a request; its answer is a future."""
        extra = "" if method == "GET" else "Content-Length: 0\r\n"
        self.pending, self.rest, self.chunked, self.last, self.done = b"", None, False, False, False
        self.waiting = asyncio.get_running_loop().create_future()
        self.answer = Answer(time.perf_counter())
        self.may_read = self.answer.asked
        self.transport.write(f"{method} {path} HTTP/1.1\r\nHost: app.example\r\n{extra}\r\n".encode())
        return self.waiting

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, error):
        if self.waiting and not self.waiting.done():
            at = f"closed after {self.answer.length} bytes"
            self.waiting.set_exception(ConnectionError(f"{at}: {error}"))

    def data_received(self, data):
        now = time.perf_counter()
        if not self.answer.status:
            self.pending += data
            head, end, data = self.pending.partition(b"\r\n\r\n")
            if not end:
                return
            self.begin(head)
        if data:
            self.answer.first = self.answer.first or now
            take = self.chunks if self.chunked else self.body
            take(data)
        if self.done or (not self.chunked and self.rest == 0):
            self.answer.ended = now
            self.waiting.set_result(self.answer)
        elif self.rate:
            self.slow_down(len(data), now)

    def begin(self, head):
        """The head is here: how long will the body be?"""
        self.pending = b""
        self.answer.head = head = head.lower()
        self.answer.status = int(head[9:12])
        self.chunked = b"\r\ntransfer-encoding: chunked" in head
        if not self.chunked:
            self.rest = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])

    def body(self, data):
        self.answer.length += len(data)
        self.answer.crc = zlib.crc32(data, self.answer.crc)
        self.received += len(data)
        if self.rest is not None:
            self.rest -= len(data)

    def chunks(self, data):
        """Takes chunks apart; `rest` is what is to come of one, with the line end behind it."""
        data, at = self.pending + data, 0
        while at < len(data) and not self.done:
            if not self.rest:
                end = data.find(b"\r\n", at)
                if end < 0:
                    break
                size, at = int(data[at:end].partition(b";")[0], 16), end + 2
                # The last chunk is empty; nobody here sends trailers.
                self.rest, self.last = size + 2, size == 0
                continue
            if self.rest > 2:
                content = memoryview(data)[at : at + self.rest - 2]
                at += len(content)
                self.body(content)
            line_end = min(self.rest, 2, len(data) - at)
            at, self.rest = at + line_end, self.rest - line_end
            self.done = self.last and not self.rest
        self.pending = data[at:]

    def slow_down(self, size, now):
        """Read on when that much may have been read."""
        self.may_read = max(self.may_read, now) + size / self.rate
        if self.may_read > now + 0.002 and self.transport.is_reading():
            self.transport.pause_reading()
            asyncio.get_running_loop().call_later(self.may_read - now, self.read_on)

    def read_on(self):
        if not self.transport.is_closing():
            self.transport.resume_reading()


async def connect(port, count, rate=None, buffer=None):
    """Open connections; `buffer`: how much the system may receive for each before it is read."""
    opened = []
    for _ in range(count):
        plain = socket.socket()
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        plain.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(plain, ("127.0.0.1", port))
        _, client = await loop.create_connection(lambda: Client(rate), sock=plain)
        opened.append(client)
    return opened


@contextlib.asynccontextmanager
async def connected(port, count, rate=None, buffer=None):
    """Connections for a while, during which the collector of garbage does not interfere."""
    opened = await connect(port, count, rate, buffer)
    gc.collect()
    gc.disable()
    try:
        yield opened
    finally:
        gc.enable()
        for client in opened:
            client.transport.abort()


def counts(app):
    """What the app has counted since the last look."""
    with urllib.request.urlopen(f"http://127.0.0.1:{app.port}/counts", timeout=5) as answer:
        return json.loads(answer.read())
