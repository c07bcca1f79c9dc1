"""Functions whose results are kept: what is found out before any sidecar is asked."""

import asyncio
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from django_tagalong import tagged_cache
from django_tagalong.cache import TagalongCache
from django_tagalong.collector import collecting
from django_tagalong.memo import cache_of

from .app.models import User


def function(user_id: int, page: int = 1) -> str:
    return f"{user_id}:{page}"


@pytest.mark.parametrize(
    "more",
    [
        {"tags": ["User:{usr}"]},
        {"tags": ["a b"]},
        {"tags": ["{user_id}"]},
        {"vary_on": ["usr"]},
        {"vary_on": "user"},
    ],
    ids=str,
)
def test_fk5_mistakes_are_found_when_the_function_is_defined(more: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of patterns and of names
        tagged_cache(**more)(function)


@pytest.mark.parametrize("more", [{"tags": ["User:{usr}"]}, {"vary_on": ["usr"]}], ids=str)
def test_fk5_a_name_that_this_call_has_not_is_an_error(more: dict[str, Any]) -> None:
    @tagged_cache(**more)
    def open_to_all(**kwargs: Any) -> str:
        return "never"

    with pytest.raises(LookupError, match="usr"):
        open_to_all(user_id=42)


def test_l13_without_a_sidecar_every_call_computes(settings: Settings, nobody: str) -> None:
    made = []

    @tagged_cache(timeout=60, tags=["User:{user_id}"], vary_on=["user_id"])
    def get(user_id: int) -> int:
        made.append(user_id)
        return user_id

    @tagged_cache(timeout=60, tags=["User:{user_id}"])
    async def aget(user_id: int) -> int:
        made.append(user_id)
        return user_id

    for setting in ({}, {"ENABLED": False}, {"ADMIN_URLS": nobody, "RETRIES": 0}):
        settings.TAGALONG = setting
        assert (get(42), get(user_id=42), asyncio.run(aget(42))) == (42, 42, 42)
    assert made == [42] * 9


@pytest.mark.django_db(transaction=True)
def test_tags_of_a_coroutine_may_ask_the_database() -> None:
    def tag_of(pk: int) -> str:
        return f"User:{User.objects.filter(pk=pk).count()}"

    @tagged_cache(tags=["Users", tag_of])
    async def get(pk: int) -> int:
        return pk

    async def main() -> int:
        with collecting() as collector:
            found: int = await get(7)
            assert list(collector.close().tags) == ["Users", "User:0"]
        return found

    assert asyncio.run(main()) == 7


def test_a_call_that_the_function_would_refuse_is_refused_as_it_would() -> None:
    with pytest.raises(TypeError, match="missing a required argument: 'user_id'"):
        tagged_cache(tags=["User:{user_id}"])(function)()


def test_what_a_function_raises_is_raised() -> None:
    @tagged_cache()
    def fails() -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        fails()


def test_a_function_keeps_its_name_and_itself() -> None:
    cached = tagged_cache(tags=["A"])(function)
    assert (cached.__name__, cached.__wrapped__(1, 2)) == ("function", "1:2")  # type: ignore[attr-defined]


def test_an_argument_that_tells_nothing_apart_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(TypeError, match="name in `vary_on` the arguments that matter"):
        tagged_cache()(lambda it: it)(object())


@pytest.mark.parametrize(
    "wrong",
    [
        {"PREFIX": "x"},
        {"CACHE_NAME": "default"},
        {"LOCATION": "redis://127.0.0.1"},
        {"OPTIONS": {"serializer": "pickle"}},
    ],
    ids=str,
)
def test_a_setting_that_would_be_ignored_is_an_error(settings: Settings, wrong: dict[str, Any]) -> None:
    ours = {"BACKEND": "django_tagalong.cache.TagalongCache", **wrong}
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}, "values": ours}
    with pytest.raises(ImproperlyConfigured, match="TagalongCache"):
        cache_of("values")


@pytest.mark.parametrize(
    ("more", "tagalong", "ids"),
    [
        ({}, {"ADMIN_URLS": "http://127.0.0.1:9"}, []),
        ({}, {}, ["tagalong.W005"]),
        (None, {}, []),
    ],
    ids=str,
)
def test_system_checks_find_caches_that_keep_nothing(
    settings: Settings, more: dict[str, Any] | None, tagalong: dict[str, Any], ids: list[str]
) -> None:
    dummy = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
    ours = dummy if more is None else {"BACKEND": "django_tagalong.cache.TagalongCache", **more}
    settings.TAGALONG = tagalong
    settings.CACHES = {"default": dummy, "values": ours}
    assert [it.id for it in run_checks() if str(it.id).startswith("tagalong.")] == ids


def test_the_cache_is_the_first_that_keeps_tags_or_one_with_the_defaults(settings: Settings) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    assert cache_of(None).name("k") == ":1:k"
    ours = {"BACKEND": "django_tagalong.cache.TagalongCache", "KEY_PREFIX": "p"}
    settings.CACHES = {**settings.CACHES, "values": ours}
    assert isinstance(cache_of("values"), TagalongCache)
    assert cache_of(None).name("k") == "p:1:k"
    with pytest.raises(ImproperlyConfigured, match="keeps no tags"):
        cache_of("default")
