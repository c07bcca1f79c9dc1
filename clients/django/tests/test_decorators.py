"""Views name their tags, their life, and what they vary on."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import markcoroutinefunction
from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.test import AsyncClient, Client
from django.urls import path
from django.utils.asyncio import async_unsafe
from django.utils.decorators import method_decorator
from django.utils.functional import SimpleLazyObject
from django.views import View
from django.views.decorators.cache import never_cache
from pytest_django import Settings
from rest_framework.decorators import action, api_view
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from django_tagalong import cache_tag, cache_tags
from django_tagalong.collector import collecting
from django_tagalong.test import tags_of

from .app.models import User

FRESHNESS = "Tagalong-Cache-Control"


@cache_tags(
    "Dashboard", "User:{user_id}", ttl=3600, swr=30, sie=timedelta(minutes=5), vary_on="Accept-Language"
)
def dashboard(request: HttpRequest, user_id: int) -> HttpResponse:
    cache_tag("Inside", ("Part", 7))
    return HttpResponse("dashboard")


@cache_tags("Page:{page}", ttl=60)
def paged(request: HttpRequest, page: int = 1) -> HttpResponse:
    return HttpResponse("page")


@cache_tags("User:{request.user.pk}", ttl=60)
def mine(request: HttpRequest) -> HttpResponse:
    return HttpResponse("mine")


@cache_tags(lambda request, slug: [f"book_page:{slug}", "book_pages"], ttl=1800)
def computed(request: HttpRequest, slug: str) -> HttpResponse:
    return HttpResponse(slug)


@cache_tags("Long:{name}", ttl=60)
def long(request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse("long")


@cache_tags("User:{usr}")
def mistaken(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    return HttpResponse("never")


@cache_tags("User:{pk}", ttl=60)
def raises(request: HttpRequest, pk: int) -> HttpResponse:
    raise Http404 if pk == 404 else ZeroDivisionError


@cache_tags("Answer", ttl=60)
def answers(request: HttpRequest, status: int) -> HttpResponse:
    return HttpResponse(status=status)


@cache_tags("Private", ttl=60)
@never_cache
def never(request: HttpRequest) -> HttpResponse:
    return HttpResponse("never")


@never_cache
@cache_tags("Private", ttl=60)
def never_outside(request: HttpRequest) -> HttpResponse:
    return HttpResponse("never")


@cache_tags("Own", ttl=60)
def own_words(request: HttpRequest) -> HttpResponse:
    return HttpResponse("own", headers={FRESHNESS: "max-age=5", "Vary": "Cookie"})


@cache_tags("Outer", ttl=3600, vary_on=["Accept", "Cookie"])
@cache_tags("Inner", ttl=60, vary_on=["accept"])
def nested(request: HttpRequest) -> HttpResponse:
    return HttpResponse("nested")


@cache_tags("Stream", ttl=60)
def streams(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(iter([b"a", b"b"]))


@cache_tags("Template", ttl=60)
def template(request: HttpRequest) -> TemplateResponse:
    return TemplateResponse(request, "tagged.html", {"pk": 7})


@cache_tags("Async:{pk}", ttl=60, vary_on="Accept")
async def awaited(request: HttpRequest, pk: int) -> HttpResponse:
    await asyncio.sleep(0)
    cache_tag("Awaited")
    return HttpResponse("awaited")


class Who:
    """Asks the database who it is, as `request.user` does."""

    @property
    @async_unsafe
    def pk(self) -> int:
        return 7


def seen_by_somebody(request: HttpRequest, **_: Any) -> str:
    return f"Seen:{request.user.pk}"


def with_somebody(view: Any) -> Any:
    def prepared(request: HttpRequest, **kwargs: Any) -> Any:
        request.user = SimpleLazyObject(Who)  # type: ignore[assignment]
        return view(request, **kwargs)

    return markcoroutinefunction(prepared)


@with_somebody
@cache_tags("User:{request.user.pk}", seen_by_somebody, ttl=60)
async def amine(request: HttpRequest) -> HttpResponse:
    cache_tag("Awaited")
    return HttpResponse("mine")


@cache_tags("User:{request.user.pk}", ttl=60)
class AsyncMine(View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        cache_tag("Awaited")
        return HttpResponse("mine")


@method_decorator(cache_tags("User:{request.user.pk}", ttl=60), name="dispatch")
class AsyncDecorated(View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        cache_tag("Awaited")
        return HttpResponse("mine")


class AsyncMethod(View):
    @cache_tags("User:{request.user.pk}", ttl=60)
    async def get(self, request: HttpRequest) -> HttpResponse:
        cache_tag("Awaited")
        return HttpResponse("mine")


@cache_tags("Class:{pk}", ttl=60)
class Classy(View):
    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        return HttpResponse("class")


@cache_tags("AsyncClass:{pk}", ttl=60)
class AsyncClassy(View):
    async def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        return HttpResponse("class")


class Methods(View):
    @cache_tags("Method:{pk}", ttl=60)
    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        return HttpResponse("method")

    @cache_tags("FromSelf:{pk}")
    def post(self, request: HttpRequest, *args: Any, **_: Any) -> HttpResponse:
        return HttpResponse("method")

    @method_decorator(cache_tags("Wrapped:{pk}", ttl=60))
    def put(self, request: HttpRequest, pk: int) -> HttpResponse:
        return HttpResponse("method")


@cache_tags("Api", ttl=60)
class Books(ViewSet):
    @cache_tags("Books")
    def list(self, request: Request) -> Response:
        return Response([])

    @cache_tags("Book:{pk}", ttl=30)
    def retrieve(self, request: Request, pk: str) -> Response:
        if pk == "404":
            raise Http404
        return Response({"id": pk})

    @cache_tags("Cover:{pk}")
    @action(detail=True)
    def cover(self, request: Request, pk: str) -> Response:
        return Response({})


@cache_tags("ApiView:{pk}", ttl=60)
class Book(APIView):
    def get(self, request: Request, pk: int) -> Response:
        return Response({})


@cache_tags("Function:{pk}", ttl=60)
@api_view(["GET"])
def api_function(request: Request, pk: int) -> Response:
    return Response({})


urlpatterns = [
    path("users/<int:user_id>", dashboard),
    path("paged", paged),
    path("paged/<int:page>", paged),
    path("mine", mine),
    path("computed/<str:slug>", computed),
    path("mistaken", mistaken),
    path("long/<str:name>", long),
    path("raises/<int:pk>", raises),
    path("answers/<int:status>", answers),
    path("never", never),
    path("never-outside", never_outside),
    path("own", own_words),
    path("nested", nested),
    path("streams", streams),
    path("template", template),
    path("awaited/<int:pk>", awaited),
    path("amine/function", amine),
    path("amine/class", with_somebody(AsyncMine.as_view())),
    path("amine/decorated", with_somebody(AsyncDecorated.as_view())),
    path("amine/method", with_somebody(AsyncMethod.as_view())),
    path("class/<int:pk>", Classy.as_view()),
    path("asyncclass/<int:pk>", AsyncClassy.as_view()),
    path("methods/<int:pk>", Methods.as_view()),
    path("api/books", Books.as_view({"get": "list"})),
    path("api/books/<str:pk>", Books.as_view({"get": "retrieve"})),
    path("api/books/<str:pk>/cover", Books.as_view({"get": "cover"})),
    path("api/book/<int:pk>", Book.as_view()),
    path("api/function/<int:pk>", api_function),
]

pytestmark = pytest.mark.urls(__name__)


@pytest.fixture(autouse=True)
def _templates(settings: Settings) -> None:
    text = "{% load tagalong %}{% cache_tag 'Shown' pk %}"
    loaders = [("django.template.loaders.locmem.Loader", {"tagged.html": text})]
    backend = "django.template.backends.django.DjangoTemplates"
    settings.TEMPLATES = [{"BACKEND": backend, "OPTIONS": {"loaders": loaders}}]


@pytest.fixture
def get() -> Callable[..., HttpResponseBase]:
    client = Client(raise_request_exception=False)
    return lambda page, **more: client.get(page, **more)


def test_j11_a_view_sets_its_tags_its_life_and_what_it_varies_on(get: Callable[..., Any]) -> None:
    response = get("/users/42")
    assert tags_of(response) == ["Dashboard", "User:42", "Inside", "Part:7"]
    assert response[FRESHNESS] == "max-age=3600, stale-while-revalidate=30, stale-if-error=300"
    assert response["Vary"] == "Accept-Language"


def test_a_view_that_varies_on_nothing_says_nothing_of_it(get: Callable[..., Any]) -> None:
    assert "Vary" not in get("/paged")


@pytest.mark.parametrize(
    ("path", "tags"),
    [
        ("/paged", ["Page:1"]),
        ("/paged/7", ["Page:7"]),
        ("/computed/a", ["book_page:a", "book_pages"]),
        ("/nested", ["Outer", "Inner"]),
        ("/streams", ["Stream"]),
        ("/template", ["Template", "Shown:7"]),
        ("/class/7", ["Class:7"]),
        ("/asyncclass/7", ["AsyncClass:7"]),
        ("/awaited/7", ["Async:7", "Awaited"]),
        ("/methods/7", ["Method:7"]),
        ("/api/books", ["Api", "Books"]),
        ("/api/books/7", ["Api", "Book:7"]),
        ("/api/books/7/cover", ["Api", "Cover:7"]),
        ("/api/book/7", ["ApiView:7"]),
        ("/api/function/7", ["Function:7"]),
    ],
)
def test_j11_views_of_every_kind_are_tagged(get: Callable[..., Any], path: str, tags: list[str]) -> None:
    response = get(path)
    assert (response.status_code, tags_of(response)) == (200, tags)
    assert response[FRESHNESS].startswith("max-age=")


def test_methods_of_a_class_find_what_the_url_names() -> None:
    client = Client()
    assert tags_of(client.post("/methods/7")) == ["FromSelf:7"]
    assert tags_of(client.put("/methods/7")) == ["Wrapped:7"]


@pytest.mark.parametrize(
    ("path", "tags"),
    [("/awaited/7", ["Async:7", "Awaited"]), ("/asyncclass/7", ["AsyncClass:7"]), ("/class/7", ["Class:7"])],
)
def test_j12_views_are_tagged_under_asgi(path: str, tags: list[str]) -> None:
    response = asyncio.run(AsyncClient().get(path))
    assert (tags_of(response), response[FRESHNESS]) == (tags, "max-age=60")


@pytest.mark.parametrize("client", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("path", "tags"),
    [
        ("function", ["User:7", "Seen:7", "Awaited"]),
        ("class", ["User:7", "Awaited"]),
        ("decorated", ["User:7", "Awaited"]),
        ("method", ["User:7", "Awaited"]),
    ],
)
def test_j12_a_tag_of_a_coroutine_may_ask_the_database(path: str, tags: list[str], client: type) -> None:
    response = client().get(f"/amine/{path}")
    response = response if client is Client else asyncio.run(response)
    assert (response.status_code, tags_of(response), response[FRESHNESS]) == (200, tags, "max-age=60")


def test_j12_a_mixin_may_answer_in_place_of_a_coroutine() -> None:
    class Refusing:
        def dispatch(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse(status=403)

    @cache_tags("A", ttl=60)
    class Guarded(Refusing, View):
        async def get(self, request: HttpRequest) -> HttpResponse:
            raise AssertionError("this is never reached")

    with collecting() as collector:
        answering: Any = Guarded.as_view()(HttpRequest())
        assert asyncio.run(answering).status_code == 403
        assert list(collector.close().tags) == ["A"]


def test_j12_a_function_that_gives_a_coroutine_is_tagged_and_lives() -> None:
    async def answer() -> HttpResponse:
        return HttpResponse()

    view: Any = cache_tags("A", ttl=60)(lambda request: answer())
    with collecting() as collector:
        asyncio.run(view(HttpRequest()))
        said = collector.close()
    assert (list(said.tags), said.freshness) == (["A"], {"max-age": 60})


def test_j12_two_interleaved_requests_do_not_mix_their_tags() -> None:
    async def main() -> list[Any]:
        client = AsyncClient()
        return await asyncio.gather(*(client.get(f"/awaited/{n}") for n in range(5)))

    assert [tags_of(it) for it in asyncio.run(main())] == [[f"Async:{n}", "Awaited"] for n in range(5)]


@pytest.mark.parametrize(("pk", "status"), [(404, 404), (500, 500)])
def test_a_view_that_raises_has_its_tags_and_no_life(get: Callable[..., Any], pk: int, status: int) -> None:
    response = get(f"/raises/{pk}")
    assert (response.status_code, tags_of(response)) == (status, [f"User:{pk}"])
    assert FRESHNESS not in response


def test_a_view_set_that_raises_has_its_tags_and_no_life(get: Callable[..., Any]) -> None:
    response = get("/api/books/404")
    assert (response.status_code, tags_of(response)) == (404, ["Api", "Book:404"])
    assert FRESHNESS not in response


@pytest.mark.parametrize(
    ("status", "lives"),
    [(200, True), (204, True), (301, True), (304, True), (404, False), (410, False), (500, False)],
)
def test_only_what_succeeds_has_a_life(get: Callable[..., Any], status: int, lives: bool) -> None:
    response = get(f"/answers/{status}")
    assert tags_of(response) == ["Answer"]
    assert (FRESHNESS in response) == lives


@pytest.mark.parametrize("path", ["/never", "/never-outside"])
def test_l12_a_response_that_is_private_is_given_no_life(get: Callable[..., Any], path: str) -> None:
    response = get(path)
    assert "private" in response["Cache-Control"]
    assert tags_of(response) == ["Private"]
    assert FRESHNESS not in response


@pytest.mark.parametrize("said", ["private", "no-store", "no-cache"])
def test_l12_what_a_middleware_makes_private_is_given_no_life(
    settings: Settings, get: Callable[..., Any], said: str
) -> None:
    settings.MIDDLEWARE = ["django_tagalong.middleware.TagalongMiddleware", f"{__name__}.saying"]
    assert FRESHNESS not in get(f"/users/42?said={said}")
    assert FRESHNESS in get("/users/42?said=max-age%3D5")


def saying(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response["Cache-Control"] = request.GET["said"]
        return response

    return middleware


def test_what_a_view_says_itself_stays(get: Callable[..., Any]) -> None:
    assert get("/own")[FRESHNESS] == "max-age=5"


def test_of_two_decorators_the_shorter_life_counts_and_headers_are_named_once(
    get: Callable[..., Any],
) -> None:
    response = get("/nested")
    assert response[FRESHNESS] == "max-age=60"
    assert response["Vary"] == "accept, Cookie"


def test_fk5_a_placeholder_without_an_argument_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(LookupError, match="'usr'"):
        Client().get("/mistaken")


def test_fk5_a_placeholder_without_a_value_keeps_the_response_from_being_stored(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.MIDDLEWARE = ["django_tagalong.middleware.TagalongMiddleware", f"{__name__}.nobody"]
    response = Client().get("/mine")
    assert (response.status_code, tags_of(response)) == (200, [])
    assert response[FRESHNESS] == "no-store"
    assert "'request.user.pk' is None" in caplog.text


@pytest.mark.parametrize(
    "url", ["/long/" + "x" * 5000, "/computed/a b", "/computed/a,b", "/computed/" + "x" * 5000]
)
def test_l13_no_url_makes_a_view_fail_for_its_tag(get: Callable[..., Any], url: str) -> None:
    response = get(url)
    assert (response.status_code, tags_of(response), response[FRESHNESS]) == (200, [], "no-store")


def nobody(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def middleware(request: HttpRequest) -> HttpResponse:
        request.user = AnonymousUser()
        return get_response(request)

    return middleware


def test_somebody_who_is_logged_in_is_a_tag() -> None:
    request = HttpRequest()
    request.user = User(pk=7)  # type: ignore[assignment]
    with collecting() as collector:
        mine(request)
        assert list(collector.close().tags) == ["User:7"]


@pytest.mark.parametrize("middleware", [[], ["django_tagalong.middleware.TagalongMiddleware"]])
def test_j11_without_a_sidecar_or_the_middleware_nothing_breaks(
    settings: Settings, get: Callable[..., Any], middleware: list[str]
) -> None:
    settings.MIDDLEWARE = middleware
    settings.TAGALONG = {"ENABLED": False}
    for page in ("/users/42", "/api/books/7", "/asyncclass/7", "/streams", "/template"):
        response = get(page)
        assert response.status_code == 200
        assert not [name for name in response.headers if name.startswith(("Cache-Tag", "Tagalong"))]
    assert get("/users/42")["Vary"] == "Accept-Language", "that is for every cache"


def test_a_tag_that_comes_after_the_head_is_not_lost_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    with collecting() as collector:
        collector.close()
        assert cache_tag("Late:1") is False
    assert "does not have the tags Late:1" in caplog.text


def test_outside_of_a_request_a_tag_is_nobodys_and_harmless() -> None:
    assert cache_tag("User:42") is False
    assert cache_tag() is False
    with pytest.raises(ValueError, match="is no tag"):
        cache_tag("a b")


@pytest.mark.parametrize(
    ("tags", "more"),
    [
        (["a b"], {}),
        (["{x}"], {}),
        (["A"], {"ttl": -1}),
        (["A"], {"ttl": 1.5}),
        (["A"], {"ttl": True}),
        (["A"], {"ttl": timedelta(seconds=-1)}),
        (["A"], {"swr": 5}),
        (["A"], {"ttl": 5, "vary_on": "Accept\r\nX: y"}),
        (["A"], {"ttl": 5, "vary_on": [""]}),
    ],
)
def test_mistakes_are_found_when_a_view_is_defined(tags: list[str], more: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of patterns, times and headers
        cache_tags(*tags, **more)(dashboard)


def test_a_class_that_is_no_view_is_refused() -> None:
    with pytest.raises(TypeError, match="no `dispatch`"):
        cache_tags("A")(dict)


def test_a_view_keeps_its_name_and_what_others_have_noted_on_it() -> None:
    def view(request: HttpRequest) -> HttpResponse:
        return JsonResponse({})

    view.csrf_exempt = True  # type: ignore[attr-defined]
    decorated = cache_tags("A")(view)
    assert (decorated.__name__, decorated.csrf_exempt, decorated.__wrapped__) == ("view", True, view)  # type: ignore[attr-defined]


def test_nothing_is_said_of_responses_where_there_is_none(caplog: pytest.LogCaptureFixture) -> None:
    from django_tagalong.decorators import do_not_store

    with caplog.at_level(logging.WARNING):
        do_not_store("nobody sees this")
    assert caplog.text == ""
