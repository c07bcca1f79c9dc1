#!/usr/bin/env python3
"""The app: it answers as the query of the request says, and counts.

    wait=MS       be silent for so long first
    bytes=N       length of the body (what it holds depends on the path: `bodies`)
    over=MS       spread the body over so long
    chunked=1     do not say the length before
    private=1     `Cache-Control: private` in place of an hour
    tag=T         `Cache-Tag: T`
    increment=T   `Cache-Tag-Increment: T`
    purge=1       `X-LiteSpeed-Purge: *`

`/counts` says as JSON how often each other path was asked since the last look (`calls`), how many requests it had at
once at most (`most`), and how many bytes of bodies it has handed to the system in all (`sent`).
"""

import asyncio
import collections
import json
import socket
import sys
import urllib.parse

import bodies


class App:
    """What is counted."""

    def __init__(self):
        self.sent = 0
        self.now = 0
        self.begin()

    def begin(self):
        self.calls = collections.Counter()
        self.most = self.now

    async def connection(self, reader, writer):
        """One client, request after request."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                url = urllib.parse.urlsplit(head.split(b" ", 2)[1].decode())
                if url.path == "/counts":
                    await self.counts(writer)
                else:
                    await self.count(url, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # it has left
        finally:
            writer.close()

    async def counts(self, writer):
        text = json.dumps({"calls": self.calls, "most": self.most, "sent": self.sent}).encode()
        self.begin()
        writer.write(b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
        await writer.drain()

    async def count(self, url, writer):
        """Answer, and be counted meanwhile."""
        self.calls[url.path] += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.answer(url.path, dict(urllib.parse.parse_qsl(url.query)), writer)
        finally:
            self.now -= 1

    async def answer(self, path, wish, writer):
        length, chunked = int(wish.get("bytes", 0)), "chunked" in wish
        if "wait" in wish:
            await asyncio.sleep(int(wish["wait"]) / 1000)
        writer.write(head(wish, length, chunked))
        loop, begun, sent = asyncio.get_running_loop(), asyncio.get_running_loop().time(), 0
        for block in bodies.blocks(path, length):
            late = begun + int(wish.get("over", 0)) / 1000 * sent / length - loop.time()
            if late > 0:
                await asyncio.sleep(late)
            writer.write(b"%x\r\n%s\r\n" % (len(block), block) if chunked else block)
            await writer.drain()
            sent += len(block)
            self.sent += len(block)
        if chunked:
            writer.write(b"0\r\n\r\n")
        await writer.drain()


def head(wish, length, chunked):
    """The head of the answer."""
    lines = ["HTTP/1.1 200 OK", "Content-Type: text/plain"]
    lines.append("Cache-Control: " + ("private" if "private" in wish else "max-age=3600"))
    lines.append("Transfer-Encoding: chunked" if chunked else f"Content-Length: {length}")
    if "tag" in wish:
        lines.append(f"Cache-Tag: {wish['tag']}")
    if "increment" in wish:
        lines.append(f"Cache-Tag-Increment: {wish['increment']}")
    if "purge" in wish:
        lines.append("X-LiteSpeed-Purge: *")
    return "\r\n".join([*lines, "", ""]).encode()


async def main(port):
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    # Connections inherit both: what is sent is on its way, not waiting here for an acknowledgement or for room.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 << 10)
    server = await asyncio.start_server(App().connection, sock=listener, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
