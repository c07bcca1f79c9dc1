"""Of several who want the same thing one computes it."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from django_tagalong import flight

PATIENCE = 20.0


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    yield
    assert flight._under_way == {}


def waiters(name: str) -> int:
    return len(flight._under_way[("thread", name)]._waiters)


def until(condition: threading.Event, name: str, count: int) -> None:
    """Returns when so many threads wait for the flight."""
    for _ in range(10_000):
        if waiters(name) == count:
            return
        condition.wait(0.001)
    raise AssertionError(f"{waiters(name)} wait, not {count}")


def test_l09_who_comes_later_waits_until_the_first_has_ended() -> None:
    inside, go, done = threading.Event(), threading.Event(), list[str]()

    def first() -> None:
        with flight.alone("x", PATIENCE):
            inside.set()
            assert go.wait(PATIENCE)
            done.append("first")

    def later() -> None:
        with flight.alone("x", PATIENCE):
            done.append("later")

    with ThreadPoolExecutor() as pool:
        futures = [pool.submit(first)]
        assert inside.wait(PATIENCE)
        futures += [pool.submit(later) for _ in range(3)]
        until(threading.Event(), "x", 3)
        with flight.alone("y", PATIENCE):
            done.append("another")
        go.set()
    for future in futures:
        future.result()
    assert done == ["another", "first", "later", "later", "later"]


def test_l09_one_that_fails_frees_all_at_once() -> None:
    inside, go = threading.Event(), threading.Event()

    def first() -> None:
        with flight.alone("x", PATIENCE):
            inside.set()
            assert go.wait(PATIENCE)
            raise LookupError

    def later() -> str:
        with flight.alone("x", PATIENCE):
            return "on"

    with ThreadPoolExecutor() as pool:
        failing = pool.submit(first)
        assert inside.wait(PATIENCE)
        others = [pool.submit(later) for _ in range(3)]
        until(threading.Event(), "x", 3)
        go.set()
        assert [it.result(PATIENCE) for it in others] == ["on"] * 3
        with pytest.raises(LookupError):
            failing.result()


def test_l09_nobody_waits_for_ever() -> None:
    inside, go = threading.Event(), threading.Event()

    def first() -> None:
        with flight.alone("x", PATIENCE):
            inside.set()
            assert go.wait(PATIENCE)

    with ThreadPoolExecutor() as pool:
        held = pool.submit(first)
        assert inside.wait(PATIENCE)
        with flight.alone("x", 0.01):
            assert not held.done()
        go.set()
        held.result()


def test_l09_coroutines_wait_for_each_other_without_holding_up_the_loop() -> None:
    done = list[str]()

    async def one(name: str, begun: asyncio.Event, go: asyncio.Event) -> None:
        async with flight.alone_later("x", PATIENCE):
            begun.set()
            await asyncio.wait_for(go.wait(), PATIENCE)
            done.append(name)

    async def main() -> None:
        begun, go = asyncio.Event(), asyncio.Event()
        first = asyncio.create_task(one("first", begun, go))
        await begun.wait()
        later = asyncio.create_task(one("later", asyncio.Event(), go))
        for _ in range(10):
            await asyncio.sleep(0)
        assert done == []
        go.set()
        await asyncio.wait_for(asyncio.gather(first, later), PATIENCE)

    asyncio.run(main())
    assert done == ["first", "later"]


def test_l09_a_coroutine_that_is_cancelled_frees_the_others() -> None:
    async def hang(begun: asyncio.Event) -> None:
        async with flight.alone_later("x", PATIENCE):
            begun.set()
            await asyncio.Event().wait()

    async def later() -> str:
        async with flight.alone_later("x", PATIENCE):
            return "on"

    async def main() -> str:
        begun = asyncio.Event()
        first = asyncio.create_task(hang(begun))
        await begun.wait()
        second = asyncio.create_task(later())
        await asyncio.sleep(0)
        first.cancel()
        return await asyncio.wait_for(second, PATIENCE)

    assert asyncio.run(main()) == "on"
