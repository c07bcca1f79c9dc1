"""How new a page must be: at least as new as every edit that was acknowledged before the page was asked for.

Names and counts are those of catalogue/versions.py. Decides nothing about what is read and edited.
"""

import re
from collections import deque
from collections.abc import Mapping
from time import monotonic

from .http import Answer

# What is counted, by the first word of a name.
KINDS = ("product", "category", "collection", "shelvings", "orders")
SHOWN = re.compile(rb'data-of="([a-z]+:[0-9a-f-]+)" data-version="(\d+)"')


class Floors:
    """What every page must show at least, `lag` seconds after it was acknowledged."""

    def __init__(self, lag: float = 0.0) -> None:
        self._lag = lag
        self._counts: dict[str, int] = {}
        self._later: deque[tuple[float, Mapping[str, int]]] = deque()

    def acknowledge(self, counts: Mapping[str, int]) -> None:
        """An edit has been answered with these counts, just now."""
        self._later.append((monotonic() + self._lag, counts))

    def now(self) -> dict[str, int]:
        """What a page that is asked for now must show."""
        moment = monotonic()
        while self._later and self._later[0][0] <= moment:
            for name, count in self._later.popleft()[1].items():
                self._counts[name] = max(count, self._counts.get(name, 0))
        return self._counts.copy()


def shown(answer: Answer) -> dict[str, int]:
    """What a page or an answer of the API shows; the least, where it shows something twice."""
    if answer.fields.get("content-type", "").startswith("application/json"):
        return dict(answer.json()["versions"])
    found: dict[str, int] = {}
    for name, count in SHOWN.findall(answer.body):
        key = name.decode()
        found[key] = min(int(count), found.get(key, int(count)))
    return found


def older(counts: Mapping[str, int], floor: Mapping[str, int]) -> list[str]:
    """The names of what is shown older than it may be."""
    return [name for name, count in counts.items() if count < floor.get(name, 0)]


def kind_of(name: str) -> str:
    """One of `KINDS`."""
    return name.partition(":")[0]
