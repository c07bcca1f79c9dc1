"""Differences in attributes: what is told to which rule."""

from decimal import Decimal
from typing import Any

import pytest

from django_tagalong.changes import RuleChange
from django_tagalong.collector import collecting
from django_tagalong.headers import spell_change
from django_tagalong.registry import register_model
from tests.app.library import Shelf, Volume
from tests.app.models import Foo

from .telling import Told

pytestmark = pytest.mark.django_db(transaction=True)


def seen(told: Told) -> list[tuple[str, dict[str, str], dict[str, str]]]:
    found = [(it.rule, dict(it.old), dict(it.new)) for it in told.changes]
    told.clear()
    return found


def test_a_field_that_differs_is_told_with_both_values(told: Told) -> None:
    register_model(Foo, changes={"filtered-foos": ["attr1", "attr2"]})
    foo = Foo.objects.create(attr1="1", attr2="5")
    foo.attr1 = "2"
    with collecting() as collector:
        foo.save()
    (change,) = collector.close().changes
    assert spell_change(change) == b'"filtered-foos";old.attr1="1";new.attr1="2"'


def test_a_row_that_comes_has_new_values_and_one_that_goes_old_ones(told: Told) -> None:
    register_model(Foo, changes={"foos": ["attr1", "attr2"]})
    foo = Foo.objects.create(attr1="1", attr2="5")
    assert seen(told) == [("foos", {}, {"attr1": "1", "attr2": "5"})]
    foo.delete()
    assert seen(told) == [("foos", {"attr1": "1", "attr2": "5"}, {})]


def test_l13_a_save_is_one_call_whatever_it_has_to_tell(told: Told) -> None:
    register_model(Foo, tags=lambda foo: "Foos", changes={"foos": ["attr1"], "others": []})
    foo = Foo.objects.create(attr1="1")
    [(tags, changes)] = told.calls
    assert tags == [f"Foo:{foo.pk}", "Foos"]
    assert [it.rule for it in changes] == ["foos", "others"]


def test_a_save_that_changes_nothing_tells_no_change(told: Told) -> None:
    register_model(Foo, changes={"foos": ["attr1"]})
    foo = Foo.objects.create(attr1="1")
    told.clear()
    foo.attr2 = "x"
    foo.save()
    assert seen(told) == []


def test_a_rule_without_attributes_is_told_of_every_write(told: Told) -> None:
    register_model(Foo, changes={"all-foos": []})
    foo = Foo.objects.create()
    foo.save(update_fields=["attr2"])
    foo.delete()
    assert seen(told) == [("all-foos", {}, {})] * 3


@pytest.mark.parametrize("answer", [True, False])
def test_a_predicate_says_whether_a_write_counts(told: Told, answer: bool) -> None:
    asked: list[tuple[Any, Any]] = []

    def when(old: Foo | None, new: Foo | None) -> bool:
        asked.append((old and old.attr1, new and new.attr1))
        return answer

    register_model(Foo, changes=[RuleChange("foos", ["attr1"], when=when)])
    foo = Foo.objects.create(attr1="1")
    foo.attr1 = "2"
    foo.save()
    foo.delete()
    assert asked == [(None, "1"), ("1", "2"), ("2", None)]
    assert len(seen(told)) == (3 if answer else 0)


def test_a_predicate_that_raises_lets_the_write_count(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    def fail(old: object, new: object) -> bool:
        raise RuntimeError("of the app")

    register_model(Foo, changes=[RuleChange("foos", ["attr1"], when=fail)])
    Foo.objects.create(attr1="1")
    assert seen(told) == [("foos", {}, {"attr1": "1"})]
    assert "foos" in caplog.text


def test_an_attribute_that_raises_is_a_change_of_the_whole_rule(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(row: object) -> str:
        raise RuntimeError("of the app")

    register_model(Foo, changes={"foos": {"size": fail}})
    Foo.objects.create(pk=1)
    assert told.tags == {"Foo:1"}
    assert seen(told) == [("foos", {}, {})]
    assert "foos" in caplog.text


def test_attributes_may_have_other_names_and_be_computed(told: Told) -> None:
    Shelf.objects.create(pk=7)
    register_model(Volume, changes={"volumes": {"where": "shelf", "size": lambda row: len(row.title)}})
    volume = Volume.objects.create(title="abc", shelf_id=7)
    assert seen(told) == [("volumes", {}, {"where": "7", "size": "3"})]
    volume.shelf = None
    volume.save()
    assert seen(told) == [("volumes", {"where": "7"}, {})]


@pytest.mark.parametrize(
    ("field", "before", "after"),
    [
        pytest.param("stock", 2, "2", id="number_as_text"),
        pytest.param("price", Decimal("1.50"), "1.5", id="decimal_with_fewer_digits"),
        pytest.param("price", Decimal("100.00"), Decimal("1E+2"), id="decimal_with_an_exponent"),
    ],
)
def test_a_value_is_what_the_database_makes_of_it(
    told: Told, field: str, before: object, after: object
) -> None:
    register_model(Volume, changes={"volumes": [field]})
    volume = Volume.objects.create(**{field: before})
    expected = [("volumes", {}, {field: str(before)})]
    assert seen(told) == expected
    setattr(volume, field, after)
    volume.save()
    assert seen(told) == []
    Volume.objects.create(**{field: after})
    assert seen(told) == expected


def test_a_value_that_is_too_long_is_a_change_of_the_whole_rule(told: Told) -> None:
    register_model(Foo, changes={"foos": ["attr1", "attr2"]})
    foo = Foo.objects.create(attr1="x" * 2_000_000)
    assert seen(told) == [("foos", {}, {})]
    foo.attr2 = "2"
    foo.save()
    assert seen(told) == [("foos", {"attr2": ""}, {"attr2": "2"})], "what does not differ is not told"


def test_a_row_without_any_value_is_in_the_lists_that_are_not_filtered(told: Told) -> None:
    register_model(Volume, changes={"volumes": ["shelf"]})
    volume = Volume.objects.create()
    assert seen(told) == [("volumes", {}, {})]
    volume.title = "x"
    volume.save()
    assert seen(told) == []


def test_a_field_that_is_not_written_does_not_differ(told: Told, django_assert_num_queries: Any) -> None:
    register_model(Foo, changes={"foos": ["attr1"]})
    foo = Foo.objects.create(attr1="1", attr2="1")
    told.clear()
    foo.attr1 = foo.attr2 = "2"
    with django_assert_num_queries(1):
        foo.save(update_fields=["attr2"])
    assert seen(told) == []
    foo.save(update_fields=["attr1"])
    assert seen(told) == [("foos", {"attr1": "1"}, {"attr1": "2"})]


def test_only_the_fields_that_are_compared_are_read(told: Told, django_assert_num_queries: Any) -> None:
    register_model(Foo, changes={"foos": ["attr1"]})
    foo = Foo.objects.create(attr1="1")
    with django_assert_num_queries(2) as queries:
        foo.save()
    assert '"attr1"' in queries[0]["sql"]
    assert '"attr2"' not in queries[0]["sql"]


def test_a_foreign_key_written_by_its_column_differs(told: Told) -> None:
    for pk in (1, 2):
        Shelf.objects.create(pk=pk)
    register_model(Volume, changes={"volumes": ["shelf"]})
    volume = Volume.objects.create(shelf_id=1)
    told.clear()
    volume.shelf_id = 2
    volume.save(update_fields=["shelf_id"])
    assert seen(told) == [("volumes", {"shelf": "1"}, {"shelf": "2"})]


@pytest.mark.parametrize("text", ["a,b", 'say "x"', "café", "a\r\nX: y", "%41", " ", ""])
def test_any_text_is_a_value(told: Told, text: str) -> None:
    register_model(Foo, changes={"foos": ["attr1"]})
    Foo.objects.create(attr1=text)
    assert seen(told) == [("foos", {}, {"attr1": text})]


@pytest.mark.parametrize(
    "given",
    [
        {"": ["attr1"]},
        {"café": ["attr1"]},
        {"a\nb": ["attr1"]},
        {"foos": ["Attr1"]},
        {"foos": {"a b": "attr1"}},
    ],
)
def test_names_that_no_header_can_say_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="rule"):
        register_model(Foo, changes=given)


def test_text_in_place_of_a_list_of_fields_is_refused() -> None:
    with pytest.raises(TypeError, match="attr1"):
        register_model(Foo, changes={"foos": "attr1"})
