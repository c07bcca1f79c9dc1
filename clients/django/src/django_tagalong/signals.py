"""What models announce when their rows are saved and deleted.

Decides when a row must be read before it is written, and pairs that with the signal that comes after. What a
row has to say is asked in `announce`; that it is told after the commit, and how, is not known here.
"""

from collections.abc import Collection
from typing import Any

from django.db import connections
from django.db.models import Model, QuerySet
from django.db.models.signals import post_save, pre_delete, pre_save

from . import registry
from .announce import CREATE, DELETE, Announcement, Look, look, update_hook
from .notes import Notes
from .rows import Match, Writers
from .wiring import Wiring

# What a row said before it was written.
_before: Notes[dict[str, Look]] = Notes()

UpdateFields = Collection[str] | None


def sync() -> None:
    """Hears the models that are registered now."""
    heard = registry.heard()
    _wiring.sync(Writers(heard, parents=True), *heard)


def _saving(
    sender: type[Model], instance: Model, raw: bool, using: str, update_fields: UpdateFields, **_: Any
) -> None:
    matches = _heard(sender)
    row = None
    if not raw and _may_exist(instance) and any(reads(it, update_fields) for it in matches):
        row = read(sender, instance.pk, using, matches)
    seen = {} if row is None else {_key(it): look(it.config, row) for it in matches if it.whole}
    _before.add(instance, seen)


def _saved(
    sender: type[Model],
    instance: Model,
    created: bool,
    raw: bool,
    using: str,
    update_fields: UpdateFields,
    **_: Any,
) -> None:
    before = _before.take(instance) or {}
    matches = _heard(sender)
    announcement = Announcement()
    if raw:
        # A fixture: the database is not whole yet, so nothing is read and no hook is called.
        for match in matches:
            announcement.unread(match, instance)
        return announcement.tell(using)
    hook = CREATE if created else update_hook(update_fields)
    reading = [it for it in matches if created or reads(it, update_fields)]
    row = _written(sender, instance, using, None if created else update_fields, reading)
    for match in matches:
        after = row if match in reading else None
        announcement.written(match, before.get(_key(match)), after, hook, instance)
    return announcement.tell(using)


def _deleting(sender: type[Model], instance: Model, using: str, origin: object = None, **_: Any) -> None:
    """Asks before the row is gone, as then it has neither key nor relations. Both are in one transaction."""
    matches = _heard(sender)
    row: Model | None = instance
    if origin is instance and any(reads(it, None) for it in matches):
        # What is in memory may not be what is in the table: `Book(pk=7).delete()`. Rows that Django finds
        # itself, of a queryset or by cascade, it has just read.
        row = read(sender, instance.pk, using, matches)
    announcement = Announcement()
    for match in matches:
        seen = look(match.config, row) if match.whole and row is not None else None
        announcement.written(match, seen, None, DELETE, instance)
    announcement.tell(using)


def reads(match: Match, update_fields: UpdateFields) -> bool:
    """Whether what a write of these fields says depends on what is in the row; None: all fields."""
    fields = match.config.fields()
    if not match.whole or fields is None:
        return match.whole
    if update_fields is None:
        return bool(fields)
    columns = (match.config.model._meta.get_field(name) for name in fields)
    return any(it.name in update_fields or getattr(it, "attname", None) in update_fields for it in columns)


def read(model: type[Model], pk: object, using: str, matches: list[Match]) -> Model | None:
    """The row as it is in the table, with the fields that these read."""
    rows = needed(locked(model._base_manager.using(using).filter(pk=pk), using), matches)
    return next(iter(rows), None)


def needed(rows: "QuerySet[Any]", matches: list[Match]) -> "QuerySet[Any]":
    """The same rows with no more fields than these read."""
    several = [it.config.fields() for it in matches if it.whole]
    names: set[str] = set()
    for fields in several:
        if fields is None:
            return rows
        names |= fields
    return rows.only(*names) if names else rows


def locked(rows: "QuerySet[Any]", using: str) -> "QuerySet[Any]":
    """Within a transaction, rows that nobody else writes before it ends: else two that move a book from one
    shelf would both read the first one, and the shelf that it was on in between would not be told of.
    """
    connection = connections[using]
    if not (connection.in_atomic_block and connection.features.has_select_for_update):
        return rows
    # As the UPDATE will lock it, so that rows which refer to it can be inserted meanwhile (PostgreSQL).
    no_key = connection.features.has_select_for_no_key_update
    return rows.select_related(None).select_for_update(no_key=no_key)


def _written(
    sender: type[Model], instance: Model, using: str, update_fields: UpdateFields, reading: list[Match]
) -> Model | None:
    """The row as it was written: the instance, unless that has more than was written, or expressions."""
    if not any(reads(it, None) for it in reading):
        return instance
    if update_fields is None and not is_computed(instance):
        return instance
    return read(sender, instance.pk, using, reading)


def is_computed(row: Model) -> bool:
    """Whether it has expressions, such as `F("stock") - 1`, in place of what the database made of them."""
    return any(
        hasattr(row.__dict__.get(it.attname), "resolve_expression") for it in row._meta.concrete_fields
    )


def _heard(sender: type[Model]) -> list[Match]:
    return [it for it in registry.of(sender) if it.config.auto_connect]


def _key(match: Match) -> str:
    return match.config.model._meta.label_lower


def _may_exist(instance: Model) -> bool:
    # Django inserts a new instance whose key has a default without looking.
    key = instance._meta.pk
    return instance.pk is not None and not (instance._state.adding and key is not None and key.has_default())


_wiring = Wiring("models", {pre_save: _saving, post_save: _saved, pre_delete: _deleting})
