"""The one door for changes: when they are told, to whom, and what is answered."""

import logging
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.test import TestCase
from pytest_django import Settings

from django_tagalong import change, conf, increment
from django_tagalong.collector import MANY, Change, Increment, collecting
from django_tagalong.increments import AfterCommit, aincrement

from .app import views
from .app.models import User
from .scripted import Reply, ScriptedAdmin, done

commits = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@commits
def test_outside_of_a_request_one_call_is_made_after_the_commit(told: ScriptedAdmin) -> None:
    with transaction.atomic():
        views.save(42, "Ann")
        assert told.calls == []
    [call] = told.calls
    assert (call.path, call.json) == ("/v1/tags/increment", {"tags": ["User:42"]})


def test_without_a_transaction_the_answer_is_that_of_the_sidecar(told: ScriptedAdmin) -> None:
    assert increment("a") is True
    told.answer = lambda _: Reply(422, {"title": "No", "status": 422, "detail": "Never."})
    assert increment("a") is False


@commits
def test_in_a_transaction_nobody_knows_yet(told: ScriptedAdmin) -> None:
    with transaction.atomic():
        assert increment("a") is None


@commits
def test_a_sidecar_that_is_away_is_an_error_in_the_log_and_no_exception(
    nobody: str, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.TAGALONG = {"ADMIN_URLS": nobody, "TOKEN": "secret", "RETRIES": 0}
    with transaction.atomic():
        views.save(42, "Ann")
    assert increment("User:7") is False
    assert [(it.levelno, "User:42" in it.getMessage()) for it in caplog.records] == [
        (logging.ERROR, True),
        (logging.ERROR, False),
    ]
    assert "secret" not in caplog.text
    assert User.objects.filter(pk=42).exists()


@commits
def test_thousands_of_saves_in_one_transaction_are_one_call(told: ScriptedAdmin) -> None:
    with transaction.atomic():
        for n in range(5000):
            increment(f"User:{n}")
    [call] = told.calls
    assert call.json["tags"] == [f"User:{n}" for n in range(5000)]


@commits
@pytest.mark.parametrize(
    ("way", "expected"),
    [
        (views.thrice_at_once, {"User:1"}),
        (views.roll_back, set()),
        (views.roll_back_inner, {"User:1", "User:3"}),
        (views.nest, {"User:1", "User:2", "User:3"}),
        (views.save_elsewhere, {"User:1"}),
        (views.save_in_thread, {"User:1"}),
    ],
)
def test_what_is_committed_is_told_and_nothing_else(
    told: ScriptedAdmin, way: Callable[[int, str], None], expected: set[str]
) -> None:
    way(1, "Ann")
    assert set(told.incremented) == expected


@commits
def test_a_transaction_that_fails_tells_nothing_later_either(told: ScriptedAdmin) -> None:
    def lose() -> None:
        with transaction.atomic():
            increment("lost")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        lose()
    with transaction.atomic():
        increment("kept")
    assert told.incremented == ["kept"]


@commits
def test_a_commit_is_one_call_whatever_else_waits_for_it(told: ScriptedAdmin) -> None:
    seen: list[list[str]] = []
    with transaction.atomic():
        transaction.on_commit(lambda: seen.append(told.incremented))
        increment("a")
        transaction.on_commit(lambda: seen.append(told.incremented))
        with transaction.atomic():
            increment("b")
        increment("c")
    assert seen == [["a", "b", "c"], ["a", "b", "c"]]
    assert len(told.calls) == 1


@commits
def test_what_is_reported_after_a_commit_is_told_after_the_next(told: ScriptedAdmin) -> None:
    def report() -> None:
        with transaction.atomic():
            increment("later")
            assert told.incremented == ["a", "b"]

    with transaction.atomic():
        increment("a")
        transaction.on_commit(report)
        increment("b")
    assert told.incremented == ["a", "b", "later"]


@commits
def test_of_savepoints_that_are_rolled_back_nothing_is_told_by_what_comes_after(told: ScriptedAdmin) -> None:
    with transaction.atomic():
        increment("first")
        for n in range(3):
            with transaction.atomic():
                increment(f"lost:{n}")
                with transaction.atomic():
                    increment(f"lost:{n}:inner")
                transaction.set_rollback(True)
            increment(f"kept:{n}")
    assert told.incremented == ["first", "kept:0", "kept:1", "kept:2"]


@commits
def test_of_very_many_changes_in_one_transaction_none_is_moved_for_another(told: ScriptedAdmin) -> None:
    tags = [f"User:{n}" for n in range(3)]
    with transaction.atomic():
        for tag in tags:
            increment(tag)
        waiting = [hook[1] for hook in connection.run_on_commit]
        assert [it.wishes[0].tag for it in waiting if isinstance(it, AfterCommit)] == tags
    assert told.incremented == tags


def fail() -> None:
    raise RuntimeError("of the app")


@commits
@pytest.mark.parametrize("undone", [0, 1, 2])
def test_l06_a_hook_of_the_app_that_raises_does_not_keep_ours_from_telling(
    told: ScriptedAdmin, undone: int
) -> None:
    def write() -> None:
        with transaction.atomic():
            transaction.on_commit(fail)
            for n in range(undone):
                with transaction.atomic():
                    increment(f"lost:{n}")
                    transaction.set_rollback(True)
            increment("a")
            transaction.on_commit(fail)
            increment("b")
            with transaction.atomic():
                increment("lost")
                transaction.set_rollback(True)

    with pytest.raises(RuntimeError):
        write()
    assert told.incremented == ["a", "b"]


@commits
def test_l06_on_a_response_too(told: ScriptedAdmin) -> None:
    def write() -> None:
        with transaction.atomic():
            transaction.on_commit(fail)
            increment("a")

    with collecting() as collector:
        with pytest.raises(RuntimeError):
            write()
        assert list(collector.close().increments) == ["a"]


@pytest.mark.django_db  # a test case's transaction, which never ends
def test_within_a_test_case_what_was_captured_is_told_and_what_came_before_is_not(
    told: ScriptedAdmin,
) -> None:
    increment("set-up")
    seen: list[list[str]] = []
    with TestCase.captureOnCommitCallbacks(execute=True) as callbacks:
        transaction.on_commit(lambda: seen.append(told.incremented))
        increment("a")
        with transaction.atomic():
            increment("b")
    assert told.incremented == ["a", "b"]
    assert (len(callbacks), seen) == (3, [[]])


@commits
def test_in_a_request_it_travels_on_the_response(told: ScriptedAdmin) -> None:
    with collecting() as collector:
        assert increment("a", soft=True) is None
        with transaction.atomic():
            assert increment("b", again=5) is None
        assert change("r") is None
        collected = collector.close()
        assert list(collected.increments.values()) == [Increment("a", soft=True), Increment("b", again=5)]
        assert list(collected.changes) == [Change("r")]
        assert told.calls == []


def test_once_the_head_is_made_the_admin_interface_is_told(told: ScriptedAdmin) -> None:
    with collecting() as collector:
        collector.close()
        assert increment("late") is True
        assert change("r", {"a": 1}, {"a": 2}) is True
    assert told.incremented == ["late"]
    assert told.calls[-1].json == {"rule": "r", "old": {"a": "1"}, "new": {"a": "2"}}


def test_where_the_setting_says_so_every_increment_is_repeated(
    told: ScriptedAdmin, settings: Settings
) -> None:
    settings.TAGALONG = {"ADMIN_URLS": told.url, "AGAIN": 3}
    increment("a")
    increment("b", again=1)
    assert [call.json for call in told.calls] == [
        {"tags": ["a"], "again": "3s"},
        {"tags": ["b"], "again": "1s"},
    ]


def test_told_at_once_it_travels_on_the_response_too(told: ScriptedAdmin, settings: Settings) -> None:
    settings.TAGALONG = {"ADMIN_URLS": told.url, "AT_ONCE": True}
    with collecting() as collector:
        assert increment("a") is True
        assert told.incremented == ["a"]
        assert list(collector.close().increments) == ["a"]


@commits
def test_one_increment_may_be_told_at_once(told: ScriptedAdmin) -> None:
    with collecting() as collector:
        increment("later")
        with transaction.atomic():
            increment("b")
            assert increment("a", at_once=True) is None
            assert told.calls == []
        assert told.incremented == ["b", "a"], "one commit is one call"
        told.answer = lambda _: Reply(500, {})
        assert increment("c", at_once=True) is None, "the response tells it"
        assert list(collector.close().increments) == ["later", "b", "a", "c"]
        told.answer = done
        assert increment("d", at_once=True) is True


def test_l13_who_was_away_a_moment_ago_is_not_waited_for_where_the_response_tells(
    told: ScriptedAdmin, settings: Settings
) -> None:
    settings.TAGALONG = {"ADMIN_URLS": told.url, "AT_ONCE": True, "RETRIES": 0}
    told.answer = lambda _: Reply(cut=True)
    tags = [f"User:{n}" for n in range(20)]
    with collecting() as collector:
        assert [increment(tag) for tag in tags] == [None] * 20
        assert list(collector.close().increments) == tags
    assert len(told.calls) == 1
    assert increment("outside") is False
    assert len(told.calls) == 2, "what no response tells is tried all the same"


@commits
def test_soft_and_repeated_ones_are_calls_of_their_own(told: ScriptedAdmin) -> None:
    with transaction.atomic():
        increment("a", "b")
        increment("c", soft=True)
        increment("d", again=2)
    assert [call.json for call in told.calls] == [
        {"tags": ["a", "b"]},
        {"tags": ["c"], "soft": True},
        {"tags": ["d"], "again": "2s"},
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param({}, {}, ({}, {}), id="the whole rule"),
        pytest.param({"a": 1}, {"a": 2}, ({"a": "1"}, {"a": "2"}), id="numbers"),
        pytest.param({"a": None}, {"a": ""}, ({}, {"a": ""}), id="absent and empty differ"),
        pytest.param({"a": False}, {"a": True}, ({"a": "false"}, {"a": "true"}), id="truth"),
        pytest.param({"a": Decimal("1E+2")}, {"a": 0}, ({"a": "100"}, {"a": "0"}), id="decimals"),
        pytest.param({"a": "x"}, {"a": "y", "b": "z"}, ({"a": "x"}, {"a": "y", "b": "z"}), id="one more"),
        pytest.param({"a": "\ud800"}, {"a": "é"}, ({"a": "?"}, {"a": "é"}), id="what has no UTF-8"),
    ],
)
def test_values_of_a_change_are_told_as_text(
    told: ScriptedAdmin, old: dict[str, object], new: dict[str, object], expected: tuple[object, object]
) -> None:
    assert change("r", old, new) is True
    assert told.calls[0].json == {"rule": "r", "old": expected[0], "new": expected[1]}


@pytest.mark.parametrize("in_request", [False, True])
def test_a_change_with_values_that_are_too_long_is_one_of_the_whole_rule(
    told: ScriptedAdmin, in_request: bool
) -> None:
    with collecting() as collector:
        if not in_request:
            collector.close()
        change("r", {"a": "x" * 2_000_000}, {"a": "y" * 2_000_000})
        change("s", {"a": "é" * 2046}, {"a": "1"})
        on_response = list(collector.close().changes)
    fits = {"rule": "s", "old": {"a": "é" * 2046}, "new": {"a": "1"}}
    if in_request:
        assert on_response == [Change("r"), Change("s", (("a", "é" * 2046),), (("a", "1"),))]
    else:
        assert [call.json for call in told.calls] == [{"rule": "r", "old": {}, "new": {}}, fits]


@commits
@pytest.mark.parametrize("in_request", [False, True])
def test_many_changes_of_one_rule_are_one_of_the_whole_rule(told: ScriptedAdmin, in_request: bool) -> None:
    with collecting() as collector:
        if not in_request:
            collector.close()
        with transaction.atomic():
            for n in range(MANY + 1):
                change("many", {"a": n}, {"a": n + 1})
            for n in range(MANY):
                change("few", {"a": n}, {"a": n + 1})
            change("covered", {"a": 1}, {"a": 2})
            change("covered")
            change("covered", {"a": 2}, {"a": 3})
        seen = [(it.rule, dict(it.old)) for it in collector.close().changes]
    seen = seen if in_request else [(call.json["rule"], call.json["old"]) for call in told.calls]
    assert seen == [("many", {}), *(("few", {"a": str(n)}) for n in range(MANY)), ("covered", {})]


@commits
@pytest.mark.parametrize("reply", [Reply(cut=True), Reply(503, {})], ids=["silent", "503"])
def test_l13_a_sidecar_that_is_away_is_asked_once_whatever_there_is_to_tell(
    told: ScriptedAdmin, settings: Settings, caplog: pytest.LogCaptureFixture, reply: Reply
) -> None:
    settings.TAGALONG = {"ADMIN_URLS": told.url, "RETRIES": 0}
    told.answer = lambda _: reply
    with transaction.atomic():
        increment("a")
        increment("b", soft=True)
        for n in range(20):
            change("r", {"a": n}, {"a": n + 1})
    assert len(told.calls) == 1
    assert "21 more" in caplog.text


@commits
def test_l06_a_sidecar_that_refuses_one_thing_is_told_the_others(told: ScriptedAdmin) -> None:
    told.answer = lambda call: done(call) if "User" in str(call.body) else Reply(422, {})
    with transaction.atomic():
        change("r")
        increment("a", soft=True)
        increment("User:1")
    assert told.incremented == ["a", "User:1"]
    assert told.calls[-1].path == "/v1/change"


@pytest.mark.parametrize("values", [{"a": 1}, {"a": None}, {"a": "1", "b": None}])
def test_a_change_that_changes_nothing_is_told_to_nobody(
    told: ScriptedAdmin, values: dict[str, object]
) -> None:
    assert change("r", values, dict(values)) is None
    assert told.calls == []


@pytest.mark.parametrize("tag", ["", "~all", "a,b", "a b", "a\r\nX: y", "a;v=1", "x" * 5000])
def test_what_is_no_tag_is_refused_where_it_is_said(told: ScriptedAdmin, tag: str) -> None:
    with pytest.raises(ValueError, match="tag"):
        increment("fine", tag)
    assert told.calls == []


@pytest.mark.parametrize("again", [0, -1, 86401, True, 1.5, "2"])
def test_a_second_increment_has_its_bounds(again: object) -> None:
    with pytest.raises(ValueError, match="again"):
        increment("a", again=again)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "name"), [("", "a"), ("é", "a"), ("r\n", "a"), ("r", "A"), ("r", ""), ("r", "a b")]
)
def test_what_no_header_can_say_of_a_change_is_refused(rule: str, name: str) -> None:
    with pytest.raises(ValueError, match=r"rule|attribute"):
        change(rule, {name: 1}, {})


def test_each_sidecar_is_told_and_one_that_is_not_makes_it_false(
    told: ScriptedAdmin, nobody: str, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    other = ScriptedAdmin()
    settings.TAGALONG = {"ADMIN_URLS": [told.url, other.url]}
    assert increment("a") is True
    settings.TAGALONG = {"ADMIN_URLS": [nobody, told.url, other.url], "RETRIES": 0}
    assert increment("b") is False
    assert told.incremented == other.incremented == ["a", "b"]
    assert nobody in caplog.text
    other.close()


def test_without_an_admin_interface_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    assert increment("a") is False
    assert increment("b") is False
    assert [it.levelno for it in caplog.records] == [logging.WARNING]


@commits
def test_switched_off_nobody_is_told(told: ScriptedAdmin, settings: Settings) -> None:
    settings.TAGALONG = {"ENABLED": False, "ADMIN_URLS": told.url}
    assert increment("a") is None
    with transaction.atomic():
        increment("b")
    assert told.calls == []
    assert not conf.get().enabled


@commits
def test_without_autocommit_it_is_told_at_once_and_said_so(
    told: ScriptedAdmin, caplog: pytest.LogCaptureFixture
) -> None:
    transaction.set_autocommit(False)
    try:
        assert increment("a") is True
    finally:
        connection.rollback()
        transaction.set_autocommit(True)
    assert "autocommit is off" in caplog.text


async def _awaited() -> bool | None:
    return await aincrement("a")


@commits
def test_fk9_a_coroutine_that_is_called_within_a_transaction_waits_for_its_commit(
    told: ScriptedAdmin,
) -> None:
    from asgiref.sync import async_to_sync

    with transaction.atomic():
        assert async_to_sync(_awaited)() is None
        assert told.calls == []
    assert told.incremented == ["a"]


def test_a_coroutine_can_wait_for_the_answer(told: ScriptedAdmin) -> None:
    from asgiref.sync import async_to_sync

    assert async_to_sync(_awaited)() is True
    assert told.incremented == ["a"]
