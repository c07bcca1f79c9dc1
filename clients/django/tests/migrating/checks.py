"""What the pages promise, page by page: run after their examples, in the project that these make.

Each has what must be there before the examples run, and what is looked at afterwards. `kept` says whether
there is a sidecar that keeps anything.
"""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.http import HttpRequest
from django.test.utils import CaptureQueriesContext

from django_tagalong import increment
from django_tagalong.collector import collecting
from django_tagalong.test import recording

Names = dict[str, Any]


def queries(function: Callable[[], Any]) -> int:
    """How many questions to the database a call has."""
    with CaptureQueriesContext(connection) as asked:
        function()
    return len(asked)


def is_kept(function: Callable[[], Any], kept: bool) -> None:
    """The second call asks the database nothing, where there is a sidecar, and answers the same."""
    first = function()
    assert (queries(function) == 0) is kept, function
    assert function() == first


def is_forgotten(function: Callable[[], Any], write: Callable[[], Any], kept: bool) -> None:
    """What is kept is computed anew after the write."""
    is_kept(function, kept)
    write()
    assert queries(function) > 0, function


def get(
    view: Callable[..., Any], *args: Any, query: str = "", **kwargs: Any
) -> tuple[Any, set[str], str | None]:
    """The response of a view, its tags, and how long the sidecar may use it."""
    from django.http import QueryDict

    request = HttpRequest()
    request.method, request.GET = "GET", QueryDict(query)
    with collecting() as collector:
        response = view(request, *args, **kwargs)
        collected = collector.close()
    life = collected.freshness.get("max-age")
    return response, set(collected.tags), None if life is None else str(life)


def nothing() -> None:
    pass


def index(names: Names, kept: bool) -> None:
    from shop.models import Book
    from shop.views import book, similar

    first, second = Book.objects.create(title="A"), Book.objects.create(title="B")
    response, tags, life = get(book, first.pk)
    assert (tags, life) == ({f"Book:{first.pk}", "Books"}, "3600")
    assert b'"similar": ["B"]' in response.content
    is_forgotten(lambda: similar(first.pk), first.save, kept)
    is_kept(lambda: similar(second.pk), kept)


def fragmented_prepare() -> None:
    from django.contrib.auth.models import User

    User.objects.create(pk=42, username="ada")


def fragmented(names: Names, kept: bool) -> None:
    from django.contrib.auth.models import User
    from myapp.models import Donation
    from myapp.services import get_dashboard_statistics
    from myapp.views import dashboard

    user = User.objects.get(pk=42)
    assert names["told"] is kept
    assert (names["profile"], names["stats"]) == ({"name": "Ada"} if kept else None, {"sum": 7})
    assert (names["version"] is not None) is kept
    is_forgotten(lambda: names["get_user_profile"](42), user.save, kept)

    def statistics() -> Any:
        return get_dashboard_statistics(42)

    is_forgotten(statistics, lambda: Donation.objects.bulk_create([Donation(user=user, amount=5)]), kept)
    assert statistics()["count"] == 1
    is_forgotten(statistics, lambda: Donation.objects.update(amount=7), kept)
    is_forgotten(statistics, lambda: names["increment"]("Dashboard"), kept)
    with transaction.atomic():
        Donation.objects.create(user=user, amount=1)
        transaction.set_rollback(True)
    is_kept(statistics, kept)
    _, tags, life = get(dashboard, user_id=42)
    assert (tags, life) == ({"Dashboard", "User:42", "DonationsOf:42"}, "3600")
    with recording() as said:
        donation = Donation.objects.create(user=user, amount=1)
    assert set(said.increments) == {f"Donations:{donation.pk}", "DonationsOf:42"}


def django_cache(names: Names, kept: bool) -> None:
    from my_application.caches import filter_foos, get_all_foo_list
    from my_application.models import Foo
    from my_application.views import foos

    foo = Foo.objects.create(attr1=1, attr2="a, b")
    assert get_all_foo_list()[0]["id"] == foo.pk
    is_kept(get_all_foo_list, kept)
    is_kept(lambda: filter_foos(attr2="nothing", attr1=9), kept)
    is_forgotten(get_all_foo_list, lambda: Foo.objects.update(attr3=1.5), kept)
    for attrs in ((1, "a, b"), (2, "a, b"), (3, "a, b")):
        is_kept(lambda attrs=attrs: filter_foos(*attrs), kept)  # type: ignore[misc]
    foo.attr1 = 2
    foo.save()
    assert [len(filter_foos(n, "a, b")) for n in (1, 2)] == [0, 1], "it has left one list and joined another"
    assert (queries(lambda: filter_foos(3, "a, b")) == 0) is kept, "and has nothing to do with a third"
    with recording() as said:
        foo.save()
    assert said.changes == [], "nothing differs"
    foo.attr1 = 1
    with recording() as said:
        foo.save()
    assert set(said.increments) == {
        f"Foo:{foo.pk}",
        "all_foos",
        "filtered_foos:1:a%2C%20b",
        "filtered_foos:2:a%2C%20b",
    }
    reported = [(it.rule, it.old, it.new) for it in said.changes]
    assert reported == [("foos", (("attr1", "2"),), (("attr1", "1"),))]
    assert get(foos, query="attr1=1&attr2=a")[0].status_code == 200


def relay_prepare() -> None:
    from shop.models import Book, BookGenre, Genre

    rust = Genre.objects.create(name="Rust", slug="rust")
    book = Book.objects.create(title="The Book", author="Klabnik", is_featured=True)
    BookGenre.objects.create(book=book, genre=rust)


def relay(names: Names, kept: bool) -> None:
    from shop import services, views
    from shop.models import Book, BookGenre, Genre

    book = Book.objects.get()
    assert names["clear_book_cache"](book.pk) is kept
    assert services.get_books_top("rust") == [{"id": book.pk, "title": "The Book"}]
    for function in (
        lambda: services.get_books_top("rust"),
        lambda: services.get_book_details(book.pk),
        services.get_book_statistics,
        lambda: services.search_books("book"),
        lambda: services.search_books("book", "rust"),
    ):
        is_forgotten(function, book.save, kept)
    is_kept(lambda: services.get_book_details(99), kept)
    other = Genre.objects.create(name="Go", slug="go")
    is_forgotten(
        lambda: services.get_books_top("go"), lambda: BookGenre.objects.create(book=book, genre=other), kept
    )
    is_forgotten(services.get_book_statistics, lambda: Book.objects.create(title="New"), kept)
    is_forgotten(lambda: services.get_books_top("go"), book.delete, kept)
    _, tags, life = get(views.book_list_view, "rust")
    assert tags == {"book_page:rust", "book_pages", "books_top:rust", "books", "book_listings"}
    assert life == "1800"
    response, tags, life = get(views.book_search_api, query="q=book&genre=rust")
    assert (response.status_code, tags, life) == (200, {"book_search", "genre:rust"}, "900")
    response, tags, life = get(views.book_search_api)
    assert (response.status_code, tags, life) == (400, set(), None)


def cacheme(names: Names, kept: bool) -> None:
    from api.models import Book, User
    from api.serializers import BookSerializer

    owner, reader = User.objects.create(name="Ada"), User.objects.create(name="Bob")
    book = Book.objects.create(name="B", owner=owner)
    other = Book.objects.create(name="C", owner=reader)

    def get_owner(one: Book = book) -> Any:
        return BookSerializer().get_owner(Book.objects.select_related(None).get(pk=one.pk))

    def of_owner() -> int:
        fresh = Book.objects.get(pk=book.pk)
        return queries(lambda: BookSerializer().get_owner(fresh))

    for write in (book.save, owner.save, lambda: User.objects.get(pk=owner.pk).save()):
        of_owner()
        assert (of_owner() == 0) is kept
        write()
        assert of_owner() == 1
    of_owner()
    other.save()
    assert (of_owner() == 0) is kept, "another book is another value"
    assert get_owner() != get_owner(other)

    def users() -> Any:
        return BookSerializer().get_users(book)

    for write in (
        lambda: book.users.add(reader),
        lambda: reader.books.remove(book),
        lambda: book.users.set([owner, reader]),
        book.users.clear,
    ):
        is_forgotten(users, write, kept)
    assert users() == []
    with recording() as said:
        book.users.add(reader)
    assert {f"Book:{book.pk}:users", f"User:{reader.pk}:books"} <= set(said.increments)


def django_prepare() -> None:
    from shop.models import Book

    Book.objects.create(pk=1, title="A", shelf="a,b")
    Book.objects.create(pk=2, title="B", shelf="a,b")


def django(names: Names, kept: bool) -> None:
    from django.test.utils import get_runner
    from shop import services, views
    from shop.models import Book

    runner = get_runner(settings)(verbosity=0, interactive=False)
    suite = runner.build_suite(["shop"])
    assert suite.countTestCases() == 3
    result = runner.run_suite(suite)
    assert result.wasSuccessful(), result.failures + result.errors
    response, tags, life = get(views.dashboard, user_id=42)
    assert (tags, life, response["Vary"]) == ({"Dashboard", "User:42"}, "3600", "Accept-Language")
    _, tags, life = get(views.shelf, shelf="a,b")
    assert (tags, life) == ({"Book:1", "Book:2"}, "60")
    is_forgotten(lambda: services.similar(1), lambda: increment("Book:1"), kept)
    is_forgotten(lambda: services.count_of("a,b"), lambda: increment("Shelf:a%2Cb"), kept)
    assert services.count_of("a,b") == Book.objects.count()


PAGES: dict[str, tuple[Callable[[], None], Callable[[Names, bool], None]]] = {
    "django": (django_prepare, django),
    "migrating/README": (nothing, index),
    "migrating/fragmented-keys-django": (fragmented_prepare, fragmented),
    "migrating/django-cache": (nothing, django_cache),
    "migrating/relaycache": (relay_prepare, relay),
    "migrating/django-cacheme": (nothing, cacheme),
}
