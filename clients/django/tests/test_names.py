"""Names of values: no two different things have one."""

from datetime import date
from decimal import Decimal
from enum import Enum, IntEnum
from itertools import product
from typing import Any

import pytest
from django.utils.functional import SimpleLazyObject

from django_tagalong.names import LONGEST, fields, object_name, of_prefix

from .app.models import Book, User


class Colour(Enum):
    RED = 1


class Shade(IntEnum):
    RED = 1


def test_a_name_is_readable() -> None:
    name = object_name("shop", 1, "stats", group="weekly", tags=["User:42", "Campaign:7"])
    assert name == "shop:1:stats;group=weekly;tags=Campaign:7,User:42"


def test_l07_no_separator_is_clever_enough_to_make_two_names_one() -> None:
    texts = ["", "a", "a:", ":a", "1", "1:", "a;group=b", "a;tags=b", "b", "a,b", "%3A", "*", "#", "é", "/"]
    names = [
        object_name(prefix, version, key, group=group, tags=tags)
        for prefix, version, key in product(texts, ["1", "1:a", ""], texts)
        for group in (None, "", "b")
        for tags in ([], ["b"], ["a", "b"], ["a%2Cb"], ["b:1"])
    ]
    assert len(set(names)) == len(names)


def test_tags_are_a_set() -> None:
    assert object_name("", 1, "k", tags=["A", "B", "A"]) == object_name("", 1, "k", tags=["B", "A"])


def test_a_long_name_is_cut_short_and_no_other_ones() -> None:
    several = [
        object_name("p", 1, key, arguments={"q": tail}, tags=tags)
        for key in ("k", "k" * 900, "k" * 5000, "k" * 5001)
        for tail in ("x" * 4000, "x" * 4001)
        for tags in ([], ["A"])
    ]
    assert len(set(several)) == len(several)
    assert all(len(name) <= LONGEST for name in several)
    assert all(name.startswith(of_prefix("p")) for name in several)


@pytest.mark.parametrize("prefix", ["foo", "foo:1", "*", "[a-z]", "f?o"])
def test_a_prefix_is_the_beginning_of_its_own_names_alone_and_no_pattern(prefix: str) -> None:
    assert not object_name("foobar", 1, "k").startswith(of_prefix(prefix))
    assert object_name(prefix, 1, "k").startswith(of_prefix(prefix))
    assert set(of_prefix(prefix)).isdisjoint("*?[]{}\\")


def test_l07_arguments_differ_by_value_and_type() -> None:
    values: list[Any] = [None, "", "None", 0, "0", False, 1, "1", True, 1.0, Decimal(1), Decimal("1.0")]
    values += [[1], (1,), {1}, {"a": 1}, {1: 1}, date(2026, 1, 1), "2026-01-01", b"1", Colour.RED, Shade.RED]
    values += [User(pk=1), Book(pk=1), User(pk=2), User(pk="1"), [User(pk=1)], ["a", "b"], "a,b"]
    texts = [fields({"x": value}) for value in values]
    assert len(set(texts)) == len(texts)
    assert fields({"a": 1, "b": 2}) == fields({"b": 2, "a": 1})
    assert fields({"a": 1}) != fields({"b": 1})


def test_an_argument_that_is_lazy_is_what_it_stands_for() -> None:
    assert fields({"user": SimpleLazyObject(lambda: User(pk=1))}) == fields({"user": User(pk=1)})


@pytest.mark.parametrize("value", [object(), User(), lambda: 1, [object()]], ids=repr)
def test_an_argument_without_a_text_of_its_own_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        fields({"x": value})
