"""How what was collected is spelled in the head of a response."""

import pytest

from django_tagalong.collector import Change, Collector, Increment
from django_tagalong.headers import Head, spell_change, spell_freshness, spell_increment, split, write


def head_of(collector: Collector, max_line: int = 4096, tags: int = 16384, increments: int = 32768) -> Head:
    return write(collector.close(), max_line=max_line, max_tag_bytes=tags, max_increment_bytes=increments)


@pytest.mark.parametrize(
    ("increment", "expected"),
    [
        (Increment("User:42"), b"User:42"),
        (Increment("User:42", soft=True), b"User:42;soft"),
        (Increment("User:42", again=2), b"User:42;again=2"),
        (Increment("Café:日", soft=True, again=2), "Café:日;soft;again=2".encode()),
    ],
)
def test_an_increment_has_its_parameters(increment: Increment, expected: bytes) -> None:
    assert spell_increment(increment) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(Change("foos"), b'"foos"', id="the whole rule"),
        pytest.param(
            Change("foos", (("attr1", "1"),), (("attr1", "2"),)),
            b'"foos";old.attr1="1";new.attr1="2"',
            id="both",
        ),
        pytest.param(Change("foos", (), (("a", ""),)), b'"foos";new.a=""', id="empty is a value"),
        pytest.param(Change('a"b\\c'), b'"a\\"b\\\\c"', id="escaped"),
        pytest.param(Change("f", (("a", "café"),)), b'"f";old.a=%"caf%c3%a9"', id="display string"),
        pytest.param(Change("f", (("a", '1\r\n%"'),)), b'"f";old.a=%"1%0d%0a%25%22"', id="line break"),
    ],
)
def test_a_change_is_a_member_of_a_structured_list(change: Change, expected: bytes) -> None:
    assert spell_change(change) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, b""),
        ({"max-age": 60}, b"max-age=60"),
        ({"max-age": 60, "stale-while-revalidate": 30}, b"max-age=60, stale-while-revalidate=30"),
        ({"max-age": 60, "no-store": None}, b"no-store"),
        ({"no-cache": None}, b"no-cache"),
    ],
)
def test_freshness_is_a_targeted_field(said: dict[str, int | None], expected: bytes) -> None:
    assert spell_freshness(said) == expected


@pytest.mark.parametrize(
    ("members", "lines"),
    [
        ([], []),
        ([b"a"], [b"a"]),
        ([b"aaaa", b"bbbb"], [b"aaaa, bbbb"]),
        ([b"aaaa", b"bbbbb"], [b"aaaa", b"bbbbb"]),
        ([b"a" * 50, b"b", b"c"], [b"a" * 50, b"b, c"]),
    ],
)
def test_a_long_list_is_split_into_lines(members: list[bytes], lines: list[bytes]) -> None:
    assert split(members, 10) == lines


def test_nothing_said_is_nothing_written() -> None:
    assert head_of(Collector()) == Head()


def test_what_is_said_twice_is_written_once_in_the_order_it_was_said() -> None:
    collector = Collector()
    collector.tag("b", "a", "b")
    collector.increment(Increment("y"), Increment("x"), Increment("y"))
    collector.change(Change("r"), Change("r"))
    assert head_of(collector).lines == [
        ("Cache-Tag", [b"b, a"]),
        ("Cache-Tag-Increment", [b"y, x"]),
        ("Cache-Tag-Change", [b'"r"']),
    ]


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (Increment("x", soft=True), Increment("x"), Increment("x")),
        (Increment("x", soft=True), Increment("x", soft=True), Increment("x", soft=True)),
        (Increment("x", again=2), Increment("x"), Increment("x", again=2)),
        (Increment("x", again=2), Increment("x", again=9), Increment("x", again=9)),
    ],
)
def test_of_two_wishes_for_a_tag_nothing_is_lost(one: Increment, other: Increment, both: Increment) -> None:
    for pair in ((one, other), (other, one)):
        collector = Collector()
        collector.increment(*pair)
        assert list(collector.close().increments.values()) == [both]


def test_of_two_lives_the_shorter_counts() -> None:
    collector = Collector()
    collector.fresh("max-age", 60)
    collector.fresh("max-age", 5)
    collector.fresh("max-age", 600)
    assert head_of(collector).lines == [("Tagalong-Cache-Control", [b"max-age=5"])]


def test_what_has_no_room_is_left_and_nothing_is_lost() -> None:
    collector = Collector()
    increments = [Increment(f"User:{n}") for n in range(100)]
    collector.increment(*increments)
    collector.change(Change("r"))
    head = head_of(collector, increments=200)
    [(name, lines)] = head.lines
    written = [Increment(tag.decode()) for line in lines for tag in line.split(b", ")]
    assert name == "Cache-Tag-Increment"
    assert 0 < len(b", ".join(lines)) <= 200
    assert written + head.left_increments == increments
    assert head.left_changes == [Change("r")]


def test_a_change_with_the_room_that_increments_leave_is_written() -> None:
    collector = Collector()
    collector.increment(Increment("x" * 50))
    collector.change(Change("r"))
    head = head_of(collector, increments=60)
    assert [name for name, _ in head.lines] == ["Cache-Tag-Increment", "Cache-Tag-Change"]


def test_too_many_bytes_of_tags_are_not_cut_off_but_not_stored() -> None:
    collector = Collector()
    collector.tag(*(f"User:{n}" for n in range(100)))
    collector.fresh("max-age", 60)
    head = head_of(collector, tags=200)
    assert head.lines == [("Tagalong-Cache-Control", [b"no-store"])]
    assert not head.has_all_tags


def test_more_tags_than_are_stored_are_all_written() -> None:
    collector = Collector()
    tags = [f"t{n}" for n in range(300)]
    collector.tag(*tags)
    [(_, lines)] = head_of(collector).lines
    assert b", ".join(lines).decode().split(", ") == tags


def test_a_closed_collector_takes_nothing() -> None:
    collector = Collector()
    collector.tag("a")
    assert list(collector.close().tags) == ["a"]
    assert not collector.tag("b")
    assert not collector.increment(Increment("b"))
    assert not collector.change(Change("b"))
    assert not collector.fresh("no-store")
    assert not collector.close()
