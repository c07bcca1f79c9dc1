"""Pages of a Django app behind the real sidecar: what their views and templates name is what an increment
reaches.
"""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import quote, urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.http import Http404, HttpRequest, HttpResponse
from django.template import Context, Engine
from django.test import override_settings
from django.urls import path
from django.views import View
from pytest_django import Settings
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from django_tagalong import cache_tags, increment, objects, tag, tagged_cache
from django_tagalong.patterns import Pattern

from .alone import NEEDS_A_SIDECAR, Alone

pytestmark = [*NEEDS_A_SIDECAR, pytest.mark.urls(__name__), pytest.mark.usefixtures("_beside")]

MADE = count()
ENGINE = Engine(libraries={"tagalong": "django_tagalong.templatetags.tagalong"})
RULES = """
rules:
  - { id: ruled, match: { path: '/ruled/(?P<name>.*)' }, ttl: 60s, tags: ["Ruled:{name}"] }
  - { id: errors, match: { path: '/missing/.*' }, statuses: { 404: 60s } }
"""


def made() -> HttpResponse:
    """Another page each time."""
    return HttpResponse(f"{next(MADE)}")


@cache_tags("Dashboard", "User:{pk}", ttl=60)
def dashboard(request: HttpRequest, pk: str) -> HttpResponse:
    return made()


@cache_tags("Language", ttl=60, vary_on="Accept-Language")
def language(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{request.headers['Accept-Language']} {next(MADE)}")


@cache_tags("Short", ttl=1, swr=600)
def short(request: HttpRequest) -> HttpResponse:
    return made()


@cache_tags("Missing:{pk}")
def missing(request: HttpRequest, pk: str) -> HttpResponse:
    raise Http404(f"{next(MADE)}")


@cache_tags("Nobody:{nobody}", ttl=60)
def of_nobody(request: HttpRequest, nobody: str | None = None) -> HttpResponse:
    return made()


def ruled(request: HttpRequest, name: str) -> HttpResponse:
    return made()


def in_template(request: HttpRequest, pk: str) -> HttpResponse:
    text = f"{{% load tagalong %}}{next(MADE)}{{% cache_tag 'Shown' pk %}}"
    page = ENGINE.from_string(text).render(Context({"pk": pk}))
    return HttpResponse(page, headers={"Tagalong-Cache-Control": "max-age=60"})


@tagged_cache(timeout=60, tags=["Value:{pk}"])
def value(pk: str) -> int:
    return next(MADE)


def of_values(request: HttpRequest, pk: str) -> HttpResponse:
    return HttpResponse(f"{next(MADE)} {value(pk)}", headers={"Tagalong-Cache-Control": "max-age=60"})


@cache_tags("Class:{pk}", ttl=60)
class Classy(View):
    def get(self, request: HttpRequest, pk: str) -> HttpResponse:
        return made()

    def post(self, request: HttpRequest, pk: str) -> HttpResponse:
        increment(tag("Class", pk))
        return HttpResponse()


class Books(ViewSet):
    @cache_tags("Book:{pk}", ttl=60)
    def retrieve(self, request: Request, pk: str) -> Response:
        return Response({"made": next(MADE)})

    @action(detail=True, methods=["post"])
    def lend(self, request: Request, pk: str) -> Response:
        increment(tag("Book", pk))
        return Response({})


def change(request: HttpRequest) -> HttpResponse:
    increment(*json.loads(request.body))
    return HttpResponse()


urlpatterns = [
    path("users/<str:pk>", dashboard),
    path("language", language),
    path("short", short),
    path("missing/<str:pk>", missing),
    path("nobody", of_nobody),
    path("ruled/<path:name>", ruled),
    path("template/<str:pk>", in_template),
    path("values/<str:pk>", of_values),
    path("class/<str:pk>", Classy.as_view()),
    path("books/<str:pk>", Books.as_view({"get": "retrieve"})),
    path("books/<str:pk>/lend", Books.as_view({"post": "lend"})),
    path("change", change),
]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Silent(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    """A sidecar in front of this module's views."""
    # As Django's own test client does: the connection of this process is not the servers' to close.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    with override_settings(ROOT_URLCONF=__name__):
        server = make_server("127.0.0.1", 0, WSGIHandler(), Server, Silent)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    sidecar = None
    try:
        sidecar = Alone(tmp_path_factory.mktemp("pages"), f"http://127.0.0.1:{server.server_port}", RULES)
        yield sidecar
    finally:
        if sidecar is not None:
            sidecar.stop()
        server.shutdown()
        server.server_close()
        thread.join()
        for signal in (request_started, request_finished):
            signal.connect(close_old_connections)


@pytest.fixture
def _beside(running: Alone, settings: Settings) -> None:
    settings.TAGALONG = running.setting
    objects._paused.clear()
    call_command("tagalong", "purge", "--all", "--yes")


@dataclass
class Page:
    status: int
    body: str
    outcome: str
    fields: dict[str, str]


@pytest.fixture
def ask(running: Alone) -> Callable[..., Page]:
    def ask(url: str, method: str = "GET", body: Any = None, **fields: str) -> Page:
        address = urlsplit(running.url)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=20)
        sent = None if body is None else json.dumps(body).encode()
        connection.request(method, url, sent, {name.replace("_", "-"): it for name, it in fields.items()})
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        headers = {name.lower(): it for name, it in response.getheaders()}
        return Page(response.status, text, headers["cache-status"], headers)

    return ask


Ask = Callable[..., Page]


@pytest.mark.parametrize(
    ("url", "tag"),
    [
        ("/users/42", "Dashboard"),
        ("/users/42", "User:42"),
        ("/template/7", "Shown:7"),
        ("/class/7", "Class:7"),
        ("/books/7", "Book:7"),
        ("/ruled/7", "Ruled:7"),
        ("/missing/7", "Missing:7"),
    ],
)
def test_j11_a_page_is_served_until_what_its_view_names_is_incremented(ask: Ask, url: str, tag: str) -> None:
    first = ask(url)
    assert "stored" in first.outcome
    again = ask(url)
    assert (again.body, again.outcome[:13]) == (first.body, "tagalong; hit")
    ask("/change", "POST", ["Other", "User:4", "Book"])
    assert ask(url).body == first.body
    ask("/change", "POST", [tag])
    new = ask(url)
    assert new.outcome == "tagalong; fwd=stale; stored; detail=invalidated"
    assert (new.body != first.body) or new.status == 404
    assert not {"cache-tag", "cache-tag-increment", "tagalong-cache-control"} & set(new.fields)


def test_j11_writes_of_classes_and_view_sets_are_seen_by_the_next_read(ask: Ask) -> None:
    for read, write in (("/class/7", "/class/7"), ("/books/7", "/books/7/lend")):
        first = ask(read).body
        assert ask(read).body == first
        ask(write, "POST")
        assert ask(read).body != first


def test_j11_what_a_view_varies_on_has_pages_of_its_own(ask: Ask) -> None:
    german, english = ask("/language", Accept_Language="de").body, ask("/language", Accept_Language="en").body
    assert ask("/language", Accept_Language="de").body == german
    assert ask("/language", Accept_Language="en").body == english
    assert german[:2] == "de"


def test_a_page_may_be_served_while_it_is_fetched_again(ask: Ask) -> None:
    first = ask("/short")
    assert first.outcome.endswith("stored")
    end = time.monotonic() + 20
    while time.monotonic() < end:
        page = ask("/short")
        assert page.body == first.body
        if "detail=stale-while-revalidate" in page.outcome:
            return
        time.sleep(0.02)
    pytest.fail(page.outcome)


def test_fk5_a_page_without_a_value_for_its_tag_is_not_stored(ask: Ask) -> None:
    assert ask("/nobody").outcome == "tagalong; fwd=uri-miss; detail=no-store"


def test_a_page_made_of_values_is_forgotten_with_them(ask: Ask) -> None:
    page, kept = ask("/values/7").body.split()
    assert ask("/values/7").body == f"{page} {kept}"
    ask("/change", "POST", ["Value:7"])
    new_page, new_value = ask("/values/7").body.split()
    assert new_page != page
    assert new_value != kept


HOSTILE = [
    "a,b",
    "a;b",
    'a"b',
    "50%",
    "a%2Cb",
    "a b",
    "é",
    "日本",
    "a@b",
    "a:b",
    "\u2028x",
    "a'b",
    "{x}",
    "\u00a0",
    "~all",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_j10_a_tag_built_here_is_the_one_that_a_rule_builds(ask: Ask, name: str) -> None:
    url = f"/ruled/{quote(name, safe='')}"
    for built in (tag("Ruled", name), Pattern("Ruled:{it}").tag({"it": name})):
        first = ask(url)
        assert ask(url).body == first.body
        ask("/change", "POST", [built])
        assert ask(url).outcome.endswith("detail=invalidated"), built


@pytest.mark.parametrize("name", HOSTILE)
def test_j10_a_tag_of_a_view_or_a_template_is_one_that_increments_reach(ask: Ask, name: str) -> None:
    for url, built in (
        (f"/users/{quote(name)}", tag("User", name)),
        (f"/template/{quote(name)}", tag("Shown", name)),
    ):
        ask(url)
        assert ask(url).outcome.startswith("tagalong; hit")
        ask("/change", "POST", [built])
        assert ask(url).outcome.endswith("detail=invalidated")


@pytest.mark.parametrize(
    ("arguments", "is_gone"),
    [
        (["purge", "--tag", "User:42"], True),
        (["purge", "--tag", "User:7"], False),
        (["purge", "--rule", "ruled"], False),
        (["purge", "--match", "*users*"], True),
        (["purge", "--all", "--yes"], True),
        (["increment", "User:42", "Other"], True),
        (["stats"], False),
        (["tags", "User:42"], False),
        (["tags"], False),
        (["explain", "http://127.0.0.1/users/42"], False),
    ],
    ids=str,
)
def test_j14_the_command_forgets_what_it_names(
    ask: Ask, arguments: list[str], is_gone: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    ask("/users/42")
    call_command("tagalong", *arguments)
    assert capsys.readouterr().out
    assert ask("/users/42").outcome.startswith("tagalong; hit") is not is_gone


def test_j14_the_command_fetches_again(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    first = ask("/users/42").body
    call_command("tagalong", "refresh", "--tag", "User:42", "--json")
    assert json.loads(capsys.readouterr().out)["refreshed"] == 1
    again = ask("/users/42")
    assert (again.outcome[:13], again.body != first) == ("tagalong; hit", True)
