"""What the middleware costs a request, in µs: rounds with and without it take turns, and the medians are
compared.

    PYTHONPATH=src python bench/middleware.py [--rounds 41] [--requests 2000]

Measures processor time of the call alone, without a server and a network: a view that answers and, of the
middleware, what it collects and writes. Prints the machine's Python and Django beside the figures, as they
mean nothing without.
"""

import argparse
import asyncio
import gc
import platform
import statistics
import time
from collections.abc import Callable

import django
from django.conf import settings

settings.configure(TAGALONG={}, DATABASES={})
django.setup()

from asgiref.sync import iscoroutinefunction, markcoroutinefunction  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402

from django_tagalong.collector import Increment, current  # noqa: E402
from django_tagalong.middleware import TagalongMiddleware  # noqa: E402

TAGS = [f"User:{n}" for n in range(1000)]
INCREMENTS = [Increment(tag) for tag in TAGS]


def nothing() -> None:
    """A view that says nothing."""


def three_tags() -> None:
    """A usual page."""
    here = current()
    if here is not None:
        here.tag("Dashboard", "User:42", "Book:7")


def one_increment() -> None:
    """A usual write."""
    here = current()
    if here is not None:
        here.increment(Increment("User:42"))


def hundred_tags() -> None:
    """A long list."""
    here = current()
    if here is not None:
        here.tag(*TAGS[:100])


def thousand_increments() -> None:
    """A bulk write, of several lines."""
    here = current()
    if here is not None:
        here.increment(*INCREMENTS)


class Plain:
    """A middleware that does nothing: what any middleware costs."""

    def __init__(self, get_response: Callable[[HttpRequest], object]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> object:
        if self.is_async:
            return self._acall(request)
        return self.get_response(request)

    async def _acall(self, request: HttpRequest) -> object:
        return await self.get_response(request)  # type: ignore[misc]


def sync_round(middleware: type, work: Callable[[], None], requests: int) -> float:
    """Seconds of processor time for so many requests."""

    def view(request: HttpRequest) -> HttpResponse:
        work()
        return HttpResponse(b"page")

    handle, request = middleware(view), HttpRequest()
    started = time.process_time()
    for _ in range(requests):
        handle(request)
    return time.process_time() - started


def async_round(middleware: type, work: Callable[[], None], requests: int) -> float:
    """The same for coroutines, one after the other."""

    async def view(request: HttpRequest) -> HttpResponse:
        work()
        return HttpResponse(b"page")

    async def run() -> float:
        handle, request = middleware(view), HttpRequest()
        started = time.process_time()
        for _ in range(requests):
            await handle(request)
        return time.process_time() - started

    return asyncio.run(run())


def compare(
    measure: Callable[..., float], work: Callable[[], None], rounds: int, requests: int
) -> tuple[float, ...]:
    """Medians without and with, and the median and quartiles of what each round with costs more than its
    neighbour.
    """
    without, with_it = [], []
    for _ in range(rounds):
        without.append(measure(Plain, work, requests) / requests * 1e6)
        with_it.append(measure(TagalongMiddleware, work, requests) / requests * 1e6)
    more = sorted(b - a for a, b in zip(without, with_it, strict=True))
    low, middle, high = statistics.quantiles(more, n=4)
    return statistics.median(without), statistics.median(with_it), middle, low, high


def main() -> None:
    parser = argparse.ArgumentParser(description="What the middleware costs a request.")
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--requests", type=int, default=2000)
    asked = parser.parse_args()
    gc.freeze()
    print(f"Python {platform.python_version()}, Django {django.__version__}, {platform.machine()}")
    print(
        f"{asked.rounds} rounds of {asked.requests} requests; µs of processor time each, medians (quartiles)"
    )
    print(f"{'':28}{'without':>9}{'with':>9}{'cost':>9}")
    for kind, measure in (("sync", sync_round), ("async", async_round)):
        for work in (nothing, three_tags, one_increment, hundred_tags, thousand_increments):
            requests = max(20, asked.requests // (100 if work is thousand_increments else 1))
            without, with_it, cost, low, high = compare(measure, work, asked.rounds, requests)
            name = f"{kind}, {work.__name__.replace('_', ' ')}"
            print(f"{name:28}{without:9.2f}{with_it:9.2f}{cost:9.2f} ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
