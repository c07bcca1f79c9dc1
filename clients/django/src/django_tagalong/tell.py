"""Tells every admin interface of the setting what has changed; never raises for the network.

A failure is logged as an error and answered as False. Sidecars that share a store are one URL; several
URLs are several caches, and each must have been told.
"""

import logging
from collections.abc import Iterable

from . import clients
from .client import Client, SidecarError
from .collector import Change, Increment

logger = logging.getLogger("django_tagalong")

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


def _tell_one(client: Client, increments: list[Increment], changes: list[Change]) -> bool:
    done = True
    alike: dict[tuple[bool, int | None], list[str]] = {}
    for it in increments:
        alike.setdefault((it.soft, it.again), []).append(it.tag)
    for (soft, again), tags in alike.items():
        try:
            client.increment(tags, soft, again)
        except SidecarError as error:
            done = False
            shown = f"{len(tags)} tags ({', '.join(tags[:5])}{', …' if len(tags) > 5 else ''})"
            logger.error("%s was not told that %s have changed: %s", client.url, shown, error)
    for change in changes:
        try:
            client.change(change.rule, dict(change.old), dict(change.new))
        except SidecarError as error:
            done = False
            logger.error("%s was not told of a change for the rule %s: %s", client.url, change.rule, error)
    return done


def _warn_once(count: int) -> None:
    global _warned
    if not _warned:
        _warned = True
        logger.warning(
            "%d changes outside of a response are told to nobody: TAGALONG['ADMIN_URLS'] is empty"
            " (this is said once for each process)",
            count,
        )
