"""Functions whose results are kept in the sidecar, with tags.

    @tagged_cache(timeout=3600, tags=["Dashboard", "User:{user_id}"], vary_on=["user_id", "filter_type"])
    def statistics(user_id: int, filter_type: str = "all"): ...

Decides under which name a result is kept: the function, `version`, the arguments that matter and the tags.
Arguments have their defaults, and are told apart by value and type, however they are passed. How it is kept
is for `cache`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache as once
from functools import wraps
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.exceptions import ImproperlyConfigured

from .cache import TagalongCache
from .decorators import do_not_store
from .patterns import Arguments, Computed, NoTag, Tags

Function = TypeVar("Function", bound=Callable[..., Any])


def tagged_cache(
    timeout: float | None = DEFAULT_TIMEOUT,
    tags: Iterable[str | Computed] | Computed = (),
    vary_on: Iterable[str] | None = None,
    version: str | None = None,
    key_name: str | None = None,
    cache_name: str | None = None,
) -> Callable[[Function], Function]:
    """Keeps what a function or coroutine returns for `timeout` seconds (default: the cache's; None: a week).

    `tags` are texts with placeholders for arguments, and functions that are called with the arguments and
    return tags. `vary_on` names the arguments that have results of their own; without it all do, with `[]`
    those in tags alone. `key_name` is by default the function's own name with its module; functions that
    share one share results. `version` is yours to raise when results become other ones. `cache_name` is an
    alias of `CACHES` with a `TagalongCache`; by default the first there is, or one with the defaults.

    A placeholder or a name in `vary_on` without an argument is an error; where a placeholder is None the
    result is computed and not kept. The function as it was is `__wrapped__`.
    """
    sources = [tags] if callable(tags) else list(tags)
    names = None if vary_on is None else [vary_on] if isinstance(vary_on, str) else list(vary_on)

    def decorate(function: Function) -> Function:
        arguments = Arguments(function)
        arguments.see_that_there_are(names or ())
        key = key_name or f"{function.__module__}.{function.__qualname__}"
        plan = _Plan(arguments, Tags(sources, arguments), names, key, version, cache_name)

        @wraps(function)
        def cached(*args: Any, **kwargs: Any) -> Any:
            planned = plan.of(args, kwargs)
            if planned is None:
                return function(*args, **kwargs)
            backend, name, texts = planned
            return backend.keeping.find_or_make(name, texts, lambda: function(*args, **kwargs), timeout)

        @wraps(function)
        async def cached_later(*args: Any, **kwargs: Any) -> Any:
            if plan.tags.may_block:
                planned = await sync_to_async(plan.of)(args, kwargs)
            else:
                planned = plan.of(args, kwargs)
            if planned is None:
                return await function(*args, **kwargs)
            backend, name, texts = planned
            return await backend.keeping.find_or_make_later(
                name, texts, lambda: function(*args, **kwargs), timeout
            )

        return cached_later if iscoroutinefunction(function) else cached  # type: ignore[return-value]

    return decorate


@dataclass(frozen=True)
class _Plan:
    arguments: Arguments
    tags: Tags
    vary_on: list[str] | None
    key: str
    version: str | None
    cache_name: str | None

    def of(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[TagalongCache, str, list[str]] | None:
        """Where the result of this call is kept, under which name and with which tags. None: nowhere."""
        values = self.arguments.of(args, kwargs)
        names = values if self.vary_on is None else self.vary_on
        unknown = [name for name in names if name not in values]
        if unknown:
            raise LookupError(
                f"`vary_on` names {', '.join(unknown)}; given are {', '.join(values) or 'none'}"
            )
        try:
            texts = self.tags.of(args, kwargs)
        except NoTag as missing:
            do_not_store(str(missing))
            return None
        backend = cache_of(self.cache_name)
        matter = {name: values[name] for name in names}
        return backend, backend.name(self.key, texts, code_version=self.version, arguments=matter), texts


def cache_of(alias: str | None) -> TagalongCache:
    """The cache of this alias; of None the first that is one of this package, or one that has all the
    defaults.
    """
    if alias is None:
        alias = next((it for it in settings.CACHES if isinstance(caches[it], TagalongCache)), None)
    backend = _default() if alias is None else caches[alias]
    if not isinstance(backend, TagalongCache):
        raise ImproperlyConfigured(
            f"CACHES[{alias!r}] keeps no tags: its BACKEND must be 'django_tagalong.cache.TagalongCache'"
        )
    return backend


@once
def _default() -> TagalongCache:
    return TagalongCache()
