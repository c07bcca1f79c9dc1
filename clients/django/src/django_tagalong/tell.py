"""Tells every admin interface of the setting what has changed; never raises for the network.

A failure is logged as an error and answered as False. One that is away is not asked for each thing again,
so that what it costs is bounded (L13). Sidecars that share a store are one URL; several
URLs are several caches, and each must have been told.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from . import clients
from .client import Client, SidecarError
from .collector import Change, Increment

logger = logging.getLogger("django_tagalong")

# What it tells, for the log; and the call.
_Call = tuple[str, Callable[[], object]]

_warned = False


def tell(increments: Iterable[Increment], changes: Iterable[Change] = ()) -> bool:
    """Tells them now. True: each of them has committed all of it."""
    increments, changes = list(increments), list(changes)
    told_to = clients.each()
    if not told_to:
        _warn_once(len(increments) + len(changes))
        return False
    done = [_tell_one(client, increments, changes) for client in told_to]
    return all(done)


def someone_is_away() -> bool:
    """Whether one of them did not answer a moment ago: to tell it now may take as long once more."""
    return any(client.is_away for client in clients.each())


def _tell_one(client: Client, increments: list[Increment], changes: list[Change]) -> bool:
    calls = [*_increments(client, increments), *_changes(client, changes)]
    done = True
    for n, (what, call) in enumerate(calls):
        try:
            call()
        except SidecarError as error:
            done = False
            logger.error("%s was not told %s: %s", client.url, what, error)
            left = len(calls) - n - 1
            if left and error.status in (None, 503):
                logger.error(
                    "%s is away: of %d more changes or lists of tags it was not told", client.url, left
                )
                break
    return done


def _increments(client: Client, increments: list[Increment]) -> Iterator[_Call]:
    alike: dict[tuple[bool, int | None], list[str]] = {}
    for it in increments:
        alike.setdefault((it.soft, it.again), []).append(it.tag)
    for (soft, again), tags in alike.items():
        shown = f"{len(tags)} tags ({', '.join(tags[:5])}{', …' if len(tags) > 5 else ''})"
        yield f"that {shown} have changed", partial(client.increment, tags, soft, again)


def _changes(client: Client, changes: list[Change]) -> Iterator[_Call]:
    for it in changes:
        call = partial(client.change, it.rule, dict(it.old), dict(it.new))
        yield f"of a change for the rule {it.rule}", call


def _warn_once(count: int) -> None:
    global _warned
    if not _warned:
        _warned = True
        logger.warning(
            "%d changes outside of a response are told to nobody: TAGALONG['ADMIN_URLS'] is empty"
            " (this is said once for each process)",
            count,
        )
