#!/usr/bin/env python3
"""The app of the soak: pages with versions, bodies of any length, uploads, an echo, and every way to fail.

    GET  /page/N           its version, fresh for a minute; 304 to who has it
    POST /write/N          a new version, told by `Cache-Tag-Increment`
    POST /edit/N           the same, which a rule has to know
    POST /silent/N         the same, which nobody is told of
    GET  /constant/N       fresh for a second, then asked about by its ETag; parts of it, too
    GET  /new/…?bytes=N    a body of that length; `keep=1` cacheable, `chunked=1` no length before, `wait=MS` silent first, `over=MS` spread
    PUT  /upload           answers length and CRC-32 of what came
    GET  /fail/…?how=…     500, hang, cut (in the body), torn (a chunked body without end), close, reset, malformed
    GET  /echo             an upgraded connection that says what it hears
"""

import asyncio
import collections
import re
import signal
import socket
import struct
import sys
import urllib.parse
import zlib

import content

#: Seconds an idle connection is kept; `Keep-Alive` says so, and a proxy lets go of it a second earlier.
KEEP = 3
LONGEST = 30
BLOCK = 64 << 10


class Over(Exception):
    """This connection takes no more requests."""


class App:
    def __init__(self):
        self.versions = collections.Counter()

    async def connection(self, reader, writer):
        """One client, request after request."""
        try:
            while True:
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), KEEP)
                await self.request(head, reader, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.TimeoutError, ConnectionError, Over):
            pass  # it has left, has nothing to say, or was to be left
        finally:
            writer.close()

    async def request(self, head, reader, writer):
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
        url = urllib.parse.urlsplit(target)
        wish = dict(urllib.parse.parse_qsl(url.query))
        kind, _, name = url.path[1:].partition("/")
        if kind == "upload":
            length, crc = await upload(fields, reader)
            return answer(writer, method, b"%d %08x\n" % (length, crc), "no-store")
        async for _ in body(fields, reader):
            pass
        if kind == "page":
            return self.page(int(name), method, fields, writer)
        if kind in ("write", "edit", "silent"):
            return self.write(kind, int(name), method, writer)
        if kind == "constant":
            return constant(int(name), method, fields, writer)
        if kind == "new":
            return await new(target, wish, writer)
        if kind == "fail":
            return await fail(wish["how"], reader, writer)
        if kind == "echo":
            return await echo(reader, writer)
        return answer(writer, method, b"nothing here\n", "no-store", status="404 Not Found")

    def page(self, number, method, fields, writer):
        version = self.versions[number]
        tagged(writer, method, fields, content.page(number, version), "max-age=60", f'"{number}-{version}"', f"Cache-Tag: Page:{number}, pages")

    def write(self, kind, number, method, writer):
        self.versions[number] += 1
        told = [f"Cache-Tag-Increment: Page:{number}"] if kind == "write" else []
        answer(writer, method, b"%d\n" % self.versions[number], "no-store", *told)


async def body(fields, reader):
    """The body of a request, piece by piece."""
    if "chunked" in fields.get("transfer-encoding", ""):
        while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
            yield (await reader.readexactly(size + 2))[:-2]
        await reader.readuntil(b"\r\n")
        return
    rest = int(fields.get("content-length", 0))
    while rest:
        piece = await reader.read(min(rest, BLOCK))
        if not piece:
            raise asyncio.IncompleteReadError(b"", rest)
        rest -= len(piece)
        yield piece


async def upload(fields, reader):
    length, crc = 0, 0
    async for piece in body(fields, reader):
        length, crc = length + len(piece), zlib.crc32(piece, crc)
    return length, crc


def begin(writer, status, cache, *more):
    """A head."""
    lines = [f"HTTP/1.1 {status}", f"Cache-Control: {cache}", f"Keep-Alive: timeout={KEEP}", "Content-Type: text/plain", *more]
    writer.write("\r\n".join([*lines, "", ""]).encode())


def answer(writer, method, text, cache, *more, status="200 OK"):
    begin(writer, status, cache, f"Content-Length: {len(text)}", *more)
    if method != "HEAD":
        writer.write(text)


def tagged(writer, method, fields, text, cache, etag, *more):
    """An answer that may be asked about."""
    if fields.get("if-none-match") == etag:
        return begin(writer, "304 Not Modified", cache, f"ETag: {etag}", *more)
    answer(writer, method, text, cache, f"ETag: {etag}", *more)


def constant(number, method, fields, writer):
    """A part of it where one is asked for, of one form."""
    text = content.constant(number)
    wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", fields.get("range", ""))
    if method != "GET" or not wanted or "if-range" in fields:
        return tagged(writer, method, fields, text, "max-age=1", '"constant"')
    first, last = map(int, wanted.groups())
    part = f"Content-Range: bytes {first}-{last}/{len(text)}"
    answer(writer, method, text[first : last + 1], "max-age=1", 'ETag: "constant"', part, status="206 Partial Content")


async def new(target, wish, writer):
    length, is_chunked = int(wish["bytes"]), "chunked" in wish
    await asyncio.sleep(int(wish.get("wait", 0)) / 1000)
    how = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {length}"
    begin(writer, "200 OK", "max-age=30" if "keep" in wish else "no-store", how)
    text = content.filler(target, length)
    pause = int(wish.get("over", 0)) / 1000 / (length / BLOCK)
    for start in range(0, length, BLOCK):
        piece = text[start : start + BLOCK]
        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if is_chunked else piece)
        await writer.drain()
        await asyncio.sleep(pause)
    if is_chunked:
        writer.write(b"0\r\n\r\n")


async def fail(how, reader, writer):
    """Every one of them but 500 ends the connection."""
    if how == "500":
        return answer(writer, "GET", b"it failed\n", "no-store", status="500 Internal Server Error")
    if how == "hang":
        await asyncio.wait_for(reader.read(), LONGEST)  # until the other end has enough of it
    elif how == "cut":
        begin(writer, "200 OK", "max-age=30", "Content-Length: 200000")
        writer.write(bytes(100_000))
    elif how == "torn":
        begin(writer, "200 OK", "max-age=30", "Transfer-Encoding: chunked")
        writer.write(b"186a0\r\n" + bytes(100_000) + b"\r\n")
    elif how == "malformed":
        writer.write(b"HTTP/1.1 two hundred\r\n: :\r\n\r\n")
    elif how == "reset":
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    await writer.drain()
    raise Over


async def echo(reader, writer):
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    while heard := await reader.read(BLOCK):
        writer.write(heard)
        await writer.drain()
    raise Over


async def main(port):
    # The signal that ends it is no failure.
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = await asyncio.start_server(App().connection, "127.0.0.1", port, limit=256 << 10, backlog=1024)
    async with server:
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
