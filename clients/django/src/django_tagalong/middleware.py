"""The middleware: a collector for each request, and what it has collected on the response, also on that of an
error.

What finds no room on the response is told to the admin interface before it leaves; if that fails, the
response has everything forgotten rather than something old left. Where a response never comes into being,
the admin interface is told.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from . import conf, fields, headers, tell
from .collector import Change, Collected, Increment, collecting

# What a sidecar adds to `Surrogate-Capability` of the requests that it passes on.
CAPABILITY = 'tagalong="Surrogate/1.0"'

logger = logging.getLogger("django_tagalong")


class _Left(NamedTuple):
    """What the admin interface is still to be told before a response leaves."""

    increments: list[Increment]
    changes: list[Change]
    found_no_room: bool
    """Whether some of it is not on the response."""


class TagalongMiddleware:
    """`django_tagalong.middleware.TagalongMiddleware`, the first in `MIDDLEWARE`; for WSGI and ASGI."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        conf.get()  # What is wrong with the setting is said when the server starts, not by the first request.
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self._acall(request)
        collected = None
        with collecting() as collector:
            try:
                response = cast(HttpResponseBase, self.get_response(request))
                collected = collector.close()
                left = _write(request, response, collected)
                if left is not None and not tell.tell(left.increments, left.changes):
                    _fail_safe(response, left)
            except BaseException:
                _tell_without_response(collector.close() if collected is None else collected)
                raise
        return response

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        collected = None
        with collecting() as collector:
            try:
                response = cast(HttpResponseBase, await self.get_response(request))
                collected = collector.close()
                left = _write(request, response, collected)
                if left is not None and not await _atell(left.increments, left.changes):
                    _fail_safe(response, left)
            except BaseException:
                # A client that leaves has this task cancelled: what is told now runs on by itself.
                lost = collector.close() if collected is None else collected
                asyncio.get_running_loop().run_in_executor(None, _tell_without_response, lost)
                raise
        return response


_atell = sync_to_async(tell.tell, thread_sensitive=False)


def _write(request: HttpRequest, response: HttpResponseBase, collected: Collected) -> _Left | None:
    """Writes what was collected, and says what is still to be told."""
    fields.take_back(response)  # of an earlier request that was given the same object
    setting = conf.get()
    if not (collected and setting.enabled):
        return None
    if _is_kept_back(response):
        collected.freshness = {name: it for name, it in collected.freshness.items() if name == "no-store"}
    head = headers.write(
        collected,
        max_line=setting.max_header_line,
        max_tag_bytes=setting.max_tag_bytes,
        max_increment_bytes=setting.max_increment_bytes,
    )
    if len(collected.tags) > setting.max_tags or not head.has_all_tags:
        logger.warning("a response has %d tags, which is too many: it is not stored", len(collected.tags))
    for name, lines in head.lines:
        if name != headers.FRESHNESS:
            fields.add(response, name, lines)
        elif lines == [b"no-store"] or not fields.lines_of(response, name):  # what a view says itself stays
            fields.add(response, name, lines, instead=True)
    if not (collected.increments or collected.changes):
        return None
    is_left = bool(head.left_increments or head.left_changes)
    if not _reaches_all(request, setting):
        return _Left(list(collected.increments.values()), list(collected.changes), is_left)
    return _Left(head.left_increments, head.left_changes, True) if is_left else None


def _is_kept_back(response: HttpResponseBase) -> bool:
    """Whether the response, as it leaves the app, is for one client, for none, or an error (L12): the sidecar
    would believe a life that a decorator has given it before others have said so.
    """
    directives = response.headers.get("Cache-Control", "").split(",")
    names = {it.partition("=")[0].strip().lower() for it in directives}
    return response.status_code >= 400 or not names.isdisjoint({"private", "no-store", "no-cache"})


def _reaches_all(request: HttpRequest, setting: conf.Settings) -> bool:
    """Whether everyone who is to know of changes is told by the response. Sidecars that share no store are
    not: it passes one of them alone. One that has not passed the request on has none of the response: it
    says so in every request that it does pass on (docs/headers.md), and removes what a client says there.
    """
    if not setting.admin_urls:
        return True
    is_passed_on = CAPABILITY in request.META.get("HTTP_SURROGATE_CAPABILITY", "")
    return is_passed_on and len(setting.admin_urls) == 1


def _fail_safe(response: HttpResponseBase, left: _Left) -> None:
    if left.found_no_room:
        count = len(left.increments) + len(left.changes)
        logger.error(
            "%d changes found no room on a response and were told to nobody: all is forgotten instead", count
        )
        fields.add(response, headers.EVERYTHING, [b"*"], instead=True)


def _tell_without_response(collected: Collected) -> None:
    if collected.increments or collected.changes:
        tell.tell(collected.increments.values(), collected.changes)
