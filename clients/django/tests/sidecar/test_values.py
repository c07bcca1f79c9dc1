"""Values with tags, in the real sidecar."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.signals import request_started
from django.db import transaction
from pytest_django import Settings

from django_tagalong import clients, flight, increment, objects
from django_tagalong.cache import TagalongCache
from django_tagalong.client import Client, Missing, Object
from django_tagalong.collector import collecting
from django_tagalong.keeping import LONGEST
from tests.app.models import Book

from .alone import BACKEND, NEEDS_A_SIDECAR, Alone, beside, running  # noqa: F401 - fixtures

pytestmark = [*NEEDS_A_SIDECAR, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("beside")]

A, B = [("A", 1)], ["B"]


@pytest.fixture
def cache() -> TagalongCache:
    backend = caches["fragmented"]
    assert isinstance(backend, TagalongCache)
    return backend


@pytest.fixture
def client() -> Client:
    return clients.each()[0]


def incremented(client: Client, *tags: str) -> None:
    """As another process does it."""
    client.increment(tags)


# The calls


def test_j16_a_value_is_there_until_one_of_its_tags_is_incremented(client: Client) -> None:
    before = client.get_object("k")
    assert isinstance(before, Missing)
    assert client.put_object("k", b"one", max_age=60, tags=["A", "B"], token=before.token)
    found = client.get_object("k")
    assert isinstance(found, Object)
    assert found.body == b"one"
    incremented(client, "A")
    after = client.get_object("k")
    assert isinstance(after, Missing)
    assert client.put_object("k", b"two", max_age=60, tags=["A"], token=after.token)
    incremented(client, "A")
    between = client.get_object("k")
    assert isinstance(between, Missing)
    incremented(client, "A")
    assert not client.put_object("k", b"old", max_age=60, tags=["A"], token=between.token)
    assert isinstance(client.get_object("k"), Missing)


# With tags


def test_j16_values_are_set_found_and_invalidated_by_tags(cache: TagalongCache) -> None:
    tags = [("User", "42"), "Dashboard"]
    assert cache.get_with_tags("profile", tags, default="none") == "none"
    assert cache.set_with_tags("profile", {"name": "é"}, tags, timeout=60)
    assert cache.get_with_tags("profile", tags) == {"name": "é"}
    assert cache.get_with_tags("profile", ["Dashboard", "User:42"]) == {"name": "é"}, "tags are a set"
    assert cache.invalidate_tags([("User", "7")]) is True
    assert cache.get_with_tags("profile", tags) == {"name": "é"}
    assert cache.invalidate_tags([("User", 42)]) is True
    assert cache.get_with_tags("profile", tags) is None


def test_values_with_other_tags_groups_keys_and_versions_are_others(cache: TagalongCache) -> None:
    calls: list[dict[str, Any]] = [
        {"key": "stats", "tags": A},
        {"key": "stats", "tags": B},
        {"key": "stats", "tags": A + B},
        {"key": "stats", "tags": []},
        {"key": "stats", "tags": A, "group_id": "weekly"},
        {"key": "stats", "tags": A, "group_id": ""},
        {"key": "stats", "tags": A, "version": 2},
        {"key": "stat", "tags": A},
    ]
    for n, call in enumerate(calls):
        assert cache.set_with_tags(value=n, **call)
    assert [cache.get_with_tags(**call) for call in calls] == list(range(len(calls)))
    assert cache.delete_with_tags(**calls[4])
    assert not cache.delete_with_tags(**calls[4])
    found = [cache.get_with_tags(**call) for call in calls]
    assert found == [0, 1, 2, 3, None, 5, 6, 7]


@pytest.mark.parametrize("value", [None, "", [], {}, 0, False, b"", ()], ids=repr)
def test_l08_none_and_what_is_empty_are_values(cache: TagalongCache, value: object) -> None:
    made = []

    def make() -> object:
        made.append(1)
        return value

    for _ in range(3):
        assert cache.get_or_set_with_tags("empty", make, A, timeout=60) == value
    assert len(made) == 1
    assert cache.get_with_tags("empty", A, default="none") == value
    cache.set("plain", value)
    assert cache.get("plain", "none") == value
    assert cache.has_key("plain")


def test_a_default_that_is_no_function_is_the_value(cache: TagalongCache) -> None:
    assert cache.get_or_set_with_tags("k", "one", A) == "one"
    assert cache.get_or_set_with_tags("k", "two", A) == "one"


# L1


def test_l01_what_was_computed_before_an_increment_is_not_kept(cache: TagalongCache, client: Client) -> None:
    rows = ["old"]

    def make() -> str:
        seen = rows[0]
        rows[0] = "new"
        incremented(client, "A:1")
        return seen

    assert cache.get_or_set_with_tags("k", make, A) == "old", "whom it was computed for gets it"
    assert cache.get_with_tags("k", A) is None
    assert cache.get_or_set_with_tags("k", lambda: rows[0], A) == "new"
    assert cache.get_with_tags("k", A) == "new"


def test_l01_fk21_a_set_after_a_get_is_refused_if_a_tag_was_incremented_in_between(
    cache: TagalongCache, client: Client
) -> None:
    assert cache.get_with_tags("k", A) is None
    incremented(client, "A:1")
    assert cache.set_with_tags("k", "old", A) is False
    assert cache.get_with_tags("k", A) is None
    assert cache.set_with_tags("k", "new", A) is True
    assert cache.get_with_tags("k", A) == "new"


def test_l01_a_second_look_does_not_hide_that_the_first_is_outdated(
    cache: TagalongCache, client: Client
) -> None:
    assert cache.get_with_tags("k", A) is None
    incremented(client, "A:1")
    assert cache.get_with_tags("k", A) is None
    assert cache.set_with_tags("k", "by the first look", A) is False
    assert cache.get_with_tags("k", A) is None
    assert cache.set_with_tags("k", "new", A) is True


def test_l01_tokens_of_two_tasks_do_not_mix(cache: TagalongCache, client: Client) -> None:
    async def main() -> list[bool]:
        first, second = asyncio.Event(), asyncio.Event()

        async def early() -> bool:
            assert await cache.aget_with_tags("k", A) is None
            first.set()
            await second.wait()
            return await cache.aset_with_tags("k", "old", A)

        async def late() -> bool:
            await first.wait()
            incremented(client, "A:1")
            assert await cache.aget_with_tags("k", A) is None
            second.set()
            return True

        return await asyncio.gather(early(), late())

    assert asyncio.run(main()) == [False, True]


def test_a_request_puts_nothing_by_what_another_has_looked_for(cache: TagalongCache, client: Client) -> None:
    assert cache.get_with_tags("k", A) is None
    incremented(client, "A:1")
    request_started.send(sender=None)
    assert cache.set_with_tags("k", "new", A) is True


def test_l01_what_was_looked_for_while_the_sidecar_was_away_is_not_kept(
    cache: TagalongCache,
    nobody: str,
    settings: Settings,
    running: Alone,  # noqa: F811 - the fixture
) -> None:
    settings.TAGALONG = {"ADMIN_URLS": nobody, "RETRIES": 0}
    assert cache.get_with_tags("k", A) is None
    settings.TAGALONG = running.setting
    assert cache.set_with_tags("k", "who knows", A) is False
    assert cache.get_with_tags("k", A) is None


# Transactions


def test_j01_within_a_transaction_that_changes_something_nothing_is_read_or_kept(
    cache: TagalongCache,
) -> None:
    cache.set_with_tags("k", "committed", A)
    with transaction.atomic():
        assert cache.get_with_tags("k", A) == "committed", "nothing has changed yet"
        Book.objects.create(title="uncommitted")
        increment("A:1")
        assert cache.get_or_set_with_tags("k", lambda: "uncommitted", A) == "uncommitted"
        assert cache.set_with_tags("k", "uncommitted", A) is False
        transaction.set_rollback(True)
    assert cache.get_with_tags("k", A) == "committed", "it was rolled back"


@pytest.mark.parametrize("is_committed", [True, False])
def test_l01_dc14_what_is_computed_within_a_transaction_is_not_kept(
    cache: TagalongCache, is_committed: bool
) -> None:
    def title() -> str:
        return Book.objects.get(pk=7).title

    Book.objects.create(pk=7, title="old")
    with transaction.atomic():
        Book.objects.filter(pk=7).update(title="new")  # nobody has reported it yet
        assert cache.get_or_set_with_tags("k", title, A) == "new"
        assert cache.get_with_tags("looked for", A) is None
        assert cache.set_with_tags("k", title(), A) is False
        assert cache.set_with_tags("looked for", title(), A) is False
        seen = title()
        transaction.set_rollback(not is_committed)
    assert cache.get_with_tags("k", A) is None
    assert cache.get_with_tags("looked for", A) is None
    assert cache.get_with_tags("early", A) is None
    with transaction.atomic():
        assert cache.get_with_tags("late", A) is None
    assert cache.set_with_tags("late", seen, A) is False, "it may be of the time when it was looked for"
    assert cache.set_with_tags("early", seen, A) is True


def test_l01_a_transaction_without_a_block_is_one(cache: TagalongCache) -> None:
    transaction.set_autocommit(False)
    try:
        assert cache.get_or_set_with_tags("k", lambda: "uncommitted", A) == "uncommitted"
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)
    assert cache.get_with_tags("k", A) is None


def test_hooks_of_the_apps_own_keep_no_value_from_being_read(cache: TagalongCache) -> None:
    cache.set_with_tags("k", "committed", A)
    with transaction.atomic():
        transaction.on_commit(lambda: None)
        assert cache.get_with_tags("k", A) == "committed"
        assert cache.get_or_set_with_tags("k", lambda: "computed", A) == "committed"


def test_in_a_transaction_nobody_waits_for_what_another_computes(cache: TagalongCache) -> None:
    cache.keeping._wait = 3600
    with flight.alone(cache.name("k", ["A:1"]), 0), transaction.atomic():  # the other
        assert cache.get_or_set_with_tags("k", lambda: "at once", A) == "at once"


def test_fk9_tags_are_incremented_after_the_commit_and_not_before(cache: TagalongCache) -> None:
    cache.set_with_tags("k", "old", A)
    with transaction.atomic():
        assert cache.invalidate_tags(A) is None
        assert isinstance(objects.get(cache.name("k", ["A:1"])), Object)
    assert cache.get_with_tags("k", A) is None
    cache.set_with_tags("k", "old", A)
    with transaction.atomic():
        cache.invalidate_tags(A)
        transaction.set_rollback(True)
    assert cache.get_with_tags("k", A) == "old"


def test_plain_values_know_no_transactions_as_in_every_cache_of_djangos(cache: TagalongCache) -> None:
    with transaction.atomic():
        increment("A:1")
        cache.set("progress", 7)
        assert cache.get("progress") == 7


# Responses


def test_a_response_depends_on_the_tags_of_its_values(cache: TagalongCache) -> None:
    with collecting() as collector:
        cache.get_with_tags("k", A)
        cache.set_with_tags("k", 1, B)
        cache.get_or_set_with_tags("k", 2, ["C"])
        cache.set("plain", 1)
        assert list(collector.close().tags) == ["A:1", "B", "C"]


def test_within_a_request_tags_are_incremented_at_once_and_by_the_response(cache: TagalongCache) -> None:
    with collecting() as collector:
        cache.set_with_tags("k", "old", A)
        assert cache.invalidate_tags(A) is True
        assert cache.get_with_tags("k", A) is None
        assert list(collector.close().increments) == ["A:1"]


def test_a_request_finds_nothing_old_after_its_own_write(cache: TagalongCache) -> None:
    cache.set_with_tags("k", "old", A)
    with collecting() as collector:
        increment("A:1")  # travels on the response
        assert cache.get_or_set_with_tags("k", "new", A) == "new"
        assert cache.get_with_tags("k", A) is None
        assert cache.get_or_set_with_tags("other", "any", B) == "any"
        assert list(collector.close().increments) == ["A:1"]
    assert cache.get_with_tags("k", A) == "old", "nobody has told the sidecar: there was no response"


# One computes


def test_fk20_of_many_threads_one_computes(cache: TagalongCache) -> None:
    count, started, go = 8, threading.Barrier(8), threading.Event()
    made: list[int] = []

    def make() -> str:
        made.append(1)
        assert go.wait(20)
        return "value"

    def ask() -> Any:
        started.wait(20)
        try:
            return caches["fragmented"].get_or_set_with_tags("k", make, A)  # type: ignore[attr-defined]
        finally:
            for alias in caches:
                caches[alias].close()

    with ThreadPoolExecutor(count) as pool:
        asking = [pool.submit(ask) for _ in range(count)]
        until(lambda: bool(made))
        go.set()
        assert [it.result(20) for it in asking] == ["value"] * count
    assert made == [1]


def test_l09_one_that_fails_keeps_nobody_waiting(cache: TagalongCache) -> None:
    inside, go = threading.Event(), threading.Event()

    def fail() -> str:
        inside.set()
        assert go.wait(20)
        raise LookupError

    with ThreadPoolExecutor() as pool:
        failing = pool.submit(cache.get_or_set_with_tags, "k", fail, A)
        assert inside.wait(20)
        other = pool.submit(cache.get_or_set_with_tags, "k", lambda: "value", A)
        go.set()
        assert other.result(20) == "value"
        with pytest.raises(LookupError):
            failing.result(20)
    assert cache.get_with_tags("k", A) == "value"


def test_of_many_coroutines_one_computes(cache: TagalongCache) -> None:
    made = []

    async def make() -> str:
        made.append(1)
        await asyncio.sleep(0.05)
        return "value"

    async def main() -> list[Any]:
        asked = (cache.aget_or_set_with_tags("k", make, A) for _ in range(8))
        return await asyncio.gather(*asked)

    assert asyncio.run(main()) == ["value"] * 8
    assert made == [1]


# As every cache of Django's


def test_the_plain_calls_do_what_they_do_in_every_cache(cache: TagalongCache) -> None:
    assert cache.get("k") is None
    assert cache.add("k", 1) is True
    assert cache.add("k", 2) is False
    assert cache.get("k") == 1
    assert cache.incr("k", 4) == 5
    assert cache.decr("k") == 4
    with pytest.raises(ValueError, match="not found"):
        cache.incr("nothing")
    assert cache.get_or_set("made", lambda: [1]) == [1]
    assert cache.get_or_set("made", lambda: [2]) == [1]
    assert cache.set_many({"a": 1, "b": 2}) == []
    assert cache.get_many(["a", "b", "c"]) == {"a": 1, "b": 2}
    cache.delete_many(["a", "b"])
    assert cache.get_many(["a", "b"]) == {}
    assert "k" in cache
    assert cache.delete("k") is True
    assert cache.delete("k") is False
    assert cache.get("k", version=2) is None
    cache.set("k", "two", version=2)
    assert (cache.get("k"), cache.get("k", version=2)) == (None, "two")
    assert cache.incr_version("k", version=2) == 3
    assert (cache.get("k", version=2), cache.get("k", version=3)) == (None, "two")
    assert asyncio.run(cache.aget("k", version=3)) == "two"
    cache.set("odd key \n é,;%/:*", 7)
    assert cache.get("odd key \n é,;%/:*") == 7


def test_l10_every_value_has_an_end(cache: TagalongCache, client: Client) -> None:
    cache.set("for ever", 1, timeout=None)
    cache.set("long", 1, timeout=10**9)
    cache.set("default", 1)
    cache.set("short", 1, timeout=0.5)
    cache.set("none", 1, timeout=60)
    cache.set("none", 2, timeout=0)
    assert cache.get("none") is None, "0 keeps nothing, and forgets what is there"
    assert [cache.keeping.life(it) for it in (None, 10**9, 0.5, 0, -1, 60)] == [
        LONGEST,
        LONGEST,
        1,
        0,
        -1,
        60,
    ]
    assert all(cache.get(key) == 1 for key in ("for ever", "long", "default"))
    until(lambda: cache.get("short") is None)


def test_a_value_is_touched(cache: TagalongCache) -> None:
    cache.set("k", 1, timeout=1)
    cache.set("other", 1, timeout=1)
    assert cache.touch("k", 60) is True
    assert cache.touch("nothing", 60) is False
    until(lambda: cache.get("other") is None)
    assert cache.get("k") == 1
    assert cache.touch("k", 0) is True
    assert cache.get("k") is None


def test_dc10_l11_clear_forgets_its_own_prefix_and_nothing_else(cache: TagalongCache, client: Client) -> None:
    other = caches["foobar"]
    cache.set("k", 1)
    cache.set_with_tags("k", 1, A)
    other.set("k", 2)
    client.put_object("foo", b"x", max_age=60)
    cache.clear()
    assert (cache.get("k"), cache.get_with_tags("k", A), other.get("k")) == (None, None, 2)
    assert isinstance(client.get_object("foo"), Object)


def test_a_key_function_of_the_apps_own_is_asked(settings: Settings) -> None:
    asked = {"BACKEND": BACKEND, "KEY_FUNCTION": lambda key, prefix, version: f"{key}!"}
    backend = TagalongCache("", asked)
    assert backend.name("k") == ":1:k%21"
    backend.set("k", 1)
    assert backend.get("k") == 1


# Bytes


def test_a_pickle_is_never_read_by_who_has_not_chosen_it(
    cache: TagalongCache, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    pickles = caches["pickle"]
    assert pickles.set_with_tags("k", Book(pk=7, title="x"), A)  # type: ignore[attr-defined]
    assert pickles.get_with_tags("k", A).title == "x"  # type: ignore[attr-defined]
    assert cache.get_with_tags("k", A, "none") == "none"
    assert "is not read here" in caplog.text
    assert cache.get_or_set_with_tags("k", 1, A) == 1
    assert cache.get_with_tags("k", A) == 1


def test_what_cannot_be_read_is_computed_anew(cache: TagalongCache, client: Client) -> None:
    client.put_object(cache.name("k"), b"\xff{", max_age=60, content_type="application/json")
    assert cache.get_or_set("k", "new") == "new"
    assert cache.get("k") == "new"


def test_a_value_that_would_not_come_back_the_same_is_refused_or_computed(
    cache: TagalongCache, caplog: pytest.LogCaptureFixture
) -> None:
    for keep in (lambda: cache.set("k", object()), lambda: cache.set_with_tags("k", Book(pk=1), A)):
        with pytest.raises(TypeError, match="would not come back the same"):
            keep()
    value = object()
    assert cache.get_or_set_with_tags("k", value, A) is value
    assert "is not kept" in caplog.text


def test_a_value_too_large_or_a_tag_too_many_is_computed(
    cache: TagalongCache, caplog: pytest.LogCaptureFixture
) -> None:
    large = "x" * (9 * 1024 * 1024)
    assert cache.get_or_set_with_tags("k", large, A) == large
    assert cache.get_with_tags("k", A) is None
    many = [("T", n) for n in range(300)]
    assert cache.get_or_set_with_tags("k", 1, many) == 1
    assert cache.get_with_tags("k", many) is None
    assert caplog.text.count("is not kept") == 2
    cache.set("other", 1)
    assert cache.get("other") == 1, "the sidecar is asked all the same"


def test_l01_a_value_too_large_to_replace_another_leaves_nothing(cache: TagalongCache) -> None:
    cache.set("k", "old")
    cache.set("k", "x" * (9 * 1024 * 1024))
    assert cache.get("k", "nothing") == "nothing"


def test_a_sidecar_that_stores_less_says_so_and_is_asked_on(
    tmp_path: Path, cache: TagalongCache, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    small = Alone(tmp_path / "small", more="limits: { max_object: 1KiB }\n")
    settings.TAGALONG = small.setting
    try:
        large = "x" * (1024 * 1024)
        assert cache.get_or_set_with_tags("k", large, A) == large
        assert "413" in caplog.text
        assert cache.set_with_tags("other", 1, A)
    finally:
        small.stop()


# Tags


def test_l14_looking_at_a_version_creates_none(cache: TagalongCache) -> None:
    assert cache.get_tag_version("New", 1) is None
    assert cache.get_tag_version("New", 1) is None
    cache.invalidate_tags([("New", 1)])
    first = cache.get_tag_version("New", "1")
    cache.invalidate_tags(["New:1"])
    second = cache.get_tag_version("New", 1)
    assert first is not None
    assert second is not None
    assert second > first


@pytest.mark.parametrize("tags", ["User:42", [""], ["a b"], ["~all"], [("User", None)], [()], [42]], ids=repr)
def test_what_is_no_tag_is_an_error_at_the_call(cache: TagalongCache, tags: Any) -> None:
    for call in (cache.get_with_tags, cache.delete_with_tags):
        with pytest.raises((ValueError, TypeError)):
            call("k", tags)
    with pytest.raises((ValueError, TypeError)):
        cache.invalidate_tags(tags)


@pytest.mark.parametrize(
    "name", ["a,b", "a;b", 'a"b', "a%2Cb", "a b", "é", "日本", "a\r\nX: y", "a@b", "\u2028"]
)
def test_x11_a_hostile_instance_is_one_tag_and_no_other(cache: TagalongCache, name: str) -> None:
    assert cache.set_with_tags("k", 1, [("T", name)], timeout=60)
    assert cache.set_with_tags("k", 2, [("T", "a")], timeout=60)
    cache.invalidate_tags([("T", "b"), ("T", "other")])
    assert cache.get_with_tags("k", [("T", name)]) == 1
    cache.invalidate_tags([("T", name)])
    assert cache.get_with_tags("k", [("T", name)]) is None
    assert cache.get_with_tags("k", [("T", "a")]) == 2


# The sidecar is away


def test_l13_without_a_sidecar_everything_is_computed(
    cache: TagalongCache, settings: Settings, nobody: str, caplog: pytest.LogCaptureFixture
) -> None:
    for setting in ({"ADMIN_URLS": nobody, "RETRIES": 0}, {}, {"ENABLED": False, "ADMIN_URLS": nobody}):
        settings.TAGALONG = setting
        assert cache.get_or_set_with_tags("k", lambda: "value", A) == "value"
        assert cache.get_with_tags("k", A, "none") == "none"
        assert cache.set_with_tags("k", 1, A) is False
        cache.set("k", 1)
        assert cache.get("k") is None
        assert cache.add("k", 1) is False
        assert cache.touch("k") is False
        assert cache.delete("k") is False
        assert cache.get_tag_version("A") is None
        assert not cache.invalidate_tags(A)
        cache.clear()
    assert "A:1" in caplog.text, "an increment that could not be told is never silent"


def test_l13_nobody_waits_for_what_will_not_be_kept(cache: TagalongCache, settings: Settings) -> None:
    settings.TAGALONG = {}
    together = threading.Barrier(3)

    def make() -> int:
        return together.wait(20)  # each of them is inside at once, or none ever ends

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(cache.get_or_set_with_tags, "k", make, A) for _ in range(3)]
        assert sorted(it.result(30) for it in asking) == [0, 1, 2]


def test_l13_a_sidecar_that_hangs_is_asked_once_and_left_alone_for_a_while(
    cache: TagalongCache,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(objects, "PATIENCE", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        settings.TAGALONG = {"ADMIN_URLS": f"http://127.0.0.1:{hanging.getsockname()[1]}", "RETRIES": 0}
        begun = time.monotonic()
        for n in range(100):
            assert cache.get_or_set_with_tags(f"k{n}", lambda: "value", A) == "value"
        assert time.monotonic() - begun < 5
    assert caplog.text.count("computed and not kept") == 1


def test_l01_what_was_put_or_deleted_while_a_sidecar_hung_is_not_found_as_it_was(
    cache: TagalongCache,
    running: Alone,  # noqa: F811 - the fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(objects, "PATIENCE", 0.1)
    cache.set_many({"first": "old", "second": "old", "deleted": "old", "untouched": "old"})
    with running.frozen():
        cache.set("first", "new")
        cache.set("second", "new")
        cache.delete("deleted")
    objects._paused.clear()  # as after five seconds
    monkeypatch.setattr(objects, "PATIENCE", 10.0)
    found = cache.get_many(["first", "second", "deleted", "untouched"])
    # What the sidecar had not read when it hung it may do afterwards: what is new may be there.
    assert all(found.pop(name, "new") == "new" for name in ("first", "second"))
    assert found == {"untouched": "old"}


def test_l03_a_sidecar_that_was_restarted_has_nothing_old(
    tmp_path: Path, settings: Settings, cache: TagalongCache
) -> None:
    first = Alone(tmp_path / "first")
    settings.TAGALONG = first.setting
    try:
        assert cache.get_with_tags("k", A) is None
    finally:
        first.stop()
    second = Alone(tmp_path / "second")
    settings.TAGALONG = second.setting
    try:
        assert cache.set_with_tags("k", "by a token of the first", A) is False
        assert cache.get_with_tags("k", A) is None
        assert cache.set_with_tags("k", "new", A) is True
    finally:
        second.stop()


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
