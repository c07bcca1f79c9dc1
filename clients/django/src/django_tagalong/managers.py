"""A manager and a queryset whose writes of many rows announce what they change, as saving each row would.

Django sends no signals for `update`, `bulk_create` and `bulk_update`. Decides which rows such a write
concerns, and has them told of in one call, after the commit. The asynchronous forms (`aupdate`,
`abulk_create`, …) are Django's own, and call these. `delete` sends signals, so it is told of here only for
models whose signals are not connected.
"""

from collections.abc import Collection, Sequence
from functools import reduce
from operator import or_
from typing import Any, Self, TypeVar

from django.db import connections, models, transaction
from django.db.models import Model, Q

from . import registry, signals
from .bulk import BulkWrite, chunks

M = TypeVar("M", bound=Model)

# An update of more rows is not narrowed to the keys that were read.
NARROW = 10_000
# Rows that one question for unique values may name.
CANDIDATES = 100


class CacheAwareQuerySet(models.QuerySet[M]):
    """A queryset whose writes are announced, where the model is registered."""

    _announces = True

    def update(self, **kwargs: Any) -> int:
        """As Django's, for the rows that match when it begins: those are read, and locked, before."""
        if not self._is_announced():
            return super().update(**kwargs)
        using = self._to_write()
        with transaction.atomic(using=using, savepoint=False):
            write = BulkWrite(self.model, registry.of(self.model), using)
            pks = self._keys(using)
            write.before(pks, kwargs)
            rows = super(CacheAwareQuerySet, self._narrowed(pks, using)).update(**kwargs)
            write.updated(pks, kwargs)
            write.tell()
        return rows

    update.alters_data = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Any, *args: Any, **kwargs: Any) -> list[M]:
        """As Django's. With `update_conflicts`, rows are found by their unique fields before and after."""
        objs = list(objs)
        if not objs or not self._is_announced():
            return super().bulk_create(objs, *args, **kwargs)
        using = self._to_write()
        with transaction.atomic(using=using, savepoint=False):
            write = BulkWrite(self.model, registry.of(self.model), using)
            update_fields = _update_fields(*args, **kwargs)
            if update_fields is None:
                created = super().bulk_create(objs, *args, **kwargs)
                write.created(objs)
            else:
                existing = self._conflicting(objs, using)
                write.before(existing, update_fields)
                created = super().bulk_create(objs, *args, **kwargs)
                write.updated(existing, update_fields)
                write.created_keys(self._conflicting(objs, using) - existing)
            write.tell()
        return created

    bulk_create.alters_data = True  # type: ignore[attr-defined]

    def bulk_update(self, objs: Any, fields: Any, batch_size: int | None = None) -> int:
        """As Django's."""
        objs, fields = list(objs), list(fields)
        if not self._is_announced():
            return super().bulk_update(objs, fields, batch_size)
        using = self._to_write()
        with transaction.atomic(using=using, savepoint=False):
            write = BulkWrite(self.model, registry.of(self.model), using)
            pks = [it.pk for it in objs if it.pk is not None]
            write.before(pks, fields)
            # Django calls `update` for each batch.
            rows = super(CacheAwareQuerySet, self._silent()).bulk_update(objs, fields, batch_size)
            write.updated(pks, fields)
            write.tell()
        return rows

    bulk_update.alters_data = True  # type: ignore[attr-defined]

    def delete(self) -> tuple[int, dict[str, int]]:
        """As Django's."""
        unheard = [it for it in registry.of(self.model) if not it.config.auto_connect]
        if not unheard or not self._is_announced():
            return super().delete()
        using = self._to_write()
        with transaction.atomic(using=using, savepoint=False):
            write = BulkWrite(self.model, unheard, using)
            write.deleting(self._keys(using))
            deleted = super().delete()
            write.tell()
        return deleted

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def _clone(self) -> Self:
        clone = super()._clone()  # type: ignore[misc]
        clone._announces = self._announces
        return clone  # type: ignore[no-any-return]

    def _silent(self) -> Self:
        clone = self._chain()  # type: ignore[attr-defined]
        clone._announces = False
        return clone  # type: ignore[no-any-return]

    def _is_announced(self) -> bool:
        # What Django refuses to write it refuses with its own words.
        refused = self.query.is_sliced or self.query.combinator or self.query.distinct_fields
        return self._announces and not refused and bool(registry.of(self.model))

    def _to_write(self) -> str:
        self._for_write = True
        return self.db

    def _keys(self, using: str) -> list[Any]:
        """The keys of the rows that match, which nobody else can write from now on."""
        rows = self.model._base_manager.using(using).filter(pk__in=self.order_by().values("pk"))
        return list(signals.locked(rows, using).values_list("pk", flat=True))

    def _narrowed(self, pks: Sequence[Any], using: str) -> Self:
        """The rows that match and have these keys: a row that another transaction has added meanwhile
        would be written, and nobody told. SQLite, which has a limit on keys, has no such transactions.
        """
        if connections[using].features.max_query_params is None and len(pks) <= NARROW:
            return self.filter(pk__in=pks)
        return self

    def _conflicting(self, objs: Sequence[M], using: str) -> set[Any]:
        """The keys of rows that have unique values of one of these."""
        found: set[Any] = set()
        for names in _unique(self.model):
            columns = [it for it in self.model._meta.concrete_fields if it.name in names]
            for some in chunks(objs, CANDIDATES):
                values = [{it.attname: getattr(row, it.attname) for it in columns} for row in some]
                known = [Q(**it) for it in values if all(map(_is_known, it.values()))]
                if known:
                    rows = self.model._base_manager.using(using).filter(reduce(or_, known))
                    found.update(rows.values_list("pk", flat=True))
        return found


_Manager = models.Manager.from_queryset(CacheAwareQuerySet)


class CacheAwareManager(_Manager[M]):
    """`objects = CacheAwareManager()`: writes of many rows are announced."""


def _update_fields(
    batch_size: int | None = None,
    ignore_conflicts: bool = False,
    update_conflicts: bool = False,
    update_fields: Collection[str] | None = None,
    unique_fields: Collection[str] | None = None,
) -> Collection[str] | None:
    """What `bulk_create` with these arguments writes of rows that are there already; None: nothing."""
    return list(update_fields or ()) if update_conflicts else None


def _unique(model: type[Model]) -> list[tuple[str, ...]]:
    """Fields that no two rows may have the same values of: any of these may be what an insert conflicts
    with.
    """
    meta = model._meta
    alone = [(it.name,) for it in meta.concrete_fields if it.unique]
    constraints = [tuple(it.fields) for it in meta.total_unique_constraints]
    return list(dict.fromkeys([*alone, *map(tuple, meta.unique_together), *constraints]))


def _is_known(value: object) -> bool:
    # NULL conflicts with nothing; what an expression will be only the database knows.
    return value is not None and not hasattr(value, "resolve_expression")
