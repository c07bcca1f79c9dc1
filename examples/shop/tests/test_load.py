"""load.py itself: it finds nothing wrong behind sidecars that work, and much behind some that are deaf."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from loading import floors
from loading.floors import KINDS, Floors, older, shown
from loading.http import Answer, Connection
from loading.servers import SHOP

SIDECAR = os.environ.get("TAGALONG_BINARY")
needs_a_sidecar = pytest.mark.skipif(not SIDECAR, reason="TAGALONG_BINARY names no sidecar")
SMALL = ["--rounds", "1", "--visitors", "4", "--products", "40", "--requests", "500"]


def load(*arguments: str) -> "subprocess.Popen[str]":
    """Begins a load; what it starts is of its process group."""
    command = [sys.executable, "load.py", "--tagalong", str(SIDECAR), *SMALL, *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=SHOP, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def finished(load: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """How it ended, the page, and what went wrong."""
    try:
        out, err = load.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        load.terminate()
        out, err = load.communicate(timeout=60)
    return load.returncode, out, err


def table(page: str, number: int) -> dict[str, dict[str, str]]:
    """A table of the page: the cells of each row by their head."""
    several = [it.splitlines() for it in page.split("\n\n") if it.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in several[number]]
    return {name: dict(zip(head[1:], cells, strict=True)) for name, *cells in rows}


@needs_a_sidecar
def test_no_page_is_older_than_an_edit_acknowledged_before_through_either_of_two_sidecars() -> None:
    status, page, err = finished(load("--seconds", "3"))
    assert (status, err) == (0, ""), page  # what is from the store shows edits of every kind, too
    for row in table(page, 0).values():
        assert (row["too old"], row["late"], row["failed"]) == ("0", "0", "0")
    assert "0" not in table(page, 1)["strict"].values()
    assert set(table(page, 1)["without"].values()) == {"0"}


@needs_a_sidecar
def test_sidecars_that_hear_of_no_edit_are_found_out_by_every_kind_of_count() -> None:
    status, page, err = finished(load("--seconds", "1", "--deaf"))
    assert (status, err) == (0, ""), page
    found = table(page, 1)["strict"]
    assert all("too old" in found[kind] for kind in KINDS), found


def is_there(group: int) -> bool:
    """Whether a process group has a process."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@needs_a_sidecar
def test_a_load_that_is_told_to_end_leaves_no_process_behind() -> None:
    ours = load("--seconds", "8", "--requests", "0")
    try:
        assert ours.stdout is not None
        assert "reads/s" in ours.stdout.readline()  # the first round is over, all servers run
        ours.terminate()
        ours.communicate(timeout=60)
        assert ours.returncode == 128 + signal.SIGTERM
        end = time.monotonic() + 10
        while is_there(ours.pid):
            assert time.monotonic() < end, "processes are left"
            time.sleep(0.05)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(ours.pid, signal.SIGKILL)


def test_a_connection_that_was_opened_is_the_one_that_is_asked() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(writer)
        while await reader.readline() not in (b"", b"\r\n"):
            pass
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async def ask() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            connection = Connection(server.sockets[0].getsockname()[1])
            await connection.open()
            await connection.ask("GET", "/")
            await connection.close()
            for writer in connected:
                writer.close()

    connected: list[asyncio.StreamWriter] = []
    asyncio.run(ask())
    assert len(connected) == 1


def test_a_page_must_show_what_was_acknowledged_once_it_is_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 100.0
    monkeypatch.setattr(floors, "monotonic", lambda: moment)
    at_once, in_a_second = Floors(), Floors(lag=1.0)
    for each in (at_once, in_a_second):
        each.acknowledge({"product:1": 3})
        each.acknowledge({"product:1": 2})
    page = {"product:1": 2, "product:2": 1}
    assert older(page, at_once.now()) == ["product:1"]
    assert older(page, in_a_second.now()) == []
    moment = 101.0
    assert older(page, in_a_second.now()) == ["product:1"]


def test_of_what_a_page_shows_twice_the_older_one_counts() -> None:
    body = b'<p data-of="product:1" data-version="3"><p data-of="product:1" data-version="2">'
    assert shown(Answer(200, {"content-type": "text/html"}, body)) == {"product:1": 2}
