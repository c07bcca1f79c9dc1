"""Fills a cache: asks for many URLs, each once, as fast as it answers."""

import asyncio
import itertools

CONNECTIONS = 8
#: Requests sent at once over a connection.
BATCH = 50
PATIENCE = 30
ANSWER = b"HTTP/1.1 200"


def fill(server, paths, host=None):
    """Returns once the last answer is here."""
    asyncio.run(all_of(server.port, iter(paths), host or f"127.0.0.1:{server.port}"))


async def all_of(port, rest, host):
    await asyncio.gather(*[connection(port, rest, host) for _ in range(CONNECTIONS)])


async def connection(port, rest, host):
    """Ask for what nobody has asked for yet."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while batch := list(itertools.islice(rest, BATCH)):
        writer.write("".join(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n" for path in batch).encode())
        await answers(reader, len(batch))
    # The last body may be on its way; behind one more answer comes nothing.
    writer.write(f"GET /1 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()


async def answers(reader, count):
    """Read until so many have begun."""
    rest = b""
    while count:
        data = await asyncio.wait_for(reader.read(1 << 18), PATIENCE)
        if not data:
            raise ConnectionError("closed while answers were due")
        data = rest + data
        count -= data.count(ANSWER)
        # It may be cut in two.
        rest = data[1 - len(ANSWER) :]
