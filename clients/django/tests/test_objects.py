"""Values as bytes, in an admin interface that does as a test says."""

import logging
import socket
import time
from collections.abc import Iterator
from urllib.parse import unquote

import pytest
from django.core.signals import request_started
from pytest_django import Settings

from django_tagalong import debts, objects
from django_tagalong.cache import TagalongCache
from django_tagalong.client import Missing, Object

from .scripted import Call, Reply, ScriptedAdmin


class Store:
    """What the admin interface does: it stores, refuses what is long, and can be away."""

    def __init__(self, admin: ScriptedAdmin) -> None:
        self.values: dict[str, bytes] = {}
        self.is_away = False
        self.refuses = ""
        self.admin = admin
        admin.answer = self.answer

    def answer(self, call: Call) -> Reply:
        if self.is_away:
            return Reply(cut=True)
        if call.method == self.refuses:
            return Reply(403, {"title": "No", "status": 403, "detail": "Not you."})
        if call.path == "/v1/purge":
            assert call.json == {"all": True}
            self.values.clear()
            return Reply(body={"purged": None})
        name = unquote(call.path.removeprefix("/v1/objects/"))
        if call.method == "PUT":
            if len(call.body) > 1000:
                return Reply(413, {"title": "Too long", "status": 413, "detail": "At most 1000 bytes."})
            self.values[name] = call.body
            return Reply(201, b"")
        if call.method == "DELETE":
            return Reply(body={"purged": self.values.pop(name, None) is not None})
        if name in self.values:
            return Reply(200, self.values[name], {"Content-Type": "application/json"})
        return Reply(404, {}, {"Tagalong-Token": "1"})

    def count(self, method: str) -> int:
        return sum(call.method == method for call in self.admin.calls)


@pytest.fixture
def store(told: ScriptedAdmin, settings: Settings) -> Store:
    settings.TAGALONG = {**settings.TAGALONG, "RETRIES": 0}
    return Store(told)


@pytest.fixture(autouse=True)
def _nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(objects, "_paused", {})
    monkeypatch.setattr(debts, "_owed", {})
    objects._forget_tokens()
    yield
    objects._forget_tokens()


def the_pause_ends() -> None:
    objects._paused.clear()


@pytest.mark.parametrize("length", [2000, 2000 * objects.MAX_BYTES // 1000], ids=["refused", "not even sent"])
def test_l01_a_value_too_long_to_replace_another_leaves_nothing(
    store: Store, length: int, caplog: pytest.LogCaptureFixture
) -> None:
    cache = TagalongCache()
    cache.set("k", "old")
    assert cache.get("k") == "old"
    cache.set("k", "x" * length)
    assert cache.get("k", "nothing") == "nothing"
    assert "is not kept" in caplog.text


def test_what_is_too_long_is_said_with_its_length_and_the_most_there_may_be(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    assert objects.put("k", b"x" * (objects.MAX_BYTES + 1), "x/y", 60, (), None) is False
    assert f"it has {objects.MAX_BYTES + 1} bytes, of at most {objects.MAX_BYTES}" in caplog.text


def test_l01_a_value_that_could_not_be_put_is_forgotten_when_the_sidecar_is_back(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    cache = TagalongCache()
    for key in ("a", "b", "untouched"):
        cache.set(key, "old")
    store.is_away = True
    cache.set("a", "new")  # finds out that it is away
    tried = len(store.admin.calls)
    cache.set("b", "new")
    assert len(store.admin.calls) == tried, "it is left alone for a while"
    for key in ("a", "b"):
        assert f"was not told to forget the value :1:{key}, and is told when it answers" in caplog.text
    store.is_away = False
    assert cache.get("b", "nothing") == "nothing", "the pause is not over, and nobody is asked"
    the_pause_ends()
    assert [cache.get(key, "nothing") for key in ("b", "a", "untouched")] == ["nothing", "nothing", "old"]
    assert store.count("DELETE") == 2
    cache.set("a", "newest")
    assert cache.get("a") == "newest", "it is forgotten once"
    assert store.count("DELETE") == 2


def test_what_is_still_to_be_forgotten_waits_for_a_sidecar_that_fails_again(store: Store) -> None:
    cache = TagalongCache()
    cache.set("a", "old")
    store.is_away = True
    for _ in range(3):
        cache.set("a", "new")
        the_pause_ends()
    store.is_away = False
    assert cache.get("a", "nothing") == "nothing"


def test_l13_of_many_deletes_one_waits_for_a_sidecar_that_is_away_and_all_are_done(store: Store) -> None:
    cache = TagalongCache()
    keys = [str(n) for n in range(5)]
    cache.set_many(dict.fromkeys(keys, "old"))
    store.is_away = True
    tried = len(store.admin.calls)
    cache.delete_many(keys)
    assert len(store.admin.calls) <= tried + 2, "one, and once more as its connection was in use"
    store.is_away = False
    the_pause_ends()
    assert cache.get_many(keys) == {}


def test_a_delete_that_is_refused_keeps_nobody_from_asking_on(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    cache = TagalongCache()
    cache.set("a", "old")
    store.is_away = True
    cache.delete("b")
    store.is_away = False
    store.refuses = "DELETE"
    the_pause_ends()
    assert cache.get("a") == "old"
    assert "does not forget the value :1:b: 403" in caplog.text
    assert list(debts._owed.values()) == [{}]


def test_l10_of_very_many_values_that_could_not_be_put_all_are_forgotten_at_once(store: Store) -> None:
    cache = TagalongCache()
    cache.set("last", "old")
    store.is_away = True
    for n in range(debts.MANY + 5):
        cache.set(str(n), "new")
    cache.set("last", "new")
    [owed] = debts._owed.values()
    assert len(owed) == debts.MANY + 1
    store.is_away = False
    the_pause_ends()
    assert cache.get("last", "nothing") == "nothing"
    assert store.count("DELETE") == 0
    assert [call.path for call in store.admin.calls].count("/v1/purge") == 1


def test_l13_nobody_waits_long_for_what_others_have_left_and_it_is_done_bit_by_bit(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = TagalongCache()
    keys = [str(n) for n in range(5)]
    cache.set_many(dict.fromkeys(keys, "old"))
    store.is_away = True
    cache.delete_many(keys)
    store.is_away = False
    store.admin.calls.clear()
    now = time.monotonic()

    def slowly(call: Call) -> Reply:
        nonlocal now
        now += 0.6
        return store.answer(call)

    store.admin.answer = slowly
    monkeypatch.setattr(debts.time, "monotonic", lambda: now)
    done = []
    for _ in range(3):
        the_pause_ends()
        assert cache.get("4", "nothing") == "nothing"
        done.append(store.count("DELETE"))
    assert done == [2, 4, 5]
    assert store.values == {}


def test_l13_to_forget_all_is_tried_once_and_not_while_the_sidecar_is_left_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(objects, "CLEARING", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        settings.TAGALONG = {"ADMIN_URLS": f"http://127.0.0.1:{hanging.getsockname()[1]}", "RETRIES": 9}
        begun = time.monotonic()
        TagalongCache().clear()
        hanging.settimeout(10)
        hanging.accept()[0].close()
        TagalongCache().clear()
        hanging.settimeout(0)
        with pytest.raises(BlockingIOError):
            hanging.accept()
    assert time.monotonic() - begun < 30
    assert caplog.text.count("was not told to forget the values :*") == 2


def test_a_version_is_asked_of_nobody_where_that_is_off_or_a_sidecar_left_alone(
    store: Store, settings: Settings
) -> None:
    store.is_away = True
    assert TagalongCache().get_tag_version("A") is None
    tried = len(store.admin.calls)
    assert TagalongCache().get_tag_version("A") is None
    the_pause_ends()
    settings.TAGALONG = {**settings.TAGALONG, "ENABLED": False}
    assert TagalongCache().get_tag_version("A") is None
    assert len(store.admin.calls) == tried


@pytest.mark.parametrize("is_away", [True, False])
def test_what_is_logged_names_the_sidecar_once(
    store: Store, caplog: pytest.LogCaptureFixture, is_away: bool
) -> None:
    store.is_away, store.refuses = is_away, "GET"
    TagalongCache().get("k")
    [said] = caplog.messages
    assert said.count(store.admin.url) == is_away
    assert ("not looked for: 403" in said) is not is_away


def test_a_value_that_was_looked_for_leaves_nothing_to_forget_where_it_cannot_be_put(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    cache = TagalongCache()
    assert cache.get_with_tags("k", ["A"]) is None
    store.is_away = True
    assert cache.set_with_tags("k", "value", ["A"]) is False
    assert debts._owed == {}, "nothing was there"
    assert len([it for it in caplog.records if it.levelno == logging.ERROR]) == 1


def test_l01_a_second_look_does_not_hide_that_the_first_is_outdated(store: Store) -> None:
    objects.remember("k", "first")
    objects.remember("k", "second")
    assert objects.remembered("k") == (True, "first")
    assert objects.remembered("k") == (False, None), "it is used up"
    objects.remember("k", None)
    objects.remember("k", "second")
    assert objects.remembered("k") == (True, None), "nobody knows what has changed since the first"


def test_a_look_that_no_sidecar_honours_any_more_makes_room_for_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    objects.remember("k", "first")
    later = time.monotonic() + objects.HONOURED
    monkeypatch.setattr(objects.time, "monotonic", lambda: later)
    objects.remember("k", "second")
    assert objects.remembered("k") == (True, "second")


def test_what_is_remembered_ends_with_its_request(store: Store) -> None:
    assert objects._forget_tokens in [it() for _, it, *_ in request_started.receivers]
    objects.remember("k", "first")
    objects._forget_tokens()
    assert objects.remembered("k") == (False, None)
    assert objects.get("k") == Missing("1")
    store.values["k"] = b"x"
    assert isinstance(objects.get("k"), Object)
