"""Functions whose results are kept in the real sidecar."""

import asyncio
from typing import Any

import pytest

from django_tagalong import increment, tagged_cache
from django_tagalong.collector import collecting
from tests.app.models import User

from .alone import NEEDS_A_SIDECAR, beside, running  # noqa: F401 - fixtures

pytestmark = [*NEEDS_A_SIDECAR, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("beside")]


class Made:
    """Remembers with what it was called."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def __call__(self, *call: Any) -> str:
        self.calls.append(call)
        return f"result {len(self.calls)}"


@pytest.fixture
def made() -> Made:
    return Made()


def test_j16_a_result_is_kept_until_a_tag_of_it_is_incremented(made: Made) -> None:
    @tagged_cache(timeout=3600, tags=["Dashboard", "User:{user_id}"], vary_on=["user_id", "filter_type"])
    def statistics(user_id: int, filter_type: str) -> str:
        return made(user_id, filter_type)

    assert [statistics(42, "a"), statistics(42, "a"), statistics(42, "b"), statistics(7, "a")] == [
        "result 1",
        "result 1",
        "result 2",
        "result 3",
    ]
    assert increment("User:42") is True
    assert statistics(7, "a") == "result 3"
    assert [statistics(42, "a"), statistics(42, "b")] == ["result 4", "result 5"]
    increment("Dashboard")
    assert [statistics(7, "a"), statistics(42, "a")] == ["result 6", "result 7"]


def test_fk7_rc10_defaults_and_how_arguments_are_passed_make_no_difference(made: Made) -> None:
    @tagged_cache(tags=["Page:{page}"], vary_on=["slug", "page"])
    def page(slug: str, page: int = 1, *, order: str = "title") -> str:
        return made(slug, page)

    assert {page("a"), page("a", 1), page(slug="a"), page(page=1, slug="a")} == {"result 1"}
    assert page("a", order="x") == "result 1"
    assert page("a", 2) == "result 2"


def test_l07_fk4_fk6_no_two_calls_share_a_result(made: Made) -> None:
    @tagged_cache(tags=["A"])
    def get(*args: Any, a: Any = None, b: Any = None, **more: Any) -> str:
        return made()

    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((), {}),
        ((None,), {}),
        ((1,), {}),
        (("1",), {}),
        ((1, 2), {}),
        (((1, 2),), {}),
        ((), {"a": ""}),
        ((), {"a": 0}),
        ((), {"a": False}),
        ((), {"a": "1_b_2"}),
        ((), {"a": "1", "b": "2"}),
        ((), {"a": [1, 2]}),
        ((), {"a": ["1", 2]}),
        ((), {"c": 1}),
        ((), {"a": User(pk=1)}),
        ((), {"a": User(pk=2)}),
    ]
    first = [get(*args, **kwargs) for args, kwargs in calls]
    assert len(set(first)) == len(calls)
    assert [get(*args, **kwargs) for args, kwargs in calls] == first


def test_what_is_not_named_in_vary_on_makes_no_difference_and_what_is_in_tags_does(made: Made) -> None:
    @tagged_cache(tags=["User:{user_id}"], vary_on=[])
    def get(user_id: int, noise: object) -> str:
        return made()

    assert get(1, object()) == get(1, object()) == "result 1"
    assert get(2, object()) == "result 2", "one user's result is never another's"


def test_versions_and_names_of_functions_tell_results_apart(made: Made) -> None:
    def one(x: int) -> str:
        return made()

    def two(x: int) -> str:
        return made()

    first, second = tagged_cache()(one), tagged_cache()(two)
    assert (first(1), second(1), first(1)) == ("result 1", "result 2", "result 1")
    v1, v2 = tagged_cache(version="v1")(one), tagged_cache(version="v2")(one)
    assert (v1(1), v2(1), v1(1), first(1)) == ("result 3", "result 4", "result 3", "result 1")
    shared = [tagged_cache(key_name="shared")(it) for it in (one, two)]
    assert (shared[0](1), shared[1](1)) == ("result 5", "result 5")


@pytest.mark.parametrize("result", [None, [], "", 0, {}], ids=repr)
def test_l08_fk2_nothing_is_a_result(result: object) -> None:
    calls = []

    @tagged_cache()
    def get() -> object:
        calls.append(1)
        return result

    assert [get(), get()] == [result, result]
    assert calls == [1]


def test_fk5_a_placeholder_that_is_none_is_computed_and_keeps_the_response_from_being_stored(
    made: Made, caplog: pytest.LogCaptureFixture
) -> None:
    @tagged_cache(tags=["Genre:{genre}"])
    def books(genre: str | None = None) -> str:
        return made(genre)

    with collecting() as collector:
        assert [books(), books(None)] == ["result 1", "result 2"]
        assert [books("a"), books("a")] == ["result 3", "result 3"]
        collected = collector.close()
    assert (list(collected.tags), collected.freshness) == (["Genre:a"], {"no-store": None})
    assert "'genre' is None" in caplog.text


def test_tags_may_be_computed_from_the_arguments(made: Made) -> None:
    def tags_of(slug: str, genre: str | None = None) -> list[str]:
        return [f"books_top:{slug}", f"genre:{genre}" if genre else "all_genres"]

    @tagged_cache(tags=tags_of)
    def top(slug: str, genre: str | None = None) -> str:
        return made(slug)

    assert top("a") == top("a") == "result 1"
    increment("all_genres")
    assert top("a") == "result 2"
    increment("books_top:b")
    assert top("a") == "result 2"


def test_l01_a_result_that_was_made_of_old_rows_is_not_kept() -> None:
    rows = ["old"]

    @tagged_cache(tags=["A"])
    def get() -> str:
        seen = rows[0]
        if seen == "old":
            rows[0] = "new"
            increment("A")
        return seen

    assert [get(), get(), get()] == ["old", "new", "new"]


def test_results_of_coroutines_are_kept(made: Made) -> None:
    @tagged_cache(tags=["User:{user_id}"])
    async def get(user_id: int) -> str:
        await asyncio.sleep(0)
        return made(user_id)

    async def main() -> list[str]:
        together = await asyncio.gather(*(get(1) for _ in range(5)))
        return [*together, await get(1), await get(2)]

    assert asyncio.run(main()) == ["result 1"] * 6 + ["result 2"]
    increment("User:1")
    assert asyncio.run(get(1)) == "result 3"


def test_methods_name_what_matters(made: Made) -> None:
    class Service:
        @staticmethod
        @tagged_cache(tags=["book:{book_id}", "books"])
        def details(book_id: int) -> str:
            return made(book_id)

        @tagged_cache(tags=["book:{book_id}"], vary_on=["book_id"])
        def owner(self, book_id: int) -> str:
            return made(book_id)

    assert Service.details(1) == Service().details(book_id=1) == "result 1"
    assert Service().owner(1) == Service().owner(1) == "result 2"


def test_a_result_of_its_own_choice_of_cache(made: Made) -> None:
    @tagged_cache(tags=["User:{user.pk}"], cache_name="pickle")
    def profile(user: User) -> User:
        made()
        return User(pk=user.pk, name="x")

    assert profile(User(pk=7)).name == profile(User(pk=7)).name == "x"
    assert len(made.calls) == 1
