"""Values with tags, kept in the sidecar: a cache of Django's that also takes tags.

    CACHES = {"fragmented": {"BACKEND": "django_tagalong.cache.TagalongCache", "TIMEOUT": 3600}}

A value is found by its key, its tags and its group, and no more once one of its tags was incremented. None
and what is empty are values (L8), every value has an end, a week at most (L10), and without a sidecar
everything is computed (L13). Decides what the calls mean and what values are named by; when a value is read
and kept is for `keeping`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from asgiref.sync import sync_to_async
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache, default_key_func
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from . import objects
from .client import Missing
from .decorators import cache_tag
from .increments import increment
from .keeping import Keeping
from .names import object_name, of_prefix
from .tags import tag, tagged
from .values import Json, Pickle, Serializer

AnyTag = str | tuple[Any, ...]

_SERIALIZERS: Mapping[str, Callable[[], Serializer]] = {"json": Json, "pickle": Pickle}


class TagalongCache(BaseCache):
    """A backend for `CACHES`.

    Beside Django's own `TIMEOUT`, `KEY_PREFIX`, `VERSION` and `KEY_FUNCTION` it knows `OPTIONS`: `SERIALIZER`
    (`json`, `pickle`, or the path of a class like those in `values`) and `WAIT`, how many seconds at most one
    waits for another thread that computes the same value (10). Where the sidecar is stands in `TAGALONG`.

    A tag is a tuple such as `("User", 42)`, or text such as `User:42`.
    """

    def __init__(self, location: str = "", params: Mapping[str, Any] | None = None) -> None:
        params = dict(params or {})
        super().__init__(params)
        options = _options(location, params)
        serializer = options.get("SERIALIZER", "json")
        chosen: Serializer = (_SERIALIZERS.get(serializer) or import_string(serializer))()
        self.keeping = Keeping(chosen, self.default_timeout, float(options.get("WAIT", 10)))

    # With tags

    def get_with_tags(
        self,
        key: str,
        tags: Iterable[AnyTag],
        default: Any = None,
        version: int | None = None,
        group_id: str | None = None,
    ) -> Any:
        """The value under a key with these tags, or `default`."""
        texts = texts_of(tags)
        return self.keeping.find(self.name(key, texts, version, group_id), texts, default)

    def set_with_tags(
        self,
        key: str,
        value: Any,
        tags: Iterable[AnyTag],
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
        group_id: str | None = None,
    ) -> bool:
        """Keeps a value for `timeout` seconds.

        If this request has looked for it before, and one of its tags was incremented since, it is not kept:
        False. So look first, compute then. Raises `TypeError` for a value that would not come back the same.
        """
        texts = texts_of(tags)
        name = self.name(key, texts, version, group_id)
        cache_tag(*texts)
        has_looked, token = objects.remembered(name)
        if has_looked and token is None:
            return False  # nobody knows what has changed since then
        return self.keeping.keep(name, value, texts, timeout, token)

    def get_or_set_with_tags(
        self,
        key: str,
        default: Any,
        tags: Iterable[AnyTag],
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
        group_id: str | None = None,
    ) -> Any:
        """The value under a key; or `default`, called if it can be, which is kept. Of several threads one
        computes.
        """
        texts = texts_of(tags)
        return self.keeping.find_or_make(
            self.name(key, texts, version, group_id), texts, _maker(default), timeout
        )

    def delete_with_tags(
        self, key: str, tags: Iterable[AnyTag], version: int | None = None, group_id: str | None = None
    ) -> bool:
        """Forgets one value. True: there was one."""
        return objects.delete(self.name(key, texts_of(tags), version, group_id))

    def invalidate_tags(self, tags: Iterable[AnyTag], using: str | None = None) -> bool | None:
        """Increments tags: no value and no response that has one of them is used any more.

        At once, so that a value is not found by the next line, and in a request by its response too; in a
        transaction of the database `using` after its commit (None). True: the sidecars have it; False: they
        could not be told, which was logged, and there is no response (None) that tells them.
        """
        return increment(*texts_of(tags), using=using, at_once=True)

    def get_tag_version(self, name: str, *instance: object) -> int | None:
        """The version of a tag; None where it has none, or nobody can be asked. Creates nothing (L14)."""
        return objects.version(tag(name, *instance))

    # With tags, for coroutines

    async def aget_with_tags(self, key: str, tags: Iterable[AnyTag], default: Any = None, **more: Any) -> Any:
        """As `get_with_tags`."""
        return await sync_to_async(self.get_with_tags)(key, tags, default, **more)

    async def aset_with_tags(self, key: str, value: Any, tags: Iterable[AnyTag], **more: Any) -> bool:
        """As `set_with_tags`."""
        return await sync_to_async(self.set_with_tags)(key, value, tags, **more)

    async def aget_or_set_with_tags(
        self,
        key: str,
        default: Any,
        tags: Iterable[AnyTag],
        timeout: float | None = DEFAULT_TIMEOUT,  # noqa: ASYNC109 - as Django calls it
        version: int | None = None,
        group_id: str | None = None,
    ) -> Any:
        """As `get_or_set_with_tags`; what `default` returns may be awaited."""
        texts = texts_of(tags)
        name = self.name(key, texts, version, group_id)
        return await self.keeping.find_or_make_later(name, texts, _maker(default), timeout)

    async def adelete_with_tags(self, key: str, tags: Iterable[AnyTag], **more: Any) -> bool:
        """As `delete_with_tags`."""
        return await sync_to_async(self.delete_with_tags)(key, tags, **more)

    async def ainvalidate_tags(self, tags: Iterable[AnyTag], using: str | None = None) -> bool | None:
        """As `invalidate_tags`."""
        return await sync_to_async(self.invalidate_tags)(tags, using)

    # As every cache of Django's

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return self.keeping.find(self.name(key, version=version), (), default)

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        # Without a token: the last one wins, as in every cache of Django's. No tag can tell what is old.
        self.keeping.keep(self.name(key, version=version), value, (), timeout, None)

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        name = self.name(key, version=version)
        found = objects.get(name)
        return isinstance(found, Missing) and self.keeping.keep(name, value, (), timeout, found.token)

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        name, life = self.name(key, version=version), self.keeping.life(timeout)
        return objects.touch(name, life) if life > 0 else objects.delete(name)

    def get_or_set(
        self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> Any:
        return self.keeping.find_or_make(self.name(key, version=version), (), _maker(default), timeout)

    def delete(self, key: Any, version: int | None = None) -> bool:
        return objects.delete(self.name(key, version=version))

    def clear(self) -> None:
        """Forgets every value of this `KEY_PREFIX`, and nothing else (L11)."""
        objects.clear(of_prefix(self.key_prefix))

    # By name

    def name(
        self,
        key: Any,
        tags: Iterable[str] = (),
        version: int | None = None,
        group_id: str | None = None,
        code_version: str | None = None,
        arguments: Mapping[str, object] | None = None,
    ) -> str:
        """What a value is kept under."""
        version = self.version if version is None else version
        if self.key_func is not default_key_func:
            key = self.key_func(key, self.key_prefix, version)
        return object_name(
            self.key_prefix,
            version,
            str(key),
            group=group_id,
            code_version=code_version,
            arguments=arguments,
            tags=tags,
        )


def _options(location: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Raises `ImproperlyConfigured` for what would be ignored without a word."""
    for name in ("PREFIX", "CACHE_NAME"):
        if name in params:
            raise ImproperlyConfigured(
                f"a TagalongCache has no {name}: KEY_PREFIX is what its keys begin with"
            )
    if location:
        raise ImproperlyConfigured("a TagalongCache has no LOCATION: TAGALONG['ADMIN_URLS'] says where it is")
    options: Mapping[str, Any] = params.get("OPTIONS") or {}
    # The last two are Django's, for caches that lie in the process.
    unknown = options.keys() - {"SERIALIZER", "WAIT", "MAX_ENTRIES", "CULL_FREQUENCY"}
    if unknown:
        raise ImproperlyConfigured(
            f"OPTIONS of a TagalongCache are SERIALIZER and WAIT, not {sorted(unknown)}"
        )
    return options


def texts_of(tags: Iterable[AnyTag]) -> list[str]:
    """Tags as text. Raises `ValueError` for what is none."""
    if isinstance(tags, str):
        raise TypeError(f"a list of tags is expected, not the text {tags!r}")
    return [tagged(it) for it in tags]


def _maker(default: Any) -> Callable[[], Any]:
    return default if callable(default) else lambda: default
