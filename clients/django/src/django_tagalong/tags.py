"""Tags: how they are spelled, as the sidecar's rule templates spell them (`Name` or `Name:instance`).

Values are percent-encoded so that none ends its tag. Of several parts of an instance, a colon is encoded
in each but the last: a name that is always used with as many parts means one thing only (L7), while a tag
with one part is what the template `Name:{x}` of a rule makes. Knows nothing of requests and of the
sidecar.
"""

import unicodedata
from typing import Any

# What the admin interface takes, in bytes of UTF-8.
MAX_BYTES = 4096


def tag(name: str, *instance: object) -> str:
    """The tag `name`, or `name:part:part` of an instance: `tag("User", 42)` is `User:42`.

    A part is anything that has a text. Raises `ValueError` where a part is None (an object that is not
    saved yet has no tag: it must not become one of all), where the name is empty, has a colon or begins
    with `~`, and where it is longer than 4096 bytes; `TypeError` for bytes.
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of a tag is text, not {type(name).__name__}")
    if ":" in name:
        raise ValueError(
            f"the name of a tag has no colon: {name!r}; give what follows it as another argument"
        )
    if not instance:
        return check(encode(name))
    *front, last = (encode(_text(part)) for part in instance)
    parts = [encode(name), *(part.replace(":", "%3A") for part in front), last]
    return check(":".join(parts))


def model_tag(name: str, pk: object) -> str:
    """The tag of one object: `model_tag("User", 42)` is `User:42`."""
    return tag(name, pk)


def list_tag(name: str, *owner: object) -> str:
    """The tag of a list, or of the list of one owner: `list_tag("Donations", 42)` is `Donations:42`."""
    return tag(name, *owner)


def aggregate_tag(name: str, *scope: object) -> str:
    """The tag of what was computed over many: `aggregate_tag("Stats", "daily", 42)` is `Stats:daily:42`."""
    return tag(name, *scope)


def custom_tag(name: str, *instance: object) -> str:
    """A tag for anything else: the same as `tag`."""
    return tag(name, *instance)


def constant_tag(name: str, version: int, *instance: object) -> str:
    """A tag that the app pins to a version of its own: `constant_tag("api", 2)` is `api;v=2`.

    Raising the number forgets what carries a lower one; it tags responses, and cannot be incremented.
    """
    if isinstance(version, bool) or not isinstance(version, int) or abs(version) >= 10**15:
        raise ValueError("the version of a constant tag is a whole number of at most 15 digits")
    return f"{tag(name, *instance)};v={version}"


def encode(value: str) -> str:
    """`value` as it stands in a tag: `, ; " % @`, white space and control characters percent-encoded (UTF-8).

    A lone surrogate has no UTF-8; it is encoded as it would be, so that no two values become one.
    """
    if value.isascii() and value.isalnum():
        return value
    return "".join(map(_encoded, value))


def valid(text: object) -> bool:
    """Whether the text is a tag that an app may name, as it is."""
    return isinstance(text, str) and _wrong(text) is None


def check(text: str) -> str:
    """The tag itself. Raises `ValueError` saying why it is none, `TypeError` where it is no text."""
    if not isinstance(text, str):
        raise TypeError(f"a tag is text, not {type(text).__name__}")
    wrong = _wrong(text)
    if wrong is not None:
        raise ValueError(f"{text[:80]!r} is no tag: {wrong}")
    return text


def check_tagged(text: str) -> str:
    """As `check`, for a tag of a response: it may have a version of the app's own, `;v=7`."""
    if not isinstance(text, str):
        raise TypeError(f"a tag is text, not {type(text).__name__}")
    name, separator, version = text.partition(";v=")
    digits = version.removeprefix("-")
    if separator and not (digits.isascii() and digits.isdigit() and len(digits) <= 15):
        raise ValueError(f"{text[:80]!r} is no tag: a whole number of at most 15 digits follows `;v=`")
    check(name)
    return text


def tagged(it: str | tuple[Any, ...]) -> str:
    """A tag of a response or a value, of its text (`User:42`) or its parts (`("User", 42)`). Raises as `tag`
    and `check_tagged`.
    """
    return tag(*it) if isinstance(it, tuple) else check_tagged(it)


def _text(part: object) -> str:
    if part is None:
        raise ValueError("a part of a tag is None: what has no value has no tag")
    if isinstance(part, bytes | bytearray | memoryview):
        raise TypeError("a part of a tag is bytes: decode them first")
    return str(part)


def _encoded(c: str) -> str:
    if c.isalnum():
        return c
    if c in ',;"%@' or _splits(c) or "\ud800" <= c <= "\udfff":
        return "".join(f"%{byte:02X}" for byte in c.encode("utf-8", "surrogatepass"))
    return c


def _splits(c: str) -> bool:
    # Python's `isspace` and Unicode's White_Space differ in U+001C to U+001F alone: control characters.
    return c.isspace() or unicodedata.category(c) == "Cc"


def _wrong(text: str) -> str | None:
    if not text or text.startswith(":"):
        return "a tag needs a name"
    if text.startswith("~"):
        return "tags that begin with `~` belong to the cache itself"
    if not (text.isascii() and text.isalnum()):
        if any(c in ',;"' or _splits(c) for c in text):
            return '`,`, `;`, `"`, white space and control characters must be percent-encoded in a tag'
        if any("\ud800" <= c <= "\udfff" for c in text):
            return "a tag must be UTF-8"
    if len(text) > MAX_BYTES // 4 and len(text.encode()) > MAX_BYTES:
        return f"it is longer than {MAX_BYTES} bytes"
    return None
