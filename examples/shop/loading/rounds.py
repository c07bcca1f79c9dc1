"""One round: all visitors of a shop read and edit for so many seconds, and every page is looked at."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

from .floors import kind_of, older, shown
from .mix import Edit, Read
from .visitors import Shop, Visitor

# Edits, orders aside, that are made without a request.
OUTSIDE = 0.15
# What went wrong is told so many times.
TOLD = 5


@dataclass
class Round:
    """What was seen in one round."""

    name: str
    number: int
    """0 for the one to warm up."""
    share: float
    """Of requests that are edits."""
    seconds: float = 0.0
    requests: int = 0
    took: list[float] = field(default_factory=list)
    """How long reads took, in milliseconds."""
    hits: Counter[str] = field(default_factory=Counter)
    """Reads that were answered from the store, by their kind."""
    reads: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    """What pages from the store showed that had been edited before, by its kind: what could be too old."""
    edits: Counter[str] = field(default_factory=Counter)
    outside: int = 0
    """Edits without a request."""
    idle: int = 0
    """Edits that found everything as they wanted it, and changed nothing."""
    old: Counter[str] = field(default_factory=Counter)
    """What was shown older than the sidecars promise, by its kind."""
    too_old: int = 0
    """Pages older than the sidecars promise."""
    late: int = 0
    """Pages older than an edit before them, within what is promised (`bounded`)."""
    failed: int = 0
    examples: list[str] = field(default_factory=list)
    cpu: float = 0.0
    """Seconds of processor that this process took."""

    def fail(self, what: str) -> None:
        """Something that must not be, other than an old page."""
        self.failed += 1
        self.tell(what)

    def tell(self, what: str) -> None:
        """An example of what went wrong."""
        if len(self.examples) < TOLD:
            self.examples.append(what)


async def run(shop: Shop, number: int, seconds: float, requests: float, edits: float) -> Round:
    """One round of so many seconds, and of so many requests at least; the share `edits` of them are edits."""
    seen = Round(shop.name, number, edits)
    began, cpu = time.monotonic(), time.process_time()
    end = began + seconds
    async with asyncio.TaskGroup() as tasks:
        for visitor in shop.visitors:
            tasks.create_task(_visit(shop, visitor, seen, end, requests))
    seen.seconds, seen.cpu = time.monotonic() - began, time.process_time() - cpu
    return seen


async def _visit(shop: Shop, visitor: Visitor, seen: Round, end: float, requests: float) -> None:
    while time.monotonic() < end or seen.requests < requests:
        seen.requests += 1
        try:
            if shop.mix.chance.random() < seen.share:
                await _edit(shop, visitor, seen, shop.mix.edit())
            else:
                await _read(shop, visitor, seen, shop.mix.read())
        except (OSError, TimeoutError) as error:
            seen.fail(f"{type(error).__name__}: {error}")


async def _read(shop: Shop, visitor: Visitor, seen: Round, read: Read) -> None:
    connection = await visitor.connection()
    fields = {"Cookie": visitor.cookie}
    # From here until it is written nothing else runs: what is acknowledged by now comes before this read.
    promised, newest, began = shop.promised.now(), shop.newest.now(), time.monotonic()
    answer = await connection.ask("GET", read.path, **fields)
    seen.took.append((time.monotonic() - began) * 1000)
    seen.reads[read.kind] += 1
    is_hit = answer.outcome.startswith("tagalong; hit")
    seen.hits[read.kind] += is_hit
    if answer.status != 200:
        seen.fail(f"{read.path} was answered with {answer.status}")
        return
    counts = shown(answer)
    must = visitor.shopper if read.kind == "orders" else read.must
    if must and must not in counts:
        seen.fail(f"{read.path} does not show {must}, but {sorted(counts)} ({answer.outcome})")
    foreign = [it for it in counts if it.startswith("orders:") and it != visitor.shopper]
    if foreign:
        seen.fail(f"{read.path} shows what is somebody else's: {foreign} ({answer.outcome})")
    if is_hit:
        seen.held.update(kind_of(it) for it in counts if it in promised)
    old = older(counts, promised)
    if old:
        seen.too_old += 1
        seen.old.update(kind_of(it) for it in old)
        was = f"{old[0]} is {counts[old[0]]}, and was {promised[old[0]]} before this was asked for"
        seen.tell(f"{read.path}: {was} ({answer.outcome})")
    elif older(counts, newest):
        seen.late += 1


async def _edit(shop: Shop, visitor: Visitor, seen: Round, edit: Edit) -> None:
    if edit.name != "order" and shop.mix.chance.random() < OUTSIDE:
        said = await shop.outside.edit(edit)
        seen.outside += 1
    else:
        method, path, body = edit.call
        # Orders are a visitor's; staff has no cookie, and a token.
        fields = (
            {"Cookie": visitor.cookie}
            if edit.name == "order"
            else {"Authorization": f"Bearer {shop.stack.staff}"}
        )
        answer = await (await visitor.connection()).ask(method, path, body, **fields)
        said = answer.json() if answer.status in (200, 201) else {"error": answer.status}
    seen.edits[edit.name] += 1
    if "versions" not in said:
        seen.fail(f"{edit}: {said}")
        return
    seen.idle += not said["versions"]
    shop.acknowledge(said["versions"])
