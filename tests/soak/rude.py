"""Clients that are slow, that stop, and that leave. None of them may cost anybody else anything."""

import asyncio
import time

import content
from client import HOST, Lost, Wrong, request
from fleet import BODY_TIMEOUT, HEADER_TIMEOUT
from ordinary import KIB, MIB, expect

#: Of a limit that is met, for the pauses of a shared machine.
LATE = 3


async def slow_reader(soak):
    """Takes seconds for what others take at once."""
    path = f"/new/{soak.unique()}?bytes={MIB}" + soak.random.choice(["", "&keep=1"])
    connection = await soak.clients.open("slow reader", soak.some_place(), buffer=16 * KIB)
    try:
        await connection.send(request("GET", path))
        answer = await connection.answer(pace=400 * KIB)
        expect(answer, 200, content.filler(path, MIB), path)
        soak.tally.count("slow reader", answer.words())
    finally:
        connection.close()


async def slow_head(soak):
    """Sends its head in pieces, within the limit."""
    path = f"/constant/{soak.random.randrange(content.CONSTANTS)}"
    await slowly("slow head", soak, request("GET", path), b"", expected=content.constant(int(path.rpartition("/")[2])))


async def slow_upload(soak):
    """Sends its body in pieces."""
    body = content.filler("upload", 200 * KIB)
    head = f"PUT /upload HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    await slowly("slow upload", soak, body, head, expected=content.checksum(body))


async def slowly(kind, soak, slow, first, expected):
    connection = await soak.clients.open(kind, soak.some_place())
    try:
        await connection.send(first)
        for part in range(10):
            await connection.send(slow[len(slow) * part // 10 : len(slow) * (part + 1) // 10])
            await asyncio.sleep(0.1)
        answer = await connection.answer()
        expect(answer, 200, expected, kind)
        soak.tally.count(kind, answer.words())
    except Lost as lost:
        # What has not come whole is no request yet: a sidecar that stops need not wait for the rest of its head.
        if first or lost.begun or connection.life.is_up:
            raise
        soak.tally.count(kind, "ended with its sidecar")
    finally:
        connection.close()


async def endless_head(soak):
    """Never ends its head, and is left."""
    await never_ended("endless head", soak, f"GET /page/1 HTTP/1.1\r\nHost: {HOST}\r\nX-More: ".encode(), HEADER_TIMEOUT)


async def endless_body(soak):
    """Never ends its body, and is left."""
    head = f"PUT /upload HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 100000\r\n\r\n"
    await never_ended("endless body", soak, head.encode() + bytes(50_000), BODY_TIMEOUT)


async def never_ended(kind, soak, begun, limit):
    connection = await soak.clients.open(kind, soak.some_place())
    started = time.monotonic()
    try:
        await connection.send(begun)
        said = await asyncio.wait_for(connection.reader.read(-1), limit + LATE)
        status = said[9:12].decode() or "closed"
    except ConnectionResetError:
        status = "closed"
    except asyncio.TimeoutError:
        raise Wrong(f"{kind}: nothing happens within {limit} s") from None
    finally:
        connection.close()
    # What came of the body has gone to the app: the app's request is cut, and the client is told so.
    if status not in ("closed", "400", "408"):
        raise Wrong(f"{kind}: answered {said[:200]!r}")
    if time.monotonic() < started + limit * 0.9 and connection.life.is_up:
        raise Wrong(f"{kind}: {status} after {time.monotonic() - started:.1f} s, the limit is {limit} s")
    soak.tally.count(kind, f"{status} at the limit" if connection.life.is_up else "ended with its sidecar")


async def leaves(soak):
    """In the middle of its head, of an upload, of a download; by the front door or by a reset."""
    where = soak.random.choice(["head", "upload", "download"])
    connection = await soak.clients.open("leaves", soak.some_place())
    try:
        if where == "head":
            await connection.send(b"GET /page/1 HTTP/1.1\r\nHost: soak")
        elif where == "upload":
            await connection.send(f"PUT /upload HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1000000\r\n\r\n".encode() + bytes(300_000))
        else:
            keep = soak.random.choice(["", "&keep=1"])
            await connection.send(request("GET", f"/new/{soak.unique()}?bytes={2 * MIB}&over=1000{keep}"))
            await connection.reader.readexactly(100_000)
        soak.tally.count("leaves", f"in the middle of its {where}")
    finally:
        (connection.abort if soak.random.random() < 0.5 else connection.close)()


async def leaves_a_fill(soak):
    """The first of those who ask leaves; the others get what it had begun."""
    length = 300 * KIB
    path, place = f"/new/{soak.unique()}?bytes={length}&wait=300&over=300&keep=1", soak.some_place()
    first = await soak.clients.open("leaves a fill", place)
    try:
        await first.send(request("GET", path))
        others = [asyncio.ensure_future(soak.clients.ask("follower", place, "GET", path)) for _ in range(3)]
        await asyncio.sleep(soak.random.random() * 0.6)
    finally:
        first.abort()
    soak.tally.count("leaves a fill", "left")
    for answer, _ in await asyncio.gather(*others):
        expect(answer, 200, content.filler(path, length), path)
