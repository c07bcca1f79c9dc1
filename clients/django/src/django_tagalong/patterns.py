"""Tags with placeholders, as decorators name them: `Dashboard`, `User:{user_id}`, `Role:{request.user.pk}`.

A placeholder is the name of an argument, with attributes of it if one likes. Its value is percent-encoded, as
in the templates of rules, so that both spell the same tag. A name that no argument has is an error, and a
value that is None is no tag: in neither case does `User:{user_id}` become a tag that nobody ever increments.
Knows nothing of requests.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from datetime import date, time
from decimal import Decimal
from enum import Enum
from string import Formatter
from typing import Any
from uuid import UUID

from django.utils.functional import Promise

from .tags import check, encode, valid

# What is called as the decorated function is, and returns a tag or several.
Computed = Callable[..., str | Iterable[str]]


class NoTag(Exception):  # noqa: N818 - an outcome: the call goes on, and nothing of it is kept
    """A tag of this call is not known: no increment would reach what is made now, so it must not be kept."""


class Pattern:
    """One tag with placeholders. Raises `ValueError` for a text that is no tag, whatever the values are."""

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"a tag is text or a function, not {type(text).__name__}")
        self.text = text
        self._parts = list(_parsed(text))
        example = "".join(literal + ("x" if field else "") for literal, field in self._parts)
        if not self._parts or not self._parts[0][0] or not valid(example):
            raise ValueError(
                f"{text!r} is no tag: `Name` or `Name:instance` is expected, and the name is no placeholder"
            )

    @property
    def names(self) -> set[str]:
        """The arguments it needs."""
        return {field.split(".")[0] for _, field in self._parts if field}

    @property
    def has_attributes(self) -> bool:
        """Whether it reads some, which may ask the database (`request.user`)."""
        return any(field is not None and "." in field for _, field in self._parts)

    def tag(self, values: Mapping[str, object]) -> str:
        """The tag of a call with these arguments. Raises `LookupError` for a name that none has, and
        `NoTag`.
        """
        return "".join(
            literal + (self._value(field, values) if field else "") for literal, field in self._parts
        )

    def _value(self, field: str, values: Mapping[str, object]) -> str:
        name, *attributes = field.split(".")
        if name not in values:
            raise LookupError(
                f"the tag {self.text!r} needs {name!r}; given are {', '.join(sorted(values)) or 'none'}"
            )
        value: Any = values[name]
        for attribute in attributes:
            value = getattr(value, attribute)
        text = text_of(value)
        if text is None:
            raise NoTag(f"{field!r} is None, so there is no tag {self.text!r}")
        return encode(text)


def _parsed(text: str) -> Iterable[tuple[str, str | None]]:
    for literal, field, form, conversion in Formatter().parse(text):
        path = [] if field is None else field.split(".")
        if form or conversion or not all(name.isidentifier() for name in path):
            raise ValueError(f"{text!r}: a placeholder names an argument, such as {{user_id}} or {{user.pk}}")
        if any(name.startswith("_") for name in path[1:]):
            raise ValueError(f"{text!r}: attributes that begin with `_` are not for others")
        yield literal, field


def text_of(value: object) -> str | None:
    """A value as it stands in a tag; a row of the database by its key. None: it has none.

    Raises `TypeError` for what has no text that others would write, too.
    """
    if isinstance(value, Enum):
        return text_of(value.value)
    if hasattr(value, "pk"):  # a row, or somebody who is not logged in
        return text_of(value.pk)
    if value is None:
        return None
    if isinstance(value, str | int | float | Decimal | UUID | date | time | Promise):
        return str(value)
    raise TypeError(f"a {type(value).__name__} has no text that stands in a tag: name an attribute of it")


class Arguments:
    """What a function may be called with. Reads its signature once."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._outer = inspect.signature(function, follow_wrapped=False)
        inner = inspect.signature(function).parameters
        self._defaults = {name: it.default for name, it in inner.items() if it.default is not it.empty}
        kinds = {it.kind for it in self._outer.parameters.values()}
        self._is_open = inspect.Parameter.VAR_KEYWORD in kinds or "self" in self._outer.parameters

    def see_that_there_are(self, names: Iterable[str]) -> None:
        """Raises `ValueError` for a name that no call can have."""
        unknown = set() if self._is_open else set(names) - set(self._outer.parameters)
        if unknown:
            known = ", ".join(self._outer.parameters) or "none"
            raise ValueError(
                f"{', '.join(sorted(unknown))}: no argument has this name; the arguments are {known}"
            )

    def of(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call by name, defaults and those in `**kwargs` too. Raises `TypeError` as the
        call would.
        """
        values = dict(self._defaults)
        for name, value in self._outer.bind(*args, **kwargs).arguments.items():
            if self._outer.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                values.update(value)
            else:
                values[name] = value
        return values


class Tags:
    """The tags that a decorator was given: patterns, and functions that compute some."""

    def __init__(self, sources: Iterable[str | Computed], arguments: Arguments) -> None:
        self._sources = [it if callable(it) else Pattern(it) for it in sources]
        self._arguments = arguments
        names: set[str] = set().union(*(it.names for it in self._sources if isinstance(it, Pattern)))
        arguments.see_that_there_are(names)
        self._needs_values = bool(names)

    @property
    def may_block(self) -> bool:
        """Whether finding them may ask the database, which coroutines cannot do themselves."""
        return any(not isinstance(it, Pattern) or it.has_attributes for it in self._sources)

    def of(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], more: Mapping[str, Any] | None = None
    ) -> list[str]:
        """The tags of one call; `more` are values that its arguments do not have.

        Raises `LookupError`, `NoTag`, and `ValueError` for what a function has computed and is no
        tag.
        """
        values = {**(more or {}), **self._arguments.of(args, kwargs)} if self._needs_values else {}
        tags: list[str] = []
        for source in self._sources:
            if isinstance(source, Pattern):
                tags.append(source.tag(values))
            else:
                computed = source(*args, **kwargs)
                tags += [computed] if isinstance(computed, str) else computed
        try:
            return [check(it) for it in tags]
        except (
            ValueError
        ) as wrong:  # what clients choose may be too long, or be in what a function has computed
            raise NoTag(str(wrong)) from wrong
