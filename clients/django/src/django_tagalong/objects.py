"""The app's own values in the sidecar, as bytes: looked for, put and deleted, and never an error for the
network (L13).

A sidecar that does not answer is left alone for a while, so that an app that asks for a hundred values in a
request does not wait a hundred times. A value that could not be replaced or deleted meanwhile is forgotten
when it answers (`debts`). Of several sidecars that share no store the first has this app's values. Knows
nothing of what the bytes mean.

What a miss has told (`Tagalong-Token`) is remembered until the value is put, so that a value that was
computed in between is refused if one of its tags was incremented meanwhile (L1). Of two looks the first
counts, as nobody knows after which of them the value was computed. Each request and each task remembers its
own.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from types import MappingProxyType
from typing import TypeVar

from django.core.signals import request_started

from . import clients, debts
from .client import Client, Missing, Object, SidecarError

logger = logging.getLogger("django_tagalong")

#: For how many seconds a sidecar that did not answer is left alone.
PAUSE = 5.0
#: How many seconds one look may take: what is longer is slower than to compute.
PATIENCE = 1.0
#: How many seconds a sidecar may take to forget all values, as it looks at all that it has.
CLEARING = 30.0
#: The longest value, in bytes: what a sidecar stores unless it is told otherwise (`limits.max_object`).
MAX_BYTES = 8 * 1024 * 1024
#: How many tokens are remembered before those are dropped that no sidecar honours any more.
MANY = 1000
#: For how many seconds a token is worth something, with a margin; the sidecar's own bound is a minute.
HONOURED = 120.0

Said = TypeVar("Said")

_paused: dict[str, float] = {}
_NOTHING: Mapping[str, tuple[float, str | None]] = MappingProxyType({})
_tokens: ContextVar[Mapping[str, tuple[float, str | None]]] = ContextVar(
    "django_tagalong_tokens", default=_NOTHING
)


def get(name: str) -> Object | Missing | None:
    """What is stored under a name. None: nobody can be asked."""
    return _ask(f"The value {name} is not looked for", lambda client: client.get_object(name))


def put(name: str, body: bytes, content_type: str, life: int, tags: Sequence[str], token: str | None) -> bool:
    """Stores a value for `life` seconds. False: it is not stored; that is no mistake where a tag was
    incremented. Without a token, that of a look that has found nothing, there may be another one before it:
    that is forgotten.
    """

    def put_to(client: Client) -> bool:
        return client.put_object(name, body, max_age=life, tags=tags, token=token, content_type=content_type)

    if len(body) > MAX_BYTES:
        logger.error("The value %s is not kept: it has %d bytes, of at most %d", name, len(body), MAX_BYTES)
    else:
        is_stored = _ask(f"The value {name} is not kept", put_to)
        if is_stored is not None:
            return is_stored
    client = clients.first(PATIENCE)
    if token is None and client is not None:
        _forget(client, name)
    return False


def touch(name: str, life: int) -> bool:
    """Gives a value another life, in seconds from now on. False: there is none."""

    def touch_at(client: Client) -> bool:
        found = client.get_object(name)
        return isinstance(found, Object) and client.set_life(found.entry, life)

    return _ask(f"The value {name} is not touched", touch_at) or False


def version(tag: str) -> int | None:
    """The version of a tag; None where it has none, or nobody can be asked."""
    return _ask(f"The version of {tag} is not known", lambda client: client.tag(tag).version)


def delete(name: str) -> bool:
    """Forgets a value, in every sidecar of the setting; in one that is away as soon as it answers. True:
    there was one.
    """
    were_there = [_forget(client, name) for client in clients.each()]
    return any(were_there)


def clear(prefix: str) -> bool:
    """Forgets all values whose names begin so. True: every sidecar has done it."""
    is_done = True
    for client in clients.each():
        why: SidecarError | str = "it did not answer a moment ago"
        if not _is_left_alone(client):
            try:
                client.purge(match=f"object:{prefix}*", within=CLEARING)
                continue
            except SidecarError as error:
                why = error
                if error.status is None:
                    _leave_alone(client, error)
        is_done = False
        logger.error("%s was not told to forget the values %s*: %s", client.url, prefix, why)
    return is_done


def remember(name: str, token: str | None) -> None:
    """What the sidecar has said when it had nothing under this name. None: it could not be asked."""
    known, now = dict(_tokens.get()), time.monotonic()
    first = known.get(name)
    if first is not None and now - first[0] < HONOURED:
        return
    if len(known) >= MANY:
        known = {name: it for name, it in known.items() if now - it[0] < HONOURED}
    known[name] = (now, token)
    _tokens.set(known)


def remembered(name: str) -> tuple[bool, str | None]:
    """Whether something was remembered of this name, and the token; it is used up."""
    if name not in _tokens.get():
        return False, None
    known = dict(_tokens.get())
    _, token = known.pop(name)
    _tokens.set(known)
    return True, token


def _forget_tokens(**_: object) -> None:
    """A request begins: what others have looked for before it puts nothing now."""
    _tokens.set(_NOTHING)


request_started.connect(_forget_tokens, dispatch_uid="django_tagalong.objects")


def _ask(what: str, question: Callable[[Client], Said]) -> Said | None:
    client = clients.first(PATIENCE)
    if client is None or _is_left_alone(client):
        return None
    try:
        debts.pay(client)
        said = question(client)
    except SidecarError as error:
        if error.status in (None, 503):
            _leave_alone(client, error)
        else:
            logger.error("%s: %s", what, error)
        return None
    _paused.pop(client.url, None)
    return said


def _forget(client: Client, name: str) -> bool:
    """Forgets a value, or as soon as the sidecar answers. True: there was one."""
    if not _is_left_alone(client):
        try:
            debts.pay(client)
            return debts.forget(client, name)
        except SidecarError as error:
            _leave_alone(client, error)
    debts.owe(client, name)
    return False


def _is_left_alone(client: Client) -> bool:
    return time.monotonic() < _paused.get(client.url, 0.0)


def _leave_alone(client: Client, error: SidecarError) -> None:
    _paused[client.url] = time.monotonic() + PAUSE
    logger.error("Values are computed and not kept for %g seconds: %s %s", PAUSE, client.url, error)
