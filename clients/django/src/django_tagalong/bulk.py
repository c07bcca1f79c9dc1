"""What writes of many rows at once announce: those for which Django sends no signals.

Decides what is read of the rows before and after, a few hundred at a time, so that no more of them are in
memory however many there are; what is kept is what they say. All of it is told in one call. Which rows a
write concerns is the queryset's business.
"""

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Any

from django.db.models import Model

from . import signals
from .announce import CREATE, DELETE, Announcement, Hook, Look, look, update_hook
from .rows import Match

# Rows in one statement: SQLite may be built to take no more than 999 parameters.
CHUNK = 500


def chunks(several: Iterable[Any], size: int = CHUNK) -> Iterator[list[Any]]:
    """The same in lists of at most so many."""
    rest = iter(several)
    while some := list(islice(rest, size)):
        yield some


class BulkWrite:
    """One write of many rows of a model. All of it happens in one transaction, which is open."""

    def __init__(self, model: type[Model], matches: Collection[Match], using: str) -> None:
        self._model = model
        self._matches = list(matches)
        self._using = using
        self._before: dict[tuple[str, Any], Look] = {}
        self._announcement = Announcement()

    def before(self, pks: Iterable[Any], fields: Collection[str]) -> None:
        """Looks at rows that are going to be written in these fields."""
        reading = [it for it in self._matches if signals.reads(it, fields)]
        for row in self._rows(pks, reading):
            self._before.update(((_label(it), row.pk), look(it.config, row)) for it in reading)

    def updated(self, pks: Collection[Any], fields: Collection[str]) -> None:
        """These rows have been written in these fields."""
        hook = update_hook(fields)
        reading = [it for it in self._matches if self._wants_row(it, fields, hook)]
        for match in (it for it in self._matches if it not in reading):
            self._announcement.keys(match, pks, hook)
        for row in self._rows(pks, reading):
            for match in reading:
                after = row if signals.reads(match, fields) else None
                before = self._before.pop((_label(match), row.pk), None)
                self._announcement.written(match, before, after, hook, row)
        self._lost()

    def created(self, rows: Iterable[Model]) -> None:
        """These rows have been inserted, as they are in memory."""
        computed = []
        for row in rows:
            if row.pk is not None and signals.is_computed(row):
                computed.append(row.pk)
            else:
                self._created(row)
        self.created_keys(computed)

    def created_keys(self, pks: Collection[Any]) -> None:
        """These rows have been inserted."""
        for row in self._rows(pks, self._matches):
            self._created(row)

    def deleting(self, pks: Iterable[Any]) -> None:
        """These rows are going to be deleted."""
        for row in self._rows(pks, self._matches):
            for match in self._matches:
                before = look(match.config, row) if match.whole else None
                self._announcement.written(match, before, None, DELETE, row)

    def tell(self) -> None:
        """Tells of all of it, after the commit."""
        self._announcement.tell(self._using)

    def _created(self, row: Model) -> None:
        for match in self._matches:
            self._announcement.written(match, None, row, CREATE, row)

    def _lost(self) -> None:
        """Adds what rows said that are not there any more: the update has given them another key."""
        for match in self._matches:
            for label, pk in [it for it in self._before if it[0] == _label(match)]:
                self._announcement.gone(match, pk, self._before.pop((label, pk)))

    def _wants_row(self, match: Match, fields: Collection[str], hook: Hook) -> bool:
        if not match.whole:
            return False
        # A second parent has a key of its own.
        elsewhere = match.config.model._meta.concrete_model is not self._model._meta.concrete_model
        return elsewhere or hook.function(match.config) is not None or signals.reads(match, fields)

    def _rows(self, pks: Iterable[Any], reading: list[Match]) -> Iterator[Model]:
        if not reading:
            return
        hooked = any(it.config.on_create or it.config.on_update or it.config.on_delete for it in reading)
        for some in chunks(pks):
            rows = signals.locked(
                self._model._base_manager.using(self._using).filter(pk__in=some), self._using
            )
            yield from rows if hooked else signals.needed(rows, reading)


def _label(match: Match) -> str:
    return match.config.model._meta.label_lower
