"""The registry: who is registered, under which name, and calls by hand."""

import gc
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.db import models, transaction
from django.db.models.signals import m2m_changed, post_save, pre_delete, pre_save

import django_tagalong
from django_tagalong import m2m, registry, rows, wiring
from django_tagalong.collector import collecting
from django_tagalong.registry import ModelTagManager, register_model
from tests.app.library import Document, OldVolume, Volume
from tests.app.models import Book, User

from .telling import Told

SIGNALS = (pre_save, post_save, pre_delete)


@pytest.mark.django_db(transaction=True)
def test_a_tag_name_takes_the_place_of_the_name_of_the_class(told: Told) -> None:
    register_model(User, tag_name="Donations")
    User.objects.create(pk=7)
    assert told.tags == {"Donations:7"}


@pytest.mark.django_db(transaction=True)
def test_a_model_that_was_unregistered_tells_nothing(told: Told) -> None:
    register_model(User)
    registry.unregister_model(User)
    registry.unregister_model(User)
    User.objects.create(pk=7).delete()
    assert told.calls == []
    assert not any(signal.has_listeners(User) for signal in SIGNALS)


@pytest.mark.django_db(transaction=True)
def test_registering_twice_tells_once_and_the_last_word_counts(told: Told) -> None:
    register_model(User, tag_name="Old")
    register_model(User, tag_name="New")
    User.objects.create(pk=7)
    assert told.calls == [(["New:7"], [])]
    assert registry.get_registered_models() == [User]


@pytest.mark.django_db(transaction=True)
def test_without_auto_connect_no_signal_tells(told: Told) -> None:
    register_model(User, auto_connect=False)
    User.objects.create(pk=7)
    assert told.calls == []
    assert registry.is_registered(User)


@pytest.mark.django_db(transaction=True)
def test_functions_that_nobody_else_holds_are_kept(told: Told) -> None:
    def register() -> None:
        prefix = "Local"
        register_model(User, tags=lambda user: f"{prefix}:{user.pk}")

    register()
    gc.collect()
    User.objects.create(pk=7)
    assert told.tags == {"User:7", "Local:7"}


def test_what_was_registered_can_be_asked_for() -> None:
    def tags(user: User) -> str:
        return "x"

    register_model(User, "People", tags=tags)
    config = registry.get_registered_config(User)
    assert config is not None
    assert (config.model, config.tag_name, config.tags, config.auto_connect) == (User, "People", tags, True)
    assert registry.get_registered_config("app.User") is config
    assert registry.get_tag_name_for_model(User) == "People"
    assert registry.is_registered("app.user")
    assert registry.get_registered_models() == [User]
    assert registry.get_registered_config(Book) is None
    assert registry.get_tag_name_for_model(Book) is None
    assert not registry.is_registered(Book)


@pytest.mark.parametrize("reset", [registry.clear_all, registry.reset_configuration])
def test_after_a_reset_no_model_is_registered(reset: Any) -> None:
    register_model(User)
    register_model("app.Book")
    reset()
    assert registry.get_registered_models() == []
    assert not any(signal.has_listeners(model) for signal in SIGNALS for model in (User, Book))


def test_a_reset_unregisters_relations_too() -> None:
    m2m.register_m2m(Book.readers.through)
    registry.reset_configuration()
    assert not m2m_changed.has_listeners(Book.readers.through)


def test_the_name_that_users_of_fragmented_keys_know_does_the_same() -> None:
    ModelTagManager.register_model(User)
    assert ModelTagManager.is_registered(User)
    assert ModelTagManager.get_registered_models() == [User]
    ModelTagManager.unregister_model(User)
    assert not registry.is_registered(User)


@pytest.mark.parametrize("name", ["", "a:b", "~all"])
def test_a_name_that_cannot_begin_a_tag_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="tag"):
        register_model(User, tag_name=name)
    assert not registry.is_registered(User)


def test_a_model_that_has_no_table_is_refused() -> None:
    class Plain(models.Model):
        class Meta:
            abstract = True
            app_label = "app"

    with pytest.raises(ValueError, match="abstract"):
        register_model(Plain)


def test_a_model_that_does_not_exist_is_refused() -> None:
    with pytest.raises(LookupError):
        register_model("app.Nobody")


def test_a_field_that_does_not_exist_is_refused() -> None:
    with pytest.raises(
        models.FieldDoesNotExist if hasattr(models, "FieldDoesNotExist") else Exception, match="nope"
    ):
        register_model(User, changes={"users": ["nope"]})


def test_names_registered_before_the_models_are_loaded_are_registered_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(apps, "models_ready", False)
    register_model("app.User", tag_name="People")
    assert registry.is_registered("app.User")
    assert registry.get_registered_models() == []
    monkeypatch.setattr(apps, "models_ready", True)
    registry.models_are_loaded()
    assert registry.get_tag_name_for_model(User) == "People"


def test_the_label_of_an_app_may_have_capitals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(apps.all_models, "MyApp", {"user": User})
    monkeypatch.setattr(User._meta, "app_label", "MyApp")
    register_model(User, tag_name="People")
    assert registry.is_registered("MyApp.User")
    assert registry.get_tag_name_for_model("MyApp.User") == "People"
    assert registry._named_tags("MyApp.User", 1) == ["People:1"]
    registry.unregister_model("MyApp.User")
    assert not registry.is_registered(User)


def test_a_registration_does_not_compare_every_class_with_every_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared = []
    monkeypatch.setattr(rows.Writers, "include", lambda self, written: compared.append(written) or False)
    monkeypatch.setattr(registry, "kin", compared.append)
    for model in (User, Book, Volume, Document):
        compared.clear()
        register_model(model)
        # Once for signals of models, once for what they refer to: however many are registered.
        assert len(compared) <= 2 * len({*wiring.models()})


def test_a_name_that_no_model_has_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apps, "models_ready", False)
    register_model("app.Nobody")
    monkeypatch.setattr(apps, "models_ready", True)
    with pytest.raises(LookupError):
        registry.models_are_loaded()


EARLY = """
from django.db import models
from django_tagalong.m2m import register_m2m
from django_tagalong.registry import register_model

register_model("early.Later", tag_name="Late")
register_m2m("early.Later_others")


class First(models.Model):
    pass


register_model(First)


class Later(models.Model):
    others = models.ManyToManyField(First, related_name="laters")


class Child(First):
    pass
"""

PROGRAM = """
import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["early", "django_tagalong"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()
from django.core.management import call_command
from django_tagalong import tell
from early.models import Child, First, Later

call_command("migrate", run_syncdb=True, verbosity=0)
seen = []
tell.tell = lambda increments, changes=(): seen.extend(it.tag for it in increments) or True
later = Later.objects.create(pk=1)
later.others.add(Child.objects.create(pk=2))
print(*seen)
"""


def test_models_may_be_registered_where_they_are_defined(tmp_path: Path) -> None:
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / "__init__.py").write_text("")
    (tmp_path / "early" / "models.py").write_text(EARLY)
    (tmp_path / "program.py").write_text(PROGRAM)
    source = Path(django_tagalong.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{source}:{tmp_path}", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["Late:1", "First:2", "Late:1:others", "First:2:laters"]


# -- by hand --


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        pytest.param(lambda: registry.invalidate_model_tag(User, 42), {"People:42"}, id="class"),
        pytest.param(lambda: registry.invalidate_model_tag("app.User", "042"), {"People:42"}, id="label"),
        pytest.param(lambda: registry.invalidate_model_tag("User", 42), {"People:42"}, id="class_name"),
        pytest.param(lambda: registry.invalidate_model_tag("People", 42), {"People:42"}, id="tag_name"),
        pytest.param(lambda: registry.invalidate_model_tag("Else", "a,b"), {"Else:a%2Cb"}, id="other_name"),
        pytest.param(lambda: registry.invalidate_model_tag(Book, 1), {"Book:1"}, id="unregistered"),
        pytest.param(
            lambda: registry.invalidate_model_tag("app.Book", 1), {"Book:1"}, id="unregistered_label"
        ),
        pytest.param(lambda: registry.invalidate_model_tag(Volume, 1), {"OldVolume:1"}, id="proxy"),
        pytest.param(
            lambda: registry.invalidate_model_tag(Document, "a0eebc999c0b4ef8bb6d6bb9bd380a11"),
            {f"Document:{UUID('a0eebc999c0b4ef8bb6d6bb9bd380a11')}"},
            id="uuid",
        ),
        pytest.param(
            lambda: registry.invalidate_bulk(User, range(3)), {f"People:{n}" for n in range(3)}, id="bulk"
        ),
        pytest.param(lambda: registry.invalidate_bulk(User, [User(pk=5)]), {"People:5"}, id="instances"),
        pytest.param(lambda: registry.invalidate_scope("Shelf", 7), {"Shelf:7"}, id="scope"),
        pytest.param(
            lambda: registry.invalidate_scope("Shelf", 7, "a:b"), {"Shelf:7:a:b"}, id="scope_of_two"
        ),
        pytest.param(lambda: registry.invalidate_scope("Dashboard"), {"Dashboard"}, id="global"),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_calls_by_hand_tell_in_one_call_and_answer_what_the_sidecar_did(
    told: Told, call: Any, expected: set[str]
) -> None:
    register_model(User, tag_name="People")
    register_model(OldVolume)
    assert call() is True
    assert [set(tags) for tags, _ in told.calls] == [expected]
    told.answer = False
    assert call() is False


@pytest.mark.django_db(transaction=True)
def test_calls_by_hand_answer_none_where_they_travel_later(told: Told) -> None:
    with transaction.atomic():
        assert registry.invalidate_model_tag(User, 42) is None
        assert told.calls == []
    assert told.tags == {"User:42"}
    told.clear()
    with collecting() as collector:
        assert registry.invalidate_scope("Dashboard") is None
    assert list(collector.close().increments) == ["Dashboard"]
    assert told.calls == []


class ToOther:
    """Books are in another database."""

    def db_for_write(self, model: type[models.Model], **hints: Any) -> str | None:
        return "other" if model is Book else None


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
@pytest.mark.parametrize("model", [Book, "app.Book", "Book"])
def test_fk9_calls_by_hand_tell_after_the_commit_of_the_database_that_the_model_is_written_to(
    told: Told, settings: Any, model: Any
) -> None:
    settings.DATABASE_ROUTERS = [ToOther()]
    register_model(Book)
    with transaction.atomic(using="other"):
        assert registry.invalidate_model_tag(model, 1) is None
        with transaction.atomic():
            assert registry.invalidate_bulk(model, [2, 3], using="default") is None
        assert told.tags == {"Book:2", "Book:3"}
    assert told.tags == {"Book:1", "Book:2", "Book:3"}


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_fk9_rows_are_told_of_after_the_commit_of_the_database_that_they_are_from(told: Told) -> None:
    here, there = (User.objects.using(alias).create(pk=n) for n, alias in enumerate(("default", "other")))
    with transaction.atomic(using="other"):
        assert registry.invalidate_bulk(User, [here, there, 7]) is None
        assert told.calls == [(["User:0", "User:7"], [])]
    assert told.tags == {"User:0", "User:1", "User:7"}
    told.answer = False
    assert registry.invalidate_bulk(User, [here, there]) is False
    assert registry.invalidate_bulk(User, []) is None


@pytest.mark.parametrize(
    "call",
    [
        lambda: registry.invalidate_model_tag(User, None),
        lambda: registry.invalidate_bulk(User, [1, None]),
        lambda: registry.invalidate_scope("Shelf", None),
        lambda: registry.invalidate_scope("Shelf:7"),
    ],
)
def test_calls_by_hand_refuse_what_has_no_tag(told: Told, call: Any) -> None:
    with pytest.raises(ValueError, match="tag"):
        call()
    assert told.calls == []


@pytest.mark.django_db(transaction=True)
def test_calls_by_hand_answer_false_where_the_sidecar_is_away(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.TAGALONG = {"ADMIN_URLS": "http://127.0.0.1:9", "RETRIES": 0}
    assert registry.invalidate_model_tag(User, 42) is False
    assert [it.levelno for it in caplog.records] == [logging.ERROR]
