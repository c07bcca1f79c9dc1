"""The middleware: what a response carries, and what is done with what it cannot carry."""

import asyncio
import logging
import pickle
from collections.abc import Callable
from contextlib import closing
from contextvars import Context, copy_context
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.http.response import BadHeaderError, HttpResponseBase
from django.test import AsyncClient, Client, RequestFactory
from pytest_django import Settings

from django_tagalong import conf, increment
from django_tagalong.collector import collecting, current
from django_tagalong.fields import RepeatedHeaders
from django_tagalong.middleware import TagalongMiddleware

from .app.models import User
from .scripted import Reply, ScriptedAdmin

commits = pytest.mark.django_db(transaction=True, databases=["default", "other"])


# What a sidecar says of itself in a request that it passes on.
PASSED_ON = {"Surrogate-Capability": 'other="x", tagalong="Surrogate/1.0"'}


def lines(response: HttpResponseBase, name: str) -> list[str]:
    """The lines of a field as they go on the wire, read as UTF-8."""
    return [value.encode("latin-1").decode() for field, value in response.items() if field == name]


def members(response: HttpResponseBase, name: str) -> list[str]:
    return [it for line in lines(response, name) for it in line.split(", ")]


def post(way: str, pk: int = 1, name: str = "Ann") -> HttpResponse:
    client = Client(raise_request_exception=False)
    return client.post(f"/write/{way}/{pk}", name, content_type="text/plain", headers=PASSED_ON)


def apost(way: str, pk: int = 1, name: str = "Ann") -> HttpResponse:
    async def send() -> HttpResponse:
        client = AsyncClient(raise_request_exception=False)
        return await client.post(f"/awrite/{way}/{pk}", name, content_type="text/plain", headers=PASSED_ON)

    return async_to_sync(send)()


@commits
@pytest.mark.parametrize("send", [post, apost], ids=["sync", "async"])
@pytest.mark.parametrize(
    ("way", "status", "expected"),
    [
        ("save", 200, ["User:1"]),
        ("thrice", 200, ["User:1"]),
        ("thrice-at-once", 200, ["User:1"]),
        ("roll-back", 200, []),
        ("roll-back-inner", 200, ["User:1", "User:3"]),
        ("nest", 200, ["User:1", "User:2", "User:3"]),
        ("commit-and-raise", 500, ["User:1"]),
        ("elsewhere", 200, ["User:1"]),
        ("softly", 200, ["User:1;soft", "User:2;again=1"]),
    ],
)
def test_a_response_carries_what_was_committed(
    told: ScriptedAdmin, send: Callable[[str], HttpResponse], way: str, status: int, expected: list[str]
) -> None:
    response = send(way)
    assert response.status_code == status
    assert members(response, "Cache-Tag-Increment") == expected
    assert told.calls == []


@commits
@pytest.mark.parametrize("alias", ["default", "other"])
@pytest.mark.parametrize(
    ("way", "status", "expected"),
    [
        ("save", 200, {"default": ["User:1"], "other": ["User:1"]}),
        ("commit-and-raise", 500, {"default": [], "other": ["User:1"]}),
    ],
)
def test_with_atomic_requests_a_view_that_raises_has_changed_nothing_in_that_database(
    monkeypatch: pytest.MonkeyPatch, alias: str, way: str, status: int, expected: dict[str, list[str]]
) -> None:
    monkeypatch.setitem(connections[alias].settings_dict, "ATOMIC_REQUESTS", True)
    response = post(way)
    assert response.status_code == status
    assert members(response, "Cache-Tag-Increment") == expected[alias]
    assert User.objects.filter(pk=1).exists() is bool(expected[alias])


@commits
def test_a_page_has_its_tags() -> None:
    response = Client().get("/users/7")
    assert lines(response, "Cache-Tag") == ["User:7"]
    assert lines(response, "Cache-Tag-Increment") == []


def test_a_change_is_on_the_response() -> None:
    assert lines(post("change", name='b"é'), "Cache-Tag-Change") == [
        '"shelves";old.shelf="a";new.shelf=%"b%22%c3%a9"'
    ]


@commits
def test_a_thread_that_a_view_starts_tells_the_admin_interface(told: ScriptedAdmin) -> None:
    response = post("thread")
    assert members(response, "Cache-Tag-Increment") == []
    assert told.incremented == ["User:1"]


@commits
@pytest.mark.parametrize("client", ["/stream/1", "/astream/1"])
def test_what_is_written_while_streaming_is_told_to_the_admin_interface(
    told: ScriptedAdmin, client: str
) -> None:
    if client == "/stream/1":
        response = Client().post(client, "Ann", content_type="text/plain")
        assert told.calls == []
        body = b"".join(response.streaming_content)
    else:

        async def send() -> tuple[HttpResponse, bytes]:
            response = await AsyncClient().post(client, "Ann", content_type="text/plain")
            return response, b"".join([it async for it in response.streaming_content])

        response, body = async_to_sync(send)()
    assert body == b"first\nTrue\n"
    assert lines(response, "Cache-Tag-Increment") == []
    assert told.incremented == ["User:1"]


@commits
def test_thousands_of_increments_are_several_lines_and_one_call_and_none_is_lost(told: ScriptedAdmin) -> None:
    response = post("many", 5000)
    on_response = members(response, "Cache-Tag-Increment")
    assert len(lines(response, "Cache-Tag-Increment")) > 1
    assert all(len(line) <= 4096 for line in lines(response, "Cache-Tag-Increment"))
    assert len(told.calls) == 1
    assert on_response + told.incremented == [f"User:{n}" for n in range(5000)]
    assert lines(response, "X-LiteSpeed-Purge") == []


@commits
def test_the_rest_is_told_before_the_response_leaves_by_coroutines_too(told: ScriptedAdmin) -> None:
    response = apost("many", 5000)
    assert members(response, "Cache-Tag-Increment") + told.incremented == [f"User:{n}" for n in range(5000)]


@commits
@pytest.mark.parametrize("send", [post, apost], ids=["sync", "async"])
@pytest.mark.parametrize("has_admin", [True, False])
def test_if_the_rest_cannot_be_told_everything_is_forgotten(
    nobody: str,
    settings: Settings,
    send: Callable[[str, int], HttpResponse],
    has_admin: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.TAGALONG = {"ADMIN_URLS": nobody if has_admin else [], "RETRIES": 0}
    response = send("many", 5000)
    assert response.status_code == 200
    assert lines(response, "X-LiteSpeed-Purge") == ["*"]
    assert "all is forgotten instead" in caplog.text


@commits
@pytest.mark.parametrize("send", [post, apost], ids=["sync", "async"])
def test_sidecars_that_share_no_store_are_all_told_before_the_response_leaves(
    told: ScriptedAdmin,
    settings: Settings,
    send: Callable[[str], HttpResponse],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with closing(ScriptedAdmin()) as other:
        settings.TAGALONG = {"ADMIN_URLS": [told.url, other.url]}
        assert members(send("save"), "Cache-Tag-Increment") == ["User:1"]
        assert told.incremented == other.incremented == ["User:1"]
        other.answer = lambda _: Reply(500, {})
        response = send("save")
    assert members(response, "Cache-Tag-Increment") == ["User:1"]
    assert lines(response, "X-LiteSpeed-Purge") == []
    assert [it.levelno for it in caplog.records if it.name == "django_tagalong"] == [logging.ERROR]


@pytest.mark.parametrize("client", [Client, AsyncClient])
@pytest.mark.parametrize("said", [None, 'nginx="Surrogate/1.0"', ""])
def test_where_the_sidecar_has_not_passed_a_request_on_it_is_told_by_a_call(
    told: ScriptedAdmin, client: type[Client | AsyncClient], said: str | None
) -> None:
    headers = {} if said is None else {"Surrogate-Capability": said}
    if client is Client:
        response = Client().post("/untold/value?value=1", headers=headers)
    else:

        async def send() -> HttpResponse:
            return await AsyncClient().post("/untold/value?value=1", headers=headers)

        response = async_to_sync(send)()
    assert members(response, "Cache-Tag-Increment") == told.incremented == ["Value:1"]
    assert len(told.calls) == 1
    Client().get("/tags/3", headers=headers)
    assert len(told.calls) == 1


@pytest.mark.parametrize("count", [256, 257])
def test_more_tags_than_are_stored_are_all_sent_and_noted(
    count: int, caplog: pytest.LogCaptureFixture
) -> None:
    response = Client().get(f"/tags/{count}")
    assert len(members(response, "Cache-Tag")) == count
    assert ("too many" in caplog.text) is (count > 256)


def test_more_bytes_of_tags_than_are_stored_say_that_nothing_is_to_be_stored(
    caplog: pytest.LogCaptureFixture,
) -> None:
    response = Client().get("/tags/5000")
    assert lines(response, "Cache-Tag") == []
    assert lines(response, "Tagalong-Cache-Control") == ["no-store"]
    assert "too many" in caplog.text


def respond(response: HttpResponse, work: Callable[[], object] = lambda: None) -> HttpResponseBase:
    """A response that a view has made, as the middleware lets it out."""

    def view(request: HttpRequest) -> HttpResponse:
        work()
        return response

    out = TagalongMiddleware(view)(RequestFactory().get("/"))
    assert isinstance(out, HttpResponseBase)
    return out


def test_what_a_view_says_itself_stays() -> None:
    def work() -> None:
        here = current()
        assert here is not None
        here.tag("b", "Café:日")
        here.fresh("max-age", 5)

    out = respond(HttpResponse(headers={"Cache-Tag": "a", "Tagalong-Cache-Control": "max-age=9"}), work)
    assert members(out, "Cache-Tag") == ["a", "b", "Café:日"]
    assert lines(out, "Tagalong-Cache-Control") == ["max-age=9"]


def give_life() -> None:
    here = current()
    assert here is not None
    here.tag("a")
    here.fresh("max-age", 60)
    here.fresh("stale-while-revalidate", 5)


@pytest.mark.parametrize(
    ("said", "life"),
    [
        ("private", []),
        ("max-age=0, No-Cache", []),
        ("no-store", []),
        ('private="set-cookie"', []),
        ("public, max-age=5", ["max-age=60, stale-while-revalidate=5"]),
        ('ext="not private"', ["max-age=60, stale-while-revalidate=5"]),
    ],
)
def test_l12_what_leaves_the_app_as_private_is_given_no_life(said: str, life: list[str]) -> None:
    out = respond(HttpResponse(headers={"Cache-Control": said}), give_life)
    assert (lines(out, "Tagalong-Cache-Control"), lines(out, "Cache-Tag")) == (life, ["a"])


def test_what_is_not_to_be_stored_says_so_although_it_is_private() -> None:
    def work() -> None:
        give_life()
        here = current()
        assert here is not None
        here.fresh("no-store")

    out = respond(HttpResponse(headers={"Cache-Control": "private"}), work)
    assert lines(out, "Tagalong-Cache-Control") == ["no-store"]


def test_an_error_that_comes_after_a_view_has_succeeded_is_given_no_life() -> None:
    assert lines(respond(HttpResponse(status=500), give_life), "Tagalong-Cache-Control") == []


def test_l15_a_response_object_that_answers_twice_has_nothing_of_the_request_before() -> None:
    response = HttpResponse(headers={"Cache-Tag": "page", "X-LiteSpeed-Purge": "tag=x"})

    def work() -> None:
        here = current()
        assert here is not None
        here.tag(*(f"t{n}:{'x' * 100}" for n in range(100)))
        here.fresh("max-age", 60)
        increment("User:1")

    respond(response, work)
    assert len(lines(response, "Cache-Tag")) > 1
    respond(response, lambda: increment("User:2"))
    assert members(response, "Cache-Tag-Increment") == ["User:2"]
    assert members(response, "Cache-Tag") == ["page"]
    assert lines(response, "Tagalong-Cache-Control") == []
    for _ in range(50):
        respond(response, work)
    assert len(members(response, "Cache-Tag")) == 101
    before = dict(respond(response).items())
    assert before == {
        "Cache-Tag": "page",
        "X-LiteSpeed-Purge": "tag=x",
        "Content-Type": "text/html; charset=utf-8",
    }


def test_what_a_view_sets_anew_on_a_response_object_that_it_keeps_stays() -> None:
    response = HttpResponse()
    respond(response, lambda: increment("User:1"))
    response["Cache-Tag-Increment"] = "Own"
    respond(response, lambda: increment("User:2"))
    assert members(response, "Cache-Tag-Increment") == ["Own", "User:2"]


def test_l15_after_all_was_forgotten_on_one_response_the_next_request_forgets_nothing(
    settings: Settings,
) -> None:
    settings.TAGALONG = {"MAX_INCREMENT_BYTES": 0}
    response = HttpResponse()
    respond(response, lambda: increment("User:1"))
    assert lines(response, "X-LiteSpeed-Purge") == ["*"]
    assert lines(respond(response), "X-LiteSpeed-Purge") == []


def test_a_tag_in_another_script_is_utf_8_on_the_wire() -> None:
    out = respond(HttpResponse(), lambda: increment("Café:日本"))
    [value] = [value for name, value in out.items() if name == "Cache-Tag-Increment"]
    assert value.encode("latin-1") == "Café:日本".encode()


@commits
def test_switched_off_nothing_is_written(settings: Settings) -> None:
    settings.TAGALONG = {"ENABLED": False}
    for response in (post("save"), Client().get("/users/1")):
        assert response.status_code == 200
        assert not [name for name, _ in response.items() if "Tag" in name]


@commits
def test_without_a_sidecar_a_response_is_as_it_was_but_for_the_fields() -> None:
    response = post("save")
    assert (response.status_code, response.content) == (200, b"written")


@commits
def test_a_request_within_a_request_keeps_to_itself() -> None:
    with collecting() as outer:
        increment("outer")
        assert members(post("save"), "Cache-Tag-Increment") == ["User:1"]
        assert current() is outer
        assert list(outer.close().increments) == ["outer"]
    assert current() is None


def test_where_no_response_comes_into_being_the_admin_interface_is_told(told: ScriptedAdmin) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        increment("User:1")
        raise SystemExit

    with pytest.raises(SystemExit):
        TagalongMiddleware(view)(RequestFactory().get("/"))
    assert told.incremented == ["User:1"]
    assert current() is None


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_l06_where_the_head_cannot_be_written_the_admin_interface_is_told(
    told: ScriptedAdmin, is_async: bool
) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        increment("User:1")
        response = HttpResponse()
        response.headers = None  # type: ignore[assignment]
        return response

    async def aview(request: HttpRequest) -> HttpResponse:
        return view(request)

    async def send() -> None:
        answering: Any = TagalongMiddleware(aview)(RequestFactory().get("/"))
        await answering

    with pytest.raises((TypeError, AttributeError)):
        asyncio.run(send()) if is_async else TagalongMiddleware(view)(RequestFactory().get("/"))
    assert told.incremented == ["User:1"]


def test_a_request_that_is_cancelled_loses_no_increment(told: ScriptedAdmin) -> None:
    async def view(request: HttpRequest) -> HttpResponse:
        increment("User:1")
        started.set()
        await asyncio.Event().wait()
        raise AssertionError("this is never reached")

    async def leave() -> None:
        answering: Any = TagalongMiddleware(view)(RequestFactory().get("/"))
        task = asyncio.create_task(answering)
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    started = asyncio.Event()
    asyncio.run(leave())  # which waits for what its threads do
    assert told.incremented == ["User:1"]


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_what_goes_on_in_a_request_s_context_after_its_response_is_told_by_a_call(
    told: ScriptedAdmin, is_async: bool
) -> None:
    left: list[Context] = []

    def view(request: HttpRequest) -> HttpResponse:
        increment("in-time")
        left.append(copy_context())
        return HttpResponse()

    async def aview(request: HttpRequest) -> HttpResponse:
        return view(request)

    request = RequestFactory().get("/", headers=PASSED_ON)
    answering: Any = TagalongMiddleware(aview if is_async else view)(request)
    response = asyncio.run(answering) if is_async else answering
    assert left[0].run(increment, "late") is True
    assert members(response, "Cache-Tag-Increment") == ["in-time"]
    assert told.incremented == ["late"]


def test_two_requests_that_take_turns_do_not_mix() -> None:
    async def both() -> list[HttpResponse]:
        client = AsyncClient()
        return await asyncio.gather(client.get("/meet/A/B"), client.get("/meet/B/A"))

    one, other = asyncio.run(both())
    assert members(one, "Cache-Tag-Increment") == ["A:1", "A:2"]
    assert members(other, "Cache-Tag-Increment") == ["B:1", "B:2"]


@pytest.fixture
def repeated() -> RepeatedHeaders:
    response = HttpResponse(headers={"X-A": "1"})
    headers = RepeatedHeaders(response.headers)
    headers.set_lines("X-B", [b"1", b"2", "é".encode()])
    return headers


def test_a_field_with_several_lines_is_all_of_them(repeated: RepeatedHeaders) -> None:
    expected = [
        ("X-A", "1"),
        ("Content-Type", "text/html; charset=utf-8"),
        ("X-B", "1"),
        ("X-B", "2"),
        ("X-B", "Ã©"),
    ]
    assert repeated.items() == expected
    assert repeated["x-b"] == "1"
    assert pickle.loads(pickle.dumps(repeated)).items() == expected


def test_who_sets_or_deletes_a_field_does_so_with_all_of_its_lines(repeated: RepeatedHeaders) -> None:
    repeated["x-b"] = "3"
    assert repeated.lines("X-B") == ["3"]
    repeated.set_lines("X-B", [b"1", b"2"])
    del repeated["X-B"]
    assert "X-B" not in dict(repeated.items())
    repeated["X-B"] = "4"
    assert repeated.lines("x-b") == ["4"]


def test_a_line_break_never_becomes_a_header(repeated: RepeatedHeaders) -> None:
    for lines in ([b"a\r\nX-D: b"], [b"a", b"b\nX-D: b"], [b"a", b"b\rX-D: b"]):
        with pytest.raises(BadHeaderError):
            repeated.set_lines("X-C", lines)


def test_the_setting_is_read_when_a_server_starts(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(conf, "get", lambda: asked.append(True))
    TagalongMiddleware(lambda _: None)
    assert asked == [True]
