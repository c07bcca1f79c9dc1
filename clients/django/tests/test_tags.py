"""How tags are spelled."""

import itertools
from collections.abc import Callable

import pytest

from django_tagalong import aggregate_tag, constant_tag, custom_tag, list_tag, model_tag, tag
from django_tagalong.tags import check, check_tagged, encode, valid


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("42", "42", id="digits"),
        pytest.param("a,b", "a%2Cb", id="comma"),
        pytest.param("a;b", "a%3Bb", id="semicolon"),
        pytest.param('a"b', "a%22b", id="quote"),
        pytest.param("100%", "100%25", id="percent"),
        pytest.param("a@b.example", "a%40b.example", id="at"),
        pytest.param("a b", "a%20b", id="space"),
        pytest.param("a\r\nSet-Cookie: x", "a%0D%0ASet-Cookie:%20x", id="CR LF"),
        pytest.param("\x00\x1f\x7f", "%00%1F%7F", id="control characters"),
        pytest.param("\x85\xa0", "%C2%85%C2%A0", id="next line, no-break space"),
        pytest.param("\u2003\u2028\u3000", "%E2%80%83%E2%80%A8%E3%80%80", id="white space of Unicode"),
        pytest.param("Café 日本", "Café%20日本", id="other scripts stay"),
        pytest.param("a/b:c'd\\e~", "a/b:c'd\\e~", id="what separates nothing stays"),
        pytest.param("\ud800", "%ED%A0%80", id="lone surrogate"),
        pytest.param("\u200b", "\u200b", id="zero width space is no white space"),
        pytest.param("", "", id="empty"),
    ],
)
def test_a_value_is_encoded_as_rules_encode_it(value: str, expected: str) -> None:
    assert encode(value) == expected
    assert valid(f"Name:{encode(value)}")


def test_no_two_values_are_encoded_alike() -> None:
    pieces = ["", "a", "%", "%2C", ",", " ", "%20", '"', "\ud800", "%ED%A0%80", "é"]
    values = {a + b for a, b in itertools.product(pieces, repeat=2)}
    assert len({encode(value) for value in values}) == len(values)


@pytest.mark.parametrize(
    ("built", "expected"),
    [
        (lambda: tag("Dashboard"), "Dashboard"),
        (lambda: tag("User", 42), "User:42"),
        (lambda: tag("User", ""), "User:"),
        (lambda: tag("User", False), "User:False"),
        (lambda: tag("Book", 1, "readers"), "Book:1:readers"),
        (lambda: tag("a,b", "c,d"), "a%2Cb:c%2Cd"),
        (lambda: tag("Page", "a:b"), "Page:a:b"),
        (lambda: tag("Page", "a:b", "c:d"), "Page:a%3Ab:c:d"),
        (lambda: model_tag("User", 42), "User:42"),
        (lambda: list_tag("Donations", 42), "Donations:42"),
        (lambda: list_tag("Donations"), "Donations"),
        (lambda: aggregate_tag("Stats", "daily", 42), "Stats:daily:42"),
        (lambda: custom_tag("Anything", "at all"), "Anything:at%20all"),
        (lambda: constant_tag("api", 2), "api;v=2"),
        (lambda: constant_tag("api", -2, "users"), "api:users;v=-2"),
    ],
)
def test_a_builder_gives_text(built: Callable[[], str], expected: str) -> None:
    assert built() == expected


def test_parts_that_differ_give_tags_that_differ() -> None:
    parts = ["", "a", "a:", ":a", "a:a", "%3A", "a%3Aa"]
    tags = {tag("Name", *several) for several in itertools.product(parts, repeat=3)}
    assert len(tags) == len(parts) ** 3


@pytest.mark.parametrize("wrong", [lambda: tag("User", None), lambda: tag("Book", 1, None)])
def test_what_has_no_value_has_no_tag(wrong: Callable[[], str]) -> None:
    with pytest.raises(ValueError, match="None"):
        wrong()


@pytest.mark.parametrize("name", ["", "~all", "User:42", ":42", "x" * 4097, "é" * 2049])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="tag"):
        tag(name)


@pytest.mark.parametrize("call", [lambda: tag(42), lambda: tag("User", b"42"), lambda: check(42)])  # type: ignore[arg-type]
def test_what_is_no_text_is_refused(call: Callable[[], str]) -> None:
    with pytest.raises(TypeError):
        call()


@pytest.mark.parametrize("version", [True, "2", 1.5, 10**15, None])
def test_the_version_of_a_constant_is_a_whole_number(version: object) -> None:
    with pytest.raises(ValueError, match="version"):
        constant_tag("api", version)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "is_tag"),
    [
        ("Dashboard", True),
        ("User:42", True),
        ("User:", True),
        ("U:1:Role:a", True),
        ("Café:ü", True),
        ("User:%2C", True),
        ("a@b", True),
        ("x" * 4096, True),
        ("", False),
        (":42", False),
        ("~all", False),
        ("a,b", False),
        ("a;v=1", False),
        ("a b", False),
        ('a"b', False),
        ("a\nb", False),
        ("a\r\nX: y", False),
        ("a\x00b", False),
        ("a\u2028b", False),
        ("\ud800", False),
        ("x" * 4097, False),
        ("é" * 2049, False),
        (42, False),
        (None, False),
    ],
)
def test_a_tag_is_valid_where_the_sidecar_reads_it(text: object, is_tag: bool) -> None:
    assert valid(text) is is_tag


@pytest.mark.parametrize("text", ["a;v=7", "User:42;v=-7", "Dashboard"])
def test_the_tag_of_a_response_may_have_a_version(text: str) -> None:
    assert check_tagged(text) == text


@pytest.mark.parametrize(
    "text", ["a;v=", "a;v=x", "a;v=7;v=8", "a;soft", "a;v=7, b", "a;v=7\r\n", "a;v=²", ";v=1"]
)
def test_a_version_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no tag"):
        check_tagged(text)
