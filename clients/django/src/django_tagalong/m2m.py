"""What many-to-many relations announce: both ends, whichever side they are written from.

Decides the tags of the two ends (`Book:1:readers` and `User:2:books`), and which rows a write concerns:
those added, removed, cleared, and those of an end that is deleted, whose rows Django takes away without a
word. Where the relation has a model of its own (`through=`), rows of that are heard too. That it is told
after the commit, and how, is not known here.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db.models import ForeignKey, ManyToManyField, Model
from django.db.models.signals import m2m_changed, post_save, pre_delete, pre_save

from . import registry
from .announce import asked
from .bulk import chunks
from .increments import increment
from .notes import Notes
from .registry import ModelOrName
from .rows import Tags, Writers, kin
from .tags import encode, tag
from .wiring import Wiring, models

#: What an end is told by: text with `{pk}` in it, or a function of the primary key that gives tags.
End = str | Callable[[Any], Tags]

# A row of a relation's own model before it is written: with the ends that it had.
_before: Notes[Model | None] = Notes()

if TYPE_CHECKING:
    Key = ForeignKey[Any, Any]


@dataclass(frozen=True)
class Relation:
    """A many-to-many field, and what its two ends are told by."""

    through: type[Model]
    field: "ManyToManyField[Any, Any]"
    left: End | None
    right: End | None

    @property
    def models(self) -> tuple[type[Model], type[Model]]:
        """The left model has the field, the right one is what it refers to."""
        return self.field.model, self.field.remote_field.model

    @property
    def symmetrical(self) -> bool:
        """A row of the table is one in the other direction, too: friends."""
        return bool(self.field.remote_field.symmetrical)

    @property
    def keys(self) -> "tuple[Key, Key]":
        """The columns of the table: of the left end, of the right end."""
        names = self.field.m2m_field_name(), self.field.m2m_reverse_field_name()
        left, right = (self.through._meta.get_field(name) for name in names)
        if not isinstance(left, ForeignKey) or not isinstance(right, ForeignKey):
            raise TypeError(f"the ends of {self.through._meta.label} are foreign keys")
        return left, right

    def tell(self, lefts: Iterable[Any], rights: Iterable[Any], using: str) -> None:
        """These rows have others at their other end now."""
        pairs = [(True, pk) for pk in lefts] + [(False, pk) for pk in rights]
        told = dict.fromkeys(it for left, pk in pairs for it in self._tags(left, pk))
        increment(*told, using=using)

    def _tags(self, left: bool, pk: object) -> list[str]:
        given = self.left if left or self.symmetrical else self.right
        label = self.through._meta.label
        if callable(given):
            return asked(f"`{'left' if left else 'right'}` of {label}", given, pk)
        if given is not None:
            return asked(label, _filled, given, pk)
        model = self.models[0 if left else 1]
        name = registry.get_tag_name_for_model(model) or model.__name__
        return asked(label, tag, name, pk, self._name(left))

    def _name(self, left: bool) -> str:
        """What the other end is called at this one."""
        if left or self.symmetrical:
            return self.field.name
        return self.field.remote_field.get_accessor_name() or f"{self.field.name}_reverse"


_relations: dict[type[Model], list[Relation]] = {}
_waiting: dict[str, dict[str, Any]] = {}  # by name, registered before the models were there


def register_m2m(through: ModelOrName, left: End | None = None, right: End | None = None) -> None:
    """Has every change of a many-to-many relation increment the tags of both ends.

    `through` is `Book.readers.through`, or its name ("app.Book_readers", "app.Membership"), before it is
    loaded too. `left` is what rows of the model with the field are told by, `right` what those it refers
    to: text such as "Book:{pk}:readers", or a function of the primary key that gives one tag or several.
    Without them it is the names of the two models and what they call each other: `Book:1:readers` and
    `User:2:books`. Registering again replaces what was said before.
    """
    for end in (left, right):
        if isinstance(end, str) and "{pk}" not in end:
            raise ValueError(f"{end!r} has no place for the primary key: `{{pk}}` is expected")
    if not isinstance(through, str):
        _register(through, left, right)
    elif apps.models_ready:
        _register(apps.get_model(through), left, right)
    else:
        _waiting[through] = {"left": left, "right": right}


def unregister_m2m(through: type[Model]) -> None:
    """Has the relation announce nothing any more. One that is not registered is no error."""
    _relations.pop(through, None)
    _sync()


def clear_all() -> None:
    """Unregisters all relations."""
    _waiting.clear()
    _relations.clear()
    _sync()


def models_are_loaded() -> None:
    """Registers what was registered by name before. Raises `LookupError` for a name that no model has."""
    for name in list(_waiting):
        _register(apps.get_model(name), **_waiting.pop(name))


def _register(through: type[Model], left: End | None, right: End | None) -> None:
    fields = [
        it
        for model in models()
        for it in model._meta.local_many_to_many
        if it.remote_field.through is through
    ]
    if not fields:
        raise ValueError(f"no many-to-many field has its rows in {through._meta.label}")
    _relations[through] = [Relation(through, field, left, right) for field in fields]
    _sync()


def _sync() -> None:
    _changes.sync(Writers(_relations))
    _ends.sync(Writers(end for it in _silent() for end in it.models))
    _rows.sync(Writers(it for it in _relations if not it._meta.auto_created))


def _filled(template: str, pk: object) -> str:
    key = encode(str(pk))
    # As in `tag`: a colon is one of the value only at the end.
    return template.replace("{pk}", key if template.endswith("{pk}") else key.replace(":", "%3A"))


def _changed(
    sender: type[Model],
    instance: Model,
    action: str,
    reverse: bool,
    pk_set: set[Any] | None,
    using: str,
    **_: Any,
) -> None:
    for it in _relations.get(sender, ()):
        right = _is_right(it, instance, reverse)
        if action in ("post_add", "post_remove"):
            others = set(_primary_keys(it.keys[0 if right else 1], pk_set or (), using))
        elif action == "pre_clear":
            # Afterwards nobody knows what was there. Django does both in one transaction.
            others = _others(it, instance, right, using)
        else:
            continue
        if others:
            _tell(it, instance, right, others, using)


def _end_deleted(sender: type[Model], instance: Model, using: str, **_: Any) -> None:
    for it in _silent():
        for right, model in enumerate(it.models):
            if kin(sender, model):
                _tell(it, instance, bool(right), _others(it, instance, bool(right), using), using)


def _row_saving(instance: Model, raw: bool, using: str, **_: Any) -> None:
    rows = type(instance)._base_manager.using(using).filter(pk=instance.pk)
    row = None if raw or instance.pk is None else rows.first()
    _before.add(instance, row)


def _row_saved(sender: type[Model], instance: Model, using: str, **_: Any) -> None:
    before = _before.take(instance)
    _tell_rows(sender, [instance] if before is None else [before, instance], using)


def _row_deleting(sender: type[Model], instance: Model, using: str, **_: Any) -> None:
    _tell_rows(sender, [instance], using)


def _tell_rows(sender: type[Model], rows: list[Model], using: str) -> None:
    """Tells of both ends of these rows of a relation's own model."""
    for through in (it for it in _relations if kin(sender, it)):
        for it in _relations[through]:
            lefts, rights = ({getattr(row, key.attname) for row in rows} - {None} for key in it.keys)
            it.tell(_primary_keys(it.keys[0], lefts, using), _primary_keys(it.keys[1], rights, using), using)


def _tell(relation: Relation, instance: Model, right: bool, others: set[Any], using: str) -> None:
    key = relation.models[1 if right else 0]._meta.pk
    ends = ([instance.pk if key is None else getattr(instance, key.attname)], others)
    lefts, rights = ends[::-1] if right else ends
    relation.tell(lefts, rights, using)


def _is_right(relation: Relation, instance: Model, reverse: bool) -> bool:
    """Whether the instance is the right end: of two fields with one table, `reverse` speaks of the other
    one.
    """
    left, right = (kin(type(instance), model) is True for model in relation.models)
    return reverse if left and right else right


def _others(relation: Relation, instance: Model, right: bool, using: str) -> set[Any]:
    """The primary keys of what the instance is connected with."""
    own, other = relation.keys[::-1] if right else relation.keys
    rows = relation.through._base_manager.using(using)
    value = getattr(instance, own.target_field.attname)
    found = rows.filter(**{own.attname: value}).values_list(other.attname, flat=True)
    return set(_primary_keys(other, set(found) - {None}, using))


def _primary_keys(key: "Key", found: Collection[Any], using: str) -> Collection[Any]:
    """The primary keys of rows that the table of a relation may name by another field (`to_field`)."""
    target = key.target_field
    if target.primary_key:
        return found
    rows = key.remote_field.model._base_manager.using(using)
    return [
        pk
        for some in chunks(found)
        for pk in rows.filter(**{f"{target.name}__in": some}).values_list("pk", flat=True)
    ]


def _silent() -> list[Relation]:
    """The relations whose rows Django deletes without a signal."""
    return [it for several in _relations.values() for it in several if it.through._meta.auto_created]


_changes = Wiring("m2m", {m2m_changed: _changed})
_ends = Wiring("m2m.ends", {pre_delete: _end_deleted})
_rows = Wiring("m2m.rows", {pre_save: _row_saving, post_save: _row_saved, pre_delete: _row_deleting})
