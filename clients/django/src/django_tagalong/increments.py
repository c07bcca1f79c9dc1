"""The one door for changes: what has changed is told after its transaction has committed, and never
otherwise.

Inside a request it then travels on the response; anywhere else, and while a body is streamed, the admin
interface is told at once. A sidecar that cannot be told breaks nothing: it is logged as an error, and the
answer is False.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from weakref import ref

from asgiref.sync import sync_to_async
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from . import changes, collector, conf, tell
from .collector import Change, Changes, Increment
from .tags import check

logger = logging.getLogger("django_tagalong")

# The sidecar's own limit for a second increment, in seconds.
MAX_AGAIN = 86_400


def increment(
    *tags: str,
    using: str | None = None,
    soft: bool = False,
    again: int | None = None,
    at_once: bool = False,
) -> bool | None:
    """Reports that what these tags name has changed.

    `using` is the database whose transaction it belongs to; `soft` lets old responses be served while one
    request replaces them; `again` increments once more so many seconds later (1 to 86400; without it `AGAIN`
    of the setting), for apps that read from replicas; `at_once` tells the admin interface as soon as it is
    committed, and the response too where there is one, as `AT_ONCE` of the setting does for all.

    None: it travels later, with the commit or the response (or `ENABLED` is off); True: every sidecar has
    committed it; False: it could not be told, which was logged. Raises `ValueError` for what is no tag,
    and never for the network.
    """
    if again is not None and (
        isinstance(again, bool) or not isinstance(again, int) or not 1 <= again <= MAX_AGAIN
    ):
        raise ValueError(f"`again` is a whole number of seconds from 1 to {MAX_AGAIN}")
    later = conf.get().again if again is None else again
    return _after_commit([Increment(check(tag), bool(soft), later) for tag in tags], using, at_once)


def change(
    rule: str,
    old: Mapping[str, object] | None = None,
    new: Mapping[str, object] | None = None,
    using: str | None = None,
) -> bool | None:
    """Reports that an object which the responses of `rule` are filtered by has other values (rules.md §6).

    `old` and `new` give attributes by their names in the rule's `dimensions`; None, or not being there, is
    to have no value. Without any, the whole rule is meant, and so it is where they take more than 4 KiB;
    where nothing differs nothing is told, and the answer is None. Otherwise answers as `increment` does.
    Raises `ValueError` for a rule or an attribute that cannot have this name.
    """
    old, new = old or {}, new or {}
    changes.check_rule(rule)
    for name in (*old, *new):
        changes.check_attribute(name)
    before, after = changes.texts(old), changes.texts(new)
    if (old or new) and before == after:
        return None
    return _after_commit([changes.told(rule, before, after)], using)


def report(tags: Iterable[str], differences: Iterable[Change], using: str | None) -> bool | None:
    """Reports what one write has to say, in one call: what is known to be tags, and changes."""
    again = conf.get().again
    return _after_commit([*(Increment(it, again=again) for it in tags), *differences], using)


async def aincrement(
    *tags: str,
    using: str | None = None,
    soft: bool = False,
    again: int | None = None,
    at_once: bool = False,
) -> bool | None:
    """As `increment`, for coroutines: a call to the admin interface does not hold up the event loop."""
    return await sync_to_async(increment)(*tags, using=using, soft=soft, again=again, at_once=at_once)


async def achange(
    rule: str,
    old: Mapping[str, object] | None = None,
    new: Mapping[str, object] | None = None,
    using: str | None = None,
) -> bool | None:
    """As `change`, for coroutines."""
    return await sync_to_async(change)(rule, old, new, using)


class _Batch:
    """What one transaction has to tell, in one call.

    Django drops the hooks of a savepoint that is rolled back, and holds the others until it has called
    them: what is to be told is what its hook still lives of. Were one to live longer, a response too much
    would be forgotten.
    """

    def __init__(self) -> None:
        self.hooks: list[ref[AfterCommit]] = []

    def tell_from(self, index: int) -> None:
        """Tells everything from there on that was not told yet."""
        alive = [hook for hook in (it() for it in self.hooks[index:]) if hook is not None]
        untold = [hook for hook in alive if not hook.is_told]
        for hook in untold:
            hook.is_told = True
        wishes = [wish for hook in untold for wish in hook.wishes]
        if wishes:
            deliver(wishes, any(hook.at_once for hook in untold))


class AfterCommit:
    """What Django calls after the commit. The first that is called tells what all of a transaction have to
    tell.
    """

    def __init__(
        self, batch: _Batch, wishes: Sequence[Increment | Change], at_once: bool, tells_all: bool
    ) -> None:
        self.batch, self.wishes, self.at_once = batch, wishes, at_once
        self.index = len(batch.hooks)
        self.is_told = False
        # Within a test case what came before is not told: Django has it wait for ever.
        self.tells_all = tells_all
        batch.hooks.append(ref(self))

    def __call__(self) -> None:
        self.tell(0 if self.tells_all else self.index)

    def tell(self, index: int | None = None) -> None:
        """Tells what there is from this one on, or from another; nothing if this is told already."""
        if not self.is_told:
            self.batch.tell_from(self.index if index is None else index)


def _after_commit(
    wishes: Sequence[Increment | Change], using: str | None, at_once: bool = False
) -> bool | None:
    if not wishes:
        return None
    connection = transaction.get_connection(using)
    if not connection.in_atomic_block:
        if connection.connection is not None and not connection.autocommit:
            logger.warning("autocommit is off: changes are told at once, so report them after the commit")
        return deliver(wishes, at_once)
    in_order = _is_test_case(connection)
    queue = connection.run_on_commit
    ours = (it[1] for it in (reversed(queue) if in_order else queue) if isinstance(it[1], AfterCommit))
    newest = next(ours, None)
    batch = _Batch() if newest is None else newest.batch
    hook = AfterCommit(batch, wishes, bool(at_once), tells_all=not in_order)
    connection.on_commit(hook, robust=True)
    queue = connection.run_on_commit
    if not in_order and not all(isinstance(it[1], AfterCommit) for it in queue[-2:-1]):
        # Ahead of the app's: where one of those raises, Django drops all behind it, and the commit is done.
        # Each of ours, as a savepoint may take any of them away. Behind one of ours there is none of the
        # app's, and to move each of very many would take very long.
        queue.insert(0, queue.pop())
    return None


def _is_test_case(connection: BaseDatabaseWrapper) -> bool:
    """Whether a `TestCase` holds the transaction: it takes hooks by their place (`captureOnCommitCallbacks`),
    and never commits.
    """
    return any(it._from_testcase for it in connection.atomic_blocks[:1])  # type: ignore[attr-defined]


def deliver(wishes: Sequence[Increment | Change], at_once: bool = False) -> bool | None:
    """Passes on what has been committed: to the response that is being made, or to the admin interface; to
    both with `at_once`.
    """
    setting = conf.get()
    if not setting.enabled:
        return None
    increments = [it for it in wishes if isinstance(it, Increment)]
    differences = Changes(it for it in wishes if isinstance(it, Change))
    here = collector.current()
    if here is not None and here.increment(*increments):
        if here.change(*differences):
            # The response tells too. So nobody is waited for who was away a moment ago: each line of the app
            # may be a commit.
            asks = (at_once or setting.at_once) and not tell.someone_is_away()
            return True if asks and tell.tell(increments, differences) else None
        increments = []  # closed in between: those are on the response, these are not
    return tell.tell(increments, differences)
