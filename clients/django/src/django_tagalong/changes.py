"""What differs between a row before and after, in the attributes that rules of the sidecar are filtered by
(rules.md §6), and how rules, attributes and values are spelled.

Decides the text of a value: of a field what the database would give back, so that the number 2 and the text
"2" of a form are the same. A difference that cannot be told becomes a change of the whole rule: too much is
forgotten rather than too little. Knows nothing of signals, and not what becomes of a difference.
"""

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import DecimalField, Field, Model

from .collector import Change

logger = logging.getLogger("django_tagalong")

#: What an attribute is read from: a field by its name, or a function of the row.
Source = str | Callable[[Any], object]
Attrs = Iterable[str] | Mapping[str, Source]
#: What the attributes are in a row; None is to have no value.
Values = Mapping[str, object]

# What may follow `old.` in the key of a structured field (RFC 9651 §3.1.2).
_ATTRIBUTE = re.compile(r"[a-z0-9_\-.*]+")

# A change whose values take more bytes is one of the whole rule: neither a head nor a call has room for it.
MAX_VALUES = 4096


def check_rule(rule: str) -> str:
    """The id of a rule itself. Raises `ValueError` for what cannot be one."""
    if not isinstance(rule, str) or not rule or not rule.isascii() or not rule.isprintable():
        raise ValueError(f"the id of a rule is printable ASCII: {rule!r}")
    return rule


def check_attribute(name: str) -> str:
    """The attribute of a rule itself. Raises `ValueError` for what cannot be one."""
    if not isinstance(name, str) or not _ATTRIBUTE.fullmatch(name):
        raise ValueError(f"{name!r} is no attribute of a rule: a-z, 0-9, `_`, `-`, `.` and `*` are expected")
    return name


def texts(values: Mapping[str, object]) -> set[tuple[str, str]]:
    """Values as text, by name; None is to have no value."""
    return {(name, _text(value)) for name, value in values.items() if value is not None}


def told(rule: str, old: Iterable[tuple[str, str]], new: Iterable[tuple[str, str]]) -> Change:
    """The change from these texts to those; of the whole rule where they are too long to be told."""
    change = Change(rule, tuple(sorted(old)), tuple(sorted(new)))
    size = sum(len(name) + len(text.encode()) for name, text in change.old + change.new)
    return change if size <= MAX_VALUES else Change(rule)


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
        check_rule(self.rule)
        if isinstance(self.attrs, str):
            raise TypeError(f"`attrs` is a list of fields, not the text {self.attrs!r}")
        sources = dict(self.attrs) if isinstance(self.attrs, Mapping) else {name: name for name in self.attrs}
        for name in sources:
            check_attribute(name)
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


def difference(change: RuleChange, old: Values | None, new: Values | None) -> Change | None:
    """What is to be reported of these values, `{}` where there is no row. None where nothing differs."""
    if old is None or new is None or not change.sources:
        return Change(change.rule)
    before, after = texts(old), texts(new)
    if before != after:
        return told(change.rule, before - after, after - before)
    # Of a row that comes or goes without any value nothing selects, and yet the lists that are not filtered
    # show it.
    return None if old and new else Change(change.rule)


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


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value).encode("utf-8", "replace").decode()
