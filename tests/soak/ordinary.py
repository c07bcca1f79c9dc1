"""Kinds of traffic that behave. Each is one act: what it asks, and what the answer must be."""

import asyncio
import itertools
import re
import time

import content
import needs
import record
from client import Lost, Wrong, request

KIB, MIB = 1 << 10, 1 << 20
H2_REQUESTS = 300


def expect(answer, status, body=None, what=""):
    """Status and body are these."""
    if answer.status != status:
        raise Wrong(f"{what} is answered {answer.words()}, not {status}: {answer.body[:60]!r}")
    if body is not None and answer.body != body:
        raise Wrong(f"{what} ({answer.words()}) has another body, {len(answer.body)} bytes in place of {len(body)}: {answer.body[:60]!r}")


async def read(soak, kind, number, place):
    """A page, whole, and no older than promised."""
    began = time.monotonic()
    answer, life = await soak.clients.ask(kind, place, "GET", f"/page/{number}")
    told = re.match(rb"page (\d+) version (\d+)\n", answer.body)
    expect(answer, 200, what=f"page {number}")
    if not told or int(told[1]) != number:
        raise Wrong(f"page {number} is another: {answer.body[:60]!r}")
    version = int(told[2])
    expect(answer, 200, content.page(number, version), f"page {number}")
    least = soak.record.least(number, life, began)
    if version < least:
        raise Wrong(f"OLD: page {number} through {life} is version {version}, {least} was promised ({answer.fields.get('cache-status')})")
    return version


async def hit(soak):
    """Some pages are asked for far more than others."""
    await read(soak, "hit", soak.some_page(), soak.some_place())


async def miss(soak):
    """What nobody has asked for before; now and then once more."""
    length = soak.random.randrange(1, 30 * KIB)
    path, place = f"/new/{soak.unique()}?bytes={length}&keep=1", soak.some_place()
    for _ in range(soak.random.choice([1, 1, 1, 2])):
        answer, _ = await soak.clients.ask("miss", place, "GET", path)
        expect(answer, 200, content.filler(path, length), path)


async def revalidate(soak):
    """Fresh for a second only: the app is asked whether it is still so, by whoever comes next; and so do clients ask. Parts and heads of it, too."""
    number = soak.random.randrange(content.CONSTANTS)
    path, whole = f"/constant/{number}", content.constant(number)
    how = soak.random.choice(["plain", "plain", "conditional", "head", "part"])
    fields = {"conditional": [("If-None-Match", '"constant"')], "part": [("Range", "bytes=1000-1999")]}.get(how, [])
    method = "HEAD" if how == "head" else "GET"
    answer, _ = await soak.clients.ask("revalidate", soak.some_place(), method, path, fields)
    status, body = {"conditional": (304, b""), "head": (200, b""), "part": (206, whole[1000:2000])}.get(how, (200, whole))
    expect(answer, status, body, f"{path} ({how})")


async def write(soak):
    """A new version, told by the app, by a rule or by an operator; then everybody reads."""
    number, place = soak.some_page(), soak.some_place()
    await (silent if soak.random.random() < 0.2 else told)(soak, number, place)
    await read(soak, "read after write", number, place)
    await read(soak, "read after write", number, soak.fleet.other(place))
    await asyncio.sleep(record.MAX_LAG + record.SLACK)
    await read(soak, "read max_lag later", number, soak.fleet.other(place))


async def told(soak, number, place):
    path = f"/{soak.random.choice(['write', 'edit'])}/{number}"
    answer, life = await soak.clients.ask("write", place, "POST", path)
    expect(answer, 200, what=path)
    soak.record.wrote(number, int(answer.body), life, answer.is_deferred())


async def silent(soak, number, place):
    """Behind everybody's back, then an operator says so."""
    connection = await soak.to_app()
    await connection.send(request("POST", f"/silent/{number}"))
    version = int((await connection.answer("POST")).body)
    connection.close()
    sidecar = soak.fleet.sidecars[place]
    life = sidecar.life
    try:
        status, said = await sidecar.call("/v1/tags/increment", {"tags": [f"Page:{number}"]})
    except OSError:
        if life.is_up:
            raise
        return soak.tally.count("admin", "increment: sidecar is away")
    soak.tally.count("admin", f"increment: {status}")
    if status == 503 and not life.is_up:
        return None  # told to stop, it changes nothing more
    if status not in (200, 503):
        raise Wrong(f"an increment by an operator is {status}: {said}")
    soak.record.wrote(number, version, life, status == 503)


async def upload(soak):
    """Some MiB, with a length or in chunks."""
    body = content.filler("upload", soak.random.randrange(MIB, 4 * MIB))
    place = soak.some_place()
    if soak.random.random() < 0.5:
        answer, _ = await soak.clients.ask("upload", place, "PUT", "/upload", body=body)
    else:
        pieces = (body[start : start + 100 * KIB] for start in range(0, len(body), 100 * KIB))
        chunked = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        answer, _ = await soak.clients.ask("upload", place, "PUT", "/upload", [("Transfer-Encoding", "chunked")], chunked)
    expect(answer, 200, content.checksum(body), f"an upload of {len(body)} bytes")


async def download(soak):
    """Some MiB, with a length or in chunks; half of them are stored."""
    length = soak.random.randrange(MIB, 4 * MIB)
    path = f"/new/{soak.unique()}?bytes={length}" + soak.random.choice(["", "&keep=1"]) + soak.random.choice(["", "&chunked=1"])
    answer, _ = await soak.clients.ask("download", soak.some_place(), "GET", path)
    expect(answer, 200, content.filler(path, length), path)


async def http2(soak):
    """A burst over HTTP/2: the sidecar that is never stopped."""
    port = soak.fleet.sidecars["a"].port
    paths = [f"http://127.0.0.1:{port}/constant/{soak.random.randrange(content.CONSTANTS)}" for _ in range(10)]
    command = [needs.find("h2load"), "-t1", "-c4", "-m10", f"-n{H2_REQUESTS}", *paths]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        output = (await process.communicate())[0].decode()
    except BaseException:
        process.kill()
        raise
    done = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output)
    statuses = re.search(r"status codes: (\d+) 2xx", output)
    data = re.search(r"\((\d+)\) data", output)
    wanted = (f"{H2_REQUESTS}", "0", "0", "0"), f"{H2_REQUESTS}", f"{H2_REQUESTS * content.CONSTANT_LENGTH}"
    if not (done and statuses and data) or (done.groups(), statuses[1], data[1]) != wanted:
        raise Wrong(f"HTTP/2: {output}")
    soak.tally.answers["HTTP/2"]["200"] += H2_REQUESTS


async def echo(soak):
    """An upgraded connection; some leave it with a reset."""
    connection = await soak.clients.open("upgrade", soak.some_place())
    try:
        await connection.send(request("GET", "/echo", [("Connection", "Upgrade"), ("Upgrade", "echo")]))
        expect(await connection.answer(), 101, what="an upgrade")
        for number in range(soak.random.randrange(1, 8)):
            said = content.filler(f"echo-{number}", soak.random.randrange(1, 20 * KIB))
            await connection.send(said)
            heard = await connection.reader.readexactly(len(said))
            if heard != said:
                raise Wrong(f"an upgraded connection says {heard[:60]!r} for {said[:60]!r}")
            await asyncio.sleep(0.1)
        soak.tally.count("upgrade", "101")
    except (Lost, ConnectionError, asyncio.IncompleteReadError):
        # "WebSockets end at once" (docs/operations.md).
        if connection.life.is_up:
            raise
        soak.tally.count("upgrade", "ended with its sidecar")
    finally:
        (connection.abort if soak.random.random() < 0.5 else connection.close)()


FAILURES = {"500": 500, "hang": 504, "cut": None, "torn": None, "close": 502, "reset": 502, "malformed": 502}
failures = itertools.cycle(FAILURES)


async def failing_app(soak):
    """What the app breaks is never told as if it were whole."""
    how = next(failures)
    path = f"/fail/{soak.unique()}?how={how}"
    try:
        answer, _ = await soak.clients.ask("failing app", soak.some_place(), "GET", path, fresh=True)
    except Lost as lost:
        if FAILURES[how] or not lost.begun:
            raise
        return soak.tally.count("failing app", "200, and cut as the app's was")
    if answer.status != FAILURES[how]:
        raise Wrong(f"an app that does `{how}` is answered {answer.words()}, {len(answer.body)} bytes")
