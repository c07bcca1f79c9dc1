"""What operators do all the time: look, purge, and listen to events."""

import asyncio

from client import Lost, Wrong, request

LOOKS = ["/v1/stats", "/v1/rules", "/v1/entries?limit=50", "/v1/increments?limit=20", "/v1/explain?url=http://soak.example/page/1", "/readyz"]


async def look(soak):
    """Reads numbers, entries, reasons."""
    await call(soak, soak.random.choice(LOOKS))


async def purge(soak):
    """One page by its tag or its URL; now and then all of them."""
    number = soak.some_page()
    page = {"url": f"http://soak.example/page/{number}"}
    await call(soak, "/v1/purge", soak.random.choice([page, {"tags": [f"Page:{number}"]}, {"tags": [f"Page:{number}"]}, {"tags": ["pages"]}]))


async def call(soak, path, body=None):
    sidecar = soak.fleet.sidecars[soak.some_place()]
    life, what = sidecar.life, path.partition("?")[0]
    try:
        status, said = await sidecar.call(path, body)
    except OSError as error:
        if life.is_up:
            raise Wrong(f"{what} through {life}: {error}") from error
        return soak.tally.count("admin", f"{what}: sidecar is away")
    soak.tally.count("admin", f"{what}: {status}")
    # A purge that the shared store could not be told of is 503, and waits; one that stops changes nothing more.
    if status != 200 and not (status == 503 and (body or not life.is_up)):
        raise Wrong(f"{what} through {life} is {status}: {said}")


async def events(soak):
    """A dashboard that is open for some seconds."""
    connection = await soak.to_admin()
    try:
        await connection.send(request("GET", "/v1/events").replace(b"soak.example", b"localhost"))
        head = await connection.reader.readuntil(b"\r\n\r\n")
        for _ in range(soak.random.randrange(2, 5)):
            while b"event: stats" not in await asyncio.wait_for(connection.reader.readuntil(b"\n"), 5):
                pass
        soak.tally.count("events", head[9:12].decode())
    except (Lost, ConnectionError, asyncio.IncompleteReadError):
        if connection.life.is_up:
            raise
        soak.tally.count("events", "ended with its sidecar")
    finally:
        (connection.abort if soak.random.random() < 0.5 else connection.close)()
