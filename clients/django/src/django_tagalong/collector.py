"""What one request collects for the head of its response: tags, increments, changes, freshness.

A collector is open until the head is made, and takes nothing afterwards: who comes too late is told so,
and goes another way. Each request has its own, in a context variable: threads that a view starts have
none, tasks that it starts have that of the request. Decides how what is said twice becomes one; knows
nothing of headers, transactions and the sidecar.
"""

from collections.abc import Collection, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Lock

# Of more changes of one rule, all of the rule is forgotten: each is a call, or a part of a header.
MANY = 100


@dataclass(frozen=True, slots=True)
class Increment:
    """A wish to give a tag a new version."""

    tag: str
    soft: bool = False
    """Old responses may be served while one request replaces them."""
    again: int | None = None
    """Once more, this many seconds later."""

    def merged(self, other: "Increment") -> "Increment":
        """Both wishes for one tag: a hard one counts more than a soft one, the later second increment covers
        the earlier.
        """
        again = max((it for it in (self.again, other.again) if it is not None), default=None)
        return Increment(self.tag, self.soft and other.soft, again)


@dataclass(frozen=True, slots=True)
class Change:
    """An object that the responses of a rule are filtered by has other values (rules.md §6)."""

    rule: str
    old: tuple[tuple[str, str], ...] = ()
    """Attributes with their texts before, by name; one that is not there had no value."""
    new: tuple[tuple[str, str], ...] = ()


class Changes:
    """Changes, each once. A change of a whole rule stands for all others of it, and for more than `MANY`."""

    __slots__ = ("_by_rule",)

    def __init__(self, several: Iterable[Change] = ()) -> None:
        self._by_rule: dict[str, dict[Change, None]] = {}
        self.update(several)

    def add(self, change: Change) -> None:
        """One more."""
        known = self._by_rule.setdefault(change.rule, {})
        entire = Change(change.rule)
        if entire in known:
            return
        known[change] = None
        if change == entire or len(known) > MANY:
            self._by_rule[change.rule] = {entire: None}

    def update(self, several: Iterable[Change]) -> None:
        """Several more."""
        for it in several:
            self.add(it)

    def __iter__(self) -> Iterator[Change]:
        for known in self._by_rule.values():
            yield from known

    def __len__(self) -> int:
        return sum(map(len, self._by_rule.values()))


@dataclass(slots=True)
class Collected:
    """All that a request has said."""

    tags: dict[str, None] = field(default_factory=dict)
    increments: dict[str, Increment] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)
    freshness: dict[str, int | None] = field(default_factory=dict)
    """Directives of `Tagalong-Cache-Control` with their seconds; None for those that have none, such as
    `no-store`.
    """

    def __bool__(self) -> bool:
        return bool(self.tags or self.increments or self.changes or self.freshness)


class Collector:
    """Collects until it is closed. Any thread may use it."""

    __slots__ = ("_collected", "_lock")

    def __init__(self) -> None:
        self._lock = Lock()
        self._collected: Collected | None = Collected()

    def tag(self, *tags: str) -> bool:
        """The response depends on these. False: its head is made already."""
        with self._lock:
            if self._collected is None:
                return False
            self._collected.tags.update(dict.fromkeys(tags))
            return True

    def increment(self, *increments: Increment) -> bool:
        """These have changed. False: the head is made already."""
        with self._lock:
            if self._collected is None:
                return False
            known = self._collected.increments
            for it in increments:
                other = known.get(it.tag)
                known[it.tag] = it if other is None else it.merged(other)
            return True

    def reports_any(self, tags: Collection[str]) -> bool:
        """Whether one of these has changed, which the sidecar will learn from the response."""
        with self._lock:
            return self._collected is not None and not self._collected.increments.keys().isdisjoint(tags)

    def change(self, *changes: Change) -> bool:
        """These have changed. False: the head is made already."""
        with self._lock:
            if self._collected is None:
                return False
            self._collected.changes.update(changes)
            return True

    def fresh(self, directive: str, seconds: int | None = None) -> bool:
        """How long the sidecar may use the response: `fresh("max-age", 60)`, `fresh("no-store")`.

        Of two numbers for one directive the smaller counts. False: the head is made already.
        """
        with self._lock:
            if self._collected is None:
                return False
            said = self._collected.freshness
            other = said.get(directive)
            said[directive] = seconds if seconds is None or other is None else min(seconds, other)
            return True

    def close(self) -> Collected:
        """Takes nothing any more, and hands out what there is; the second time nothing."""
        with self._lock:
            collected, self._collected = self._collected, None
            return collected or Collected()


_current: ContextVar[Collector | None] = ContextVar("django_tagalong_collector", default=None)


def current() -> Collector | None:
    """The collector of the request that is answered here; it may be closed. None outside of requests."""
    return _current.get()


class collecting:  # noqa: N801 - read as a verb: `with collecting() as collector`
    """A collector for what happens inside. Who made it closes it; nobody finds it afterwards."""

    __slots__ = ("_token",)

    def __enter__(self) -> Collector:
        collector = Collector()
        self._token = _current.set(collector)
        return collector

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)
