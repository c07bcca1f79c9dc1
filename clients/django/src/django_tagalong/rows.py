"""What a registration is, and whose rows it speaks of.

Of rows, not of classes: a row that is written through a proxy, or as the parent or the child of a table
that inherits (multi-table inheritance), is the row of the registered model all the same. Decides the tag
of a row, and which fields what it says depends on. Knows nothing of who is registered.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.models import Model, OneToOneField

from .changes import RuleChange, plain
from .tags import tag

#: What functions of the app answer: one tag, several, or none.
Tags = str | Iterable[str] | None


@dataclass(frozen=True)
class ModelConfig:
    """What `register_model` was told."""

    model: type[Model]
    tag_name: str
    tags: Callable[[Any], Tags] | None = None
    on_create: Callable[..., Tags] | None = None
    on_update: Callable[..., Tags] | None = None
    on_delete: Callable[..., Tags] | None = None
    changes: tuple[RuleChange, ...] = ()
    when: Callable[[Any], bool] | None = None
    auto_connect: bool = True

    def fields(self) -> frozenset[str] | None:
        """The fields that what it says depends on, beside the primary key; None: any of them."""
        if self.tags is not None or self.when is not None or hasattr(self.model, "cache_key"):
            return None
        several = [change.fields() for change in self.changes]
        return None if None in several else frozenset().union(*(it for it in several if it is not None))


class Match(NamedTuple):
    """A registration that writes of a class concern."""

    config: ModelConfig
    whole: bool
    """What is written is a row of the registered model. Else it is that of a table it inherits from."""


def kin(written: type[Model], told: type[Model]) -> bool | None:
    """True: a row of `written` is one of `told`; False: it is that of a table which `told` inherits from,
    with the same primary key; None: neither.
    """
    table, wanted = written._meta.concrete_model, told._meta.concrete_model
    if table is None or wanted is None:
        return None
    if table is wanted or wanted in table._meta.get_parent_list():
        return True
    return False if table in _parents_by_key(wanted) else None


class Writers:
    """The classes through which rows of some models are written, as `kin` says it of each.

    Every class that there is is asked about with each registration, so the answer must be quick.
    """

    def __init__(self, told: Iterable[type[Model]], parents: bool = False) -> None:
        """`parents`: also the tables that these inherit from."""
        told = list(told)
        above = [it for model in told for it in _parents_by_key(model)] if parents else []
        self._tables = {it._meta.concrete_model for it in told}
        self._parents = {it._meta.concrete_model for it in above}

    def include(self, written: type[Model]) -> bool:
        """Whether it is one of them."""
        table = written._meta.concrete_model
        if table is None:
            return False
        if table in self._tables or table in self._parents:
            return True
        return not self._tables.isdisjoint(table._meta.get_parent_list())


def key_of(match: Match, row: Model) -> Any:
    """The primary key of the row in the table of the registered model."""
    key = match.config.model._meta.pk
    return getattr(row, key.attname) if match.whole and key is not None else row.pk


def tag_of(config: ModelConfig, pk: object) -> str:
    """`tag_name:pk`; the parts of a composite key one by one. Text of a key is what the database makes of
    it: "042" is 42.
    """
    key = config.model._meta.pk
    parts = pk if isinstance(pk, tuple) or key is None else (plain(key, pk),)
    return tag(config.tag_name, *parts)


def as_model(row: Model, model: type[Model]) -> Model:
    """The row as the class that was registered, so that functions find the methods of a proxy."""
    if isinstance(row, model):
        return row
    twin = model.__new__(model)
    twin.__dict__.update(row.__dict__)
    return twin


def _parents_by_key(model: type[Model]) -> Iterator[type[Model]]:
    key = model._meta.pk
    while isinstance(key, OneToOneField) and key.remote_field.parent_link:
        parent: type[Model] = key.remote_field.model
        yield parent
        key = parent._meta.pk
