"""How a value of Python becomes bytes and comes back the same, type by type.

JSON, not pickle: whoever can write to the cache could otherwise run code in the app. Plain JSON loses types
(a tuple comes back as a list, the key 1 as "1", a Decimal not at all), so that a hit would answer something
else than the miss before it. Here every value comes back equal and of the same type, or is refused when it is
stored. What a value means, and where it is kept, is not known here.

A type that JSON does not have is an object with `~`, its name, and `v`, its content: `{"~": "date", "v":
"2026-11-29"}`. A dict with other keys than text, or with a key `~`, is written as a list of pairs in the same
way, so no two values share a text (L7).
"""

import base64
import json
import pickle
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from django.utils.safestring import SafeString

__all__ = ["Json", "Pickle", "Serializer", "pack", "unpack"]


class Serializer(Protocol):
    """Turns values into bytes and back."""

    #: The media type of the bytes. Bytes of another one are never read.
    content_type: str

    def dumps(self, value: object) -> bytes:
        """The bytes of a value. Raises `TypeError` for one that would not come back the same."""

    def loads(self, data: bytes) -> Any:
        """The value of such bytes. Raises `ValueError` if they are none."""


class Json:
    """JSON that keeps the types of Python named in this module. The default."""

    content_type = "application/json"

    def dumps(self, value: object) -> bytes:
        try:
            text = json.dumps(pack(value), ensure_ascii=False, separators=(",", ":"))
        except (ValueError, RecursionError) as error:
            raise TypeError(f"a value of {type(value).__name__} cannot be written: {error}") from error
        return text.encode("utf-8", "surrogatepass")

    def loads(self, data: bytes) -> Any:
        try:
            return unpack(json.loads(data.decode("utf-8", "surrogatepass")))
        except (KeyError, TypeError, IndexError, ArithmeticError, RecursionError) as error:
            raise ValueError(f"not written by this package: {error!r}") from error


class Pickle:
    """Any value that can be pickled, such as instances of models.

    Only for those who trust everybody that can write to the cache (holders of the admin token, and whoever
    reaches the shared store): reading a pickle runs code.
    """

    content_type = "application/vnd.python.pickle"

    def dumps(self, value: object) -> bytes:
        try:
            return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        except (pickle.PicklingError, AttributeError) as error:
            raise TypeError(f"{type(value).__name__} cannot be pickled: {error}") from error

    def loads(self, data: bytes) -> Any:
        try:
            return pickle.loads(data)  # noqa: S301 - chosen by the app's own settings
        except Exception as error:  # a class that was renamed, a module that is gone: anything
            raise ValueError(f"cannot be unpickled: {error!r}") from error


_WRITERS: dict[type, tuple[str, Callable[[Any], object]]] = {
    bytes: ("bytes", lambda it: base64.b64encode(it).decode()),
    date: ("date", date.isoformat),
    datetime: ("datetime", lambda it: _pack_moment(it)),
    time: ("time", lambda it: _pack_moment(it)),
    timedelta: ("timedelta", lambda it: [it.days, it.seconds, it.microseconds]),
    Decimal: ("decimal", str),
    UUID: ("uuid", str),
    SafeString: ("safe", str.__str__),
}

_READERS: dict[str, Callable[[Any], object]] = {
    "bytes": base64.b64decode,
    "date": date.fromisoformat,
    "datetime": lambda it: _unpack_moment(datetime.fromisoformat(it[0]), *it[1:]),
    "time": lambda it: _unpack_moment(time.fromisoformat(it[0]), *it[1:]),
    "timedelta": lambda it: timedelta(*it),
    "decimal": Decimal,
    "uuid": UUID,
    "safe": SafeString,
    "tuple": lambda it: tuple(unpack(one) for one in it),
    "set": lambda it: {unpack(one) for one in it},
    "frozenset": lambda it: frozenset(unpack(one) for one in it),
    "dict": lambda it: {unpack(key): unpack(value) for key, value in it},
}

#: What becomes of a value that has no writer: something that JSON has, or a `TypeError`.
Other = Callable[[object], object]


def _refuse(value: object) -> object:
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    raise TypeError(
        f"a value of {kind} would not come back the same: make it of dict, list, tuple, set, str, int, "
        "float, bool, None, bytes, date, time, Decimal and UUID (`list(queryset.values())`), or choose pickle"
    )


def pack(value: object, other: Other = _refuse) -> object:
    """The value as what JSON has. Types count exactly: a subclass is not its parent, and goes to `other`."""
    kind = type(value)
    if value is None or kind in (str, int, float, bool):
        return value
    if kind is list:
        return [pack(one, other) for one in value]  # type: ignore[attr-defined]
    if kind is dict:
        return _pack_dict(value, other)  # type: ignore[arg-type]
    if kind is tuple:
        return {"~": "tuple", "v": [pack(one, other) for one in value]}  # type: ignore[attr-defined]
    if kind in (set, frozenset):
        packed = [pack(one, other) for one in value]  # type: ignore[attr-defined]
        return {"~": kind.__name__, "v": sorted(packed, key=json.dumps)}
    if kind in _WRITERS:
        name, writer = _WRITERS[kind]
        return {"~": name, "v": writer(value)}
    return other(value)


def _pack_moment(value: Any) -> object:
    """A moment with its zone: by offset, or by name, so that one calculates with it as before."""
    zone = value.tzinfo
    if zone is None or type(zone) is timezone:
        return [value.isoformat(), value.fold]
    if type(zone) is ZoneInfo and zone.key is not None:
        return [value.replace(tzinfo=None).isoformat(), value.fold, zone.key]
    raise TypeError(f"a moment in the zone {zone!r} would come back without it: use `zoneinfo` or UTC")


def _unpack_moment(value: Any, fold: int, zone: str | None = None) -> Any:
    value = value.replace(fold=fold)
    return value if zone is None else value.replace(tzinfo=ZoneInfo(zone))


def _pack_dict(value: dict[object, object], other: Other) -> object:
    if all(type(key) is str for key in value) and "~" not in value:
        return {key: pack(one, other) for key, one in value.items()}
    return {"~": "dict", "v": [[pack(key, other), pack(one, other)] for key, one in value.items()]}


def unpack(plain: Any) -> Any:
    """The value that was packed so. Raises one of `ValueError`, `KeyError`, `TypeError` for what `pack` never
    writes.
    """
    if isinstance(plain, list):
        return [unpack(one) for one in plain]
    if isinstance(plain, dict):
        if "~" in plain:
            return _READERS[plain["~"]](plain["v"])
        return {key: unpack(one) for key, one in plain.items()}
    return plain
