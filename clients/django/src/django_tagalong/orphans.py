"""What rows announce that lose what they refer to: Django gives them another foreign key when it deletes that
(`SET_NULL` and the like), and sends no signal.

Decides which rows these are; what they say, and that it is told after the commit, is not known here.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.db.models import CASCADE, DO_NOTHING, PROTECT, RESTRICT, ForeignKey, Model
from django.db.models.signals import post_delete, pre_delete

from . import registry
from .bulk import BulkWrite
from .notes import Notes
from .rows import Writers, kin
from .wiring import Wiring

if TYPE_CHECKING:
    Key = ForeignKey[Any, Any]

# With these a row is deleted too, which has signals of its own, or nothing becomes of it.
_NOTHING_SET = (CASCADE, DO_NOTHING, PROTECT, RESTRICT)

# Of an instance that is being deleted: what has been seen of the rows that refer to it.
_writes: Notes[list[tuple[BulkWrite, list[Any], str]]] = Notes()


def sync() -> None:
    """Hears what registered models refer to."""
    _wiring.sync(Writers(it.remote_field.model for it in _keys()))


def _keys() -> "Iterator[Key]":
    """The foreign keys of registered models that may be set by a delete."""
    for model in registry.heard():
        for it in model._meta.concrete_fields:
            if isinstance(it, ForeignKey) and it.remote_field.on_delete not in _NOTHING_SET:
                yield it


def _deleting(sender: type[Model], instance: Model, using: str, **_: Any) -> None:
    writes = []
    for key in _keys():
        matches = [it for it in registry.of(key.model) if it.config.auto_connect]
        if matches and kin(sender, key.remote_field.model):
            rows = key.model._base_manager.using(using).filter(**{key.name: instance})
            pks = list(rows.values_list("pk", flat=True))
            write = BulkWrite(key.model, matches, using)
            write.before(pks, [key.name])
            writes.append((write, pks, key.name))
    _writes.add(instance, writes)


def _deleted(instance: Model, **_: Any) -> None:
    for write, pks, name in _writes.take(instance) or ():
        write.updated(pks, [name])
        write.tell()


_wiring = Wiring("orphans", {pre_delete: _deleting, post_delete: _deleted})
