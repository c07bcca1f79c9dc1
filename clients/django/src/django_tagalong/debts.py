"""Values that are still to be forgotten, by sidecars that did not answer when it was time (L1, L6).

They are forgotten before anything else is asked of such a sidecar, so that nobody in this process finds what
is older than what was put, or what was deleted. A call that was given up may still be done: a value that was
put, and then deleted while the sidecar hung, may be there once more. Decides that of very many all is
forgotten; knows nothing of what the names mean.
"""

import logging
import time

from .client import Client, SidecarError

logger = logging.getLogger("django_tagalong")

#: With more names than these all that is stored is forgotten: one call in place of many, and bounded (L10).
MANY = 200
#: How many seconds one who wants something else waits for that.
PATIENCE = 1.0

# No value's name: each has a prefix.
_EVERYTHING = ""

_owed: dict[str, dict[str, object]] = {}


def owe(client: Client, name: str) -> None:
    """The value of this name is to be forgotten as soon as the sidecar answers."""
    owed = _owed.setdefault(client.url, {})
    # Each debt is a new object: one that is made while the same name is forgotten is a debt after that.
    owed[name if len(owed) < MANY else _EVERYTHING] = object()
    logger.error("%s was not told to forget the value %s, and is told when it answers", client.url, name)


def pay(client: Client) -> None:
    """Has all forgotten that is owed. Raises `SidecarError`, with what is left for the next time, also where
    that takes longer than one may wait for it.
    """
    owed = _owed.get(client.url)
    if not owed:
        return
    known, begun = dict(owed), time.monotonic()
    if _EVERYTHING in known:
        forget(client, _EVERYTHING)
        _are_paid(owed, known)
        return
    for name, debt in known.items():
        if time.monotonic() - begun > PATIENCE:
            raise SidecarError("is slow to forget what it was not told")
        forget(client, name)
        _are_paid(owed, {name: debt})


def _are_paid(owed: dict[str, object], paid: dict[str, object]) -> None:
    for name, debt in paid.items():
        if owed.get(name) is debt:
            owed.pop(name, None)


def forget(client: Client, name: str) -> bool:
    """Forgets a value now. True: there was one. Raises `SidecarError` where that may be tried again; who is
    refused cannot read the value either.
    """
    try:
        return bool(client.purge(all=True) if name == _EVERYTHING else client.delete_object(name))
    except SidecarError as error:
        if error.status is None or error.status >= 500:
            raise
        logger.error("%s does not forget the value %s: %s", client.url, name or "of any name", error)
        return False
