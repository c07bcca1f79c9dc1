"""The one door for changes: what has changed is told after its transaction has committed, and never
otherwise.

Inside a request it then travels on the response; anywhere else, and while a body is streamed, the admin
interface is told at once. A sidecar that cannot be told breaks nothing: it is logged as an error, and the
answer is False.
"""

import logging
from collections.abc import Mapping
from decimal import Decimal

from asgiref.sync import sync_to_async
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from . import collector, conf, tell
from .collector import Change, Increment
from .tags import check

logger = logging.getLogger("django_tagalong")

# The sidecar's own limit for a second increment, in seconds.
MAX_AGAIN = 86_400


def increment(
    *tags: str, using: str | None = None, soft: bool = False, again: int | None = None
) -> bool | None:
    """Reports that what these tags name has changed.

    `using` is the database whose transaction it belongs to; `soft` lets old responses be served while one
    request replaces them; `again` increments once more so many seconds later (1 to 86400), for apps that
    read from replicas.

    None: it travels later, with the commit or the response (or `ENABLED` is off); True: every sidecar has
    committed it; False: it could not be told, which was logged. Raises `ValueError` for what is no tag,
    and never for the network.
    """
    if again is not None and (
        isinstance(again, bool) or not isinstance(again, int) or not 1 <= again <= MAX_AGAIN
    ):
        raise ValueError(f"`again` is a whole number of seconds from 1 to {MAX_AGAIN}")
    wishes = [Increment(check(tag), bool(soft), again) for tag in tags]
    return _after_commit(wishes, using) if wishes else None


def change(
    rule: str,
    old: Mapping[str, object] | None = None,
    new: Mapping[str, object] | None = None,
    using: str | None = None,
) -> bool | None:
    """Reports that an object which the responses of `rule` are filtered by has other values (rules.md §6).

    `old` and `new` give attributes by their names in the rule's `dimensions`; None, or not being there, is
    to have no value. Without any, the whole rule is meant; where nothing differs nothing is told, and the
    answer is None. Otherwise answers as `increment` does. Raises `ValueError` for a rule or an attribute
    that cannot have this name.
    """
    old, new = old or {}, new or {}
    if not isinstance(rule, str) or not rule or not rule.isascii() or not rule.isprintable():
        raise ValueError("the id of a rule is printable ASCII")
    before, after = _texts(old), _texts(new)
    if (old or new) and before == after:
        return None
    return _after_commit([Change(rule, before, after)], using)


async def aincrement(
    *tags: str, using: str | None = None, soft: bool = False, again: int | None = None
) -> bool | None:
    """As `increment`, for coroutines: a call to the admin interface does not hold up the event loop."""
    return await sync_to_async(increment)(*tags, using=using, soft=soft, again=again)


async def achange(
    rule: str,
    old: Mapping[str, object] | None = None,
    new: Mapping[str, object] | None = None,
    using: str | None = None,
) -> bool | None:
    """As `change`, for coroutines."""
    return await sync_to_async(change)(rule, old, new, using)


type_of_wish = Increment | Change


def _texts(values: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    for name in values:
        if not isinstance(name, str) or not name or not all(c in _ATTRIBUTE for c in name):
            raise ValueError(
                f"{name!r} is no attribute of a rule: a-z, 0-9, `_`, `-`, `.` and `*` are expected"
            )
    return tuple(sorted((name, _text(value)) for name, value in values.items() if value is not None))


# What may follow `old.` in the key of a structured field (RFC 9651 §3.1.2).
_ATTRIBUTE = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-.*")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value).encode("utf-8", "replace").decode()


class _Batch:
    """What one part of a transaction has to tell: all of it is rolled back, or nothing."""

    def __init__(self) -> None:
        self.wishes: list[list[Increment | Change]] = []
        self.told = 0

    def tell_from(self, index: int) -> bool | None:
        """Tells everything from there on that has not been told, at once."""
        start = max(index, self.told)
        self.told = max(self.told, len(self.wishes))
        wishes = [it for several in self.wishes[start:] for it in several]
        return deliver(wishes) if wishes else None


class _AfterCommit:
    """What Django calls after the commit. The first of a batch tells it all, so that a commit is one call."""

    def __init__(self, batch: _Batch, wishes: list[Increment | Change]) -> None:
        self.batch = batch
        self.index = len(batch.wishes)
        batch.wishes.append(wishes)

    def __call__(self) -> None:
        self.batch.tell_from(self.index)


def _after_commit(wishes: list[Increment] | list[Change], using: str | None) -> bool | None:
    connection = transaction.get_connection(using)
    if not connection.in_atomic_block:
        if connection.connection is not None and not connection.autocommit:
            logger.warning("autocommit is off: changes are told at once, so report them after the commit")
        return deliver(list(wishes))
    hook = _AfterCommit(_open_batch(connection) or _Batch(), list(wishes))
    connection.on_commit(hook, robust=True)
    return None


def _open_batch(connection: BaseDatabaseWrapper) -> _Batch | None:
    """The batch of what was registered last, if that is ours and lives and dies with the same savepoints."""
    registered = connection.run_on_commit
    if not registered:
        return None
    savepoints, hook, *_ = registered[-1]
    if isinstance(hook, _AfterCommit) and savepoints == set(connection.savepoint_ids):
        return hook.batch
    return None


def deliver(wishes: list[Increment | Change]) -> bool | None:
    """Passes on what has been committed: to the response that is being made, or to the admin interface."""
    if not conf.get().enabled:
        return None
    increments = [it for it in wishes if isinstance(it, Increment)]
    changes = [it for it in wishes if isinstance(it, Change)]
    here = collector.current()
    if here is not None and here.increment(*increments):
        if here.change(*changes):
            return None
        increments = []  # closed in between: those are on the response, these are not
    return tell.tell(increments, changes)
