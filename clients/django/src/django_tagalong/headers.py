"""What was collected, as the lines of a response's head (docs/headers.md). Pure: no request, no setting, no
network.

Decides how each thing is spelled, how long lists are split into lines, and what is too much for a head.
Values are bytes of UTF-8, as the sidecar reads them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from .collector import Change, Collected, Increment

T = TypeVar("T")

TAGS = "Cache-Tag"
INCREMENTS = "Cache-Tag-Increment"
CHANGES = "Cache-Tag-Change"
FRESHNESS = "Tagalong-Cache-Control"
# What forgets everything: `X-LiteSpeed-Purge: *`.
EVERYTHING = "X-LiteSpeed-Purge"


@dataclass(slots=True)
class Head:
    """The lines to write, and what found no room in them."""

    lines: list[tuple[str, list[bytes]]] = field(default_factory=list)
    """Each name once, with its lines."""
    left_increments: list[Increment] = field(default_factory=list)
    left_changes: list[Change] = field(default_factory=list)
    has_all_tags: bool = True
    """False: there are too many bytes of tags, none was written, and the response is not to be stored."""


def write(collected: Collected, *, max_line: int, max_tag_bytes: int, max_increment_bytes: int) -> Head:
    """The head of a response. Increments and changes take `max_increment_bytes` together, what stands between
    them included; the first that finds no room and all after it are left. Tags are written all or not at
    all, never cut off.
    """
    head = Head()
    tags = [tag.encode() for tag in collected.tags]
    if sum(map(len, tags)) <= max_tag_bytes:
        _add(head, TAGS, tags, max_line)
    else:
        head.has_all_tags = False
    if collected.increments or collected.changes:
        _add_changes(head, collected, max_line, max_increment_bytes)
    freshness = spell_freshness(collected.freshness) if head.has_all_tags else b"no-store"
    _add(head, FRESHNESS, [freshness] if freshness else [], max_line)
    return head


def spell_increment(increment: Increment) -> bytes:
    """`User:42`, `User:42;soft`, `User:42;again=2`."""
    soft = ";soft" if increment.soft else ""
    again = "" if increment.again is None else f";again={increment.again}"
    return f"{increment.tag}{soft}{again}".encode()


def spell_change(change: Change) -> bytes:
    """A member of a structured list (RFC 9651 §3.1): `"foos";old.size="1";new.size="2"`."""
    sides = (("old", change.old), ("new", change.new))
    values = "".join(f";{side}.{name}={_string(text)}" for side, texts in sides for name, text in texts)
    return f"{_string(change.rule)}{values}".encode()


def spell_freshness(freshness: dict[str, int | None]) -> bytes:
    """`max-age=60, stale-while-revalidate=30` (RFC 9213); what is not to be stored says nothing else."""
    if "no-store" in freshness:
        return b"no-store"
    said = (name if seconds is None else f"{name}={seconds}" for name, seconds in freshness.items())
    return ", ".join(said).encode()


def split(members: Iterable[bytes], max_line: int) -> list[bytes]:
    """The list as lines of at most so many bytes; a member that is longer by itself has a line of its own."""
    lines: list[bytes] = []
    line: list[bytes] = []
    size = 0
    for member in members:
        if line and size + 2 + len(member) > max_line:
            lines.append(b", ".join(line))
            line, size = [], 0
        size += len(member) + (2 if line else 0)
        line.append(member)
    if line:
        lines.append(b", ".join(line))
    return lines


def _add_changes(head: Head, collected: Collected, max_line: int, room: int) -> None:
    increments, head.left_increments, room = _fitting(collected.increments.values(), spell_increment, room)
    _add(head, INCREMENTS, increments, max_line)
    changes, head.left_changes, _ = _fitting(collected.changes, spell_change, room)
    _add(head, CHANGES, changes, max_line)


def _add(head: Head, name: str, members: list[bytes], max_line: int) -> None:
    if members:
        head.lines.append((name, split(members, max_line)))


def _fitting(
    several: Iterable[T], spell: Callable[[T], bytes], room: int
) -> tuple[list[bytes], list[T], int]:
    """Those that fit, spelled; those that do not; how much room is left."""
    wishes = list(several)
    written: list[bytes] = []
    for n, wish in enumerate(wishes):
        member = spell(wish)
        if len(member) + 2 > room:
            return written, wishes[n:], 0
        room -= len(member) + 2
        written.append(member)
    return written, [], room


def _string(text: str) -> str:
    """A string (RFC 9651 §3.3.3); a display string (§3.3.8) where there is more than printable ASCII."""
    if text.isascii() and text.isprintable():
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    spelled = (chr(byte) if chr(byte) in _PLAIN else f"%{byte:02x}" for byte in text.encode())
    return f'%"{"".join(spelled)}"'


# What stands for itself in a display string: printable ASCII but `%` and `"`.
_PLAIN = frozenset(map(chr, range(0x20, 0x7F))) - frozenset('%"')
