"""Registered models: what saving and deleting their rows tells, and when."""

import gc
import logging
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import IntegrityError, connection, models, transaction
from django.db.models import F
from django.db.models.functions import Upper
from django.db.models.signals import post_save, pre_save
from django.test.utils import isolate_apps

from django_tagalong import registry, signals, tag
from django_tagalong.collector import collecting
from django_tagalong.notes import DEEPEST
from django_tagalong.registry import register_model
from django_tagalong.signals import locked
from tests.app.library import Atlas, Chapter, Document, Keyed, OldVolume, Shelf, Volume
from tests.app.models import User

from .telling import Told

pytestmark = pytest.mark.django_db(transaction=True)
both_databases = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@contextmanager
def rolled_back() -> Iterator[None]:
    """A transaction that does not commit."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def shelf_tag(volume: Volume) -> str | None:
    return None if volume.shelf_id is None else tag("Shelf", volume.shelf_id)


# -- when it is told --


def test_three_saves_in_a_request_are_one_increment(told: Told) -> None:
    register_model(User)
    with collecting() as collector:
        user = User.objects.create(pk=42)
        user.save()
        user.save()
    assert list(collector.close().increments) == ["User:42"]
    assert told.calls == []


def test_a_save_outside_of_a_request_is_one_call(told: Told) -> None:
    register_model(User)
    User.objects.create(pk=42)
    assert told.calls == [(["User:42"], [])]


def test_a_save_is_told_after_the_commit_and_not_before(told: Told) -> None:
    register_model(User)
    with transaction.atomic():
        User.objects.create(pk=42)
        assert told.calls == []
    assert told.tags == {"User:42"}


def test_a_transaction_that_is_rolled_back_tells_nothing(told: Told) -> None:
    register_model(User, changes={"users": ["name"]}, on_create=lambda user: "Users")
    with collecting() as collector, rolled_back():
        User.objects.create(pk=42).delete()
    collected = collector.close()
    assert (told.calls, list(collected.increments), list(collected.changes)) == ([], [], [])


def test_of_a_savepoint_that_is_rolled_back_nothing_is_told(told: Told) -> None:
    register_model(User)
    with transaction.atomic():
        User.objects.create(pk=1)
        with rolled_back():
            User.objects.create(pk=2)
    assert told.tags == {"User:1"}


def test_a_save_that_fails_tells_nothing(told: Told) -> None:
    register_model(Volume, tags=shelf_tag)
    Volume.objects.create(isbn="1")
    told.clear()
    failing = Volume(isbn="1")
    with pytest.raises(IntegrityError):
        failing.save()
    assert told.calls == []
    failing.isbn = "2"
    failing.save()
    assert told.tags == {f"Volume:{failing.pk}"}


@both_databases
def test_each_database_tells_with_its_own_commit(told: Told) -> None:
    register_model(User)
    with rolled_back():
        User.objects.create(pk=1)
        User.objects.using("other").create(pk=2)
    assert told.tags == {"User:2"}
    told.clear()
    with transaction.atomic(using="other"):
        User.objects.using("other").get(pk=2).delete()
        User.objects.create(pk=3)
        assert told.tags == {"User:3"}
    assert told.tags == {"User:3", "User:2"}


def test_many_saves_in_one_transaction_are_one_call(told: Told) -> None:
    register_model(User)
    with transaction.atomic():
        for pk in range(300):
            User.objects.create(pk=pk)
    assert len(told.calls) == 1
    assert len(told.tags) == 300


@both_databases
def test_the_old_row_is_that_of_the_database_that_is_written(told: Told) -> None:
    for using, name in (("default", "a"), ("other", "b")):
        User.objects.using(using).create(pk=1, name=name)
    register_model(User, tags=lambda user: tag("Name", user.name))
    User(pk=1, name="c").save(using="other")
    assert told.tags == {"User:1", "Name:b", "Name:c"}


# -- what is told --


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        pytest.param(lambda: User(pk=1).save(), {"User:1"}, id="save"),
        pytest.param(lambda: User.objects.get(pk=1).delete(), {"User:1"}, id="delete"),
        pytest.param(lambda: User.objects.all().delete(), {"User:1", "User:2"}, id="queryset_delete"),
        pytest.param(lambda: User.objects.get_or_create(pk=1), set(), id="get_or_create_that_gets"),
        pytest.param(lambda: User.objects.get_or_create(pk=3), {"User:3"}, id="get_or_create_that_creates"),
        pytest.param(
            lambda: User.objects.update_or_create(pk=1, defaults={"name": "x"}),
            {"User:1"},
            id="update_or_create",
        ),
        pytest.param(lambda: User.objects.only("name").get(pk=1).save(), {"User:1"}, id="deferred"),
        pytest.param(lambda: User(pk=1).save(update_fields=["name"]), {"User:1"}, id="update_fields"),
        pytest.param(lambda: User(pk=1).save(update_fields=[]), set(), id="no_update_fields"),
        pytest.param(lambda: User(pk="0001").save(), {"User:1"}, id="key_as_other_text"),
    ],
)
def test_every_way_to_write_a_row_tells_its_tag(told: Told, write: Any, expected: set[str]) -> None:
    User.objects.create(pk=1)
    User.objects.create(pk=2)
    register_model(User)
    write()
    assert told.tags == expected


def test_a_delete_tells_the_key_that_the_instance_has_lost(told: Told) -> None:
    register_model(User, on_delete=lambda user: tag("Gone", user.pk))
    user = User.objects.create(pk=7)
    told.clear()
    with transaction.atomic():
        user.delete()
        assert user.pk is None
    assert told.tags == {"User:7", "Gone:7"}


def test_a_plain_registration_costs_no_query(django_assert_num_queries: Any, told: Told) -> None:
    register_model(User)
    register_model(Volume, changes={"volumes": []})
    user = User.objects.create(pk=1)
    volume = Volume.objects.create(pk=1)
    told.clear()
    with django_assert_num_queries(2):
        user.save()
        volume.save()
    assert told.tags == {"User:1", "Volume:1"}
    assert [it.rule for it in told.changes] == ["volumes"]


def test_a_row_that_moves_tells_where_it_was_and_where_it_is(told: Told) -> None:
    here, there = Shelf.objects.create(pk=1), Shelf.objects.create(pk=2)
    volume = Volume.objects.create(pk=7, shelf=here)
    register_model(Volume, tags=shelf_tag)
    volume.shelf = there
    volume.save()
    assert told.tags == {"Volume:7", "Shelf:1", "Shelf:2"}


def test_a_row_that_is_written_without_being_read_tells_where_it_was(told: Told) -> None:
    Shelf.objects.create(pk=1)
    Volume.objects.create(pk=7, shelf_id=1)
    register_model(Volume, tags=shelf_tag)
    Volume(pk=7).save()
    assert told.tags == {"Volume:7", "Shelf:1"}


def test_a_row_that_is_deleted_without_being_read_tells_where_it_was(told: Told) -> None:
    Shelf.objects.create(pk=1)
    Volume.objects.create(pk=7, shelf_id=1)
    register_model(Volume, tags=shelf_tag)
    Volume(pk=7).delete()
    assert told.tags == {"Volume:7", "Shelf:1"}


def test_what_was_not_saved_is_not_told(told: Told) -> None:
    for pk in (1, 2):
        Shelf.objects.create(pk=pk)
    volume = Volume.objects.create(pk=7, shelf_id=1)
    register_model(Volume, tags=shelf_tag)
    volume.shelf_id = 2
    volume.title = "x"
    volume.save(update_fields=["title"])
    assert told.tags == {"Volume:7", "Shelf:1"}


def test_a_receiver_that_saves_again_does_not_lose_where_the_row_was(told: Told) -> None:
    for pk in (1, 2):
        Shelf.objects.create(pk=pk)
    volume = Volume.objects.create(pk=7, shelf_id=1)

    def again(instance: Volume, **_: Any) -> None:
        if instance.title != "again":
            instance.title = "again"
            instance.save()

    post_save.connect(again, sender=Volume)
    try:
        register_model(Volume, tags=shelf_tag)
        volume.shelf_id = 2
        volume.save()
    finally:
        post_save.disconnect(again, sender=Volume)
    assert told.tags == {"Volume:7", "Shelf:1", "Shelf:2"}
    assert not [name for name in vars(volume) if name.startswith("_tagalong")]


def test_an_expression_is_told_as_what_the_database_made_of_it(told: Told) -> None:
    register_model(Volume, tags=lambda row: tag("Stock", row.stock))
    volume = Volume.objects.create(pk=7, stock=3, title="x")
    told.clear()
    volume.stock = F("stock") - 1
    volume.save()
    assert told.tags == {"Volume:7", "Stock:3", "Stock:2"}
    told.clear()
    Volume(pk=8, title=Upper(models.Value("abc"))).save()
    assert told.tags == {"Volume:8", "Stock:0"}


def test_keys_of_the_models_own_are_all_sent(told: Told) -> None:
    register_model(Keyed)
    row = Keyed.objects.create(pk=1, keys=["A:1", "B:1"])
    assert told.tags == {"Keyed:1", "A:1", "B:1"}
    told.clear()
    row.keys = "C:1"
    row.save()
    assert told.tags == {"Keyed:1", "A:1", "B:1", "C:1"}


def test_a_key_that_is_a_method_is_called(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(User, "cache_key", lambda user: f"Person:{user.pk}", raising=False)
    register_model(User)
    User.objects.create(pk=1)
    assert told.tags == {"User:1", "Person:1"}


def test_a_key_with_a_default_needs_no_look(django_assert_num_queries: Any, told: Told) -> None:
    register_model(Document, tags=lambda row: "Documents")
    document = Document()
    with django_assert_num_queries(1):
        document.save()
    assert told.tags == {f"Document:{document.pk}", "Documents"}


def test_within_a_transaction_the_old_row_is_locked(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    # SQLite has no such locks, and no second writer either: what PostgreSQL would be asked is looked at.
    for feature in ("has_select_for_update", "has_select_for_no_key_update"):
        monkeypatch.setattr(connection.features, feature, True)
    rows = User.objects.all()
    assert not locked(rows, "default").query.select_for_update
    with transaction.atomic():
        query = locked(rows, "default").query
    assert (query.select_for_update, query.select_for_no_key_update) == (True, True)


# -- hooks and predicates --


def test_hooks_are_called_with_the_row_and_add_their_tags(told: Told) -> None:
    calls: list[tuple[object, ...]] = []

    def on_update(user: User, update_fields: frozenset[str] | None) -> list[str]:
        calls.append(("update", user, update_fields))
        return ["review:org:42", "reviews"]

    register_model(
        User,
        on_create=lambda user: calls.append(("create", user)),
        on_update=on_update,
        on_delete=lambda user: calls.append(("delete", user.pk)),
    )
    user = User.objects.create(pk=42)
    user.save()
    assert told.tags == {"User:42", "review:org:42", "reviews"}
    user.save(update_fields=["name"])
    user.delete()
    assert calls == [
        ("create", user),
        ("update", user, None),
        ("update", user, frozenset({"name"})),
        ("delete", 42),
    ]


@pytest.mark.parametrize("broken", ["tags", "on_create", "on_update", "on_delete", "when"])
def test_what_raises_is_logged_and_the_rows_own_tag_is_sent(
    told: Told, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise RuntimeError("a hook of the app")

    register_model(User, **{broken: fail})  # type: ignore[arg-type]
    user = User.objects.create(pk=42)
    user.save()
    user.delete()
    assert [tags for tags, _ in told.calls] == [["User:42"]] * 3
    errors = [it for it in caplog.records if it.levelno == logging.ERROR]
    assert errors
    assert all(broken in it.getMessage() and it.exc_info for it in errors)


def test_a_cache_key_that_raises_is_logged_and_the_rows_own_tag_is_sent(
    told: Told, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> str:
        raise RuntimeError("a key of the app")

    monkeypatch.setattr(Keyed, "cache_key", property(fail))
    register_model(Keyed)
    Keyed.objects.create(pk=1)
    assert told.tags == {"Keyed:1"}
    assert "cache_key" in caplog.text


@pytest.mark.parametrize("given", ["a,b", 'a"b', "", "~all", "a\r\nX: y", 7, None, b"a"])
def test_what_is_no_tag_is_logged_and_left_out(
    told: Told, caplog: pytest.LogCaptureFixture, given: object
) -> None:
    register_model(User, tags=lambda user: ["good", given])
    User.objects.create(pk=1)
    assert told.tags == {"User:1", "good"}
    assert "no tag" in caplog.text


def test_a_key_that_cannot_be_a_tag_breaks_no_save(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    with isolate_apps("tests.app"):

        class Named(models.Model):
            name = models.TextField(primary_key=True)

            class Meta:
                app_label = "app"

    register_model(Named)
    post_save.send(
        Named, instance=Named(name="x" * 5000), created=True, raw=False, using="default", update_fields=None
    )
    assert told.calls == []
    assert "has no tag" in caplog.text


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("draft", "draft", False),
        ("draft", "public", True),
        ("public", "draft", True),
        ("public", "public", True),
    ],
)
def test_when_is_asked_of_the_row_before_and_after(
    told: Told, before: str, after: str, expected: bool
) -> None:
    volume = Volume.objects.create(pk=1, title=before)
    register_model(Volume, when=lambda row: row.title == "public")
    volume.title = after
    volume.save()
    assert bool(told.calls) is expected


# -- whose row it is --


@pytest.mark.parametrize(("registered", "name"), [(Volume, "Volume"), (OldVolume, "OldVolume")])
@pytest.mark.parametrize("written", [Volume, OldVolume])
def test_a_row_is_told_of_through_whichever_class_it_is_written(
    told: Told, registered: type[Volume], name: str, written: type[Volume]
) -> None:
    register_model(registered)
    row = written.objects.create(pk=1)
    assert told.tags == {f"{name}:1"}
    told.clear()
    written.objects.all().delete()
    assert told.tags == {f"{name}:1"}
    row.save()
    told.clear()
    row.delete()
    assert told.tags == {f"{name}:1"}


def test_functions_of_a_proxy_get_the_proxy(told: Told) -> None:
    register_model(OldVolume, tags=lambda row: tag("Title", row.shout()))
    Volume.objects.create(pk=1, title="abc")
    assert told.tags == {"OldVolume:1", "Title:ABC"}


def test_a_child_table_tells_of_the_parents_row_too(told: Told) -> None:
    register_model(Volume, tags=lambda row: tag("Title", row.title))
    register_model(Atlas)
    atlas = Atlas.objects.create(pk=1, title="a")
    assert told.tags == {"Volume:1", "Title:a", "Atlas:1"}
    told.clear()
    atlas.title = "b"
    atlas.save()
    assert told.tags == {"Volume:1", "Title:a", "Title:b", "Atlas:1"}
    told.clear()
    atlas.delete()
    assert told.tags == {"Volume:1", "Title:b", "Atlas:1"}


def test_a_parent_table_tells_of_the_childs_row_too(told: Told) -> None:
    Atlas.objects.create(pk=1)
    register_model(Atlas)
    parent = Volume.objects.get(pk=1)
    parent.save()
    assert told.tags == {"Atlas:1"}
    told.clear()
    parent.delete()
    assert told.tags == {"Atlas:1"}


def test_rows_deleted_by_cascade_are_told_of(told: Told) -> None:
    volume = Volume.objects.create(pk=1)
    for pk in (5, 6):
        Chapter.objects.create(pk=pk, volume=volume)
    register_model(Chapter)
    volume.delete()
    assert told.tags == {"Chapter:5", "Chapter:6"}


def test_rows_that_lose_what_they_refer_to_are_told_of(told: Told) -> None:
    shelf = Shelf.objects.create(pk=3)
    Volume.objects.create(pk=1, shelf=shelf)
    Volume.objects.create(pk=2)
    register_model(Volume, tags=shelf_tag, changes={"volumes": ["shelf"]})
    with transaction.atomic():
        shelf.delete()
        assert told.calls == []
    assert told.tags == {"Volume:1", "Shelf:3"}
    assert [(it.old, it.new) for it in told.changes] == [((("shelf", "3"),), ())]


def test_rows_of_models_that_are_not_registered_are_deleted_as_fast_as_ever(
    django_assert_num_queries: Any, told: Told
) -> None:
    register_model(Volume)
    Document.objects.create()
    with transaction.atomic(), django_assert_num_queries(1):
        Document.objects.all().delete()


def test_a_class_made_after_the_registration_is_heard(told: Told) -> None:
    register_model(User)
    with isolate_apps("tests.app"):

        class Reader(User):
            class Meta:
                proxy = True
                app_label = "app"

    Reader.objects.create(pk=1)
    assert told.tags == {"User:1"}
    registry.unregister_model(User)
    assert not post_save.has_listeners(Reader)


# -- fixtures --


def test_a_fixture_tells_without_reading_or_calling_hooks(
    told: Told, django_assert_num_queries: Any, tmp_path: Any
) -> None:
    from django.core.management import call_command

    hooked: list[object] = []
    register_model(
        Volume,
        tags=lambda row: tag("Title", row.title),
        on_create=hooked.append,
        changes={"volumes": ["title"]},
    )
    fixture = tmp_path / "volumes.json"
    fixture.write_text('[{"model": "app.volume", "pk": 1, "fields": {"title": "a"}}]')
    seen: list[bool] = []

    def spy(raw: bool, **_: Any) -> None:
        seen.append(raw)

    pre_save.connect(spy, sender=Volume)
    try:
        call_command("loaddata", str(fixture), verbosity=0)
    finally:
        pre_save.disconnect(spy, sender=Volume)
    assert seen == [True]
    assert told.tags == {"Volume:1", "Title:a"}
    assert [(it.rule, it.old, it.new) for it in told.changes] == [("volumes", (), ())]
    assert hooked == []


# -- a sidecar that is down --


def test_a_sidecar_that_is_away_breaks_no_save(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.TAGALONG = {"ADMIN_URLS": "http://127.0.0.1:9", "RETRIES": 0}
    register_model(User)
    User.objects.create(pk=42).delete()
    assert [it.levelno for it in caplog.records] == [logging.ERROR] * 2
    assert "User:42" in caplog.text


def test_a_save_that_fails_leaves_nothing_that_grows_or_is_pickled(told: Told) -> None:
    register_model(Volume, tags=shelf_tag)
    for pk in (1, 2):
        Shelf.objects.create(pk=pk)
    Volume.objects.create(isbn="a")
    volume = Volume.objects.create(isbn="b", shelf_id=1)
    volume.isbn, volume.shelf_id = "a", 2
    for _ in range(50):
        with pytest.raises(IntegrityError):
            volume.save()
    assert len(signals._before) <= DEEPEST
    assert not [name for name in volume.__dict__ if "tagalong" in name]
    told.clear()
    again = pickle.loads(pickle.dumps(volume))
    volume.isbn = again.isbn = "c"
    volume.save()
    again.save()
    assert told.calls[0] == ([f"Volume:{volume.pk}", "Shelf:1", "Shelf:2"], [])
    assert told.calls[1] == ([f"Volume:{volume.pk}", "Shelf:2"], [])
    del volume, again
    gc.collect()
    assert len(signals._before) == 0


def test_a_row_that_a_receiver_saves_again_tells_what_each_save_has_found(told: Told) -> None:
    register_model(Volume, tags=shelf_tag)
    for pk in (1, 2, 3, 4):
        Shelf.objects.create(pk=pk)
    volume = Volume.objects.create(shelf_id=1)
    own = f"Volume:{volume.pk}"
    told.clear()

    def again(instance: Volume, **_: Any) -> None:
        if instance.shelf_id == 3:
            models.QuerySet(Volume).filter(pk=instance.pk).update(shelf_id=2)
            instance.shelf_id = 4
            instance.save()
            instance.shelf_id = 3

    pre_save.connect(again, sender=Volume)
    try:
        volume.shelf_id = 3
        volume.save()
    finally:
        pre_save.disconnect(again, sender=Volume)
    assert told.calls == [
        ([own, "Shelf:2", "Shelf:4"], []),
        ([own, "Shelf:1", "Shelf:3"], []),
    ]
