"""Views name what their responses depend on, how long the sidecar may use them, and what they vary on.

    @cache_tags("Dashboard", "User:{user_id}", ttl=3600, swr=30, vary_on="Accept-Language")
    def dashboard(request, user_id): ...

All of it goes to the collector of the request and from there into the head of the response; where there is
none, nothing happens. Tags are said before the view runs, so that the page of an error has them too; a life
only of responses that succeed. Whether it is given is judged by the middleware, when the head is final.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from inspect import isawaitable
from string import ascii_letters, digits
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from . import collector
from .patterns import Arguments, Computed, NoTag, Tags
from .tags import tagged

logger = logging.getLogger(__name__)

View = TypeVar("View", bound=Callable[..., Any])


def cache_tag(*tags: str | tuple[Any, ...]) -> bool:
    """The response that is being made depends on these: texts such as `User:42`, or tuples such as `("User",
    42)`.

    False: there is no response to be tagged, as outside of a request. Raises `ValueError` for what is no tag.
    """
    texts = [tagged(it) for it in tags]
    here = collector.current()
    if here is None:
        return False
    is_tagged = here.tag(*texts)
    if texts and not is_tagged:
        logger.warning("The head of the response is made: it does not have the tags %s", ", ".join(texts[:5]))
    return is_tagged


def do_not_store(why: str) -> None:
    """The response that is being made must not be kept: a tag of it is not known."""
    here = collector.current()
    if here is not None and here.fresh("no-store"):
        logger.warning("The response is not stored: %s.", why)


def cache_tags(
    *tags: str | Computed,
    ttl: int | timedelta | None = None,
    swr: int | timedelta | None = None,
    sie: int | timedelta | None = None,
    vary_on: str | Iterable[str] = (),
) -> Callable[[View], View]:
    """Tags the responses of a view: a function, a coroutine, a class, or a method of one (of a view set,
    too).

    A tag is text with placeholders for the view's arguments (`User:{user_id}`, `User:{request.user.pk}`), or
    a function that is called with these and returns one tag or several. A placeholder without an argument is
    an error, one that is None keeps the response from being stored.

    `ttl` is how long the sidecar may use the response, `swr` how long after that while it fetches it again,
    and `sie` while the app fails: seconds, or a `timedelta`. They are for the sidecar alone
    (`Tagalong-Cache-Control`), and for responses below 400 that leave the app neither `private` nor
    `no-store` nor `no-cache`.
    `vary_on` names headers of requests for `Vary`.

    Raises `ValueError` at once for what is no tag, no header and no time.
    """
    life = _life(ttl, swr, sie)
    headers = _headers(vary_on)

    def around(view: Callable[..., Any]) -> Callable[..., Any]:
        return _around(view, _Said(Tags(tags, Arguments(view)), life, headers))

    def decorate(view: View) -> View:
        if not isinstance(view, type):
            return around(view)  # type: ignore[return-value]
        dispatch = getattr(view, "dispatch", None)
        if dispatch is None:
            raise TypeError(f"{view.__name__} is no class of views: it has no `dispatch`")
        view.dispatch = around(dispatch)  # type: ignore[attr-defined]
        return view

    return decorate


@dataclass(frozen=True)
class _Said:
    """What a decorator says of the responses of one view."""

    tags: Tags
    life: dict[str, int]
    headers: list[str]

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Before the view is called with these."""
        try:
            # A method finds what the URL names in its object.
            cache_tag(*self.tags.of(args, kwargs, getattr(args[0], "kwargs", None) if args else None))
        except NoTag as missing:
            do_not_store(str(missing))

    def end(self, response: Any) -> Any:
        """The same response."""
        if isinstance(response, HttpResponseBase):
            if self.headers:  # without any, Django would write an empty `Vary`
                patch_vary_headers(response, self.headers)
            here = collector.current()
            if here is not None and response.status_code < 400:
                for directive, seconds in self.life.items():
                    here.fresh(directive, seconds)
        return response


def _around(view: Callable[..., Any], said: _Said) -> Callable[..., Any]:
    @wraps(view)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if _answers_later(view, args):
            return later(*args, **kwargs)
        said.begin(args, kwargs)
        response = view(*args, **kwargs)
        return ended(response) if isawaitable(response) else said.end(response)

    async def ended(response: Awaitable[Any]) -> Any:
        return said.end(await response)

    @wraps(view)
    async def later(*args: Any, **kwargs: Any) -> Any:
        if said.tags.may_block:
            await sync_to_async(said.begin)(args, kwargs)
        else:
            said.begin(args, kwargs)
        response = view(*args, **kwargs)
        # A mixin's `dispatch` may answer itself.
        return said.end(await response if isawaitable(response) else response)

    return later if iscoroutinefunction(view) else wrapped


def _answers_later(view: Callable[..., Any], args: tuple[Any, ...]) -> bool:
    """Whether it is `dispatch` of a class with coroutines: a function that returns one."""
    if getattr(view, "__name__", "") != "dispatch":
        return False
    # `method_decorator` hands over a bound method, which has its object, within a partial.
    method = getattr(view, "func", view)
    owner = getattr(method, "__self__", args[0] if args else None)
    return bool(getattr(owner, "view_is_async", False))


def _life(
    ttl: int | timedelta | None, swr: int | timedelta | None, sie: int | timedelta | None
) -> dict[str, int]:
    given = {"max-age": ttl, "stale-while-revalidate": swr, "stale-if-error": sie}
    life = {name: _seconds(it) for name, it in given.items() if it is not None}
    if life and "max-age" not in life:
        raise ValueError("`swr` and `sie` count from the end of the `ttl`: give that, too")
    return life


def _seconds(time: int | timedelta) -> int:
    seconds = time // timedelta(seconds=1) if isinstance(time, timedelta) else time
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 <= seconds < 2**31:
        raise ValueError(f"{time!r} is no time: whole seconds, or a timedelta, from 0 on are expected")
    return seconds


_TOKEN = frozenset(ascii_letters + digits + "!#$%&'*+-.^_`|~")


def _headers(names: str | Iterable[str]) -> list[str]:
    headers = [names] if isinstance(names, str) else list(names)
    for name in headers:
        if not name or not _TOKEN.issuperset(name):
            raise ValueError(f"{name!r} is no name of a header")
    return headers
