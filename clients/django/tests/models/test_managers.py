"""Writes of many rows: what the manager tells, and how much it reads for that."""

import asyncio
import weakref

import pytest
from django import VERSION
from django.db import IntegrityError, connection, models, transaction
from django.db.models import Case, F, Value, When
from django.db.models.signals import post_init
from django.test.utils import CaptureQueriesContext, isolate_apps

from django_tagalong import registry, tag
from django_tagalong.bulk import CHUNK
from django_tagalong.changes import RuleChange
from django_tagalong.collector import MANY, collecting
from django_tagalong.managers import CacheAwareManager, CacheAwareQuerySet
from django_tagalong.registry import register_model
from tests.app.library import Atlas, Leaf, OldVolume, Shelf, Volume

from .telling import Told

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _rows(db: None) -> None:
    """Volumes 1 and 2 on shelf 1, volume 3 on shelf 2."""
    Shelf.objects.bulk_create([Shelf(pk=pk) for pk in (1, 2, 3)])
    for pk, shelf in ((1, 1), (2, 1), (3, 2)):
        Volume.objects.create(pk=pk, shelf_id=shelf, isbn=f"i{pk}", title=f"t{pk}")


def shelf_tag(volume: Volume) -> str | None:
    return None if volume.shelf_id is None else tag("Shelf", volume.shelf_id)


def test_an_update_tells_the_rows_and_what_they_were_in_and_are_in(told: Told) -> None:
    register_model(Volume, tags=shelf_tag)
    assert Volume.objects.filter(shelf=1).update(shelf=3) == 2
    assert [sorted(tags) for tags, _ in told.calls] == [["Shelf:1", "Shelf:3", "Volume:1", "Volume:2"]]


def test_an_update_calls_hooks_with_the_rows_as_they_are_now(told: Told) -> None:
    calls: list[tuple[object, ...]] = []

    def on_update(row: Volume, update_fields: frozenset[str]) -> str:
        calls.append((row.pk, row.stock, row.title, update_fields))
        return "Stock"

    register_model(Volume, on_update=on_update)
    Volume.objects.filter(pk__lt=3).update(stock=F("stock") + 5)
    assert calls == [(1, 5, "t1", frozenset({"stock"})), (2, 5, "t2", frozenset({"stock"}))]
    assert told.tags == {"Volume:1", "Volume:2", "Stock"}


def test_an_update_is_told_after_the_commit(told: Told) -> None:
    register_model(Volume)
    with transaction.atomic():
        Volume.objects.update(title="x")
        assert told.calls == []
    assert told.tags == {"Volume:1", "Volume:2", "Volume:3"}


def test_an_update_that_is_rolled_back_tells_nothing(told: Told) -> None:
    register_model(Volume, tags=shelf_tag)
    with transaction.atomic():
        Volume.objects.update(title="x")
        transaction.set_rollback(True)
    assert told.calls == []


def test_an_update_that_fails_tells_nothing_and_raises_what_it_raised(told: Told) -> None:
    register_model(Volume, tags=shelf_tag)
    with pytest.raises(IntegrityError):
        Volume.objects.update(isbn="same")
    with pytest.raises(TypeError, match="slice"):
        Volume.objects.all()[:1].update(title="x")
    assert told.calls == []
    assert set(Volume.objects.values_list("isbn", flat=True)) == {"i1", "i2", "i3"}


def test_an_update_in_a_request_travels_on_the_response(told: Told) -> None:
    register_model(Volume)
    with collecting() as collector:
        Volume.objects.update(title="x")
    assert list(collector.close().increments) == ["Volume:1", "Volume:2", "Volume:3"]
    assert told.calls == []


def test_an_update_that_matches_nothing_tells_nothing(told: Told) -> None:
    register_model(Volume, tags=shelf_tag, changes={"volumes": [], "by-title": ["title"]})
    assert Volume.objects.filter(pk=99).update(title="x") == 0
    assert told.calls == []


def test_an_update_through_a_join_tells_each_row_once(told: Told) -> None:
    register_model(Volume)
    rows = Volume.objects.filter(shelf__volumes__isnull=False).order_by("shelf__name")
    assert rows.distinct().update(title="x") == 3
    assert [sorted(tags) for tags, _ in told.calls] == [["Volume:1", "Volume:2", "Volume:3"]]


def test_an_update_of_the_key_tells_both_keys_and_what_the_old_row_said(told: Told) -> None:
    register_model(Volume, tags=shelf_tag)
    Volume.objects.filter(pk=3).update(id=30)
    assert {"Volume:3", "Shelf:2"} <= told.tags


def test_an_update_through_a_relation_is_told(told: Told) -> None:
    register_model(Volume, tags=shelf_tag)
    Shelf.objects.get(pk=1).volumes.update(title="x")
    assert told.tags == {"Volume:1", "Volume:2", "Shelf:1"}
    told.clear()
    Shelf.objects.get(pk=1).volumes.clear()
    assert told.tags == {"Volume:1", "Volume:2", "Shelf:1"}


def test_adding_to_a_plain_foreign_key_is_told_where_the_base_manager_announces(told: Told) -> None:
    register_model(Leaf)
    register_model(Volume)
    leaf = Leaf.objects.create(pk=5)
    told.clear()
    Volume.objects.get(pk=1).leaves.add(leaf)
    assert told.tags == {"Leaf:5"}
    leaf.refresh_from_db()
    assert leaf.volume_id == 1
    leaf.save()
    leaf.delete()
    told.clear()
    # Django writes these through its own manager, and sends no signal.
    Shelf.objects.get(pk=3).volumes.add(Volume.objects.get(pk=1))
    assert told.calls == []


def test_an_update_of_equal_rows_is_one_change(told: Told) -> None:
    register_model(Volume, changes={"volumes": ["shelf"]})
    Volume.objects.update(shelf=3)
    assert sorted((it.old, it.new) for it in told.changes) == [
        ((("shelf", "1"),), (("shelf", "3"),)),
        ((("shelf", "2"),), (("shelf", "3"),)),
    ]
    told.clear()
    Volume.objects.update(title="x")
    assert told.changes == []


def test_an_update_of_very_different_rows_is_a_change_of_the_whole_rule(told: Told) -> None:
    register_model(Volume, changes={"volumes": ["title"], "shelves": ["shelf"]})
    Volume.objects.bulk_create([Volume(title=f"{n}", shelf_id=1) for n in range(MANY + 1)])
    told.clear()
    Volume.objects.update(title="x", shelf=3)
    assert [it for it in told.changes if it.rule == "volumes"] == [told.changes[0]]
    assert (told.changes[0].old, told.changes[0].new) == ((), ())
    assert len(told.changes) == 3


def test_the_predicate_of_a_change_gets_the_rows(told: Told) -> None:
    register_model(
        Volume,
        changes=[RuleChange("volumes", ["stock"], when=lambda old, new: old.title == new.title == "t2")],
    )
    Volume.objects.update(stock=4)
    assert [(it.old, it.new) for it in told.changes] == [((("stock", "0"),), (("stock", "4"),))]


def test_an_update_reads_no_rows_where_keys_will_do(told: Told) -> None:
    register_model(Volume, changes={"volumes": ["title"], "all": []})
    with CaptureQueriesContext(connection) as queries:
        Volume.objects.update(stock=1)
    assert [it["sql"].split()[0] for it in queries] == ["BEGIN", "SELECT", "UPDATE", "COMMIT"]
    assert "title" not in queries[1]["sql"]
    assert told.tags == {"Volume:1", "Volume:2", "Volume:3"}
    assert [it.rule for it in told.changes] == ["all"]


def test_ten_thousand_rows_are_one_call_and_few_of_them_in_memory(told: Told) -> None:
    Volume.objects.bulk_create([Volume(pk=pk, shelf_id=1) for pk in range(1000, 11_000)], batch_size=2000)
    register_model(Volume, tags=shelf_tag)
    alive: set[int] = set()
    most = 0

    def watch(instance: Volume, **_: object) -> None:
        nonlocal most
        alive.add(id(instance))
        weakref.finalize(instance, alive.discard, id(instance))
        most = max(most, len(alive))

    post_init.connect(watch, sender=Volume)
    try:
        Volume.objects.filter(pk__gte=1000).update(shelf=3)
    finally:
        post_init.disconnect(watch, sender=Volume)
    assert [len(tags) for tags, _ in told.calls] == [10_002]
    assert 0 < most <= 2 * CHUNK


def test_bulk_create_tells_the_rows_and_calls_hooks(told: Told) -> None:
    created: list[object] = []
    register_model(Volume, tags=shelf_tag, on_create=created.append, changes={"volumes": ["shelf"]})
    rows = Volume.objects.bulk_create(Volume(shelf_id=2) for _ in range(3))
    assert created == rows
    assert len(told.calls) == 1
    assert told.tags == {f"Volume:{it.pk}" for it in rows} | {"Shelf:2"}
    assert [(it.old, it.new) for it in told.changes] == [((), (("shelf", "2"),))]


def test_bulk_create_of_expressions_tells_what_the_database_made_of_them(told: Told) -> None:
    register_model(Volume, tags=lambda row: tag("Stock", row.stock))
    Volume.objects.bulk_create([Volume(pk=9, stock=Value(3) + Value(4))])
    assert told.tags == {"Volume:9", "Stock:7"}


def test_bulk_create_that_ignores_conflicts_tells_what_it_can(told: Told) -> None:
    register_model(Volume, tags=shelf_tag)
    Volume.objects.bulk_create(
        [Volume(isbn="i1", shelf_id=3), Volume(isbn="new", shelf_id=3)], ignore_conflicts=True
    )
    assert told.tags == {"Shelf:3"}


def test_bulk_create_that_updates_conflicts_tells_new_rows_from_old_ones(told: Told) -> None:
    hooked: list[tuple[str, object]] = []
    register_model(
        Volume,
        tags=shelf_tag,
        on_create=lambda row: hooked.append(("create", row.isbn)),
        on_update=lambda row, update_fields: hooked.append(("update", (row.isbn, row.title))),
    )
    Volume.objects.bulk_create(
        [Volume(isbn="i1", title="not written", shelf_id=3), Volume(isbn="new", title="new", shelf_id=3)],
        update_conflicts=True,
        update_fields=["shelf"],
        unique_fields=["isbn"],
    )
    new = Volume.objects.get(isbn="new")
    assert told.tags == {"Volume:1", f"Volume:{new.pk}", "Shelf:1", "Shelf:3"}
    assert hooked == [("update", ("i1", "t1")), ("create", "new")]


def test_bulk_update_tells_the_rows_once_whatever_the_batches(told: Told) -> None:
    register_model(Volume, tags=shelf_tag)
    rows = list(Volume.objects.order_by("pk"))
    for row in rows:
        row.shelf_id = 3
        row.title = "not written"
    assert Volume.objects.bulk_update(rows, ["shelf"], batch_size=1) == 3
    assert [sorted(tags) for tags, _ in told.calls] == [
        ["Shelf:1", "Shelf:2", "Shelf:3", "Volume:1", "Volume:2", "Volume:3"]
    ]


def test_bulk_update_tells_what_the_database_made_of_expressions(told: Told) -> None:
    register_model(Volume, tags=lambda row: tag("Stock", row.stock))
    row = Volume.objects.get(pk=1)
    row.stock = Case(When(title="t1", then=Value(8)), default=Value(9))
    Volume.objects.bulk_update([row], ["stock"])
    assert told.tags == {"Volume:1", "Stock:0", "Stock:8"}


def test_a_queryset_delete_tells_each_row(told: Told) -> None:
    register_model(Volume, tags=shelf_tag, on_delete=lambda row: tag("Gone", row.pk))
    Volume.objects.filter(shelf=1).delete()
    assert [set(tags) for tags, _ in told.calls] == [{"Volume:1", "Volume:2", "Shelf:1", "Gone:1", "Gone:2"}]


def test_without_signals_the_manager_alone_tells(told: Told) -> None:
    register_model(Volume, tags=shelf_tag, on_delete=lambda row: tag("Gone", row.pk), auto_connect=False)
    volume = Volume.objects.get(pk=3)
    volume.save()
    assert told.calls == []
    Volume.objects.filter(pk=3).delete()
    assert told.tags == {"Volume:3", "Shelf:2", "Gone:3"}
    told.clear()
    Volume.objects.filter(pk=1).update(title="x")
    assert told.tags == {"Volume:1", "Shelf:1"}


def test_a_model_that_is_not_registered_is_written_as_ever(told: Told) -> None:
    with CaptureQueriesContext(connection) as queries:
        Volume.objects.update(title="x")
    assert len(queries) == 1
    Volume.objects.bulk_create([Volume(pk=9)])
    Volume.objects.all().delete()
    assert told.calls == []


def test_what_is_empty_is_no_error(told: Told) -> None:
    register_model(Volume, tags=shelf_tag)
    assert Volume.objects.bulk_create([]) == []
    assert Volume.objects.bulk_update([], ["title"]) == 0
    assert Volume.objects.none().update(title="x") == 0
    assert told.calls == []


def test_proxies_and_tables_that_inherit_are_told_of(told: Told) -> None:
    Atlas.objects.create(pk=7, shelf_id=2)
    register_model(OldVolume, tags=shelf_tag)
    register_model(Atlas)
    Atlas.objects.filter(pk=7).update(shelf=3, scale=4)
    assert told.tags == {"OldVolume:7", "Shelf:2", "Shelf:3", "Atlas:7"}
    told.clear()
    Volume.objects.filter(pk=7).update(title="x")
    assert told.tags == {"OldVolume:7", "Shelf:3", "Atlas:7"}


def test_the_asynchronous_forms_are_told_of(told: Told) -> None:
    register_model(Volume, tags=shelf_tag)

    async def write() -> list[set[str]]:
        seen = []
        rows = await Volume.objects.abulk_create([Volume(pk=9, shelf_id=1)])
        seen.append(told.tags)
        told.clear()
        rows[0].shelf_id = 3
        await Volume.objects.abulk_update(rows, ["shelf"])
        seen.append(told.tags)
        told.clear()
        await Volume.objects.filter(pk=9).aupdate(shelf=2)
        seen.append(told.tags)
        told.clear()
        await Volume.objects.filter(pk=9).adelete()
        seen.append(told.tags)
        return seen

    assert asyncio.run(write()) == [
        {"Volume:9", "Shelf:1"},
        {"Volume:9", "Shelf:1", "Shelf:3"},
        {"Volume:9", "Shelf:3", "Shelf:2"},
        {"Volume:9", "Shelf:2"},
    ]


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_another_database_is_read_written_and_waited_for(told: Told) -> None:
    Volume.objects.using("other").bulk_create([Volume(pk=9, title="other")])
    register_model(Volume, tags=lambda row: tag("Title", row.title))
    with transaction.atomic(using="other"):
        Volume.objects.using("other").update(title="x")
        Volume.objects.using("other").bulk_update([Volume(pk=9, title="y")], ["title"])
        with transaction.atomic():
            pass
        assert told.calls == []
    assert told.tags == {"Volume:9", "Title:other", "Title:x", "Title:y"}


def test_a_queryset_of_ones_own_keeps_its_methods(told: Told) -> None:
    class Shop(CacheAwareQuerySet[Volume]):
        def sell(self) -> int:
            return self.update(stock=F("stock") - 1)

    register_model(Volume)
    assert Shop(Volume).filter(pk=1).sell() == 1
    assert told.tags == {"Volume:1"}


@pytest.mark.skipif(VERSION < (5, 2), reason="composite keys came with Django 5.2")
def test_rows_with_a_key_of_several_columns_have_tags_of_several_parts(told: Told) -> None:
    with isolate_apps("tests.app"):

        class Line(models.Model):
            pk = models.CompositePrimaryKey("a", "b")
            a = models.IntegerField()
            b = models.CharField(max_length=9)
            c = models.IntegerField(default=0)

            objects = CacheAwareManager()

            class Meta:
                app_label = "app"

    with connection.schema_editor() as editor:
        editor.create_model(Line)
    register_model(Line, tags=lambda row: tag("C", row.c))
    writes = [
        (lambda: Line.objects.create(a=1, b="x:y"), {"C:0"}),
        (lambda: Line.objects.filter(a=1).update(c=5), {"C:0", "C:5"}),
        (lambda: Line.objects.bulk_update([Line(a=1, b="x:y", c=6)], ["c"]), {"C:5", "C:6"}),
        (lambda: registry.invalidate_model_tag(Line, (1, "x:y")), set()),
        (lambda: Line.objects.all().delete(), {"C:6"}),
    ]
    for write, others in writes:
        told.clear()
        write()
        assert told.tags == {tag("Line", 1, "x:y"), *others}
    with connection.schema_editor() as editor:
        editor.delete_model(Line)
