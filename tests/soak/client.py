"""Clients over HTTP/1.1, by hand: what is sent, and when, is up to the caller. Kept connections, and who is asked when one is away."""

import asyncio
import dataclasses
import re
import socket
import struct

HOST = "soak.example"
SAFE = ("GET", "HEAD")


class Lost(Exception):
    """The connection ended before the answer was whole; `begun`: it had begun."""

    def __init__(self, text, begun):
        super().__init__(text)
        self.begun = begun


class Wrong(Exception):
    """An answer, or the want of one, that must not be."""


@dataclasses.dataclass
class Answer:
    status: int
    #: By name in lower case.
    fields: dict
    body: bytes = b""

    def words(self):
        """Its status, and what the cache says became of it."""
        said = self.fields.get("cache-status", "")
        detail = re.search(r"detail=([\w-]+)", said)
        forward = re.search(r"fwd=([\w-]+)", said)
        word = "hit" if "; hit" in said else "collapsed" if "collapsed" in said else forward and forward[1]
        return " ".join(filter(None, [str(self.status), word, detail and detail[1]]))

    def is_deferred(self):
        return "increment-deferred" in self.fields.get("cache-status", "")


def request(method, path, fields=(), body=b""):
    """The bytes of a request; `fields`: pairs."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", *(f"{name}: {value}" for name, value in fields)]
    if method not in SAFE and not any(name == "Transfer-Encoding" for name, _ in fields):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection:
    """One connection to one life of a sidecar."""

    def __init__(self, reader, writer, life):
        self.reader, self.writer, self.life = reader, writer, life
        self.asked = 0

    async def send(self, data):
        try:
            self.writer.write(data)
            await self.writer.drain()
        except ConnectionError as error:
            raise Lost(f"while it was sent: {error}", False) from error

    async def answer(self, method="GET", pace=None):
        """The next answer; `pace`: bytes of body read a second, at most."""
        self.asked += 1
        begun = False
        try:
            head = b"HTTP/1.1 100"
            while head.startswith(b"HTTP/1.1 100"):
                head = await self.reader.readuntil(b"\r\n\r\n")
            begun = True
            answer = parsed(head)
            if method != "HEAD" and answer.status not in (101, 204, 304):
                answer.body = await self.body(answer.fields, pace)
            return answer
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            begun = begun or bool(getattr(error, "partial", b""))
            why = "closed" if isinstance(error, asyncio.IncompleteReadError) else error
            raise Lost(f"{'in' if begun else 'before'} the answer: {why}", begun) from error

    async def body(self, fields, pace):
        if "chunked" not in fields.get("transfer-encoding", ""):
            return await self.exactly(int(fields["content-length"]), pace)
        pieces = []
        while size := int((await self.reader.readuntil(b"\r\n")).partition(b";")[0], 16):
            pieces.append((await self.exactly(size + 2, pace))[:-2])
        await self.reader.readuntil(b"\r\n")
        return b"".join(pieces)

    async def exactly(self, length, pace):
        if not pace:
            return await self.reader.readexactly(length)
        pieces, rest = [], length
        while rest:
            piece = await self.reader.readexactly(min(rest, pace // 10))
            pieces.append(piece)
            rest -= len(piece)
            await asyncio.sleep(len(piece) / pace)
        return b"".join(pieces)

    def close(self):
        self.writer.close()

    def abort(self):
        """Leaves with a reset."""
        plain = self.writer.get_extra_info("socket")
        if plain and plain.fileno() >= 0:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


def parsed(head):
    fields = {}
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            name = name.lower()
            fields[name] = f"{fields[name]}, {value.strip()}" if name in fields else value.strip()
    return Answer(int(head[9:12]), fields)


async def connect(port, life=None, buffer=None):
    """A new connection; `buffer`: how much the system may receive before it is read."""
    plain = socket.socket()
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=plain, limit=buffer or 256 << 10)
    except BaseException:
        plain.close()
        raise
    return Connection(reader, writer, life)


async def knock(port, data):
    """A connection that has sent this with nothing in between."""
    # Blocking: on loopback that is some microseconds.
    plain = socket.create_connection(("127.0.0.1", port), 2)
    try:
        plain.sendall(data)
    except ConnectionError:
        plain.close()
        raise
    plain.setblocking(False)
    return Connection(*await asyncio.open_connection(sock=plain), None)


class Clients:
    """Asks the sidecars, and keeps connections for the next request."""

    def __init__(self, fleet, tally):
        self.fleet, self.tally = fleet, tally
        self.kept = {}

    async def ask(self, kind, place, method, path, fields=(), body=b"", fresh=False):
        """An answer, and the life of the sidecar that gave it.

        A sidecar that stops refuses connections: then the other one is asked. A kept connection that was closed meanwhile says
        nothing of the request: what is safe is asked again. Everything else that is not answered is `Lost`.
        """
        fresh = fresh or method not in SAFE
        while True:
            kept = self.take(place) if not fresh else None
            connection = kept or await self.open(kind, place)
            if connection.reader.at_eof() and not connection.life.is_up:
                connection.close()
                self.tally.count(kind, "closed by one that stops, before it was asked: asked again")
                continue
            try:
                await connection.send(request(method, path, fields, body))
                answer = await connection.answer(method)
            except Lost as lost:
                connection.close()
                if not kept or lost.begun:
                    raise Lost(f"{method} {path} {connection.life} {lost}", lost.begun) from lost
                self.tally.count(kind, "asked again on a new connection")
                fresh = True
                continue
            except BaseException:
                connection.abort()
                raise
            self.give_back(connection, answer)
            self.tally.count(kind, answer.words())
            return answer, connection.life

    async def open(self, kind, place, buffer=None):
        """A new connection, to the other one where this one is stopping."""
        while True:
            life = self.fleet.sidecars[place].life
            try:
                return await connect(self.fleet.sidecars[place].port, life, buffer)
            except ConnectionRefusedError as error:
                if life.is_up:
                    raise Wrong(f"{life} refuses a connection") from error
                self.tally.count(kind, "refused by one that stops: the other one was asked")
                place = self.fleet.other(place)

    def take(self, place):
        life, waiting = self.fleet.sidecars[place].life, self.kept.setdefault(place, [])
        while waiting:
            connection = waiting.pop()
            if connection.life is life and not connection.reader.at_eof():
                return connection
            connection.close()
        return None

    def give_back(self, connection, answer):
        if answer.fields.get("connection") == "close" or len(self.kept.setdefault(connection.life.place, [])) > 30:
            connection.close()
        else:
            self.kept[connection.life.place].append(connection)

    def leave(self):
        """Closes what is kept."""
        for connections in self.kept.values():
            while connections:
                connections.pop().close()
