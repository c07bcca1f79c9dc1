"""What differs between a row before and after, in the attributes that rules of the sidecar are filtered by
(rules.md §6).

Decides the text of a value: what the database would give back, so that the number 2 and the text "2" of a
form are the same. A difference that cannot be told becomes a change of the whole rule: too much is
forgotten rather than too little. Knows nothing of signals, and not what becomes of a difference.
"""

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db.models import DecimalField, Field, Model

logger = logging.getLogger("django_tagalong")

#: What an attribute is read from: a field by its name, or a function of the row.
Source = str | Callable[[Any], object]
Attrs = Iterable[str] | Mapping[str, Source]
#: What the attributes are in a row; None is to have no value.
Values = Mapping[str, object]

_ATTRIBUTE = re.compile(r"[a-z0-9_\-.*]+")


class Difference(NamedTuple):
    """A change as it is reported; hashable, so that a thousand rows that changed alike report it once."""

    rule: str
    old: tuple[tuple[str, str], ...] = ()
    """Attributes that differ with their texts before, by name; one that is not there had no value."""
    new: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class RuleChange:
    """Reports differences in some attributes of a model to a rule of the sidecar.

    `attrs` are names of fields, or a dict from attributes of the rule's `dimensions` to a field or to a
    function of the row; without any, every write is a change of the whole rule. A foreign key counts with
    the value in its column. `when(old, new)` says whether a write counts; `old` is None for a row that is
    created, `new` for one that is deleted.
    """

    rule: str
    attrs: Attrs = ()
    when: Callable[[Any, Any], bool] | None = None
    sources: Mapping[str, Source] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        if not self.rule or not self.rule.isascii() or not self.rule.isprintable():
            raise ValueError(f"the id of a rule is printable ASCII: {self.rule!r}")
        if isinstance(self.attrs, str):
            raise TypeError(f"`attrs` is a list of fields, not the text {self.attrs!r}")
        sources = dict(self.attrs) if isinstance(self.attrs, Mapping) else {name: name for name in self.attrs}
        for name in sources:
            if not _ATTRIBUTE.fullmatch(name):
                raise ValueError(
                    f"{name!r} is no attribute of a rule: a-z, 0-9, `_`, `-`, `.` and `*` are expected"
                )
        object.__setattr__(self, "attrs", tuple(sources))  # what was given may be an iterator
        object.__setattr__(self, "sources", sources)

    def fields(self) -> frozenset[str] | None:
        """The fields that it reads; None: it asks functions of the app, which may read any."""
        names = frozenset(source for source in self.sources.values() if isinstance(source, str))
        return names if self.when is None and len(names) == len(set(self.sources.values())) else None


#: What `register_model(changes=…)` takes: several, or a dict from the rule to its `attrs`.
RuleChanges = Iterable[RuleChange] | Mapping[str, Attrs]


def rule_changes(given: RuleChanges | None) -> tuple[RuleChange, ...]:
    """The same, one by one."""
    if isinstance(given, Mapping):
        return tuple(RuleChange(rule, attrs) for rule, attrs in given.items())
    return tuple(given or ())


def values(change: RuleChange, row: Model) -> Values | None:
    """What the attributes are in this row. None: one of them cannot be told, which is logged."""
    try:
        return {name: _value(source, row) for name, source in change.sources.items()}
    except Exception:
        logger.exception(
            "an attribute of %s raised: all of the rule %s is forgotten", row._meta.label, change.rule
        )
        return None


def difference(change: RuleChange, old: Values | None, new: Values | None) -> Difference | None:
    """What is to be reported of these values, `{}` where there is no row. None where nothing differs."""
    if old is None or new is None or not change.sources:
        return Difference(change.rule)
    before, after = _texts(old), _texts(new)
    same = before & after
    if before != after:
        return Difference(change.rule, tuple(sorted(before - same)), tuple(sorted(after - same)))
    # Of a row that comes or goes without any value nothing selects, and yet the lists that are not filtered
    # show it.
    return None if old and new else Difference(change.rule)


def counts(change: RuleChange, old: Model | None, new: Model | None) -> bool:
    """What its `when` says. Where that raises, which is logged, the write counts."""
    if change.when is None:
        return True
    try:
        return bool(change.when(old, new))
    except Exception:
        logger.exception("`when` of a change of the rule %s raised: the write counts", change.rule)
        return True


def plain(column: "Field[Any, Any]", value: object) -> object:
    """The value as the database gives it back."""
    try:
        value = column.to_python(value)
        if isinstance(column, DecimalField) and isinstance(value, Decimal) and value.is_finite():
            return value.quantize(Decimal(1).scaleb(-column.decimal_places))
    except (ValidationError, InvalidOperation):
        return value  # what the database makes of it is not known here
    return value


def _value(source: Source, row: Model) -> object:
    if not isinstance(source, str):
        return source(row)
    column = row._meta.get_field(source)
    if not isinstance(column, Field):
        raise TypeError(f"{source!r} is a relation from elsewhere, and no column")
    return plain(column, getattr(row, column.attname))


def _texts(values: Values) -> set[tuple[str, str]]:
    return {(name, _text(value)) for name, value in values.items() if value is not None}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return format(value, "f") if isinstance(value, Decimal) else str(value)
