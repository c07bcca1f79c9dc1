"""Who computes what is wanted by several at once, within one process: one, while the others wait (L9).

Those who wait get no value from here. They look into the cache again, which knows whether an increment came
in between (L1), and compute for themselves if nothing is there: one that fails holds nobody up twice. Knows
nothing of values.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextlib import asynccontextmanager, contextmanager

_lock = threading.Lock()
_under_way: dict[object, Future[None]] = {}


def _join(name: object) -> Future[None] | None:
    """The flight to wait for. `None`: the caller is the first, and ends it by `_land`."""
    with _lock:
        flight = _under_way.get(name)
        if flight is None:
            _under_way[name] = Future()
        return flight


def _land(name: object) -> None:
    with _lock:
        flight = _under_way.pop(name)
    flight.set_result(None)


@contextmanager
def alone(name: str, patience: float) -> Iterator[None]:
    """Begins when nobody else is inside with this name, or one has waited once: for its end, or `patience`
    seconds.
    """
    # Functions and coroutines do not wait for each other: a thread that waits might be the one a coroutine
    # needs.
    key = ("thread", name)
    flight = _join(key)
    if flight is not None:
        wait_for([flight], timeout=patience)
        yield
        return
    try:
        yield
    finally:
        _land(key)


@asynccontextmanager
async def alone_later(name: str, patience: float) -> AsyncIterator[None]:
    """As `alone`, without holding up the event loop."""
    key = ("task", name)
    flight = _join(key)
    if flight is not None:
        await asyncio.wait([asyncio.wrap_future(flight)], timeout=patience)
        yield
        return
    try:
        yield
    finally:
        _land(key)
