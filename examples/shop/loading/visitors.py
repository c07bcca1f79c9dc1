"""Visitors and staff of one shop: their connections, their cookies, and what they know to be committed."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .floors import Floors
from .http import Answer, Connection
from .mix import Edit, Mix
from .servers import SHOP, Stack

# How old a page may be, by what the sidecars promise (docs/sharing.md): `tags.max_lag`, and nothing at all.
LAG = {"bounded": 1.0}


class Visitor:
    """A connection to each of the two ports, and one shopper's cookie."""

    def __init__(self, shop: "Shop") -> None:
        self._shop = shop
        self._connections = [Connection(port) for port in shop.stack.ports]
        self.cookie = ""
        self.shopper = ""

    async def sign_in(self) -> None:
        """Orders something, which makes a session."""
        answer = await self.ask("POST", "/api/orders", {"products": {"1": 1}})
        if answer.status != 201:
            raise RuntimeError(f"an order was answered with {answer.status}: {answer.body[:200]!r}")
        self.cookie = answer.fields["set-cookie"].partition(";")[0]
        counts = answer.json()["versions"]
        self.shopper = next(it for it in counts if it.startswith("orders:"))
        self._shop.acknowledge(counts)

    async def connection(self) -> Connection:
        """One of the two, by chance, ready to be written to."""
        connection = self._shop.mix.chance.choice(self._connections)
        await connection.open()
        return connection

    async def ask(self, method: str, path: str, body: object = None, **fields: str) -> Answer:
        """Through one of the two."""
        if self.cookie:
            fields["Cookie"] = self.cookie
        return await (await self.connection()).ask(method, path, body, **fields)

    async def close(self) -> None:
        """Both connections."""
        for connection in self._connections:
            await connection.close()


class Outside:
    """`manage.py edits`: who edits without a request. One at a time."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process, self._log = process, log
        self._turn = asyncio.Lock()

    async def edit(self, edit: Edit) -> dict[str, Any]:
        """What it answers, which is once the sidecar has been told."""
        line = json.dumps({"edit": edit.name, **edit.of}) + "\n"
        async with self._turn:
            if self._process.stdin is None or self._process.stdout is None:
                raise RuntimeError("the process has no pipes")
            self._process.stdin.write(line.encode())
            answer = await asyncio.wait_for(self._process.stdout.readline(), 30)
        if not answer:
            raise RuntimeError(f"`manage.py edits` has ended:\n{self._log.read_text(errors='replace')}")
        return dict(json.loads(answer))


@dataclass
class Shop:
    """A stack with all who use it."""

    name: str
    stack: Stack
    mix: Mix
    outside: Outside
    promised: Floors
    """What pages must show, by what the sidecars promise."""
    newest: Floors
    """What they would show without any delay."""
    visitors: list[Visitor]

    def acknowledge(self, counts: dict[str, int]) -> None:
        """An edit has been answered."""
        self.promised.acknowledge(counts)
        self.newest.acknowledge(counts)


@asynccontextmanager
async def open_shop(name: str, stack: Stack, mix: Mix, visitors: int) -> AsyncIterator[Shop]:
    """Everybody is there, and has ordered once; all leave with the block."""
    pipe = asyncio.subprocess.PIPE
    log = stack.folder / "edits.log"
    command = [sys.executable, "manage.py", "edits"]
    with log.open("wb") as err:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=SHOP, env=stack.environment, stdin=pipe, stdout=pipe, stderr=err
        )
    shop = Shop(name, stack, mix, Outside(process, log), Floors(LAG.get(name, 0.0)), Floors(), [])
    try:
        for _ in range(visitors):
            shop.visitors.append(Visitor(shop))
            await shop.visitors[-1].sign_in()
        yield shop
    finally:
        for visitor in shop.visitors:
            await visitor.close()
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 15)
        except TimeoutError:
            process.kill()
