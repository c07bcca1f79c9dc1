"""Tags with placeholders."""

import functools
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db.models import TextChoices

from django_tagalong.patterns import Arguments, NoTag, Pattern, Tags

from .app.models import User


class Shelf(TextChoices):
    HISTORY = "history", "All of history"


@pytest.mark.parametrize(
    ("pattern", "values", "tag"),
    [
        ("Dashboard", {}, "Dashboard"),
        ("User:{u}", {"u": 42}, "User:42"),
        ("U:{u}:Role:{r}", {"u": 1, "r": "a"}, "U:1:Role:a"),  # FK5: the second placeholder was dropped
        ("User:{u}", {"u": ""}, "User:"),
        ("User:{u}", {"u": 0}, "User:0"),
        ("User:{u}", {"u": 'a,b;"%@ c\n'}, "User:a%2Cb%3B%22%25%40%20c%0A"),
        ("User:{u}", {"u": "é"}, "User:é"),
        ("User:{u}", {"u": User(pk=7)}, "User:7"),
        ("User:{u.name}", {"u": User(name="x y")}, "User:x%20y"),
        ("Shelf:{s}", {"s": Shelf.HISTORY}, "Shelf:history"),
        ("X:{x}", {"x": UUID(int=1)}, "X:00000000-0000-0000-0000-000000000001"),
        ("X:{x}", {"x": Decimal("1.50")}, "X:1.50"),
        ("X:{x}", {"x": date(2026, 11, 29)}, "X:2026-11-29"),
        ("Set:{{{x}}}", {"x": 1}, "Set:{1}"),
    ],
)
def test_a_tag_is_made_of_values(pattern: str, values: dict[str, Any], tag: str) -> None:
    assert Pattern(pattern).tag(values) == tag


@pytest.mark.parametrize(
    "pattern",
    [
        *("", "{x}", "{x}:1", ":x", "~all", "a b", "a,b"),
        *("X:{}", "X:{0}", "X:{x!r}", "X:{x:5}", "X:{x[0]}", "X:{x", "X:}", "X:{x.}", "X:{a b}"),
        *("X:{x.__class__}", "X:{x._meta}"),
    ],
)
def test_what_is_no_tag_is_refused_when_it_is_read(pattern: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of Python, of Django or ours
        Pattern(pattern)


def test_fk5_a_name_that_no_argument_has_is_an_error_and_no_tag_for_all() -> None:
    with pytest.raises(LookupError, match=r"'usr'.*given are user_id"):
        Pattern("User:{usr}").tag({"user_id": 42})


@pytest.mark.parametrize("value", [None, User(), AnonymousUser()], ids=repr)
def test_fk5_a_value_that_is_missing_is_no_tag(value: object) -> None:
    with pytest.raises(NoTag):
        Pattern("User:{u}").tag({"u": value})


@pytest.mark.parametrize("value", [object(), [1], {"a": 1}, b"x", {1}], ids=repr)
def test_a_value_without_a_text_that_others_would_write_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        Pattern("User:{u}").tag({"u": value})


def plain(a: Any, b: Any = "b", *, c: Any = None) -> None: ...


def open_(request: Any, **kwargs: Any) -> None: ...


def wrapping(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
        return function(request, *args, **kwargs)

    return wrapper


@wrapping
def wrapped(request: Any, page: Any = 1) -> None: ...


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "values"),
    [
        (plain, (1,), {}, {"a": 1, "b": "b", "c": None}),
        (plain, (1, 2), {"c": 3}, {"a": 1, "b": 2, "c": 3}),
        (plain, (), {"b": 2, "a": 1}, {"a": 1, "b": 2, "c": None}),
        (open_, ("r",), {"pk": 7}, {"request": "r", "pk": 7}),
        (wrapped, ("r",), {}, {"request": "r", "page": 1}),
        (wrapped, ("r",), {"page": 2}, {"request": "r", "page": 2}),
        (functools.partial(plain, 1), (2,), {}, {"a": 1, "b": 2, "c": None}),
    ],
)
def test_fk7_arguments_have_their_defaults_however_they_are_passed(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], values: dict[str, Any]
) -> None:
    assert {**values, **Arguments(function).of(args, kwargs)} == {
        **Arguments(function).of(args, kwargs),
        **values,
    }


def test_a_call_that_the_function_would_refuse_is_refused() -> None:
    with pytest.raises(TypeError, match="missing a required argument"):
        Arguments(plain).of((), {})


def test_fk5_a_name_that_no_call_can_have_is_found_when_the_function_is_defined() -> None:
    with pytest.raises(ValueError, match="usr: no argument has this name; the arguments are a, b, c"):
        Tags(["User:{usr}"], Arguments(plain))
    Tags(["User:{pk}"], Arguments(open_))


def test_tags_may_be_computed() -> None:
    tags = Tags(["A", lambda a, **_: [f"B:{a}", "C"], lambda a, **_: "D"], Arguments(plain))
    assert tags.of((1,), {}) == ["A", "B:1", "C", "D"]


@pytest.mark.parametrize("source", ["A:{a}", lambda a: f"A:{a}", lambda a: ["A", f"A:{a}"]])
@pytest.mark.parametrize("value", ["x" * 5000, "é" * 2100])
def test_l13_what_a_client_has_made_too_long_is_no_tag_and_no_error(source: Any, value: str) -> None:
    with pytest.raises(NoTag, match="longer than"):
        Tags([source], Arguments(plain)).of((value,), {})


def test_l13_what_is_computed_of_what_a_client_sent_is_no_tag_and_no_error() -> None:
    with pytest.raises(NoTag, match="is no tag"):
        Tags([lambda a: [f"A:{a}"]], Arguments(plain)).of(("a b",), {})
