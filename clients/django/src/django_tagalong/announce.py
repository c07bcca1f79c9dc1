"""What one write has to say: which tags, and which changes of rules.

A row is looked at before it is written and after, and what it says either time is told. Functions of the
app are asked here and nowhere else: one that raises is logged, and costs a row nothing but what it would
have given, so that the row's own tag is always sent (L6). Decides nothing about when a write is told of,
and does not know who wrote.
"""

import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Model

from . import changes, tags
from .changes import Values
from .collector import Change, Changes
from .increments import report
from .rows import Match, ModelConfig, as_model, key_of, tag_of

logger = logging.getLogger("django_tagalong")


@dataclass(frozen=True)
class Look:
    """What a row said at one time. The row itself is kept for `when` of changes alone: there may be very
    many.
    """

    tags: tuple[str, ...] = ()
    wanted: bool = True
    values: tuple[Values | None, ...] = ()
    row: Model | None = None


@dataclass(frozen=True)
class Hook:
    """A function of the app that a write calls: with the row, and these arguments."""

    name: str
    arguments: dict[str, object]

    def function(self, config: ModelConfig) -> Callable[..., Any] | None:
        """The function of this registration."""
        found: Callable[..., Any] | None = getattr(config, self.name)
        return found


CREATE = Hook("on_create", {})
DELETE = Hook("on_delete", {})


def update_hook(update_fields: Collection[str] | None) -> Hook:
    """`on_update`, told which fields were written; None: all of them."""
    return Hook("on_update", {"update_fields": None if update_fields is None else frozenset(update_fields)})


class Announcement:
    """Tags and changes, each once, to be told together."""

    def __init__(self) -> None:
        self.tags: dict[str, None] = {}
        self.changes = Changes()

    def written(
        self, match: Match, before: Look | None, after: Model | None, hook: Hook, given: Model
    ) -> None:
        """Adds what a write of a row says.

        `after` is the row as it is then, None where it is gone or need not be read; `given` is what was
        written, for its key and the hook.
        """
        config = match.config
        if not match.whole:
            self._own(match, given)
            return
        then = None if after is None else look(config, after)
        looks = [it for it in (before, then) if it is not None]
        if looks and not any(it.wanted for it in looks):
            return
        self._own(match, given)
        for it in looks:
            self._add(it.tags)
        self._add(_hooked(config, hook, as_model(given, config.model)))
        self._differ(config, before, then, hook)

    def unread(self, match: Match, row: Model) -> None:
        """Adds what a write says while nothing may be read: what the row gives, and changes of whole
        rules.
        """
        self._own(match, row)
        if match.whole:
            self._add(_row_tags(match.config, as_model(row, match.config.model)))
            self.changes.update(Change(it.rule) for it in match.config.changes)

    def keys(self, match: Match, pks: Collection[object], hook: Hook) -> None:
        """Adds what a write of rows says that need not be read."""
        for pk in pks:
            self._key(match.config, pk)
        if match.whole and pks:
            self._differ(match.config, None, None, hook)

    def gone(self, match: Match, pk: object, before: Look) -> None:
        """Adds what a row said that is now another one."""
        if before.wanted:
            self._key(match.config, pk)
            self._add(before.tags)
            self._differ(match.config, before, None, DELETE)

    def tell(self, using: str | None) -> None:
        """Tells all of it, after the commit."""
        report(self.tags, self.changes, using)

    def _add(self, several: Iterable[str]) -> None:
        self.tags.update(dict.fromkeys(several))

    def _own(self, match: Match, row: Model) -> None:
        if row.pk is not None:  # else the database has not said under which key it inserted the row
            self._key(match.config, key_of(match, row))

    def _key(self, config: ModelConfig, pk: object) -> None:
        try:
            self.tags[tag_of(config, pk)] = None
        except (TypeError, ValueError):
            logger.exception("a row of %s has no tag: nobody is told of its change", config.model._meta.label)

    def _differ(self, config: ModelConfig, before: Look | None, after: Look | None, hook: Hook) -> None:
        for index, it in enumerate(config.changes):
            if before is None and after is None and it.sources:
                continue  # not read, as none of its fields was written
            old = _absent(hook is CREATE) if before is None else before.values[index]
            new = _absent(hook is DELETE) if after is None else after.values[index]
            found = changes.difference(it, old, new)
            rows = [None if look is None else look.row for look in (before, after)]
            if found is not None and changes.counts(it, *rows):
                self.changes.add(found)


def look(config: ModelConfig, row: Model) -> Look:
    """What the row says as it is now."""
    row = as_model(row, config.model)
    return Look(
        tags=tuple(_row_tags(config, row)),
        wanted=_wanted(config, row),
        values=tuple(changes.values(it, row) for it in config.changes),
        row=row if any(it.when is not None for it in config.changes) else None,
    )


def asked(what: str, function: Callable[..., Any], *arguments: object, **named: object) -> list[str]:
    """The tags that a function of the app gives. What raises, or is no tag, is logged and left out."""
    try:
        answer = function(*arguments, **named)
        given = [answer] if isinstance(answer, str) else list(answer or ())
        wrong = [it for it in given if not tags.valid(it)]
    except Exception:
        logger.exception("%s raised: what it would have given is not told", what)
        return []
    if wrong:
        logger.error("%s gave what is no tag: %.200r", what, wrong)
    return [it for it in given if it not in wrong]


def _absent(known: bool) -> Values | None:
    """The values of a row that was not looked at: it is known to have none, or they are not known."""
    return {} if known else None


def _wanted(config: ModelConfig, row: Model) -> bool:
    if config.when is None:
        return True
    try:
        return bool(config.when(row))
    except Exception:
        logger.exception("%s raised: the write is announced", _of("when", config))
        return True


def _row_tags(config: ModelConfig, row: Model) -> list[str]:
    given = [] if config.tags is None else asked(_of("tags", config), config.tags, row)
    if hasattr(config.model, "cache_key"):
        given += asked(_of("cache_key", config), _cache_key, row)
    return given


def _cache_key(row: Any) -> Any:
    key = row.cache_key
    return key() if callable(key) else key


def _hooked(config: ModelConfig, hook: Hook, row: Model) -> list[str]:
    function = hook.function(config)
    return [] if function is None else asked(_of(hook.name, config), function, row, **hook.arguments)


def _of(what: str, config: ModelConfig) -> str:
    return f"`{what}` of {config.model._meta.label}"
