"""The names under which values are kept: text in which no two different things are the same (L7).

    prefix:version:key;group=weekly;args={"user_id":42};tags=Campaign:7,User:42

Each part is percent-encoded, so that the separators stand between parts and nowhere else; what is absent is
left out, and so differs from what is empty. Tags are a set: their order is none of the value's. Tag versions
are no part: the sidecar compares those.
"""

import json
from collections.abc import Iterable, Mapping
from enum import Enum
from hashlib import sha256
from urllib.parse import quote

from django.db.models import Model

from .values import pack

#: Longer names are hashed from their details on, as the head of a call holds 16 KiB.
LONGEST = 1024


def object_name(
    prefix: str,
    version: object,
    key: str,
    *,
    group: str | None = None,
    code_version: str | None = None,
    arguments: Mapping[str, object] | None = None,
    tags: Iterable[str] = (),
) -> str:
    """The name of one value. Raises `TypeError` for arguments that have no text of their own."""
    name = f"{part(prefix)}:{part(str(version))}:{part(key)}"
    details = ""
    if group is not None:
        details += f";group={part(group)}"
    if code_version is not None:
        details += f";version={part(code_version)}"
    if arguments is not None:
        details += f";args={part(fields(arguments))}"
    of_tags = sorted(set(tags))
    if of_tags:
        details += ";tags=" + ",".join(quote(tag, safe=":") for tag in of_tags)
    if len(name) + len(details) <= LONGEST:
        return name + details
    digest = sha256((name + details).encode()).hexdigest()
    # `#` stands in no part, so this is no other value's name.
    return f"{name if len(name) <= LONGEST // 2 else f'{part(prefix)}:{part(str(version))}:'}#{digest}"


def of_prefix(prefix: str) -> str:
    """The beginning of every name with this prefix, and of no other."""
    return f"{part(prefix)}:"


def part(text: str) -> str:
    """A part of a name, without separators and without what means something in a pattern (`*`, `?`, `[`)."""
    return quote(text, safe="", errors="surrogatepass")


def fields(arguments: Mapping[str, object]) -> str:
    """The arguments of a call as text: equal for equal values of the same types, different for all others.
    `42` and `"42"` differ, as do `None`, `""`, `0` and `False`.
    """
    plain = {name: pack(value, _named) for name, value in arguments.items()}
    return json.dumps(plain, sort_keys=True, separators=(",", ":"))


def _named(value: object) -> object:
    """What has a name of its own beyond the plain types: rows of the database, members of enumerations."""
    if isinstance(value, Enum):
        return {"~": f"{type(value).__module__}.{type(value).__qualname__}", "v": value.name}
    if isinstance(value, Model):
        if value.pk is None:
            raise TypeError(f"a {value._meta.label} without a primary key tells nothing apart: save it first")
        return {"~": value._meta.label, "v": [value._state.db, pack(value.pk, _named)]}
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    raise TypeError(
        f"an argument of {kind} has no text that tells it from others: name in `vary_on` "
        "the arguments that matter, and pass plain values or rows of the database"
    )
