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


@contextmanager
def alone(name: str, patience: float) -> Iterator[None]:
    """Begins when nobody else is inside with this name, or one has waited once: for its end, or `patience`
    seconds.
    """
    # Functions and coroutines do not wait for each other: a thread that waits might be the one a coroutine
    # needs.
    with _joined(("thread", name)) as other:
        if other is not None:
            wait_for([other], timeout=patience)
        yield


@asynccontextmanager
async def alone_later(name: str, patience: float) -> AsyncIterator[None]:
    """As `alone`, without holding up the event loop."""
    with _joined(("task", name)) as other:
        if other is not None:
            await asyncio.wait([asyncio.wrap_future(other)], timeout=patience)
        yield


@contextmanager
def _joined(key: object) -> Iterator[Future[None] | None]:
    """The end to wait for; None for the first, whose end is that of the block."""
    with _lock:
        other = _under_way.get(key)
        if other is None:
            mine = _under_way[key] = Future()
    if other is not None:
        yield other
        return
    try:
        yield None
    finally:
        with _lock:
            del _under_way[key]
        mine.set_result(None)
