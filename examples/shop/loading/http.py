"""A client of HTTP/1.1: one connection that is kept, one request at a time. Knows what the shop's servers
send: bodies with a length.
"""

import asyncio
import json
from dataclasses import dataclass
from time import monotonic
from typing import Any

# Servers close connections that are idle; those that were for so many seconds are opened anew.
IDLE = 1.0
SECONDS = 30.0


@dataclass(frozen=True)
class Answer:
    """A whole response. The names of its fields are in small letters."""

    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def outcome(self) -> str:
        """What the sidecar says of it; without one nothing."""
        return self.fields.get("cache-status", "")

    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)


class Connection:
    """To one server, opened when it is first used."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._used = 0.0

    async def open(self) -> None:
        """Connects, if it is not. What is asked next is then written at once."""
        if self._streams is not None and monotonic() - self._used > IDLE:
            await self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
            self._used = monotonic()

    async def ask(self, method: str, path: str, body: object = None, **fields: str) -> Answer:
        """One request; `body` is sent as JSON. Raises `OSError` or `TimeoutError` if there is no answer."""
        await self.open()
        if self._streams is None:
            raise ConnectionError("the connection is not open")
        reader, writer = self._streams
        sent = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self._port}"]
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(sent)}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + sent)
        try:
            async with asyncio.timeout(SECONDS):
                answer = await self._read(reader)
        except asyncio.IncompleteReadError as cut:
            await self.close()
            raise ConnectionError(f"{method} {path}: closed before the answer was whole") from cut
        except BaseException:  # whatever it was, what comes next on this connection is not for who asks next
            await self.close()
            raise
        self._used = monotonic()
        if answer.fields.get("connection", "").lower() == "close":
            await self.close()
        return answer

    async def _read(self, reader: asyncio.StreamReader) -> Answer:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head[:-4].split("\r\n")
        fields: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            fields[name.lower()] = value.strip()
        if "content-length" not in fields:
            raise ConnectionError(f"an answer without a length: {head}")
        body = await reader.readexactly(int(fields["content-length"]))
        return Answer(int(status.split()[1]), fields, body)

    async def close(self) -> None:
        """Closes it; it may be used again."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
