"""Values come back equal and of the same type, or are refused when they are stored."""

import pickle
from collections import OrderedDict
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy

from django_tagalong.values import Json, Pickle

from .app.models import Book

json = Json()
BERLIN = ZoneInfo("Europe/Berlin")


class Colour(Enum):
    RED = "red"


class Size(IntEnum):
    LARGE = 1


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "None",
        "\x00,\ud800 é 🙂",
        0,
        False,
        True,
        10**30,
        1.0,
        -0.0,
        float("inf"),
        [],
        (),
        {},
        set(),
        frozenset(),
        b"",
        b"\x00\xff",
        [1, (2, [3, (4,)]), {"a": (5,)}],
        {1: "a", "1": "b", None: "c", (1, 2): "d"},
        {"~": "date", "v": "2026-11-29"},
        {"v": {"~": {"~": 1}}},
        {3, 1, 2},
        frozenset({("a", 1)}),
        date(2026, 11, 29),
        datetime(2026, 11, 29, 1, 2, 3, 4),  # noqa: DTZ001 - apps have them
        datetime(2026, 11, 29, 1, 2, 3, 4, tzinfo=UTC),
        datetime(2026, 11, 29, tzinfo=timezone(timedelta(hours=5, minutes=45, seconds=7))),
        datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1),
        datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=0),
        time(1, 2, 3, 4),
        time(2, 30, tzinfo=UTC, fold=1),
        timedelta(days=-1, microseconds=1),
        Decimal("1.50"),
        Decimal("-0"),
        UUID(int=7),
        mark_safe("<b>"),
    ],
    ids=repr,
)
def test_a_value_comes_back_equal_and_of_the_same_type(value: object) -> None:
    back = json.loads(json.dumps(value))
    assert (repr(back), type(back)) == (repr(value), type(value))
    assert back == value
    if isinstance(value, datetime | time):
        assert (back.tzinfo, back.fold) == (value.tzinfo, value.fold)


def test_text_that_is_safe_stays_so() -> None:
    back = json.loads(json.dumps({"html": mark_safe("<b>"), "text": "<b>"}))
    assert (type(back["html"]), type(back["text"])) == (SafeString, str)


def test_no_two_values_share_their_bytes() -> None:
    values: list[Any] = [None, "", "null", 0, "0", False, 1, True, 1.0, "1", [1], (1,), {1}, frozenset({1})]
    values += [{"1": 1}, {1: 1}, {"~": "set", "v": [1]}, date(2026, 1, 1), "2026-01-01", b"a", "a"]
    values += [Decimal("1"), Decimal("1.0"), mark_safe("a"), [["1", 1]], {}, [], (), set(), timedelta()]
    assert len({json.dumps(value) for value in values}) == len(values)


def test_a_set_has_one_spelling() -> None:
    assert json.dumps({"a", "b", "c"}) == json.dumps({"c", "b", "a"})


@pytest.mark.parametrize(
    "value",
    [
        object(),
        Book(title="x"),
        OrderedDict(a=1),
        Colour.RED,
        Size.LARGE,
        gettext_lazy("x"),
        [1, {"a": object()}],
        lambda: 1,
        10**5000,
    ],
    ids=lambda it: type(it).__name__,
)
def test_what_would_not_come_back_the_same_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        json.dumps(value)


def test_what_holds_itself_is_refused() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(TypeError):
        json.dumps(endless)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b'{"~": "nothing", "v": 1}',
        b'{"~": "date"}',
        b'{"~": "date", "v": 7}',
        b'{"~": [], "v": 7}',
        b'{"~": "decimal", "v": "x"}',
        b'{"~": "datetime", "v": []}',
        b'{"~": "datetime", "v": ["2026-01-01T00:00:00", 0, "../etc/passwd"]}',
        b'{"~": "set", "v": [[]]}',
        b'{"~": "dict", "v": [1]}',
        b'{"~": "bytes", "v": "x"}',
        b"[" * 100_000,
    ],
    ids=lambda data: data[:40],
)
def test_bytes_that_are_none_of_ours_are_an_error_of_one_kind(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of Python, of Django or ours
        json.loads(data)


def test_pickle_keeps_rows_and_refuses_what_cannot_be_pickled() -> None:
    row = Pickle().loads(Pickle().dumps(Book(pk=7, title="x")))
    assert (row.pk, row.title) == (7, "x")
    with pytest.raises(TypeError):
        Pickle().dumps(lambda: 1)


@pytest.mark.parametrize("data", [b"", b"[1]", pickle.dumps(1)[:-1], b"cno.such.module\nName\n."])
def test_what_cannot_be_unpickled_is_an_error_of_one_kind(data: bytes) -> None:
    with pytest.raises(ValueError, match="unpickled"):
        Pickle().loads(data)
