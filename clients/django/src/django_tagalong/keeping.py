"""Values by name, with tags: looked for, made where there is none, and kept (L1, L9, L13).

Decides when a value may be read and kept. It is not read while a transaction is open that has reported a
change, nor after this request has changed what it depends on. It is not kept while any transaction is open,
as that may see rows from before an increment, or its own that are never committed; and not if nobody knows
what has changed since it was looked for. A response that is made of a value has its tags. Does not know what
names are made of, nor what the app calls.
"""

import logging
from collections.abc import Callable, Collection
from inspect import isawaitable
from typing import Any

from asgiref.sync import sync_to_async
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.db import connections

from . import collector, flight, objects
from .client import Missing, Object
from .decorators import cache_tag
from .increments import AfterCommit
from .values import Serializer

logger = logging.getLogger("django_tagalong")

#: The longest that a value is kept, in seconds: a week, as the sidecar does.
LONGEST = 7 * 24 * 3600

NOTHING = object()


class Keeping:
    """Keeps values for one cache: as bytes of `serializer`, for `default_timeout` seconds where nothing else
    is said. One waits at most `wait` seconds for another who computes the same.
    """

    def __init__(self, serializer: Serializer, default_timeout: float | None, wait: float) -> None:
        self._serializer = serializer
        self._default_timeout = default_timeout
        self._wait = wait

    def find(self, name: str, tags: Collection[str], default: Any = None) -> Any:
        """What is kept under a name, or `default`; the response that is being made depends on the tags."""
        cache_tag(*tags)
        value, token = self._look(name, tags)
        if value is not NOTHING:
            return value
        if tags:
            objects.remember(name, token)
        return default

    def find_or_make(
        self, name: str, tags: Collection[str], make: Callable[[], Any], timeout: float | None
    ) -> Any:
        """What is kept under a name, or what `make` returns, which is kept then."""
        cache_tag(*tags)
        value, token = self._look(name, tags)
        if value is not NOTHING:
            return value
        if token is None:
            return make()  # it will not be kept: nobody need wait for it
        with flight.alone(name, self._wait):
            # Again: another may have made it meanwhile, whether one has waited for it or not.
            value, token = self._look(name, tags)
            if value is NOTHING:
                value = make()
                self._keep_if_known(name, value, tags, timeout, token)
        return value

    async def find_or_make_later(
        self,
        name: str,
        tags: Collection[str],
        make: Callable[[], Any],
        timeout: float | None,  # noqa: ASYNC109 - as Django calls it
    ) -> Any:
        """As `find_or_make`, for coroutines; what `make` returns may be awaited."""
        # In the thread of the database, which knows of open transactions.
        look, keep = sync_to_async(self._look), sync_to_async(self._keep_if_known)
        cache_tag(*tags)
        value, token = await look(name, tags)
        if value is not NOTHING:
            return value
        if token is None:
            value = make()
            return await value if isawaitable(value) else value
        async with flight.alone_later(name, self._wait):
            value, token = await look(name, tags)
            if value is NOTHING:
                value = make()
                value = await value if isawaitable(value) else value
                await keep(name, value, tags, timeout, token)
        return value

    def _look(self, name: str, tags: Collection[str]) -> tuple[Any, str | None]:
        """The value; or `NOTHING`, and the token to put one with, if that is known."""
        if tags and (_reports_uncommitted_changes() or _are_about_to_be_told(tags)):
            return NOTHING, None
        found = objects.get(name)
        if isinstance(found, Object):
            value = self._read(found, name)
            if value is not NOTHING:
                return value, None
            objects.delete(name)
            found = objects.get(name)
        if tags and _is_in_a_transaction():
            return NOTHING, None  # it will not be kept
        return NOTHING, found.token if isinstance(found, Missing) else None

    def _read(self, found: Object, name: str) -> Any:
        # Never another serializer's: pickle reads for those alone who have chosen it.
        if found.content_type != self._serializer.content_type:
            logger.warning("The value %s is %s, which is not read here", name, found.content_type)
            return NOTHING
        try:
            return self._serializer.loads(found.body)
        except ValueError as error:
            logger.warning("The value %s cannot be read: %s", name, error)
            return NOTHING

    def keep(
        self, name: str, value: Any, tags: Collection[str], timeout: float | None, token: str | None
    ) -> bool:
        """Keeps a value, unless what its token says is outdated. Raises `TypeError` for one that would not
        come back.
        """
        life = self.life(timeout)
        body = self._serializer.dumps(value)
        if life <= 0:
            objects.delete(name)
            return False
        if tags and _is_in_a_transaction():
            return False
        return objects.put(name, body, self._serializer.content_type, life, tuple(tags), token)

    def _keep_if_known(
        self, name: str, value: Any, tags: Collection[str], timeout: float | None, token: str | None
    ) -> None:
        """Keeps what was made after a look that gave this token, if nothing has changed since then."""
        if token is None:
            return
        try:
            self.keep(name, value, tags, timeout, token)
        except TypeError as error:
            logger.error("The value %s is not kept: %s", name, error)

    def life(self, timeout: float | None) -> int:
        """Whole seconds that a value with this timeout of Django's is kept; none: it is not."""
        if timeout is DEFAULT_TIMEOUT:
            timeout = self._default_timeout
        if timeout is None:
            return LONGEST
        return min(LONGEST, int(timeout) if timeout <= 0 or timeout >= 1 else 1)


def _are_about_to_be_told(tags: Collection[str]) -> bool:
    """Whether this request has changed one of these: what is kept is from before."""
    here = collector.current()
    return here is not None and here.reports_any(tags)


def _reports_uncommitted_changes() -> bool:
    """Whether a transaction is open here that has changes to tell after its commit."""
    waiting = (hook[1] for it in connections.all(initialized_only=True) for hook in it.run_on_commit)
    return any(isinstance(hook, AfterCommit) for hook in waiting)


def _is_in_a_transaction() -> bool:
    """Whether what is computed here may be of rows from before a commit of another, or of rows that are never
    committed (L1).
    """
    return any(
        it.in_atomic_block or (it.connection is not None and not it.autocommit)
        for it in connections.all(initialized_only=True)
    )
