"""The client of the admin interface: what it says, what it tries again, and what it makes of answers."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from django.views.debug import ExceptionReporter
from pytest_django import Settings

from django_tagalong import Client, SidecarError, client, conf, wire
from django_tagalong.client import Missing, Object, TagState

from .scripted import Reply, ScriptedAdmin

Connect = Callable[..., Client]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes clients, and closes their connections."""
    made: list[Client] = []

    def connect(*of: Any, **more: Any) -> Client:
        made.append(Client(*of, **more))
        return made[-1]

    yield connect
    for one in made:
        one.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "BACKOFF", 0.001)


def test_a_call_presents_the_token_and_json(connect: Connect, admin: ScriptedAdmin) -> None:
    connect(admin.url, "secret").increment(["a", "Café:日"], soft=True, again=2)
    [call] = admin.calls
    assert (call.method, call.path) == ("POST", "/v1/tags/increment")
    assert call.headers["Authorization"] == "Bearer secret"
    assert call.headers["Content-Type"] == "application/json"
    assert call.json == {"tags": ["a", "Café:日"], "soft": True, "again": "2s"}


def test_a_url_may_have_a_path(admin: ScriptedAdmin) -> None:
    admin.answer = lambda _: Reply(body={"ok": 1})
    assert Client(f"{admin.url}/tagalong/").stats() == {"ok": 1}
    assert admin.calls[0].path == "/tagalong/v1/stats"


def test_calls_share_a_connection(connect: Connect, admin: ScriptedAdmin) -> None:
    here = connect(admin.url)
    for _ in range(3):
        here.increment(["a"])
    assert [call.connection for call in admin.calls] == [1, 1, 1]


def test_each_thread_has_a_connection_of_its_own(connect: Connect, admin: ScriptedAdmin) -> None:
    here = connect(admin.url)
    here.increment(["a"])

    def other() -> None:
        here.increment(["b"])

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    here.increment(["c"])
    assert [call.connection for call in admin.calls] == [1, 2, 1]


def test_a_child_does_not_use_the_connection_of_its_parent(
    connect: Connect, admin: ScriptedAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = connect(admin.url)
    here.increment(["a"])
    pid = os.getpid()
    monkeypatch.setattr(wire.os, "getpid", lambda: pid + 1)
    here.increment(["b"])
    assert [call.connection for call in admin.calls] == [1, 2]


def test_a_connection_that_was_closed_meanwhile_is_opened_again_without_counting_as_a_try(
    connect: Connect, admin: ScriptedAdmin
) -> None:
    here = connect(admin.url, retries=0)
    here.increment(["a"])
    admin.script = [Reply(cut=True)]
    assert here.increment(["b"]).incremented == 1
    assert [call.connection for call in admin.calls] == [1, 1, 2]


@pytest.mark.parametrize(
    "failure",
    [Reply(503, {"title": "Busy", "status": 503, "detail": "Later."}), Reply(cut=True)],
    ids=["503", "cut"],
)
def test_what_fails_is_tried_again(connect: Connect, admin: ScriptedAdmin, failure: Reply) -> None:
    admin.script = [failure, failure]
    assert connect(admin.url, retries=2).increment(["a"]).incremented == 1
    assert len(admin.calls) == 3


def test_tries_end(connect: Connect, admin: ScriptedAdmin) -> None:
    admin.answer = lambda _: Reply(
        503, {"title": "Unavailable", "status": 503, "detail": "The store is away."}
    )
    with pytest.raises(SidecarError, match="503 Unavailable: The store is away") as error:
        connect(admin.url, retries=2).increment(["a"])
    assert error.value.status == 503
    assert len(admin.calls) == 3


def test_after_a_failure_calls_are_tried_once_for_a_while(
    connect: Connect, admin: ScriptedAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = connect(admin.url, retries=2)
    admin.answer = lambda _: Reply(cut=True)
    for expected in (3, 4, 5):
        with pytest.raises(SidecarError):
            here.increment(["a"])
        assert len(admin.calls) == expected
    later = time.monotonic() + wire.CAUTION
    monkeypatch.setattr(wire.time, "monotonic", lambda: later)
    with pytest.raises(SidecarError):
        here.increment(["a"])
    assert len(admin.calls) == 8


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 500])
def test_a_refusal_is_not_tried_again(connect: Connect, admin: ScriptedAdmin, status: int) -> None:
    admin.answer = lambda _: Reply(status, {"title": "No", "status": status, "detail": "Because."})
    with pytest.raises(SidecarError, match="No: Because") as error:
        connect(admin.url).increment(["a"])
    assert error.value.status == status
    assert len(admin.calls) == 1


def test_a_sidecar_that_is_away_is_said_so_without_the_token(connect: Connect, nobody: str) -> None:
    with pytest.raises(SidecarError, match=r"^cannot be reached: ") as error:
        connect(nobody, "secret").stats()
    assert error.value.status is None
    assert "secret" not in f"{error.value!r} {connect(nobody, 'secret')!r}"


class Interrupted(BaseException):
    """What a server throws into a worker that takes too long."""


def report(call: Callable[[], object]) -> str:
    """What Django shows of an error: each frame with its variables."""
    try:
        call()
    except BaseException:
        return ExceptionReporter(None, *sys.exc_info()).get_traceback_html()
    raise AssertionError("it did not fail")


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("failure", ["refused", "away", "interrupted", "not sent"])
def test_a_token_stands_in_no_report_of_an_error(
    connect: Connect,
    admin: ScriptedAdmin,
    nobody: str,
    failure: str,
    debug: bool,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.DEBUG = debug
    token = "top" + "secret"  # in two, as the lines of a program are shown, too
    admin.answer = lambda _: Reply(401, {"title": "No", "status": 401, "detail": "Because."})
    made = connect(nobody if failure == "away" else admin.url, token, retries=1)

    def fail(*_: object) -> None:
        raise Interrupted("in the middle")

    if failure == "interrupted":
        monkeypatch.setattr("http.client.HTTPConnection.send", fail)
    if failure == "not sent":
        shown = report(partial(made.put_object, "k", b"", max_age=60, content_type="a\r\nb"))
    else:
        shown = report(made.stats)
    assert "wire.py" in shown
    assert token not in shown


def test_a_token_stands_in_no_report_of_a_setting_that_is_wrong(settings: Settings) -> None:
    token = "top" + "secret"
    settings.TAGALONG = {"ADMIN_URLS": "nothing", "TOKEN": token}
    shown = report(conf.get)
    assert "tagalong.E004" in shown
    assert token not in shown


@pytest.mark.parametrize("token", ["a\r\nX: y", "a b", "", "é"])
def test_a_token_that_no_header_can_carry_is_an_error_that_does_not_show_it(token: str) -> None:
    with pytest.raises(ValueError, match=r"^a token is printable ASCII without spaces"):
        Client("http://127.0.0.1:9", token)


def test_a_token_that_no_header_can_carry_stands_in_no_report_of_a_server() -> None:
    shown = report(lambda: Client("http://127.0.0.1:9", "top" + "secret\n"))
    assert "wire.py" in shown
    assert "top" + "secret" not in shown


def test_a_sidecar_that_says_nothing_is_not_waited_for_longer_than_the_timeout(connect: Connect) -> None:
    admin, asked, over = ScriptedAdmin(), threading.Event(), threading.Event()

    def hang(_: object) -> Reply:
        asked.set()
        over.wait(10)
        return Reply(cut=True)

    admin.answer = hang
    started = time.monotonic()
    with pytest.raises(SidecarError, match="timed out"):
        connect(admin.url, timeout=0.2, retries=0).stats()
    assert asked.is_set()
    assert time.monotonic() - started < 5
    over.set()
    admin.close()


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b"{}",
        b'{"incremented": "1"}',
        b'{"incremented": 1, "versions": null, "ignored": []}',
    ],
)
def test_what_is_no_answer_of_a_sidecar_is_an_error(
    connect: Connect, admin: ScriptedAdmin, body: bytes
) -> None:
    admin.answer = lambda _: Reply(body=body)
    with pytest.raises(SidecarError, match="no sidecar"):
        connect(admin.url).increment(["a"])


def test_an_answer_that_is_cut_short_is_an_error(connect: Connect, admin: ScriptedAdmin) -> None:
    admin.answer = lambda _: Reply(body=b"half", short=True)
    with pytest.raises(SidecarError, match="cannot be reached"):
        connect(admin.url, retries=0).get_object("a")


def test_many_tags_are_several_calls(connect: Connect, admin: ScriptedAdmin) -> None:
    tags = [f"User:{n}" for n in range(25_000)]
    assert connect(admin.url).increment(tags).incremented == 25_000
    assert [len(call.json["tags"]) for call in admin.calls] == [10_000, 10_000, 5_000]
    assert admin.incremented == tags


def test_long_tags_are_several_calls(connect: Connect, admin: ScriptedAdmin) -> None:
    tags = [f"{'日' * 1000}:{n}" for n in range(500)]
    connect(admin.url).increment(tags)
    assert max(len(call.body) for call in admin.calls) < client.MAX_CALL_BYTES + 100
    assert admin.incremented == tags


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda it: it.purge(url="http://a/b"), ("POST", "/v1/purge", {"url": "http://a/b"})),
        (lambda it: it.purge(all=True, soft=True), ("POST", "/v1/purge", {"all": True, "soft": True})),
        (lambda it: it.purge(tags=["a"]), ("POST", "/v1/purge", {"tags": ["a"]})),
        (
            lambda it: it.refresh(tags=["a"], cursor="x"),
            ("POST", "/v1/refresh", {"tags": ["a"], "cursor": "x"}),
        ),
        (
            lambda it: it.change("r", {"a": "1"}, {}),
            ("POST", "/v1/change", {"rule": "r", "old": {"a": "1"}, "new": {}}),
        ),
        (lambda it: it.stats(), ("GET", "/v1/stats", None)),
        (lambda it: it.tags(), ("GET", "/v1/tags", None)),
        (lambda it: it.audit(5, "x"), ("GET", "/v1/audit?limit=5&cursor=x", None)),
        (lambda it: it.delete_object("a/b?c"), ("DELETE", "/v1/objects/a%2Fb%3Fc", None)),
        (
            lambda it: it.explain("http://a/", "HEAD", {"X-A": "1"}),
            ("GET", "/v1/explain?method=HEAD&url=http%3A%2F%2Fa%2F&header=X-A%3A+1", None),
        ),
        (
            lambda it: it.explain("http://a/", headers=[("A", "1"), ("A", "2")]),
            ("GET", "/v1/explain?method=GET&url=http%3A%2F%2Fa%2F&header=A%3A+1&header=A%3A+2", None),
        ),
    ],
)
def test_a_call_is_made_as_the_sidecar_describes_it(
    connect: Connect,
    admin: ScriptedAdmin,
    call: Callable[[Client], object],
    expected: tuple[str, str, object],
) -> None:
    body = {"purged": None, "incremented": 1, "refreshed": 1, "failed": 0, "skipped": 0, "cursor": None}
    admin.answer = lambda _: Reply(body=body | {"tag": "t", "version": None, "audit": []})
    call(connect(admin.url))
    [asked] = admin.calls
    assert (asked.method, asked.path, asked.json if asked.body else None) == expected


def test_a_tag_is_asked_for_by_its_encoded_name(connect: Connect, admin: ScriptedAdmin) -> None:
    cause = {"at": "2026-11-29T03:04:05Z", "ago_seconds": 1.5, "by": "POST /", "source": "header"}
    admin.script = [
        Reply(body={"tag": "U/a:ü", "version": None}),
        Reply(body={"tag": "U/a:ü", "version": 7, "app_version": 2, "incremented": cause}),
    ]
    here = connect(admin.url)
    assert here.tag("U/a:ü") == TagState("U/a:ü", None, None, None)
    assert here.tag("U/a:ü") == TagState("U/a:ü", 7, 2, cause)
    assert admin.calls[0].path == "/v1/tags/U%2Fa%3A%C3%BC"


def test_an_object_is_what_was_put(connect: Connect, admin: ScriptedAdmin) -> None:
    admin.script = [
        Reply(404, {}, {"Tagalong-Token": "1-2"}),
        Reply(201, b""),
        Reply(200, b"\x00\xff", {"Content-Type": "x/y", "Age": "3"}),
        Reply(409, {}),
    ]
    here = connect(admin.url)
    assert here.get_object("k") == Missing("1-2")
    assert here.put_object("k", b"\x00\xff", max_age=60, tags=["a", "b:é"], token="1-2", content_type="x/y")
    assert here.get_object("k") == Object(b"\x00\xff", "x/y", 3)
    assert not here.put_object("k", b"", max_age=60)
    put = admin.calls[1]
    assert put.body == b"\x00\xff"
    assert put.headers["Tagalong-Cache-Control"] == "max-age=60"
    assert put.headers["Tagalong-Token"] == "1-2"
    assert put.headers["Cache-Tag"].encode("latin-1").decode() == "a, b:é"


def test_a_hostile_tag_adds_no_header_to_a_put(connect: Connect, admin: ScriptedAdmin) -> None:
    with pytest.raises(ValueError, match="no tag"):
        connect(admin.url).put_object("k", b"", max_age=60, tags=["a\r\nTagalong-Token: x"])
    assert admin.calls == []
